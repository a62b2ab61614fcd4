"""Until every host has answered once, or failed, nobody knows who is the primary: after a start, and
when the hosts of a database change. Statements wait so long."""

from __future__ import annotations

import signal
import socket
from contextlib import contextmanager
from typing import Iterator

from lab import messages as m
from lab import ports
from lab.declare import FOREBAY, TLS, test
from lab.lab import Lab
from lab.postgres import Postgres, password_of
from lab.process import wait_until
from lab.scrape import Scrape
from lab.target import Target
from test_failover import promote, signal_all
from test_reload import reload, text_of
from test_sessions import kept


def two_primaries(lab: Lab) -> tuple[Postgres, Postgres]:
    """One that nobody has told of the promotion, and the one of the newer timeline."""
    old = lab.private_postgres()
    old.rows("create table written (number int)", "app")
    old.rows("grant all on written to public", "app")
    new = lab.replica_of(old)
    wait_until(lambda: new.rows("select 1 from pg_tables where tablename = 'written'", "app"),
               "the replica has the table")
    promote(new)
    return old, new


@contextmanager
def hanging(postgres: Postgres) -> Iterator[None]:
    """It takes connections, and says nothing."""
    signal_all(postgres, signal.SIGSTOP)
    try:
        yield
    finally:
        signal_all(postgres, signal.SIGCONT)


def write(target: Target, user: str = "app") -> None:
    password = None if user == "trusted" else password_of(user)
    with target.connect(user, password=password, within=40) as client:
        client.run("insert into written values (1)")


def written(postgres: Postgres) -> str:
    return str(postgres.value("select count(*) from written", "app"))


def knows(target: Target, host: Postgres, what: str) -> None:
    name = f"server={host.address[0]}:{host.address[1]}"
    wait_until(lambda: any(what in line and name in line for line in target.log.splitlines()),
               f"the monitor has found {what} at {name}")


@test(modes=("transaction", "session"), targets=FOREBAY, within=60)
def who_answers_first_is_not_the_primary_yet(lab: Lab) -> None:
    """The old one is listed first and answers at once, the new one only later."""
    old, new = two_primaries(lab)
    with hanging(new):
        target = lab.target(servers=[old.address, new.address], options={"primary_lease": "30s"})
        writer = lab.in_background(lambda: write(target))
        knows(target, old, "primary on timeline 1")
    writer.result(40)
    assert (written(old), written(new)) == ("0", "1")


@test(modes=("transaction",), targets=FOREBAY, within=60)
def replication_begins_at_the_primary(lab: Lab) -> None:
    """It waits for the first answers, too."""
    old, new = two_primaries(lab)
    with hanging(new):
        target = lab.target(servers=[old.address, new.address], options={"primary_lease": "30s"})

        def timeline() -> str:
            with target.connect("repl", replication="database", within=40) as client:
                return str(client.rows("IDENTIFY_SYSTEM")[0][1])
        thread = lab.in_background(timeline)
        knows(target, old, "primary on timeline 1")
    assert thread.result(40) == "2"


@test(modes=("transaction",), targets=FOREBAY, within=60)
def hosts_that_come_by_reload(lab: Lab) -> None:
    """The same for a list that is new; the connections to the old one are not used any more."""
    old, new = two_primaries(lab)
    target = lab.target(servers=[old.address], options={"primary_lease": "30s"})
    with target.connect() as client, hanging(new):
        client.run("select 1")
        host, more = (f'"127.0.0.1:{each.address[1]}"' for each in (old, new))
        reload(target, text_of(target).replace(f"[{host}]", f"[{host}, {more}]"))
        writer = lab.in_background(lambda: client.run("insert into written values (1)", within=40))
        knows(target, old, "primary on timeline 1")
        signal_all(new, signal.SIGCONT)
        writer.result(40)
    assert (written(old), written(new)) == ("0", "1")


@test(modes=("transaction",), targets=FOREBAY, within=60, params=("one more", "other order"))
def a_reload_forgets_no_timeline(lab: Lab, change: str) -> None:
    """The new primary is away when the list changes; the old one is as fenced as before."""
    old, new = two_primaries(lab)
    target = lab.target(servers=[old.address, new.address])
    one, other = (f'"127.0.0.1:{each.address[1]}"' for each in (old, new))
    listed = {"one more": f'{one}, {other}, "127.0.0.1:{ports.claim()}"',
              "other order": f"{other}, {one}"}[change]
    with target.connect() as client:
        client.run("insert into written values (1)")
        knows(target, old, "a primary on an older timeline")
        new.stop()
        knows(target, new, "no longer the primary")
        writer = lab.in_background(lambda: client.run("insert into written values (2)", within=40))
        text = text_of(target)
        assert f"[{one}, {other}]" in text, text
        reload(target, text.replace(f"[{one}, {other}]", f"[{listed}]"))
        wait_until(lambda: "none of the hosts" in target.log, "the monitor has asked them all")
        new.start()
        writer.result(40)
    assert (written(old), written(new)) == ("0", "2")


@test(modes=("transaction",), targets=FOREBAY, within=60)
def what_is_open_outlives_a_return_to_a_former_list(lab: Lab) -> None:
    """When the list is used again, what was known last time is older than primary_lease."""
    primary = with_table(lab.private_postgres())
    hosts = [primary.address, lab.replica_of(primary).address, ("127.0.0.1", ports.claim())]
    target = lab.target(servers=hosts, options={"primary_lease": "1s"})
    text = text_of(target)
    less = text.replace(f', "127.0.0.1:{hosts[2][1]}"', "")
    assert less != text
    with target.connect() as client:
        client.run("begin")
        for listed in (less, text):
            known = target.log.count("the primary, on timeline")
            reload(target, listed)
            wait_until(lambda: target.log.count("the primary, on timeline") > known,
                       "the monitor has found the primary again")
            client.run("insert into written select 1 from pg_sleep(1.5)", within=20)
        client.run("commit")
    assert written(primary) == "2"


@test(modes=("transaction", "session"), targets=FOREBAY, within=60, params=("standby", "nobody"))
def a_start_without_a_primary(lab: Lab, there: str) -> None:
    """What comes waits as it would later: for failover_hold."""
    primary = lab.private_postgres()
    primary.rows("create table written (number int)", "app")
    primary.rows("grant all on written to public", "app")
    standby = lab.replica_of(primary)
    wait_until(lambda: standby.rows("select 1 from pg_tables where tablename = 'written'", "app"),
               "the replica has the table")
    primary.stop()
    if there == "nobody":
        standby.stop()
    port = ports.claim()
    target = lab.target(servers=[primary.address, standby.address], options={
        "query_wait_timeout": "300ms", "http": f"127.0.0.1:{port}"})
    writer = lab.in_background(lambda: write(target))
    wait_until(lambda: "none of the hosts" in target.log, "the monitor has asked")
    wait_until(lambda: Scrape(port).sum("limit_used", limit="failover_hold_statements") == 1,
               "the client waits")
    if there == "nobody":
        standby.start()
        knows(target, standby, "replica on timeline 1")
    promote(standby)
    writer.result(40)
    assert written(standby) == "1"


def with_table(postgres: Postgres) -> Postgres:
    postgres.rows("create table written (number int)", "app")
    postgres.rows("grant all on written to public", "app")
    return postgres


@test(modes=("transaction",), targets=FOREBAY, within=90)
def a_server_of_another_cluster(lab: Lab) -> None:
    """That it answers first does not make it the cluster; it is named, with the reason."""
    foreign = with_table(lab.foreign_postgres())
    primary = with_table(lab.private_postgres())
    standby = lab.replica_of(primary)
    with hanging(primary), hanging(standby):
        target = lab.target(servers=[each.address for each in (foreign, primary, standby)],
                            options={"primary_lease": "30s", "stats_users": "app"})
        writer = lab.in_background(lambda: write(target))
        knows(target, foreign, "primary on timeline 1")
    writer.result(40)
    assert (written(foreign), written(primary)) == ("0", "1")
    reason = ("it belongs to another cluster: its system identifier is "
              + str(foreign.value("select system_identifier from pg_control_system()")))
    knows(target, foreign, reason)
    with target.connect(database="forebay") as console:
        assert any(reason in str(value) for row in console.rows("SHOW HOSTS") for value in row)


@test(modes=("transaction",), targets=FOREBAY, within=90)
def a_server_of_another_cluster_that_was_there_alone(lab: Lab) -> None:
    """It is the cluster until most hosts are of another one: then it is fenced, what is open there
    is broken, and all goes on with the others."""
    foreign = with_table(lab.foreign_postgres())
    primary = with_table(lab.private_postgres())
    standby = lab.replica_of(primary)
    wait_until(lambda: standby.rows("select 1 from pg_tables where tablename = 'written'", "app"),
               "the replica has the table")
    for each in (primary, standby):
        each.stop()
    target = lab.target(servers=[each.address for each in (foreign, primary, standby)],
                        options={"stats_users": "app"})
    with target.connect() as client, target.connect() as other:
        client.run("insert into written values (1)")
        other.run("begin; insert into written values (1)")
        primary.start()
        knows(target, primary, "it belongs to another cluster")
        client.run("insert into written values (1)")  # as many of each: what is in use goes on
        assert (written(foreign), written(primary)) == ("2", "0")
        standby.start()
        knows(target, foreign, "it belongs to another cluster")
        assert "cluster_replaced" in target.log, target.log
        error = other.error(m.query("commit"))
        assert error.sqlstate in ("40001", "40003", "08007"), error
        client.run("insert into written values (1)")
    assert (written(foreign), written(primary)) == ("2", "1")
    # Nobody goes back there, whoever is left.
    standby.stop()
    knows(target, standby, "host_down")
    write(target)
    assert (written(foreign), written(primary)) == ("2", "2")
    assert target.log.count("cluster_replaced") == 1, target.log


@test(modes=("transaction",), targets=FOREBAY, within=90)
def as_many_of_each_cluster(lab: Lab) -> None:
    """Nobody can say which is meant: statements wait until the configuration says it."""
    foreign = with_table(lab.foreign_postgres())
    primary = with_table(lab.private_postgres())
    target = lab.target(servers=[foreign.address, primary.address])
    writer = lab.in_background(lambda: write(target))
    wait_until(lambda: "mixed_clusters" in target.log, "it is told")
    foreign.stop()
    knows(target, foreign, "host_down")
    other, host = (f'"127.0.0.1:{each.address[1]}"' for each in (foreign, primary))
    assert written(primary) == "0"
    reload(target, text_of(target).replace(f"[{other}, {host}]", f"[{host}]"))
    writer.result(40)
    assert written(primary) == "1"


@test(modes=("transaction",), targets=FOREBAY, within=60)
def a_server_with_two_names(lab: Lab) -> None:
    """It is one primary, and the log says that it is listed twice."""
    primary = with_table(lab.private_postgres())
    standby = lab.replica_of(primary)
    target = lab.target(servers=[("localhost", primary.port), primary.address, standby.address])
    write(target)
    assert written(primary) == "1"
    assert "same_server" in target.log and "two_primaries" not in target.log, target.log


@test(modes=("transaction", "session"), targets=FOREBAY, within=60, params=("30s", "0"))
def a_host_that_never_answers(lab: Lab, hold: str) -> None:
    """It is waited for as long as the monitor waits for an answer, whatever failover_hold is: the
    others have answered by then."""
    primary = lab.private_postgres()
    primary.rows("create table written (number int)", "app")
    primary.rows("grant all on written to public", "app")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        target = lab.target(servers=[silent.getsockname(), primary.address], options={
            "primary_lease": "4s", "failover_hold": hold, "query_wait_timeout": "100ms"})
        write(target)
        assert written(primary) == "1"
        if hold == "0" and lab.variant.mode == "transaction":
            with target.connect() as client:
                client.run("select 1")
                primary.stop()
                knows(target, primary, "no longer the primary")  # from then on nobody waits
                assert client.error(m.query("select 1")).sqlstate == "57P03"


@test(targets=FOREBAY, within=60)
def who_listens_first(lab: Lab) -> None:
    """Keeps nothing, with shared_listen."""
    primary = lab.private_postgres()
    standby = lab.replica_of(primary)
    target = lab.target(servers=[standby.address, primary.address], pool_size=1,
                        options={"shared_listen": True, "query_wait_timeout": "1s"})
    for _ in range(2):
        lab.keep(target.connect()).run("listen bell")
    assert not kept(target)


@test(modes=("transaction",), tls=TLS, entries=("run",), targets=FOREBAY, within=60,
      params=("trusted", "app"))
def clients_show_what_to_ask_with(lab: Lab, user: str) -> None:
    """The first login goes through wherever it leads, since it is what the monitor asks with; its
    statements wait. Where it shows Forebay nothing, the hosts are judged by logins."""
    old, new = two_primaries(lab)
    target = lab.target(servers=[old.address, new.address])
    if user == "app" and not lab.variant.tls:
        old.stop()
        write(target, user)
    else:
        write(target, user)
        assert written(old) == "0"
    assert written(new) == "1"
