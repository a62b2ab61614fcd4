"""Users who may have all tenants' data say whose each transaction is, by a comment at its head."""

from __future__ import annotations

from typing import Optional

from lab import messages as m
from lab import ports
from lab.declare import FOREBAY, test
from lab.lab import Lab
from lab.scrape import Scrape
from lab.target import Target
from lab.wire import Client, refused

from test_console import console
from test_tenant_orders import tenant
from test_tenants import FIREWALL, ROW_SECURITY, corpus, foreign_rows, make_tables, say, start, \
    with_claims

POOLER = {"users": {"other": "2"}, "comment_users": ["app"], "setting": "app.tenant_id"}
WHOSE = "select current_setting('app.tenant_id')"


def pooler(lab: Lab, **options: object) -> Target:
    make_tables(lab)
    return start(lab, {**FIREWALL, **POOLER}, admin_users="app", **options)


def told(client: Client, *sent: bytes, count: int = 1) -> list[Optional[bytes]]:
    """The values of all rows, and the SQLSTATE of each error."""
    client.send(*sent)
    answer = client.until_ready(count)
    return [message.columns()[0] if message.type == b"D" else message.sqlstate.encode()
            for message in answer if message.type in (b"D", b"E")]


@test(targets=FOREBAY)
def transactions_say_whose_they_are(lab: Lab) -> None:
    port = ports.claim()
    target = pooler(lab, http=f"127.0.0.1:{port}")
    with target.connect() as client, target.connect("other") as other:
        for _ in range(2):
            for who in ("1", "2"):
                assert client.value(f"/* tenant={who} */ {WHOSE}") == who
                assert client.value(f"/*tenant = '{who}'*/ select count(*) from orders "
                                    f"where tenant_id = {who}") == "5"
        for text, says in ((WHOSE, "nothing says which tenant"),
                           (f"/* no tenant */ {WHOSE}", "nothing says which tenant"),
                           (f"{WHOSE} /* tenant=1 */", "nothing says which tenant"),
                           (f"/* tenant=x */ {WHOSE}", "\"x\" is no tenant"),
                           (f"/* tenant=1, b=2 */ {WHOSE}", "is no tenant"),
                           (f"/* tenant='1 */ {WHOSE}", "is no tenant"),
                           ("/* tenant=1 */ select * from orders where tenant_id = 2", "orders")):
            error = client.error(m.query(text))
            assert error.sqlstate == "42501" and says in error.text, (text, error)
            error = client.error(m.parse("", text), m.bind("", ""), m.execute(""), m.sync())
            assert error.sqlstate == "42501" and says in error.text, (text, error)
        # Others are what they logged in as.
        assert other.value(f"/* tenant=1 */ {WHOSE}") == "2"
        found = Scrape(port)
        assert all(found.sum("tenant_statements_total", tenant=who) > 2 for who in ("1", "2"))
    assert int(tenant(target, "1")["statements"]) > 2


@test(targets=FOREBAY)
def nobody_becomes_another_within_a_transaction(lab: Lab) -> None:
    target = pooler(lab)
    with target.connect() as client:
        client.run("/* tenant=1 */ begin")
        assert client.value(WHOSE) == "1" and client.value(f"/* tenant=1 */ {WHOSE}") == "1"
        error = client.error(m.query(f"/* tenant=2 */ {WHOSE}"))
        assert error.sqlstate == "42501" and "names another tenant" in error.text, error
        assert client.status == b"E"
        client.run("rollback")
        assert client.error(m.query(WHOSE)).sqlstate == "42501"
        # All at once: each is its own.
        texts = [f"/* tenant={who} */ {WHOSE}" for who in ("1", "2", "2", "1")]
        assert told(client, b"".join(m.query(text) for text in [*texts, WHOSE, *texts]),
                    count=9) == [b"1", b"2", b"2", b"1", b"42501", b"1", b"2", b"2", b"1"]
        batches = [m.parse("", text) + m.bind("", "") + m.execute("") + m.sync() for text in texts]
        assert told(client, b"".join(batches), count=4) == [b"1", b"2", b"2", b"1"]
        batch = [m.parse("", text) + m.bind("", "") + m.execute("") for text in texts]
        assert told(client, b"".join(batch), m.sync()) == [b"1", b"42501"]
        # A transaction that ends behind which another's begins, sent at once.
        assert told(client, m.query("/* tenant=1 */ begin") + m.query(WHOSE) + m.query("commit") +
                    m.query(f"/* tenant=2 */ {WHOSE}") + m.query(WHOSE), count=5) == [
                        b"1", b"2", b"42501"]


@test(targets=FOREBAY)
def what_was_prepared_is_judged_where_it_is_executed(lab: Lab) -> None:
    target = pooler(lab)
    with target.connect() as client:
        count = "select count(*) from orders where tenant_id = "
        client.run("/* tenant=1 */ begin")
        client.messages(m.parse("any", count + "$1::int"), m.parse("one", count + "1"), m.sync())
        client.run("commit")
        client.messages(m.parse("says", f"/* tenant=1 */ {count}$1::int"), m.sync())
        for who in ("2", "1", "2"):
            client.run(f"/* tenant={who} */ begin")
            for name, values in (("any", ["1"]), ("any", ["2"]), ("one", []), ("says", ["1"])):
                mine = (values or ["1"])[0] == who
                client.run("savepoint a")
                assert told(client, m.bind("", name, values), m.execute(""), m.sync()) == [
                    b"5" if mine else b"42501"], (who, name, values)
                client.run("rollback to a")
            client.run("commit")
        # Where it begins the transaction, its own comment says whose that is.
        assert told(client, m.bind("", "says", ["1"]), m.execute(""), m.sync()) == [b"5"]
        assert told(client, m.bind("", "says", ["2"]), m.execute(""), m.sync()) == [b"42501"]
        assert told(client, m.bind("", "any", ["1"]), m.execute(""), m.sync()) == [b"42501"]
        client.run(f"/* tenant=1 */ prepare p as {count}1")
        assert client.error(m.query("/* tenant=2 */ execute p")).sqlstate == "42501"
        assert client.value("/* tenant=1 */ execute p") == "5"


@test(targets=FOREBAY)
def who_is_bound_to_a_server_stays_what_it_is(lab: Lab) -> None:
    """And a tenant's orders and limits hold for its transactions alone."""
    target = pooler(lab)
    with target.connect() as client:
        client.run("/* tenant=1 */ listen news")
        error = client.error(m.query(f"/* tenant=2 */ {WHOSE}"))
        assert error.sqlstate == "42501" and "bound to its server connection" in error.text, error
        assert client.error(m.query(WHOSE)).sqlstate == "42501"
        client.run("/* tenant=1 */ unlisten *")
        assert client.value(f"/* tenant=2 */ {WHOSE}") == "2"
        console(target, "ban tenant 2 reason 'abuse'; limit tenant 1 max_tenant_connections = 1;")
        error = client.error(m.query(f"/* tenant=2 */ {WHOSE}"))
        assert error.sqlstate == "42501" and "is banned: abuse" in error.text, error
        with target.connect() as holder:
            holder.run("/* tenant=1 */ begin")
            client.send(m.query(f"/* tenant=1 */ {WHOSE}"))
            with target.connect() as third:
                assert third.value(f"/* tenant=3 */ {WHOSE}") == "3"
            assert client.quiet
            holder.run("commit")
            assert m.only(client.until_ready(), b"D")[0].columns() == [b"1"]


@test(targets=FOREBAY)
def attacks_by_way_of_a_trusted_user(lab: Lab) -> None:
    """Row security alone; between any two of tenant 1's transactions there is one of tenant 2."""
    make_tables(lab, row_security=True)
    target = start(lab, {**ROW_SECURITY, **POOLER})
    before = foreign_rows(lab)
    client = target.connect()
    for text in corpus("-"):
        answer = say(client, f"/* tenant=1 */ {text}")
        assert not any(b"foreign" in message.body for message in answer
                       if message.type == b"D"), (text, answer)
        if client.status != b"I":
            say(client, "rollback")
        assert say(client, f"/* tenant=2 */ {WHOSE}")[-1].body == b"I", text
    client.close()
    assert foreign_rows(lab) == before


@test(targets=FOREBAY)
def claims_are_the_transactions(lab: Lab) -> None:
    target = with_claims(lab, **POOLER)
    own = "select count(*), min(tenant_id) from orders"
    with target.connect() as client, target.connect("other") as other:
        for who in ("1", "2", "2", "1", "2"):
            assert client.rows(f"/* tenant={who} */ {own}") == [("5", who)]
            client.run(f"/* tenant={who} */ begin")
            assert client.rows(own) == [("5", who)]
            client.run("commit")
            assert other.rows(own) == [("5", "2")]
            much = "x" * 200_000
            assert told(client, m.parse("", f"/* tenant={who} */ {own} where note <> $1"),
                        m.bind("", "", [much]), m.execute(""), m.sync()) == [b"5"]
        error = client.error(m.query(f"{own} /* {much} */"))
        assert error.sqlstate == "42501" and "nothing says" in error.text, error
    with lab.postgres.admin("app") as admin:
        admin.run("drop schema forebay cascade")


@test(modes=("session",), targets=FOREBAY)
def whole_sessions_have_one_tenant(lab: Lab) -> None:
    target = start(lab, {**ROW_SECURITY, **POOLER})
    error = refused(target.connect)
    assert error.sqlstate == "0A000" and "comment_users" in error.text, error
