"""Rules for single statements: nobody gets around them, and what they say happens."""

from __future__ import annotations

from lab import messages as m
from lab import ports
from lab.declare import FOREBAY, test
from lab.lab import Lab
from lab.process import wait_until
from lab.wire import Client

from test_reload import change, metric, reload, text_of
from test_split import WHERE, at, pair, split

NO_DELETES = {"name": "no_deletes", "kinds": ["delete", "do"], "tables": ["kept"],
              "error": "rows of kept stay", "sqlstate": "ZZ001"}
FAST = {"name": "fast", "functions": ["pg_sleep"], "statement_timeout": "200ms"}

# Each of them would delete a row.
DODGES = (
    "delete from kept",
    "/* select */ DeLeTe/**/from--\n only \"kept\" as x",
    "delete from U&\"\\006bept\"",
    "select 1; delete from public.kept",
    "with d as (delete from kept returning 1) select * from d",
    "prepare q as delete from kept",
    "explain analyze delete from kept",
    "merge into kept using (select 1) s on true when matched then delete",
    "copy (delete from kept returning 1) to stdout",
    "delete from kept --" + " " * 70_000,
)


def refused(client: Client, *messages: bytes) -> bool:
    error = client.error(*messages)
    return error.sqlstate == "ZZ001" and error.text == "rows of kept stay"


@test(targets=FOREBAY)
def nobody_gets_around_them(lab: Lab) -> None:
    http = ports.claim()
    with lab.postgres.admin("app") as admin:
        admin.run("drop table if exists kept")
        admin.run("create table kept as select 1 as a")
        admin.run("grant all on kept to app")
    target = lab.target(rules=[NO_DELETES, FAST], options={
        "http": f"127.0.0.1:{http}", "stats_users": "app"})
    with target.connect() as client, target.connect() as other:
        for dodge in DODGES:
            assert refused(client, m.query(dodge)), dodge
        parse = [m.parse("p", "delete from kept where a = $1"), m.sync()]
        assert refused(client, *parse)
        client.run("begin")
        assert refused(client, m.query("delete from kept"))
        assert client.error(m.query("select 1")).sqlstate == "25P02", "it failed on the server, too"
        client.run("rollback")
        assert client.value("select count(*) from kept") == "1"

        error = client.error(m.query("select pg_sleep(10)"))
        assert error.sqlstate == "57014" and "200ms, set by rule \"fast\"" in error.text, error
        assert client.value("select 2") == "2", "and the client goes on"

        # What was prepared before a rule came is held to it as well.
        text = text_of(target)
        reload(target, change(text, "[\"kept\"]", "[\"another\"]"))
        other.messages(*parse)
        reload(target, text)
        assert refused(other, m.bind("", "p", "1"), m.execute(""), m.sync())
    hits = metric(http, 'forebay_rule_hits_total{rule="no_deletes"}')
    assert hits == len(DODGES) + 3, hits
    with target.connect(database="forebay") as console:
        rows = console.rows("SHOW RULES")
        assert [row[1] for row in rows] == ["no_deletes", "fast"] and rows[0][5] == str(int(hits))


BUSY = {"name": "busy", "functions": ["pg_advisory_xact_lock"], "max_statements": 1}


@test(targets=FOREBAY, params=("simple", "extended"))
def so_many_at_a_time(lab: Lab, how: str) -> None:
    """What is more gets an error, in a transaction as well; places are free again however it ends."""
    target = lab.target(pool_size=3, rules=[BUSY])
    sql = "select pg_advisory_xact_lock(7)"
    pieces = [m.query(sql)] if how == "simple" else [m.parse("", sql), m.bind("", ""), m.execute(""),
                                                     m.sync()]

    def waits() -> bool:
        return bool(lab.postgres.rows("select from pg_locks where not granted", "app"))

    for end in ("answered", "cancelled", "gone", "lost", "failed"):
        with lab.postgres.admin("app") as admin, target.connect() as other:
            first = lab.keep(target.connect())
            admin.run("begin")
            admin.run(sql)
            first.send(*pieces)
            wait_until(waits, "the first runs")
            error = other.error(*pieces)
            assert error.sqlstate == "53400", error
            assert error.text == ('too many statements of rule "busy" at a time (max_statements = '
                                  '1)'), error
            assert other.value("select 2") == "2"
            other.run("begin")
            assert other.error(*pieces).sqlstate == "53400" and other.status == b"E"
            other.run("rollback")
            if end == "cancelled":
                first.cancel()
                assert m.only(first.until_ready(), b"E")[0].sqlstate == "57014"
            elif end == "gone":
                first.reset()
            elif end == "lost":
                admin.run("select pg_terminate_backend(pid) from pg_locks where not granted")
                assert m.only(first.until_ready(), b"E")
            admin.run("rollback")
            if end in ("answered", "failed"):
                assert m.only(first.until_ready(), b"D")
            if end == "failed":
                first.error(m.query("select 1 / 0, pg_advisory_xact_lock(7)"))
            wait_until(lambda: not m.only(other.messages(*pieces), b"E"), "there is a place")
            for client in (other, other) if end == "gone" else (first, other):
                assert m.only(client.messages(*pieces), b"D")
                assert m.only(client.messages(*pieces, *pieces, readies=2), b"D")


@test(targets=FOREBAY, within=60, heavy=True)
def a_lag_of_their_own(lab: Lab) -> None:
    both = pair(lab)
    primary, replica = both.primary.port, both.replica.port
    target = split(lab, both, max_replica_lag="1h", min_read_replicas=1, monitor_interval="50ms",
                   rules=[{"name": "fresh", "tables": ["t"], "max_replica_lag": "400ms"}])
    fresh = "select inet_server_port() from t where id = 1"
    with target.connect() as client:
        client.messages(m.parse("fresh", fresh), m.sync())

        def prepared() -> int:
            return int(client.extended("", name="fresh", prepare=False)[0][0] or 0)
        wait_until(lambda: at(client, fresh) == replica, "the replica is read from")
        assert prepared() == replica
        both.replica.value("select pg_wal_replay_pause()")
        both.primary.rows("insert into t values (60)", "app")
        wait_until(lambda: at(client, fresh) == primary, "it is too late")
        assert prepared() == primary and at(client) == replica
        assert int(client.extended(fresh)[0][0] or 0) == primary
        both.replica.value("select pg_wal_replay_resume()")
        wait_until(lambda: at(client, fresh) == replica, "it has caught up")


@test(targets=FOREBAY)
def where_statements_go(lab: Lab) -> None:
    both = pair(lab)
    primary, replica = both.primary.port, both.replica.port
    volatile = "select inet_server_port() + 0 * floor(random())::int"
    target = split(lab, both, stats_users="app", rules=[
        {"name": "report", "functions": ["random"], "target": "replica"},
        {"name": "fresh", "tables": ["t"], "target": "primary"},
        {"name": "tried", "dry_run": True, "target": "primary"}])
    with target.connect() as client:
        assert at(client, volatile) == replica
        assert at(client, "select inet_server_port() from t where id = 1") == primary
        assert at(client) == replica
        assert client.value("select nextval('s') + floor(random())") is not None, "it writes"
    with target.connect(database="forebay") as console:
        def steps(sql: str) -> dict[str, str]:
            return {row[0] or "": row[1] or "" for row in console.rows(f"EXPLAIN ROUTE {sql}")}

        assert steps("select 1 from t")["rule fresh"] == 'matches: target = "primary"'
        assert steps("select 1 from t")["goes to"] == "the primary"
        assert steps(volatile)["goes to"] == "a replica that may be read from"
        assert steps(WHERE)["rule tried"].startswith("would match")
