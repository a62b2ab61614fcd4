"""What functions, procedures, triggers and views do to the session, which no statement shows: the
client that runs them has it from then on, as directly, and nobody else. Forebay finds their texts
in the catalog, and in what clients define."""

from __future__ import annotations

from typing import NamedTuple

from lab import messages as m
from lab.declare import FOREBAY, test
from lab.lab import Lab
from lab.process import wait_until
from lab.target import Target
from test_sessions import told
from test_differences import LOCKS, Seen, change, open_all, pooled, said

WORK_MEM = ("show work_mem", "4MB", "101kB")
LOCK = (LOCKS, "0", "1")
SETS = "perform set_config('work_mem', '101kB', false)"


def function(statement: str, name: str = "hides") -> str:
    return (f"create or replace function {name}() returns void language plpgsql as "
            f"$$ begin {statement}; end $$")


def trigger(statement: str, event: str = "insert", row: str = "new") -> str:
    return ("create or replace function fires() returns trigger language plpgsql as "
            f"$$ begin {statement}; return {row}; end $$;"
            f" create or replace trigger fires before {event} on rings for each row "
            "execute function fires()")


class Hidden(NamedTuple):
    make: str
    do: str
    show: tuple[str, str, str]      # a question, its answer before, and after


HIDDEN = {
    "setting": Hidden(function(SETS), "select hides()", WORK_MEM),
    "setting_by_set": Hidden(function("set work_mem = '101kB'"), "select hides()", WORK_MEM),
    "setting_by_execute": Hidden(function("execute 'set work_mem = ''101kB'''"),
                                 "select hides()", WORK_MEM),
    "setting_in_sql": Hidden("create or replace function tells() returns text language sql as "
                             "$$ select set_config('work_mem', '101kB', false) $$",
                             "select tells()", WORK_MEM),
    "setting_in_sql_body": Hidden("create or replace function tells() returns text "
                                  "return set_config('work_mem', '101kB', false)",
                                  "select tells()", WORK_MEM),
    "lock": Hidden(function("perform pg_advisory_lock(3)"), "select hides()", LOCK),
    "lock_tried": Hidden(function("if pg_try_advisory_lock(3) then null; end if"),
                         "select hides()", LOCK),
    "table": Hidden(function("create temp table if not exists t as select 1 as n"),
                    "select hides()", ("select n from t", "42P01", "1")),
    "table_by_execute": Hidden(function("execute format('create temporary table %I(n int)', 't')"),
                               "select hides()", ("select count(*) from t", "42P01", "0")),
    "listen": Hidden(function("listen bell"), "select hides()",
                     ("select * from pg_listening_channels()", "", "bell")),
    "procedure": Hidden("create or replace procedure does() language plpgsql as "
                        f"$$ begin {SETS}; end $$", "call does()", WORK_MEM),
    "function_in_function": Hidden(function(SETS, "below") + ";" + function("perform below()"),
                                   "select hides()", WORK_MEM),
    "function_in_block": Hidden(function(SETS), "do $$ begin perform hides(); end $$", WORK_MEM),
    "view": Hidden("create or replace view views as "
                   "select set_config('work_mem', '101kB', false)", "select * from views",
                   WORK_MEM),
    "function_in_views": Hidden("create or replace function tells() returns text language sql as "
                                "$$ select set_config('work_mem', '101kB', false) $$; create view "
                                "under as select tells(); create view views as table under",
                                "table views", WORK_MEM),
    "trigger": Hidden("create table rings(n int);" + trigger(SETS), "insert into rings values (1)",
                      WORK_MEM),
    "trigger_in_with": Hidden("create table rings(n int);" + trigger(SETS),
                              "with x as (insert into rings values (1) returning n) "
                              "select * from x", WORK_MEM),
    "trigger_of_partition": Hidden(
        "create table parts(n int) partition by range (n); create table rings partition of parts "
        "for values from (1) to (9);" + trigger(SETS), "insert into parts values (1)", WORK_MEM),
    "trigger_by_foreign_key": Hidden(
        "create table masters(n int primary key); create table rings(n int references masters on "
        "delete cascade);" + trigger(SETS, "delete", "old") +
        "; insert into masters values (1); insert into rings values (1)",
        "delete from masters", WORK_MEM),
    "default": Hidden("create or replace function tells() returns text language sql as "
                      "$$ select set_config('work_mem', '101kB', false) $$; create table defaults("
                      "n int, t text default tells())", "insert into defaults values (1)",
                      WORK_MEM),
    "prepared": Hidden(function(SETS), "prepare p as select hides(); execute p", WORK_MEM),
    "explained": Hidden(function(SETS), "explain analyze select hides()", WORK_MEM),
    "path": Hidden("select 1", "set search_path = pg_temp, public; create table t as select 1 as n;"
                   " reset search_path", ("select n from t", "42P01", "1")),
}
# What a definition changes that stands elsewhere is known only when the catalog is asked.
LATER = ("trigger_of_partition", "trigger_by_foreign_key")


def clear(lab: Lab) -> None:
    lab.postgres.rows(
        "drop table if exists parts, rings, masters, defaults cascade; "
        "drop view if exists views, under; drop function if exists hides, below, tells, fires; "
        "drop procedure if exists does", "app")


def check(target: Target, hidden: Hidden) -> None:
    show, before, after = hidden.show
    seen = change(target, hidden.do, show)
    assert seen == Seen({after}, {before}), (target.kind, seen)


@test(targets=FOREBAY, params=tuple(HIDDEN))
def of_the_catalog(lab: Lab, which: str) -> None:
    """Made before Forebay has its first server connection."""
    hidden = HIDDEN[which]
    for target in (lab.direct(), lab.target(pool_size=2)):
        clear(lab)
        with lab.direct().connect() as owner:
            owner.run(hidden.make)
        if target.kind == "forebay":
            open_all(target)
        check(target, hidden)


@test(targets=FOREBAY, params=tuple(name for name in HIDDEN if name not in LATER))
def of_what_clients_define(lab: Lab, which: str) -> None:
    """Made through Forebay, which has asked the catalog already, and used at once."""
    clear(lab)
    target = pooled(lab)
    with target.connect() as owner:
        for number, statement in enumerate(HIDDEN[which].make.split("; create")):
            owner.run("create" * (number > 0) + statement)
    check(target, HIDDEN[which])


@test(targets=FOREBAY)
def used_where_it_is_defined(lab: Lab) -> None:
    """In the same transaction, and in the same text."""
    target = pooled(lab)
    for texts in (("begin", function(SETS), "select hides()", "commit"),
                  (function(SETS) + "; select hides()",)):
        with target.connect() as client:
            for text in texts:
                client.run(text)
            assert {said(client, "show work_mem") for _ in range(4)} == {"101kB"}


@test(targets=FOREBAY)
def what_ends_with_the_transaction_keeps_nothing(lab: Lab) -> None:
    """Functions that are harmless cost their clients no server connection."""
    harmless = ("perform set_config('work_mem', '101kB', true)", "set local work_mem = '101kB'",
                "perform pg_advisory_xact_lock(3)", "execute 'update rings' || ' set n = 1'",
                "update rings set n = 1 where n = 2", "/* set work_mem = '1MB' */ perform 1")
    clear(lab)
    with lab.direct().connect() as owner:
        owner.run("create table rings(n int)")
        for number, statement in enumerate(harmless):
            owner.run(function(statement, f"harmless{number}"))
    target = lab.target(pool_size=1, options={"query_wait_timeout": "2s"})
    with target.connect() as first, target.connect() as second:
        for number in range(len(harmless)):
            first.run(f"select harmless{number}()")
            assert said(second, "show work_mem") == "4MB"


@test(targets=FOREBAY)
def a_lock_that_is_given_back_keeps_nothing(lab: Lab) -> None:
    with lab.direct().connect() as owner:
        owner.run(function("perform pg_advisory_lock(3)"))
        owner.run(function("perform pg_advisory_unlock(3)", "shows"))
    target = lab.target(pool_size=1, options={"query_wait_timeout": "5s"})
    with target.connect() as first, target.connect() as second:
        first.run("select hides()")
        first.run("select shows()")
        assert said(second, LOCKS) == "0"


@test(targets=FOREBAY)
def notified_by_a_function(lab: Lab) -> None:
    """Who listens is told the id of the client that called it, not of its server connection."""
    with lab.direct().connect() as owner:
        owner.run(function("perform pg_notify('bell', 'x')"))
    target = lab.target(pool_size=2)
    with target.connect() as listener, target.connect() as ringer:
        listener.run("listen bell")
        ringer.run("select hides()")
        assert told(listener) == (ringer.process_id, "bell x")


@test(targets=FOREBAY)
def names_that_a_function_deallocates(lab: Lab) -> None:
    """Those of other clients, which share the server connection, are made anew."""
    with lab.direct().connect() as owner:
        owner.run(function("execute 'deallocate all'"))
    target = pooled(lab, 1)
    with target.connect() as client, target.connect() as other:
        client.messages(m.parse("s", "select 5"), m.bind("", "s"), m.execute(""), m.sync())
        other.run("select hides()")
        for _ in range(2):
            answer = client.messages(m.bind("", "s"), m.execute(""), m.sync())
            assert m.only(answer, b"D"), answer


@test(targets=FOREBAY)
def refused_by_on_session_state(lab: Lab) -> None:
    """What would keep a server connection is refused before it is run."""
    with lab.direct().connect() as owner:
        owner.run(function(SETS))
    target = lab.target(options={"on_session_state": "error"})
    with target.connect() as client:
        assert said(client, "select hides()") == "0A000"
        assert said(client, "show work_mem") == "4MB"


@test(targets=FOREBAY)
def not_followed_where_not_wanted(lab: Lab) -> None:
    """follow_functions = false."""
    with lab.direct().connect() as owner:
        owner.run(function(SETS))
    target = lab.target(pool_size=2, options={"follow_functions": False})
    open_all(target)
    both = {"4MB", "101kB"}
    assert change(target, "select hides()", "show work_mem") == Seen(both, both)


@test(targets=FOREBAY)
def a_catalog_that_cannot_be_asked(lab: Lab) -> None:
    """Nobody sees an error, and the log says what is not followed."""
    lab.postgres.rows("revoke select on pg_catalog.pg_rewrite from public", "app")
    try:
        target = pooled(lab)
        with target.connect() as client:
            assert said(client, "select 1") == "1"
        wait_until(lambda: "cannot ask the catalog" in target.log, "the log says so")
    finally:
        lab.postgres.rows("grant select on pg_catalog.pg_rewrite to public", "app")
