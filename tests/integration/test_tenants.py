"""Tenants in one database: none sees or changes another's rows, with the firewall alone and with row
level security alone, and what a tenant may do is as without a proxy."""

from __future__ import annotations

import hmac
import time
import tomllib
from pathlib import Path
from typing import Any, Iterator, Optional

from lab import messages as m
from lab.declare import FOREBAY, test
from lab.forebay import binary
from lab.lab import Lab
from lab.process import LabError, run, wait_until
from lab.target import Database, Target
from lab.wire import Client, ServerError, refused

from test_console import rows as console_rows

CORPUS = Path(__file__).parents[1] / "unit/routing/corpus/firewall.txt"

# Whatever is tenant 2's has this in it.
FOREIGN = b"foreign"

TABLES = ("orders", "items", "notes")
SCHEMA = """
create table countries (id int primary key, name text, tenant_id int, x int);
create table plans (id int primary key);
create sequence s;
create sequence orders_id_seq;
create table orders (tenant_id int not null, id int not null, total numeric default 0, note text,
    status text, secret text, country int, parent int, order_id int, at timestamptz, tags text[],
    data jsonb, constraint pk primary key (tenant_id, id), unique (id));
create table items (tenant_id int not null, id int primary key, order_id int, price numeric,
    secret text, x text, tags text[]);
create table notes (tenant_id int not null, id int primary key, item int, secret text);
insert into countries select n, 'country ' || n, n % 3, n from generate_series(1, 4) n;
insert into plans select n from generate_series(1, 4) n;
insert into orders select t, 10 * t + n, n, who || ' note', 's' || n % 2, who || ' secret', n,
    10 * t + n - 1, n, '2024-01-01', array[who || ' tag'], jsonb_build_object('a', who)
    from (values (1, 'own'), (2, 'foreign')) v (t, who), generate_series(1, 5) n;
insert into items select t, 10 * t + n, 10 * t + n, n, who || ' secret', who, array[who]
    from (values (1, 'own'), (2, 'foreign')) v (t, who), generate_series(1, 5) n;
insert into notes select t, 10 * t + n, 10 * t + n, who || ' secret'
    from (values (1, 'own'), (2, 'foreign')) v (t, who), generate_series(1, 5) n;
analyze;
"""

FIREWALL: dict[str, Any] = {
    "databases": ["app"], "users": {"app": "1", "other": "2"}, "column_type": "integer",
    "firewall": "enforce", "tables": ["*", *TABLES], "shared_tables": ["countries", "public.plans"],
}
ROW_SECURITY: dict[str, Any] = {
    "databases": ["app"], "users": {"app": "1", "other": "2"}, "column_type": "integer",
    "setting": "app.tenant_id",
}


def corpus(signs: str) -> list[str]:
    lines = CORPUS.read_text().splitlines()
    return [line[2:] for line in lines if line[:1] in signs and line[1:2] == " "]


def make_tables(lab: Lab, row_security: bool = False) -> None:
    with lab.direct().connect() as owner:
        owner.run(SCHEMA)
        for table in TABLES if row_security else ():
            owner.run(f"alter table {table} enable row level security, "
                      "force row level security")
            owner.run(f"create policy own on {table} using "
                      "(tenant_id = current_setting('app.tenant_id')::int)")


def start(lab: Lab, tenants: dict[str, Any], pool_size: int = 2, **options: Any) -> Target:
    """Both tenants' clients have the same server connections."""
    app = Database(user="app", password="app-secret")
    return lab.target(tenants=tenants, databases={"app": app}, pool_size=pool_size,
                      options=options)


def foreign_rows(lab: Lab) -> list[Any]:
    """All of them, and that is all they are."""
    with lab.postgres.admin("app") as admin:
        result: list[Any] = []
        for table in TABLES:
            result += admin.rows(f"select t::text from {table} t where tenant_id = 2 or "
                                 f"t::text like '%foreign%' order by 1")
        return result + admin.rows("select c::text from countries c where c::text like '%foreign%'")


def say(client: Client, sql: str) -> list[m.Message]:
    """A Query's answer. A copy-in that begins is ended."""
    client.send(m.query(sql))
    answer: list[m.Message] = []
    while not answer or answer[-1].type != b"Z":
        answer.append(client.read())
        if answer[-1].type == b"G":
            client.send(m.copy_fail("no"))
    client.status = answer[-1].body
    return answer


def attacks(lab: Lab, target: Target) -> Iterator[tuple[str, list[m.Message]]]:
    before = foreign_rows(lab)
    with target.connect("other") as victim:
        victim.run("select 1")
        client = target.connect()
        for text in corpus("-"):
            answer = say(client, text)
            assert not any(FOREIGN in message.body for message in answer), (text, answer)
            yield text, answer
            if client.status != b"I":
                client.run("rollback")
        client.close()
    assert foreign_rows(lab) == before


@test(targets=FOREBAY)
def attacks_on_the_firewall(lab: Lab) -> None:
    make_tables(lab)
    # The corpus speaks of the setting, too.
    target = start(lab, {**FIREWALL, "setting": "app.tenant_id"})
    for text, answer in attacks(lab, target):
        assert m.names(answer) == "ErrorResponse ReadyForQuery", (text, answer)
        # Nothing is bound to the parameters of a Query: the server itself refuses those.
        states = ("42501", "42P02") if "$1" in text else ("42501",)
        assert answer[0].sqlstate in states, (text, answer)


@test(targets=FOREBAY)
def attacks_on_row_security(lab: Lab) -> None:
    make_tables(lab, row_security=True)
    target = start(lab, ROW_SECURITY)
    ran = sum(m.only(answer, b"C") != [] for _, answer in attacks(lab, target))
    assert ran > 100, ran


def comparable(text: str) -> bool:
    """Whether two runs must give the same."""
    words = text.lower()
    return not any(word in words for word in (
        "now()", "pg_backend_pid", "nextval", "analyze", "discard", "app.tenant_id", "oid",
        "current_setting", "application_name", "show all", "tablesample", "commit", "end",
        "deallocate", "execute p", "version()", "transaction"))


@test(targets=FOREBAY)
def honest_statements_are_as_without_a_proxy(lab: Lab) -> None:
    make_tables(lab)
    target = start(lab, {**FIREWALL, "setting": "app.tenant_id"})
    good = 0
    with target.connect() as client, lab.direct().connect() as direct:
        for text in corpus("+"):
            if "advisory" in text:
                continue  # the two would wait for each other
            answers = []
            for each in (client, direct):
                each.run("begin")
                answer = say(each, text)
                if each.status != b"I":
                    each.run("rollback")
                answers.append([message for message in answer if message.type not in b"SN"])
            assert not any(message.sqlstate == "42501" for message in m.only(answers[0], b"E")), (
                text, answers[0])
            if comparable(text):
                assert answers[0] == answers[1], (text, answers)
            good += m.only(answers[0], b"E") == []
    assert good > 200, good


# Claims.

KEY = "0123456789abcdef0123456789abcdef"


def claim(backend: Optional[str], tenant: str, at: float, key: str = KEY,
          nonce: str = "-0123456789abcdef") -> str:
    signed = f"{backend}.{int(at)}{nonce}."
    mac = hmac.new(key.encode(), (signed + tenant).encode(), "sha256").hexdigest()
    return f"{signed}{mac}.{tenant}"


def with_claims(lab: Lab, **tenants: Any) -> Target:
    make_tables(lab)
    target = start(lab, {**ROW_SECURITY, "claim_key": KEY, **tenants}, admin_users="app")
    sql = run([str(binary()), "tenant-sql", target.folder / "forebay.toml"]).out
    with lab.postgres.admin("app") as admin:
        admin.run(sql)
        for table in TABLES:
            admin.run(f"alter table {table} enable row level security, force row level security")
            admin.run(f"create policy own on {table} using "
                      "(tenant_id = (select forebay.tenant())::int)")
    return target


@test(targets=FOREBAY)
def claims(lab: Lab) -> None:
    """Signed for this server process, sent ahead of what needs it, whoever had the process before."""
    target = with_claims(lab)
    own = "select count(*), min(tenant_id) from orders"
    with target.connect("app") as one, target.connect("other") as two:
        for _ in range(3):
            assert one.rows(own) == [("5", "1")] and two.rows(own) == [("5", "2")]
        one.run("begin")
        assert two.rows(own) == [("5", "2")]
        assert one.rows(own) == [("5", "1")]
        one.run("rollback")
        one.run("discard all")
        assert one.rows(own) == [("5", "1")]
        batch = (m.bind("", "s"), m.execute(""), m.sync())
        for client, tenant in ((one, b"1"), (two, b"2")):
            client.messages(m.parse("s", own), m.sync())
            client.send(*batch * 3)
            rows = m.only(client.until_ready(3), b"D")
            assert [row.body[-1:] for row in rows] == [tenant] * 3, rows
        assert one.error(m.query("select * from forebay.claim_key")).sqlstate == "42501"
        assert one.error(m.query("set app.tenant_id = '2'")).sqlstate == "42501"
        with target.connect("app", database="forebay") as console:
            shown = {row[0]: row for row in console.rows("show tenants")}
        assert shown["1"][1] == "1" and shown["1"][6] == "1" and shown["2"][6] == "0", shown
    with lab.postgres.admin("app") as admin:
        admin.run("drop schema forebay cascade")


@test(targets=FOREBAY)
def no_two_claims_are_the_same(lab: Lab) -> None:
    """Of one tenant, for one server process, and made in the same second, mostly."""
    target = with_claims(lab)
    said = set()
    for _ in range(20):
        with target.connect("app") as client:
            said.add(client.value("select current_setting('app.tenant_id')"))
    assert len(said) == 20, said
    with lab.postgres.admin("app") as admin:
        admin.run("drop schema forebay cascade")


@test(targets=FOREBAY)
def claims_cannot_be_forged(lab: Lab) -> None:
    """What felled a plain setting, on a connection that nobody watches."""
    target = with_claims(lab)
    with target.connect("app") as client:
        mine = client.value("select current_setting('app.tenant_id')")
        assert mine is not None and mine.endswith(".1"), mine
    count = "select count(*) from orders"
    now = time.time()
    with lab.direct().connect(**{"app.tenant_id": "2"}) as direct:
        backend = direct.value("select pg_backend_pid()")

        def try_claim(value: str) -> Optional[str]:
            direct.run(f"select set_config('app.tenant_id', '{value}', false)")
            return direct.value(count)
        assert direct.value(count) == "0"
        signed = claim(backend, "2", now)
        for value in ("2", "", mine, mine[:-1] + "2", claim(backend, "2", now, "x" * 32),
                      signed.replace("-0123", "-4567"),
                      signed.replace("-0123456789abcdef", ""),
                      claim("1", "2", now), claim(backend, "2", now - 120),
                      claim(backend, "2", now + 120), claim(backend, "2", now)[:-1] + "1"):
            assert try_claim(value) == "0", value
        # With the key one could.
        assert try_claim(claim(backend, "2", now)) == "5"
        assert try_claim(claim(backend, "2", now, nonce="")) == "5"  # as before there were nonces
        assert try_claim("2") == "0"
        for attack in (f"with x as (select set_config('app.tenant_id', '2', false)) {count}, x",
                       f"{count} where set_config('app.tenant_id', '2', false) = '2'"):
            assert direct.value(attack) == "0", attack
        direct.run("do $$ begin perform set_config('app.ten' || 'ant_id', '2', false); end $$")
        assert direct.value(count) == "0"
        direct.run("begin")
        direct.run("commit; set app.tenant_id = '2'")
        assert direct.value(count) == "0"
    with lab.direct().connect(options="-c app.tenant_id=2") as direct:
        assert direct.value(count) == "0"
    with lab.postgres.admin("app") as admin:
        admin.run("drop schema forebay cascade")


# Values of parameters.

def told(client: Client, *pieces: bytes) -> str:
    """What came, with the SQLSTATE of errors."""
    answer = client.messages(*pieces)
    assert not any(FOREIGN in message.body for message in answer), answer
    return " ".join(message.sqlstate or message.name for message in answer)


@test(targets=FOREBAY)
def values_of_parameters(lab: Lab) -> None:
    make_tables(lab)
    target = start(lab, FIREWALL)
    own = "ParseComplete BindComplete" + " DataRow" * 5 + " CommandComplete ReadyForQuery"
    again = own.removeprefix("ParseComplete ")
    text = "select * from orders where tenant_id = $1"
    run = (m.execute(""), m.sync())
    with target.connect() as client:
        for name in ("", "s"):
            assert told(client, m.parse(name, text), m.bind("", name, ["1"]), *run) == own
            for value in ("2", " 1", "1 ", "+1", "01", "", "1.0"):
                assert told(client, m.bind("", name, [value]), *run) == "42501 ReadyForQuery", value
            assert told(client, m.bind("", name, [None]), *run) == "42501 ReadyForQuery"
            assert told(client, m.bind("", name, []), *run) == "42501 ReadyForQuery"
            assert told(client, m.bind("", name, ["1"]), *run) == again
            for size in (2, 4, 8):
                value, other = (n.to_bytes(size, "big") for n in (1, 2))
                types = {2: 21, 4: 23, 8: 20}
                assert told(client, m.parse(f"{name}{size}", text, [types[size]]),
                            m.bind("", f"{name}{size}", [value], formats=[1]), *run) == own
                assert told(client, m.bind("", f"{name}{size}", [other], formats=[1]),
                            *run) == "42501 ReadyForQuery"
        # A float8 of these bytes is another number.
        assert told(client, m.parse("f", text, [701]), *run) == "42501 ReadyForQuery"
        # Closed in a batch that fails, it is still there.
        assert told(client, m.bind("", "nobody", []), m.close_statement("s"),
                    m.sync()) == "26000 ReadyForQuery"
        assert told(client, m.bind("", "s", ["2"]), *run) == "42501 ReadyForQuery"
        assert told(client, m.close_statement("s"), m.parse("s", "select $1::int"),
                    m.bind("", "s", ["2"]), *run).startswith("CloseComplete ParseComplete Bind")
        assert told(client, m.close_statement("s"), m.parse("s", text), m.bind("", "s", ["2"]),
                    *run) == "CloseComplete ParseComplete 42501 ReadyForQuery"
        # By SQL's EXECUTE nobody would look at it.
        assert told(client, m.query("execute s (2)")) == "42501 ReadyForQuery"
        assert told(client, m.parse("", "execute s (2)"), m.bind("", ""),
                    *run) == "42501 ReadyForQuery"
    with target.connect("other") as other:
        assert other.value("select count(*) from orders where tenant_id = 2") == "5"


@test(targets=FOREBAY)
def refusals_are_errors_like_others(lab: Lab) -> None:
    make_tables(lab)
    target = start(lab, FIREWALL, pool_size=1)
    bad, run = "select * from orders", (m.bind("", ""), m.execute(""))
    with target.connect() as client:
        error = client.error(m.query(bad))
        assert error.text.startswith('table "orders" refused for tenants: '), error
        assert client.status == b"I"
        # In a transaction, that has failed.
        client.run("begin")
        client.run("insert into orders (tenant_id, id) values (1, 99)")
        assert client.error(m.query(bad)).sqlstate == "42501"
        assert client.status == b"E"
        assert client.error(m.query("select 1")).sqlstate == "25P02"
        client.run("commit")
        assert client.value("select count(*) from orders where tenant_id = 1 and id = 99") == "0"
        # Savepoints hold.
        client.run("begin")
        client.run("savepoint a")
        assert client.error(m.query(bad)).sqlstate == "42501"
        client.run("rollback to a")
        assert client.value("select 1") == "1"
        client.run("commit")
        # One batch: what is behind it is skipped, what was before it is undone.
        insert = m.parse("", "insert into orders (tenant_id, id) values (1, 98)")
        assert told(client, insert, *run, m.parse("", bad), *run, insert, *run, m.sync()) == (
            "ParseComplete BindComplete CommandComplete 42501 ReadyForQuery")
        assert client.value("select count(*) from orders where tenant_id = 1 and id = 98") == "0"
        # Pipelined batches: each has its own answer.
        good = m.parse("", "select 1")
        client.send(good, *run, m.sync(), m.parse("x", bad), m.sync(), good, *run, m.sync(),
                    m.query(bad), good, *run, m.sync())
        answer = m.names(client.until_ready(5))
        each = "ParseComplete BindComplete DataRow CommandComplete ReadyForQuery"
        assert answer == (f"{each} ErrorResponse ReadyForQuery {each} "
                          f"ErrorResponse ReadyForQuery {each}"), answer
        # The name was not taken.
        assert told(client, m.bind("", "x"), m.sync()) == "26000 ReadyForQuery"
        # Large ones, and what has no text.
        large = "select * from orders where tenant_id = 1 and note <> '" + "x" * 70_000 + "'"
        assert told(client, m.query(large)) == "42501 ReadyForQuery"
        assert told(client, m.parse("", large), m.sync()) == "42501 ReadyForQuery"
        assert told(client, m.function_call(1598, [])) == "42501 ReadyForQuery"
        text = "insert into orders (tenant_id, id, note) values ($1, $2, $3)"
        for tenant, state in (("1", "CommandComplete"), ("2", "42501")):
            answer = told(client, m.parse("", text), m.bind("", "", [tenant, "77", "x" * 100_000]),
                          m.execute(""), m.sync())
            assert state in answer, answer
        # Nothing of it hinders others.
        target.check_healthy("other")
    assert "tenant_statement_refused" in target.log


@test(targets=FOREBAY)
def copies_and_cursors(lab: Lab) -> None:
    make_tables(lab)
    target = start(lab, FIREWALL)
    with target.connect() as client:
        answer = client.messages(m.query("copy (select id from orders where tenant_id = 1 "
                                         "order by 1) to stdout"))
        assert [x.body for x in m.only(answer, b"d")] == [b"%d\n" % n for n in range(11, 16)]
        client.run("begin")
        client.run("declare c cursor for select note from orders where tenant_id = 1")
        assert len(client.rows("fetch 3 from c")) == 3
        client.run("commit")
        # A copy-in that has failed on the server, which the proxy has not heard of yet.
        client.send(m.query("copy countries from stdin"), m.copy_data(b"nonsense\n"),
                    m.parse("", "select * from orders"), m.bind("", ""), m.execute(""), m.sync(),
                    m.query("select * from orders"), m.terminate())
        assert not any(FOREIGN in message.body for message in client.until_end())


# The owned setting.

@test(targets=FOREBAY)
def the_setting_is_the_tenants(lab: Lab) -> None:
    make_tables(lab, row_security=True)
    target = start(lab, ROW_SECURITY, pool_size=1)
    counts = "select count(*), min(tenant_id) from orders"
    with target.connect() as one, target.connect("other") as two:
        for _ in range(3):
            assert one.rows(counts) == [("5", "1")]
            assert two.rows(counts) == [("5", "2")]
            assert one.extended(counts, name="s", prepare=_ == 0) == [("5", "1")]
            assert two.extended(counts, name="s", prepare=_ == 0) == [("5", "2")]
        for text in ("reset all", "discard all", "set work_mem = '5MB'"):
            one.run(text)
            assert two.rows(counts) == [("5", "2")]
            assert one.rows(counts) == [("5", "1")]
        one.run("begin")
        one.run("reset all")
        assert one.rows(counts) == [("5", "1")]
        one.run("rollback")
        assert one.rows("reset all; " + counts) == [("5", "1")]
        assert one.error(m.query("set app.tenant_id = '2'")).sqlstate == "42501"
        assert told(one, m.parse("", "select set_config($1, '2', false)"),
                    m.sync()) == "42501 ReadyForQuery"
        assert one.rows(counts) == [("5", "1")]


# Whose connection it is.

@test(targets=FOREBAY)
def a_session_without_tenant_is_refused(lab: Lab) -> None:
    make_tables(lab)
    tenants = {**FIREWALL, "users": {"app": "1"}, "startup_parameter": "forebay.tenant",
               "setting": "app.tenant_id"}
    target = start(lab, tenants)
    with target.connect() as client:
        assert client.value("show app.tenant_id") == "1"
    error = refused(lambda: target.connect("other"))
    assert error.sqlstate == "28000" and "tenant" in error.text, error
    with target.connect("other", **{"forebay.tenant": "2"}) as client:
        assert client.value("select count(*) from orders where tenant_id = 2") == "5"
    with target.connect("other", options="-c forebay.tenant=2") as client:
        assert client.value("show app.tenant_id") == "2"
    # What is listed goes before what the client says.
    with target.connect(**{"forebay.tenant": "2"}) as client:
        assert client.value("show app.tenant_id") == "1"
    for wrong in ("x", "1 or true", "01"):
        error = refused(lambda: target.connect("other", **{"forebay.tenant": wrong}))
        assert error.sqlstate == "28000", error
    for name, value in (("app.tenant_id", "2"), ("role", "postgres"), ("client_encoding", "SJIS"),
                        ("standard_conforming_strings", "off")):
        for more in ({name: value}, {"options": f"-c {name}={value}"}):
            error = refused(lambda: target.connect(**more))
            assert error.sqlstate == "42501", (name, error)
    error = refused(lambda: target.connect("repl", replication="database"))
    assert error.sqlstate == "28000", error


@test(targets=FOREBAY)
def report_lets_pass(lab: Lab) -> None:
    make_tables(lab)
    target = start(lab, {**FIREWALL, "firewall": "report"})
    with target.connect() as client:
        assert client.value("select count(*) from orders") == "10"
        assert client.extended("select count(*) from orders where tenant_id = $1",
                               ["2"]) == [("5",)]
    wait_until(lambda: target.log.count("tenant_statement_reported") == 2, "two reports")
    target.stop()
    # Values are the tables', also where a setting is owned.
    for more in ({"firewall": "report", "setting": "app.tenant_id"}, {"report_tables": ["orders"]}):
        target = start(lab, {**FIREWALL, **more})
        with target.connect() as client:
            assert len(client.rows("select id from orders where tenant_id = any('{2}')")) == 5
        target.stop()


@test(targets=FOREBAY)
def some_have_limits_of_their_own(lab: Lab) -> None:
    target = start(lab, {"databases": ["app"], "users": {"app": "small", "other": "large"},
                         "max_tenant_client_connections": 2, "max_waiting_statements": 0,
                         "limits": {"small": {"max_statements": 1},
                                    "large": {"max_tenant_client_connections": 1}}})
    with target.connect() as first, target.connect() as second, target.connect("other") as third:
        error = refused(lambda: target.connect("other"))
        assert error.sqlstate == "53300", error
        assert "(max_tenant_client_connections = 1, set in [tenants.limits.large])" in error.text
        error = refused(target.connect)
        assert "(max_tenant_client_connections = 2, set in [tenants])" in error.text, error
        first.run("begin")
        error = second.error(m.query("select 1"))
        assert error.sqlstate == "53400", error
        assert "(max_statements = 1, set in [tenants.limits.small])" in error.text, error
        third.run("begin")
        first.run("commit")
        # Another thread may hear of it behind the client that was answered.
        wait_until(lambda: not m.only(second.messages(m.query("select 1")), b"E"), "its turn")

    def may_come_again() -> bool:
        try:
            target.connect("other").close()
        except ServerError:
            return False
        return True

    wait_until(may_come_again, "the place of who left is free")


@test(targets=FOREBAY)
def operators_see_whose_clients_they_are(lab: Lab) -> None:
    """With the limits that each has, and in the log."""
    target = start(lab, {"databases": ["app"], "users": {"app": "acme", "other": "b"},
                         "max_tenant_client_connections": 7, "weights": {"acme": 3},
                         "statement_timeout": "2s",
                         "limits": {"acme": {"max_tenant_client_connections": 4}}},
                   stats_users="app")

    def shown(command: str, key: str) -> dict[str, dict[str, str]]:
        return {row[key]: row for row in console_rows(target, command)}
    with target.connect(), target.connect("other"):
        assert shown("show clients extended", "user")["other"]["tenant"] == "b"
        limits = ("max_clients", "max_statements", "statement_timeout_ms", "weight")
        tenants = shown("show tenants extended", "tenant")
        assert [tenants["acme"][limit] for limit in limits] == ["4", "0", "2000", "3"], tenants
        assert [tenants["b"][limit] for limit in limits] == ["7", "0", "2000", "1"], tenants
    wait_until(lambda: " tenant=b client=" in target.log, "the log has it")


@test(targets=FOREBAY)
def statements_take_too_long(lab: Lab) -> None:
    """The tighter limit ends a statement: the tenant's, or that of everybody."""
    target = start(lab, {"databases": ["app"], "users": {"app": "small", "other": "large"},
                         "statement_timeout": "400ms",
                         "limits": {"small": {"statement_timeout": "100ms"},
                                    "large": {"statement_timeout": "0"}}},
                   statement_timeout="200ms")
    for user, limit in (("app", "100ms, set in [tenants.limits.small]"),
                        ("other", "200ms, set in [pool]")):
        with target.connect(user) as client:
            error = client.error(m.query("select pg_sleep(600)"))
            assert error.sqlstate == "57014", error
            assert f"due to statement_timeout ({limit})" in error.text, error
            assert client.value("select 1") == "1"


@test(modes=("transaction",), targets=FOREBAY)
def what_is_learned_closes_the_rest(lab: Lab) -> None:
    """The file is rules: with dry_run they count, without it they refuse what was not seen."""
    make_tables(lab)
    file = lab.folder / "learned.toml"
    target = start(lab, {**FIREWALL, "learn": ["1"], "learn_file": str(file)})
    with target.connect() as client, target.connect("other") as other:
        client.run("select lower(note) from orders where tenant_id = 1")
        client.messages(m.parse("", "update items set x = 'y' where tenant_id = $1 and id = 0"),
                        m.bind("", "", ["1"]), m.execute(""), m.sync())
        assert client.error(m.query("select * from notes")).sqlstate == "42501"
        other.run("delete from notes where tenant_id = 2 and id = 0")
    wait_until(lambda: file.exists() and "items" in file.read_text(), "it is written")
    assert file.stat().st_mode & 0o777 == 0o600
    target.stop()
    text = file.read_text()
    assert "notes" not in text, "what was refused, and what another does, is not learned"
    rules = tomllib.loads(text)["rules"]
    assert all(rule.pop("dry_run") for rule in rules)
    target = lab.target(tenants=FIREWALL, rules=rules, databases={
        "app": Database(user="app", password="app-secret")})
    with target.connect() as client, target.connect("other") as other:
        client.run("select lower(note) from orders where tenant_id = 1")
        client.run("update items set x = 'z' where tenant_id = 1 and id = 0")
        for sql, why in (("select * from notes where tenant_id = 1", "use this table"),
                         ("select upper(note) from orders where tenant_id = 1",
                          "call this function"),
                         ("delete from orders where tenant_id = 1 and id = 0",
                          "run this kind of statement")):
            error = client.error(m.query(sql))
            assert error.sqlstate == "42501" and error.text == f"tenant 1 may not {why}", error
        other.run("select upper(secret) from notes where tenant_id = 2")
