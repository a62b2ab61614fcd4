"""Replication connections have a server connection of their own, and pass through."""

from __future__ import annotations

import sys

from lab import messages as m
from lab.declare import ENTRIES, MODES, TLS, test
from lab.drivers import DRIVERS
from lab.lab import Lab
from lab.postgres import binaries
from lab.process import run, wait_until
from lab.target import Database, Target
from lab.wire import refused

# PgBouncer 1.18 refuses the parameter.
TARGETS = ("direct", "forebay")


def proxied(lab: Lab) -> Target:
    return lab.target(wildcard=True)


@test(modes=MODES, tls=TLS, entries=ENTRIES, targets=TARGETS, params=("database", "true"))
def commands(lab: Lab, replication: str) -> None:
    target = proxied(lab)
    with target.connect("repl", replication=replication) as client:
        system = client.rows("IDENTIFY_SYSTEM")[0]
        assert system[0] == lab.postgres.value("select system_identifier from pg_control_system()")
        assert client.rows("SHOW wal_level") == [("logical",)]
        if replication == "database":
            assert client.value("select current_database()") == "app"
        error = client.error(m.query("NONSENSE"))
        assert error.sqlstate in ("42601", "0A000"), error
    target.check_healthy()


@test(modes=("transaction",), targets=TARGETS)
def without_the_right(lab: Lab) -> None:
    """The server's own words for a role that may not."""
    error = refused(lambda: proxied(lab).connect("app", replication="database"))
    assert error.sqlstate == "42501", error


@test(modes=("transaction",), tls=TLS, entries=ENTRIES, targets=TARGETS)
def streaming_wal(lab: Lab) -> None:
    """CopyBoth in both directions: WAL one way, status updates the other."""
    target = proxied(lab)
    with target.connect("repl", replication="true", within=30) as client:
        position = str(client.rows("IDENTIFY_SYSTEM")[0][2])
        client.send(m.query(f"START_REPLICATION PHYSICAL {position}"))
        client.read_until(b"W")
        lab.postgres.rows("select pg_logical_emit_message(false, 'test', repeat('x', 100000))")
        seen = 0
        while seen < 100000:
            message = client.read()
            assert message.type == b"d", message
            seen += len(message.body)
        client.send(m.copy_done())
        answer = client.read_until(b"Z")
        assert answer[-1].type == b"Z", answer
    target.check_healthy()


@test(modes=("transaction",), targets=TARGETS)
def of_the_cluster_without_a_database(lab: Lab) -> None:
    """pg_basebackup and its like name a database that there is not, and PostgreSQL does not look."""
    target = lab.target()
    with target.connect("repl", database="replication", replication="true") as client:
        assert client.rows("IDENTIFY_SYSTEM")[0][3] is None
    assert refused(lambda: target.connect("repl", database="replication")).sqlstate == "3D000"
    if lab.kind == "forebay":
        several = lab.target(databases={"app": Database([lab.postgres.address]),
                                        "other": Database([("127.0.0.1", 1)], dbname="app")})
        error = refused(lambda: several.connect("repl", database="replication", replication="true"))
        assert error.sqlstate == "3D000", error


@test(modes=("transaction",), tls=TLS, entries=ENTRIES, targets=TARGETS)
def pg_receivewal(lab: Lab) -> None:
    target = proxied(lab)
    folder = lab.folder / "wal"
    folder.mkdir()
    child = lab.child("pg_receivewal", [binaries() / "pg_receivewal", "-D", folder, "-n",
                                        "--no-sync", "-v"],
                      env=dict(target.environment("repl")))
    wait_until(lambda: "starting log streaming" in child.output(), "it streams")
    lab.postgres.rows("select pg_logical_emit_message(true, 'test', repeat('x', 100000)), "
                      "pg_switch_wal()")
    wait_until(lambda: [p for p in folder.iterdir() if not p.name.endswith(".partial")],
               "a whole segment was received", within=20)
    assert child.alive, child.output()
    assert child.stop(2) == 0, child.output()


@test(modes=("transaction",), tls=TLS, entries=ENTRIES, targets=TARGETS)
def pg_recvlogical(lab: Lab) -> None:
    target = proxied(lab)
    env = dict(target.environment("repl"))
    slot = "slot_recvlogical"
    run([binaries() / "pg_recvlogical", "-d", "app", "--slot", slot, "--create-slot", "-P",
         "test_decoding"], env=env)
    output = lab.folder / "changes"
    child = lab.child("pg_recvlogical", [binaries() / "pg_recvlogical", "-d", "app", "--slot", slot,
                                         "--start", "-n", "-f", output, "--fsync-interval", "0"],
                      env=env)
    lab.postgres.rows("create table watched (n int)", "app")
    lab.postgres.rows("insert into watched values (42)", "app")
    wait_until(lambda: output.exists() and "n[integer]:42" in output.read_text(),
               "the change was received", within=20)
    assert child.alive, child.output()
    child.stop(2)
    run([binaries() / "pg_recvlogical", "-d", "app", "--slot", slot, "--drop-slot"], env=env)


@test(modes=("transaction",), tls=TLS, targets=TARGETS)
def psycopg2_replication(lab: Lab) -> None:
    target = proxied(lab)
    lab.postgres.rows("create table watched (n int)", "app")
    done = run([sys.executable, DRIVERS / "replication_driver.py"],
               env=dict(target.environment("repl"), PYTHONDONTWRITEBYTECODE="1"), expect=None)
    assert done.code == 0 and "not ok" not in done.out, done


@test(modes=("transaction",), targets=TARGETS)
def pg_basebackup(lab: Lab) -> None:
    """Two replication connections at once, and gigabytes if need be."""
    target = proxied(lab)
    done = run([binaries() / "pg_basebackup", "-D", lab.folder / "copy", "-X", "stream", "-c",
                "fast", "--no-sync"], env=dict(target.environment("repl")), within=120)
    assert (lab.folder / "copy" / "PG_VERSION").exists(), done


@test(modes=("transaction",), targets=("forebay",))
def connections_end_with_their_clients(lab: Lab) -> None:
    target = proxied(lab)
    walsenders = "select count(*) from pg_stat_activity where backend_type = 'walsender'"
    for way in ("close", "reset"):
        client = target.connect("repl", replication="true")
        position = str(client.rows("IDENTIFY_SYSTEM")[0][2])
        client.send(m.query(f"START_REPLICATION PHYSICAL {position}"))
        client.read_until(b"W")
        assert lab.postgres.value(walsenders) == "1"
        getattr(client, way)()
        wait_until(lambda: lab.postgres.value(walsenders) == "0", "its connection has ended")


@test(modes=("transaction",), targets=TARGETS, params=("database", "true"))
def start_values_are_its_own(lab: Lab, replication: str) -> None:
    """Whoever logs in next is greeted with its own."""
    target = proxied(lab)
    lab.postgres.rows("alter role repl login")
    with target.connect("repl", replication=replication, client_encoding="LATIN1",
                        TimeZone="Asia/Tokyo", application_name="debezium") as client:
        client.rows("IDENTIFY_SYSTEM")
        assert client.parameters["client_encoding"] == "LATIN1"
        assert client.parameters["TimeZone"] == "Asia/Tokyo"
    for _ in range(2):
        with target.connect("repl") as client:
            assert client.parameters["client_encoding"] == client.value("show client_encoding")
            assert client.parameters["TimeZone"] == client.value("show timezone") != "Asia/Tokyo"
            assert client.parameters["application_name"] == ""
