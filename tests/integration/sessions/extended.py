"""Extended queries: every message, errors at each stage, Flush, pipelines."""

from lab import messages as m
from lab.recorder import Recorder, session

INT4, TEXT = 23, 25


@session()
def unnamed(r: Recorder) -> None:
    r.sync(m.parse("", "select $1::int + 1"), m.bind("", "", ["41"]), m.describe_portal(""),
           m.execute(""))


@session()
def unnamed_in_steps(r: Recorder) -> None:
    """Each message waits for its answer, by Flush, within one transaction."""
    r.send(m.parse("", "select $1::int, $2::text", [INT4, TEXT]), m.flush()).until(b"1")
    r.send(m.describe_statement(""), m.flush()).until(b"T")
    r.send(m.bind("", "", ["1", "x"]), m.flush()).until(b"2")
    r.send(m.describe_portal(""), m.flush()).until(b"T")
    r.send(m.execute(""), m.flush()).until(b"C")
    r.sync()


@session()
def unnamed_survives_sync(r: Recorder) -> None:
    """Parse, Describe, Sync, and then Bind, Execute, Sync: as node-postgres and asyncpg do."""
    for n in range(10):
        r.sync(m.parse("", f"select $1::int * {n}"), m.describe_statement(""))
        r.sync(m.bind("", "", [str(n)]), m.describe_portal(""), m.execute(""))
        r.sync(m.bind("", "", ["7"]), m.execute(""))


@session()
def named_across_transactions(r: Recorder) -> None:
    r.sync(m.parse("add", "select $1::int + $2::int"), m.describe_statement("add"))
    for n in range(10):
        r.sync(m.bind("", "add", [str(n), "1"]), m.describe_portal(""), m.execute(""))
    r.sync(m.describe_statement("add"))
    r.sync(m.close_statement("add"))
    r.sync(m.bind("", "add", ["1", "2"]), m.execute(""))


@session()
def many_named(r: Recorder) -> None:
    r.sync(*[m.parse(f"s{n}", f"select {n} + $1::int") for n in range(30)])
    for turn in range(3):
        r.sync(*[piece for n in range(30)
                 for piece in (m.bind("", f"s{n}", [str(turn)]), m.execute(""))])
    r.sync(*[m.close_statement(f"s{n}") for n in range(30)])


@session()
def same_text_under_two_names(r: Recorder) -> None:
    r.sync(m.parse("a", "select 'same' || $1::text"), m.parse("b", "select 'same' || $1::text"))
    r.sync(m.bind("", "a", ["1"]), m.execute(""), m.bind("", "b", ["2"]), m.execute(""))
    r.sync(m.close_statement("a"))
    r.sync(m.bind("", "b", ["3"]), m.execute(""))
    r.sync(m.bind("", "a", ["4"]), m.execute(""))
    r.sync(m.close_statement("b"))


@session()
def same_name_with_other_types(r: Recorder) -> None:
    for types in ([INT4], [TEXT], [], [20], [0]):
        r.sync(m.parse("typed", "select $1", types), m.describe_statement("typed"))
        r.sync(m.bind("", "typed", ["12"]), m.describe_portal(""), m.execute(""))
        r.sync(m.close_statement("typed"))


@session()
def binary_formats(r: Recorder) -> None:
    r.sync(m.parse("", "select $1::int4, $2::text, $3::bytea, null::int"),
           m.bind("", "", [b"\0\0\1\2", "text", b"\0\xff"], formats=[1, 0, 1], results=[1]),
           m.describe_portal(""), m.execute(""))
    r.sync(m.parse("", "select $1::int4, $2::int8"),
           m.bind("", "", [b"\0\0\0\1", b"\0" * 8], formats=[1], results=[0, 1]), m.execute(""))
    r.sync(m.parse("", "select $1::text"), m.bind("", "", [None], results=[1]), m.execute(""))


@session()
def parameters_of_all_sizes(r: Recorder) -> None:
    r.sync(m.parse("size", "select length($1::text), $1::text"))
    for size in (0, 1, 100, 8190, 8191, 8192, 16384, 32767, 65536, 1_000_000):
        r.sync(m.bind("", "size", ["x" * size]), m.execute(""))
    r.sync(m.close_statement("size"))


@session()
def many_parameters(r: Recorder) -> None:
    count = 5000
    r.sync(m.parse("", "select " + " + ".join(f"${n + 1}::int" for n in range(count))),
           m.describe_statement(""), m.bind("", "", ["1"] * count), m.execute(""))


@session()
def statements_without_rows(r: Recorder) -> None:
    for sql in ("begin", "insert into empty_table values (1, 'x')", "set local work_mem = '2MB'",
                "delete from empty_table", "rollback", "", "  ", "-- nothing"):
        r.sync(m.parse("", sql), m.describe_statement(""), m.bind("", ""), m.describe_portal(""),
               m.execute(""))


@session()
def transaction_of_extended_messages(r: Recorder) -> None:
    def statement(sql: str) -> list[bytes]:
        return [m.parse("", sql), m.bind("", ""), m.execute("")]
    r.sync(*statement("begin"))
    r.sync(*statement("select 1"))
    r.sync(*statement("select 1/0"))
    r.sync(*statement("select 2"))
    r.sync(*statement("rollback"))
    r.sync(*statement("begin"), *statement("select 3"), *statement("commit"))
    r.sync(*statement("select 4"))


@session()
def error_in_parse(r: Recorder) -> None:
    r.sync(m.parse("bad", "selec"), m.bind("", "bad"), m.execute(""))
    r.sync(m.bind("", "bad"), m.execute(""))
    r.sync(m.parse("bad", "select 1"), m.bind("", "bad"), m.execute(""))
    r.sync(m.close_statement("bad"))


@session()
def error_in_bind(r: Recorder) -> None:
    r.sync(m.parse("int", "select $1::int"), m.bind("", "int", ["x"]), m.execute(""))
    r.sync(m.bind("", "int", ["1", "2"]), m.execute(""))
    r.sync(m.bind("", "int", []), m.execute(""))
    r.sync(m.bind("", "int", ["1"], formats=[0, 0]), m.execute(""))
    r.sync(m.bind("", "int", ["1"], formats=[7]), m.execute(""))
    r.sync(m.bind("", "int", [b"\0\0\1"], formats=[1]), m.execute(""))
    r.sync(m.bind("", "int", ["1"]), m.execute(""))
    r.sync(m.close_statement("int"))


@session()
def error_in_execute(r: Recorder) -> None:
    r.sync(m.parse("", "select 10 / $1::int"), m.bind("", "", ["0"]), m.describe_portal(""),
           m.execute(""), m.close_portal(""))
    r.sync(m.parse("", "select 10 / (5 - n) from generate_series(1, 8) n"), m.bind("", ""),
           m.execute(""))
    r.sync()


@session()
def error_in_describe(r: Recorder) -> None:
    r.sync(m.describe_statement("missing"))
    r.sync(m.describe_portal("missing"))
    r.sync(m.parse("", "select 1"), m.describe_portal("missing"), m.bind("", ""), m.execute(""))
    r.sync(m.describe_portal(""))


@session()
def errors_skip_to_sync(r: Recorder) -> None:
    """After an error everything is skipped up to Sync; what was skipped was never made."""
    r.sync(m.parse("one", "select 1"), m.bind("", "one"), m.execute(""),
           m.parse("two", "selec"), m.parse("three", "select 3"), m.bind("", "three"),
           m.execute(""), m.close_statement("one"), m.describe_statement("one"), m.flush())
    r.sync(m.bind("", "one"), m.execute(""))
    r.sync(m.bind("", "three"), m.execute(""))
    r.sync(m.parse("two", "select 2"), m.bind("", "two"), m.execute(""))
    r.sync(m.close_statement("one"), m.close_statement("two"))


@session()
def query_after_an_error_is_skipped_too(r: Recorder) -> None:
    """A simple Query before the Sync that ends a failed batch is skipped by PostgreSQL."""
    r.sync(m.parse("", "selec"), m.query("select 'skipped'"))
    r.query("select 'not skipped'")


@session()
def query_within_a_batch(r: Recorder) -> None:
    """A simple Query after extended messages without Sync acts as its end."""
    r.send(m.parse("", "select 1"), m.bind("", ""), m.execute(""), m.query("select 2")).ready()
    r.sync()
    r.send(m.parse("kept", "select 'kept'"), m.query("select 3")).ready()
    r.sync(m.bind("", "kept"), m.execute(""), m.close_statement("kept"))


@session()
def many_syncs(r: Recorder) -> None:
    r.send(*[m.sync()] * 25).ready(25)
    pieces = [m.parse("n", "select $1::int")]
    for n in range(60):
        pieces += [m.bind("", "n", [str(n)]), m.execute(""), m.sync()]
    r.send(*pieces, m.close_statement("n"), m.sync()).ready(61)


@session()
def errors_in_a_pipeline(r: Recorder) -> None:
    pieces = []
    for n in range(40):
        pieces += [m.parse("", "select 10 / $1::int"), m.bind("", "", [str(n % 3)]), m.execute(""),
                   m.sync()]
    r.send(*pieces).ready(40)


@session()
def names_in_a_pipeline(r: Recorder) -> None:
    """Named statements are made, used and closed again in one go, over many Syncs."""
    pieces = []
    for n in range(20):
        pieces += [m.parse("again", f"select {n}"), m.bind("", "again"), m.execute(""), m.sync(),
                   m.close_statement("again"), m.sync()]
    r.send(*pieces).ready(40)


@session()
def next_batch_before_the_failed_ones_end(r: Recorder) -> None:
    r.send(m.parse("first", "select 1/0"), m.bind("", "first"), m.execute("")).until(b"E")
    r.send(m.sync(), m.parse("second", "select 2"), m.bind("", "second"), m.execute(""), m.sync())
    r.ready(2)
    r.sync(m.bind("", "first"), m.execute(""))
    r.sync(m.close_statement("first"), m.close_statement("second"))


@session()
def flush_without_sync(r: Recorder) -> None:
    r.send(m.flush(), m.flush())
    for n in range(10):
        r.send(m.parse("", "select $1::int"), m.bind("", "", [str(n)]), m.execute(""), m.flush())
        r.until(b"C")
    r.sync()


@session()
def flush_after_an_error(r: Recorder) -> None:
    r.send(m.parse("", "selec"), m.flush()).until(b"E")
    r.send(m.bind("", ""), m.execute(""), m.flush(), m.flush())
    r.sync()


@session()
def implicit_transaction_of_a_batch(r: Recorder) -> None:
    """Statements between two Syncs are one transaction: an error takes all of them back."""
    r.sync(m.parse("", "insert into empty_table values (1, 'x')"), m.bind("", ""), m.execute(""),
           m.parse("", "select count(*) from empty_table"), m.bind("", ""), m.execute(""),
           m.parse("", "select 1/0"), m.bind("", ""), m.execute(""))
    r.query("select count(*) from empty_table")


@session()
def several_commands_in_a_parse(r: Recorder) -> None:
    r.sync(m.parse("", "select 1; select 2"), m.bind("", ""), m.execute(""))
    r.sync(m.parse("", "select 1;"), m.bind("", ""), m.execute(""))


@session()
def notices_in_extended(r: Recorder) -> None:
    r.sync(m.parse("", "select shout($1)"), m.bind("", "", ["a"]), m.execute(""),
           m.bind("", "", ["b"]), m.execute(""))


@session()
def types_that_cannot_be_inferred(r: Recorder) -> None:
    r.sync(m.parse("", "select $1 + $2"), m.describe_statement(""))
    r.sync(m.parse("", "select $1"), m.describe_statement(""))
    r.sync(m.parse("", "select $3::int"), m.describe_statement(""))
    r.sync(m.parse("", "select $1::missing_type"), m.describe_statement(""))


@session()
def large_batch(r: Recorder) -> None:
    """More than any buffer holds goes each way before the first answer is read... of one batch."""
    pieces = [m.parse("wide", "select $1::text, repeat('y', 300)")]
    for _ in range(300):
        pieces += [m.bind("", "wide", ["x" * 200]), m.execute("")]
    r.sync(*pieces, m.close_statement("wide"))


@session()
def function_call(r: Recorder) -> None:
    r.send(m.function_call(1397, ["-7"])).ready()                   # int4abs
    r.send(m.function_call(1397, [b"\xff\xff\xff\xf9"], formats=[1], result_format=1)).ready()
    r.send(m.function_call(1397, [None])).ready()
    r.send(m.function_call(1397, ["x"])).ready()
    r.send(m.function_call(999999, ["1"])).ready()
    r.query("begin")
    r.send(m.function_call(1397, ["x"])).ready()
    r.send(m.function_call(1397, ["-1"])).ready()
    r.query("rollback")


@session()
def terminate_in_a_transaction(r: Recorder) -> None:
    r.query("begin")
    r.query("select 1")
