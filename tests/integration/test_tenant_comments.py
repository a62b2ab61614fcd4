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
    client.status = answer[-1].body
    return [message.columns()[0] if message.type == b"D" else message.sqlstate.encode()
            for message in answer if message.type in (b"D", b"E")]


@test(modes=("transaction", "statement"), targets=FOREBAY)
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
                           (f"/* tenant=x */ {WHOSE}", "names no tenant: \"x\""),
                           (f"/* tenant=1, b=2 */ {WHOSE}", "names no tenant"),
                           (f"/* tenant='1 */ {WHOSE}", "names no tenant"),
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
    stay_what_they_are(pooler(lab))


@test(targets=FOREBAY)
def nobody_becomes_another_within_one_that_waits(lab: Lab) -> None:
    stay_what_they_are(pooler(lab, lazy_begin=True))


def stay_what_they_are(target: Target) -> None:
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
        client.run("/* tenant=1 */ begin")
        assert told(client, m.query(WHOSE) + m.query("commit") + m.query(WHOSE), count=3) == [
            b"1", b"42501"]


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


@test(targets=FOREBAY)
def nothing_is_executed_past_its_bind(lab: Lab) -> None:
    """SQL's EXECUTE of what the protocol prepared as another tenant's, and the other way round."""
    target = pooler(lab)
    with target.connect() as client:
        count = "select count(*) from orders where tenant_id = "
        client.run("/* tenant=1 */ begin")
        client.messages(m.parse("one", count + "1"), m.sync())
        for how in ("execute one", "explain execute one"):
            assert client.error(m.query("savepoint a;" + how)).sqlstate == "42501"
            client.run("rollback; /* tenant=1 */ begin")
            error = client.error(m.parse("both", how), m.bind("", "both"), m.execute(""), m.sync())
            assert error.sqlstate == "42501" and "EXECUTE" in error.text, error
            client.run("rollback")
            client.run("/* tenant=1 */ begin")
        client.run(f"prepare p as {count}1")
        assert told(client, m.bind("", "p"), m.execute(""), m.sync()) == [b"5"]
        client.run("commit")
        for who, state in (("2", b"26000"), ("1", b"26000")):
            client.run(f"/* tenant={who} */ begin")
            assert told(client, m.bind("", "p"), m.execute(""), m.sync()) == [state]
            client.run("rollback")
            assert told(client, m.query(f"/* tenant={who} */ execute p")) == [state]
            assert told(client, m.query(f"/* tenant={who} */ execute one")) == [b"42501"]
        # The one name means another statement to each of them.
        for who in ("1", "2", "1"):
            client.run(f"/* tenant={who} */ prepare p as {count}{who}")
            assert client.value(f"/* tenant={who} */ execute p") == "5"


@test(targets=FOREBAY)
def nothing_outlasts_a_tenant(lab: Lab) -> None:
    """Who becomes another's is what it was after its login."""
    make_tables(lab)
    target = start(lab, {**POOLER, "databases": ["app"], "users": {}, "setting": ""})
    with target.connect(TimeZone="Asia/Tokyo", options="-c search_path=public") as client:
        for what, usual in (("search_path", "public"), ("statement_timeout", "0"),
                            ("lock_timeout", "0"), ("timezone", "Asia/Tokyo"),
                            ("application_name", "")):
            value = {"search_path": "evil", "timezone": "UTC"}.get(what, "12345")
            for way in (f"set {what} = '{value}'", f"select set_config('{what}', '{value}', false)",
                        f"select from set_config('{what}', '{value}', false)"):
                client.run(f"/* tenant=1 */ {way}")
                answer = client.messages(m.query(f"/* tenant=2 */ select current_setting('{what}')"
                                                 ))
                assert m.only(answer, b"D")[0].columns() == [usual.encode()], (what, way, answer)
                if what == "timezone":
                    assert m.only(answer, b"S")[-1].body == b"TimeZone\0Asia/Tokyo\0", answer
                assert client.value(f"/* tenant=1 */ show {what}") == usual, way
        left = (("create temp table orders as select 2 as tenant_id", "select to_regclass("
                 "'pg_temp.orders')", None),
                ("declare c cursor with hold for select 1", "select count(*) from pg_cursors", "0"),
                ("select pg_advisory_lock(7)", "select count(*) from pg_locks where locktype = "
                 "'advisory' and pid = pg_backend_pid()", "0"),
                ("listen news", "select count(*) from pg_listening_channels()", "0"),
                ("prepare p as select 1", "select count(*) from pg_prepared_statements", "0"),
                ("select nextval('s')", "select 1", "1"))
        for does, asks, answer in left:
            client.run(f"/* tenant=1 */ {does}")
            assert client.value(f"/* tenant=2 */ {asks}") == answer, does
            assert client.value(f"/* tenant=1 */ {asks}") == answer, does
        assert told(client, m.query("/* tenant=1 */ select nextval('s')"))[0] is not None
        assert told(client, m.query("/* tenant=2 */ select lastval()")) == [b"55000"]
        assert told(client, m.query("/* tenant=1 */ select lastval()")) == [b"55000"]
        # What nobody says whose it is takes nothing away from whose it was.
        client.run("/* tenant=1 */ listen news")
        assert client.error(m.query("select 1")).sqlstate == "42501"
        client.run("/* tenant=1 */ notify news, 'here'")
        with target.connect() as other:
            other.run("/* tenant=1 */ notify news, 'there'")
        assert b"there" in client.read_until(b"A")[-1].body


@test(targets=FOREBAY)
def shared_listeners_leave_with_their_tenant(lab: Lab) -> None:
    make_tables(lab)
    target = start(lab, {**POOLER, "databases": ["app"], "users": {}}, shared_listen=True)
    with target.connect() as client, target.connect() as sender:
        client.run("/* tenant=1 */ listen news")
        sender.run("/* tenant=1 */ notify news, 'one'")
        assert b"one" in client.read_until(b"A")[-1].body
        client.run("/* tenant=2 */ select 1")
        sender.run("/* tenant=1 */ notify news, 'two'")
        assert client.value("/* tenant=2 */ select 5") == "5"
        assert client.quiet
        client.run("/* tenant=1 */ listen news")
        sender.run("/* tenant=1 */ notify news, 'three'")
        assert b"three" in client.read_until(b"A")[-1].body


@test(targets=FOREBAY)
def what_closes_says_nothing_of_a_tenant(lab: Lab) -> None:
    """A batch that begins with a Close, while the session keeps its server connection."""
    target = pooler(lab)
    count = "select count(*) from orders where tenant_id = "
    with target.connect() as client:
        client.run("/* tenant=1 */ begin")
        client.messages(m.parse("one", count + "1"), m.parse("gone", "select 1"), m.sync())
        client.run("commit")
        for bound in (False, True):
            if bound:
                client.run("/* tenant=1 */ listen news")
            for close in (m.close_statement("gone"), m.close_portal("gone"), m.close_statement(""),
                          m.close_statement("gone") + m.flush()):
                batch = close + m.bind("", "one") + m.execute("") + m.sync()
                answer = client.messages(batch)
                assert m.names(answer) == "CloseComplete ErrorResponse ReadyForQuery", answer
                batch = close + m.parse("", WHOSE) + m.bind("", "") + m.execute("") + m.sync()
                assert told(client, batch) == [b"42501"]
            batch = m.close_statement("x") + m.parse("", f"/* tenant=1 */ {WHOSE}") + \
                m.bind("", "") + m.execute("") + m.sync()
            assert told(client, batch) == [b"1"]
        batch = m.close_statement("x") + m.parse("", f"/* tenant=2 */ {WHOSE}") + \
            m.bind("", "") + m.execute("") + m.sync()
        assert told(client, batch) == [b"2"]
        assert told(client, m.bind("", "one") + m.execute("") + m.sync()) == [b"42501"]


@test(targets=FOREBAY)
def who_may_ask_for_lastval_is_one_tenant(lab: Lab) -> None:
    """The server connection that is kept for it goes, with what was to be flushed there."""
    make_tables(lab)
    target = start(lab, {**POOLER, "databases": ["app"], "users": {}})
    with target.connect() as client, target.connect() as other:
        other.run("/* tenant=1 */ select nextval('s')")
        other.value("/* tenant=1 */ select lastval()")
        for _ in range(3):
            client.run("/* tenant=1 */ select nextval('s')")
            assert told(client, m.flush() + m.query(WHOSE)) == [b"42501"]
            assert told(client, m.flush() + m.query(f"/* tenant=2 */ {WHOSE}")) == [b"2"]
            client.run("/* tenant=1 */ select nextval('s')")
            assert client.value("/* tenant=1 */ select lastval() = last_value from s") == "t"
            assert told(client, m.query("/* tenant=2 */ select lastval()")) == [b"55000"]


@test(targets=FOREBAY)
def rules_are_the_transactions_tenants(lab: Lab) -> None:
    """They are remembered with what is prepared, and that passes from tenant to tenant."""
    make_tables(lab)
    target = lab.target(tenants={**FIREWALL, **POOLER}, pool_size=2,
                        rules=[{"name": "no two", "tenants": ["2"], "functions": ["upper"],
                                "error": "not for 2"},
                               {"name": "all", "functions": ["lower"], "error": "for nobody"}])
    text = "select upper('a')"
    with target.connect() as client:
        def say(who: str) -> list[Optional[bytes]]:
            client.run(f"/* tenant={who} */ begin")
            both = []
            for name in ("u", ""):
                both += told(client, m.bind("", name), m.execute(""), m.sync())
            client.run("rollback")
            return both

        client.run("/* tenant=1 */ begin")
        client.messages(m.parse("u", text), m.parse("", text), m.sync())
        assert told(client, m.bind("", "u"), m.execute(""), m.sync()) == [b"A"]
        client.run("commit")
        # A Query makes the unnamed statement go: it is prepared by what begins the transaction.
        for who, state in (("2", b"42501"), ("1", b"A"), ("2", b"42501")):
            assert say(who)[0] == state, who
            answer = told(client, m.parse("", f"/* tenant={who} */ {text}"), m.sync())
            assert answer == ([] if state == b"A" else [state]), answer


@test(targets=FOREBAY)
def a_begin_is_held_past_rules_of_one_tenant(lab: Lab) -> None:
    """Nobody knows whose it is before the first statement says so."""
    make_tables(lab)
    target = lab.target(tenants={**FIREWALL, **POOLER}, pool_size=1,
                        rules=[{"name": "none of 2", "tenants": ["2"], "kinds": ["begin", "commit"],
                                "error": "not for 2"}])
    with target.connect() as client:
        for who, end in (("1", []), ("2", [b"42501"]), ("1", [])):
            for begin in (m.query("begin"),
                          m.parse("", "begin") + m.bind("", "") + m.execute("") + m.sync()):
                assert told(client, begin) == []
                assert client.value(f"/* tenant={who} */ {WHOSE}") == who
                assert told(client, m.query("commit")) == end
                if end:
                    client.run("rollback")


@test(targets=FOREBAY)
def debts_are_one_tenants(lab: Lab) -> None:
    """What another has moved too many bytes for waits for nobody else; its own statements do."""
    target = pooler(lab)
    console(target, "limit tenant 1 max_bytes_per_second = '1KiB';")
    with target.connect() as client:
        client.value("/* tenant=1 */ select repeat('x', 7900)")  # those of almost eight seconds
        assert client.value(f"/* tenant=2 */ {WHOSE}", within=5) == "2"
        client.send(m.query(f"/* tenant=1 */ {WHOSE}"))
        assert client.quiet
        client.cancel()
        assert m.only(client.until_ready(), b"E")[0].sqlstate == "57014"
        assert client.value(f"/* tenant=2 */ {WHOSE}") == "2"


@test(targets=FOREBAY)
def large_texts_have_comments_too(lab: Lab) -> None:
    """Where nothing refuses what is not read."""
    make_tables(lab)
    target = start(lab, {**POOLER, "databases": ["app"], "users": {}, "setting": "",
                         "firewall": "off"}, admin_users="app")
    much = "/*" + "x" * 100_000 + "*/"
    with target.connect() as client:
        def named(text: str, name: str = "") -> bytes:
            return m.parse(name, text) + m.bind("", name) + m.execute("") + m.sync()

        for text in (f"/* tenant=1 */ select 1 {much}", f"/* {' ' * 200} tenant=1 */ select 1 {much}"):
            for sent in (m.query(text), named(text)):
                client.run("/* tenant=2 */ begin")
                assert told(client, sent) == [b"42501"]
                client.run("rollback")
                assert told(client, sent) == [b"1"]
                before = int(tenant(target, "1")["statements"])
                assert told(client, sent) == [b"1"]
                assert int(tenant(target, "1")["statements"]) == before + 1
        for text in (f"select 1 {much}", f"/* {' ' * 2000} tenant=1 */ select 1 {much}",
                     f"{' ' * 2000}/* tenant=1 */ select 1 {much}"):
            for sent in (m.query(text), named(text), named(text, "n" * 2000)):
                assert told(client, sent) == [b"42501"]
        client.run("/* tenant=2 */ begin")
        assert told(client, named(f"/* tenant=1 */ select 1 {much}", "n" * 2000)) == [b"42501"]


@test(targets=FOREBAY)
def refusals_are_booked_to_who_is_named(lab: Lab) -> None:
    target = pooler(lab)
    console(target, "ban tenant 2 reason 'abuse';")
    with target.connect() as client:
        client.run("/* tenant=1 */ select 1")

        def booked() -> dict[str, tuple[int, int]]:
            return {who: (int(tenant(target, who)["errors"]), int(tenant(target, who)["refused"]))
                    for who in ("1", "other")}

        before = booked()
        for _ in range(3):
            assert client.error(m.query("select 1")).sqlstate == "42501"
        assert booked() == {"1": before["1"], "other": (before["other"][0] + 3,
                                                        before["other"][1] + 3)}
        for _ in range(2):
            error = client.error(m.query(f"/* tenant=2 */ {WHOSE}"))
            assert error.sqlstate == "42501" and "is banned: abuse" in error.text, error
        assert booked()["1"] == before["1"] and int(tenant(target, "2")["refused"]) == 2


@test(targets=FOREBAY)
def orders_and_limits_hold_for_its_transactions(lab: Lab) -> None:
    target = pooler(lab)
    with target.connect() as client:
        console(target, "limit tenant 1 max_tenant_connections = 1;")
        with target.connect() as holder:
            holder.run("/* tenant=1 */ begin")
            client.send(m.query(f"/* tenant=1 */ {WHOSE}"))
            with target.connect() as third:
                assert third.value(f"/* tenant=3 */ {WHOSE}") == "3"
            assert client.quiet
            holder.run("commit")
            assert m.only(client.until_ready(), b"D")[0].columns() == [b"1"]
        # Its place goes with what keeps its server connection.
        with target.connect() as other:
            client.run("/* tenant=1 */ listen news")
            client.run("/* tenant=2 */ select 1")
            assert other.value(f"/* tenant=1 */ {WHOSE}") == "1"


def batch(*texts: str) -> bytes:
    """Each by the unnamed statement, all in one batch."""
    return b"".join(m.parse("", text) + m.bind("", "") + m.execute("") for text in texts) + m.sync()


@test(targets=FOREBAY)
def a_begin_that_says_nothing_waits_for_what_does(lab: Lab) -> None:
    """As drivers say it."""
    target = pooler(lab)
    with target.connect() as client:
        for begin in ("begin", "start transaction read only", "begin isolation level repeatable read"):
            for who in ("2", "1"):
                client.run(begin)
                assert client.status == b"T"
                assert client.value(f"/* tenant={who} */ {WHOSE}") == who
                assert client.value(WHOSE) == who
                assert client.error(m.query(f"/* tenant=3 */ {WHOSE}")).sqlstate == "42501"
                client.run("rollback")
        assert told(client, batch("begin", f"/* tenant=2 */ {WHOSE}")) == [b"2"]
        answer = client.messages(m.query(WHOSE))
        assert client.status == b"T" and m.only(answer, b"D")[0].columns() == [b"2"], answer
        client.run("commit")
        for end in ("commit", "rollback"):
            client.run("begin")
            client.run(end)
            assert client.status == b"I"
        client.run("begin")
        assert client.error(m.query(WHOSE)).sqlstate == "42501" and client.status == b"E"
        assert client.error(m.query(f"/* tenant=1 */ {WHOSE}")).sqlstate == "25P02"
        client.run("rollback")
        assert told(client, batch("begin", WHOSE)) == [b"42501"] and client.status == b"E"
        client.run("rollback")
        # It comes in pieces.
        whole = batch("begin", f"/* tenant=1 */ {WHOSE}")
        for at, begun in ((8, b""), (20, b""), (30, b""), (40, b"12C")):
            client.send(whole[:at])
            # What BEGIN itself is answered may come at once.
            assert b"".join(client.read().type for _ in begun) == begun and client.quiet
            client.send(whole[at:])
            assert m.only(client.until_ready(), b"D")[0].columns() == [b"1"]
            client.run("commit")
        # One that some servers refuse has to say it itself.
        serializable = "begin isolation level serializable"
        assert client.error(m.query(serializable)).sqlstate == "42501" and client.status == b"I"
        client.run(f"/* tenant=1 */ {serializable}")
        assert client.value(WHOSE) == "1"
        client.run("commit")
        # The session keeps its server connection, for the tenant that has it.
        client.run("/* tenant=1 */ listen news")
        client.run("begin")
        assert client.value(f"/* tenant=1 */ {WHOSE}") == "1"
        client.run("notify news, 'here'")
        assert b"here" in m.only(client.messages(m.query("commit")), b"A")[0].body
        client.run("begin")
        assert client.value(f"/* tenant=2 */ {WHOSE}") == "2"
        client.run("notify news, 'there'")
        assert not m.only(client.messages(m.query("commit")), b"A") and client.quiet


@test(targets=FOREBAY)
def a_setting_behind_begin_says_it(lab: Lab) -> None:
    make_tables(lab)
    target = start(lab, {**FIREWALL, "users": {"other": "2"}, "setting": "app.tenant_id",
                         "setting_users": ["app"]})
    count = "select count(*) from orders where tenant_id = "
    with target.connect() as client, target.connect("other") as other:
        for who in ("1", "2", "1"):
            for says in (f"set local app.tenant_id = '{who}'", f"SET LOCAL app.tenant_id TO '{who}';"):
                client.run("begin")
                answer = client.messages(m.query(says))
                assert m.names(answer) == "CommandComplete ReadyForQuery", answer
                assert answer[0].body == b"SET\0" and client.value(WHOSE) == who
                assert told(client, batch(count + who)) == [b"5"]
                assert client.error(m.query("set local app.tenant_id = '3'")).sqlstate == "42501"
                client.run("rollback")
                assert told(client, batch("begin", says, WHOSE)) == [who.encode()]
                client.run("commit")
        for text in (WHOSE, f"/* tenant=1 */ {WHOSE}", "set local app.tenant_id = '1'",
                     "set app.tenant_id = '1'", "set local app.tenant_id = '1'; begin",
                     "select set_config('app.tenant_id', '1', true)"):
            assert client.error(m.query(text)).sqlstate == "42501", text
        for text in (WHOSE, "set local app.tenant_id = 'x'", "set local app.tenant_id = ''",
                     "set local app.tenant_id = '1'; select 1", "set app.tenant_id = '1'",
                     "set local other.tenant_id = '1'", "set session app.tenant_id = '1'",
                     "set local app.tenant_id = 01", "set local app.tenant_id = 1.0",
                     "set local app.tenant_id = '1', '2'", "set local app.tenant_id = '1' || ''"):
            client.run("begin")
            assert client.error(m.query(text)).sqlstate == "42501", text
            client.run("rollback")
        other.run("begin")
        assert other.error(m.query("set local app.tenant_id = '1'")).sqlstate == "42501"
        other.run("rollback")
        assert other.value(WHOSE) == "2"


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


@test(targets=FOREBAY)
def a_large_batch_behind_a_begin(lab: Lab) -> None:
    """More than is read ahead, and nothing that says whose it is: it is refused, and does not wait."""
    with pooler(lab).connect() as client:
        client.run("begin")
        answer = client.messages(m.parse("", f"select $1::text /* {'x' * 40_000} */"),
                                 m.bind("", "", ["y" * 60_000]), m.execute(""), m.sync())
        assert m.only(answer, b"E")[0].sqlstate == "42501", answer
