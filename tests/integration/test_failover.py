"""Primaries that die, hang, hand over and come back, under clients that write all the time: what was
acknowledged is there afterwards, every client goes on, and nobody sees more than it must."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from lab import messages as m
from lab.declare import FOREBAY, test
from lab.lab import Lab
from lab.postgres import Postgres
from lab.process import LabError, wait_until
from lab.target import Database, Target
from lab.wire import Client

CLIENTS = 6
#: So many writes each client must get through before the fault, and after it.
WRITES = 20


# Two servers, and what is done to them.

def pair(lab: Lab) -> tuple[Postgres, Postgres]:
    """A primary that acknowledges only what its replica has, so that nothing is lost by design."""
    primary = lab.private_postgres(synchronous_commit="on")
    replica = lab.replica_of(primary)
    primary.rows("create table written (client int, number int, primary key (client, number))",
                 "app")
    primary.rows("grant all on written to app", "app")
    primary.configure(synchronous_standby_names="*")
    primary.reload()
    wait_until(lambda: primary.value("select count(*) from pg_stat_replication "
                                     "where sync_state = 'sync'") == "1", "it is synchronous")
    wait_until(lambda: replica.rows("select 1 from pg_tables where tablename = 'written'", "app"),
               "the replica has the table")
    return primary, replica


def processes(postgres: Postgres) -> list[int]:
    """The server and its children."""
    assert postgres.child is not None
    found = [postgres.child.pid]
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text()
        except OSError:
            continue
        if int(text[text.rindex(")") + 2:].split()[1]) == postgres.child.pid:
            found.append(int(stat.parent.name))
    return found


def signal_all(postgres: Postgres, number: int) -> None:
    for pid in processes(postgres):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def crash(postgres: Postgres) -> None:
    signal_all(postgres, signal.SIGKILL)
    assert postgres.child is not None
    postgres.child.wait()
    postgres.child = None


def promote(replica: Postgres) -> None:
    assert replica.value("select pg_promote()") == "t"


def last_primary(target: Target) -> str:
    lines = [line for line in target.log.splitlines() if "the primary, on timeline" in line]
    return lines[-1] if lines else ""


def cluster_target(lab: Lab, *hosts: Postgres, **options: object) -> Target:
    options = {"primary_lease": "2s", **options}
    target = lab.target(servers=[host.address for host in hosts], pool_size=4, options=options)
    with target.connect() as client:
        client.run("select 1")
    wait_until(lambda: last_primary(target), "the monitor has found the primary")
    return target


# Clients that write.

@dataclass
class Writer:
    number: int
    acknowledged: list[int] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    gap: float = 0.0
    reconnects: int = 0
    trouble: str = ""


class Load:
    """Half of the clients write single statements, the others transactions of three."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.stop = threading.Event()
        self.writers = [Writer(n) for n in range(CLIENTS)]
        self.threads = [threading.Thread(target=self.work, args=(w,)) for w in self.writers]

    def __enter__(self) -> "Load":
        for thread in self.threads:
            thread.start()
        self.progress()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def work(self, writer: Writer) -> None:
        try:
            with self.target.connect(within=60) as client:
                self.write(client, writer)
        except Exception as error:      # noqa: BLE001, told by the thread that waits
            writer.trouble = f"{type(error).__name__}: {error}"

    def write(self, client: Client, writer: Writer) -> None:
        number = 0
        last = time.monotonic()
        while not self.stop.is_set():
            number += 1
            insert = f"insert into written values ({writer.number}, {number})"
            texts = [insert] if writer.number % 2 else ["begin", insert, "select 1", "commit"]
            failed = ""
            for text in texts:
                for message in client.messages(m.query(text), within=60):
                    if message.type == b"E":
                        failed = message.fields()["C"]
                if failed:
                    break
            if failed:
                writer.errors[failed] += 1
                if client.status != b"I":
                    client.run("rollback")
                continue
            now = time.monotonic()
            writer.gap = max(writer.gap, now - last)
            last = now
            writer.acknowledged.append(number)

    def progress(self) -> None:
        """Every client gets through a number of further writes."""
        goals = [len(w.acknowledged) + WRITES for w in self.writers]

        def reached() -> bool:
            for writer in self.writers:
                if writer.trouble:
                    raise LabError(f"client {writer.number} is gone: {writer.trouble}")
            return all(len(w.acknowledged) >= g for w, g in zip(self.writers, goals))
        wait_until(reached, "every client writes", within=60)

    def errors(self) -> Counter[str]:
        total: Counter[str] = Counter()
        for writer in self.writers:
            total.update(writer.errors)
        return total

    def lost(self, postgres: Postgres) -> list[tuple[int, int]]:
        """Acknowledged, and not there."""
        there = {(int(c or 0), int(n or 0))
                 for c, n in postgres.rows("select client, number from written", "app")}
        return [(w.number, n) for w in self.writers for n in w.acknowledged
                if (w.number, n) not in there]

    def report(self, name: str) -> None:
        gap = max(writer.gap for writer in self.writers)
        print(f"failover {name}: {sum(len(w.acknowledged) for w in self.writers)} writes, errors "
              f"{dict(self.errors())}, longest gap {gap:.2f} s", flush=True)


def check(load: Load, name: str, primary: Postgres, most: int = CLIENTS) -> None:
    load.report(name)
    assert not load.lost(primary), load.lost(primary)
    for writer in load.writers:
        assert not writer.trouble, writer.trouble
    assert set(load.errors()) <= {"40001", "40003", "08007"}, load.errors()
    assert sum(load.errors().values()) <= most, load.errors()


@test(modes=("transaction",), targets=FOREBAY, within=120)
def primary_crashes(lab: Lab) -> None:
    """One error at most for each client that had something under way, and the others wait."""
    primary, replica = pair(lab)
    target = cluster_target(lab, primary, replica)
    with Load(target) as load:
        crash(primary)
        promote(replica)
        load.progress()
    check(load, "crash", replica)


@test(modes=("transaction",), targets=FOREBAY, within=120)
def switchover(lab: Lab) -> None:
    primary, replica = pair(lab)
    target = cluster_target(lab, primary, replica)
    with Load(target) as load:
        primary.stop()
        promote(replica)
        load.progress()
    check(load, "switchover", replica)


@test(modes=("transaction",), targets=FOREBAY, within=120)
def primary_hangs_and_wakes(lab: Lab) -> None:
    """A stopped primary loses its connections with its lease; when it wakes up and thinks that it
    still is one, nothing goes there."""
    primary, replica = pair(lab)
    target = cluster_target(lab, primary, replica)
    with Load(target) as load:
        signal_all(primary, signal.SIGSTOP)
        try:
            wait_until(lambda: "no longer the primary" in target.log, "its lease is over")
            promote(replica)
            load.progress()
        finally:
            signal_all(primary, signal.SIGCONT)
        wait_until(lambda: "an older timeline" in target.log, "the old primary is fenced")
        load.progress()
    check(load, "hang", replica)
    with target.connect() as client:
        assert client.value("select pg_is_in_recovery()") == "f"
        assert client.value("show port") == str(replica.port)


@test(modes=("transaction",), targets=FOREBAY, within=60)
def replica_dies_and_returns(lab: Lab) -> None:
    """Nobody who uses the primary notices; the monitor does."""
    primary = lab.private_postgres()
    replica = lab.replica_of(primary)
    target = cluster_target(lab, primary, replica, primary_lease="20s", stats_users="app")
    name = f"server=127.0.0.1:{replica.port}"

    def said(event: str) -> int:
        return sum(f" {event}: " in line and name in line for line in target.log.splitlines())
    def shown(command: str) -> dict[str, tuple[str, ...]]:
        with target.connect(database="forebay") as console:
            return {str(row[0]): tuple(map(str, row[1:])) for row in console.rows(command)}
    with target.connect() as client:
        wait_until(lambda: said("host_up") == 1, "the replica is up")
        hosts = shown("SHOW HOSTS")
        assert hosts[f"127.0.0.1:{primary.port}"][:4] == ("primary", "1", "1", "yes"), hosts
        assert hosts[f"127.0.0.1:{replica.port}"][:3] == ("replica", "1", "1"), hosts
        wait_until(lambda: shown("SHOW REPLICATION")[f"127.0.0.1:{replica.port}"][4] == "0",
                   "the replica has everything")
        crash(replica)
        wait_until(lambda: said("host_down") == 1, "the replica is down")
        wait_until(lambda: shown("SHOW HOSTS")[f"127.0.0.1:{replica.port}"][1] == "0",
                   "SHOW HOSTS says so")
        assert client.value("select 1") == "1"
        replica.start()
        wait_until(lambda: said("host_up") == 2, "the replica is back")
        assert client.value("select pg_is_in_recovery()") == "f"


@test(modes=("transaction",), targets=FOREBAY, within=60)
def statements_wait_for_a_primary(lab: Lab) -> None:
    """For failover_hold at most; then it is an error, and the session goes on."""
    primary = lab.private_postgres()
    replica = lab.replica_of(primary)
    target = cluster_target(lab, primary, replica, primary_lease="1s", failover_hold="1s")
    with target.connect() as client:
        client.run("set work_mem = '123kB'")
        primary.stop()
        wait_until(lambda: "no longer the primary" in target.log, "its lease is over")
        error = client.error(m.query("select 1"), within=30)
        assert error.sqlstate == "57P03", error
        assert "failover_hold" in error.fields()["M"], error
        promote(replica)
        wait_until(lambda: str(replica.port) in last_primary(target), "there is a primary again")
        assert client.value("show work_mem") == "123kB"


@test(modes=("transaction",), targets=FOREBAY, within=60)
def two_primaries(lab: Lab) -> None:
    """On one timeline nobody can say which is right: statements are held until one is gone."""
    old = lab.private_postgres()
    first, second = lab.replica_of(old), lab.replica_of(old)
    promote(first)
    promote(second)
    target = lab.target(servers=[first.address, second.address], options={"primary_lease": "1s"})

    def port_of_the_primary() -> str:
        with target.connect(within=40) as client:
            return str(client.value("show port"))
    waiting = lab.in_background(port_of_the_primary)
    wait_until(lambda: "two primaries on timeline" in target.log, "they are seen")
    first.stop()
    wait_until(lambda: str(second.port) in last_primary(target), "one is left")
    assert waiting.result(40) == str(second.port)


@test(modes=("transaction",), tls=(False, True), targets=FOREBAY, within=60)
def one_session_is_no_failover(lab: Lab) -> None:
    """pg_terminate_backend, also of the monitor's own connections."""
    primary = lab.private_postgres()
    replica = lab.replica_of(primary)
    target = cluster_target(lab, primary, replica, primary_lease="20s")
    with target.connect() as client:
        for _ in range(3):
            primary.rows("select pg_terminate_backend(pid) from pg_stat_activity "
                         "where datname = 'app'")
            wait_until(lambda: "forebay monitor" in str(primary.rows(
                "select application_name from pg_stat_activity where datname = 'app'")),
                "the monitor is back")
            client.run("select 1")
    assert "no longer the primary" not in target.log
    assert "fenced" not in target.log
