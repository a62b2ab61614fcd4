"""pg_terminate_backend and pg_cancel_backend by the process id that a client was told at login, as
test suites of drivers use them: what the server does not know as its own, Forebay does."""

from __future__ import annotations

import struct
from typing import Callable

from lab import messages as m
from lab.declare import FOREBAY, MODES, POSTGRES_LIKE, test
from lab.lab import Lab
from lab.load import busy
from lab.process import wait_until
from lab.target import Database
from lab.wire import Client

ADMIN = "terminating connection due to administrator command"
SLEEP = "select pg_sleep(600)"


def running(lab: Lab) -> bool:
    return bool(lab.postgres.rows("select 1 from pg_stat_activity where wait_event = 'PgSleep'"))


def end_of(client: Client) -> tuple[str, str]:
    error = m.only(client.until_end(), b"E")[0]
    assert error.fields()["S"] == "FATAL", error
    return error.sqlstate, error.text


def literally(client: Client, function: str, process_id: int) -> None:
    client.run(f"select {function}({process_id})")


def in_text(client: Client, function: str, process_id: int) -> None:
    client.extended(f"select {function}($1)", [str(process_id).encode()])


def with_a_cast(client: Client, function: str, process_id: int) -> None:
    client.extended(f"select pg_catalog.{function}($1::int) as ended", [str(process_id).encode()])


def in_binary(client: Client, function: str, process_id: int) -> None:
    value = struct.pack("!i", process_id)
    client.messages(m.parse("", f"select {function}($1)"),
                    m.bind("", "", [value], formats=[1]), m.execute(""), m.sync())


def prepared(client: Client, function: str, process_id: int) -> None:
    client.extended(f"select {function}($1)", [b"1"], name="by_name")
    client.extended("", [str(process_id).encode()], name="by_name", prepare=False)


WAYS: dict[str, Callable[[Client, str, int], None]] = {
    "literally": literally, "in_text": in_text, "with_a_cast": with_a_cast,
    "in_binary": in_binary, "prepared": prepared}


@test(modes=MODES, targets=POSTGRES_LIKE, params=tuple(WAYS))
def an_idle_session_is_ended(lab: Lab, way: str) -> None:
    target = lab.target(pool_size=2)
    with target.connect() as victim, target.connect() as other:
        victim.run("set work_mem = '101kB'")
        WAYS[way](other, "pg_terminate_backend", victim.process_id)
        assert end_of(victim) == ("57P01", ADMIN)
        assert other.value("select 1") == "1"


@test(modes=MODES, targets=POSTGRES_LIKE, params=tuple(WAYS))
def a_statement_is_cancelled(lab: Lab, way: str) -> None:
    target = lab.target(pool_size=2)
    with target.connect() as victim, target.connect() as other:
        victim.send(m.query(SLEEP))
        wait_until(lambda: running(lab), "it runs")
        WAYS[way](other, "pg_cancel_backend", victim.process_id)
        error = m.only(victim.until_ready(), b"E")[0]
        assert error.sqlstate == "57014", error
        assert victim.value("select 1") == "1"


@test(modes=MODES, targets=POSTGRES_LIKE)
def what_it_did_is_rolled_back(lab: Lab) -> None:
    target = lab.target(pool_size=2)
    with target.connect() as victim, target.connect() as other:
        other.run("create table half (n int)")
        victim.run("begin")
        victim.run("insert into half values (1)")
        victim.send(m.query(SLEEP))
        wait_until(lambda: running(lab), "it runs")
        literally(other, "pg_terminate_backend", victim.process_id)
        assert end_of(victim) == ("57P01", ADMIN)
        wait_until(lambda: not running(lab), "its statement has ended")
        wait_until(lambda: not lab.postgres.rows(
            "select 1 from pg_locks where relation = 'half'::regclass", "app"), "rolled back")
        assert other.value("select count(*) from half") == "0"


@test(modes=MODES, targets=POSTGRES_LIKE, params=("alone", "in_a_transaction", "by_a_parameter"))
def who_ends_itself_gets_no_answer(lab: Lab, how: str) -> None:
    target = lab.target(pool_size=2)
    with busy(lab, target), target.connect() as client:
        if how == "in_a_transaction":
            client.run("begin")
        # Another call behind it does not matter.
        text = "select pg_terminate_backend(%s), pg_cancel_backend(2000000000)"
        if how == "by_a_parameter":
            client.send(m.parse("", text % "$1"), m.bind("", "", [str(client.process_id).encode()]),
                        m.describe_portal(""), m.execute(""), m.sync())
        else:
            client.send(m.query(text % client.process_id))
        answer = client.until_end()
        assert m.only(answer, b"E")[0].sqlstate == "57P01", answer
        assert not m.only(answer, b"C") and not m.only(answer, b"Z"), answer


@test(modes=MODES, targets=POSTGRES_LIKE)
def what_was_answered_before_that_stays_answered(lab: Lab) -> None:
    target = lab.target(pool_size=2)
    with target.connect() as client:
        client.run("create table before (n int)")
        end = f"select pg_terminate_backend({client.process_id})"
        client.send(m.query("insert into before values (1)"), m.query(end), m.query("select 1"))
        answer = client.until_end()
        assert m.names(answer).startswith("CommandComplete ReadyForQuery "), answer
        assert m.only(answer, b"E")[0].sqlstate == "57P01", answer
        assert len(m.only(answer, b"Z")) == 1, answer
    with target.connect() as client:
        assert client.value("select count(*) from before") == "1"


@test(targets=FOREBAY)
def rights_are_those_of_the_servers_role(lab: Lab) -> None:
    """The same name in a database where it stands for another role is somebody else; a superuser
    may do it to everybody."""
    target = lab.target(pool_size=2, databases={
        "app": Database([lab.postgres.address]),
        "less": Database([lab.postgres.address], user="other", dbname="app")})
    with target.connect() as victim, target.connect(database="less") as less:
        literally(less, "pg_terminate_backend", victim.process_id)
        less.run("select 1")
        assert victim.value("select 1") == "1"
        lab.postgres.rows("alter role other superuser")
        try:
            lab.postgres.rows("select pg_terminate_backend(pid) from pg_stat_activity "
                              "where usename = 'other'")
            with target.connect("other") as superuser:
                literally(superuser, "pg_terminate_backend", victim.process_id)
                assert end_of(victim) == ("57P01", ADMIN)
        finally:
            lab.postgres.rows("alter role other nosuperuser")


@test(targets=FOREBAY)
def who_waits_for_a_connection_is_ended(lab: Lab) -> None:
    target = lab.target(pool_size=1)
    with target.connect() as other, target.connect() as victim:
        other.run("begin")
        other.run("select 1")
        victim.send(m.query("select 1"))
        literally(other, "pg_terminate_backend", victim.process_id)
        assert end_of(victim) == ("57P01", ADMIN)
        other.run("commit")


@test(targets=FOREBAY)
def what_may_not_be_done_is_not(lab: Lab) -> None:
    """By another role, without a row, where nobody knows whether it is called, or when it failed."""
    target = lab.target(pool_size=2)
    with target.connect() as victim, target.connect() as other, target.connect("other") as less:
        number = victim.process_id
        literally(less, "pg_terminate_backend", number)
        for text in (f"select pg_terminate_backend({number}) where false",
                     f"select case when random() > 2 then pg_terminate_backend({number}) end",
                     f"select pg_terminate_backend(n) from (values (1)) as v (n) where n = {number}",
                     f"explain select pg_terminate_backend({number})",
                     f"prepare ending as select pg_terminate_backend({number})"):
            other.run(text)
        error = other.error(m.query(f"select pg_terminate_backend({number}), 1 / 0"))
        assert error.sqlstate == "22012", error
        other.run(f"select pg_terminate_backend({number}, null)")
        lab.postgres.rows("grant pg_monitor to app")
        for role in ("set role pg_monitor", "begin; set local role pg_monitor",
                     "select set_config('role', 'pg_monitor', false)"):
            other.run(role)
            literally(other, "pg_terminate_backend", number)
            other.run("rollback" if role.startswith("begin") else "reset role")
        other.run(f"set role pg_monitor; select pg_terminate_backend({number}); reset role")
        # Nobody has asked for it since, so that it would be ended by now.
        assert victim.value("select 1") == "1"
        literally(other, "pg_terminate_backend", number)
        assert end_of(victim) == ("57P01", ADMIN)


@test(modes=("session",), targets=POSTGRES_LIKE)
def the_server_knows_who_keeps_its_connection(lab: Lab) -> None:
    """In session mode the id is the server's own, for everybody."""
    target = lab.target(pool_size=3)
    with target.connect() as first, target.connect() as second:
        for client in (first, second):
            assert client.value("select pg_backend_pid()") == str(client.process_id)
        lab.postgres.rows(f"select pg_terminate_backend({first.process_id})")
        assert end_of(first)[0] == "57P01"
        second.send(m.query(SLEEP))
        wait_until(lambda: running(lab), "it runs")
        second.cancel(tls=target.tls())
        assert m.only(second.until_ready(), b"E")[0].sqlstate == "57014"
