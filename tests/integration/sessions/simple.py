"""Simple queries: results, errors, several statements in one string, transactions."""

from lab import messages as m
from lab.recorder import Recorder, session


@session()
def one_row(r: Recorder) -> None:
    r.query("select 1 as one, 'two' as two, null as three")


@session()
def many_types(r: Recorder) -> None:
    r.query("select 1::smallint, 2::bigint, 3.5::float4, 4.25::float8, 5.125::numeric(10,3), true, "
            "'x'::char(3), 'y'::varchar(5), '2024-02-29'::date, '12:00'::time, "
            "'2024-02-29 12:00+02'::timestamptz, '1 day'::interval, '{1,2}'::int[], "
            "'{\"a\": 1}'::jsonb, 'a=>1'::text, '\\x00ff'::bytea, '127.0.0.1'::inet, "
            "'(1,2)'::point, 'a'::\"char\", row(1, 'x'), '[1,5)'::int4range")


@session()
def no_rows(r: Recorder) -> None:
    r.query("select * from empty_table")
    r.query("select 1 where false")
    r.query("select")


@session()
def many_rows(r: Recorder) -> None:
    r.query("select id, name, price from item order by id")
    r.query("select n, repeat('x', n % 100) from generate_series(1, 5000) n")


@session()
def empty_queries(r: Recorder) -> None:
    for text in ("", " ", ";", ";;", "-- a comment", "/* one */", "  \n\t "):
        r.query(text)


@session()
def several_statements(r: Recorder) -> None:
    r.query("select 1; select 2, 3; select 4 where false; values (5), (6)")
    r.query("select 1;;; select 2;")
    r.query(";select 1")


@session()
def several_statements_with_an_error(r: Recorder) -> None:
    r.query("select 1; select 1/0; select 3")
    r.query("select 1; selec 2; select 3")
    r.query("select 4")


@session()
def implicit_transaction_is_rolled_back(r: Recorder) -> None:
    r.query("insert into empty_table values (1, 'x'); select count(*) from empty_table; select 1/0")
    r.query("select count(*) from empty_table")


@session()
def syntax_errors(r: Recorder) -> None:
    for text in ("selec", "select * frm item", "select 'unterminated", "select (1",
                 "insert into item", "select 1 2 3", "select $1", "\\d", "SELECT \u20ac"):
        r.query(text)


@session()
def errors_of_all_kinds(r: Recorder) -> None:
    for text in ("select 1/0", "select * from missing", "select missing from item",
                 "select missing_function(1)", "insert into item values (1, 'again', 1)",
                 "insert into item values (1000, null, 1)", "select 'x'::int",
                 "select 1::int + '{1}'::int[]", "create table item (x int)",
                 "drop table missing", "set missing_parameter = 1", "set work_mem = 'x'",
                 "select fail('on purpose')", "copy missing to stdout", "vacuum missing",
                 "select pg_read_file('/etc/passwd')", "do $$ begin raise sqlstate '22222'; end $$"):
        r.query(text)


@session()
def tags(r: Recorder) -> None:
    r.query("begin")
    for text in ("insert into empty_table values (1, 'a'), (2, 'b')",
                 "update empty_table set t = 'c' where id = 1", "delete from empty_table",
                 "select * into temp made from item", "create temp table t1 (n int)",
                 "create temp table t2 on commit drop as select 1 as n", "alter table t1 add m int",
                 "truncate t1", "drop table t1", "comment on table made is 'x'", "lock table made",
                 "explain (costs off) select 1", "show datestyle", "savepoint s",
                 "rollback to savepoint s", "release savepoint s", "set local work_mem = '2MB'",
                 "declare c cursor for select 1", "fetch all from c", "move 1 from c", "close c",
                 "prepare p as select 1", "execute p", "deallocate p", "listen x", "unlisten x",
                 "notify y", "set constraints all deferred", "values (1)", "table item limit 1"):
        r.query(text)
    r.query("rollback")


@session()
def transaction_committed(r: Recorder) -> None:
    r.query("begin")
    r.query("insert into empty_table values (1, 'x') returning *")
    r.query("delete from empty_table returning id")
    r.query("commit")


@session()
def transaction_failed_and_rolled_back(r: Recorder) -> None:
    r.query("begin")
    r.query("select 1/0")
    r.query("select 1")
    r.query("")
    r.query("rollback")
    r.query("select 2")


@session()
def transaction_failed_and_committed(r: Recorder) -> None:
    r.query("begin")
    r.query("selec")
    r.query("commit")
    r.query("select 2")


@session()
def savepoints(r: Recorder) -> None:
    r.query("begin")
    r.query("savepoint a")
    r.query("select 1/0")
    r.query("rollback to a")
    r.query("select 1")
    r.query("release a")
    r.query("rollback and chain")
    r.query("commit and no chain")


@session()
def transaction_commands_out_of_place(r: Recorder) -> None:
    for text in ("commit", "rollback", "savepoint s", "end", "abort", "begin", "begin",
                 "start transaction", "commit", "commit", "prepare transaction 'x'"):
        r.query(text)


@session()
def transactions_within_one_string(r: Recorder) -> None:
    r.query("begin; select 1; commit; select 2")
    r.query("begin; select 1")
    r.query("select 2; rollback; begin; select 3; commit")
    r.query("select 1; begin")
    r.query("commit")


@session()
def isolation_and_read_only(r: Recorder) -> None:
    r.query("begin isolation level serializable read only deferrable")
    r.query("show transaction_isolation")
    r.query("insert into empty_table values (1, 'x')")
    r.query("rollback")
    r.query("begin read only")
    r.query("create temp table t (n int)")
    r.query("rollback")


@session()
def pipelined_simple_queries(r: Recorder) -> None:
    """Several Query messages sent before the first answer is read."""
    r.send(*[m.query(f"select {n}") for n in range(20)]).ready(20)
    r.send(m.query("begin"), m.query("select 1"), m.query("selec"), m.query("select 2"),
           m.query("rollback"), m.query("select 3")).ready(6)


@session()
def notices(r: Recorder) -> None:
    r.query("select shout('hey')")
    r.query("do $$ begin for i in 1..20 loop raise notice 'n %', i; end loop; end $$")
    r.query("drop table if exists missing")
    r.query("begin; select shout('in a transaction'); commit; select shout('after it')")


@session()
def notices_at_any_level(r: Recorder) -> None:
    r.query("begin")
    r.query("set local client_min_messages = debug1")
    r.query("do $$ begin raise debug 'd'; raise log 'l'; raise info 'i'; raise notice 'n'; "
            "raise warning 'w'; end $$")
    r.query("commit")


@session()
def huge_rows(r: Recorder) -> None:
    r.query("select repeat('x', 3000000), repeat('y', 70000) from generate_series(1, 3)")
    r.query("select repeat('z', 16777216)")


@session()
def huge_statement(r: Recorder) -> None:
    r.query("select length('" + "a" * 2_000_000 + "')")
    r.query("select '" + "b" * 1_000_000 + "', 1/0")


@session()
def many_columns(r: Recorder) -> None:
    r.query("select " + ", ".join(f"{n} as c{n}" for n in range(1600)))
    r.query("select " + ", ".join(f"{n}" for n in range(1665)))


@session()
def sizes_around_the_buffers(r: Recorder) -> None:
    """Rows whose sizes end exactly on, just before and just after likely buffer sizes."""
    for size in (4096, 8192, 16384, 32768, 65536):
        for more in range(-12, 2, 3):
            r.query(f"select repeat('x', {size + more})")


@session()
def unicode(r: Recorder) -> None:
    r.query("select 'ünï €', U&'\\+01F600', '日本語' as \"名前\"")
    r.query("select '" + "é" * 10000 + "'")


@session()
def invalid_encoding(r: Recorder) -> None:
    r.send(m.query(b"select '\xff\xfe'")).ready()
    r.send(m.query(b"select 1 -- \x80")).ready()


@session()
def long_error_texts(r: Recorder) -> None:
    r.query("select '" + "w" * 20000 + "'::int")
    r.query("do $$ begin raise exception '%', repeat('long ', 40000); end $$")


@session()
def row_locks_and_returning(r: Recorder) -> None:
    r.query("begin")
    r.query("select * from item where id = 5 for update")
    r.query("update item set name = name where id = 5 returning *")
    r.query("select nextval(null)")
    r.query("rollback")


@session()
def parameters_change_in_a_transaction(r: Recorder) -> None:
    """ParameterStatus comes with SET and again when the transaction takes it back."""
    r.query("begin")
    r.query("set local datestyle = 'SQL, DMY'")
    r.query("select '2024-02-29'::date")
    r.query("set local timezone = 'Europe/Vienna'; set local intervalstyle = 'iso_8601'")
    r.query("select '1 day'::interval")
    r.query("commit")
    r.query("begin; set local application_name = 'changed'; rollback")
    r.query("select 1")


@session()
def copy_that_is_not_allowed(r: Recorder) -> None:
    r.query("copy item to '/tmp/x'")
    r.query("copy item to program 'true'")
