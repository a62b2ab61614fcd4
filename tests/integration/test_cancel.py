"""Cancel requests reach exactly the statement that they were meant for."""

from __future__ import annotations

import threading
import time

from lab import messages as m
from lab.declare import ENTRIES, FOREBAY, MODES, POOLERS, POSTGRES_LIKE, TLS, test
from lab.lab import Lab
from lab.load import busy
from lab.process import LabError, wait_until
from lab.target import Target
from lab.wire import Client


def running(lab: Lab, sql: str) -> bool:
    return bool(lab.postgres.rows("select 1 from pg_stat_activity where "
                                  f"query = '{sql}' and state = 'active'"))


@test(targets=POSTGRES_LIKE)
def process_ids_are_not_used_again_at_once(lab: Lab) -> None:
    """Who keeps the key of a session that is gone must not hold that of the next."""
    target = lab.target(pool_size=1)
    seen = []
    for _ in range(12):
        with target.connect() as client:
            seen.append(client.process_id)
    assert len(set(seen)) == len(seen) and min(seen) > 0, seen


@test(modes=MODES, tls=TLS, entries=ENTRIES)
def running_statement(lab: Lab) -> None:
    target = lab.target()
    with target.connect() as client:
        for _ in range(3):
            client.send(m.query("select pg_sleep(600)"))
            wait_until(lambda: running(lab, "select pg_sleep(600)"), "it runs")
            client.cancel(tls=target.tls())
            answer = client.until_ready()
            assert m.names(answer) in ("ErrorResponse ReadyForQuery",
                                       "RowDescription ErrorResponse ReadyForQuery"), answer
            error = m.only(answer, b"E")[0]
            assert error.sqlstate == "57014", error
            assert error.text == "canceling statement due to user request", error
            assert client.value("select 1") == "1"


@test(modes=MODES, tls=TLS, targets=FOREBAY)
def at_another_node(lab: Lab) -> None:
    """Two behind one address: a request that comes in at the wrong one is sent on."""
    first = lab.target(options={"peer_id": 1, "peers": ["127.0.0.1:1", "127.0.0.1:2"]})
    host, port = first.address
    second = lab.target(options={"peer_id": 2, "peers": [f"{host}:{port}", "127.0.0.1:2"]})
    with first.connect() as client:
        client.send(m.query("select pg_sleep(600)"))
        wait_until(lambda: running(lab, "select pg_sleep(600)"), "it runs")
        client.address = second.address
        client.cancel(tls=second.tls())
        error = m.only(client.until_ready(), b"E")[0]
        assert error.sqlstate == "57014", error
        assert client.value("select 1") == "1"


@test(modes=MODES, heavy=True)
def at_once(lab: Lab) -> None:
    """Behind a statement that the proxy may not have read yet. PostgreSQL itself takes no notice of
    a request for a statement that it has not read, but is hardly ever so late."""
    target = lab.target(pool_size=3 if lab.variant.mode == "transaction" else 10)
    lost = 0
    with busy(lab, target), target.connect() as client:
        for _ in range(100):
            client.send(m.query("select pg_sleep(0.3)"))
            client.cancel(tls=target.tls())
            answer = client.until_ready()
            lost += not m.only(answer, b"E")
            assert client.value("select 1") == "1"
    assert lost <= 3, f"{lost} of 100 requests were lost"


@test(modes=MODES, tls=(True,))
def request_without_tls(lab: Lab) -> None:
    """Many drivers send it in clear although their connection is not; servers accept that."""
    target = lab.target()
    with target.connect() as client:
        client.send(m.query("select pg_sleep(600)"))
        wait_until(lambda: running(lab, "select pg_sleep(600)"), "it runs")
        client.cancel()
        assert m.only(client.until_ready(), b"E")[0].sqlstate == "57014"


@test(modes=("transaction",))
def request_for_an_idle_session(lab: Lab) -> None:
    """It changes nothing, also not for the statement after it."""
    target = lab.target()
    with target.connect() as client:
        for _ in range(20):
            client.cancel()
        for _ in range(20):
            assert client.value("select 1") == "1"


@test(modes=("transaction",))
def copy_in_progress(lab: Lab) -> None:
    """Into the server: it notices with the next data that come."""
    target = lab.target()
    with target.connect() as client:
        client.run("create table copied (n int)")
        client.send(m.query("copy copied from stdin"))
        client.read_until(b"G")
        client.send(m.copy_data(b"1\n"))
        wait_until(lambda: running(lab, "copy copied from stdin"), "it copies")
        client.cancel()

        def send_until_it_ends() -> bool:
            client.send(m.copy_data(b"1\n" * 100))
            return not running(lab, "copy copied from stdin")
        wait_until(send_until_it_ends, "the copy was cancelled")
        client.send(m.copy_done())
        answer = client.until_ready()
        assert m.only(answer, b"E")[0].sqlstate == "57014", answer
        assert client.value("select count(*) from copied") == "0"


@test(modes=("transaction",), targets=FOREBAY)
def waiting_client(lab: Lab) -> None:
    """It has no server connection yet: its statement is never sent, and it is told 57014."""
    target = lab.target(pool_size=1)
    with target.connect() as holder, target.connect() as client:
        holder.run("create table done (n int)")
        holder.run("begin")
        holder.run("select 1")
        client.send(m.query("insert into done values (1)"))
        time.sleep(0.1)
        client.cancel()
        answer = client.until_ready()
        assert m.only(answer, b"E")[0].sqlstate == "57014", answer
        holder.run("commit")
        assert client.value("select count(*) from done") == "0"


@test(modes=("transaction",))
def wrong_keys(lab: Lab) -> None:
    """Another process id, another key: ignored without a word."""
    target = lab.target()
    with target.connect() as client, target.connect() as other:
        client.send(m.query("select pg_sleep(1), 'finished'"))
        for process_id, key in ((client.process_id, other.key), (other.process_id, client.key),
                                (client.process_id, b"\0\0\0\0"), (0, client.key),
                                (client.process_id + 1, client.key)):
            with target.open() as connection:
                connection.send(m.cancel_request(process_id, key))
                assert connection.raw_until_end() == b""
        answer = client.until_ready()
        assert m.only(answer, b"D")[0].columns()[1] == b"finished", answer


@test(modes=("transaction",), targets=POOLERS)
def keys_of_a_session_that_has_ended(lab: Lab) -> None:
    """Its connection has gone to somebody else: the old key means nothing any more."""
    target = lab.target(pool_size=1)
    old = target.connect()
    old.run("select 1")
    old.close()
    with target.connect() as client:
        client.send(m.query("select pg_sleep(1), 'finished'"))
        wait_until(lambda: running(lab, "select pg_sleep(1), ''finished''"), "it runs")
        for _ in range(10):
            old.cancel()
        assert m.only(client.until_ready(), b"D"), "it was cancelled"


def storm(target: Target, victim: Client, stop: threading.Event) -> int:
    """Cancel requests for one session, as fast as they go."""
    sent = 0
    while not stop.is_set():
        victim.cancel()
        sent += 1
    return sent


@test(modes=("transaction",), targets=POOLERS, within=90)
def late_requests_hit_nobody_else(lab: Lab) -> None:
    """One client is cancelled all the time, at any moment of its short statements; three others
    share its server connections, and none of their statements is ever cancelled."""
    target = lab.target(pool_size=2)
    victim = lab.keep(target.connect(within=60))
    others_failed: list[str] = []
    seconds = 6.0

    def innocent(number: int, stop: threading.Event) -> int:
        done = 0
        with target.connect(within=60) as client:
            while not stop.is_set():
                answer = client.messages(m.query(f"select {number} from pg_sleep(0.001)"))
                for error in m.only(answer, b"E"):
                    others_failed.append(f"{error!r}")
                    return done
                done += 1
        return done
    stop = threading.Event()
    threads = [lab.in_background(lambda n=n: innocent(n, stop)) for n in range(3)]
    storms = [lab.in_background(lambda: storm(target, victim, stop)) for _ in range(2)]
    cancelled = served = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = victim.messages(m.query("select pg_sleep(0.002)"))
        errors = m.only(answer, b"E")
        cancelled += len(errors)
        served += not errors
        for error in errors:
            assert error.sqlstate == "57014", error
    stop.set()
    done = [thread.result(60) for thread in threads]
    sent = sum(thread.result(60) for thread in storms)
    assert not others_failed, f"an innocent statement failed: {others_failed[0]}"
    assert cancelled > 0, f"{sent} requests, none hit the victim's {served} statements"
    assert min(done) > 20, f"the others were held up: {done}"


@test(modes=("transaction",), targets=FOREBAY)
def flood_of_requests(lab: Lab) -> None:
    """Hundreds at once, for one statement, right and wrong: it ends once, the target goes on."""
    target = lab.target(pool_size=2)
    with target.connect() as client:
        client.send(m.query("select pg_sleep(600)"))
        wait_until(lambda: running(lab, "select pg_sleep(600)"), "it runs")

        def flood(number: int) -> None:
            for turn in range(25):
                with target.open() as connection:
                    key = client.key if turn % 2 else bytes([number, turn, 0, 0])
                    connection.send(m.cancel_request(client.process_id, key))
                    connection.raw_until_end()
        lab.in_parallel(20, flood)
        assert m.only(client.until_ready(), b"E")[0].sqlstate == "57014"
        for _ in range(10):
            assert client.value("select 1") == "1"
    target.check_healthy()
    wait_until(lambda: target.running.descriptors() < 100, "descriptors are given back")


@test(modes=("transaction",), targets=FOREBAY)
def in_a_pipeline(lab: Lab) -> None:
    """It hits the statement that runs; those behind the next Sync run."""
    target = lab.target()
    with target.connect() as client:
        client.send(m.parse("", "select pg_sleep(600)"), m.bind("", ""), m.execute(""), m.sync(),
                    m.parse("", "select 'after'"), m.bind("", ""), m.execute(""), m.sync())
        wait_until(lambda: running(lab, "select pg_sleep(600)"), "it runs")
        client.cancel()
        answer = client.until_ready(2)
        assert len(m.only(answer, b"E")) == 1, answer
        assert m.only(answer, b"D")[-1].columns() == [b"after"], answer


@test(modes=("transaction",), targets=POOLERS)
def server_that_does_not_take_the_request(lab: Lab) -> None:
    """The connection that carries the request fails: the statement simply runs on."""
    from lab.fake_server import FakeConnection, FakeServer, echo
    from lab.target import Database

    def script(c: FakeConnection) -> None:
        c.login()                           # a cancel request closes it, see FakeConnection

        def answer(sql: str) -> bytes:
            if "slow" in sql:
                time.sleep(1)
            return echo(sql)
        c.queries(answer)
    server = FakeServer(script)
    lab.keep(server)
    target = lab.target(databases={"app": Database([server.address])})
    with target.connect() as client:
        client.send(m.query("select 'slow'"))
        time.sleep(0.2)
        client.cancel()
        answer = client.until_ready()
        assert m.only(answer, b"D"), answer
    if not target.alive:
        raise LabError("the target has ended")


@test(targets=FOREBAY, heavy=True, within=120)
def ten_thousand_requests(lab: Lab) -> None:
    """For sessions that have ended, that are idle, and that never were: nobody's statement ends,
    and who comes meanwhile is served."""
    target = lab.target(pool_size=4)
    idle = [lab.keep(target.connect()) for _ in range(10)]
    keys = [(client.process_id, client.key) for client in idle]
    for _ in range(10):
        with target.connect() as gone:
            keys += [(gone.process_id, gone.key), (gone.process_id + 1, b"none")]
    over = threading.Event()
    served = [0] * 8

    def work(number: int) -> None:
        while not over.is_set():
            with target.connect() as client:
                for turn in range(20):
                    sql = f"select pg_sleep(0.001), '{number} {turn}'"
                    assert client.rows(sql)[0][1] == f"{number} {turn}"
                    served[number] += 1

    def storm(number: int) -> None:
        for turn in range(1000):
            with target.open() as connection:
                connection.send(m.cancel_request(*keys[(number * 7 + turn) % len(keys)]))
                if turn % 3:                # the others do not wait for what becomes of it
                    connection.raw_until_end()

    workers = [lab.in_background(lambda n=n: work(n)) for n in range(8)]    # type: ignore
    try:
        lab.in_parallel(10, storm, within=100)
    finally:
        over.set()
    for worker in workers:
        worker.result()
    assert min(served) > 20, served
    for client in idle:
        assert client.value("select 1") == "1"
    wait_until(lambda: target.running.descriptors() < 100, "descriptors are given back")


@test(targets=POSTGRES_LIKE)
def requests_that_queue_up_hold_up_nobody(lab: Lab) -> None:
    """A server connection that was cancelled again and again is used again, by whoever comes."""
    target = lab.target(pool_size=1)
    with target.connect() as client:
        for turn in range(10):
            client.send(m.query(f"select pg_sleep(600 + {turn})"))
            wait_until(lambda n=turn: running(lab, f"select pg_sleep(600 + {n})"),  # type: ignore
                       "it runs")
            waiting = [lab.in_background(client.cancel) for _ in range(30)]
            assert m.only(client.until_ready(), b"E")[0].sqlstate == "57014"
            with target.connect() as other:
                assert other.value(f"select 'other {turn}'") == f"other {turn}"
            for request in waiting:
                request.result()
            assert client.value(f"select {turn}") == str(turn)
