"""What waits while there is no primary: statements and logins, for failover_hold, and so many."""

from __future__ import annotations

from typing import Any, Optional

from lab import messages as m
from lab import ports
from lab.declare import FOREBAY, test
from lab.lab import Lab
from lab.postgres import Postgres, password_of
from lab.process import wait_until
from lab.scrape import Scrape
from lab.target import Database, Target
from lab.wire import Client, refused
from test_console import rows
from test_failover import last_primary, promote
from test_reload import reload, text_of


def cluster(lab: Lab, *hosts: Postgres, options: dict[str, Any], **more: Any) -> Target:
    """The monitor knows its primary."""
    target = lab.target(servers=[host.address for host in hosts],
                        options={"primary_lease": "1s", **options}, **more)
    with target.connect() as client:
        client.run("select 1")
    wait_until(lambda: last_primary(target), "the monitor has found the primary")
    return target


def with_monitor_user(lab: Lab, *hosts: Postgres, options: Optional[dict[str, Any]] = None,
                      **more: Any) -> Target:
    """The monitor asks whatever Forebay knows of clients' passwords."""
    monitor = {"monitor_user": "postgres", "monitor_password": password_of("postgres")}
    database = Database([host.address for host in hosts], options=monitor)
    return cluster(lab, *hosts, databases={"app": database},
                   options={"failover_hold": "40s", **(options or {})}, **more)


def lose(target: Target, *hosts: Postgres) -> None:
    for host in hosts:
        host.stop()
    wait_until(lambda: "no longer the primary" in target.log, "its lease is over")


@test(modes=("transaction", "session"), targets=FOREBAY, within=60)
def logins_wait_for_a_primary(lab: Lab) -> None:
    """Whose settings only a server can check, and all in session mode: whatever query_wait_timeout
    is. That nobody is there any more changes nothing."""
    primary = lab.private_postgres()
    replica = lab.replica_of(primary)
    port = ports.claim()
    target = cluster(lab, primary, replica, options={
        "query_wait_timeout": "300ms", "failover_hold": "50s", "http": f"127.0.0.1:{port}"})
    lose(target, primary)

    def log_in(number: int) -> str:
        with target.connect(work_mem=f"{number + 100}kB", within=40) as client:
            return str(client.value("show work_mem"))
    first = lab.in_background(lambda: log_in(7))

    def waits(count: int) -> None:
        wait_until(lambda: Scrape(port).sum("limit_used", limit="failover_hold_statements") ==
                   count, f"{count} wait")
    waits(1)
    threads = [lab.in_background(lambda n=n: log_in(n)) for n in range(3)]
    waits(4)
    promote(replica)
    assert [thread.result(30) for thread in threads] == ["100kB", "101kB", "102kB"]
    assert first.result(30) == "107kB"
    waits(0)


@test(modes=("transaction",), targets=FOREBAY, within=60)
def logins_do_not_wait_for_ever(lab: Lab) -> None:
    """But for failover_hold, or client_login_timeout."""
    primary = lab.private_postgres()
    replica = lab.replica_of(primary)
    both = [cluster(lab, primary, replica, options=options) for options in (
        {"query_wait_timeout": "300ms", "failover_hold": "2s"},
        {"client_login_timeout": "1s", "failover_hold": "50s"})]
    clients = [lab.keep(target.connect()) for target in both]
    for target in both:
        lose(target, primary)
    for target, key in zip(both, ("failover_hold (2000 ms)", "client_login_timeout (1000 ms)")):
        error = refused(lambda target=target: target.connect(work_mem="123kB"))
        assert error.sqlstate == "57P03", error
        assert key in error.fields()["M"], error
    promote(replica)
    for client in clients:
        assert client.value("select 1", within=30) == "1"


@test(modes=("transaction",), targets=FOREBAY, within=60)
def logins_by_the_server_wait(lab: Lab) -> None:
    """auth = "server", and no server answers."""
    primary = lab.private_postgres()
    replica = lab.replica_of(primary)
    target = with_monitor_user(lab, primary, replica, auth="server", users={})
    lose(target, replica, primary)
    before = target.log.count("server_login_failed")
    thread = lab.in_background(lambda: target.connect().value("select current_user"))
    wait_until(lambda: target.log.count("server_login_failed") > before + 2, "it is tried again")
    primary.start()
    assert thread.result(30) == "app"


@test(modes=("transaction",), targets=FOREBAY, within=60, params=("scram-sha-256", "server"))
def replication_waits(lab: Lab, auth: str) -> None:
    """Neither is it refused nor does it begin at a standby, whoever checks the password."""
    primary = lab.private_postgres()
    replica = lab.replica_of(primary)
    more = {"auth": auth, "users": {}} if auth == "server" else {}
    target = with_monitor_user(lab, primary, replica, **more,
                               options={"admin_users": "app", "stats_users": "app"})
    with target.connect() as client:
        client.run("select 1")
        lose(target, primary)

        def replicates() -> str:
            with target.connect("repl", replication="database", within=40) as walsender:
                assert walsender.rows("IDENTIFY_SYSTEM")
                return str(walsender.value("select pg_is_in_recovery()"))
        thread = lab.in_background(replicates)
        wait_until(lambda: any(row["user"] == "repl" for row in rows(target, "SHOW CLIENTS")),
                   "it is there")
        promote(replica)
        assert thread.result(40) == "f"


@test(modes=("transaction",), targets=FOREBAY, within=60)
def logins_by_the_server_wait_for_the_verdict(lab: Lab) -> None:
    """The same before anybody knows that the primary is lost: its lease is not over."""
    primary = lab.private_postgres()
    replica = lab.replica_of(primary)
    target = with_monitor_user(lab, primary, replica, auth="server", users={},
                               options={"primary_lease": "5s"})
    replica.stop()
    primary.stop()
    thread = lab.in_background(lambda: target.connect(within=40).value("select current_user"))
    wait_until(lambda: "no longer the primary" in target.log, "its lease is over", within=20)
    primary.start()
    assert thread.result(30) == "app"


@test(modes=("transaction",), targets=FOREBAY, within=60)
def lookups_wait(lab: Lab) -> None:
    """auth_query, and no server answers; while one does, it is asked."""
    primary = lab.private_postgres()
    replica = lab.replica_of(primary)
    target = cluster(lab, primary, replica, users={"postgres": password_of("postgres")}, options={
        "auth_user": "postgres", "auth_query_ttl": "0", "failover_hold": "40s"})
    lose(target, primary)
    by_replica = lab.in_background(lambda: target.connect("other").value("select current_user"))
    wait_until(lambda: "logged in" in target.log, "the replica says who it is")
    replica.stop()
    thread = lab.in_background(lambda: target.connect().value("select current_user"))
    wait_until(lambda: "clients wait, for failover_hold at most" in target.log, "it waits")
    primary.start()
    assert thread.result(30) == "app"
    assert by_replica.result(30) == "other"


@test(modes=("transaction",), targets=FOREBAY, within=60)
def so_many_statements_wait(lab: Lab) -> None:
    """failover_hold_statements and failover_hold_bytes, and nothing else."""
    primary = lab.private_postgres()
    replica = lab.replica_of(primary)
    port = ports.claim()
    target = cluster(lab, primary, replica, options={
        "http": f"127.0.0.1:{port}", "failover_hold_statements": 3,
        "failover_hold_bytes": "20KiB", "failover_hold": "40s"},
        user_options={"app": {"max_statements": 1, "max_waiting_statements": 0}})
    clients: list[Client] = [lab.keep(target.connect()) for _ in range(4)]
    large = "select 'it went' /* " + 15000 * "x" + " */"
    lose(target, primary)

    def held(count: int) -> None:
        wait_until(lambda: Scrape(port).sum("limit_used", limit="failover_hold_statements") ==
                   count, f"{count} wait")

    clients[0].send(m.query(large))
    held(1)
    for query in ([m.query(large)], [m.parse("", large), m.bind("", ""), m.execute(""), m.sync()]):
        error = clients[1].error(*query)
        assert error.sqlstate == "53400", error
        assert "failover_hold_bytes = 20KiB, set in [pool]" in error.fields()["M"], error
    clients[1].send(m.query("select 'it went'"))
    clients[2].send(m.query("select 'it went'"))
    held(3)
    for _ in range(2):
        error = clients[3].error(m.query("select 'it went'"))
        assert error.sqlstate == "53400", error
        assert "failover_hold_statements = 3, set in [pool]" in error.fields()["M"], error
        assert "raise failover_hold_statements" in error.fields()["H"], error
    assert Scrape(port).sum("statements_refused_total", limit="failover_hold") == 4
    assert Scrape(port).sum("limit_used", limit="failover_hold_bytes") > 15000
    promote(replica)
    for client in clients[:3]:
        assert m.only(client.until_ready(within=30), b"D")[0].columns() == [b"it went"]
    assert clients[3].value("select 1") == "1"
    assert Scrape(port).sum("limit_used", limit="failover_hold_statements") == 0
    assert Scrape(port).sum("limit_used", limit="failover_hold_bytes") == 0


@test(modes=("transaction",), targets=FOREBAY, within=60)
def what_waits_and_grows(lab: Lab) -> None:
    """A client that goes on talking is not read beyond failover_hold_bytes, and loses nothing; one
    that goes gives back what it had."""
    primary = lab.private_postgres()
    replica = lab.replica_of(primary)
    port = ports.claim()
    target = cluster(lab, primary, replica, options={
        "http": f"127.0.0.1:{port}", "failover_hold_bytes": "2KiB", "failover_hold": "40s"})
    talker, other = target.connect(), target.connect()
    lose(target, primary)

    def used() -> float:
        return Scrape(port).sum("limit_used", limit="failover_hold_bytes")
    talker.send(m.query("select 0"))
    other.send(m.query("select 'x'"))
    wait_until(lambda: Scrape(port).sum("limit_used", limit="failover_hold_statements") == 2,
               "both wait")
    for number in range(1, 300):
        talker.send(m.query(f"select {number}"))
    other.close()
    wait_until(lambda: Scrape(port).sum("limit_used", limit="failover_hold_statements") == 1,
               "it is gone")
    assert used() <= 2048
    promote(replica)
    with talker:
        rows = m.only(talker.until_ready(300, within=40), b"D")
        assert [row.columns() for row in rows] == [[str(n).encode()] for n in range(300)]
    wait_until(lambda: used() == 0, "nothing waits any more")


@test(modes=("transaction",), targets=FOREBAY, within=60)
def who_is_moved_does_not_wait_for_a_primary(lab: Lab) -> None:
    """A tenant gets another place while its statements wait for a primary: they count no more."""
    primary = lab.private_postgres()
    replica = lab.replica_of(primary)
    port = ports.claim()
    app = Database([primary.address, replica.address], options={"max_statements": 1})
    target = cluster(
        lab, primary, replica, databases={"app": app, "apart": Database([lab.postgres.address],
                                                                        dbname="app")},
        tenants={"databases": ["app"], "users": {"app": "acme"}, "places": {}},
        options={"http": f"127.0.0.1:{port}", "failover_hold": "40s",
                 "server_check_delay": "1h", "workers": 1})
    clients: list[Client] = [lab.keep(target.connect()) for _ in range(2)]
    apart: list[Client] = [lab.keep(target.connect(database="apart")) for _ in range(2)]
    for word in ("begin", "commit"):        # which leaves two connections for them
        for client in apart:
            client.run(word)
    lose(target, primary)
    for client in clients:
        client.send(m.query("select 'it went'"))

    def used() -> float:
        return Scrape(port).sum("limit_used", limit="failover_hold_statements")
    wait_until(lambda: used() == 2, "they wait")
    target.settings.tenants["places"] = {"acme": "apart"}
    reload(target, text_of(target))
    for client in clients:
        assert m.only(client.until_ready(within=30), b"D")[0].columns() == [b"it went"]
    assert used() == 0
