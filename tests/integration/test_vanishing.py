"""Clients that leave in the middle: what they began is undone, and their connection is either fit
for the next client or closed."""

from __future__ import annotations

from typing import Callable

from lab import messages as m
from lab.declare import ANY, FOREBAY, MODES, POSTGRES_LIKE, TLS, test
from lab.lab import Lab
from lab.process import holds_for, wait_until
from lab.wire import Client

WAYS = ("fin", "rst", "terminate")


def leave(client: Client, how: str) -> None:
    if how == "rst":
        client.reset()
    else:
        if how == "terminate":
            client.send(m.terminate())
        client.close()


def sessions_in(lab: Lab, condition: str) -> bool:
    return bool(lab.postgres.rows("select 1 from pg_stat_activity where datname = 'app' and "
                                  + condition))


def begin(client: Client) -> None:
    client.run("begin")
    client.run("insert into left_behind values (1)")


def failed(client: Client) -> None:
    begin(client)
    client.error(m.query("select 1/0"))


def batch_without_sync(client: Client) -> None:
    """Everything answered, but no Sync: nothing has been committed."""
    client.send(m.parse("", "insert into left_behind values (1)"), m.bind("", ""), m.execute(""),
                m.flush())
    client.read_until(b"C")


def failed_batch_without_sync(client: Client) -> None:
    client.send(m.parse("", "insert into left_behind values (1)"), m.bind("", ""), m.execute(""),
                m.parse("", "selec"), m.flush())
    client.read_until(b"E")


def batch_never_read(client: Client) -> None:
    client.send(m.parse("", "insert into left_behind values (1)"), m.bind("", ""), m.execute(""))


def copy_in(client: Client) -> None:
    client.send(m.query("copy left_behind from stdin"))
    client.read_until(b"G")
    client.send(m.copy_data(b"1\n" * 1000))


def copy_in_extended(client: Client) -> None:
    client.send(m.parse("", "copy left_behind from stdin"), m.bind("", ""), m.execute(""), m.sync())
    client.read_until(b"G")
    client.send(m.copy_data(b"1\n" * 1000))


def half_a_copy_data(client: Client) -> None:
    client.send(m.query("copy left_behind from stdin"))
    client.read_until(b"G")
    client.send(m.copy_data(b"1\n" * 1000)[:-7])


def open_portal(client: Client) -> None:
    begin(client)
    client.send(m.parse("", "select generate_series(1, 1000)"), m.bind("p", ""),
                m.execute("p", 10), m.flush())
    client.read_until(b"s")


def half_a_query(client: Client) -> None:
    client.send(m.query("insert into left_behind values (1)")[:-5])


def half_a_query_in_a_transaction(client: Client) -> None:
    begin(client)
    client.send(m.query("insert into left_behind values (2)")[:-5])


STATES: dict[str, Callable[[Client], None]] = {f.__name__: f for f in (
    begin, failed, batch_without_sync, failed_batch_without_sync, batch_never_read, copy_in,
    copy_in_extended, half_a_copy_data, open_portal, half_a_query, half_a_query_in_a_transaction)}


@test(modes=MODES, targets=ANY, params=[f"{state}-{way}" for state in STATES for way in WAYS])
def nothing_is_left(lab: Lab, param: str) -> None:
    """The next client finds neither rows nor a transaction, and works at once."""
    state, way = param.split("-")
    if way == "terminate" and "half" in state:
        way = "fin"                         # it would be a part of the message
    target = lab.target(pool_size=1)
    with target.connect() as client:
        client.run("create table left_behind (n int)")
    client = target.connect()
    STATES[state](client)
    leave(client, way)
    with target.connect() as client:
        answer = client.messages(m.query("select count(*) from left_behind"))
        assert m.only(answer, b"D")[0].columns() == [b"0"], answer
        assert answer[-1].body == b"I", answer
    wait_until(lambda: not sessions_in(lab, "state like 'idle in transaction%'"),
               "no transaction is left open")


@test(modes=MODES, tls=TLS, targets=FOREBAY, params=WAYS)
def running_statement_is_cancelled(lab: Lab, way: str) -> None:
    """It does not run on for nobody; the connection is free soon after. In session mode nobody
    knows that it only reads: behind a good-bye it may have to be carried out."""
    if way == "terminate" and lab.variant.mode == "session":
        return
    target = lab.target(pool_size=1)
    client = target.connect()
    client.send(m.query("select pg_sleep(600)"))
    wait_until(lambda: sessions_in(lab, "query = 'select pg_sleep(600)' and state = 'active'"),
               "the statement runs")
    leave(client, way)
    wait_until(lambda: not sessions_in(lab, "query = 'select pg_sleep(600)' and state = 'active'"),
               "the statement was cancelled", within=8)
    with target.connect() as client:
        assert client.value("select 'next'") == "next"


@test(modes=("transaction",), targets=FOREBAY)
def running_transaction_is_rolled_back(lab: Lab) -> None:
    target = lab.target(pool_size=1)
    with target.connect() as client:
        client.run("create table left_behind (n int)")
    client = target.connect()
    begin(client)
    client.send(m.query("select pg_sleep(600)"))
    wait_until(lambda: sessions_in(lab, "query = 'select pg_sleep(600)' and state = 'active'"),
               "the statement runs")
    client.reset()
    with target.connect() as client:
        assert client.value("select count(*) from left_behind", within=15) == "0"


@test(modes=("transaction",), targets=FOREBAY)
def waiting_for_a_lock(lab: Lab) -> None:
    """A statement that waits for a lock is given up too."""
    target = lab.target(pool_size=2)
    with target.connect() as client:
        client.run("create table left_behind (n int)")
    holder = lab.keep(target.connect())
    holder.run("begin; lock table left_behind")
    client = target.connect()
    client.send(m.query("select count(*) from left_behind"))
    wait_until(lambda: sessions_in(lab, "wait_event_type = 'Lock'"), "it waits for the lock")
    client.reset()
    wait_until(lambda: not sessions_in(lab, "wait_event_type = 'Lock'"), "nobody waits", within=8)
    holder.run("commit")


@test(modes=MODES, targets=FOREBAY)
def large_result_is_not_read_to_its_end(lab: Lab) -> None:
    """Gigabytes that nobody wants: the statement is cancelled, or the connection closed."""
    target = lab.target(pool_size=1)
    client = target.connect()
    client.send(m.query("select repeat('x', 100000) from generate_series(1, 1000000)"))
    client.read_until(b"T")
    client.reset()
    with target.connect() as client:
        assert client.value("select 'next'", within=15) == "next"


@test(modes=("transaction",), targets=FOREBAY)
def many_vanish_at_once(lab: Lab) -> None:
    """The links of twenty clients that leave in all kinds of states are all fit again, or gone."""
    target = lab.target(pool_size=4)
    with target.connect() as client:
        client.run("create table left_behind (n int)")

    def visit(number: int) -> None:
        for turn in range(6):
            client = target.connect(within=60)
            list(STATES.values())[(number + turn) % len(STATES)](client)
            leave(client, WAYS[turn % 2])
    lab.in_parallel(20, visit)
    with target.connect(within=60) as client:
        assert client.value("select count(*) from left_behind") == "0"
    wait_until(lambda: not sessions_in(lab, "state <> 'idle'"), "every connection is at rest")
    assert len(lab.postgres.sessions("app")) <= 4


@test(modes=MODES, targets=POSTGRES_LIKE, params=("simple", "extended", "copy", "slow"))
def half_close(lab: Lab, what: str) -> None:
    """The client says no more, but still listens: it gets its answer, then the end."""
    target = lab.target(pool_size=1)
    with target.connect() as client:
        if what == "simple":
            client.send(m.query("select 'answer'"))
        elif what == "slow":
            client.send(m.query("select 'answer' from pg_sleep(0.5)"))
        elif what == "extended":
            client.send(m.parse("", "select 'answer'"), m.bind("", ""), m.execute(""), m.sync())
        else:
            client.send(m.query("copy (select 'answer' from generate_series(1, 100000)) to stdout"))
        client.half_close()
        answer = client.until_end()
        assert b"answer" in b"".join(message.body for message in answer), m.names(answer)
        assert answer[-1].type == b"Z", m.names(answer)
    target.check_healthy()


@test(modes=("transaction",), targets=POSTGRES_LIKE)
def half_close_in_a_transaction(lab: Lab) -> None:
    """Nothing more can come: it is rolled back, and the connection is not kept."""
    target = lab.target(pool_size=1)
    with target.connect() as client:
        client.run("create table left_behind (n int)")
    with target.connect() as client:
        begin(client)
        client.half_close()
        assert client.until_end() == []
    with target.connect() as client:
        assert client.value("select count(*) from left_behind") == "0"


@test(modes=("transaction",), targets=FOREBAY)
def idle_client_gone_unnoticed_by_others(lab: Lab) -> None:
    target = lab.target(pool_size=1)
    stay = lab.keep(target.connect())
    pid = stay.value("select pg_backend_pid()")
    for way in WAYS:
        client = target.connect()
        client.run("select 1")
        leave(client, way)
    holds_for(lambda: stay.value("select pg_backend_pid()") == pid, 0.5, "the connection is kept")


# Terminate behind what there is to do.

def insert(number: int) -> bytes:
    return m.query(f"insert into behind values ({number})")


def batch(number: int) -> bytes:
    return m.parse("", f"insert into behind values ({number})") + m.bind("", "") + m.execute("")


BEHIND: dict[str, tuple[bytes, int]] = {
    "query": (insert(1), 1),
    "batch": (batch(1) + m.sync(), 1),
    "slow": (m.query("insert into behind select 1 from pg_sleep(0.3)"), 1),
    "transaction": (m.query("begin; insert into behind values (1); commit"), 1),
    "transaction_that_stays_open": (m.query("begin") + insert(1), 0),
    "batch_without_sync": (insert(1) + batch(2) + m.sync() + batch(3), 2),
}


def rows_behind(lab: Lab) -> int:
    return int(lab.postgres.rows("select count(*) from behind", "app")[0][0])


@test(modes=MODES, tls=TLS, targets=POSTGRES_LIKE, params=BEHIND)
def terminate_behind_statements(lab: Lab, what: str) -> None:
    """What was said whole before Terminate is carried out, though nobody waits for the answer."""
    said, rows = BEHIND[what]
    target = lab.target(pool_size=1)
    with target.connect() as client:
        client.run("create table behind (n int)")
        client.run("select 1")
    client = target.connect()
    client.send(said, m.terminate())
    client.close()
    wait_until(lambda: rows_behind(lab) == rows, f"{rows} are there")
    with target.connect() as client:
        client.run("select 'next'")
    wait_until(lambda: not sessions_in(lab, "state <> 'idle'"), "all is at rest")
    assert rows_behind(lab) == rows


@test(targets=FOREBAY, params=("insert", "select"))
def terminate_behind_what_waits(lab: Lab, what: str) -> None:
    """It is carried out when its turn has come, unless it only reads: PostgreSQL, too, would, only
    that nobody could tell."""
    target = lab.target(pool_size=1)
    holder = lab.keep(target.connect())
    holder.run("create table behind (n int)")
    holder.run("begin")
    client = target.connect()
    if what == "insert":
        client.send(insert(1), batch(2), m.sync(), m.terminate())
    else:
        client.send(m.query("select pg_sleep(600)"), m.terminate())
    client.close()
    holder.run("commit")
    if what == "insert":
        wait_until(lambda: rows_behind(lab) == 2, "both are there")
    wait_until(lambda: not sessions_in(lab, "state <> 'idle'"), "nobody works for it")


@test(targets=FOREBAY)
def terminate_behind_many_rows(lab: Lab) -> None:
    """PostgreSQL ends a statement whose rows it cannot send, and takes back what it did."""
    target = lab.target(pool_size=1)
    with target.connect() as client:
        client.run("create table behind (n int)")
    client = target.connect()
    client.send(m.query("insert into behind select 1 from generate_series(1, 1000000) "
                        "returning repeat('x', 100)"), m.terminate())
    client.close()
    with target.connect() as client:
        assert client.value("select count(*) from behind", within=30) == "0"
