"""Prepared statements in transaction mode, where the server connections change hands."""

from __future__ import annotations

from typing import Callable, Optional

from lab import messages as m
from lab.declare import FOREBAY, POSTGRES_LIKE, test
from lab.lab import Lab
from lab.load import busy
from lab.process import LabError
from lab.target import Target
from lab.wire import Client, ServerError


def value(answer: list[m.Message]) -> str:
    errors = m.only(answer, b"E")
    if errors:
        raise ServerError(errors[0])
    return (m.only(answer, b"D")[0].columns()[0] or b"").decode()


@test(targets=FOREBAY)
def same_name_in_many_clients(lab: Lab) -> None:
    """Each client's "s" is its own statement, on whichever connection it runs."""
    target = lab.target(pool_size=2)

    def client(number: int) -> None:
        with target.connect(within=60) as mine:
            mine.messages(m.parse("s", f"select 'client {number} ' || $1::int"), m.sync())
            for turn in range(40):
                answer = mine.messages(m.bind("", "s", [str(turn)]), m.execute(""), m.sync())
                assert value(answer) == f"client {number} {turn}", answer
    with busy(lab, target, clients=3):
        lab.in_parallel(8, client)


@test(targets=FOREBAY)
def unnamed_statement_belongs_to_its_client(lab: Lab) -> None:
    """Parse, Sync; others come between; Bind, Execute, Sync: still the client's own text."""
    target = lab.target(pool_size=2)

    def client(number: int) -> None:
        with target.connect(within=60) as mine:
            for turn in range(30):
                mine.messages(m.parse("", f"select '{number} {turn}'"), m.describe_statement(""),
                              m.sync())
                assert value(mine.messages(m.bind("", ""), m.execute(""), m.sync())) \
                    == f"{number} {turn}"
    with busy(lab, target, clients=3):
        lab.in_parallel(6, client)


FAILED_TEXTS = ("rollback to b", "ROLLBACK TO SAVEPOINT b", "rollback", "/* c */ rollback", "--\nabort",
                "rollback and chain", "commit", "prepare transaction 'p'", "", ";", "-- nothing",
                "begin", "select 1", "savepoint c")


@test(targets=POSTGRES_LIKE)
def texts_in_a_failed_transaction(lab: Lab) -> None:
    """What leaves a failed transaction can be prepared in it, whoever has prepared it before; what
    does not is refused (25P02). Drivers set savepoints around each statement."""
    def told(target: Target, sql: str) -> list[str]:
        with target.connect() as client:
            client.run("begin; savepoint b")
            client.error(m.query("select 1/0"))
            answer = client.messages(m.parse("s", sql), m.sync())
            errors = [e.sqlstate for e in m.only(answer, b"E")]
            return errors or [answer[0].type.decode()]
    target = lab.target(pool_size=1)
    with target.connect() as first:
        for number, sql in enumerate(FAILED_TEXTS):
            first.messages(m.parse(f"s{number}", sql), m.sync())
    for sql in FAILED_TEXTS:
        assert told(target, sql) == told(lab.direct(), sql), sql


@test(targets=FOREBAY)
def a_taken_name_is_nobody_elses_statement(lab: Lab) -> None:
    """What a client says under a name that it has already, is no text that another executes, also
    where the statement cannot be brought to the server connection first."""
    target = lab.target(pool_size=2)
    shared = "prepare a as select 'right'"
    with target.connect() as client, target.connect() as holder, target.connect() as other:
        client.run(shared)
        # Everything that is said in it is said on the other server connection.
        holder.run("begin")
        client.run("begin")
        client.error(m.query("select 1/0"))
        answer = client.messages(m.query("rollback; prepare a as select 'wrong'"))
        assert [e.sqlstate for e in m.only(answer, b"E")] == ["42P05"], answer
        assert client.status == b"I"
        other.run(shared)
        assert other.value("execute a") == "right"
        holder.run("rollback")
        assert client.value("execute a") == "right"


LISTED = "name, statement, parameter_types, from_sql"
LISTS = {
    "plain": f"select {LISTED} from pg_prepared_statements order by prepare_time",
    "alias": "SELECT p.name, p.* FROM PG_PREPARED_STATEMENTS AS p where prepare_time <= "
             "clock_timestamp() + '1 s' order by 1".replace("p.*", "p.statement, p.parameter_types"),
    "comment": f"-- mine\n/* own */ select {LISTED} from \"pg_prepared_statements\" order by name",
    "with": "with a as (select 1 as one), b as (select * from a) select "
            f"{LISTED}, one from pg_prepared_statements, b order by name",
    "recursive": "with /* so */ recursive n(i) as (select 1 union all select i + 1 from n where "
                 f"i < 2) select {LISTED}, i from pg_prepared_statements, n order by name, i",
    "inside": "select (select count(*) from pg_prepared_statements), array(select name from "
              "pg_prepared_statements where from_sql order by 1)",
    "union": "(select name from pg_prepared_statements) union select 'other' order by 1",
    "whole": "select count(t), count(t.parameter_types) from (table pg_prepared_statements) as t",
    "columns": "select * from pg_prepared_statements where false",
    "wrong": "select nothing from pg_prepared_statements",
}


def listed(client: Client, how: str, which: str) -> list[object]:
    """Rows, columns and errors: what the client sees of its statements."""
    pieces = {"simple": [m.query(LISTS[which])],
              "unnamed": [m.parse("", LISTS[which]), m.bind("", ""), m.describe_portal(""),
                          m.execute(""), m.sync()],
              "named": [m.bind("", "list_" + which), m.describe_portal(""), m.execute(""),
                        m.sync()]}
    answer = client.messages(*pieces[how])
    return [(message.name, message.sqlstate, message.fields().get("P"), message.text)
            if message.type in b"EC" else (message.name, message.columns())
            if message.type in b"D" else (message.name, message.column_names())
            if message.type in b"T" else message.name for message in answer]


@test(params=("simple", "unnamed", "named"), targets=FOREBAY)
def own_statements_are_listed(lab: Lab, how: str) -> None:
    """pg_prepared_statements shows a client its own, whichever connection it has."""
    def seen(target: Target) -> list[object]:
        found: list[object] = []
        with target.connect(within=60) as client, target.connect(within=60) as other:
            other.messages(m.parse("others", "select 'of another'"), m.sync())

            def note(*which: str) -> None:
                found.append({each: listed(client, how, each) for each in which or LISTS})

            if how == "named":
                for each, text in LISTS.items():
                    client.messages(m.parse("list_" + each, text), m.sync())
            note()
            client.messages(m.parse("b", "select $1::int, 'it''s\\'"), m.sync())
            client.run("prepare a(text, numeric) as select $1, $2;")
            note()
            client.messages(m.parse("c", "select $1 || 'x'"), m.bind("", "b", ["1"]),
                            m.execute(""), m.sync())
            other.run("select pg_sleep(0.01)")
            note()
            client.run("begin")
            note("plain", "with")
            client.messages(m.close_statement("b"), m.parse("d", "select 4"), m.sync())
            note("plain", "inside")
            client.run("commit")
            client.run("deallocate c;")
            note()
            client.run("discard all")
            if how != "named":
                note()
        return found

    direct = seen(lab.direct())
    target = lab.target(pool_size=2)
    with busy(lab, target, clients=2):
        for _ in range(3):
            through = seen(target)
            for one, two in zip(direct, through):
                if one == two:
                    continue
                assert isinstance(one, dict) and isinstance(two, dict)
                for each in one:
                    assert one[each] == two[each], f"{each}: {one[each]}\n{two[each]}"


@test(targets=FOREBAY)
def text_is_shared_on_the_server(lab: Lab) -> None:
    """Clients with the same text use one server-side statement."""
    target = lab.target(pool_size=1)
    clients = [lab.keep(target.connect()) for _ in range(10)]
    for number, client in enumerate(clients):
        client.messages(m.parse(f"n{number}", "select 'shared'"), m.bind("", f"n{number}"),
                        m.execute(""), m.sync())
    count = clients[0].value("select count(*) from pg_catalog.pg_prepared_statements where statement = "
                             "'select ''shared'''")
    assert count == "1", count


@test(targets=FOREBAY)
def many_statements_on_few_places(lab: Lab) -> None:
    """More statements than max_prepared_statements, used in turn: old ones are put away and come
    back when they are needed, also many in one batch."""
    target = lab.target(pool_size=2, options={"max_prepared_statements": 5})
    with busy(lab, target, clients=2), target.connect(within=60) as client:
        for n in range(20):
            client.messages(m.parse(f"s{n}", f"select {n} + $1::int"), m.sync())
        for turn in range(5):
            for n in range(20):
                answer = client.messages(m.bind("", f"s{n}", [str(turn)]), m.execute(""), m.sync())
                assert value(answer) == str(n + turn)
        answer = client.messages(*[piece for n in range(20) for piece in
                                   (m.bind("", f"s{n}", ["1"]), m.execute(""))], m.sync())
        got = [int(row.columns()[0] or b"") for row in m.only(answer, b"D")]
        assert got == [n + 1 for n in range(20)], answer


def change(client: Client) -> None:
    client.run("alter table changing add b text default 'new'")


@test(targets=POSTGRES_LIKE)
def new_clients_after_a_change_of_a_table(lab: Lab) -> None:
    """"cached plan must not change result type" may come to who prepared before the change, never
    to a client that came after it."""
    target = lab.target(pool_size=2)
    with target.connect() as client:
        client.run("create table changing (a int); insert into changing values (1)")
    old = lab.keep(target.connect())
    for _ in range(4):
        old.messages(m.parse("all", "select * from changing"), m.bind("", "all"), m.execute(""),
                     m.close_statement("all"), m.sync())
    change(old)
    for _ in range(6):
        with target.connect() as client:
            answer = client.messages(m.parse("all", "select * from changing"),
                                     m.describe_statement("all"), m.bind("", "all"), m.execute(""),
                                     m.sync())
            assert not m.only(answer, b"E"), answer
            assert m.only(answer, b"D")[0].columns() == [b"1", b"new"], answer


def everywhere(lab: Lab, client: Client, name: str, expected: list[bytes]) -> None:
    """Executes a statement, whose last column is the backend, on both connections of the pool."""
    seen: set[Optional[bytes]] = set()
    for _ in range(20000):
        answer = client.messages(m.bind("", name), m.execute(""), m.sync())
        assert not m.only(answer, b"E"), answer
        *row, pid = m.only(answer, b"D")[0].columns()
        assert row == expected, answer
        seen.add(pid)
        if len(seen) == (1 if lab.kind == "direct" else 2):
            return
    raise LabError("every transaction ran on the same connection")


@test(targets=POSTGRES_LIKE)
def prepared_anew_after_a_change(lab: Lab) -> None:
    """As asyncpg and pgx do when they are told of the change: it must help on every connection."""
    target = lab.target(pool_size=2)
    text = "select *, pg_backend_pid() from changing"
    with busy(lab, target, clients=2), target.connect() as client:
        client.run("create table changing (a int); insert into changing values (1)")
        client.messages(m.parse("before", text), m.describe_statement("before"), m.sync())
        everywhere(lab, client, "before", [b"1"])
        change(client)
        error = client.error(m.bind("", "before"), m.execute(""), m.sync())
        assert error.sqlstate == "0A000", error
        client.messages(m.close_statement("before"), m.parse("after", text), m.sync())
        everywhere(lab, client, "after", [b"1", b"new"])


@test(targets=POSTGRES_LIKE)
def told_of_other_rows_before_a_change(lab: Lab) -> None:
    """Who was told what rows its statement gives never gets others, also from a server that
    prepares it only after the change; who can take them as they are goes on."""
    target = lab.target(pool_size=2)
    with busy(lab, target, clients=2), target.connect() as client:
        client.run("create table changing (a int); insert into changing values (1)")
        for name in ("all", "one"):
            client.messages(m.parse(name, f"select {'*' if name == 'all' else 'a'} from changing"),
                            m.describe_statement(name), m.sync())
        change(client)
        for _ in range(10):
            with target.connect() as other:
                # New, so that some server has the statement as it is now.
                other.messages(m.parse("all", "select * from changing"),
                               m.describe_statement("all"), m.sync())
            for begin, end in (("select 1", "select 1"), ("begin", "rollback")):
                client.run(begin)
                error = client.error(m.bind("", "all"), m.execute(""), m.sync())
                assert error.sqlstate == "0A000", error
                assert error.text == "cached plan must not change result type", error
                # Drivers prepare anew when they see this.
                assert error.fields()["R"] == "RevalidateCachedQuery", error.fields()
                if begin == "begin":
                    assert client.error(m.bind("", "one"), m.sync()).sqlstate == "25P02"
                client.run(end)
                assert value(client.messages(m.bind("", "one"), m.execute(""), m.sync())) == "1"
        client.messages(m.close_statement("all"), m.parse("all", "select * from changing"),
                        m.sync())
        answer = client.messages(m.bind("", "all"), m.execute(""), m.sync())
        assert m.only(answer, b"D")[0].columns() == [b"1", b"new"], answer


@test(targets=POSTGRES_LIKE)
def deallocate_by_sql(lab: Lab) -> None:
    """SQL's DEALLOCATE and the protocol share one namespace."""
    target = lab.target(pool_size=2)
    with busy(lab, target, clients=2), target.connect() as client:
        for turn in range(10):
            client.messages(m.parse("gone", f"select {turn}"), m.sync())
            client.run("begin")
            assert value(client.messages(m.bind("", "gone"), m.execute(""), m.sync())) == str(turn)
            client.run("deallocate gone")
            client.run("commit")
            error = client.error(m.bind("", "gone"), m.execute(""), m.sync())
            assert error.sqlstate == "26000", error


@test(targets=POSTGRES_LIKE)
def deallocate_all_by_sql(lab: Lab) -> None:
    target = lab.target(pool_size=2)
    with target.connect() as client, target.connect() as other:
        other.messages(m.parse("kept", "select 'kept'"), m.sync())
        client.messages(m.parse("gone", "select 1"), m.sync())
        for statement in ("deallocate all", "discard plans", "discard all"):
            client.run(statement)
            if statement != "discard plans":
                assert client.error(m.bind("", "gone"), m.sync()).sqlstate == "26000"
            client.messages(m.close_statement("gone"), m.parse("gone", "select 1"), m.sync())
            assert value(client.messages(m.bind("", "gone"), m.execute(""), m.sync())) == "1"
            # Another client's statements are its own.
            assert value(other.messages(m.bind("", "kept"), m.execute(""), m.sync())) == "kept"


@test(targets=FOREBAY)
def statement_of_another_client_is_not_found(lab: Lab) -> None:
    target = lab.target(pool_size=1)
    with target.connect() as owner, target.connect() as thief:
        owner.messages(m.parse("mine", "select 'mine'"), m.sync())
        assert thief.error(m.bind("", "mine"), m.sync()).sqlstate == "26000"
        # Nor by the name that it has on the server.
        names = owner.rows("select name from pg_catalog.pg_prepared_statements")
        for (name,) in names:
            try:
                answer = thief.messages(m.bind("", str(name)), m.execute(""), m.sync())
            except AssertionError:
                continue
            if m.only(answer, b"D"):
                raise LabError(f"{name} was found")


@test(targets=FOREBAY)
def errors_leave_the_names_in_order(lab: Lab) -> None:
    """Failed and skipped Parse messages, many times, on connections that change."""
    target = lab.target(pool_size=2)
    with busy(lab, target, clients=2), target.connect(within=60) as client:
        for turn in range(30):
            answer = client.messages(m.parse("bad", "selec"), m.parse("skipped", "select 1"),
                                     m.sync())
            assert m.names(answer) == "ErrorResponse ReadyForQuery", answer
            for name in ("bad", "skipped"):
                assert client.error(m.bind("", name), m.sync()).sqlstate == "26000"
            client.messages(m.parse("bad", f"select {turn}"), m.sync())
            assert value(client.messages(m.bind("", "bad"), m.execute(""), m.sync())) == str(turn)
            client.messages(m.close_statement("bad"), m.sync())


BLOCKS = {
    "all": "deallocate all",
    "one": "deallocate {}",
    "another": "deallocate {0}; prepare {0} as select 666",
    "another_fails": "deallocate {0}; prepare {0} as select 666; select 1 / 0",
    "made_by_sql": "deallocate {1}; prepare {1} as select 666",
    "settings": "deallocate _forebay_set; prepare _forebay_set(text, text) as select 666",
}


@test(targets=FOREBAY, params=BLOCKS)
def names_that_a_block_takes(lab: Lab, what: str) -> None:
    """A DO block deallocates what clients share, and prepares another text by its name: nobody else
    sees any of it."""
    target = lab.target(pool_size=1)
    with target.connect() as client, target.connect() as other:
        client.messages(m.parse("s", "select 5"), m.bind("", "s"), m.execute(""), m.sync())
        client.run("prepare q as select 6")
        client.run("set extra_float_digits = 2")
        names = [other.value("select name from pg_catalog.pg_prepared_statements where statement "
                             f"like '%select {number}'") for number in (5, 6)]
        block = BLOCKS[what].format(*names).replace(";", "'; execute '")
        text = f"do $$ begin execute '{block}'; end $$"
        if what == "another_fails":
            assert other.error(m.query(text)).sqlstate == "22012"
        else:
            other.run(text)
        answer = client.messages(m.bind("", "s"), m.execute(""), m.sync())
        assert value(answer) == "5", answer
        assert client.value("execute q") == "6"
        assert client.value("show extra_float_digits") == "2"


@test(targets=FOREBAY)
def prepared_within_a_transaction_that_rolls_back(lab: Lab) -> None:
    target = lab.target(pool_size=2)
    with busy(lab, target, clients=2), target.connect() as client:
        for turn in range(10):
            client.run("begin")
            client.messages(m.parse("kept", f"select {turn}"), m.sync())
            client.run("rollback")
            assert value(client.messages(m.bind("", "kept"), m.execute(""), m.sync())) == str(turn)
            client.messages(m.close_statement("kept"), m.sync())


@test(targets=FOREBAY)
def types_make_a_statement_another_one(lab: Lab) -> None:
    target = lab.target(pool_size=1)
    with target.connect() as one, target.connect() as two:
        one.messages(m.parse("t", "select $1", [23]), m.sync())
        two.messages(m.parse("t", "select $1", [25]), m.sync())
        answer = one.messages(m.describe_statement("t"), m.sync())
        assert answer[0].body == b"\0\1\0\0\0\x17", answer
        answer = two.messages(m.describe_statement("t"), m.sync())
        assert answer[0].body == b"\0\1\0\0\0\x19", answer


@test(targets=FOREBAY)
def after_a_change_of_search_path(lab: Lab) -> None:
    """A statement was prepared for one client's search_path; another client's is another."""
    target = lab.target(pool_size=1)
    with target.connect() as client:
        client.run("create schema one; create table one.place (n text); "
                   "insert into one.place values ('one')")
        client.run("create schema two; create table two.place (n text); "
                   "insert into two.place values ('two')")
    with target.connect(options="-c search_path=one") as one, \
            target.connect(options="-c search_path=two") as two:
        for client in (one, two):
            client.messages(m.parse("s", "select n from place"), m.sync())
        for _ in range(4):
            for client, expected in ((one, "one"), (two, "two")):
                assert value(client.messages(m.bind("", "s"), m.execute(""), m.sync())) == expected
    lab.postgres.rows("drop schema one cascade; drop schema two cascade", "app")


@test(targets=FOREBAY)
def execute_of_what_was_put_away(lab: Lab) -> None:
    """PostgreSQL decides when it prepares and binds an EXECUTE whether that gives rows, and which:
    the statement that it executes has to be on the server before."""
    target = lab.target(pool_size=1, options={"max_prepared_statements": 1})
    with target.connect() as client, target.connect() as other:
        client.run("prepare five as select 5 as n")
        executing = (m.parse("", "execute five"), m.bind("", ""), m.execute(""), m.sync())
        named = (m.bind("", "named"), m.execute(""), m.sync())
        chained = (m.bind("", "chained"), m.execute(""), m.sync())
        for name, text in (("named", "execute five"), ("chained", "explain analyze execute five"),
                           ("twice", "execute named")):
            answer = client.messages(m.parse(name, text), m.sync())
            assert not m.only(answer, b"E"), answer

        def elsewhere() -> None:
            for n in range(3):
                other.messages(m.parse(f"s{n}", f"select {n}"), m.sync())

        for _ in range(2):
            elsewhere()
            assert value(client.messages(*executing)) == "5"
            elsewhere()
            assert value(client.messages(*named)) == "5"
            elsewhere()
            assert "Result" in value(client.messages(*chained))
            for ask in (m.parse("", "execute five"), m.parse("", "execute named")):
                elsewhere()
                answer = client.messages(ask, m.describe_statement(""), m.sync())
                assert b"n\0" in m.only(answer, b"T")[0].body, answer
            elsewhere()
            answer = client.messages(m.describe_statement("named"), m.sync())
            assert b"n\0" in m.only(answer, b"T")[0].body, answer
            elsewhere()
            assert client.rows("execute named") == [("5",)]
            elsewhere()
            assert client.rows("execute twice") == [("5",)]
            elsewhere()
            answer = client.messages(m.bind("", "twice"), m.execute(""), m.sync())
            assert value(answer) == "5"


@test(targets=FOREBAY, params={
    "as": "create temp table shadowed as select 42 as a",
    "into": "select 42 as a into temp shadowed",
    "explain": "explain analyze create temp table shadowed as select 42 as a",
    "execute": "prepare q as select 42 as a; create temp table shadowed as execute q"})
def tables_that_hide_others(lab: Lab, how: str) -> None:
    """What a text meant before there was a temporary table of that name is no answer any more."""
    make = tables_that_hide_others.declaration.params[how]      # type: ignore[attr-defined]
    target = lab.target(pool_size=1)
    with target.connect() as client, target.connect() as other:
        client.run("create table shadowed as select 7 as a")
        client.run("create temp table first (a int); drop table first")
        other.messages(m.parse("s", "select * from shadowed"), m.bind("", "s"), m.execute(""),
                       m.sync())
        client.run(make)
        answer = client.messages(m.parse("s", "select * from shadowed"), m.bind("", "s"),
                                 m.execute(""), m.sync())
        assert value(answer) == "42", answer


# What texts are parsed by.

PARSED_BY = {
    "datestyle": ("SQL, DMY", "SQL, MDY", "'01/02/2024'::date - '2024-01-01'::date"),
    "timezone": ("Asia/Tokyo", "UTC", "extract(epoch from '2024-01-01 00:00'::timestamptz)"),
    "intervalstyle": ("sql_standard", "postgres", "extract(epoch from '-1 2:03:04'::interval)"),
    "array_nulls": ("off", "on", "array_position('{a,NULL}'::text[], 'NULL')"),
    "transform_null_equals": ("on", "off", "(select count(*) from (values (null::int)) as t (x) "
                                           "where x = null)"),
    "standard_conforming_strings": ("off", "on", "length('\\101\\102')"),
    "xmloption": ("content", "document", "('<a/><b/>'::xml is document)"),
    "search_path": ("one", "two", "(select what from which)"),
    "client_encoding": ("latin1", "utf8", "length('\u00e4')"),
}


def meant(client: Client, name: str, by_sql: bool, size: int) -> list[str]:
    """What a statement gives that was prepared by one setting, and used by another, several times;
    of an error its SQLSTATE."""
    before, behind, expression = PARSED_BY[name]
    given = []

    def said(*messages: bytes) -> None:
        answer = client.messages(*messages)
        errors, rows = m.only(answer, b"E"), m.only(answer, b"D")
        given.append(errors[0].sqlstate if errors else
                     str(rows[0].columns()[0]) if rows else m.only(answer, b"C")[0].text)

    client.run(f"set {name} = '{before}'")
    if by_sql:
        said(m.query(f"prepare p as select {expression}"))
    else:
        client.messages(m.parse("p", f"select {expression}"), m.sync())
    client.run(f"set {name} = '{behind}'")
    for turn in range(3 * size):
        if by_sql:
            said(m.query("execute p"))
        elif turn % 2:
            said(m.bind("", "p"), m.execute(""), m.sync())
        else:
            client.run("begin")
            said(m.bind("", "p"), m.execute(""), m.sync())
            client.run("commit")
        given.append(str(client.value(f"show {name}")))
    return given


@test(targets=FOREBAY, params=[f"{name}-{how}" for name in PARSED_BY for how in ("sql", "protocol")])
def constants_mean_what_they_meant(lab: Lab, param: str) -> None:
    """A text is parsed by the settings of when it was prepared, whichever connection it runs on."""
    name, how = param.split("-")
    lab.postgres.rows("drop schema if exists one, two cascade; create schema one; create table one.which as "
                      "select 'one' as what; create schema two; create table two.which as select 'two' as what; "
                      "grant all on schema one, two to public; "
                      "grant all on one.which, two.which to public", "app")
    with lab.direct().connect() as client:
        expected = meant(client, name, how == "sql", 3)
    target = lab.target(pool_size=3, options={"server_round_robin": True})
    clients = [target.connect() for _ in range(3)]
    for one in clients:
        one.run("begin")
    for one in clients:
        one.run("commit")
    with target.connect() as client:
        for turn in range(2):
            assert meant(client, name, how == "sql", 3) == expected, turn
            client.run("deallocate p")
            client.run(f"reset {name}")
    for one in clients:
        one.close()


def told(answer: list[m.Message]) -> list[object]:
    return [(message.name, message.sqlstate, message.fields().get("P"), message.text)
            if message.type == b"E" else (message.name, message.columns())
            if message.type == b"D" else (message.name, message.body)
            if message.type in b"CZ" else message.name for message in answer]


PID = "select pg_backend_pid()"


class Elsewhere:
    """Of a pool of two connections, has a client run on the one that it did not run on before."""

    def __init__(self, target: Target) -> None:
        self._others = [target.connect(), target.connect()]
        self._last: Optional[str] = None

    def move(self) -> None:
        """Takes the connection that `note` was told of."""
        one, two = self._others
        if one.value(f"begin; {PID}") != self._last and self._last is not None:
            two.run(f"begin; {PID}")
            one.run("commit")
            self._others = [two, one]

    def note(self, client: Client) -> None:
        self._last = client.value(PID)
        self._others[0].run("commit")

    def close(self) -> None:
        for other in self._others:
            other.close()


def idle(answer: list[m.Message]) -> bool:
    return answer[-1].body == b"I"


def in_turn(lab: Lab, steps: tuple[object, ...], told: Callable[[list[m.Message]], list[object]] = told
            ) -> None:
    """Each step, a text or messages, is answered as by PostgreSQL: on one connection, with another
    for each, and with another now and then."""
    def answers(target: Target, moves: int) -> list[object]:
        given: list[object] = []
        with target.connect() as client:
            elsewhere = Elsewhere(target) if moves else None
            at_rest, moved = True, False
            for number, step in enumerate(steps):
                if at_rest and elsewhere is not None and number % moves == 0:
                    elsewhere.move()
                    moved = True
                pieces = (m.query(step),) if isinstance(step, str) else step
                assert isinstance(pieces, tuple)
                answer = client.messages(*pieces)
                given.append((step, told(answer)))
                at_rest = idle(answer)
                if moved and at_rest and elsewhere is not None:
                    elsewhere.note(client)
                    moved = False
            if elsewhere is not None:
                elsewhere.close()
        return given
    expected = answers(lab.direct(), 0)
    target = lab.target(pool_size=2)
    for moves in (0, 1, 2):
        for mine, direct in zip(answers(target, moves), expected):
            assert mine == direct, (moves, mine, direct)


ONE_TEXT: dict[str, tuple[object, ...]] = {
    "anew": ("prepare a as select 1; deallocate a; prepare a as select 2; execute a", "execute a",
             "deallocate a"),
    "same": ("prepare a as select 1; deallocate a; prepare a as select 1; execute a", "execute a",
             "prepare b as select 1; execute b", "execute a"),
    "twins": ("prepare a as select 3; prepare b as select 3; execute a; execute b", "execute b",
              "deallocate a; execute b", "execute a", "execute b"),
    "known": ("prepare a as select 1", "deallocate a; prepare a as select 2", "execute a",
              "deallocate a; prepare a as select 2; execute a", "execute a"),
    "all": ("prepare a as select 1", "prepare b as select 2",
            "deallocate all; prepare a as select 2; execute a", "execute a", "execute b",
            "deallocate all; prepare a as select 2; prepare b as select 2; execute b; execute c",
            "execute a", "execute b", "prepare a as select 4; execute b",
            "deallocate all; execute a", "deallocate a", "deallocate b"),
    "gone": ("prepare a as select 1; deallocate a; execute a", "execute a",
             "prepare a as select 1; deallocate a; deallocate a", "execute a",
             "prepare a as select 1; deallocate all; execute a", "execute a",
             "prepare a as select 1; deallocate all; deallocate a", "execute a"),
    "taken": ("prepare a as select 1; deallocate a; prepare a as select 2; prepare a as select 3",
              "execute a", "deallocate all; prepare a as select 5; prepare a as select 6",
              "execute a"),
    "block": ("begin; prepare u as select 1; execute u; deallocate u; commit; begin; "
              "prepare u as select 2; execute u; commit", "execute u",
              "begin; deallocate u; prepare u as select 3; rollback", "execute u"),
    "in_block": ("begin", "prepare u as select 1; deallocate u; prepare u as select 1; execute u",
                 "commit", "execute u", "begin", "deallocate all; prepare u as select 2", "rollback",
                 "execute u"),
    "fails": ("prepare a as select 1", "deallocate a; select 1/0; prepare a as select 2",
              "execute a", "deallocate all; prepare a as select 4; select 1/0", "execute a",
              "deallocate a; prepare a as select nothing; prepare a as select 5", "execute a"),
    "by_messages": ((m.parse("a", "select 1"), m.sync()), (m.parse("d", "deallocate a"), m.sync()),
                    "execute d", "execute a", "execute d", "prepare a as select 2", "execute a",
                    "begin; execute d", "execute a", "rollback", "prepare a as select 3",
                    "select 4; execute d; select 5", "execute a", "begin; select 1/0", "execute d",
                    "rollback"),
    "protocol": ((m.parse("a", "select 1"), m.sync()),
                 "deallocate a; prepare a as select 2; execute a",
                 (m.bind("", "a"), m.execute(""), m.sync()),
                 "deallocate all; prepare a as select 3; execute a",
                 (m.bind("", "a"), m.execute(""), m.sync())),
}


@test(targets=FOREBAY, params=ONE_TEXT)
def names_change_within_a_text(lab: Lab, what: str) -> None:
    """DEALLOCATE, and PREPARE of the same name, in one text that is sent as a whole."""
    in_turn(lab, ONE_TEXT[what])


def extended(text: str) -> tuple[bytes, ...]:
    return (m.parse("", text), m.bind("", ""), m.execute(""), m.sync())


GLUED: dict[str, tuple[object, ...]] = {
    "prepare": ('PREPARE"x"AS select 1', 'execute"x"', 'prepare "y"as select 2', 'EXECUTE "y"',
                'prepare"z"(int)as select $1', 'execute"z"(3)', 'prepare"x"as select 4',
                'deallocate"x"', 'execute"x"', 'deallocate"x"', 'deallocate prepare"y"',
                'execute"y"', 'prepare y as select 2', 'execute"y"', 'explain(costs off)execute"y"'),
    "comments": ('prepare/**/"x"/**/as select 1', 'execute--\n"x"', 'deallocate/**/"x"',
                 'prepare U&"x"as select 5', 'execute U&"x"', 'prepare"w"as select 6;execute"w"',
                 'explain(costs off)execute"w"'),
    "foreign": ('execute"_forebay_A"', 'execute"_forebay_1"', 'deallocate"_forebay_ b"',
                'execute"_forebay_1; select 1"', 'execute"nobodys"'),
    "errors": ('prepare"x"as select nothing', 'prepare x as select nothing',
               'prepare"äö"as select \'ü\', nothing', 'prepare"x"as selec',
               'select 1; prepare"x"as select nothing', 'prepare"x"as select 1; select nothing',
               'prepare"z"(int)as select $1', 'execute"z"(nothing)', 'execute"z"(1, 2)',
               'deallocate"z"x', 'deallocate"z"; execute"z"'),
}


@test(targets=FOREBAY, params=[f"{what}-{how}" for what in GLUED for how in ("simple", "extended")])
def names_beside_other_words(lab: Lab, param: str) -> None:
    """Quoted names need no blanks around them; errors are where the client's text has them."""
    what, how = param.split("-")
    steps = GLUED[what]
    in_turn(lab, steps if how == "simple" else tuple(extended(str(step)) for step in steps))


@test(targets=POSTGRES_LIKE, params=("rollback", "vacuum pg_am", "begin isolation level serializable"))
def what_needs_no_constants_after_a_setting(lab: Lab, text: str) -> None:
    """Nothing of ours stands in the way of a statement that does not bear it."""
    target = lab.target(pool_size=2)
    with target.connect() as client, target.connect() as other:
        client.messages(m.parse("it", text), m.sync())
        client.run("set timezone = 'Asia/Tokyo'")
        other.run("begin")
        if text == "rollback":
            client.run("begin")
            assert client.error(m.query("select 1/0")).sqlstate == "22012"
        answer = client.messages(m.bind("", "it"), m.execute(""), m.sync())
        assert not m.only(answer, b"E"), answer
        client.run("rollback")


def unmade(by_sql: bool, text: str) -> tuple[object, ...]:
    prepare: object = f"prepare p as {text}"
    if not by_sql:
        prepare = (m.parse("p", text), m.sync())
    executes = ("execute p", "execute p; select 1", "explain execute p")
    return ("set search_path = one", prepare, "execute p", "set search_path = none",
            *executes, "select 1; execute p", "rollback; execute p", "execute nobodys",
            *(step for execute in executes for step in ("begin; select 1", execute, "select 2",
                                                        execute, "rollback")),
            "begin; select 1", "savepoint s", "execute p", "rollback to s", "select 3", "execute p",
            "rollback", (m.parse("chained", "execute p"), m.sync()), "execute chained",
            "select 1/0; execute p", "begin; select 1/0", "execute p", "rollback",
            "set search_path = one", "execute p", "deallocate p")


UNMADE = {"plain": "select what from which", "wide": "select 'äö€', what from which"}


def a_table_that_goes(lab: Lab) -> None:
    lab.postgres.rows("drop schema if exists one cascade; create schema one; create table one.which "
                      "as select 'one' as what; grant all on schema one to public; "
                      "grant all on one.which to public", "app")


@test(targets=FOREBAY, params=[f"{what}-{how}" for what in UNMADE for how in ("sql", "protocol")])
def what_cannot_be_prepared_says_why(lab: Lab, param: str) -> None:
    """EXECUTE of a statement that another connection cannot prepare any more fails by that."""
    what, how = param.split("-")
    a_table_that_goes(lab)
    in_turn(lab, unmade(how == "sql", UNMADE[what]))


WITH_VALUES = "select what from which where 1 = $1"
EXECUTED: dict[str, tuple[object, ...]] = {
    "several": ("select 1; prepare\"p\"as select what from which; select 2", "set search_path = none",
                "execute p", 'execute"p"', "begin; select 1", "execute p", "rollback"),
    "twice": ("prepare a as select 1; prepare p as select what from which",
              "prepare ä as select what from which; execute ä", "set search_path = none",
              "execute ä", "execute p", "/* äöü */ execute ä", "execute p; select 1"),
    "values": (f"/* ä */ prepare p(int) as {WITH_VALUES}", "execute p(1)", "execute p('x')",
               "execute p(nothing)", "execute p(1::nothing)", "execute p(1, 2)", "execute p(1 + 'x')",
               "set search_path = none", "execute p(1)", "execute p('x')", "execute p(1::nothing)",
               "explain (costs off) execute p(1)", "select 1; execute p(1)", "execute p(nothing)",
               "explain (nothing) execute p(1)", "execute p(1) x"),
    "protocol": ((m.parse("p", f"/* ä */ {WITH_VALUES}"), m.sync()), "execute p(1)", "execute p('x')",
                 "set search_path = none", "execute p(1)", "execute p('x')", "execute p(nothing)",
                 "select 1; execute p(1)"),
    "chained": (f"prepare p(int) as {WITH_VALUES}", (m.parse("c", "/* ä */ execute p(1)"), m.sync()),
                "execute c", "set search_path = none", "execute c", "execute p(1)"),
    "renamed": (f"prepare p(int) as {WITH_VALUES}", "execute p(1)",
                "alter table one.which rename column what to äh", "execute p(1)", "execute p('x')",
                "alter table one.which rename column äh to what", "execute p(1)"),
    "dropped": ("prepare p as select what from which", "execute p", "begin; select 1",
                "drop table one.which", "execute p", "rollback", "execute p"),
    "made_there": ("prepare p as select what from which", "deallocate p",
                   "select 'äö'; prepare p as select what from which; select 2", "execute p",
                   "set search_path = none", "execute p"),
}


@test(targets=FOREBAY, params=EXECUTED)
def errors_are_where_the_client_has_them(lab: Lab, what: str) -> None:
    """What EXECUTE executes fails at a place of the text with its PREPARE; a value that it gives,
    at one of its own."""
    a_table_that_goes(lab)
    in_turn(lab, ("set search_path = one", *EXECUTED[what]))


def result(answer: list[m.Message]) -> list[object]:
    """What does not depend on which message of a batch has failed."""
    return [one for one, message in zip(told(answer), answer) if message.type in b"EDCZ"]


@test(targets=FOREBAY, params=[f"{what}-{how}" for what in UNMADE for how in ("sql", "protocol")])
def batches_that_execute_say_why(lab: Lab, param: str) -> None:
    """The same by the extended protocol."""
    what, how = param.split("-")
    a_table_that_goes(lab)
    steps = [extended(step) if isinstance(step, str) and "execute" in step and ";" not in step else step
             for step in unmade(how == "sql", UNMADE[what]) if "chained" not in str(step)]
    in_turn(lab, tuple(steps), result)
