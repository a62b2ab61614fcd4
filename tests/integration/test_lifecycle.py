"""Start, drain, stop; and servers that stop and come back."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Iterator

from lab import messages as m
from lab import ports
from lab.declare import ENTRIES, FOREBAY, MODES, TLS, test
from lab.forebay import Forebay, binary
from lab.lab import Lab
from lab.process import LabError, holds_for, run, wait_until
from lab.target import Database, Target
from lab.wire import Client, Connection, Ended, ServerError, refused


def accepts(target: Target) -> bool:
    try:
        with Connection(target.address, 2):
            return True
    except OSError:
        return False


def drained(target: Target, within: float = 10) -> None:
    """It ends by itself, with exit code 0."""
    code = target.running.wait(within)
    assert isinstance(target, Forebay)
    target.started = False
    target.check_ended_well(code)


def ready(port: int, query: str = "") -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz{query}", timeout=10) as page:
            return page.status, page.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@test(targets=FOREBAY)
def readiness_is_that_of_databases(lab: Lab) -> None:
    """Of one, where it is named; else it takes one that can be used."""
    port = ports.claim()
    databases = {"app": Database(), "a b": Database(dbname="nowhere")}
    target = lab.target(databases=databases, options={"http": f"127.0.0.1:{port}",
                                                      "admin_users": "app"})
    wait_until(lambda: " http: " in target.log, "it answers over HTTP")
    assert ready(port) == (200, "ok\n")
    assert ready(port, "?database=app") == ready(port, "?x=1&database=a%20b") == (200, "ok\n")
    assert ready(port, "?database=other") == (404, 'there is no database "other"\n')
    refused(lambda: target.connect(database="a b"))
    status, text = ready(port, "?database=a+b")
    assert status == 503 and 'database "nowhere" does not exist' in text, (status, text)
    assert ready(port) == ready(port, "?database=app") == (200, "ok\n")
    with target.connect("app", "forebay") as console:
        console.run("pause app")
        paused = 'database "app": it is paused\n'
        assert ready(port, "?database=app") == (503, paused)
        refused(lambda: target.connect(database="a b"))
        status, text = ready(port)
        assert status == 503 and paused in text and "nowhere" in text, (status, text)
        console.run("resume app")
        console.run("disable app")
        assert ready(port, "?database=app") == (503, 'database "app": it is disabled\n')
        console.run("enable app")
    assert ready(port) == (200, "ok\n")
    ports.release(port)


@test(targets=FOREBAY)
def readiness_asks_hosts_that_nobody_uses(lab: Lab) -> None:
    """By a connection that says nothing: refused, taken, or without an answer."""
    port, closed = ports.claim(), ports.claim()
    with socket.create_server(("127.0.0.1", 0)) as taking, deaf_host() as deaf:
        taken = taking.getsockname()[1]
        target = lab.target(databases={
            "app": Database(), "gone": Database(hosts=[("127.0.0.1", closed)]),
            "there": Database(hosts=[("127.0.0.1", taken)]),
            "deaf": Database(hosts=[("127.0.0.1", deaf)])}, options={"http": f"127.0.0.1:{port}"})
        gone = (503, f'database "gone": cannot connect to 127.0.0.1:{closed}: Connection refused\n')
        assert ready(port, "?database=gone") == gone
        assert ready(port) == ready(port, "?database=app") == (200, "ok\n")
        with ThreadPoolExecutor(20) as askers:
            answers = list(askers.map(lambda _: ready(port, "?database=there"), range(40)))
        assert answers == [(200, "ok\n")] * 40, answers
        taking.settimeout(0)
        asked = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                taking.accept()[0].close()
                asked += 1
        assert 0 < asked < 20, asked
        status, text = ready(port, "?database=deaf")
        assert status == 503 and "no answer within 800 ms" in text, text
        with target.connect() as client:
            client.run("select 1")
        # It ends well while somebody waits to be told.
        with socket.create_connection(("127.0.0.1", port)) as waiting:
            waiting.sendall(b"GET /readyz?database=deaf HTTP/1.1\r\nHost: x\r\n\r\n")
            target.stop()
    ports.release(port)
    ports.release(closed)


@contextlib.contextmanager
def deaf_host() -> Iterator[int]:
    """A port at which connection attempts are neither taken nor refused: too many wait already."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


# Drain.

@test(modes=MODES, tls=TLS, entries=ENTRIES, targets=FOREBAY)
def idle_clients_are_told_goodbye(lab: Lab) -> None:
    """FATAL 57P01, then the end; new clients are not let in; the process ends with 0."""
    target = lab.target(pool_size=6)
    clients = [lab.keep(target.connect()) for _ in range(5)]
    for client in clients[:3]:
        client.run("select 1")
    target.running.send_signal(signal.SIGTERM)
    for client in clients:
        answer = client.until_end()
        assert m.names(answer) == "ErrorResponse", answer
        fields = answer[0].fields()
        assert (fields["S"], fields["C"]) == ("FATAL", "57P01"), fields
    drained(target)


@test(modes=MODES, entries=ENTRIES, targets=FOREBAY)
def transactions_may_finish(lab: Lab) -> None:
    target = lab.target()
    with target.connect() as client:
        client.run("create table finished (n int)")
        client.run("begin")
        client.run("insert into finished values (1)")
        idle = lab.keep(target.connect())
        target.running.send_signal(signal.SIGTERM)
        idle.until_end()
        wait_until(lambda: not accepts(target), "nobody new is let in")
        client.run("insert into finished values (2)")
        assert target.alive
        client.send(m.query("commit"))
        answer = client.until_ready_or_end()
        assert m.names(answer).startswith("CommandComplete ReadyForQuery"), answer
        rest = client.until_end()
        assert m.names(rest) == "ErrorResponse" and rest[0].sqlstate == "57P01", rest
    drained(target)
    assert lab.postgres.value("select count(*) from finished", "app") == "2"


@test(modes=("transaction",), targets=FOREBAY)
def running_statements_may_finish(lab: Lab) -> None:
    target = lab.target()
    with target.connect() as client:
        client.send(m.query("select 'done' from pg_sleep(1)"))
        wait_until(lambda: lab.postgres.rows("select 1 from pg_stat_activity where query like "
                                             "'%pg_sleep(1)' and state = 'active'"), "it runs")
        target.running.send_signal(signal.SIGTERM)
        answer = client.until_end()
        assert m.only(answer, b"D")[0].columns() == [b"done"], answer
        assert answer[-1].sqlstate == "57P01", answer
    drained(target)


@test(modes=MODES, targets=FOREBAY)
def second_signal_ends_at_once(lab: Lab) -> None:
    target = lab.target()
    client = lab.keep(target.connect())
    client.run("begin")
    target.running.send_signal(signal.SIGTERM)
    wait_until(lambda: not accepts(target), "it drains")
    holds_for(lambda: target.alive, 0.3, "it waits for the transaction")
    target.running.send_signal(signal.SIGTERM)
    drained(target, within=5)       # the deadline is 30 s
    client.until_end()
    wait_until(lambda: not lab.postgres.sessions("app"), "no server connection is left")


@test(modes=("transaction",), targets=FOREBAY)
def drain_has_a_deadline(lab: Lab) -> None:
    target = lab.target(options={"shutdown_timeout": "1s"})
    client, busy = lab.keep(target.connect()), lab.keep(target.connect())
    client.run("begin")
    busy.send(m.query("select pg_sleep(60)"))
    wait_until(lambda: lab.postgres.rows(
        "select from pg_stat_activity where query ~ '^select pg_sleep' and state = 'active'"),
        "it is at work")
    begun = time.monotonic()
    target.running.send_signal(signal.SIGTERM)
    answer = client.until_end(5)    # the default is 30 s
    assert time.monotonic() - begun > 0.5
    for told in (answer, busy.until_end(5)):
        assert [e.sqlstate for e in m.only(told, b"E")] == ["57P01"], told
    code = target.running.wait(10)
    target.started = False
    assert code >= 0, f"ended by signal {-code}"


@test(modes=("transaction",), targets=FOREBAY)
def waiting_clients_during_a_drain(lab: Lab) -> None:
    """A client in the queue is served or told; it is not forgotten."""
    target = lab.target(pool_size=1)
    holder, waiting = lab.keep(target.connect()), lab.keep(target.connect())
    holder.run("begin")
    waiting.send(m.query("select 'waited'"))
    target.running.send_signal(signal.SIGTERM)
    wait_until(lambda: not accepts(target), "it drains")
    holder.run("select 1")
    holder.send(m.query("commit"))
    answer = waiting.until_end()
    assert m.only(answer, b"D") or m.only(answer, b"E"), answer
    holder.until_end()
    drained(target)


@test(modes=("transaction",), targets=FOREBAY)
def ends_well_however_often_it_is_told(lab: Lab) -> None:
    """A signal that comes when all is over does not look like a crash."""
    for _ in range(3):
        target = lab.target()
        target.check_healthy()
        while target.running.alive:
            target.running.send_signal(signal.SIGTERM)
        drained(target)


@test(modes=("transaction",), targets=FOREBAY, params=("SIGINT", "SIGTERM"))
def ends_when_nobody_is_there(lab: Lab, name: str) -> None:
    target = lab.target()
    target.check_healthy()
    target.running.send_signal(getattr(signal, name))
    drained(target, within=5)
    wait_until(lambda: not lab.postgres.sessions("app"), "no server connection is left")


# Servers that stop and come back.

def one_error(client: Client) -> bool:
    """Reads what a lost server leads to: exactly one error. Gives whether the client was kept."""
    answer = client.until_ready_or_end()
    errors = m.only(answer, b"E")
    assert len(errors) == 1, answer
    kept = answer[-1].type == b"Z"
    if not kept:
        return False
    if answer[-1].body != b"I":
        client.run("rollback")
    assert client.value("select 'goes on'", within=20) == "goes on"
    return True


def reconnected(target: Target) -> None:
    def attempt() -> bool:
        try:
            target.check_healthy()
            return True
        except (ServerError, Ended):
            return False
    wait_until(attempt, "new statements are served again", within=20)


@test(modes=("transaction",), tls=TLS, targets=FOREBAY, params=("fast", "immediate"))
def server_restarts(lab: Lab, how: str) -> None:
    """Who was in a statement or a transaction gets one error; idle clients notice nothing."""
    postgres = lab.private_postgres()
    target = lab.target(postgres)
    idle, busy, within = (lab.keep(target.connect()) for _ in range(3))
    idle.run("select 1")
    within.run("begin")
    busy.send(m.query("select pg_sleep(600)"))
    wait_until(lambda: postgres.rows("select 1 from pg_stat_activity where query = "
                                     "'select pg_sleep(600)' and state = 'active'"), "it runs")
    postgres.restart(how)
    one_error(busy)
    try:
        within.send(m.query("select 1"))
        one_error(within)
    except OSError:
        pass
    reconnected(target)
    assert idle.value("select 'still here'") == "still here"
    target.check_healthy()


@test(modes=("transaction",), targets=FOREBAY)
def server_is_away_for_a_while(lab: Lab) -> None:
    """Clients wait as long as server_unavailable_timeout says, and are served when it is back."""
    postgres = lab.private_postgres()
    target = lab.target(postgres, options={"server_unavailable_timeout": "20s"})
    with target.connect() as client:
        client.run("select 1")
        postgres.stop()
        client.send(m.query("select 'patient'"))
        holds_for(lambda: client.quiet, 1.0, "the client waits")
        postgres.start()
        answer = client.until_ready()
        assert m.only(answer, b"D") and not m.only(answer, b"E"), answer


@test(modes=("transaction",), targets=FOREBAY)
def server_stays_away(lab: Lab) -> None:
    """After that they are told, and served again when it is back."""
    postgres = lab.private_postgres()
    target = lab.target(postgres, options={"server_unavailable_timeout": "1s"})
    with target.connect() as client:
        client.run("select 1")
        postgres.stop()
        client.send(m.query("select 1"))
        answer = client.until_ready_or_end()
        assert len(m.only(answer, b"E")) == 1, answer
        postgres.start()
        reconnected(target)


@test(modes=("transaction",), entries=("run",), targets=FOREBAY)
def server_is_not_there_at_the_start(lab: Lab) -> None:
    """The proxy starts all the same, and serves when the server has come."""
    postgres = lab.private_postgres()
    postgres.stop()
    target = lab.target(postgres)
    try:
        with target.connect(within=30) as client:
            client.run("select 1")
        raise LabError("was served")
    except (ServerError, Ended):
        pass
    postgres.start()
    reconnected(target)


@test(modes=("transaction",), targets=FOREBAY)
def one_backend_is_terminated(lab: Lab) -> None:
    """57P01 to one connection: its client hears that its transaction is gone, the others nothing."""
    target = lab.target(pool_size=2)
    victim, other = lab.keep(target.connect()), lab.keep(target.connect())
    victim.run("begin")
    pid = victim.value("select pg_backend_pid()")
    other.run("begin")
    lab.postgres.rows(f"select pg_terminate_backend({pid})")
    victim.send(m.query("select 1"))
    answer = victim.until_ready_or_end()
    assert len(m.only(answer, b"E")) == 1, answer
    assert m.only(answer, b"E")[0].sqlstate == "40001", answer
    assert other.value("select 'unharmed'") == "unharmed"
    other.run("commit")
    target.check_healthy()


@test(modes=MODES, targets=FOREBAY)
def idle_backends_are_terminated(lab: Lab) -> None:
    """Parked connections that the server ends are replaced; no client sees anything of it."""
    target = lab.target(pool_size=3)
    clients = [lab.keep(target.connect()) for _ in range(3)]
    for client in clients:
        client.run("select 1")
        if lab.variant.mode == "session":
            client.close()
    for _ in range(3):
        # Not all of them: the pool may have another one on its way, asked for a moment ago.
        ended = {pid for pid, _ in lab.postgres.rows("select pid, pg_terminate_backend(pid) "
                                                     "from pg_stat_activity where datname = 'app'")}
        wait_until(lambda: ended.isdisjoint(pid for pid, *_ in lab.postgres.sessions("app")),
                   "they are gone")
        target.check_healthy()
        if lab.variant.mode == "transaction":
            for client in clients:
                assert client.value("select 'fine'") == "fine"


@test(modes=("transaction",), targets=FOREBAY)
def several_hosts(lab: Lab) -> None:
    """Hosts of one cluster, in order of preference: the first is away, the second serves."""
    away = lab.private_postgres()
    away.stop()
    target = lab.target(databases={"app": Database([away.address, lab.postgres.address])})
    with target.connect(within=30) as client:
        assert client.value("select 1") == "1"


@test(modes=("transaction",), entries=("run",), targets=FOREBAY)
def primary_of_several(lab: Lab) -> None:
    """With a replica named first, statements still go to the primary."""
    primary = lab.private_postgres()
    replica = lab.replica_of(primary)
    target = lab.target(servers=[replica.address, primary.address])
    with target.connect(within=30) as client:
        assert client.value("select pg_is_in_recovery()") == "f"


# The program itself.

def forebay(*arguments: object, expect: int = 0) -> str:
    done = run([binary(), *arguments], expect=expect)
    return done.out + done.err


@test(modes=("transaction",), targets=FOREBAY)
def version_and_help(lab: Lab) -> None:
    assert "forebay" in forebay("--version")
    text = forebay("--help")
    for word in ("run", "serve", "check", "config"):
        assert word in text, text
    assert "--pool-mode" in forebay("run", "--help")


@test(modes=("transaction",), targets=FOREBAY)
def sample_configuration_is_valid(lab: Lab) -> None:
    path = lab.folder / "sample.toml"
    path.write_text(forebay("config"))
    forebay("check", "-c", path)


@test(modes=("transaction",), targets=FOREBAY)
def errors_of_a_configuration(lab: Lab) -> None:
    """All at once, each with file, line and column, and the nearest name that exists."""
    path = lab.folder / "wrong.toml"
    path.write_text('[forebay]\nlistten = ["127.0.0.1:6432"]\nworkers = "many"\n'
                    '[pool]\nquery_wait_timeout = "12 parsecs"\n')
    done = run([binary(), "check", "-c", path], expect=None)
    text = done.out + done.err
    assert done.code != 0, text
    for place in ("wrong.toml:2:1", "wrong.toml:3:", "wrong.toml:5:"):
        assert place in text, text
    assert "listen" in text.replace("listten", ""), text
    done = run([binary(), "serve", "-c", path], expect=None)
    assert done.code != 0, done


@test(modes=("transaction",), targets=FOREBAY)
def address_in_use(lab: Lab) -> None:
    target = lab.target()
    done = run([binary(), "run", "--to", "127.0.0.1:1", "--listen",
                f"127.0.0.1:{target.port}"], expect=None, within=20)
    assert done.code not in (0, None), done
    assert str(target.port) in done.out + done.err, done


@test(modes=("transaction",), targets=FOREBAY)
def logs_hold_no_secrets(lab: Lab) -> None:
    target = lab.target(options={"log_level": "debug", "log_format": "json"})
    with target.connect() as client:
        client.run("select 'a literal nobody should log'")
    try:
        target.connect(password="a-wrong-password")
    except ServerError:
        pass
    lines = [line for line in wait_until(lambda: target.log, "a log").splitlines() if line.strip()]
    for line in lines:
        entry: Any = json.loads(line)
        assert isinstance(entry, dict), line
    for secret in ("app-secret", "a-wrong-password", "a literal nobody"):
        assert secret not in target.log, secret


@test(modes=("transaction",), targets=FOREBAY)
def http_endpoint(lab: Lab) -> None:
    """Health, and metrics in Prometheus's format."""
    from lab import ports
    port = ports.claim()
    target = lab.target(options={"http": f"127.0.0.1:{port}"})
    target.check_healthy()

    def get(path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.read().decode()
    metrics = get("/metrics")
    assert "forebay_" in metrics and "# TYPE" in metrics, metrics[:500]
    health = [binary(), "health", "--http", f"127.0.0.1:{port}"]
    run(health)
    run([*health, "--ready"])
    target.stop()
    refused = run(health, expect=1)
    assert f"127.0.0.1:{port}/livez: Connection refused" in refused.err, refused
    ports.release(port)


@test(modes=("transaction",), targets=FOREBAY)
def no_thread_hides_its_faults(lab: Lab) -> None:
    """A signal that says what a thread has done wrong ends the process without a word where it is
    blocked: no report of a sanitizer, no handler."""
    target = lab.target()
    target.check_healthy()
    faults = (signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT,
              signal.SIGTRAP, signal.SIGSYS)
    threads = list(Path(f"/proc/{target.running.pid}/task").glob("*/status"))
    assert len(threads) > 1, threads
    for thread in threads:
        blocked = int(next(line for line in thread.read_text().splitlines()
                           if line.startswith("SigBlk:")).split()[1], 16)
        assert not [fault for fault in faults if blocked >> (fault - 1) & 1], thread.read_text()
