#!/usr/bin/python3
"""psycopg 3 (python3-psycopg) against the server in libpq's environment variables."""

from __future__ import annotations

import datetime
import decimal
import threading
import time

import psycopg
from psycopg import errors, sql
from psycopg.types.json import Jsonb

from tap import LINKS_CHANGE, check, main


@check
def parameters_in_both_formats() -> None:
    values = [1, -2**40, 1.5, decimal.Decimal("12.3400"), "ünï €", b"\x00\xff\\'", True, None,
              datetime.date(2024, 2, 29), [1, None, 3], ["a", "b,c", 'd"']]
    with psycopg.connect() as conn:
        for binary in (False, True):
            cur = conn.cursor(binary=binary)
            marks = ", ".join(["%b" if binary else "%s"] * len(values))
            casts = "int, bigint, float8, numeric, text, bytea, bool, text, date, int[], text[]"
            row = cur.execute(
                "select " + ", ".join(f"{m}::{c.strip()}" for m, c in
                                      zip(marks.split(", "), casts.split(", "))), values).fetchone()
            assert list(row) == values, row
        row = conn.execute("select %s::jsonb", [Jsonb({"a": [1, 2]})]).fetchone()
        assert row[0] == {"a": [1, 2]}


@check
def prepared_across_transactions() -> None:
    """Eight clients, each with statements of its own under the names that psycopg makes up."""
    pids: set[int] = set()
    failures: list[BaseException] = []

    def client(number: int) -> None:
        try:
            with psycopg.connect(autocommit=False) as conn:
                conn.prepare_threshold = 0
                for turn in range(25):
                    with conn.transaction():
                        pids.add(conn.execute("select pg_backend_pid()").fetchone()[0])
                        row = conn.execute(f"select %s::int * {number}, 'client {number}'",
                                           [turn]).fetchone()
                        assert row == (turn * number, f"client {number}"), row
                    row = conn.execute("select %s::text", [f"{number}/{turn}"]).fetchone()
                    conn.commit()
                    assert row == (f"{number}/{turn}",), row
        except BaseException as error:      # pylint: disable=broad-except
            failures.append(error)

    threads = [threading.Thread(target=client, args=(n,), daemon=True) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(50)
    if failures:
        raise failures[0]
    assert not any(t.is_alive() for t in threads), "a client hangs"
    assert not LINKS_CHANGE or len(pids) > 1, "every transaction ran on the same connection"


@check
def many_prepared_statements() -> None:
    """More statements than psycopg keeps (100): it drops the oldest with DEALLOCATE."""
    with psycopg.connect(autocommit=True) as conn:
        conn.prepare_threshold = 0
        conn.prepared_max = 10
        for turn in range(3):
            for n in range(30):
                row = conn.execute(f"select {n} + %s::int", [turn]).fetchone()
                assert row == (n + turn,), row


@check
def pipeline() -> None:
    with psycopg.connect(autocommit=True) as conn:
        conn.prepare_threshold = 0
        for _ in range(5):
            with conn.pipeline():
                cursors = [conn.execute("select %s::int", [n]) for n in range(50)]
            assert [c.fetchone()[0] for c in cursors] == list(range(50))


@check
def pipeline_with_errors() -> None:
    with psycopg.connect(autocommit=True) as conn:
        try:
            with conn.pipeline() as pipe:
                first = conn.execute("select 1")
                pipe.sync()
                conn.execute("select 1 / %s::int", [0])
                conn.execute("select 3")
                pipe.sync()
        except errors.DivisionByZero:
            pass
        else:
            raise AssertionError("no error came")
        assert first.fetchone() == (1,)
        assert conn.execute("select 'fine'").fetchone() == ("fine",)


@check
def server_side_cursor() -> None:
    with psycopg.connect() as conn, conn.cursor(name="rows") as cur:
        cur.itersize = 100
        cur.execute("select n from generate_series(1, 1000) n")
        assert [row[0] for row in cur] == list(range(1, 1001))
    with psycopg.connect() as conn, conn.cursor(name="scrolled", scrollable=True) as cur:
        cur.execute("select n from generate_series(1, 50) n")
        cur.scroll(40)
        assert cur.fetchmany(5) == [(41,), (42,), (43,), (44,), (45,)]
        cur.scroll(-45)
        assert cur.fetchone() == (1,)


@check
def copy_both_ways() -> None:
    with psycopg.connect() as conn, conn.cursor() as cur:
        cur.execute("create temp table copied (n int, t text) on commit drop")
        with cur.copy("copy copied from stdin") as copy:
            for n in range(5000):
                copy.write_row((n, f"row\t{n}\\"))
        with cur.copy("copy (select * from copied order by n) to stdout (format binary)") as copy:
            copy.set_types(["int4", "text"])
            assert list(copy.rows()) == [(n, f"row\t{n}\\") for n in range(5000)]


@check
def copy_broken_off() -> None:
    with psycopg.connect() as conn:
        try:
            with conn.cursor() as cur:
                cur.execute("create temp table dropped (n int) on commit drop")
                with cur.copy("copy dropped from stdin") as copy:
                    copy.write_row((1,))
                    raise KeyError("enough")
        except KeyError:
            pass
        except errors.QueryCanceled:
            pass
        conn.rollback()
        assert conn.execute("select 1").fetchone() == (1,)


@check
def errors_and_recovery() -> None:
    with psycopg.connect() as conn:
        for statement, kind in (("select 1/0", errors.DivisionByZero), ("selec", errors.SyntaxError),
                                ("select * from missing_table", errors.UndefinedTable),
                                ("select %s::int", errors.InvalidTextRepresentation)):
            try:
                conn.execute(statement, ["x"] if "%s" in statement else None)
            except kind as error:
                assert error.diag.severity == "ERROR" and error.diag.message_primary
            else:
                raise AssertionError(f"no error from {statement}")
            try:
                conn.execute("select 1")
            except errors.InFailedSqlTransaction:
                pass
            else:
                raise AssertionError("the transaction was not failed")
            conn.rollback()
        assert conn.execute("select 1").fetchone() == (1,)


@check
def cancel() -> None:
    with psycopg.connect() as conn:
        for _ in range(3):
            timer = threading.Timer(0.2, conn.cancel)
            timer.start()
            begun = time.monotonic()
            try:
                conn.execute("select pg_sleep(30)")
            except errors.QueryCanceled:
                assert time.monotonic() - begun < 20
            else:
                raise AssertionError("was not cancelled")
            timer.join()
            conn.rollback()
        assert conn.execute("select 1").fetchone() == (1,)


@check
def notices() -> None:
    seen: list[str] = []
    with psycopg.connect() as conn:
        conn.add_notice_handler(lambda diag: seen.append(diag.message_primary))
        conn.execute("do $$ begin raise notice 'one'; raise warning 'two'; end $$")
    assert seen == ["one", "two"], seen


@check
def large_values() -> None:
    data = bytes(range(256)) * 40000            # 10 MB
    with psycopg.connect() as conn:
        row = conn.execute("select %b::bytea, length(%s::text)", [data, "é" * 3000000]).fetchone()
        assert row == (data, 3000000)


@check
def two_phase_and_savepoints() -> None:
    with psycopg.connect() as conn:
        with conn.transaction():
            conn.execute("create temp table nested (n int) on commit drop")
            try:
                with conn.transaction():
                    conn.execute("insert into nested values (1)")
                    raise psycopg.Rollback
            except psycopg.Rollback:
                pass
            conn.execute(sql.SQL("insert into nested values ({})").format(2))
            assert conn.execute("select array_agg(n) from nested").fetchone() == ([2],)


main()
