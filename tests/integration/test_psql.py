"""psql, as a person uses it."""

from __future__ import annotations

import signal
import subprocess

from lab.declare import ENTRIES, MODES, POSTGRES_LIKE, TLS, test
from lab.lab import Lab
from lab.process import Finished, run, wait_until
from lab.target import Target


def psql(target: Target, script: str, *arguments: str, expect: int = 0, user: str = "app",
         database: str = "app", within: float = 60, **environment: str) -> Finished:
    return run(["psql", "-XAtq", *arguments], given=script, expect=expect, within=within,
               env=target.environment(user, database, **environment))


@test(modes=MODES, tls=TLS, entries=ENTRIES)
def queries(lab: Lab) -> None:
    done = psql(lab.target(), "select 1; select 'two' as b, null as c;\nvalues (1, 'x'), (2, 'y');\n"
                              "select 'ünï' || U&'\\20AC';\n")
    assert done.out == "1\ntwo|\n1|x\n2|y\nünï€\n", done
    assert done.err == "", done


@test(modes=MODES, tls=TLS, entries=ENTRIES)
def several_results_of_one_string(lab: Lab) -> None:
    done = run(["psql", "-XAt", "-c", "create table two (n int); insert into two values (1), (2); "
                "select sum(n) from two; drop table two"], env=lab.target().environment())
    assert done.out.split("\n") == ["CREATE TABLE", "INSERT 0 2", "3", "DROP TABLE", ""], done


@test(modes=MODES, tls=TLS)
def copy_out_and_in(lab: Lab) -> None:
    target = lab.target()
    path = lab.folder / "rows.csv"
    psql(target, "create table source as select n, repeat(chr(65 + n % 26), n % 300) as t "
                 "from generate_series(1, 20000) n;\n"
                 "create table copy (like source);\n")
    psql(target, f"\\copy source to '{path}' csv\n")
    assert len(path.read_text().splitlines()) == 20000
    psql(target, f"\\copy copy from '{path}' csv\n")
    done = psql(target, "select count(*), sum(length(t)) from copy;\n"
                        "select count(*) from (table source except table copy) x;\n")
    assert done.out.splitlines()[1] == "0" and done.out.startswith("20000|"), done


@test(modes=MODES, tls=TLS)
def copy_with_a_bad_row(lab: Lab) -> None:
    done = psql(lab.target(), "create table numbers (n int);\n\\copy numbers from stdin\n1\ntwo\n3\n"
                              "\\.\nselect count(*) from numbers;\n", expect=0)
    assert 'invalid input syntax for type integer: "two"' in done.err, done
    assert done.out == "0\n", done


@test(modes=MODES, tls=TLS, entries=ENTRIES)
def errors(lab: Lab) -> None:
    done = psql(lab.target(), "select 1/0;\nselect * from missing;\n"
                              "\\echo :LAST_ERROR_SQLSTATE :LAST_ERROR_MESSAGE\nselec 1;\n"
                              "begin;\nselect 1/0;\nselect 1;\nrollback;\nselect 'fine';\n",
                "-v", "VERBOSITY=verbose")
    states = [line.split(":")[1].strip() for line in done.err.splitlines()
              if line.startswith("ERROR:")]
    assert states == ["22012", "42P01", "42601", "22012", "25P02"], done
    assert done.out == '42P01 relation "missing" does not exist\nfine\n', done
    assert "LINE 1: selec 1;" in done.err, done


@test(modes=MODES, tls=TLS)
def stops_at_the_first_error(lab: Lab) -> None:
    done = psql(lab.target(), "select 1;\nselect 1/0;\nselect 2;\n", "-v", "ON_ERROR_STOP=1",
                expect=3)
    assert done.out == "1\n", done


@test(modes=MODES, tls=TLS)
def gexec(lab: Lab) -> None:
    done = psql(lab.target(), "select format('select %s * 10', n) from generate_series(1, 5) n\n"
                              "\\gexec\n")
    assert done.out == "10\n20\n30\n40\n50\n", done


@test(modes=MODES, tls=TLS)
def variables(lab: Lab) -> None:
    done = psql(lab.target(), "\\set name 'O''Hara'\nselect 40 + 2 as answer, 'x' as letter \\gset\n"
                              "select :'name', :answer, :'letter';\n"
                              "\\if :{?answer}\nselect 'set';\n\\endif\n"
                              "\\echo :ENCODING :ERROR :ROW_COUNT\n")
    assert done.out == "O'Hara|42|x\nset\nUTF8 false 1\n", done


@test(modes=MODES, tls=TLS)
def describes(lab: Lab) -> None:
    """The catalogue queries behind \\d, and \\gdesc, which uses Parse and Describe."""
    target = lab.target()
    psql(target, "create table described (id int primary key, name text not null);\n")
    done = psql(target, "\\d described\n\\dt\n\\l\n\\du\nselect 1 as a, 'b'::text as b \\gdesc\n"
                        "\\conninfo\n")
    assert "name|text||not null|" in done.out and "a|integer" in done.out, done
    assert done.err == "", done


@test(modes=MODES, tls=TLS)
def big_outputs(lab: Lab) -> None:
    size = 10 if lab.sanitized else 60
    done = psql(lab.target(), f"select repeat('x', 1024 * 1024) from generate_series(1, {size});\n"
                              "select n, md5(n::text) from generate_series(1, 200000) n;\n"
                              "select 'end';\n")
    assert done.out.count("x") == size * 1024 * 1024
    assert done.out.endswith("end\n") and done.out.count("|") == 200000


@test(modes=MODES, tls=TLS)
def fetches_by_cursor(lab: Lab) -> None:
    done = psql(lab.target(), "select n from generate_series(1, 5000) n;\n", "-v", "FETCH_COUNT=100")
    assert done.out.splitlines() == [str(n) for n in range(1, 5001)]


@test(modes=MODES, tls=TLS)
def notices(lab: Lab) -> None:
    done = psql(lab.target(), "do $$ begin raise notice 'look: %', 7; raise warning 'and look'; end "
                              "$$;\nselect 1;\n")
    assert "NOTICE:  look: 7" in done.err and "WARNING:  and look" in done.err, done
    assert done.out == "1\n", done


@test(modes=("session",), tls=TLS)
def listens_to_itself(lab: Lab) -> None:
    done = psql(lab.target(), "listen bell;\nnotify bell, 'rung';\nselect 1;\n")
    assert 'Asynchronous notification "bell" with payload "rung" received' in done.out, done


@test(modes=MODES, tls=TLS)
def transactions(lab: Lab) -> None:
    done = psql(lab.target(), "create table t (n int);\nbegin;\ninsert into t values (1);\n"
                              "savepoint s;\ninsert into t values (2);\nrollback to s;\n"
                              "insert into t values (3);\ncommit;\n"
                              "begin;\ndelete from t;\nrollback;\n"
                              "select array_agg(n) from t;\n")
    assert done.out == "{1,3}\n", done


@test(modes=MODES, tls=TLS, entries=ENTRIES)
def interrupted_statement(lab: Lab) -> None:
    """Ctrl-C in psql: a cancel request on a connection of its own, answered with 57014."""
    target = lab.target()
    process = subprocess.Popen(["psql", "-XAt", "-v", "VERBOSITY=verbose"], text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, env=target.environment(),
                               start_new_session=True)
    running = ("select 1 from pg_stat_activity where query like 'select pg_sleep(600)%' "
               "and state = 'active'")
    try:
        assert process.stdin is not None
        process.stdin.write("select pg_sleep(600);\n")
        process.stdin.flush()
        wait_until(lambda: lab.postgres.rows(running), "the statement runs")
        process.send_signal(signal.SIGINT)
        wait_until(lambda: not lab.postgres.rows(running), "the statement was cancelled")
        _, err = process.communicate(timeout=30)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert "57014" in err, err
    target.check_healthy()


@test(modes=MODES, tls=(True,))
def sslmodes(lab: Lab) -> None:
    target = lab.target()
    for mode in ("prefer", "require", "verify-ca", "verify-full"):
        done = psql(target, "\\conninfo\n", PGSSLMODE=mode)
        assert "SSL connection (protocol: TLSv1.3" in done.out, (mode, done)
    done = run(["psql", "-Xc", "select 1"], expect=2,
               env=target.environment(PGSSLMODE="verify-full",
                                      PGSSLROOTCERT=str(lab.certificates.other_ca)))
    assert "certificate verify failed" in done.err, done


@test(modes=("transaction",), tls=(True,), targets=POSTGRES_LIKE)
def channel_binding_required(lab: Lab) -> None:
    done = psql(lab.target(), "select 'bound';\n", PGCHANNELBINDING="require")
    assert done.out == "bound\n", done


@test(modes=MODES, tls=TLS, entries=ENTRIES)
def connection_strings(lab: Lab) -> None:
    """What people set in the connection string: names, encodings, options."""
    target = lab.target()
    done = psql(target, "show application_name;\nshow client_encoding;\nselect 'é';\n",
                PGAPPNAME="billing é", PGCLIENTENCODING="LATIN1")
    assert done.out.splitlines()[1] == "LATIN1", done
    assert done.out.splitlines()[0].startswith("billing"), done


@test(modes=MODES, tls=TLS, entries=ENTRIES, targets=POSTGRES_LIKE)
def startup_options(lab: Lab) -> None:
    """Start-up parameters reach the statements, whichever server connection runs them."""
    target = lab.target()
    for _ in range(4):
        done = psql(target, "show statement_timeout;\nshow work_mem;\nshow datestyle;\n",
                    PGOPTIONS="-c statement_timeout=12345 --work_mem=7MB", PGDATESTYLE="SQL, DMY")
        assert done.out == "12345ms\n7MB\nSQL, DMY\n", done
    done = psql(target, "show statement_timeout;\nshow work_mem;\n")
    assert done.out == "0\n4MB\n", done
