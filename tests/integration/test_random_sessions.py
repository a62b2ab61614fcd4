"""Random conversations about all that a session is, in many configurations, while clients come and
go, servers end and the configuration changes: each client hears what it hears directly.

SEED=n PLANS=n in the environment: others, and more of them."""

from __future__ import annotations

import os
import ssl
import threading
from contextlib import contextmanager
from typing import Any, Iterator, NamedTuple

from lab.declare import FOREBAY, test
from lab.lab import Lab
from lab.process import wait_until
from lab.random_messages import Plan
from lab.random_sessions import EVENTS, SessionWriter, setting_up, tearing_down
from lab.target import Target
from lab.twins import Theatre, is_odd
from lab.wire import Client, tls_context

from test_reload import reload


class Configuration(NamedTuple):
    options: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    without: tuple[str, ...] = ()
    events: tuple[str, ...] = EVENTS
    replica: bool = False


CONFIGURATIONS = {
    "plain": Configuration(),
    "session": Configuration({}, {"mode": "session"}, events=("reconnect", "reload")),
    "shared_listen": Configuration({"shared_listen": True}),
    "lazy": Configuration({"lazy_begin": True}),
    # What another client, or session, has written may come later to a replica.
    "split": Configuration({"split_reads": True, "monitor_interval": "50ms",
                            "primary_lease": "30s"}, {}, ("ddl",),
                           ("terminate", "reload", "evict", "lag", "lag"), replica=True),
    "tls": Configuration({}, {"tls": True}),
    "short": Configuration({"server_lifetime": "100ms", "server_check_delay": "1ms",
                            "server_idle_timeout": "50ms"}),
}


class Stage(Theatre):
    """A theatre with what happens around the clients."""

    def __init__(self, lab: Lab, configuration: Configuration) -> None:
        self.lab = lab
        self.configuration = configuration
        self.postgres, self.replica = lab.postgres, None
        if configuration.replica:
            self.postgres = lab.private_postgres()
            with self.postgres.admin() as admin:
                admin.run("create role tmp_reader; grant tmp_reader to app")
            self.replica = lab.replica_of(self.postgres)
        else:
            with self.postgres.admin() as admin:
                admin.run("create role tmp_reader; grant tmp_reader to app")
        self.admin = lab.keep(self.postgres.admin())
        plain = lab.direct(self.postgres)
        super().__init__(lambda **more: plain.connect("app", "bench", **more), self.begin,
                         setting_up)

    def begin(self, pool_size: int, max_prepared: int) -> Target:
        settings = {"pool_size": pool_size, **self.configuration.settings}
        if settings.get("mode") == "session":
            settings["pool_size"] = 6
        if self.replica is not None:
            settings["servers"] = [self.postgres.address, self.replica.address]
        options = {"max_prepared_statements": max_prepared, **self.configuration.options}
        target = self.lab.target(self.postgres, options=options, **settings)
        if self.replica is not None:
            with target.connect():
                wait_until(lambda: "host_up: replica" in target.log, "the replica is known")
        return target

    def settle(self) -> None:
        if self.replica is None:
            return
        self.replica.value("select pg_wal_replay_resume()")
        lsn = self.postgres.value("select pg_current_wal_insert_lsn()")
        wait_until(lambda: self.replica.value(f"select pg_last_wal_replay_lsn() >= '{lsn}'") == "t",
                   "the replica has it all", every=0.005)

    def lag(self) -> None:
        if self.replica is not None:
            self.replica.value("select case when pg_is_wal_replay_paused() then "
                               "pg_wal_replay_resume() else pg_wal_replay_pause() end")

    def reload(self, plan: Plan) -> None:
        target = self.target(plan)
        text = target.toml_text()
        more = text.replace("default_pool_size = ", "default_pool_size = 1")
        for each in (more, text):
            reload(target, each)

    def terminate_idle(self) -> None:
        self.admin.run("select pg_terminate_backend(pid) from pg_stat_activity where "
                       "datname = 'app' and backend_type = 'client backend' and state = 'idle'")

    def released(self) -> None:
        held = ("select count(*) from pg_locks l join pg_database d on d.oid = l.database "
                "where locktype = 'advisory' group by datname")
        wait_until(lambda: len(set(self.admin.rows(held))) < 2 and
                   len(self.admin.rows(held)) != 1, "locks are released")

    @contextmanager
    def cancelling(self, client: Client) -> Iterator[None]:
        over = threading.Event()
        thread = threading.Thread(target=self.cancel_sleepers, args=(client, over))
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def cancel_sleepers(self, client: Client, over: threading.Event) -> None:
        cancelled = False
        while not over.wait(0.005):
            sleeps = self.admin.value("select count(*) from pg_stat_activity where "
                                      "state = 'active' and wait_event = 'PgSleep'") != "0"
            if sleeps and not cancelled:
                encrypted = isinstance(client.socket, ssl.SSLSocket)
                client.cancel(tls=tls_context(self.lab.certificates.ca) if encrypted else None)
            cancelled = sleeps


@test(targets=FOREBAY, params=tuple(CONFIGURATIONS), within=36_000, heavy=True)
def conversations(lab: Lab, name: str) -> None:
    first = int(os.environ.get("SEED", "1"))
    count = int(os.environ.get("PLANS", "2"))
    configuration = CONFIGURATIONS[name]
    stage = Stage(lab, configuration)
    wrong = []
    for seed in range(first, first + count):
        plan = SessionWriter(seed, configuration.without, configuration.events).plan()
        seen = stage.play(plan)
        if seen:
            plan = stage.shrink(plan)
            if not is_odd(plan):
                wrong.append(f"seed {seed}: {plan}\n{stage.play(plan) or seen}\n")
    for database in ("app", "bench"):
        with stage.postgres.admin(database) as admin:
            for n in range(4):
                admin.run(tearing_down(n))
    assert not wrong, f"{len(wrong)} of {count} differ:\n" + "\n".join(wrong)
