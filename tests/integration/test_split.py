"""Reads on replicas: which statements they get, and that nobody sees what they refuse."""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from lab import messages as m
from lab import ports
from lab.consistency import TABLE, Counters
from lab.declare import FOREBAY, test
from lab.drivers import DRIVERS, run_driver
from lab.lab import Lab
from lab.postgres import Postgres
from lab.process import wait_until
from lab.target import Database, Target
from lab.wire import Client

from test_failover import signal_all
from test_reload import change, reload, text_of

CORPUS = Path(__file__).resolve().parents[1] / "unit" / "routing" / "corpus" / "access.txt"
SCHEMA = Path(__file__).with_name("lab") / "split.sql"
# Stable, so that a replica may be asked; and who answers can be told.
WHERE = "select inet_server_port()"


@dataclass
class Pair:
    primary: Postgres
    replica: Postgres


def make_schema(primary: Postgres, database: str = "app") -> None:
    with primary.admin(database) as admin:
        for statement in SCHEMA.read_text().split(";\n"):
            if statement.strip():
                admin.run(statement)
        admin.run("grant all on all tables in schema public, app to app")
        admin.run("grant all on all sequences in schema public to app")
        admin.run("grant all on schema public, app to app")


def pair(lab: Lab) -> Pair:
    primary = lab.private_postgres(synchronous_commit="local")
    make_schema(primary)
    return Pair(primary, lab.replica_of(primary))


def split(lab: Lab, both: Pair, databases: Optional[dict[str, Database]] = None,
          rules: Optional[list[dict[str, Any]]] = None, tenants: Optional[dict[str, Any]] = None,
          **options: object) -> Target:
    settings = {"split_reads": True, "read_consistency": "none", **options}
    target = lab.target(servers=[both.primary.address, both.replica.address], options=settings,
                        databases=databases, rules=rules or [], tenants=tenants or {})
    # It has to be known, and how far behind the primary it is, which has to be known as well.
    with target.connect() as client:
        wait_until(lambda: at(client) == both.replica.port, "the replica is read from")
    return target


def at(client: Client, sql: str = WHERE) -> int:
    return int(client.value(sql) or 0)


@test(targets=FOREBAY)
def reads_and_writes(lab: Lab) -> None:
    both = pair(lab)
    primary, replica = both.primary.port, both.replica.port
    with split(lab, both).connect() as client:
        assert at(client) == replica
        assert at(client, "select inet_server_port() from t where id = 1") == replica
        assert at(client, "select inet_server_port() from t where id = 1 for update") == primary
        assert at(client, "select inet_server_port() + 0 * nextval('s')::int") == primary
        # What libraries find the primary by; a standby has its own.
        assert client.value("select current_setting('transaction_read_only')") == "off"
        client.run("insert into t values (10, 'x')")
        client.run("begin")
        assert at(client) == primary
        client.run("commit")
        for begin in ("begin read only", "start transaction isolation level repeatable read, "
                      "read only"):
            client.run(begin)
            assert at(client) == replica
            assert client.error(m.query("insert into t values (11)")).sqlstate == "25006"
            client.run("rollback")
        client.run("set session characteristics as transaction read only")
        client.run("begin")
        assert at(client) == replica
        client.run("commit")
        client.run("begin read write")
        client.run("insert into t values (12, 'x')")
        client.run("commit")
        client.run("set default_transaction_isolation = serializable")
        assert at(client) == primary


@test(targets=FOREBAY)
def hints(lab: Lab) -> None:
    """A comment for one statement, a parameter for the session, from the start or set later."""
    both = pair(lab)
    primary, replica = both.primary.port, both.replica.port
    target = split(lab, both)
    hint = "/* forebay: primary */ "
    with target.connect() as client:
        assert at(client, hint + WHERE) == primary
        assert at(client, "/* another */ " + WHERE) == replica
        for text, port in ((hint + WHERE, primary), (WHERE, replica)):
            client.messages(m.parse(f"at {port}", text), m.sync())
            for name in ("", f"at {port}"):
                answer = client.messages(*([] if name else [m.parse("", text)]), m.bind("", name),
                                         m.execute(""), m.sync())
                assert m.only(answer, b"D")[0].columns() == [str(port).encode()], answer
        client.run(hint + "begin read only")
        assert at(client) == primary
        client.run("commit")
        client.run("begin read only")
        assert at(client) == replica
        told_to_try_again(client, m.query(hint + WHERE))
        client.run("begin read only")
        assert at(client, hint + WHERE) == primary
        client.run("commit")
        client.run("set forebay.target = 'primary'")
        assert at(client) == primary
        client.run("reset forebay.target")
        assert at(client) == replica
    with target.connect(options="-c forebay.target=primary") as client:
        assert at(client) == primary


# VOLATILE by their names, and harmless.
LOOSE = "select inet_server_port() + 0 * (random() + 1)::int"


def goes_to_replicas(client: Client, both: Pair) -> None:
    """What a session with this target asks, wherever it has it from."""
    primary, replica = both.primary.port, both.replica.port
    assert at(client, LOOSE) == replica and at(client) == replica
    assert client.extended(LOOSE) == [(str(replica),)]
    assert at(client, "/* forebay: primary */ " + LOOSE) == primary
    assert at(client, "select inet_server_port() + 0 * nextval('s')::int") == primary
    client.run("insert into t values (80, 'x')")
    client.run("delete from t where id = 80")
    for begin, port in (("begin", replica), ("begin read write", primary),
                        ("begin isolation level serializable", primary),
                        ("/* forebay: primary */ begin", primary)):
        client.run(begin)
        assert at(client, LOOSE) == port, begin
        client.run("rollback")
    client.run("begin")
    assert client.error(m.query("insert into t values (81, 'x')")).sqlstate == "25006"
    client.run("rollback")


@test(targets=FOREBAY)
def hints_for_replicas(lab: Lab) -> None:
    both = pair(lab)
    primary, replica = both.primary.port, both.replica.port
    hint = "/* forebay: replica */ "
    target = split(lab, both)
    with target.connect() as client:
        assert at(client, LOOSE) == primary
        assert at(client, hint + LOOSE) == replica
        assert client.extended(hint + LOOSE) == [(str(replica),)]
        client.messages(m.parse("loose", LOOSE), m.sync())
        for said, port in (("primary", primary), ("replica", replica), ("any", primary)):
            client.run(f"set forebay.target = '{said}'")
            assert client.extended("", name="loose", prepare=False) == [(str(port),)], said
        client.run(hint + "insert into t values (82, 'x')")
        assert at(client, hint + "select inet_server_port(), pg_advisory_lock(1)") == primary
        assert client.value("select pg_advisory_unlock(1)") == "t"
        wait_until(lambda: at(client) == replica, "it keeps its connection no longer")
        client.run(hint + "begin")
        assert at(client) == replica
        client.run("commit")
        client.run("set forebay.target = 'primary'")
        assert at(client) == primary and at(client, hint + LOOSE) == replica
        client.run("set forebay.target = 'replica'")
        goes_to_replicas(client, both)
        client.run("reset forebay.target")
        assert at(client, LOOSE) == primary
    with target.connect(options="-c forebay.target=replica") as client:
        goes_to_replicas(client, both)


@test(targets=FOREBAY, modes=("transaction",))
def targets_by_listener_and_database(lab: Lab) -> None:
    """The client's own word goes before the listener's, and that before the database's."""
    both = pair(lab)
    primary, replica = both.primary.port, both.replica.port
    hosts = [both.primary.address, both.replica.address]
    ports_of = {name: ports.claim() for name in ("replica", "primary")}
    listeners = {name: f"127.0.0.1:{port}" for name, port in ports_of.items()}
    target = lab.target(
        databases={"app": Database(hosts),
                   "app_ro": Database(hosts, dbname="app", options={"target": "replica"})},
        user_options={"other": {"target": "primary"}}, listen=list(listeners.values()),
        options={"split_reads": True, "read_consistency": "none", "admin_users": "app",
                 "listen_target": {address: name for name, address in listeners.items()}})

    def connect(database: str = "app", listener: str = "", **more: Any) -> Client:
        if listener:
            more["address"] = ("127.0.0.1", ports_of[listener])
        return lab.keep(target.connect(database=database, **more))

    client = connect()
    wait_until(lambda: at(client) == replica, "the replica is read from")
    assert at(client, LOOSE) == primary
    for client in (connect("app_ro"), connect(listener="replica")):
        goes_to_replicas(client, both)
        client.run("set forebay.target = 'primary'")
        assert at(client) == primary
        client.run("reset forebay.target")
        assert at(client, LOOSE) == replica
        client.run("set forebay.target = 'any'")
        assert at(client, LOOSE) == primary and at(client) == replica
        client.run("discard all")
        assert at(client, LOOSE) == replica
    with target.connect(database="forebay") as console:
        for database, where in (("app", "the primary"), ("app_ro", "a replica that may be read from")):
            steps = dict(console.rows(f"explain route for {database} {LOOSE}"))
            assert steps["goes to"] == where, steps
    for client in (connect("app_ro", "primary"), connect(listener="primary"),
                   connect("app_ro", user="other"),
                   connect("app_ro", options="-c forebay.target=primary")):
        assert at(client) == primary and at(client, LOOSE) == primary
    assert at(connect(listener="primary", options="-c forebay.target=replica"), LOOSE) == replica


@test(targets=FOREBAY)
def extended_protocol(lab: Lab) -> None:
    both = pair(lab)
    primary, replica = both.primary.port, both.replica.port

    def port(answer: list[m.Message]) -> int:
        assert not m.only(answer, b"E"), answer
        return int(m.only(answer, b"D")[-1].columns()[0] or b"")

    with split(lab, both).connect() as client:
        assert port(client.messages(m.parse("", WHERE), m.bind("", ""), m.execute(""),
                                    m.sync())) == replica
        client.messages(m.parse("where", WHERE), m.describe_statement("where"), m.sync())
        use = (m.bind("", "where"), m.describe_portal(""), m.execute(""), m.sync())
        assert port(client.messages(*use)) == replica
        client.run("begin")
        assert port(client.messages(*use)) == primary
        client.run("rollback")
        assert port(client.messages(*use)) == replica
        # One batch, two statements of which one writes.
        answer = client.messages(m.parse("", "insert into t values (20)"), m.bind("", ""),
                                 m.execute(""), *use)
        assert port(answer) == primary
        # A driver's READ ONLY transaction begins in one batch with its first statement.
        answer = client.messages(m.parse("", "begin read only"), m.bind("", ""), m.execute(""),
                                 *use)
        assert port(answer) == replica and client.status == b"T"
        client.run("commit")
        # What is sent behind the end of such a transaction is not in it.
        answer = client.messages(m.query("begin read only"), m.query(WHERE), m.query("commit"),
                                 m.query("insert into t values (22)"), readies=4)
        assert port(answer) == replica
        answer = client.messages(m.parse("", "begin read only"), m.bind("", ""), m.execute(""),
                                 m.parse("", "commit"), m.bind("", ""), m.execute(""),
                                 m.parse("", "insert into t values (23)"), m.bind("", ""),
                                 m.execute(""), m.sync())
        assert not m.only(answer, b"E"), answer
        # Several batches at once are answered in their order.
        answer = client.messages(*use, m.parse("", "insert into t values (21)"), m.bind("", ""),
                                 m.execute(""), m.sync(), *use, readies=3)
        assert m.names(answer).count("ReadyForQuery") == 3, answer
        assert [row.columns() for row in m.only(answer, b"D")] == [
            [str(replica).encode()], [str(primary).encode()]]


REFUSED = {
    "a_view_that_writes": "select n > 0 from writer",
    "an_unlogged_table": "select count(*) >= 0 from fleeting",
}


@test(targets=FOREBAY, params=REFUSED)
def refused_by_the_replica(lab: Lab, param: str) -> None:
    """The primary does it instead, unseen; the next time the replica is not asked."""
    both = pair(lab)
    target = split(lab, both)
    with target.connect() as client:
        for _ in range(2):
            assert client.value(REFUSED[param]) == "t"
        for name in ("", "named"):
            answer = client.messages(m.parse(name, REFUSED[param]), m.describe_statement(name),
                                     m.bind("", name), m.execute(""), m.sync())
            assert m.only(answer, b"D")[0].columns() == [b"t"], answer
            assert m.names(answer).count("ParseComplete") == 1, answer
        assert client.messages(m.bind("", "named"), m.execute(""), m.sync())
        # What the primary refuses, too, is refused once.
        answer = client.messages(m.query("select * from nothing"))
        assert [e.sqlstate for e in m.only(answer, b"E")] == ["42P01"], answer
        assert at(client) == both.replica.port
        # In a READ ONLY transaction in one batch, as well.
        answer = client.messages(m.parse("", "begin read only"), m.bind("", ""), m.execute(""),
                                 m.parse("", "select count(*) from fleeting"), m.bind("", ""),
                                 m.execute(""), m.sync())
        assert m.only(answer, b"D")[0].columns() == [b"0"], answer
        client.run("commit")
    refusals = [line for line in both.replica.log.read_text().splitlines() if "ERROR:" in line]
    assert len([line for line in refusals if "nothing" not in line]) == 2, refusals


BINDING = {
    "a_cursor_with_hold": ("declare c cursor with hold for values (1)", "close c"),
    "an_advisory_lock": ("select pg_advisory_xact_lock(1)", "select 1"),
    "an_unlogged_table": ("select count(*) from fleeting", "select 1"),
    "a_large_statement": (f"select 1 /* {'x' * 70_000} */", "select 1"),
}


def told_to_try_again(client: Client, *messages: bytes) -> None:
    answer = client.messages(*messages)
    assert [e.sqlstate for e in m.only(answer, b"E")] == ["40001"], answer
    client.run("rollback")


@test(targets=FOREBAY, within=60)
def transaction_that_needs_the_primary(lab: Lab) -> None:
    """It is told to try again, and then it is there, and may write behind it."""
    both = pair(lab)
    target = split(lab, both)
    number = 40
    for statement, end in BINDING.values():
        for extended in (False, True):
            with target.connect() as client:
                client.run("begin read only")
                assert at(client) == both.replica.port
                if extended:
                    told_to_try_again(client, m.parse("", statement), m.bind("", ""),
                                      m.execute(""), m.sync())
                else:
                    told_to_try_again(client, m.query(statement))
                client.run("begin read only")
                assert at(client) == both.primary.port
                client.run(statement)
                client.run("commit")
                number += 1
                client.run(f"insert into t values ({number})")
                client.run(end)
    # One that was prepared before.
    with target.connect() as client:
        client.messages(m.parse("before", BINDING["a_cursor_with_hold"][0]), m.sync())
        client.run("begin read only")
        assert at(client) == both.replica.port
        told_to_try_again(client, m.bind("", "before"), m.execute(""), m.sync())


@test(targets=FOREBAY)
def replica_lost_and_back(lab: Lab) -> None:
    both = pair(lab)
    with split(lab, both).connect() as client:
        assert at(client) == both.replica.port
        both.replica.stop("immediate")
        for _ in range(5):
            assert at(client) == both.primary.port
        both.replica.start()
        wait_until(lambda: at(client) == both.replica.port, "the replica is used again")


@test(targets=FOREBAY, within=60)
def a_conflict_with_recovery(lab: Lab) -> None:
    """The standby ends the server process of a transaction that reads what is vacuumed away."""
    both = pair(lab)
    both.replica.rows("alter system set max_standby_streaming_delay = 0")
    both.replica.rows("select pg_reload_conf()")
    idle = "select count(*) from pg_stat_activity where state = 'idle in transaction'"
    with split(lab, both).connect() as client:
        client.run("begin isolation level repeatable read read only")
        assert at(client, "select inet_server_port() from t limit 1") == both.replica.port
        assert both.replica.value(idle) == "1"
        both.primary.rows("delete from t", "app")
        both.primary.rows("vacuum t", "app")
        wait_until(lambda: both.replica.value(idle) == "0", "its process is ended")
        told_to_try_again(client, m.query("select count(*) from t"))
        assert client.value("select count(*) from t") == "0"


@test(targets=FOREBAY, within=60)
def replica_hangs(lab: Lab) -> None:
    """A read that it has is done by the primary when it has been silent for the lease."""
    both = pair(lab)
    with split(lab, both, primary_lease="2s", monitor_interval="100ms").connect() as client:
        signal_all(both.replica, signal.SIGSTOP)
        try:
            assert at(client) == both.primary.port
        finally:
            signal_all(both.replica, signal.SIGCONT)
        wait_until(lambda: at(client) == both.replica.port, "it is read from again")


@test(targets=FOREBAY, within=60)
def replica_is_promoted(lab: Lab) -> None:
    """What was for reads only is closed there; reads and writes go to where they are right."""
    both = pair(lab)
    target = split(lab, both, monitor_interval="100ms")
    with target.connect() as client, target.connect() as other:
        other.run("begin read only")
        assert at(other) == both.replica.port
        both.primary.stop("immediate")
        both.replica.value("select pg_promote()")
        client.run("insert into t values (50)")
        assert client.value("select count(*) from t where id = 50") == "1"
        # A transaction that was on it goes on.
        assert other.value("select count(*) >= 3 from t") == "t"
        other.run("commit")
        assert at(client) == both.replica.port


@test(targets=FOREBAY)
def own_writes_are_seen(lab: Lab) -> None:
    """With replay paused, a session that has written reads from the primary."""
    both = pair(lab)
    target = split(lab, both, read_consistency="session")
    both.replica.value("select pg_wal_replay_pause()")
    with target.connect() as writer, target.connect() as reader:
        for i in range(100, 120):
            writer.run(f"insert into t values ({i})")
            assert writer.value(f"select count(*) from t where id = {i}") == "1"
            assert at(writer) == both.primary.port
        assert at(reader) == both.replica.port
    both.replica.value("select pg_wal_replay_resume()")


@test(targets=FOREBAY, within=60)
def strong_reads_see_what_others_wrote(lab: Lab) -> None:
    """On a replica as soon as that has it, which is asked for at once; else on the primary."""
    both = pair(lab)
    # Nobody would know in time if hosts were only asked when their time has come.
    target, brief = (split(lab, both, read_consistency="strong", read_wait_timeout=wait,
                           monitor_interval="30s", stats_users="app") for wait in ("20s", "50ms"))
    primary, replica = str(both.primary.port), str(both.replica.port)

    def count(n: int) -> str:
        return f"select count(*), inet_server_port() from t where id = {n}"

    with target.connect() as writer, target.connect() as reader, \
            target.connect(database="forebay") as console:
        for n in range(300, 340):
            writer.run(f"insert into t values ({n})")
            assert reader.rows(count(n)) == [("1", replica)]
        both.replica.value("select pg_wal_replay_pause()")
        writer.run("insert into t values (340)")
        reader.send(m.query(count(340)))
        wait_until(lambda: "waiting" in states(console), "it waits for the replica")
        both.replica.value("select pg_wal_replay_resume()")
        assert m.only(reader.until_ready(), b"D")[0].columns() == [b"1", replica.encode()]
        both.replica.value("select pg_wal_replay_pause()")
        writer.run("insert into t values (341)")
        reader.send(m.query(count(341)))
        wait_until(lambda: "waiting" in states(console), "it waits again")
        reader.cancel()
        assert m.only(reader.until_ready(), b"E")[0].sqlstate == "57014"
    with brief.connect() as client:
        assert client.rows(count(341)) == [("1", primary)]
        both.replica.value("select pg_wal_replay_resume()")
        wait_until(lambda: client.rows(count(341)) == [("1", replica)], "the replica has it")


@test(targets=FOREBAY, within=60)
def a_token_carries_what_was_written(lab: Lab) -> None:
    """From one session to another, which reads from a replica only when that has as much."""
    both = pair(lab)
    target = split(lab, both)
    primary, replica = both.primary.port, both.replica.port
    with target.connect() as writer, target.connect() as reader:
        both.replica.value("select pg_wal_replay_pause()")
        old = writer.value("Show Forebay.LSN ;")
        for n in range(400, 405):
            writer.run(f"insert into t values ({n})")
        tokens = [writer.value("SHOW forebay.lsn"), writer.extended("show forebay.lsn")[0][0],
                  writer.extended("show forebay.lsn", name="lsn")[0][0]]
        ascending = " <= ".join(f"'{token}'::pg_lsn" for token in tokens).replace(
            f"<= '{tokens[1]}'::pg_lsn <=", f"<= '{tokens[1]}'::pg_lsn and '{tokens[1]}' <=")
        assert both.primary.value(f"select '{old}'::pg_lsn < '{tokens[0]}' and {ascending}"
                                  f" and '{tokens[2]}' <= pg_current_wal_insert_lsn()") == "t"
        assert at(reader) == replica
        reader.run(f"set forebay.min_lsn = '{tokens[0]}'")
        assert at(reader) == primary
        assert reader.value("select count(*) from t where id = 404") == "1"
        reader.run("reset forebay.min_lsn")
        assert at(reader) == replica
        with target.connect(options=f"-c forebay.min_lsn={tokens[0]}") as started:
            assert at(started) == primary
            both.replica.value("select pg_wal_replay_resume()")
            wait_until(lambda: at(started) == replica, "the replica has it")
            assert started.value("select count(*) from t where id = 404") == "1"
        reader.run("set forebay.min_lsn = 'nonsense'")
        assert at(reader) == primary


def states(console: Client) -> list[Optional[str]]:
    return [value for row in console.rows("SHOW CLIENTS") for value in row]


@test(targets=FOREBAY, within=60)
def counters_are_never_stale(lab: Lab) -> None:
    """Clients that read back what they wrote, with replay paused, and going on."""
    both = pair(lab)
    both.primary.rows(TABLE, "app")
    both.primary.rows("grant all on counters to app", "app")
    wait_until(lambda: both.replica.rows("select has_table_privilege('app', oid, 'select') "
                                         "from pg_class where relname = 'counters'",
                                         "app") == [("t",)], "the replica has the table")
    target = split(lab, both, read_consistency="session")
    both.replica.value("select pg_wal_replay_pause()")
    replica = str(both.replica.port)
    with Counters(target, clients=4, reads=5, think=0) as counters:
        def writers_read(replicas: bool) -> bool:
            assert not counters.total().trouble, counters.total().trouble
            return all(seen.writes > 20 and (not replicas or seen.reads[replica] > 0)
                       for seen in counters.writers())
        wait_until(lambda: writers_read(False), "everybody writes")
        assert not sum(seen.reads[replica] for seen in counters.writers())
        both.replica.value("select pg_wal_replay_resume()")
        counters.think = 0.05
        wait_until(lambda: writers_read(True), "the replica has what was written", within=30)
    assert counters.total().stale == 0
    assert all(seen.reads[replica] > 0 for seen in counters.seen)


@test(targets=FOREBAY)
def functions_of_the_database(lab: Lab) -> None:
    """Those of a user count by their volatility, also new ones; the console says why."""
    both = pair(lab)
    target = split(lab, both, stats_users="app")
    stable, wild = "select stable_port()", "select wild_port()"
    with target.connect() as client, target.connect(database="forebay") as console:
        def goes_to(sql: str) -> str:
            return dict(console.rows(f"EXPLAIN ROUTE FOR app {sql}"))["goes to"] or ""
        client.run("create function wild_add(int, int) returns int language sql "
                   "as 'select $1 + $2'")
        client.run("create aggregate wild_sum(int) (sfunc = wild_add, stype = int, initcond = 0)")
        client.run("create function stable_port() returns int stable language sql "
                   "as 'select inet_server_port()'")
        client.run("create function wild_port() returns int language sql "
                   "as 'select inet_server_port()'")
        wait_until(lambda: at(client, stable) == both.replica.port, "it is known to be STABLE")
        assert at(client, "select wild_sum(inet_server_port())") == both.primary.port
        assert at(client, wild) == both.primary.port
        assert goes_to(stable).startswith("a replica"), goes_to(stable)
        assert goes_to(wild) == "the primary", goes_to(wild)
        client.run("create function public.stable_port() returns int language sql as 'select 1'")
        wait_until(lambda: at(client, stable) == both.primary.port, "which one is meant is unclear")
        steps = dict(console.rows(f"EXPLAIN ROUTE {stable}"))
        assert "stable_port" in (steps["statement"] or ""), steps
        routes = {row[2]: row for row in console.rows("SHOW ROUTES")}
        assert routes[f"127.0.0.1:{both.replica.port}"][-2:] == ("pg_proc", "yes"), routes
        assert routes[f"127.0.0.1:{both.primary.port}"][-1] == "no: it is the primary", routes


@test(targets=FOREBAY, within=120)
def corpus_on_a_standby(lab: Lab) -> None:
    """No statement that counts as a read is refused by a real standby for being a write."""
    both = pair(lab)
    wrong = []
    with both.replica.admin("app") as client:
        for line in CORPUS.read_text().splitlines():
            if not line.startswith("R "):
                continue
            answer = client.messages(m.query(line[2:]))
            codes = [e.sqlstate for e in m.only(answer, b"E")]
            if codes:
                wrong.append((codes, line))
    assert not wrong, wrong


@test(targets=FOREBAY, params=("psycopg2_driver.py", "asyncpg_driver.py"), within=120)
def drivers(lab: Lab, param: str) -> None:
    """The driver programs, as without replicas."""
    replica = lab.replica_of(lab.postgres)
    target = lab.target(servers=[lab.postgres.address, replica.address],
                        options={"split_reads": True})
    run_driver(lab, target, [sys.executable, DRIVERS / param])


@test(targets=FOREBAY, within=60, heavy=True)
def replicas_that_lag(lab: Lab) -> None:
    """Who is too far behind is not read from; when all are, the primary does it, with nobody waiting
    for them."""
    both = pair(lab)
    second = lab.replica_of(both.primary)
    replicas = {both.replica.port: both.replica, second.port: second}
    target = lab.target(servers=[both.primary.address, both.replica.address, second.address],
                        options={"split_reads": True, "read_consistency": "none",
                                 "max_replica_lag": "400ms", "monitor_interval": "50ms"})
    with target.connect() as client:
        def asked(sql: str = WHERE) -> set[int]:
            return {at(client, sql) for _ in range(10)}
        wait_until(lambda: asked() == set(replicas), "both are read from")
        slow, late = (replicas[port] for port in sorted(replicas))
        slow.value("select pg_wal_replay_pause()")
        both.primary.rows("insert into t values (60)", "app")
        wait_until(lambda: asked() == {late.port}, "only the other one is read from")
        count = "select count(*) from t where id = 60"
        assert {at(client, count) for _ in range(10)} == {1}
        late.value("select pg_wal_replay_pause()")
        both.primary.rows("insert into t values (61)", "app")
        wait_until(lambda: asked() == {both.primary.port}, "the primary is read from")
        assert {at(client, count) for _ in range(10)} == {1}
        client.run("begin read only")
        assert at(client) == both.primary.port
        client.run("commit")
        late.value("select pg_wal_replay_resume()")
        wait_until(lambda: asked() == {late.port}, "who has caught up is read from again")
        slow.value("select pg_wal_replay_resume()")
        wait_until(lambda: asked() == set(replicas), "both are read from again")


@test(targets=FOREBAY, within=90, heavy=True)
def replicas_that_lag_in_bytes(lab: Lab) -> None:
    """Who has too much to replay is not read from; but min_read_replicas are, though never for what
    a session must see."""
    both = pair(lab)
    second = lab.replica_of(both.primary)
    ports = {both.replica.port: both.replica, second.port: second}
    servers = [both.primary.address, both.replica.address, second.address]

    def start(**options: Any) -> Target:
        return lab.target(servers=servers, options={
            "split_reads": True, "read_consistency": "none", "max_replica_lag": "0",
            "max_replica_lag_bytes": "1MiB", "monitor_interval": "50ms", "stats_users": "app",
            **options})
    strict, floor = start(), start(min_read_replicas=1)
    session = start(min_read_replicas=2, read_consistency="session")

    def asked(client: Client) -> set[int]:
        return {at(client) for _ in range(10)}

    def write(kilobytes: int) -> None:
        both.primary.rows(f"select pg_logical_emit_message(false, 'x', repeat('x', 1024)) "
                          f"from generate_series(1, {kilobytes})", "app")

    def said(target: Target, host: Postgres) -> tuple[str, str]:
        with target.connect(database="forebay") as console:
            row, = (row for row in console.rows("SHOW ROUTES")
                    if row[0] == "app" and row[2] == f"127.0.0.1:{host.port}")
            route, = (row for row in console.rows(f"EXPLAIN ROUTE FOR app {WHERE}")
                      if row[0] == f"host 127.0.0.1:{host.port}")
            return str(row[-1]), str(route[1])

    with strict.connect() as one, floor.connect() as two, session.connect() as three:
        for client in (one, two, three):
            wait_until(lambda client=client: asked(client) == set(ports), "both are read from")
        slow, late = (ports[port] for port in sorted(ports))
        slow.value("select pg_wal_replay_pause()")
        write(1500)
        for target in (strict, floor):
            # Before that, only the other one may be read from by chance.
            wait_until(lambda target=target: all(
                "it is more than max_replica_lag_bytes = 1MiB behind" in text
                for text in said(target, slow)), "it is known to be late")
        wait_until(lambda: asked(one) == {late.port}, "only the other one is read from")
        wait_until(lambda: asked(two) == {late.port}, "that is enough")
        late.value("select pg_wal_replay_pause()")
        write(1500)
        wait_until(lambda: asked(one) == {both.primary.port}, "the primary is read from")
        # Both, where they are as late as each other.
        wait_until(lambda: asked(two) <= set(ports) and all(
            "one of min_read_replicas" in text for text in said(floor, ports[asked(two).pop()])),
            "one of them is kept")
        wait_until(lambda: asked(three) <= set(ports), "two are kept")
        three.run("insert into t values (70)")
        assert asked(three) == {both.primary.port}
        assert three.value("select count(*) from t where id = 70") == "1"
        slow.value("select pg_wal_replay_resume()")
        wait_until(lambda: asked(one) == {slow.port}, "who has caught up is read from again")
        late.value("select pg_wal_replay_resume()")
        for client in (one, two, three):
            wait_until(lambda client=client: asked(client) == set(ports), "all is as before")


@test(targets=FOREBAY, within=60, heavy=True)
def who_was_late_has_to_catch_up(lab: Lab) -> None:
    """Below half of the limit; who is not late is read from up to all of it. The limit moves, since
    the replica cannot be made to replay a part."""
    both = pair(lab)
    target = lab.target(servers=[both.primary.address, both.replica.address], options={
        "split_reads": True, "read_consistency": "none", "max_replica_lag": "0",
        "max_replica_lag_bytes": "1MiB", "monitor_interval": "50ms", "stats_users": "app"})

    def said() -> str:
        with target.connect(database="forebay") as console:
            return str(dict(console.rows(f"EXPLAIN ROUTE FOR app {WHERE}"))[
                f"host 127.0.0.1:{both.replica.port}"])

    with target.connect() as client:
        wait_until(lambda: at(client) == both.replica.port, "the replica is read from")
        both.replica.value("select pg_wal_replay_pause()")
        both.primary.rows("select pg_logical_emit_message(false, 'x', repeat('x', 1024)) "
                          "from generate_series(1, 1500)", "app")
        wait_until(lambda: at(client) == both.primary.port, "it is too far behind")
        reload(target, change(text_of(target), '"1MiB"', '"2MiB"'))
        wait_until(lambda: "read from again below half of that: 1MiB" in said(), "that limit holds")
        assert {at(client) for _ in range(10)} == {both.primary.port}
        reload(target, change(text_of(target), '"1MiB"', '"4MiB"'))
        wait_until(lambda: at(client) == both.replica.port, "it is below half of that")
        reload(target, change(text_of(target), '"1MiB"', '"2MiB"'))
        with target.connect() as other:
            assert {at(other) for _ in range(10)} == {both.replica.port}


def rows_of_the_replica(both: Pair, got: list[m.Message]) -> int:
    """How many there are: the first ones, each once."""
    numbers = [int(message.columns()[0] or 0) for message in m.only(got, b"D")]
    assert numbers == list(range(1, len(numbers) + 1)), (numbers[:3], numbers[-3:])
    assert {message.columns()[1] for message in m.only(got, b"D")} == {
        str(both.replica.port).encode()}
    return len(numbers)


@test(targets=FOREBAY, within=60, heavy=True, params=("simple", "extended"))
def replica_lost_in_the_middle_of_a_result(lab: Lab, how: str) -> None:
    """Nothing comes twice, nothing is left out unsaid. Who has half a row can be told nothing."""
    both = pair(lab)
    sql = "select n, inet_server_port(), repeat('x', 1000) from generate_series(1, 1000000) n"
    target = split(lab, both)
    with target.connect(within=40) as client:
        client.send(*[m.query(sql)] if how == "simple" else
                    [m.parse("", sql), m.bind("", ""), m.execute(""), m.sync()])
        got = client.read_until(b"D")
        both.replica.stop("immediate")
        got += client.until_ready_or_end()
        assert rows_of_the_replica(both, got) < 1_000_000 and not m.only(got, b"C"), got[-2:]
        if got[-1].type == b"Z":
            error, = m.only(got, b"E")
            assert error.sqlstate == "40001", error
            assert at(client) == both.primary.port
        else:
            assert client.buffer and not m.only(got, b"E"), got[-2:]
    with target.connect() as client:
        assert at(client) == both.primary.port


@test(targets=FOREBAY, within=60)
def replica_lost_between_two_parts_of_a_result(lab: Lab) -> None:
    both = pair(lab)
    with split(lab, both).connect() as client:
        client.run("begin read only")
        client.send(m.parse("", "select n, inet_server_port() from generate_series(1, 9) n"),
                    m.bind("", ""), m.execute("", 3), m.flush())
        got = client.read_until(b"s")
        assert rows_of_the_replica(both, got) == 3
        both.replica.stop("immediate")
        client.send(m.execute("", 3), m.sync())
        got += client.until_ready()
        assert rows_of_the_replica(both, got) == 3 and not m.only(got, b"C"), got
        error, = m.only(got, b"E")
        assert error.sqlstate == "40001" and got[-1].body == b"E", got
        client.run("rollback")
        assert at(client) == both.primary.port
