"""The types of a prepared statement's parameters stay what its client was told, by which it sends
binary values."""

from __future__ import annotations

import struct
from contextlib import contextmanager
from typing import Iterator

from lab import messages as m
from lab.declare import FOREBAY, POSTGRES_LIKE, test
from lab.lab import Lab
from lab.target import Target
from lab.wire import Client

INT4, INT8, FLOAT8 = 23, 20, 701
TEXTS = {"insert": "insert into prices values ($1)",
         "returning": "insert into prices values ($1) returning amount::text",
         "update": "update prices set amount = $1",
         "where": "select amount::text from prices where amount = $1"}


def told(client: Client, name: str) -> list[int]:
    answer = client.messages(m.describe_statement(name), m.sync())
    body = m.only(answer, b"t")[0].body
    return list(struct.unpack(f"!{struct.unpack('!H', body[:2])[0]}I", body[2:]))


def execute(client: Client, name: str, value: bytes) -> list[m.Message]:
    answer = client.messages(m.bind("", name, [value], formats=[1]), m.execute(""), m.sync())
    assert not m.only(answer, b"E"), answer
    return m.only(answer, b"D")


def elsewhere(target: Target, client: Client) -> Client:
    """Another client, which has the connection that `client` had last: its next one is another."""
    other = target.connect()
    while True:
        process = client.value("select pg_backend_pid()")
        other.run("begin")
        if target.kind == "direct" or other.value("select pg_backend_pid()") == process:
            return other
        other.run("commit")


@test(targets=POSTGRES_LIKE, params=[f"{text}-{who}" for text in TEXTS for who in ("through", "past")])
def stay_when_a_column_gets_another(lab: Lab, which: str) -> None:
    """On connections that parse the text when the table has been altered already."""
    text, who = which.split("-")
    lab.postgres.rows("create table prices (amount bigint); insert into prices values (1000);"
                      "grant all on prices to app; alter table prices owner to app", "app")
    target = lab.target(pool_size=2, round_robin=False)
    with target.connect() as client:
        client.messages(m.parse("p", TEXTS[text]), m.sync())
        assert told(client, "p") == [INT8]
        execute(client, "p", struct.pack("!q", 1000))
        alter = "alter table prices alter amount type double precision"
        if who == "past":
            lab.postgres.rows(alter, "app")
        else:
            with target.connect() as other:
                other.run(alter)
        with elsewhere(target, client):
            for _ in range(3):
                rows = execute(client, "p", struct.pack("!q", 1000))
            assert all(row.columns() == [b"1000"] for row in rows), rows
            assert text in ("insert", "update") or rows, "the row is found"
            assert client.value("select count(*) from prices where amount <> 1000") == "0"
            with target.connect() as fresh:             # who prepares it now is told what holds now
                if lab.kind != "direct" and who == "past":
                    return                              # of the connection that had it before
                fresh.messages(m.parse("p", TEXTS[text]), m.sync())
                assert told(fresh, "p") == [FLOAT8]


@contextmanager
def brought_along(lab: Lab, text: str) -> Iterator[tuple[Client, Client]]:
    """A client that was told int4 has executed on a connection that did not have the text, where the
    parameter is a bigint by now; and one that comes after that."""
    lab.postgres.rows("create table prices (amount int); alter table prices owner to app", "app")
    target = lab.target(pool_size=2, round_robin=False)
    with target.connect() as client:
        client.messages(m.parse("p", text), m.sync())
        assert told(client, "p") == [INT4]
        lab.postgres.rows("alter table prices alter amount type bigint", "app")
        with elsewhere(target, client), target.connect() as fresh:
            execute(client, "p", struct.pack("!i", 7))
            yield client, fresh


@test(targets=FOREBAY)
def newcomers_are_told_what_holds(lab: Lab) -> None:
    """Also by a connection to which an old client has brought the types of before."""
    text = TEXTS["insert"]
    with brought_along(lab, text) as (client, fresh):
        fresh.messages(m.parse("mine", text), m.sync())
        assert told(fresh, "mine") == [INT8]
        execute(fresh, "mine", struct.pack("!q", 1 << 40))
        execute(client, "p", struct.pack("!i", 8))
        assert client.value("select string_agg(amount::text, ' ' order by amount) from prices") \
            == f"7 8 {1 << 40}"


@test(targets=FOREBAY)
def one_copy_for_all_who_were_told_the_same(lab: Lab) -> None:
    """Types that are known do not make another statement of it."""
    lab.postgres.rows("create table prices (amount int); alter table prices owner to app", "app")
    target = lab.target(pool_size=2)
    clients = [target.connect() for _ in range(4)]
    for client in clients:
        client.messages(m.parse("p", TEXTS["insert"]), m.sync())
        assert told(client, "p") == [INT4]
    for _ in range(4):
        with target.connect() as holder:
            holder.run("begin")
            for client in clients:
                execute(client, "p", struct.pack("!i", 7))
    with target.connect() as client, target.connect() as other:
        for each in (client, other):
            each.run("begin")
            names = each.value("select count(*) from pg_catalog.pg_prepared_statements "
                               "where statement like 'insert%'")
            assert names == "1", names
    for client in clients:
        client.close()


@test(targets=FOREBAY)
def newcomers_who_ask_for_nothing(lab: Lab) -> None:
    """Without Describe a text has the types of now, too."""
    text = TEXTS["insert"]
    with brought_along(lab, text) as (_, fresh):
        answer = fresh.messages(m.parse("mine", text), m.bind("", "mine", ["5000000000"]),
                                m.execute(""), m.sync())
        assert not m.only(answer, b"E"), answer
