"""BEGIN and what says whose the transaction is, in whatever messages drivers send them."""

from __future__ import annotations

import signal

from lab import messages as m
from lab.declare import FOREBAY, test
from lab.drivers import DRIVERS, java_program
from lab.lab import Lab
from lab.process import run
from lab.wire import Client, refused

from test_tenant_comments import POOLER, WHOSE, batch, pooler, told
from test_tenants import FIREWALL, make_tables, start

SAYS = {"users": {"other": "2"}, "setting": "app.tenant_id", "setting_users": ["app"]}


def named(name: str, text: str = "") -> bytes:
    """Executes it, prepared by that name, or as it was before."""
    return (m.parse(name, text) if text else b"") + m.bind("", name) + m.execute("")


@test(targets=FOREBAY)
def a_begin_that_was_prepared_by_name(lab: Lab) -> None:
    """As pgjdbc executes it when it has executed it often."""
    with pooler(lab).connect() as client:
        for turn, who in enumerate(("2", "1", "2")):
            begin = named("S_1", "" if turn else "BEGIN")
            said = named(f"S_{who}x", "" if turn == 2 else f"/* tenant={who} */ {WHOSE}")
            assert told(client, begin, said, m.sync()) == [who.encode()]
            assert client.status == b"T" and client.value(WHOSE) == who
            client.run("commit")
            # Alone, and behind others.
            answer = client.messages(begin if turn else named("S_1"), m.sync())
            assert m.names(answer) == "BindComplete CommandComplete ReadyForQuery", answer
            assert answer[-1].body == b"T"
            assert told(client, m.bind("", f"S_{who}x"), m.execute(""), m.sync()) == [who.encode()]
            client.run("rollback")
            assert told(client, named("S_1"), batch(WHOSE)) == [b"42501"] and client.status == b"E"
            client.run("rollback")
        for at in (5, 12, 20, 30, 40):
            name = f"N{at}"
            whole = named(name, "begin read only") + batch(f"/* tenant=1 */ {WHOSE}")
            client.send(whole[:at])
            assert client.quiet
            client.send(whole[at:])
            assert m.only(client.until_ready(), b"D")[0].columns() == [b"1"]
            assert client.value("show transaction_read_only") == "on"
            assert told(client, named("Nc", "" if at > 5 else "commit"), m.sync()) == []
            assert client.status == b"I"
        answer = client.messages(named("S_1", "begin"), m.sync())
        assert m.names(answer) == "ErrorResponse ReadyForQuery" and answer[-1].body == b"I", answer
        assert told(client, named("none"), m.sync())[0] in (b"26000", b"42501")


@test(targets=FOREBAY)
def a_begin_that_is_prepared_alone(lab: Lab) -> None:
    """As asyncpg and psycopg do: what it is, is asked for before it is executed."""
    make_tables(lab)
    target = start(lab, {**FIREWALL, **SAYS, "comment_users": ["app"]})
    with target.connect() as client:
        for name in ("a", ""):
            asks = m.parse(name, "begin") + m.describe_statement(name)
            answer = client.messages(asks, m.sync())
            assert m.names(answer) == "ParseComplete ParameterDescription NoData ReadyForQuery", \
                answer
            assert client.status == b"I" and answer[1].body == b"\0\0"
            if name:
                client.send(m.describe_statement(name), m.flush())
                assert client.read().type == b"t" and client.read().type == b"n"
            assert told(client, named(name), m.sync()) == [] and client.status == b"T"
            # What is only prepared says nothing.
            says = "set local app.tenant_id = '2'"
            answer = client.messages(m.parse(f"{name}says", says),
                                     m.describe_statement(f"{name}says"), m.sync())
            assert m.names(answer) == "ParseComplete ParameterDescription NoData ReadyForQuery"
            assert told(client, batch(WHOSE)) == [b"42501"] and client.status == b"E"
            client.run("rollback")
            client.run("begin")
            assert told(client, named(f"{name}says"), m.sync()) == []
            assert client.value(WHOSE) == "2"
            assert told(client, named(f"{name}says"), m.sync()) == [b"42501"]
            client.run("rollback")
            assert told(client, named(name), m.sync()) == ([] if name else [b"42501"])
            if name:
                assert told(client, named("end", "commit"), m.sync()) == []
                assert client.status == b"I"
        # With a parameter that it does not have: for a server, and so for whoever it is.
        types = m.parse("typed", "begin", [23]) + m.describe_statement("typed") + m.sync()
        assert told(client, types) == [b"42501"]


@test(targets=FOREBAY)
def pgjdbc_says_whose_its_transactions_are(lab: Lab) -> None:
    target = pooler(lab, lazy_begin=False)
    command = [*java_program("JdbcTenants"), "comment"]
    done = run(command, env=target.environment(), within=110, expect=None, cwd=DRIVERS)
    assert done.code == 0 and "1..4" in done.out.splitlines(), done


@test(targets=FOREBAY)
def pgjdbc_says_it_by_a_setting(lab: Lab) -> None:
    make_tables(lab)
    target = start(lab, {**FIREWALL, **SAYS})
    command = [*java_program("JdbcTenants"), "set local app.tenant_id = 'WHO'"]
    done = run(command, env=target.environment(), within=110, expect=None, cwd=DRIVERS)
    assert done.code == 0 and "1..4" in done.out.splitlines(), done


# ---------------------------------------------------------------- who keeps its server connection

KEEPS = {"databases": ["app"], **SAYS, "users": {}}
KEPT = "fetch first from mine"


def keeps(client: Client, who: str = "1") -> None:
    """By a cursor WITH HOLD."""
    for text in ("begin", f"set local app.tenant_id = '{who}'",
                 "declare mine scroll cursor with hold for select 't'", "commit"):
        client.run(text)


@test(targets=FOREBAY)
def who_keeps_its_server_connection_says_it_too(lab: Lab) -> None:
    make_tables(lab)
    target = start(lab, KEEPS, pool_size=1)
    with target.connect() as client:
        keeps(client)
        for who, has in (("1", b"t"), ("1", b"t"), ("2", b"34000")):
            says = f"set local app.tenant_id = '{who}'"
            client.run("begin")
            assert client.messages(m.sync())[-1].body == b"T"
            client.send(m.flush())
            client.run(says)
            assert client.messages(m.sync())[-1].body == b"T"
            assert client.value(WHOSE) == who and told(client, m.query(KEPT)) == [has]
            other = m.query("set local app.tenant_id = '3'")
            assert told(client, other) == [b"42501"]
            client.run("rollback")
            assert client.status == b"I"
        keeps(client)
        # What it does is rolled back with its transaction, and not what was before.
        client.run("begin")
        assert told(client, batch("set local app.tenant_id = '1'", "insert into notes values (1, 900)",
                                  "select count(*) from notes where id = 900")) == [b"1"]
        assert client.status == b"T"
        client.run("rollback")
        assert told(client, batch("begin", "set local app.tenant_id = '1'",
                                  "select count(*) from notes where id = 900")) == [b"0"]
        client.run("commit")
        for end in ("commit", "rollback"):
            client.run("begin")
            client.run(end)
            assert client.status == b"I"
        # Nothing says it.
        for text in (m.query("select 1"), batch("select 1"), m.query("/* tenant=1 */ select 1")):
            client.run("begin")
            assert told(client, text) == [b"42501"] and client.status == b"E"
            assert told(client, text) == [b"25P02"] and client.status == b"E"
            assert client.messages(m.sync())[-1].body == b"E"
            assert told(client, batch("rollback")) == [] and client.status == b"I"
        assert told(client, batch("begin", WHOSE)) == [b"42501"] and client.status == b"E"
        client.run("rollback")
        assert client.error(m.query("select 1")).sqlstate == "42501" and client.status == b"I"
        client.run("begin")
        client.run("set local app.tenant_id = '1'")
        assert client.value(KEPT) == "t"
        client.run("commit")
        # All at once.
        texts = ["begin", "set local app.tenant_id = '1'", KEPT, "commit", "begin",
                 "set local app.tenant_id = '2'", KEPT, "commit", "begin", "commit"]
        assert told(client, b"".join(map(m.query, texts)), count=10) == [b"t", b"34000"]


@test(targets=FOREBAY)
def limits_of_who_keeps_its_server_connection(lab: Lab) -> None:
    """What is refused, or answered without a server, keeps no place."""
    make_tables(lab)
    target = start(lab, {**KEEPS, "users": {"other": "1"}, "setting_users": ["app"],
                         "limits": {"1": {"max_statements": 1}}}, pool_size=3)
    with target.connect() as client, target.connect("other") as other:
        keeps(client)
        assert other.value("select 1", within=5) == "1"
        client.run("begin")
        assert client.error(m.query("select 1")).sqlstate == "42501"
        assert other.value("select 1", within=5) == "1"
        client.run("rollback")
        client.messages(m.close_statement("x"), m.sync())
        assert other.value("select 1", within=5) == "1"
        client.run("begin")
        client.run("set local app.tenant_id = '1'")
        assert other.value("select 1", within=5) == "1"
        assert client.value(KEPT) == "t"
        other.send(m.query("select 2"))
        assert other.quiet
        client.run("commit")
        assert m.only(other.until_ready(), b"D")[0].columns() == [b"2"]


@test(targets=FOREBAY)
def a_drain_waits_for_a_begin_that_waits(lab: Lab) -> None:
    make_tables(lab)
    target = start(lab, KEEPS, pool_size=2, admin_users="app")
    clients = [lab.keep(target.connect()) for _ in range(2)]
    for client in clients:
        keeps(client)
        client.run("begin")
    target.running.send_signal(signal.SIGTERM)
    assert refused(target.connect)
    clients[0].run("set local app.tenant_id = '1'")
    assert clients[0].value(KEPT) == "t"
    for client in clients:
        client.send(m.query("commit"))
        answer = client.until_end()
        assert m.names(answer) == "CommandComplete ReadyForQuery ErrorResponse", answer
        assert answer[-1].sqlstate == "57P01"
    target.running.wait(10)
    target.started = False


@test(targets=FOREBAY)
def the_server_goes_from_under_a_begin_that_waits(lab: Lab) -> None:
    make_tables(lab)
    target = start(lab, KEEPS, pool_size=1)
    with target.connect() as client:
        keeps(client)
        client.run("begin")
        with lab.postgres.admin("app") as admin:
            admin.run("select pg_terminate_backend(pid) from pg_stat_activity where "
                      "usename = 'app' and pid <> pg_backend_pid()")
        assert client.until_end()[-1].sqlstate == "57P01"
    with target.connect() as client:
        client.run("begin")
        client.run("set local app.tenant_id = '2'")
        assert client.value(WHOSE) == "2"
