"""BEGIN and what says whose the transaction is, in whatever messages drivers send them."""

from __future__ import annotations

from lab import messages as m
from lab.declare import FOREBAY, test
from lab.drivers import DRIVERS, java_program
from lab.lab import Lab
from lab.process import run

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
