"""Portals: row limits over several Executes, several at once, lifetimes."""

from lab import messages as m
from lab.recorder import Recorder, session

SERIES = "select n from generate_series(1, 25) n"


@session()
def fetched_in_parts(r: Recorder) -> None:
    r.sync(m.parse("", SERIES), m.bind("", ""), m.describe_portal(""), m.execute("", 10),
           m.execute("", 10), m.execute("", 10), m.execute("", 10))


@session()
def fetched_in_parts_with_flush(r: Recorder) -> None:
    r.send(m.parse("", SERIES), m.bind("p", ""), m.describe_portal("p"), m.execute("p", 10),
           m.flush()).until(b"s")
    r.send(m.execute("p", 10), m.flush()).until(b"s")
    r.send(m.execute("p", 0), m.flush()).until(b"C")
    r.send(m.execute("p", 0), m.flush()).until(b"C")
    r.send(m.close_portal("p"), m.flush()).until(b"3")
    r.sync()


@session()
def fetched_over_several_syncs(r: Recorder) -> None:
    r.query("begin")
    r.sync(m.parse("s", SERIES), m.bind("p", "s"), m.execute("p", 10))
    r.sync(m.execute("p", 10))
    r.sync(m.describe_portal("p"))
    r.sync(m.execute("p", 10))
    r.sync(m.execute("p", 10))
    r.query("commit")
    r.sync(m.close_statement("s"))


@session()
def gone_after_the_transaction(r: Recorder) -> None:
    r.sync(m.parse("", SERIES), m.bind("p", ""), m.execute("p", 5))
    r.sync(m.execute("p", 5))
    r.query("begin")
    r.sync(m.bind("p", ""), m.execute("p", 5))
    r.query("rollback")
    r.query("begin")
    r.sync(m.parse("", SERIES), m.bind("p", ""), m.execute("p", 5))
    r.query("commit")
    r.sync(m.execute("p", 5))


@session()
def two_at_once(r: Recorder) -> None:
    r.query("begin")
    r.sync(m.parse("s", "select $1::text || n from generate_series(1, 9) n"),
           m.bind("a", "s", ["a"]), m.bind("b", "s", ["b"]))
    for _ in range(3):
        r.sync(m.execute("a", 4), m.execute("b", 4))
    r.sync(m.close_portal("a"), m.execute("b", 4), m.close_portal("b"))
    r.query("rollback")
    r.sync(m.close_statement("s"))


@session()
def duplicate(r: Recorder) -> None:
    r.query("begin")
    r.sync(m.parse("", SERIES), m.bind("p", ""), m.bind("p", ""))
    r.query("rollback")
    r.query("begin")
    r.sync(m.parse("", SERIES), m.bind("", ""), m.bind("", ""), m.execute("", 3))
    r.query("commit")


@session()
def unknown(r: Recorder) -> None:
    r.sync(m.execute("missing"))
    r.sync(m.close_portal("missing"))
    r.sync(m.describe_portal("missing"))
    r.query("begin")
    r.sync(m.execute("missing"))
    r.sync(m.close_portal("missing"))
    r.query("rollback")


@session()
def outlives_its_statement(r: Recorder) -> None:
    r.query("begin")
    r.sync(m.parse("s", SERIES), m.bind("p", "s"), m.execute("p", 5))
    r.sync(m.close_statement("s"))
    r.sync(m.execute("p", 5))
    r.query("commit")


@session()
def of_statements_without_rows(r: Recorder) -> None:
    r.query("begin")
    r.sync(m.parse("", "insert into empty_table values (1, 'x'), (2, 'y') returning id"),
           m.bind("p", ""), m.execute("p", 1))
    r.sync(m.execute("p", 1))
    r.sync(m.parse("", "delete from empty_table"), m.bind("p2", ""), m.execute("p2", 1),
           m.execute("p2", 1))
    r.query("rollback")


@session()
def cursors_by_sql(r: Recorder) -> None:
    r.query("begin")
    r.query("declare c scroll cursor for " + SERIES)
    r.sync(m.describe_portal("c"), m.execute("c", 7))
    r.query("fetch backward 2 from c")
    r.query("fetch absolute 20 from c")
    r.sync(m.close_portal("c"))
    r.query("fetch 1 from c")
    r.query("rollback")


@session(modes=("session",))
def held_cursor(r: Recorder) -> None:
    r.query("begin")
    r.query("declare held cursor with hold for " + SERIES)
    r.query("commit")
    r.query("fetch 5 from held")
    r.sync(m.execute("held", 5))
    r.query("close held")


@session()
def error_while_fetching(r: Recorder) -> None:
    r.query("begin")
    r.sync(m.parse("", "select 10 / (15 - n) from generate_series(1, 25) n"), m.bind("p", ""),
           m.execute("p", 10))
    r.sync(m.execute("p", 10))
    r.sync(m.execute("p", 10))
    r.query("rollback")


@session()
def many_rows_in_small_parts(r: Recorder) -> None:
    r.query("begin")
    r.sync(m.parse("", "select n, repeat('x', 500) from generate_series(1, 1000) n"),
           m.bind("p", ""))
    r.send(*[m.execute("p", 7)] * 150, m.sync()).ready()
    r.query("commit")
