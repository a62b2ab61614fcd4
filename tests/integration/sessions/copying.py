"""COPY in both protocols, finished, failed and broken off."""

from lab import messages as m
from lab.recorder import Recorder, session

ROWS = [f"{n}\trow {n}\n".encode() for n in range(100)]


@session()
def out(r: Recorder) -> None:
    r.query("copy (select id, name from item order by id) to stdout")
    r.query("copy (select id, name from item order by id) to stdout (format csv, header)")
    r.query("copy (select id, name from item order by id) to stdout (format binary)")
    r.query("copy (select 1 where false) to stdout")


@session()
def out_large(r: Recorder) -> None:
    r.query("copy (select n, repeat('x', 1000) from generate_series(1, 5000) n) to stdout")
    r.query("copy (select repeat('y', 5000000)) to stdout")


@session()
def out_with_an_error(r: Recorder) -> None:
    r.query("copy (select 10 / (50 - n) from generate_series(1, 100) n) to stdout")
    r.query("select 1")


@session()
def into(r: Recorder) -> None:
    r.query("begin")
    r.send(m.query("copy copied from stdin")).until(b"G")
    r.send(*[m.copy_data(row) for row in ROWS], m.copy_done()).ready()
    r.query("select count(*), min(t), max(t) from copied")
    r.query("rollback")


@session()
def into_without_waiting(r: Recorder) -> None:
    """Query, CopyData, CopyDone in one go: the answer is not waited for."""
    r.query("begin")
    r.send(m.query("copy copied from stdin"), m.copy_data(b"".join(ROWS)), m.copy_done(),
           m.query("select count(*) from copied")).ready(2)
    r.query("rollback")


@session()
def into_in_odd_pieces(r: Recorder) -> None:
    """CopyData need not end where rows end; empty ones are allowed."""
    data = b"".join(ROWS)
    r.query("begin")
    r.send(m.query("copy copied from stdin")).until(b"G")
    pieces = [m.copy_data(data[at:at + 7]) for at in range(0, len(data), 7)]
    r.send(m.copy_data(b""), *pieces, m.copy_data(b""), m.copy_done()).ready()
    r.query("select count(*) from copied")
    r.query("rollback")


@session()
def into_binary_and_csv(r: Recorder) -> None:
    r.query("begin")
    header = b"PGCOPY\n\xff\r\n\0" + b"\0" * 8
    row = b"\0\2\0\0\0\4\0\0\0\7\0\0\0\1x"
    r.send(m.query("copy copied from stdin (format binary)")).until(b"G")
    r.send(m.copy_data(header + row * 3 + b"\xff\xff"), m.copy_done()).ready()
    r.send(m.query("copy copied from stdin (format csv)")).until(b"G")
    r.send(m.copy_data(b'1,"a,b"\n2,"line\nbreak"\n'), m.copy_done()).ready()
    r.query("select count(*) from copied")
    r.query("rollback")


@session()
def into_failed_by_the_client(r: Recorder) -> None:
    r.send(m.query("copy copied from stdin")).until(b"G")
    r.send(m.copy_data(ROWS[0]), m.copy_fail("had enough")).ready()
    r.query("select count(*) from copied")


@session()
def into_with_a_bad_row(r: Recorder) -> None:
    """The server gives up in the middle; what the client still sends is dropped."""
    r.send(m.query("copy copied from stdin")).until(b"G")
    r.send(m.copy_data(ROWS[0]), m.copy_data(b"not a number\tx\n"), m.copy_data(ROWS[1]),
           m.copy_done()).ready()
    r.query("select 1")


@session()
def into_with_a_bad_row_and_much_after_it(r: Recorder) -> None:
    r.send(m.query("copy copied from stdin")).until(b"G")
    r.send(m.copy_data(b"bad\tx\n"))
    r.send(*[m.copy_data(b"".join(ROWS))] * 300, m.copy_done()).ready()
    r.query("select 1")


@session()
def into_with_a_query_in_the_middle(r: Recorder) -> None:
    """Any message but CopyData, CopyDone, CopyFail, Flush and Sync there: the stream is given up."""
    r.send(m.query("copy copied from stdin")).until(b"G")
    r.send(m.copy_data(ROWS[0]), m.flush(), m.sync(), m.copy_data(ROWS[1]), m.query("select 1"))
    r.until_end()


@session()
def into_a_missing_table(r: Recorder) -> None:
    """COPY never begins; CopyData and CopyDone sent ahead are ignored."""
    r.send(m.query("copy missing from stdin"), m.copy_data(ROWS[0]), m.copy_done()).ready()
    r.query("select 1")


@session()
def stray_copy_messages(r: Recorder) -> None:
    r.send(m.copy_data(b"x\n"), m.copy_done(), m.copy_fail("x"), m.query("select 1")).ready()
    r.sync(m.copy_data(b"x\n"), m.parse("", "select 2"), m.copy_done(), m.bind("", ""),
           m.execute(""))


@session()
def out_extended(r: Recorder) -> None:
    r.sync(m.parse("", "copy (select id, name from item order by id) to stdout"), m.bind("", ""),
           m.describe_portal(""), m.execute(""))
    r.sync(m.parse("", "copy (select 1/0) to stdout"), m.bind("", ""), m.execute(""),
           m.parse("", "select 1"))


@session()
def into_extended(r: Recorder) -> None:
    r.query("begin")
    r.send(m.parse("in", "copy copied from stdin"), m.bind("", "in"), m.execute(""), m.flush())
    r.until(b"G")
    r.send(*[m.copy_data(row) for row in ROWS], m.copy_done()).sync()
    r.sync(m.parse("", "select count(*) from copied"), m.bind("", ""), m.execute(""))
    r.query("rollback")
    r.sync(m.close_statement("in"))


@session()
def into_extended_with_a_sync_before_the_data(r: Recorder) -> None:
    """libpq sends Sync right after Execute; the server ignores it while it copies, and the client
    sends another one after CopyDone."""
    r.query("begin")
    r.send(m.parse("", "copy copied from stdin"), m.bind("", ""), m.execute(""), m.sync())
    r.until(b"G")
    r.send(m.copy_data(ROWS[0]), m.copy_done(), m.sync()).ready()
    r.query("select count(*) from copied")
    r.query("rollback")


@session()
def into_extended_failed(r: Recorder) -> None:
    r.send(m.parse("", "copy copied from stdin"), m.bind("", ""), m.execute(""), m.sync())
    r.until(b"G")
    r.send(m.copy_data(ROWS[0]), m.copy_fail("no"), m.sync()).ready()
    r.send(m.parse("", "copy copied from stdin"), m.bind("", ""), m.execute(""), m.sync())
    r.until(b"G")
    r.send(m.copy_data(b"bad\n"), m.copy_data(ROWS[0]), m.copy_done(), m.sync()).ready()
    r.query("select 1")


@session()
def several_in_one_string(r: Recorder) -> None:
    r.query("begin")
    r.send(m.query("copy copied from stdin; select count(*) from copied; copy copied to stdout; "
                   "copy copied from stdin; select count(*) from copied")).until(b"G")
    r.send(m.copy_data(ROWS[0]), m.copy_done()).until(b"G")
    r.send(m.copy_data(ROWS[1]), m.copy_done()).ready()
    r.query("rollback")


@session()
def out_cancelled(r: Recorder) -> None:
    sql = "copy (select n from generate_series(1, 3) n, pg_sleep(600)) to stdout"
    r.send(m.query(sql))
    r.wait_for_activity(sql)
    r.cancel()
    r.ready()
    r.query("select 1")
