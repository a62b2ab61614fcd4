#!/usr/bin/python3
"""psqlODBC (odbc-postgresql) by way of pyodbc, with its ways to prepare and to fetch."""

from __future__ import annotations

import datetime
import decimal
import os
import threading
from contextlib import closing
from typing import Any

import pyodbc

from tap import LINKS_CHANGE, check, main

pyodbc.pooling = False


def connect(**more: Any) -> "closing[pyodbc.Connection]":
    autocommit = more.pop("autocommit", False)
    words = {"Driver": "PostgreSQL Unicode", "Servername": os.environ["PGHOST"],
             "Port": os.environ["PGPORT"], "Database": os.environ["PGDATABASE"],
             "Username": os.environ["PGUSER"], "Password": os.environ["PGPASSWORD"],
             "SSLmode": os.environ["PGSSLMODE"], **more}
    text = ";".join(f"{key}={value}" for key, value in words.items() if key != "ConnSettings")
    if "ConnSettings" in words:
        text += f";ConnSettings={{{words['ConnSettings']}}}"
    return closing(pyodbc.connect(text, autocommit=autocommit, timeout=20))


@check
def values() -> None:
    given = [1, -2**40, 1.5, decimal.Decimal("12.3400"), "ünï € 😀", b"\x00\xff'\\", True, None,
             datetime.date(2024, 2, 29), datetime.datetime(2024, 2, 29, 12, 30, 1, 250000)]
    casts = ["int", "bigint", "float8", "numeric(10,4)", "text", "bytea", "int", "text", "date",
             "timestamp"]
    for prepared in ("0", "1"):
        with connect(UseServerSidePrepare=prepared) as conn:
            for _ in range(4):
                row = conn.execute("select " + ", ".join(f"?::{c}" for c in casts), given).fetchone()
                assert list(row) == given[:6] + [1] + given[7:], row
                conn.commit()


@check
def prepared_across_transactions() -> None:
    """Eight sessions; psqlODBC names its plans by the statement's address: they collide."""
    pids: set[int] = set()
    failures: list[BaseException] = []

    def client(number: int) -> None:
        try:
            with connect(UseServerSidePrepare="1") as conn, conn.cursor() as cur:
                for turn in range(25):
                    row = cur.execute(f"select pg_backend_pid(), ?::int * {number}", turn).fetchone()
                    pids.add(row[0])
                    assert row[1] == turn * number, (row, turn, number)
                    conn.commit()
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
def many_statement_handles() -> None:
    with connect(UseServerSidePrepare="1") as conn:
        cursors = [conn.cursor() for _ in range(30)]
        for turn in range(3):
            for n, cur in enumerate(cursors):
                assert cur.execute(f"select {n} + ?::int", turn).fetchone()[0] == n + turn
                conn.commit()
        for cur in cursors:
            cur.close()


@check
def declared_cursors() -> None:
    """UseDeclareFetch: everything is DECLAREd and FETCHed, also where nobody began."""
    with connect(UseDeclareFetch="1", Fetch="50") as conn:
        for _ in range(3):
            rows = conn.execute("select n, 'row ' || n from generate_series(1, 1000) n").fetchall()
            assert [tuple(r) for r in rows] == [(n, f"row {n}") for n in range(1, 1001)]
            conn.commit()
    with connect(UseDeclareFetch="1", Fetch="50", autocommit=True) as conn:
        for _ in range(3):
            rows = conn.execute("select n from generate_series(1, 300) n").fetchall()
            assert [r[0] for r in rows] == list(range(1, 301))


@check
def errors_and_statement_rollback() -> None:
    statements = ("select 1/0", "insert into kept values (1)")
    for protocol, states in (("7.4-0", ("22012", "25P02")),    # nothing is rolled back
                             ("7.4-1", ("22012", "42P01")),    # the transaction is
                             ("7.4-2", ("22012", "23505"))):   # the statement is
        with connect(Protocol=protocol) as conn, conn.cursor() as cur:
            cur.execute("create temp table kept (n int primary key) on commit drop")
            cur.execute("insert into kept values (1)")
            seen = []
            for statement in statements:
                try:
                    cur.execute(statement)
                except pyodbc.Error as error:
                    seen.append(error.args[0])
            assert tuple(seen) == states, (protocol, seen)
            if protocol == "7.4-2":
                assert cur.execute("select count(*) from kept").fetchone()[0] == 1
            conn.rollback()
            assert cur.execute("select 1").fetchone()[0] == 1
            conn.rollback()


@check
def settings_at_connect() -> None:
    with connect(ConnSettings="set work_mem = '3MB'; set datestyle to 'ISO'") as conn:
        for _ in range(8):
            assert conn.execute("show work_mem").fetchone()[0] == "3MB"
            conn.commit()


@check
def parameter_arrays() -> None:
    with connect() as conn, conn.cursor() as cur:
        cur.execute("create temp table many (n int, t text) on commit drop")
        cur.fast_executemany = True
        cur.executemany("insert into many values (?, ?)", [(n, f"t{n}") for n in range(500)])
        row = cur.execute("select count(*), sum(n), max(length(t)) from many").fetchone()
        assert tuple(row) == (500, sum(range(500)), 4), row
        conn.rollback()


@check
def catalogue_functions() -> None:
    with connect() as conn, conn.cursor() as cur:
        cur.execute("create table described (id int primary key, name varchar(20) not null)")
        names = [(r.column_name, r.type_name) for r in cur.columns(table="described")]
        assert names == [("id", "int4"), ("name", "varchar")], names
        assert [r.column_name for r in cur.primaryKeys("described")] == ["id"]
        cur.execute("drop table described")
        conn.commit()


@check
def cancel() -> None:
    with connect() as conn, conn.cursor() as cur:
        for _ in range(3):
            timer = threading.Timer(0.2, cur.cancel)
            timer.start()
            try:
                cur.execute("select pg_sleep(30)")
            except pyodbc.Error as error:
                assert "cancel" in str(error).lower(), error
            else:
                raise AssertionError("was not cancelled")
            timer.join()
            conn.rollback()
            assert cur.execute("select 1").fetchone()[0] == 1
            conn.rollback()


@check
def large_values() -> None:
    text = "é" * 1000000
    with connect(MaxLongVarcharSize="4000000") as conn:
        assert conn.execute("select ?::text", text).fetchone()[0] == text


main()
