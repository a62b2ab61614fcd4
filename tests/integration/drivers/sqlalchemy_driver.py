#!/usr/bin/python3
"""SQLAlchemy (python3-sqlalchemy), Core and ORM, over psycopg2 and over asyncpg."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import os
import ssl
import threading
import uuid
from contextlib import asynccontextmanager, contextmanager
from typing import Any, AsyncIterator, Iterator

import sqlalchemy as sa
from sqlalchemy import event, exc, orm
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from tap import LINKS_CHANGE, check, main

Base = orm.declarative_base()


def unique(what: str) -> str:
    return f"{what}_{uuid.uuid4().hex[:12]}"


class Author(Base):
    __tablename__ = unique("author")
    id = sa.Column(sa.Integer, primary_key=True)
    name = sa.Column(sa.Text, nullable=False, unique=True)
    born = sa.Column(sa.Date)
    books = orm.relationship("Book", back_populates="author", order_by="Book.id",
                             cascade="all, delete-orphan")


class Book(Base):
    __tablename__ = unique("book")
    id = sa.Column(sa.Integer, primary_key=True)
    author_id = sa.Column(sa.ForeignKey(Author.id), nullable=False)
    title = sa.Column(sa.Text, nullable=False)
    price = sa.Column(sa.Numeric(10, 2))
    tags = sa.Column(pg.ARRAY(sa.Text))
    more = sa.Column(pg.JSONB)
    author = orm.relationship(Author, back_populates="books")


def tls() -> dict[str, Any]:
    if os.environ["PGSSLMODE"] == "disable":
        return {"ssl": False}
    return {"ssl": ssl.create_default_context(cafile=os.environ["PGSSLROOTCERT"])}


def url(driver: str) -> sa.engine.URL:
    return sa.engine.URL.create(
        f"postgresql+{driver}", os.environ["PGUSER"], os.environ["PGPASSWORD"],
        os.environ["PGHOST"], int(os.environ["PGPORT"]), os.environ["PGDATABASE"])


@contextmanager
def engine(**more: Any) -> Iterator[sa.engine.Engine]:
    made = sa.create_engine(url("psycopg2"), future=True, **more)
    try:
        yield made
    finally:
        made.dispose()


@asynccontextmanager
async def async_engine(**more: Any) -> AsyncIterator[AsyncEngine]:
    made = create_async_engine(url("asyncpg"), connect_args=tls(), **more)
    try:
        yield made
    finally:
        await made.dispose()


@contextmanager
def tables(made: sa.engine.Engine) -> Iterator[None]:
    Base.metadata.create_all(made)
    try:
        yield
    finally:
        Base.metadata.drop_all(made)


@check
def orm_round_trip() -> None:
    with engine() as made, tables(made):
        with orm.Session(made) as session, session.begin():
            for n in range(20):
                session.add(Author(name=f"author {n}", born=datetime.date(1900 + n, 2, 28), books=[
                    Book(title=f"book {n}/{b}", price=decimal.Decimal(f"{n}.{b}0"),
                         tags=["ü", None, "b,c"], more={"n": n, "b": [b]}) for b in range(3)]))
        with orm.Session(made) as session:
            query = sa.select(Author).options(orm.selectinload(Author.books)).order_by(Author.id)
            authors = session.execute(query).scalars().all()
            assert [a.name for a in authors] == [f"author {n}" for n in range(20)]
            for n, author in enumerate(authors):
                assert author.born == datetime.date(1900 + n, 2, 28)
                assert [(b.title, b.price, b.tags, b.more) for b in author.books] == [
                    (f"book {n}/{b}", decimal.Decimal(f"{n}.{b}0"), ["ü", None, "b,c"],
                     {"n": n, "b": [b]}) for b in range(3)]
            session.delete(authors[3])
            authors[4].books[0].title = "changed"
            session.commit()
            assert session.execute(sa.select(sa.func.count()).select_from(Book)).scalar() == 57
            titled = sa.select(Book.title).where(Book.more["n"].as_integer() == 4).order_by(Book.id)
            assert session.execute(titled).scalars().first() == "changed"


@check
def savepoints_and_constraint_errors() -> None:
    with engine() as made, tables(made), orm.Session(made) as session:
        for turn in range(5):
            session.add(Author(name=f"kept {turn}"))
            session.flush()
            try:
                with session.begin_nested():
                    session.add(Author(name=f"kept {turn}"))
                    session.flush()
            except exc.IntegrityError as error:
                assert error.orig.pgcode == "23505"
            else:
                raise AssertionError("the duplicate was taken")
            session.commit()
        names = session.execute(sa.select(Author.name).order_by(Author.name)).scalars().all()
        assert names == [f"kept {turn}" for turn in range(5)], names


@check
def pool_in_front_with_threads() -> None:
    """QueuePool resets with ROLLBACK at each return, and asks first whether a connection lives."""
    pids: set[int] = set()
    failures: list[BaseException] = []
    with engine(pool_size=4, max_overflow=2, pool_pre_ping=True) as made:
        def client(number: int) -> None:
            try:
                for turn in range(25):
                    with made.begin() as conn:
                        given = {"n": number, "t": f"{number}/{turn}"}
                        row = conn.execute(sa.text("select pg_backend_pid(), :n, :t"), given).one()
                        pids.add(row[0])
                        assert tuple(row)[1:] == (number, f"{number}/{turn}"), row
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
def isolation_levels() -> None:
    """psycopg2 sets the session's characteristics, or opens transactions with them."""
    with engine() as made:
        for level in ("SERIALIZABLE", "REPEATABLE READ", "READ COMMITTED"):
            with made.connect().execution_options(isolation_level=level) as conn:
                for _ in range(4):
                    found = conn.execute(sa.text("show transaction_isolation")).scalar()
                    assert found == level.lower(), found
                    conn.rollback()
        with made.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            for _ in range(4):
                assert not conn.connection.dbapi_connection.info.transaction_status
                assert conn.execute(sa.text("select 1")).scalar() == 1
        with made.connect().execution_options(postgresql_readonly=True) as conn:
            assert conn.execute(sa.text("show transaction_read_only")).scalar() == "on"
        with made.connect() as conn:
            assert conn.execute(sa.text("show transaction_read_only")).scalar() == "off"


@check
def settings_made_at_connect() -> None:
    """An event handler's SET, as applications use it for search_path and time zones."""
    schema = unique("schema")
    with engine(pool_size=3) as made:
        with made.begin() as conn:
            conn.execute(sa.text(f"create schema {schema}; create table {schema}.here as "
                                 "select 1 as n"))

        @event.listens_for(made, "connect")
        def set_up(dbapi: Any, _: Any) -> None:
            with dbapi.cursor() as cursor:
                cursor.execute(f"set search_path = {schema}; set time zone 'Asia/Tokyo'")
            dbapi.commit()

        made.pool.recreate()
        made.dispose()
        try:
            for _ in range(10):
                with made.connect() as conn:
                    row = conn.execute(sa.text("select n, current_setting('timezone') from here"))
                    assert tuple(row.one()) == (1, "Asia/Tokyo")
        finally:
            with made.begin() as conn:
                conn.execute(sa.text(f"drop schema {schema} cascade"))


@check
def server_side_cursors() -> None:
    with engine() as made, made.connect() as conn:
        streamed = conn.execution_options(stream_results=True, yield_per=70).execute(
            sa.text("select n, repeat('x', n % 50) from generate_series(1, 2000) n"))
        seen = [(n, len(text)) for n, text in streamed]
        assert seen == [(n, n % 50) for n in range(1, 2001)]


@check
def reflection() -> None:
    with engine() as made, tables(made):
        reflected = sa.MetaData()
        reflected.reflect(made, only=[Author.__tablename__, Book.__tablename__])
        book = reflected.tables[Book.__tablename__]
        assert [c.name for c in book.columns] == ["id", "author_id", "title", "price", "tags",
                                                  "more"]
        assert isinstance(book.c.more.type, pg.JSONB) and book.c.price.type.scale == 2
        (key,) = book.foreign_keys
        assert key.column.table.name == Author.__tablename__


@check
def many_values_at_once() -> None:
    """execute_values with pages, RETURNING, and ON CONFLICT."""
    with engine() as made, tables(made), made.begin() as conn:
        given = [{"name": f"n{n}"} for n in range(2500)]
        conn.execute(sa.insert(Author), given)
        made_ids = conn.execute(sa.select(sa.func.count(), sa.func.max(Author.id))).one()
        assert made_ids[0] == 2500 and made_ids[1] >= 2500, made_ids
        again = pg.insert(Author).values(name="n7").on_conflict_do_update(
            index_elements=["name"], set_={"born": datetime.date(2001, 1, 1)}).returning(Author.born)
        assert conn.execute(again).scalar() == datetime.date(2001, 1, 1)


@check
def two_phase_commit() -> None:
    with engine() as made, tables(made), made.connect() as conn:
        for committed in (True, False):
            transaction = conn.begin_twophase()
            conn.execute(sa.insert(Author).values(name=f"two-phase {committed}"))
            transaction.prepare()
            if committed:
                transaction.commit()
            else:
                transaction.rollback()
        assert conn.execute(sa.select(Author.name)).scalars().all() == ["two-phase True"]


@check
async def asyncpg_statement_caches() -> None:
    """Eight sessions: the dialect prepares every statement, and keeps fewer than it is given."""
    pids: set[int] = set()
    async with async_engine(pool_size=8) as made:
        async def client(number: int) -> None:
            for turn in range(15):
                async with made.begin() as conn:
                    for extra in range(4):
                        row = (await conn.execute(
                            sa.text(f"select pg_backend_pid(), cast(:n as int) + {extra + number}"),
                            {"n": turn})).one()
                        pids.add(row[0])
                        assert row[1] == turn + extra + number, row
        await asyncio.gather(*(client(n) for n in range(8)))
    assert not LINKS_CHANGE or len(pids) > 1, "every transaction ran on the same connection"
    tiny = url("asyncpg").update_query_dict({"prepared_statement_cache_size": "3"})
    made = create_async_engine(tiny, connect_args=tls())
    for turn in range(3):
        for n in range(10):
            async with made.connect() as conn:
                found = await conn.execute(sa.text(f"select cast(:v as int) * {n}"), {"v": turn})
                assert found.scalar() == turn * n
    await made.dispose()


@check
async def asyncpg_orm() -> None:
    with engine() as plain, tables(plain):
        async with async_engine() as made, AsyncSession(made, expire_on_commit=False) as session:
            session.add_all([Author(name=f"a{n}", books=[Book(title=f"t{n}", more={"k": n})])
                             for n in range(30)])
            await session.commit()
            query = sa.select(Author).options(orm.joinedload(Author.books)).order_by(Author.id)
            found = (await session.execute(query)).unique().scalars().all()
            assert [(a.name, a.books[0].more) for a in found] == [
                (f"a{n}", {"k": n}) for n in range(30)]
            try:
                async with session.begin_nested():
                    session.add(Author(name="a1"))
                    await session.flush()
            except exc.IntegrityError as error:
                assert error.orig.pgcode == "23505"
            else:
                raise AssertionError("the duplicate was taken")
            assert (await session.execute(sa.select(sa.func.count(Author.id)))).scalar() == 30
            stream = await session.stream(sa.select(Author.name).order_by(Author.id))
            assert [row[0] async for row in stream] == [f"a{n}" for n in range(30)]


main()
