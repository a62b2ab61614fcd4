"""lazy_begin: BEGIN is answered at once, and goes to a server with the statement that follows it."""

from __future__ import annotations

import re
import signal
from typing import Any

from lab import messages as m
from lab.declare import FOREBAY, test
from lab.lab import Lab
from lab.process import wait_until
from lab.target import Target
from lab.wire import Client

from test_reload import change, file_of, reload
from test_round_trips import SETTINGS, Trips
from test_split import WHERE, at, pair, split, told_to_try_again
from test_timeouts import Counting, failure


def lazy(lab: Lab, pool_size: int = 1, **options: Any) -> Target:
    return lab.target(pool_size=pool_size, options={"lazy_begin": True, **options})


def holder(lab: Lab, target: Target) -> Client:
    """Has the only server connection."""
    client = lab.keep(target.connect())
    client.run("begin")
    client.run("select 1")
    return client


def batch(*texts: str) -> list[bytes]:
    return [piece for text in texts
            for piece in (m.parse("", text), m.bind("", ""), m.execute(""))] + [m.sync()]


def tag(answer: list[m.Message]) -> str:
    return m.only(answer, b"C")[-1].body.rstrip(b"\0").decode()


@test(targets=FOREBAY)
def empty_transactions_need_no_server(lab: Lab) -> None:
    target = lazy(lab, query_wait_timeout="10s")
    first = holder(lab, target)
    with target.connect() as client:
        for begin, end, answer in (("begin", "commit", "COMMIT"), ("BEGIN WORK;", "end", "COMMIT"),
                                   ("start transaction read only", "rollback", "ROLLBACK"),
                                   ("begin isolation level repeatable read", "abort", "ROLLBACK")):
            said = client.messages(m.query(begin))
            assert tag(said) == ("START TRANSACTION" if begin[0] == "s" else "BEGIN"), said
            assert client.status == b"T"
            assert m.names(client.messages(m.sync())) == "ReadyForQuery" and client.status == b"T"
            assert tag(client.messages(m.query(end))) == answer and client.status == b"I"
        said = client.messages(*batch("begin"))
        assert m.names(said) == "ParseComplete BindComplete CommandComplete ReadyForQuery", said
        assert client.status == b"T"
        assert tag(client.messages(*batch("commit"))) == "COMMIT" and client.status == b"I"
        said = client.messages(*batch("begin", "commit", "begin"))
        assert client.status == b"T" and tag(said) == "BEGIN", said
        client.run("rollback")
        client.messages(m.parse("b", "begin"), m.sync())
        use = [m.bind("", "b"), m.describe_portal(""), m.execute(""), m.sync()]
        assert m.names(client.messages(*use)) == ("BindComplete NoData CommandComplete "
                                                  "ReadyForQuery")
        assert client.status == b"T"
        client.run("commit")
    first.run("commit")


@test(targets=FOREBAY, params=("simple", "extended", "one_batch"))
def goes_with_the_first_statement(lab: Lab, how: str) -> None:
    """In one write, behind the settings of the session."""
    trips = Trips(lab, options={"lazy_begin": True})
    client = trips.client(options="-c work_mem=3MB")
    text = "select 'mine'"
    trips.turn(trips.client(application_name="another"), m.query(text))
    if how == "simple":
        client.run("begin")
        turn = trips.turn(client, m.query(text))
        own = "Query Query"
    elif how == "extended":
        client.messages(*batch("begin"))
        turn = trips.turn(client, *batch(text))
        own = "Query Parse Bind Execute Sync"
    else:
        turn = trips.turn(client, *batch("begin", text))
        own = "Query Parse Bind Execute Sync"
    assert re.fullmatch(SETTINGS + own, turn.names), turn
    assert client.status == b"T" and b"BEGIN\0" in [message.body for message in turn.messages]
    turn = trips.turn(client, m.query(text))
    assert turn.names == "Query", turn
    turn = trips.turn(client, m.query("commit /* mine */"))
    assert turn.names == "Query" and client.status == b"I", turn


SCRIPTS: dict[str, list[list[bytes]]] = {
    "twice": [[m.query("begin")], [m.query("begin")], [m.query("commit")], [m.query("commit")]],
    "chain": [[m.query("begin isolation level repeatable read, read only")],
              [m.query("commit and chain")], [m.query("show transaction_isolation")],
              [m.query("show transaction_read_only")], [m.query("rollback")]],
    "modes": [[m.query("begin isolation level read uncommitted, deferrable")],
              [m.query("show transaction_isolation")], [m.query("show transaction_deferrable")],
              [m.query("commit")], [m.query("begin read only not deferrable")],
              [m.query("show transaction_read_only")], [m.query("insert into t values (1)")],
              [m.query("commit")], [m.query("start transaction isolation level serializable")],
              [m.query("show transaction_isolation")], [m.query("commit")]],
    "savepoints": [[m.query("begin")], [m.query("savepoint s")],
                   [m.query("insert into t values (1)")], [m.query("select 1/0")],
                   [m.query("rollback to s")], [m.query("insert into t values (2)")],
                   [m.query("commit")], [m.query("select a from t")]],
    "fails": [[m.query("begin")], [m.query("selec")], [m.query("select 1")], [m.query("commit")],
              [m.query("begin")], batch("select 1/0"), batch("select 1"), batch("commit")],
    "several": [[m.query("begin; select 1")], [m.query("commit; begin")], [m.query("select 2")],
                [m.query("rollback; select 3")]],
    "pipeline": [[m.query("begin"), m.query("insert into t values (3)"), m.query("commit"),
                  m.query("begin"), m.query("select a from t"), m.query("rollback")]],
    "batches": [batch("begin", "insert into t values (4)", "commit"),
                batch("begin", "select 1/0", "commit"), [m.query("rollback")],
                batch("begin", "commit", "select a from t"),
                [m.parse("b", "begin"), m.parse("c", "commit"), m.sync()],
                [m.bind("", "b"), m.execute(""), m.sync()], batch("select 5"),
                [m.bind("", "c"), m.execute(""), m.sync()],
                [m.parse("", "begin"), m.describe_statement(""), m.bind("", ""), m.execute(""),
                 m.sync()], [m.bind("", ""), m.execute(""), m.sync()], [m.query("commit")]],
    "malformed": [[m.parse("", "begin"), m.bind("", "", ["x"]), m.execute(""), m.sync()],
                  [m.parse("", "begin"), m.bind("p", ""), m.execute("p"), m.sync()],
                  [m.query("commit")], [m.bind("", "none"), m.execute(""), m.sync()],
                  [m.query("begin isolation level nonsense")], [m.query("begin read only;;")],
                  [m.query("commit prepared 'x'")], [m.query("rollback")]],
    "unnamed": [[m.parse("", "select 7"), m.sync()], [m.query("begin")],
                [m.bind("", ""), m.execute(""), m.sync()], [m.query("rollback")],
                batch("begin"), [m.bind("", ""), m.execute(""), m.sync()], [m.query("rollback")]],
    "settings": [[m.query("begin")], [m.query("set local work_mem = '3MB'")],
                 [m.query("show work_mem")], [m.query("commit")], [m.query("show work_mem")],
                 [m.query("begin")], [m.query("set work_mem = '4MB'")], [m.query("rollback")],
                 [m.query("show work_mem")], [m.query("begin")],
                 [m.query("set transaction isolation level repeatable read")],
                 [m.query("show transaction_isolation")], [m.query("rollback")]],
    "copy": [[m.query("begin")], [m.query("copy t from stdin"), m.copy_data(b"8\n"), m.copy_done()],
             [m.query("select a from t")], [m.query("rollback")]],
}


def seen(message: m.Message) -> Any:
    if message.type == b"T":
        return message.column_names()       # its table is another one each time
    if message.type not in b"EN":
        return message.raw
    return (message.type, message.fields()["C"], message.fields()["M"])


@test(targets=FOREBAY, params=tuple(SCRIPTS))
def as_postgresql_answers(lab: Lab, name: str) -> None:
    answers = []
    for target in (lab.direct(), lazy(lab, pool_size=2)):
        with target.connect() as client:
            client.run("drop table if exists t; create table t (a int)")
            said = []
            for pieces in SCRIPTS[name]:
                readies = sum(piece[:1] in (b"Q", b"S") for piece in pieces)
                said.append([seen(message)
                             for message in client.messages(*pieces, readies=readies)])
            answers.append(said)
    for mine, theirs, pieces in zip(answers[1], answers[0], SCRIPTS[name]):
        assert mine == theirs, (pieces, mine, theirs)


@test(targets=FOREBAY, params=("simple", "extended"))
def no_server_to_be_had(lab: Lab, how: str) -> None:
    """The transaction has failed, as after any error, and the client ends it."""
    target = lazy(lab, query_wait_timeout="200ms")
    first = holder(lab, target)
    with target.connect() as client:
        client.run("begin")
        pieces = [m.query("select 1")] if how == "simple" else batch("select 1")
        assert client.error(*pieces).sqlstate == "57014" and client.status == b"E"
        assert client.error(*pieces).sqlstate == "25P02" and client.status == b"E"
        assert tag(client.messages(m.query("commit"))) == "ROLLBACK" and client.status == b"I"
        first.run("commit")
        client.run("begin")
        assert client.value("select 1") == "1" and client.status == b"T"
        client.run("commit")


@test(targets=FOREBAY)
def cancelled_while_it_waits(lab: Lab) -> None:
    target = lazy(lab, admin_users="app")
    first = holder(lab, target)
    with target.connect() as client:
        client.run("begin")
        client.send(m.query("select 1"))
        with target.connect(database="forebay") as console:
            wait_until(lambda: any("waiting" in row for row in console.rows("show clients")),
                       "it waits")
        client.cancel()
        answer = client.until_ready()
        assert m.only(answer, b"E")[0].sqlstate == "57014" and answer[-1].body == b"E", answer
        client.run("rollback")
        first.run("commit")
        assert client.value("select 1") == "1"


@test(targets=FOREBAY)
def idle_transaction_timeout(lab: Lab) -> None:
    timed = Counting(lab, options={"lazy_begin": True, "idle_transaction_timeout": "200ms"})
    with timed.target.connect() as client:
        client.run("begin")
        wait_until(lambda: timed.count("idle_transaction_timeout") == 1, "the time is over")
        assert failure(client, m.query("select 1"))[0] == "25P03" and client.status == b"E"
        assert tag(client.messages(m.query("commit"))) == "ROLLBACK" and client.status == b"I"
        assert client.value("select 1") == "1"


@test(targets=FOREBAY)
def client_idle_timeout_is_for_who_is_in_none(lab: Lab) -> None:
    timed = Counting(lab, options={"lazy_begin": True, "client_idle_timeout": "200ms",
                                   "idle_transaction_timeout": "1h"})
    inside = lab.keep(timed.target.connect())
    outside = lab.keep(timed.target.connect())
    inside.run("begin")
    outside.run("begin")
    outside.run("commit")
    assert outside.until_end()[-1].sqlstate == "57P05"
    assert inside.value("select 1") == "1"
    inside.run("commit")


def commit_and_leave(target: Target, *clients: Client) -> None:
    """The last ones of a drain."""
    for client in clients:
        client.send(m.query("commit"))
        answer = client.until_end()
        assert m.names(answer) == "CommandComplete ReadyForQuery ErrorResponse", answer
        assert answer[-1].sqlstate == "57P01"
    target.running.wait(10)
    target.started = False


@test(targets=FOREBAY)
def a_drain_waits_for_its_end(lab: Lab) -> None:
    target = lazy(lab, pool_size=2)
    used, empty = (lab.keep(target.connect()) for _ in range(2))
    for client in (used, empty):
        client.run("begin")
    idle = lab.keep(target.connect())
    target.running.send_signal(signal.SIGTERM)
    idle.until_end()
    assert used.value("select 1") == "1"
    commit_and_leave(target, used, empty)


@test(targets=FOREBAY)
def the_server_is_lost_first(lab: Lab) -> None:
    """What was not sent cannot be lost; a first statement that only reads goes to another server."""
    target = lazy(lab)
    with target.connect() as client, lab.postgres.admin() as admin:
        kill = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'"
        client.run("select 1")
        client.run("begin")
        admin.run(kill)
        wait_until(lambda: not lab.postgres.sessions("app"), "the server connection is gone")
        client.run("create table if not exists t (a int)")
        admin.run(kill)
        assert client.error(m.query("select 1")).sqlstate in ("40001", "57P01")
        assert client.status == b"E"
        client.run("rollback")
        client.run("begin")
        client.send(m.query("select pg_sleep(0.5) is null"))
        wait_until(lambda: admin.value("select count(*) from pg_stat_activity where query like "
                                       "'select pg_sleep%'") != "0", "it runs")
        admin.run(kill)
        client.until_ready()
        assert client.status in (b"T", b"E")
        client.run("rollback")
        client.run("begin")
        assert client.value("select 1") == "1"
        client.run("commit")


@test(targets=FOREBAY)
def notifications_wait_for_its_end(lab: Lab) -> None:
    target = lazy(lab, pool_size=2, shared_listen=True)
    with target.connect() as client, target.connect() as other:
        client.run("listen bell")
        client.run("begin")
        other.run("notify bell")
        other.run("select 1")
        assert m.names(client.messages(m.sync())) == "ReadyForQuery"
        answer = client.messages(m.query("commit"))
        if not m.only(answer, b"A"):
            assert client.read().type == b"A"


@test(targets=FOREBAY)
def rules_and_other_modes_are_as_ever(lab: Lab) -> None:
    """A rule that speaks of BEGIN is looked at, a reload is for new clients."""
    target = lab.target(pool_size=1, options={"lazy_begin": True},
                        rules=[{"name": "none", "kinds": ["begin"], "error": "no"}])
    with target.connect() as client:
        assert client.error(m.query("begin")).text == "no"
    session = lab.target(mode="session", pool_size=1, options={"lazy_begin": True})
    with session.connect() as client:
        client.run("begin")
        assert lab.postgres.value("select count(*) from pg_stat_activity where query = 'begin' and "
                                  "state = 'idle in transaction'") == "1"
        client.run("commit")


@test(targets=FOREBAY)
def splits(lab: Lab) -> None:
    """What is READ ONLY from its first statement on goes to a replica."""
    both = pair(lab)
    primary, replica = both.primary.port, both.replica.port
    with split(lab, both, lazy_begin=True).connect() as client:
        for begin, first, port in (
                ("begin", None, primary), ("begin read only", None, replica),
                ("begin", "set transaction read only", replica),
                ("begin", "set transaction isolation level repeatable read, read only", replica),
                ("begin", "set transaction isolation level serializable, read only", primary),
                ("begin", "set local work_mem = '3MB'", primary),
                ("begin read only", "set local work_mem = '3MB'", replica),
                ("begin read only", "savepoint s", replica),
                ("begin isolation level serializable read only", None, primary),
                ("/* forebay: primary */ begin read only", None, primary),
                ("begin read only", "/* forebay: primary */ select 1", primary)):
            for how in ("simple", "extended", "batch"):
                texts = [begin] + ([first] if first else []) + [WHERE]
                if how == "batch":
                    answer = client.messages(*batch(*texts))
                    assert not m.only(answer, b"E"), answer
                    found = int(m.only(answer, b"D")[-1].columns()[0] or b"")
                    if first is not None and port == replica and "transaction" not in first:
                        port = found        # the first of several decides, where it may write
                else:
                    for text in texts[:-1]:
                        client.messages(*([m.query(text)] if how == "simple" else batch(text)))
                    found = at(client) if how == "simple" else int(
                        client.extended(WHERE)[0][0] or "")
                assert client.status == b"T"
                assert found == port, (begin, first, how, found, port)
                client.run("commit")
        client.run("begin")
        assert at(client, "select inet_server_port() + 0 * nextval('s')::int") == primary
        client.run("insert into t values (70, 'x')")
        client.run("commit")
        # Refused by the replica at first: the primary has the whole of it, unseen.
        for text in ("select count(*) >= 0 from fleeting", "select n > 0 from writer",
                     "declare c cursor with hold for select 1", "select pg_advisory_lock(1)"):
            client.run("begin read only")
            answer = client.messages(m.query(text))
            assert [error.sqlstate for error in m.only(answer, b"E")] in ([], ["25006"]), answer
            client.run("rollback")
            client.run("discard all")
    with split(lab, both, lazy_begin=True).connect() as client:
        client.run("begin")
        client.run("set transaction read only")
        assert at(client) == replica
        told_to_try_again(client, m.query("select count(*) from fleeting"))
        client.run("set default_transaction_read_only = on")
        client.run("begin")
        assert at(client) == primary        # as it is after that
        client.run("commit")
    with split(lab, both, lazy_begin=True).connect() as client:
        # Not all of the batch is there.
        client.run("begin read only")
        client.send(m.parse("", WHERE), m.describe_statement(""), m.flush())
        client.read_until(b"T")
        answer = client.messages(m.bind("", ""), m.execute(""), m.sync())
        assert m.only(answer, b"D")[0].columns() == [str(replica).encode()], answer
        client.run("commit")
    with split(lab, both, lazy_begin=True, read_consistency="strong",
               read_wait_timeout="5s").connect() as client:
        client.run("begin read only")
        assert at(client) == primary
        client.run("commit")


@test(targets=FOREBAY)
def a_reload_is_for_new_clients(lab: Lab) -> None:
    target = lazy(lab, query_wait_timeout="10s")
    first = holder(lab, target)
    with target.connect() as client:
        client.run("begin")
        text = file_of(target).read_text()
        reload(target, change(text, "lazy_begin = true", "lazy_begin = false"))
        client.run("commit")
        client.run("begin")
        client.run("commit")
    first.run("commit")
