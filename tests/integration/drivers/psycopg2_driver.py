#!/usr/bin/python3
"""psycopg2 (python3-psycopg2) against the server in libpq's environment variables."""

from __future__ import annotations

import io
import threading
from contextlib import closing

import psycopg2
import psycopg2.errors
import psycopg2.extensions
import psycopg2.extras

from tap import LINKS_CHANGE, MODE, check, main


def connect() -> "closing[psycopg2.extensions.connection]":
    return closing(psycopg2.connect(""))


@check
def values() -> None:
    given = [1, 2.5, "ünï '\\", b"\x00\xff", True, None, [1, 2], {"a": 1}]
    given[-1] = psycopg2.extras.Json({"a": 1})
    with connect() as conn, conn, conn.cursor() as cur:
        cur.execute("select %s, %s::float8, %s, %s, %s, %s::text, %s, %s::jsonb", given)
        row = cur.fetchone()
        assert row[0] == 1 and row[2] == "ünï '\\" and bytes(row[3]) == b"\x00\xff", row
        assert row[6] == [1, 2] and row[7] == {"a": 1}, row


@check
def prepared_by_sql_within_a_transaction() -> None:
    with connect() as conn, conn.cursor() as cur:
        for number in range(3):
            cur.execute("prepare by_sql as select $1::int * 2")
            cur.execute("execute by_sql (%s)", [number])
            assert cur.fetchone() == (number * 2,)
            cur.execute("deallocate by_sql")
            conn.commit()


@check
def several_clients() -> None:
    pids: set[int] = set()
    failures: list[BaseException] = []

    def client(number: int) -> None:
        try:
            with connect() as conn:
                for turn in range(30):
                    with conn, conn.cursor() as cur:
                        cur.execute("select pg_backend_pid(), %s, %s", [number, turn])
                        pid, *row = cur.fetchone()
                        pids.add(pid)
                        assert row == [number, turn], row
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
def named_cursor() -> None:
    with connect() as conn, conn, conn.cursor("rows") as cur:
        cur.itersize = 100
        cur.execute("select n from generate_series(1, 1000) n")
        assert [row[0] for row in cur] == list(range(1, 1001))


@check
def copy_both_ways() -> None:
    with connect() as conn, conn, conn.cursor() as cur:
        cur.execute("create temp table copied (n int, t text) on commit drop")
        lines = "".join(f"{n}\trow {n}\n" for n in range(20000))
        cur.copy_expert("copy copied from stdin", io.StringIO(lines))
        out = io.StringIO()
        cur.copy_expert("copy (select * from copied order by n) to stdout", out)
        assert out.getvalue() == lines


@check
def errors_and_recovery() -> None:
    with connect() as conn, conn.cursor() as cur:
        for statement, kind in (("select 1/0", psycopg2.errors.DivisionByZero),
                                ("selec", psycopg2.errors.SyntaxError),
                                ("select * from missing_table", psycopg2.errors.UndefinedTable)):
            try:
                cur.execute(statement)
            except kind as error:
                assert error.pgcode and error.diag.message_primary
            else:
                raise AssertionError(f"no error from {statement}")
            assert conn.info.transaction_status == psycopg2.extensions.TRANSACTION_STATUS_INERROR
            conn.rollback()
        cur.execute("select 1")
        assert cur.fetchone() == (1,)


@check
def cancel() -> None:
    with connect() as conn, conn.cursor() as cur:
        for _ in range(3):
            timer = threading.Timer(0.2, conn.cancel)
            timer.start()
            try:
                cur.execute("select pg_sleep(30)")
            except psycopg2.errors.QueryCanceled:
                conn.rollback()
            else:
                raise AssertionError("was not cancelled")
            timer.join()
        cur.execute("select 1")
        assert cur.fetchone() == (1,)


@check
def notices() -> None:
    with connect() as conn, conn, conn.cursor() as cur:
        cur.execute("do $$ begin raise notice 'one'; raise warning 'two'; end $$")
        assert [n.strip() for n in conn.notices] == ["NOTICE:  one", "WARNING:  two"], conn.notices


@check
def notifications_to_itself() -> None:
    if MODE == "transaction":
        return                              # LISTEN belongs to the server connection there
    with connect() as conn, conn.cursor() as cur:
        conn.autocommit = True
        cur.execute("listen bell")
        cur.execute("notify bell, 'rung'")
        cur.execute("select 1")
        conn.poll()
        assert [(n.channel, n.payload) for n in conn.notifies] == [("bell", "rung")]


@check
def encodings() -> None:
    with connect() as conn, conn, conn.cursor() as cur:
        conn.set_client_encoding("LATIN1")
        cur.execute("select 'é'")
        assert cur.fetchone() == ("é",)
    with connect() as conn, conn, conn.cursor() as cur:
        cur.execute("select '€'")
        assert cur.fetchone() == ("€",)


@check
def asynchronous() -> None:
    import select as readiness
    with closing(psycopg2.connect("", async_=1)) as conn:
        def wait() -> None:
            while True:
                state = conn.poll()
                if state == psycopg2.extensions.POLL_OK:
                    return
                read = [conn] if state == psycopg2.extensions.POLL_READ else []
                write = [conn] if state == psycopg2.extensions.POLL_WRITE else []
                assert any(readiness.select(read, write, [], 30)), "nothing within 30 s"
        wait()
        with conn.cursor() as cur:
            for n in range(20):
                cur.execute("select %s", [n])
                wait()
                assert cur.fetchone() == (n,)


@check
def large_values() -> None:
    text = "é" * 3000000
    with connect() as conn, conn, conn.cursor() as cur:
        cur.execute("select %s", [text])
        assert cur.fetchone() == (text,)


main()
