"""Listeners, descriptors, and what happens when there is too much of something."""

from __future__ import annotations

import os
import stat
import time
import urllib.request
from typing import Callable

from lab import messages as m
from lab import ports
from lab.declare import FOREBAY, POOLERS, test
from lab.lab import Lab
from lab.process import LabError, run, wait_until
from lab.scrape import Scrape
from lab.target import Database, Target, wait_for_listener
from lab.wire import Client, Connection, Ended, ServerError, refused


# Listeners.

@test(modes=("transaction", "session"), targets=POOLERS)
def unix_socket(lab: Lab) -> None:
    folder = lab.folder / "sockets"
    folder.mkdir()
    if lab.kind == "forebay":
        path = f"{folder}/.s.PGSQL.6432"
        target = lab.target(listen=[path])
    else:
        target = lab.target()
        path = f"{target.folder}/.s.PGSQL.{target.port}"
    with target.connect(address=path) as client:
        assert client.value("select 1") == "1"
    host, port = os.path.dirname(path), path.rsplit(".", 1)[1]
    done = run(["psql", "-XAtqc", "select 'by psql'"],
               env=target.environment(PGHOST=host, PGPORT=port))
    assert done.out == "by psql\n", done


@test(modes=("transaction",), targets=FOREBAY)
def unix_socket_of_a_folder(lab: Lab) -> None:
    """A folder gets the name that libpq looks for; permissions are as configured; it goes with the
    process, and one that a dead process left behind is in nobody's way."""
    folder = lab.folder / "sockets"
    folder.mkdir()
    path = f"{folder}/.s.PGSQL.6432"
    target = lab.target(listen=[str(folder)], options={"unix_socket_mode": "0700"})
    wait_until(lambda: os.path.exists(path) and stat.S_IMODE(os.stat(path).st_mode) == 0o700,
               "the socket has its permissions")
    with target.connect(address=path) as client:
        assert client.value("select 1") == "1"
    target.running.send_signal(9)
    target.running.wait()
    target.started = False
    assert os.path.exists(path)
    again = lab.target(listen=[str(folder)])
    wait_for_listener(again.running, path)
    with again.connect(address=path) as client:
        assert client.value("select 1") == "1"
    again.stop()
    assert not os.path.exists(path)


@test(modes=("transaction",), targets=FOREBAY)
def several_listeners(lab: Lab) -> None:
    second, third = ports.claim(), ports.claim()
    path = f"{lab.folder}/socket"
    target = lab.target(listen=[f"127.0.0.1:{second}", f"[::1]:{third}", path])
    for address in (target.address, ("127.0.0.1", second), ("::1", third), path):
        with target.connect(address=address) as client:
            assert client.value("select 1") == "1", address
    target.stop()
    for port in (second, third):
        ports.release(port)


@test(modes=("transaction",), tls=(True,), targets=FOREBAY)
def unix_socket_needs_no_tls(lab: Lab) -> None:
    """Where TLS is required, the Unix socket is as good; libpq asks for none there."""
    path = f"{lab.folder}/.s.PGSQL.6432"
    target = lab.target(listen=[path])
    with target.connect(address=path, tls=None) as client:
        assert client.value("select 1") == "1"


@test(modes=("transaction",), entries=("run",), targets=FOREBAY)
def server_behind_a_unix_socket(lab: Lab) -> None:
    target = lab.target(servers=[(str(lab.postgres.sockets), lab.postgres.port)])
    with target.connect() as client:
        assert client.value("select inet_server_addr() is null") == "t"


@test(modes=("transaction",), entries=("run",), targets=FOREBAY)
def trust_in_our_operating_system_user(lab: Lab) -> None:
    """What the server grants to the user that the proxy runs as is not passed on to everybody."""
    server = (str(lab.postgres.sockets), lab.postgres.port)
    target = lab.target(servers=[server])
    error = refused(lambda: target.connect("trusted", "app", password=""))
    assert error.fields()["S"] == "FATAL" and error.sqlstate == "28000", error
    told = lab.target(servers=[server], arguments=["--passwordless-from-anywhere"])
    with told.connect("trusted", "app", password="") as client:
        assert client.value("select current_user") == "trusted"


# Descriptors.

# UndefinedBehaviorSanitizer takes pointers for bad when it gets no descriptors to look at them
# with: not for sanitized builds.
@test(modes=("transaction",), targets=POOLERS, heavy=True)
def descriptors_run_out(lab: Lab) -> None:
    """More connections than descriptors: no busy loop, the others are served, and when some leave
    there is room again."""
    target = lab.target(pool_size=3, open_files=128,
                        options={"max_client_conn": 2000} if lab.kind == "pgbouncer" else {})
    served = lab.keep(target.connect())
    assert served.value("select 1") == "1"
    crowd: list[Connection] = []
    for _ in range(300):
        try:
            crowd.append(Connection(target.address, 5))
        except OSError:
            break
    time.sleep(0.3)
    before = target.running.cpu_seconds()
    time.sleep(1)
    used = target.running.cpu_seconds() - before
    assert used < (1.0 if lab.sanitized else 0.4), f"{used:.2f} s of processor time in one second"
    assert served.value("select 2") == "2"
    for connection in crowd:
        connection.close()

    def healthy() -> bool:
        try:
            target.check_healthy()
            return True
        except (ServerError, Ended, OSError):
            return False
    wait_until(healthy, "there is room again", within=20)
    assert served.value("select 3") == "3"


@test(modes=("transaction",), targets=FOREBAY)
def more_clients_than_descriptors_are_refused_at_the_start(lab: Lab) -> None:
    """A limit that cannot be kept is said at the start, with advice, not found out later."""
    try:
        target = lab.target(open_files=100, options={"max_client_conn": 5000})
    except LabError as error:
        text = str(error)
        assert "5000" in text and ("descriptor" in text or "open files" in text
                                   or "ulimit" in text or "nofile" in text.lower()), text
        return
    raise LabError(f"it started: {target.log}")


@test(modes=("transaction",), targets=FOREBAY)
def clients_beyond_the_limit_are_told(lab: Lab) -> None:
    """53300 in PostgreSQL's words, after their start-up packet, so that they show it."""
    port = ports.claim()
    target = lab.target(options={"max_client_conn": 2, "http": f"127.0.0.1:{port}"})
    clients = [lab.keep(target.connect()) for _ in range(2)]
    for _ in range(20):
        try:
            with target.connect():
                raise LabError("was let in")
        except ServerError as error:
            assert error.sqlstate == "53300" and error.error.fields()["S"] == "FATAL", error
            assert error.error.fields()["D"] == "The limit is max_client_conn = 2.", error
    assert Scrape(port).sum("clients_refused_total", limit="max_client_conn") == 20
    for client in clients:
        assert client.value("select 1") == "1"


@test(modes=("transaction", "session"), targets=FOREBAY)
def statements_at_a_time(lab: Lab) -> None:
    """What is over max_statements waits for a place, oldest first; what is over
    max_waiting_statements is refused, and its client stays."""
    port = ports.claim()
    target = lab.target(pool_size=5, options={"http": f"127.0.0.1:{port}"}, user_options={
        "app": {"max_statements": 1, "max_waiting_statements": 1}})
    holder, waiting, refused = (lab.keep(target.connect()) for _ in range(3))
    for turn in range(2):
        for client in (waiting, refused, holder):
            assert client.value("select 1") == "1"
        holder.run("begin")
        waiting.send(m.query("select 2"))
        wait_until(lambda: Scrape(port).sum("statements_held_total") > turn, "it waits")
        error = refused.error(m.query("select 3"))
        assert error.fields()["C"] == "53400", error
        assert "max_statements = 1, set in [users.app]" in error.fields()["M"], error
        error = refused.error(m.parse("", "select 3"), m.bind("", ""), m.execute(""), m.sync())
        assert error.fields()["C"] == "53400", error
        assert Scrape(port).sum("statements_refused_total", limit="max_statements") == 2 * turn + 2
        assert holder.value("select 4") == "4"
        holder.run("commit")
        assert m.only(waiting.until_ready(), b"D")[0].columns() == [b"2"]
        assert refused.value("select 5") == "5"
        with target.connect("other", "other") as other:
            assert other.value("select 6") == "6"


@test(modes=("transaction",), targets=FOREBAY)
def statements_per_second(lab: Lab) -> None:
    """What comes too fast waits, and is refused where too much waits."""
    port = ports.claim()
    target = lab.target(options={"http": f"127.0.0.1:{port}"}, databases={
        "app": Database(options={"max_statements_per_second": 1, "max_waiting_statements": 0}),
        "other": Database(options={"max_statements_per_second": 100, "statement_burst": 1})})
    with target.connect() as client:
        client.run("begin")
        client.run("select 1")
        client.run("commit")
        error = client.error(m.query("select 2"))
        assert error.fields()["C"] == "53400", error
        assert "max_statements_per_second = 1, set in [databases.app]" in error.fields()["M"], error
        assert client.error(m.query("select 2")).fields()["C"] == "53400"
        found = Scrape(port)
        assert found.sum("statements_refused_total", limit="max_statements_per_second") == 2
    with target.connect("other", "other") as other:
        began = time.monotonic()
        for _ in range(20):
            other.run("select 1")
        assert time.monotonic() - began >= 0.18


@test(targets=FOREBAY)
def bytes_per_second(lab: Lab) -> None:
    """What is too much goes its way later, in both directions, and the others' is not held up."""
    port = ports.claim()
    target = lab.target(options={"http": f"127.0.0.1:{port}"}, databases={
        "app": Database(options={"max_bytes_per_second": "1MiB"}),
        "other": Database()})
    much = "x" * (3 << 19)                    # 1.5 MiB: half of it has to wait
    with target.connect() as client, target.connect("other", "other") as other:
        began = time.monotonic()
        assert client.value(f"select length('{much}')") == str(len(much))
        assert client.value("select repeat('x', 3 << 19)") == much
        assert client.value("select 1") == "1"
        assert time.monotonic() - began >= 1.9
        before = Scrape(port).sum("byte_rate_pauses_total")
        assert before > 0
        assert other.value("select repeat('x', 3 << 19)") == much
        assert Scrape(port).sum("byte_rate_pauses_total") == before


@test(modes=("transaction",), targets=FOREBAY)
def connections_that_say_nothing(lab: Lab) -> None:
    """They hold no memory to speak of, and are ended by client_login_timeout."""
    target = lab.target(options={"client_login_timeout": "2s"})
    before = target.running.memory_kib("VmRSS")
    silent = [target.open(within=30) for _ in range(500)]
    target.check_healthy()
    growth = target.running.memory_kib("VmRSS") - before
    if not lab.sanitized:
        assert growth < 500 * 16, f"{growth / 500:.1f} KiB for each silent connection"
    for connection in silent:
        connection.raw_until_end()
        connection.close()
    target.check_healthy()


@test(modes=("transaction",), targets=FOREBAY)
def statement_names_and_texts_without_end(lab: Lab) -> None:
    """A client that prepares ever new statements does not fill the memory, nor the server's."""
    target = lab.target(pool_size=1, options={"max_prepared_statements": 50})
    with target.connect(within=60) as client:
        for turn in range(20):
            pieces = []
            for n in range(50):
                pieces += [m.parse(f"s{turn}_{n}", f"select {turn * 50 + n}"),
                           m.bind("", f"s{turn}_{n}"), m.execute(""),
                           m.close_statement(f"s{turn}_{n}")]
            answer = client.messages(*pieces, m.sync())
            assert not m.only(answer, b"E"), answer
        held = int(client.value("select count(*) from pg_catalog.pg_prepared_statements") or 0)
        assert held <= 51, f"{held} statements are on the server connection"


@test(targets=FOREBAY)
def waits_for_a_server(lab: Lab) -> None:
    """Who waits for query_wait_timeout is told why, and what to do."""
    port = ports.claim()
    target = lab.target(pool_size=1, options={"query_wait_timeout": "500ms",
                                              "http": f"127.0.0.1:{port}"})
    holder = lab.keep(target.connect())
    holder.run("begin")
    with target.connect() as waiting:
        error = waiting.error(m.query("select 1")).fields()
        assert error["C"] == "57014" and "query_wait_timeout (500 ms)" in error["M"], error
        assert "raise pool_size" in error["H"], error
        assert Scrape(port).sum("waits_failed_total") == 1
        holder.run("commit")
        assert waiting.value("select 1") == "1"


@test(targets=FOREBAY)
def passwords_that_do_not_come(lab: Lab) -> None:
    """client_login_timeout, of somebody who is asked for a password."""
    port = ports.claim()
    target = lab.target(options={"client_login_timeout": "500ms", "http": f"127.0.0.1:{port}"})
    with target.open() as slow:
        slow.send(m.startup({"user": "app", "database": "app"}))
        assert slow.read().type == b"R"
        told = slow.read().fields()
        assert told["S"] == "FATAL" and told["C"] == "28000", told
        assert told["M"] == "canceling authentication due to timeout (client_login_timeout)", told
    assert Scrape(port).sum("client_logins_failed_total") == 1


@test(modes=("session",), targets=FOREBAY, params=("query_wait_timeout", "client_login_timeout"))
def logins_that_wait_for_a_server(lab: Lab, key: str) -> None:
    """In session mode they do so, and are told what it was that took so long."""
    port = ports.claim()
    target = lab.target(pool_size=1, options={key: "500ms", "http": f"127.0.0.1:{port}"})
    holder = lab.keep(target.connect())
    error = refused(target.connect).fields()
    assert error["S"] == "FATAL" and error["C"] == "53300", error
    assert error["M"] == f"no server connection became free within {key} (500 ms)", error
    assert Scrape(port).sum("waits_failed_total") == 1
    holder.close()
    wait_until(lambda: comes_in(target), "there is room again")


# Limits on clients.

def refusal(lab: Lab, connect: Callable[[], Client]) -> str:
    error = refused(connect)
    assert error.fields()["C"] == "53300" and error.fields()["S"] == "FATAL", error
    return error.fields()["M"]


@test(modes=("transaction", "session"), targets=FOREBAY)
def clients_of_a_user(lab: Lab) -> None:
    """So many at a time, whatever the database; others come in, and a place is free at once."""
    port = ports.claim()
    target = lab.target(user_options={"app": {"max_user_client_connections": 2}},
                        options={"http": f"127.0.0.1:{port}"})
    first, second = lab.keep(target.connect()), lab.keep(target.connect())
    assert refusal(lab, target.connect) == (
        'too many connections for role "app" (max_user_client_connections = 2, set in [users.app])')
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        metrics = answer.read().decode()
    assert '\nforebay_clients_refused_total{limit="max_user_client_connections"} 1\n' in metrics
    assert first.value("select 1") == second.value("select 1") == "1"
    first.close()
    wait_until(lambda: comes_in(target), "a place is free")
    second.close()


def comes_in(target: Target, database: str = "app") -> bool:
    try:
        target.connect(database=database).close()
    except ServerError:
        return False
    return True


@test(targets=FOREBAY)
def clients_of_a_database(lab: Lab) -> None:
    port = ports.claim()
    small = Database(dbname="app", options={"max_db_client_connections": 1})
    target = lab.target(databases={"app": Database(), "small": small},
                        options={"http": f"127.0.0.1:{port}"})
    only = lab.keep(target.connect(database="small"))
    assert refusal(lab, lambda: target.connect(database="small")) == (
        'too many connections for database "small" (max_db_client_connections = 1, set in '
        "[databases.small])")
    assert Scrape(port).sum("clients_refused_total", limit="max_db_client_connections") == 1
    with target.connect() as other:
        assert other.value("select 1") == only.value("select 1") == "1"


@test(targets=FOREBAY)
def clients_of_a_user_in_a_database(lab: Lab) -> None:
    """Neither the same user elsewhere nor somebody else there counts."""
    port = ports.claim()
    small = Database(dbname="app", options={"max_pool_client_connections": 1})
    target = lab.target(databases={"app": Database(), "small": small},
                        options={"http": f"127.0.0.1:{port}"})
    only = lab.keep(target.connect(database="small"))
    assert refusal(lab, lambda: target.connect(database="small")) == (
        'too many connections for role "app" in database "small" (max_pool_client_connections = 1, '
        "set in [databases.small])")
    with target.connect() as elsewhere, target.connect("other", "small") as other:
        assert elsewhere.value("select 1") == other.value("select 1") == only.value("select 1")
    assert Scrape(port).sum("clients_refused_total", limit="max_pool_client_connections") == 1
    only.close()
    wait_until(lambda: comes_in(target, "small"), "a place is free")


@test(targets=FOREBAY)
def clients_that_are_logging_in(lab: Lab) -> None:
    """Who has a password to give has a place until it is given; who comes behind is told."""
    port = ports.claim()
    target = lab.target(options={"max_authenticating_clients": 2, "http": f"127.0.0.1:{port}"})
    slow = [lab.keep(target.open()) for _ in range(2)]
    for connection in slow:
        connection.send(m.startup({"user": "app", "database": "app"}))
        assert connection.read().type == b"R"
    assert refusal(lab, target.connect) == (
        "too many clients are logging in (max_authenticating_clients = 2, set in [forebay])")
    assert Scrape(port).sum("clients_refused_total", limit="max_authenticating_clients") == 1
    slow[0].close()
    wait_until(lambda: comes_in(target), "a place is free")


@test(targets=FOREBAY)
def clients_of_an_address(lab: Lab) -> None:
    """Before anybody has to show who they are; those through a Unix socket do not count."""
    path, port = f"{lab.folder}/.s.PGSQL.6432", ports.claim()
    target = lab.target(listen=[path], options={"max_address_client_connections": 2,
                                                "http": f"127.0.0.1:{port}"})
    for _ in range(2):
        lab.keep(target.connect())
    assert refusal(lab, target.connect) == (
        "too many connections from address 127.0.0.1 (max_address_client_connections = 2, set in "
        "[forebay])")
    assert Scrape(port).sum("clients_refused_total", limit="max_address_client_connections") == 1
    with target.connect(address=path) as local:
        assert local.value("select 1") == "1"


@test(targets=FOREBAY)
def who_cannot_log_in_takes_no_place_of_a_user(lab: Lab) -> None:
    target = lab.target(user_options={"app": {"max_user_client_connections": 1}})
    for _ in range(3):
        refused(lambda: target.connect(password="wrong"))
    with target.connect() as client:
        assert client.value("select 1") == "1"


@test(targets=FOREBAY)
def addresses_that_may_not_come_in(lab: Lab) -> None:
    """In general (the console, too), of a database, of a user; Unix sockets are not concerned."""
    path, port = f"{lab.folder}/.s.PGSQL.6432", ports.claim()
    inside = Database(dbname="app", options={"allow_from": ["10.0.0.0/8", "192.0.2.1"]})
    target = lab.target(listen=[path], databases={"app": Database(), "inside": inside},
                        options={"http": f"127.0.0.1:{port}"},
                        user_options={"other": {"deny_from": ["127.0.0.0/8"]}})
    with target.connect() as client:
        assert client.value("select 1") == "1"
    for refuse, why in (
            (lambda: target.connect(database="inside"),
             "it is not in allow_from, set in [databases.inside]"),
            (lambda: target.connect(user="other"), "it is in deny_from, set in [users.other]")):
        fields = refused(refuse).fields()
        assert fields["C"] == "28000", fields
        assert fields["M"] == f"connections from address 127.0.0.1 are not allowed ({why})", fields
    assert Scrape(port).sum("clients_refused_total", limit="allow_from") == 2
    with target.connect(address=path, database="inside") as local:
        assert local.value("select 1") == "1"


@test(targets=FOREBAY, params=("max_logins_per_second", "max_address_logins_per_second"))
def rates_of_logins(lab: Lab, key: str) -> None:
    """One login a second: the second one comes too early, whatever the machine does, because a
    refused one takes nothing and time is the only thing that helps."""
    port = ports.claim()
    target = lab.target(options={key: 1, "http": f"127.0.0.1:{port}"})
    whose = " from address 127.0.0.1" if "address" in key else ""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            target.connect().close()
        except ServerError as error:
            assert error.sqlstate == "53300", error
            assert error.error.fields()["M"] == (
                f"too many logins per second{whose} ({key} = 1, set in [forebay])"), error
            break
    else:
        raise AssertionError("nobody was refused")
    assert Scrape(port).sum("clients_refused_total", limit=key) == 1
    wait_until(lambda: comes_in(target), "there is room again after a second")


@test(modes=("transaction",), targets=FOREBAY)
def a_server_without_room(lab: Lab) -> None:
    """Who waits is not told to raise pool_size, which would change nothing."""
    users = {"limited": "limited-secret"}
    target = lab.target(users=users, pool_size=3, options={"query_wait_timeout": "1s"})
    with (target.connect("limited", password="limited-secret") as first,
          target.connect("limited", password="limited-secret") as second):
        first.run("begin")
        error = second.error(m.query("select 1"))
        assert error.sqlstate == "57014", error
        assert "max_connections" in error.fields()["H"], error
        first.run("commit")
