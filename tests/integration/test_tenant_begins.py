"""BEGIN and what says whose the transaction is, in whatever messages drivers send them."""

from __future__ import annotations

import signal

from lab import messages as m
from lab.declare import FOREBAY, test
from lab.drivers import DRIVERS, java_program
from lab.lab import Lab
from lab.process import run
from lab.target import Target
from lab.wire import Client

from test_lazy_begin import commit_and_leave
from test_tenant_comments import POOLER, WHOSE, batch, pooler, told
from test_tenants import FIREWALL, ROW_SECURITY, corpus, foreign_rows, make_tables, say, start, \
    with_claims

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
    command = [*java_program("JdbcTenants"), "set local app.tenant_id = 'WHO'",
               "set local app.tenant_id to WHO", "select set_config('app.tenant_id', ?, true)"]
    done = run(command, env=target.environment(), within=110, expect=None, cwd=DRIVERS)
    assert done.code == 0 and "1..12" in done.out.splitlines(), done


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
    idle = lab.keep(target.connect())
    target.running.send_signal(signal.SIGTERM)
    idle.until_end()
    clients[0].run("set local app.tenant_id = '1'")
    assert clients[0].value(KEPT) == "t"
    commit_and_leave(target, *clients)


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


# ---------------------------------------------------------------- ways to say it

WAYS = ("set local app.tenant_id = '{}'", "SET LOCAL App.Tenant_ID TO {};",
        "set/**/local app.tenant_id={} -- whose", "/* whose */ set local app.tenant_id to E'{}'",
        "select set_config('app.tenant_id', '{}', true)",
        "SELECT pg_catalog.set_config('App.tenant_id', '{}'::text, TRUE) AS whose;")
NONE = ("set app.tenant_id = '1'", "set local app.tenant_id to default", "reset app.tenant_id",
        "set local app.tenant_id = 1.0", "set local app.tenant_id = -'1'", "set local app.tenant = '1'",
        "set local app.tenant_ids = '1'", "set local app.tenant_id from current",
        "select set_config('app.tenant_id', '1', false)", "select set_config('app.tenant_id', '1')",
        "select set_config('app.tenant', '1', true)", "select set_config('app.tenant_id', 1, true)",
        "select set_config('app.tenant_id', '1' || '2', true)",
        "select set_config('app.tenant_id', (select '1'), true)",
        "select set_config('app.tenant_id', '1', true), 2", "select 1, set_config('app.tenant_id', '1', true)",
        "select set_config('app.tenant_id', '1', true) where false",
        "select set_config('app.tenant_id', '1', true) from orders",
        "select set_config('app.tenant_id', '1', true); select 1",
        "select public.set_config('app.tenant_id', '1', true)", "select all set_config('app.tenant_id', '1', true)",
        "values (set_config('app.tenant_id', '1', true))", "do $$ begin perform 1; end $$")


def says(lab: Lab, **options: object) -> Target:
    make_tables(lab)
    return start(lab, {**FIREWALL, **SAYS, "users": {"other": "2"}}, **options)


@test(targets=FOREBAY)
def a_setting_is_said_in_other_ways(lab: Lab) -> None:
    target = says(lab)
    with target.connect() as client, target.connect("other") as other:
        for way in WAYS:
            call = "set_config" in way
            row = "RowDescription DataRow " if call else ""
            for who in ("2", "1"):
                text = way.format(who)
                client.run("begin")
                answer = client.messages(m.query(text))
                assert m.names(answer) == row + "CommandComplete ReadyForQuery", (text, answer)
                assert answer[-2].body == (b"SELECT 1\0" if call else b"SET\0"), answer
                if call:
                    name = b"whose\0" if " AS " in way else b"set_config\0"
                    assert answer[0].body.startswith(b"\0\1" + name), answer
                    assert answer[1].columns() == [who.encode()], answer
                assert client.value(WHOSE) == who and client.status == b"T"
                assert client.error(m.query(text)).sqlstate == "42501"
                client.run("rollback")
                assert told(client, batch("begin", text, WHOSE)) == (
                    [who.encode()] * 2 if call else [who.encode()])
                client.run("commit")
            other.run("begin")
            assert other.error(m.query(way.format("1"))).sqlstate == "42501"
            other.run("rollback")
            assert told(other, m.query("begin; " + way.format("1") + "; " + WHOSE)) == [b"42501"]
            other.run("rollback")
        for text in NONE:
            for sent in (m.query(text), batch(text)):
                client.run("begin")
                answer = client.messages(sent)
                error = m.only(answer, b"E")[0]
                assert error.sqlstate == "42501" and not m.only(answer, b"D"), (text, answer)
                assert b"SET LOCAL app.tenant_id = 'acme'" in error.body, error
                client.run("rollback")
        for text in ("set local app.tenant_id = acme", "select set_config('app.tenant_id', '', true)"):
            client.run("begin")
            error = client.error(m.query(text))
            assert error.sqlstate == "42501" and "names no tenant" in error.text, error
            client.run("rollback")


@test(targets=FOREBAY)
def a_setting_is_said_by_a_parameter(lab: Lab) -> None:
    call = "select set_config('app.tenant_id', $1, true)"
    with says(lab).connect() as client:
        for name, types in (("", ()), ("", (25,)), ("a", (1043,)), ("b", ())):
            client.run("begin")
            answer = client.messages(m.parse(name, call, types), m.describe_statement(name), m.sync())
            assert m.names(answer) == \
                "ParseComplete ParameterDescription RowDescription ReadyForQuery", answer
            oid = (types or (25,))[0].to_bytes(4, "big")
            assert answer[1].body == b"\0\1" + oid and answer[-1].body == b"T", answer
            for who in ("2", "1") if name else ("2",):
                for coded in (0, 1):
                    answer = client.messages(
                        b"" if name else m.parse(name, call, types),
                        m.bind("", name, [who], formats=[coded], results=[coded]),
                        m.describe_portal(""), m.execute(""), m.sync())[0 if name else 1:]
                    assert m.names(answer) == "BindComplete RowDescription DataRow " \
                        "CommandComplete ReadyForQuery", answer
                    assert answer[1].body[-1] == coded and answer[2].columns() == [who.encode()]
                    assert client.value(WHOSE) == who
                    client.run("rollback")
                    client.run("begin")
            client.run("rollback")
        # What is bound within another's transaction is refused, as ever.
        client.run("begin")
        client.run("set local app.tenant_id = '1'")
        assert told(client, m.bind("", "a", ["2"]), m.execute(""), m.sync()) == [b"42501"]
        client.run("rollback")
        for values in ([None], ["x"], [""], ["1", "2"], []):
            client.run("begin")
            answer = client.messages(m.bind("", "a", values), m.execute(""), m.sync())
            assert m.only(answer, b"E")[0].sqlstate == "42501" and answer[-1].body == b"E", answer
            client.run("rollback")
        client.run("begin")
        assert told(client, m.bind("", "a", ["1"]), m.execute("", 1), m.sync()) == [b"42501"]
        client.run("rollback")
        assert told(client, m.bind("", "a", ["1"]), m.execute(""), m.sync()) == [b"42501"]
        for types in ((23,), (25, 25), (17,)):
            client.run("begin")
            assert told(client, m.parse("", call, types), m.bind("", "", ["1"]), m.execute(""),
                        m.sync()) == [b"42501"]
            client.run("rollback")


@test(targets=FOREBAY)
def all_of_it_at_once(lab: Lab) -> None:
    """BEGIN, what says whose it is, and what is done, in one Query."""
    target = says(lab, pool_size=1)
    with target.connect() as client, target.connect("other") as other:
        def types(text: str) -> bytes:
            client.send(m.query(text))
            answer = client.until_ready()
            client.status = answer[-1].body
            return b"".join(message.type for message in answer).replace(b"T", b"")

        for who in ("2", "1"):
            for way in WAYS[:2] + WAYS[4:]:
                begin = "begin; " + way.format(who).rstrip(";")
                head = b"CDC" if "set_config" in way else b"CC"
                assert types(begin) == head + b"Z", begin
                assert client.status == b"T", (begin, client.status)
                assert client.value(WHOSE) == who
                client.run("commit")
                assert types(begin + f"; ; {WHOSE}; {WHOSE}") == head + b"DCDCZ"
                assert client.status == b"T" and client.value(WHOSE) == who
                client.run("commit")
                count = f"select count(*) from orders where tenant_id = {who}"
                answer = client.messages(m.query(f"{begin}; {count}; commit"))
                assert m.only(answer, b"D")[-1].columns() == [b"5"] and answer[-1].body == b"I"
                # Another's rows, and a second word of it.
                for bad in ("select * from orders where tenant_id = 3", way.format("3"),
                            "select * from orders", "/* tenant=3 */ reset app.tenant_id"):
                    assert types(f"{begin}; {bad}") == head + b"EZ", bad
                    assert client.status == b"E"
                    client.run("rollback")
        answer = client.messages(m.query("begin; set local app.tenant_id = 1; select nothing"))
        error = m.only(answer, b"E")[0]
        assert error.sqlstate == "42703" and error.fields()["P"] == "44", error
        client.run("rollback")
        for text in ("begin; set local app.tenant_id = '1'; selec", "begin; set local app.tenant_id = 'x'",
                     "begin; select 1; set local app.tenant_id = '1'", "begin; begin; set local app.tenant_id = '1'",
                     "begin isolation level serializable; set local app.tenant_id = '1'",
                     "begin; select set_config('app.tenant_id', $1, true)"):
            assert types(text) == b"EZ", text
            assert client.status in b"IE", text
            if client.status == b"E":
                client.run("rollback")
        # It waits for a server.
        other.run("begin")
        client.send(m.query(f"begin; set local app.tenant_id = '1'; {WHOSE}"))
        assert client.read().type == b"C" and client.read().type == b"C" and client.quiet
        other.run("commit")
        assert m.only(client.until_ready(), b"D")[0].columns() == [b"1"]
        client.run("commit")
        # In pieces, and many at once.
        whole = m.query(f"begin; set local app.tenant_id = '2'; {WHOSE}; commit")
        for at in (3, 12, 40, 60):
            client.send(whole[:at])
            client.send(whole[at:])
            assert m.only(client.until_ready(), b"D")[0].columns() == [b"2"]
        assert told(client, whole + whole.replace(b"'2'", b"'1'") + whole, count=3) == [
            b"2", b"1", b"2"]
    # Who keeps its server connection.
    with target.connect() as client:
        keeps(client)
        for who, has in (("1", b"t"), ("2", b"34000")):
            assert told(client, m.query(f"begin; set local app.tenant_id = {who}; {KEPT}")) == [has]
            client.run("rollback")


@test(targets=FOREBAY)
def attacks_behind_a_setting(lab: Lab) -> None:
    """Row security alone; what says whose it is stands in the same text."""
    make_tables(lab, row_security=True)
    target = start(lab, {**ROW_SECURITY, **SAYS})
    before = foreign_rows(lab)
    with target.connect() as client:
        for text in corpus("-"):
            for begin in ("begin; set local app.tenant_id = '1'",
                          "begin; select set_config('app.tenant_id', '1', true)"):
                answer = say(client, f"{begin}; {text}")
                assert not any(b"foreign" in message.body for message in answer
                               if message.type == b"D"), (text, answer)
                if client.status != b"I":
                    say(client, "rollback")
                answer = say(client, f"begin; set local app.tenant_id = '2'; {WHOSE}; rollback")
                assert m.only(answer, b"D")[0].columns() == [b"2"] and client.status == b"I", text
    assert foreign_rows(lab) == before


@test(targets=FOREBAY)
def claims_behind_a_setting(lab: Lab) -> None:
    target = with_claims(lab, **SAYS)
    own = "select count(*), min(tenant_id) from orders"
    with target.connect() as client:
        for who in ("1", "2", "2", "1"):
            for way in WAYS:
                client.run("begin")
                client.messages(m.query(way.format(who)))
                assert client.rows(own) == [("5", who)]
                client.run("commit")
            answer = client.messages(m.query(f"begin; {WAYS[4].format(who)}; {own}; commit"))
            assert m.only(answer, b"D")[-1].columns() == [b"5", who.encode()], answer
    with lab.postgres.admin("app") as admin:
        admin.run("drop schema forebay cascade")
