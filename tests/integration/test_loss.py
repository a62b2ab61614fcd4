"""Server connections that are lost under their clients, who stay: one error that says what is known,
and the session goes on on another connection, with all its settings and statements."""

from __future__ import annotations

from typing import Callable

from lab import messages as m
from lab.declare import FOREBAY, test
from lab.lab import Lab
from lab.process import wait_until
from lab.wire import Client

ADMIN = "terminating connection due to administrator command"


def terminate(lab: Lab, where: str = "true") -> None:
    """Ends the backends of "app" and waits until they are gone."""
    condition = f"datname = 'app' and usename = 'app' and {where}"
    wait_until(lambda: lab.postgres.value(
        f"select count(*) from pg_stat_activity where {condition}") != "0", "there is one")
    lab.postgres.rows(f"select pg_terminate_backend(pid) from pg_stat_activity where {condition}")
    wait_until(lambda: not lab.postgres.sessions("app"), "they are gone")


def session(client: Client) -> None:
    client.run("set work_mem = '123kB'")
    client.messages(m.parse("kept", "select 'kept'"), m.sync())
    client.run("prepare by_sql as select 'by sql'")


def goes_on(client: Client) -> None:
    assert client.value("show work_mem") == "123kB"
    answer = client.messages(m.bind("", "kept"), m.execute(""), m.sync())
    assert m.only(answer, b"D")[0].columns() == [b"kept"], answer
    assert client.value("execute by_sql") == "by sql"
    assert client.status == b"I"


def one_error(answer: list[m.Message], sqlstate: str) -> None:
    errors = m.only(answer, b"E")
    assert len(errors) == 1, answer
    fields = errors[0].fields()
    assert (fields["S"], fields["C"]) == ("ERROR", sqlstate), fields
    assert fields["M"].startswith("server connection lost: "), fields
    assert fields.get("D"), fields


SLEEP = "select pg_sleep(60)"
IN_FLIGHT: dict[str, tuple[Callable[[Client], None], int, str, bytes]] = {
    # what is asked, how many ReadyForQuery it gives, the error, the status afterwards
    "query": (lambda c: c.send(m.query(SLEEP)), 1, "40003", b"I"),
    "extended": (lambda c: c.send(m.parse("", SLEEP), m.bind("", ""), m.execute(""), m.sync()),
                 1, "40003", b"I"),
    "in_a_transaction": (lambda c: (c.run("begin"), c.send(m.query(SLEEP)))[1], 1, "40001", b"E"),
    "extended_in_a_transaction": (
        lambda c: (c.run("begin"), c.send(m.parse("", SLEEP), m.bind("", ""), m.execute(""),
                                          m.sync()))[1], 1, "40001", b"E"),
    "with_its_commit": (lambda c: (c.run("begin"), c.send(m.query(SLEEP), m.query("commit")))[1],
                        2, "08007", b"I"),
}


@test(targets=FOREBAY, params=IN_FLIGHT)
def statement_in_flight(lab: Lab, name: str) -> None:
    ask, readies, sqlstate, status = IN_FLIGHT[name]
    target = lab.target(pool_size=2)
    with target.connect() as client:
        session(client)
        ask(client)
        terminate(lab, "wait_event = 'PgSleep'")
        answer = client.until_ready(readies)
        errors = m.only(answer, b"E")
        one_error(answer[:answer.index(errors[0]) + 2], sqlstate)
        assert answer[-1].body == status, answer
        if status == b"E":
            assert client.error(m.query("select 1")).sqlstate == "25P02"
            client.run("rollback")
            assert client.status == b"I"
        goes_on(client)


@test(targets=FOREBAY, params=("query", "commit", "rollback", "extended", "extended_rollback",
                               "prepared_rollback", "savepoint"))
def between_two_statements(lab: Lab, what: str) -> None:
    """The client hears of it when it speaks next; a COMMIT never looks like one that was done."""
    target = lab.target(pool_size=2)
    with target.connect() as client:
        session(client)
        client.run("create table if not exists written (n int)")
        client.messages(m.parse("back", "rollback"), m.sync())
        client.run("begin; insert into written values (1)")
        client.run("set work_mem = '124kB'")
        terminate(lab)
        if what == "query":
            one_error(client.messages(m.query("select 1")), "40001")
            assert client.status == b"E"
            client.run("commit")
        elif what == "commit":
            one_error(client.messages(m.query("commit")), "40001")
        elif what == "rollback":
            assert m.names(client.messages(m.query("rollback"))) == "CommandComplete ReadyForQuery"
        elif what == "extended":
            one_error(client.messages(m.parse("", "select 1"), m.bind("", ""), m.execute(""),
                                      m.sync()), "40001")
            assert client.status == b"E"
            client.run("rollback")
        elif what == "savepoint":
            one_error(client.messages(m.query("savepoint s")), "40001")
            assert client.error(m.query("rollback to s")).sqlstate == "25P02"
            client.run("abort")
        else:
            parse = [m.parse("", "ROLLBACK")] if what == "extended_rollback" else []
            name = "" if parse else "back"
            answer = client.messages(*parse, m.bind("", name), m.describe_portal(""),
                                     m.execute(""), m.sync())
            assert m.only(answer, b"C")[0].body == b"ROLLBACK\0", answer
        assert client.status == b"I"
        goes_on(client)
        assert client.value("select count(*) from written") == "0"


@test(targets=FOREBAY)
def pipelines(lab: Lab) -> None:
    """One error and one ReadyForQuery for each batch: nothing of it is known to be done."""
    target = lab.target(pool_size=2)
    with target.connect() as client:
        session(client)
        batch = (m.parse("", SLEEP), m.bind("", ""), m.execute(""), m.sync())
        client.send(*batch, *batch, m.sync(), m.query("select 1"))
        terminate(lab, "wait_event = 'PgSleep'")
        answer = client.until_ready(4)
        assert b"".join(x.type for x in answer if x.type in b"EZ") == b"EZEZEZEZ", answer
        goes_on(client)
        # A batch without its Sync is skipped up to it.
        client.send(m.parse("", SLEEP), m.bind("", ""), m.execute(""), m.flush())
        terminate(lab, "wait_event = 'PgSleep'")
        one_error(client.read_until(b"E"), "40003")
        answer = client.messages(m.parse("lost", "select 1"), m.sync())
        assert m.names(answer) == "ReadyForQuery", answer
        assert client.error(m.bind("", "lost"), m.sync()).sqlstate == "26000"
        goes_on(client)


@test(targets=FOREBAY)
def copy_in_is_answered(lab: Lab) -> None:
    target = lab.target(pool_size=2)
    with target.connect() as client:
        session(client)
        client.run("create table if not exists written (n int)")
        client.send(m.query("copy written from stdin"))
        client.read_until(b"G")
        client.send(m.copy_data(b"1\n" * 100))
        terminate(lab)
        one_error(client.until_ready(), "40003")
        client.send(m.copy_data(b"2\n" * 100), m.copy_done())
        goes_on(client)


OWN_END = "select pg_terminate_backend(pg_backend_pid())"


@test(targets=("direct", "forebay"), params=("alone", "extended", "prepared", "in_a_transaction"))
def who_ends_the_own_server_is_ended(lab: Lab, how: str) -> None:
    """Tests of programs do that, to see how these come back."""
    target = lab.target()
    with target.connect() as client:
        client.run("select 1")
        if how == "alone":
            client.send(m.query(OWN_END))
        elif how == "in_a_transaction":
            client.run("begin")
            client.run("select 1")
            client.send(m.query(OWN_END))
        else:
            name = "end" if how == "prepared" else ""
            client.messages(m.parse(name, OWN_END), m.sync())
            client.send(m.bind("", name), m.execute(""), m.sync())
        error = m.only(client.until_end(), b"E")[0]
        assert error.fields()["S"] == "FATAL" and error.sqlstate == "57P01", error
        assert error.text == ADMIN, error
    with target.connect() as client:
        assert client.value("select 1") == "1"


@test(targets=FOREBAY)
def what_only_the_connection_had_ends_the_session(lab: Lab) -> None:
    target = lab.target(pool_size=2)
    with target.connect() as client:
        client.run("create temp table mine (n int)")
        client.send(m.query(SLEEP))
        terminate(lab, "wait_event = 'PgSleep'")
        error = client.read_until(b"E")[-1].fields()
        assert (error["S"], error["C"], error["M"]) == ("FATAL", "57P01", ADMIN), error
        assert not client.until_end()


@test(targets=FOREBAY)
def server_that_restarts(lab: Lab) -> None:
    """Clients that ask nothing notice nothing; those that ask meanwhile wait."""
    server = lab.private_postgres()
    target = lab.target(server, pool_size=2)
    with target.connect() as idle, target.connect() as busy:
        session(idle)
        session(busy)
        server.stop()
        busy.send(m.query("select 'after'"))
        server.start()
        answer = busy.until_ready(within=30)
        assert m.only(answer, b"D")[0].columns() == [b"after"], answer
        goes_on(busy)
        goes_on(idle)


@test(modes=("transaction",), entries=("run",), targets=FOREBAY)
def server_that_restarts_and_asks_for_passwords(lab: Lab) -> None:
    """Only a login opens a connection: who has no more than an open session is told so by its end,
    as directly, so that it connects again."""
    server = lab.private_postgres()
    target = lab.target(server)
    with target.connect() as client, target.connect() as other:
        client.run("select 1")
        server.restart()
        for session in (client, other):
            session.send(m.query("select 1"))
            error = session.read_until(b"E")[-1].fields()
            assert (error["S"], error["C"]) == ("FATAL", "08006"), error
            assert not session.until_end()
    with target.connect() as client:
        client.run("select 1")


@test(targets=FOREBAY)
def timeout_of_the_server_ends_the_session(lab: Lab) -> None:
    """As it does directly: the client asked for it."""
    target = lab.target(pool_size=2)
    with target.connect() as client:
        session(client)
        client.run("begin; set local idle_in_transaction_session_timeout = 50")
        wait_until(lambda: not lab.postgres.sessions("app"), "its backend has ended")
        error = client.read_until(b"E")[-1].fields()
        assert (error["S"], error["C"]) == ("FATAL", "25P03"), error
        assert not client.until_end()
