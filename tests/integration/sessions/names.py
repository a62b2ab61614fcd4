"""Names of prepared statements: known, unknown, twice, shared with SQL's PREPARE."""

from lab import messages as m
from lab.recorder import Recorder, session


@session()
def unknown_statement(r: Recorder) -> None:
    r.sync(m.bind("", "never"), m.execute(""))
    r.sync(m.describe_statement("never"))
    r.sync(m.close_statement("never"))
    r.query("select 1")


@session()
def duplicate_statement(r: Recorder) -> None:
    r.sync(m.parse("dup", "select 1"))
    r.sync(m.parse("dup", "select 2"), m.bind("", "dup"), m.execute(""))
    r.sync(m.parse("dup", "select 1"), m.bind("", "dup"), m.execute(""))
    r.sync(m.bind("", "dup"), m.execute(""))
    r.sync(m.close_statement("dup"), m.parse("dup", "select 3"), m.bind("", "dup"), m.execute(""))
    r.sync(m.close_statement("dup"))


@session()
def duplicate_within_a_transaction(r: Recorder) -> None:
    r.query("begin")
    r.sync(m.parse("dup", "select 1"))
    r.sync(m.parse("dup", "select 2"))
    r.query("select 1")
    r.query("rollback")
    r.sync(m.bind("", "dup"), m.execute(""))
    r.sync(m.close_statement("dup"))


@session()
def duplicate_in_one_batch(r: Recorder) -> None:
    r.sync(m.parse("dup", "select 1"), m.parse("dup", "select 2"), m.bind("", "dup"), m.execute(""))
    r.sync(m.bind("", "dup"), m.execute(""))
    r.sync(m.close_statement("dup"))


@session()
def unnamed_is_replaced(r: Recorder) -> None:
    r.sync(m.parse("", "select 1"), m.parse("", "select 2"), m.bind("", ""), m.execute(""))
    r.sync(m.parse("", "selec"))
    r.sync(m.bind("", ""), m.execute(""))
    r.sync(m.parse("", "select 3"), m.close_statement(""), m.bind("", ""), m.execute(""))


@session()
def simple_query_drops_the_unnamed(r: Recorder) -> None:
    r.sync(m.parse("", "select 'unnamed'"))
    r.query("select 1")
    r.sync(m.bind("", ""), m.execute(""))


@session()
def closed_while_its_bind_is_in_flight(r: Recorder) -> None:
    r.send(m.parse("c", "select 'c'"), m.bind("p", "c"), m.close_statement("c"), m.execute("p"),
           m.sync(), m.bind("", "c"), m.execute(""), m.sync(), m.parse("c", "select 'again'"),
           m.bind("", "c"), m.execute(""), m.close_statement("c"), m.sync()).ready(3)


@session()
def closed_twice(r: Recorder) -> None:
    r.sync(m.parse("c", "select 1"), m.close_statement("c"), m.close_statement("c"))


@session()
def statement_survives_rollback(r: Recorder) -> None:
    r.query("begin")
    r.sync(m.parse("kept", "select 'kept'"))
    r.query("select 1/0")
    r.query("rollback")
    r.sync(m.bind("", "kept"), m.execute(""))
    r.sync(m.close_statement("kept"))


@session()
def parse_in_a_failed_transaction(r: Recorder) -> None:
    r.query("begin")
    r.query("select 1/0")
    r.sync(m.parse("refused", "select 1"))
    r.sync(m.parse("allowed", "rollback"), m.bind("", "allowed"), m.execute(""))
    r.sync(m.bind("", "refused"), m.execute(""))
    r.sync(m.close_statement("allowed"))


@session()
def names_of_all_lengths(r: Recorder) -> None:
    for name in ("x", "n" * 63, "with space", 'with"quote', "ünï", "PGBOUNCER_1", "__forebay_1"):
        r.sync(m.parse(name, "select $1::text"), m.bind("", name, [name]), m.execute(""))
        r.sync(m.bind("", name, ["again"]), m.execute(""))
        r.sync(m.close_statement(name))


@session()
def name_longer_than_a_name(r: Recorder) -> None:
    """PostgreSQL cuts names at 63 bytes in its hash table: both of these are the same one."""
    r.sync(m.parse("l" * 70, "select 'first'"))
    r.sync(m.parse("l" * 71, "select 'second'"))
    r.sync(m.bind("", "l" * 65), m.execute(""))
    r.sync(m.close_statement("l" * 66))
    r.sync(m.bind("", "l" * 70), m.execute(""))


@session(modes=("session",))
def prepared_by_sql(r: Recorder) -> None:
    r.query("prepare by_sql (int) as select $1 + 1")
    r.query("execute by_sql(1)")
    r.sync(m.describe_statement("by_sql"), m.bind("", "by_sql", ["2"]), m.execute(""))
    r.query("deallocate by_sql")
    r.sync(m.bind("", "by_sql", ["2"]), m.execute(""))


@session()
def prepared_by_sql_in_a_transaction(r: Recorder) -> None:
    r.query("begin")
    r.query("prepare by_sql (int) as select $1 + 1")
    r.query("execute by_sql(1)")
    r.query("deallocate by_sql")
    r.query("commit")


@session()
def deallocated_by_sql(r: Recorder) -> None:
    r.sync(m.parse("gone", "select 1"))
    r.query("deallocate gone")
    r.sync(m.bind("", "gone"), m.execute(""))
    r.sync(m.parse("gone", "select 2"), m.bind("", "gone"), m.execute(""))
    r.query("deallocate prepare gone")
    r.query("deallocate gone")


@session()
def deallocate_all(r: Recorder) -> None:
    r.sync(m.parse("a", "select 'a'"), m.parse("b", "select 'b'"))
    r.query("deallocate all")
    r.sync(m.bind("", "a"), m.execute(""))
    r.sync(m.parse("a", "select 'new'"), m.bind("", "a"), m.execute(""))
    r.query("discard all")
    r.sync(m.bind("", "a"), m.execute(""))


@session()
def deallocate_all_pipelined_before_a_parse(r: Recorder) -> None:
    r.sync(m.parse("a", "select 'old'"))
    r.send(m.query("deallocate all"), m.parse("a", "select 'new'"), m.sync(), m.bind("", "a"),
           m.execute(""), m.sync()).ready(3)
    r.sync(m.bind("", "a"), m.execute(""))
    r.sync(m.close_statement("a"))


@session(modes=("session",))
def statement_whose_table_changes(r: Recorder) -> None:
    """"cached plan must not change result type" comes to who prepared before the change. The union
    keeps the table's object id out of RowDescription."""
    every = "select * from changing union all select * from changing"
    r.query("drop table if exists changing")
    r.query("create table changing (a int)")
    r.sync(m.parse("all", every), m.bind("", "all"), m.execute(""))
    r.query("alter table changing add b text")
    r.sync(m.bind("", "all"), m.execute(""))
    r.sync(m.close_statement("all"))
    r.sync(m.parse("all", every), m.bind("", "all"), m.describe_portal(""), m.execute(""))
    r.sync(m.close_statement("all"))
    r.query("drop table changing")
