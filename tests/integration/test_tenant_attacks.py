"""Ways around what keeps tenants apart that are no statements of the corpus: names of prepared
statements, the order of messages, encodings."""

from __future__ import annotations

from typing import Iterator

from lab import messages as m
from lab.declare import FOREBAY, test
from lab.lab import Lab

from test_tenants import FIREWALL, FOREIGN, ROW_SECURITY, make_tables, say, start, told

# What Forebay's own prepared statements would do for a client.

OURS = (
    'execute {}_forebay_set{}(\'app.tenant_id\', \'2\')',
    'execute {}_forebay_set{}(\'standard_conforming_strings\', \'off\')',
    'explain analyze execute {}_forebay_set{}(\'app.tenant_id\', \'2\')',
    'create temp table t as execute {}_forebay_set{}(\'app.tenant_id\', \'2\')',
    'explain analyze create temp table t as execute {}_forebay_set{}(\'app.tenant_id\', \'2\')',
    'create temp table execute (a) as execute {}_forebay_set{}(\'app.tenant_id\', \'2\')',
    'deallocate {}_forebay_set{}', 'deallocate prepare {}_forebay_set{}',
)
QUOTES = (("", ""), ('"', '"'), ('U&"', '"'), ('u&"\\005f', '"'),
          ('U&"!005f', '"/**/ uescape\n\'!\''), ('U&"#005f', '"UESCAPE $$#$$'))


def names_of_ours() -> Iterator[str]:
    for text in OURS:
        for before, behind in QUOTES:
            first = "{}_" if "5f" in before else "{}"
            yield text.replace(first, before, 1).replace("{}", behind)


@test(modes=("transaction", "session"), targets=FOREBAY)
def the_statements_of_the_proxy_are_nobodys(lab: Lab) -> None:
    """What it prepared for itself sets any setting."""
    make_tables(lab, row_security=True)
    mode = lab.variant.mode
    target = start(lab, ROW_SECURITY, pool_size=1)
    own = "select count(*), min(tenant_id), current_setting('standard_conforming_strings') " \
          "from orders"
    with target.connect() as client:
        for text in names_of_ours():
            for whole in (text, f"{text}; {own}", "reset all; " * 1001 + text):
                answer = say(client, whole)
                assert m.only(answer, b"E")[0].sqlstate in ("26000", "42501"), (mode, whole[-120:],
                                                                                answer)
                assert client.rows(own) == [("5", "1", "on")], (mode, whole[-120:])
            if mode == "transaction" or "deallocate" in text:
                continue
            assert told(client, m.parse("", text), m.sync()) in (
                "26000 ReadyForQuery", "42501 ReadyForQuery"), text
        values = ["app.tenant_id", "2"]
        for portal in ("", "x" * 2000):
            answer = told(client, m.bind(portal, "_forebay_set", values), m.execute(portal),
                          m.sync())
            assert answer == "26000 ReadyForQuery", answer
            answer = told(client, m.bind(portal, "_forebay_set", [*values, "x" * 70_000]),
                          m.execute(portal), m.sync())
            assert answer in ("26000 ReadyForQuery", "54000 ReadyForQuery",
                              "42501 ReadyForQuery"), answer
            assert client.rows(own) == [("5", "1", "on")]
        assert told(client, m.describe_statement("_forebay_set"),
                    m.sync()) == "26000 ReadyForQuery"
        assert told(client, m.close_statement("_forebay_set"),
                    m.sync()) == "CloseComplete ReadyForQuery"
        # A client may have a statement of such a name; it is its own.
        for name in ("_forebay_set", "_forebay_1"):
            assert told(client, m.parse(name, "select 7"), m.bind("", name), m.execute(""),
                        m.close_statement(name), m.sync()) == (
                "ParseComplete BindComplete DataRow CommandComplete CloseComplete "
                "ReadyForQuery"), name
        client.run("reset all")
        assert client.rows(own) == [("5", "1", "on")]


@test(targets=FOREBAY)
def an_argument_of_execute_is_checked_whatever_the_name_is(lab: Lab) -> None:
    make_tables(lab)
    target = start(lab, FIREWALL, pool_size=1)
    with target.connect("other") as other, target.connect() as client:
        text = "select * from orders where tenant_id = $1"
        other.extended(text, ["2"], name="s")
        client.extended(text, ["1"], name="s")
        for number in range(1, 9):
            for text in (f'execute U&"_forebay_{number}" (2)', f'execute _forebay_{number} (2)'):
                assert told(client, m.query(text)) in ("26000 ReadyForQuery",
                                                       "42501 ReadyForQuery"), text


# The setting of row level security, where RESET and DISCARD are said in ways of their own.

@test(targets=FOREBAY)
def the_setting_survives_any_reset(lab: Lab) -> None:
    make_tables(lab, row_security=True)
    target = start(lab, ROW_SECURITY, pool_size=1)
    own = "select count(*), min(tenant_id) from orders"
    look = (m.parse("", own), m.bind("", ""), m.execute(""))

    def run(text: str, portal: str = "") -> bytes:
        return m.parse("", text) + m.bind(portal, "") + m.execute(portal)

    with target.connect() as client:
        def all_own(*pieces: bytes) -> list[m.Message]:
            # Where an error skips the rest, nobody knows how many answers come.
            client.send(*pieces, m.query("rollback"), m.query("select 'the end'"))
            answer = [client.read()]
            while not answer[-1].body.endswith(b"the end"):
                answer.append(client.read())
            client.until_ready()
            rows = [row.body for row in m.only(answer, b"D")][:-1]
            assert not any(row.endswith(b"2") or row.endswith(b"\xff" * 4) for row in rows), answer
            # Without the setting, the policy's cast fails.
            assert not any(error.sqlstate == "22P02" for error in m.only(answer, b"E")), answer
            assert client.rows(own) == [("5", "1")], pieces
            return answer

        for reset in ("discard all", "reset all"):
            all_own(m.parse("", "select 1"), m.query(reset), m.query(own), m.sync())
            all_own(run("select 1"), m.query(reset), m.query(own), m.sync())
            all_own(run(reset), *look, m.sync())
            all_own(run(reset), m.query(own), m.sync())
            all_own(run(reset), *look, m.query(own), m.sync(), *look, m.sync())
            answer = all_own(run(reset), m.sync(), *look, m.sync())
            assert not m.only(answer, b"E"), answer
        # Portals that nobody remembers any more.
        client.run("begin")
        client.messages(m.parse("r", "reset all"), m.parse("s", "set work_mem = '5MB'"), m.sync())
        many = [m.bind(f"p{i}", "s") for i in range(64)]
        all_own(*many, m.sync(), m.bind("q", "r"), m.execute("q"), *look, m.sync())
        # A Bind fails: the portal is what it was.
        for portal in ("p", ""):
            for name, text in (("s1", "savepoint a"), ("s2", "rollback to a"), ("s3", own)):
                client.messages(m.close_statement(name), m.parse(name, text), m.sync())
            client.run("begin")
            all_own(m.bind(portal, "r"), m.bind("b", "s1"), m.bind("c", "s2"), m.execute("b"),
                    m.sync(), m.bind(portal, "s3" if portal else "nobody"), m.sync(),
                    m.execute("c"), m.execute(portal), *look, m.sync())
        # A server takes 63 bytes of a name of a portal.
        for size in (64, 900, 5000):
            client.run("begin")
            all_own(m.bind("x" * 64, "r"), m.execute("x" * 63 + "y" * size), *look, m.sync())
        # EXECUTE of EXECUTE of ...
        client.messages(m.parse("e0", "reset all"), m.sync())
        for i in range(12):
            client.messages(m.parse(f"e{i + 1}", f"execute e{i}"), m.sync())
        for i in range(1, 13):
            all_own(m.query(f"execute e{i}; {own}"))
            all_own(m.query(f"execute e{i}"), m.query(own))
            all_own(m.bind("", f"e{i}"), m.execute(""), *look, m.sync())
        all_own(m.query("reset all; " * 1001 + own))
        # Simple ones are no tenant's loss.
        for text in ("discard all", "reset all", "reset work_mem; reset all", "execute e1"):
            if text == "execute e1":
                client.messages(m.parse("e0", "reset all"), m.parse("e1", "execute e0"), m.sync())
            client.run(text)
            assert client.rows(own) == [("5", "1")], text


@test(modes=("session",), targets=FOREBAY)
def the_setting_survives_any_reset_in_session_mode(lab: Lab) -> None:
    make_tables(lab, row_security=True)
    target = start(lab, ROW_SECURITY, pool_size=1)
    own = "select count(*), min(tenant_id) from orders"
    with target.connect() as client:
        for text in ("discard all", "reset all"):
            client.run(text)
            assert client.rows(own) == [("5", "1")], text
        # A Parse that fails, a Close that is skipped: nobody knows what the name is.
        client.messages(m.parse("s", "reset all"), m.sync())
        client.messages(m.parse("s", "select 1"), m.sync())
        client.messages(m.bind("", "s"), m.execute(""), m.sync())
        assert client.rows(own) == [("5", "1")]
        client.messages(m.query("execute s"))
        assert client.rows(own) == [("5", "1")]


# Tables of the same name in other schemas.

@test(targets=FOREBAY)
def tables_that_search_path_finds(lab: Lab) -> None:
    """An exception for a table of one schema is none for those of its name in others."""
    make_tables(lab)
    with lab.direct().connect() as owner:
        owner.run("create schema shop")
        owner.run("create table shop.plans as select tenant_id, id, secret from orders")
    target = start(lab, FIREWALL)
    with target.connect() as client:
        assert len(client.rows("select * from public.plans")) == 4
        client.run("set search_path to shop")
        for text in ("select * from plans", "update plans set secret = 'x'", "copy plans to stdout",
                     "select * from shop.plans", "select * from plans p, public.plans q"):
            assert told(client, m.query(text)) == "42501 ReadyForQuery", text
        assert len(client.rows("select * from plans where tenant_id = 1")) == 5
        assert len(client.rows("select * from public.plans")) == 4


# What an error quotes.

EARLY = {
    "secret::int = 0": "22P02", "secret::uuid is not null": "22P02",
    "secret::json is not null": "22P02",
    "split_part(secret, ' ', 1)::regclass is not null": "42P01",
    "split_part(secret, ' ', 1)::regnamespace is not null": "3F000",
    "secret::tsquery is not null": "42601",
    "('_forebay_1 ' || secret)::tsquery is not null": "42601",
    "current_setting(secret) is not null": "42704",
    "date_trunc(secret, now()) is not null": "22023",
    "secret::inet is not null": "22P02",
}


@test(targets=FOREBAY)
def errors_show_no_rows(lab: Lab) -> None:
    """The server evaluates a client's condition for rows that the tenant's drops."""
    make_tables(lab)
    with lab.direct().connect() as owner:
        owner.run("create table slots (tenant_id int, during int4range, "
                  "exclude using gist (during with &&))")
        owner.run("insert into slots values (2, '[42,43)')")
    target = start(lab, FIREWALL)
    with target.connect() as client:
        for condition, state in EARLY.items():
            text = (f"select id from orders where id = 22 and {condition} and "
                    f"tenant_id in ({', '.join('1' * 8)})")
            answer = told(client, m.query(text))
            assert answer == f"RowDescription {state} ReadyForQuery", (condition, answer)
            answer = told(client, m.parse("", text), m.bind("", ""), m.execute(""), m.sync())
            assert answer == f"ParseComplete BindComplete {state} ReadyForQuery", condition
        error = client.error(m.query("select id from orders where id = 22 and secret::int = 0 and "
                                     "tenant_id in (1, 1, 1, 1, 1, 1, 1, 1)"))
        assert error.text == "invalid input syntax for type integer", error
        error = client.error(m.query("insert into slots (tenant_id, during) values (1, '[1,99)')"))
        assert error.sqlstate == "23P01" and b"42" not in error.body, error
        # What a client has written itself, it may read.
        for text, words in (("select * from nowhere", '"nowhere"'), ("select 'abc'::int", '"abc"'),
                            ("select * from orders where tenant_id = 1 and id = 'abc'", '"abc"'),
                            ("insert into orders (tenant_id, id) values (1, 11)", "11"),
                            ("select 1 / 0", "division by zero")):
            assert words.encode() in client.error(m.query(text)).body, text
        error = client.error(m.parse("", "select $1::int"), m.bind("", "", ["abc"]), m.sync())
        assert b'"abc"' in error.body, error
        answer = client.messages(m.query("copy countries from stdin"), m.copy_data(b"abc\n"),
                                 m.copy_done())
        assert b'"abc"' in m.only(answer, b"E")[0].body, answer


# What is said of rows in other ways: notices, messages over 64 KiB, positions and contexts of what
# is no text of the client's, names that stand in errors without quotes.

FOUR = ("(ascii(secret) * 16777216::bigint + ascii(substr(secret, 2)) * 65536 + "
        "ascii(substr(secret, 3)) * 256 + ascii(substr(secret, 4)))::oid")
NUMBER = str(int.from_bytes(FOREIGN[:4], "big")).encode()
SAID = {
    "to_regtype(replace(secret, ' ', '_') || repeat('x', 64)) is null": "",
    "xpath_exists('/a', ('<a xmlns=\"' || replace(secret, ' ', '_') || '\"/>')::xml)": "",
    "(repeat('x', 70000) || secret)::int = 0": "22P02",
    "current_setting(repeat('x', 70000) || secret) is not null": "42704",
    "to_regtype(repeat('x', 70000) || replace(secret, ' ', '_')) is null": "",
    "secret::regtype is not null": "42601",
    "has_type_privilege(secret, 'usage')": "42601",
    "to_regtype(secret) is not null": "42601",
    "pg_get_object_address('type', array['a[' || secret], '{}') is not null": "42601",
    "pg_get_object_address('function', array[secret], '{}') is not null": "42883",
    "to_ascii(secret, secret::name) is null": "42704",
    f"pg_tablespace_location({FOUR}) is not null": "58P01",
}


def said_of_rows(answer: list[m.Message]) -> list[m.Message]:
    return [each for each in answer if each.type in b"EN" and (
        FOREIGN in each.body or NUMBER in each.body or each.type == b"N")]


@test(targets=FOREBAY, within=60)
def nothing_else_is_said_of_rows(lab: Lab) -> None:
    make_tables(lab)
    with lab.direct().connect() as owner:
        owner.run("create function hint(text) returns boolean language plpgsql as "
                  "'begin raise notice ''operator said''; return true; end'")
    target = start(lab, FIREWALL)
    with target.connect() as client:
        client.run("set cpu_operator_cost = 0")  # conditions are evaluated as they are written
        for condition, state in SAID.items():
            where = f"where secret like 'foreign%' and {condition} and tenant_id = 1"
            for text in (f"select id from orders {where}",
                         f"update orders set note = 'x' {where}"):
                for pieces in ((m.query(text),),
                               (m.parse("", text), m.bind("", ""), m.execute(""), m.sync())):
                    answer = client.messages(*pieces)
                    assert not said_of_rows(answer), (text, answer)
                    states = [each.sqlstate for each in m.only(answer, b"E")]
                    assert states == [state] * bool(state), (text, answer)
        # What is nobody's row.
        for text, words in (("begin; begin; commit", "already a transaction"),
                            ("select hint('x')", "operator said"),
                            ("select id from orders where tenant_id = 1 and hint(secret)",
                             "operator said")):
            notices = m.only(client.messages(m.query(text)), b"N")
            assert notices and words.encode() in notices[0].body, (text, notices)
        answer = client.messages(m.parse("", f"select 1 as {'x' * 64}"), m.sync())
        assert b"truncated" in m.only(answer, b"N")[0].body, answer


RAISING = """
create function refuse(code text) returns boolean language plpgsql as $$
begin
  raise exception 'order 7 is closed' using errcode = code, detail = 'since May', hint = 'reopen it';
end $$;
create function fails(word text) returns boolean language plpgsql as $$
begin
  return word::int = 0;
end $$;
create function passes_on(word text) returns boolean language plpgsql as $$
begin
  return word::int = 0;
exception when others then
  raise;
end $$;
create function late() returns trigger language plpgsql as
  $$ begin raise exception 'the books are closed' using errcode = 'U0002'; end $$;
create trigger late before insert on items for each row execute function late();
"""


@test(targets=FOREBAY)
def what_functions_of_the_operator_raise_is_told(lab: Lab) -> None:
    """By RAISE, whatever its SQLSTATE. What else fails in them is not."""
    make_tables(lab)
    with lab.direct().connect() as owner:
        owner.run(RAISING)
    target = start(lab, FIREWALL)
    with target.connect() as client:
        for code in ("P0001", "U0001", "HX123", "22023", "42P10", "0A000", "55000", "23514"):
            for text in (f"select refuse('{code}')",
                         f"select id from orders where tenant_id = 1 and refuse('{code}')"):
                for pieces in ((m.query(text),),
                               (m.parse("", text), m.bind("", ""), m.execute(""), m.sync())):
                    error = client.error(*pieces)
                    assert error.sqlstate == code and error.text == "order 7 is closed", error
                    assert b"since May" in error.body and b"reopen it" in error.body, error
        error = client.error(m.query("insert into items (tenant_id, id) values (1, 900)"))
        assert error.sqlstate == "U0002" and error.text == "the books are closed", error
        client.run("set cpu_operator_cost = 0")
        for function in ("fails", "passes_on"):
            error = client.error(m.query(f"select id from orders where secret like 'foreign%' and "
                                         f"{function}(secret) and tenant_id = 1"))
            assert error.sqlstate == "22P02", error
            assert error.text == "invalid input syntax for type integer", error
            assert not said_of_rows([error]), error
        error = client.error(m.query("insert into orders (tenant_id, id) values (1, 1) on conflict "
                                     "(note) do nothing"))
        assert error.sqlstate == "42P10" and error.text.startswith("there is no unique"), error


# Names of tables in another encoding than the configuration's.

@test(targets=FOREBAY)
def names_in_other_encodings(lab: Lab) -> None:
    make_tables(lab)
    with lab.direct().connect() as owner:
        owner.run("create table aufträge as select * from orders")
    target = start(lab, {**FIREWALL, "tables": ["aufträge"]}, pool_size=1)
    with target.connect() as client:
        assert client.error(m.query("select * from aufträge")).sqlstate == "42501"
        assert len(client.rows("select * from aufträge where tenant_id = 1")) == 5
        for encoding in ("LATIN1", "latin9", "WIN1252"):
            client.run(f"set client_encoding = '{encoding}'")
            for text in ("select * from auftr\xe4ge", 'select * from "auftr\xe4ge"',
                         'select * from U&"auftr\\00e4ge"'):
                answer = client.messages(m.query(text.encode("latin-1")))
                assert m.only(answer, b"E")[0].sqlstate == "42501", (encoding, text, answer)
            assert client.value("select 1 from countries limit 1") == "1"
            client.run("set client_encoding = 'UTF8'")
