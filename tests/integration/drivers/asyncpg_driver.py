#!/usr/bin/python3
"""asyncpg (python3-asyncpg): binary parameters, prepared statements always, no libpq."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import io
import os
import ssl
import uuid
from contextlib import asynccontextmanager
from typing import Any, AsyncIterator

import asyncpg

from tap import LINKS_CHANGE, MODE, check, main


def tls() -> Any:
    if os.environ["PGSSLMODE"] == "disable":
        return False
    return ssl.create_default_context(cafile=os.environ["PGSSLROOTCERT"])


@asynccontextmanager
async def connection(**more: Any) -> AsyncIterator[asyncpg.Connection]:
    conn = await asyncpg.connect(host=os.environ["PGHOST"], port=int(os.environ["PGPORT"]),
                                 user=os.environ["PGUSER"], password=os.environ["PGPASSWORD"],
                                 database=os.environ["PGDATABASE"], ssl=tls(), timeout=20, **more)
    try:
        yield conn
    finally:
        await conn.close(timeout=10)


@check
async def binary_parameters() -> None:
    values = [1, -2**40, 1.5, decimal.Decimal("12.34"), "ünï €", b"\x00\xff", True, None,
              datetime.date(2024, 2, 29), uuid.UUID(int=7), [1, None, 3], ["a", "b,c"],
              datetime.timedelta(days=1, seconds=2)]
    casts = ["int", "bigint", "float8", "numeric", "text", "bytea", "bool", "text", "date", "uuid",
             "int[]", "text[]", "interval"]
    async with connection() as conn:
        row = await conn.fetchrow(
            "select " + ", ".join(f"${i + 1}::{c}" for i, c in enumerate(casts)), *values)
        assert list(row) == values, row


@check
async def prepared_across_transactions() -> None:
    """asyncpg numbers its statements from 1 in every connection: the names collide on purpose."""
    pids: set[int] = set()

    async def client(number: int) -> None:
        async with connection() as conn:
            statement = await conn.prepare(f"select $1::int * {number}, pg_backend_pid()")
            for turn in range(25):
                async with conn.transaction():
                    value, pid = await statement.fetchrow(turn)
                    pids.add(pid)
                    assert value == turn * number, (number, turn, value)
                    assert await conn.fetchval(f"select 'client {number} ' || $1::int", turn) \
                        == f"client {number} {turn}"
                assert await statement.fetchval(turn) == turn * number

    await asyncio.gather(*(client(n) for n in range(8)))
    assert not LINKS_CHANGE or len(pids) > 1, "every transaction ran on the same connection"


@check
async def statement_cache_overflow() -> None:
    async with connection(statement_cache_size=5) as conn:
        for turn in range(3):
            for n in range(20):
                assert await conn.fetchval(f"select {n} + $1::int", turn) == n + turn


@check
async def introspection_of_a_composite() -> None:
    """An unknown type: asyncpg asks the catalogues with a statement of its own, twice prepared."""
    async with connection() as conn:
        name = "pair_" + uuid.uuid4().hex
        await conn.execute(f"create type {name} as (a int, b text)")
        try:
            assert tuple(await conn.fetchval(f"select (1, 'x')::{name}")) == (1, "x")
        finally:
            await conn.execute(f"drop type {name}")


@check
async def cursors() -> None:
    async with connection() as conn:
        async with conn.transaction():
            rows = [r[0] async for r in conn.cursor("select n from generate_series(1, 1000) n",
                                                    prefetch=90)]
            assert rows == list(range(1, 1001))
            cursor = await conn.cursor("select n from generate_series(1, 20) n")
            await cursor.forward(5)
            assert [r[0] for r in await cursor.fetch(3)] == [6, 7, 8]


@check
async def executemany() -> None:
    async with connection() as conn, conn.transaction():
        await conn.execute("create temp table many (n int, t text) on commit drop")
        await conn.executemany("insert into many values ($1, $2)",
                               [(n, f"t{n}") for n in range(2000)])
        assert await conn.fetchval("select count(*) from many") == 2000


@check
async def copy_both_ways() -> None:
    async with connection() as conn, conn.transaction():
        await conn.execute("create temp table copied (n int, t text) on commit drop")
        rows = [(n, f"row {n}") for n in range(5000)]
        await conn.copy_records_to_table("copied", records=rows)
        out = io.BytesIO()
        await conn.copy_from_query("select * from copied order by n", output=out)
        assert out.getvalue() == b"".join(b"%d\trow %d\n" % (n, n) for n in range(5000))


@check
async def copy_broken_off() -> None:
    async with connection() as conn:
        async with conn.transaction():
            await conn.execute("create temp table dropped (n int) on commit drop")

            async def source() -> AsyncIterator[bytes]:
                yield b"1\n"
                raise KeyError("enough")
            try:
                async with conn.transaction():
                    await conn.copy_to_table("dropped", source=source())
            except (KeyError, asyncpg.QueryCanceledError):
                pass
            assert await conn.fetchval("select count(*) from dropped") == 0


@check
async def errors_and_recovery() -> None:
    async with connection() as conn:
        for statement, kind in (("select 1/0", asyncpg.DivisionByZeroError),
                                ("selec", asyncpg.PostgresSyntaxError),
                                ("select * from missing_table", asyncpg.UndefinedTableError)):
            try:
                async with conn.transaction():
                    await conn.fetch(statement)
            except kind as error:
                assert error.sqlstate
            else:
                raise AssertionError(f"no error from {statement}")
        assert await conn.fetchval("select 1") == 1


@check
async def cancel_by_timeout() -> None:
    async with connection() as conn:
        for _ in range(3):
            try:
                await conn.fetchval("select pg_sleep(30)", timeout=0.2)
            except asyncio.TimeoutError:
                pass
            else:
                raise AssertionError("no timeout")
            assert await conn.fetchval("select $1::int", 5) == 5


@check
async def notices() -> None:
    seen: list[str] = []
    async with connection() as conn:
        conn.add_log_listener(lambda _, message: seen.append(message.message))
        await conn.execute("do $$ begin raise notice 'one'; raise warning 'two'; end $$")
        await asyncio.sleep(0)
    assert seen == ["one", "two"], seen


@check
async def notifications_to_itself() -> None:
    if MODE == "transaction":
        return                              # LISTEN belongs to the server connection there
    async with connection() as conn:
        come: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        await conn.add_listener("bell", lambda c, pid, channel, payload: come.set_result(payload))
        await conn.execute("notify bell, 'rung'")
        assert await asyncio.wait_for(come, 20) == "rung"
        await conn.remove_listener("bell", lambda *_: None)


@check
async def client_side_pool() -> None:
    """asyncpg's own pool in front: it resets a connection with SQL each time it takes it back."""
    pool = await asyncpg.create_pool(
        host=os.environ["PGHOST"], port=int(os.environ["PGPORT"]), user=os.environ["PGUSER"],
        password=os.environ["PGPASSWORD"], database=os.environ["PGDATABASE"], ssl=tls(),
        min_size=2, max_size=3)
    async with pool:
        async def task(n: int) -> None:
            async with pool.acquire() as conn:
                assert await conn.fetchval("select $1::int + 1", n) == n + 1
        await asyncio.gather(*(task(n) for n in range(100)))


@check
async def large_values() -> None:
    data = bytes(range(256)) * 40000
    async with connection() as conn:
        assert await conn.fetchval("select $1::bytea", data) == data
        assert len(await conn.fetchval("select repeat('x', 10000000)")) == 10000000


main()
