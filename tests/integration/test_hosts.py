"""What operators want of the hosts of a cluster, and how reads are spread over them."""

from __future__ import annotations

from collections import Counter
from typing import Any, Optional

from lab import messages as m, ports
from lab.declare import FOREBAY, test
from lab.lab import Lab
from lab.postgres import Postgres, password_of
from lab.process import wait_until
from lab.scrape import Scrape
from lab.target import Database, Target
from lab.wire import Client

from test_console import console, rows
from test_split import WHERE, at


def three(lab: Lab) -> list[Postgres]:
    primary = lab.private_postgres(synchronous_commit="local")
    primary.rows("create table t (id int)", "app")
    primary.rows("grant all on t to app", "app")
    return [primary, lab.replica_of(primary), lab.replica_of(primary)]


def split(lab: Lab, hosts: list[Postgres], weights: Optional[list[int]] = None,
          **options: Any) -> Target:
    settings = {"split_reads": True, "read_consistency": "none", "slow_start": "0",
                "admin_users": "app", "stats_users": "other",
                "http": f"127.0.0.1:{ports.claim()}", **options}
    addresses = [host.address for host in hosts]
    target = lab.target(options=settings, pool_size=4, databases={
        "app": Database(addresses, options={"weights": weights or [1] * len(hosts)})})
    with target.connect() as client:
        wait_until(lambda: len(spread(client, 8)) == 2, "both replicas are read from")
    return target


def spread(client: Client, reads: int) -> Counter[int]:
    return Counter(at(client) for _ in range(reads))


def name(host: Postgres) -> str:
    return f"127.0.0.1:{host.port}"


def of_host(target: Target, command: str, host: Postgres) -> dict[str, str]:
    return next(row for row in rows(target, command) if row["host"] == name(host))


def connections(host: Postgres) -> int:
    """Of clients; the monitor's own is let in with the first pool's login, too."""
    return int(host.value("select count(*) from pg_stat_activity where datname = 'app' "
                          "and query not like '%pg_control_system%'"))


@test(modes=("transaction",), targets=FOREBAY, within=60)
def drained(lab: Lab) -> None:
    primary, first, second = hosts = three(lab)
    target = split(lab, hosts)
    with target.connect() as client, target.connect() as other:
        other.run("begin read only")
        host, rest = (first, second) if at(other) == first.port else (second, first)
        console(target, f"DRAIN HOST {name(host)} FOR '10min' REASON 'new kernel'")
        assert spread(client, 10) == {rest.port: 10}
        said = "drained by an operator (app) for "
        shown = of_host(target, "SHOW HOSTS", host)
        assert shown["ordered"].startswith(said) and ": new kernel" in shown["ordered"], shown
        assert said in of_host(target, "SHOW REPLICATION", host)["reads"]
        explained = {row["step"]: row["result"] for row in rows(target, "EXPLAIN ROUTE select 1")}
        assert said in explained["host " + name(host)], explained
        assert ordered(target) == [(name(host), "drained")]
        # What is open goes on, and its connection goes with it.
        assert at(other) == host.port
        assert connections(host) >= 1
        other.run("commit")
        wait_until(lambda: connections(host) == 0, "nothing is left there")
        assert "drained by an operator (app)" in target.log
        console(target, f"ENABLE HOST {name(host)}")
        wait_until(lambda: len(spread(client, 8)) == 2, "it is read from again")
        assert ordered(target) == []


def ordered(target: Target) -> list[tuple[str, str]]:
    http = str(target.settings.options["http"])
    return [(labels["host"], labels["state"])
            for known, labels, value in Scrape(int(http.rpartition(":")[2])).samples
            if known == "forebay_host_ordered" and value == 1]


@test(modes=("transaction",), targets=FOREBAY, within=60)
def a_drained_primary_holds_writes(lab: Lab) -> None:
    primary, first, second = hosts = three(lab)
    target = split(lab, hosts)
    with target.connect() as client, target.connect() as other:
        client.run("begin")
        client.run("insert into t values (1)")
        console(target, f"DRAIN HOST \"{name(primary)}\"")
        other.send(m.query("insert into t values (2)"))
        client.run("insert into t values (3)")
        client.run("commit")
        wait_until(lambda: connections(primary) == 0, "nothing is left there")
        assert at(client) in (first.port, second.port)
        console(target, f"ENABLE HOST {name(primary)}")
        assert "CommandComplete" in m.names(other.until_ready())
        assert primary.rows("select count(*) from t", "app") == [("3",)]


@test(modes=("transaction",), targets=FOREBAY, within=60)
def banned_and_preferred(lab: Lab) -> None:
    primary, first, second = hosts = three(lab)
    target = split(lab, hosts)
    with target.connect() as client, target.connect() as other:
        other.run("begin read only")
        host, rest = (first, second) if at(other) == first.port else (second, first)
        console(target, f"BAN HOST {name(host)} REASON 'it burns'")
        error = other.error(m.query("select 1"))
        assert error.sqlstate == "40001" and "it burns" in error.fields()["M"], error
        other.run("rollback")
        assert spread(client, 10) == {rest.port: 10}
        # Of a host that is in the list still, a reload takes nothing back.
        console(target, "RELOAD")
        assert spread(client, 10) == {rest.port: 10}
        console(target, f"PREFER HOST {name(host)}")
        assert spread(client, 10) == {host.port: 10}
        console(target, f"BAN HOST {name(host)} FOR 1s")
        assert spread(client, 1) == {rest.port: 1}
        wait_until(lambda: len(spread(client, 8)) == 2, "its time is over")
        client.run("begin")
        client.run("insert into t values (1)")
        console(target, f"BAN HOST {name(primary)}")
        error = client.error(m.query("commit"))
        assert error.sqlstate == "40001", error


@test(targets=FOREBAY)
def rights_and_names(lab: Lab) -> None:
    hosts = three(lab)
    target = split(lab, hosts)
    for word in ("DRAIN", "BAN", "PREFER", "ENABLE"):
        done = console(target, f"{word} HOST {name(hosts[1])}", user="other")
        assert "42501" in done.err, done
        done = console(target, f"{word} HOST nowhere:5432")
        assert "42704" in done.err and name(hosts[2]) in done.err, done
    assert ordered(target) == []
    helped = [row["command"] for row in rows(target, "SHOW HELP")]
    assert "DRAIN HOST host [FOR time] [REASON text]" in helped, helped


@test(modes=("transaction",), targets=FOREBAY, within=120, heavy=True)
def spread_by_weight(lab: Lab) -> None:
    """Within 10%, one after another and several at a time; and one that is clearly slower gets
    less, and its share again when it is slow no more."""
    primary, first, second = hosts = three(lab)
    target = split(lab, hosts, weights=[1, 1, 3])

    def shares(clients: int, reads: int, sql: str = WHERE) -> float:
        """The part of the second."""
        found: Counter[int] = Counter()
        connected = [lab.keep(target.connect()) for _ in range(clients)]
        for _ in range(reads // clients):
            for client in connected:
                client.send(m.query(sql))
            for client in connected:
                row = m.only(client.until_ready(), b"D")[0]
                found[int(row.columns()[0] or b"")] += 1
        for client in connected:
            client.close()
        assert found[primary.port] == 0, found
        return found[second.port] / sum(found.values())

    # On a busy machine one may really be slower for a while.
    for clients in (1, 3):
        tries = [shares(clients, 600)]
        while not 0.675 < tries[-1] < 0.825:
            assert len(tries) < 4, (clients, tries)
            tries.append(shares(clients, 600))
    slow = (f"select inet_server_port() where inet_server_port() <> {second.port} "
            "or (select count(*) from generate_series(1, 300000)) > 0")
    shares(3, 60, slow)
    share = shares(1, 200, slow)
    assert share < 0.5, share
    wait_until(lambda: 0.675 < shares(1, 200) < 0.825, "it has its share again")


@test(modes=("transaction",), targets=FOREBAY, within=60)
def another_login_at_each_host(lab: Lab) -> None:
    """Where one database's monitor_user is refused, that of another with the same hosts is tried,
    at each host by itself: two that refuse the first at once would be asked as it for ever."""
    primary = lab.private_postgres()
    hosts = [each.address for each in (primary, lab.replica_of(primary))]

    def asked_as(user: str) -> Database:
        return Database(hosts, dbname="app", options={
            "monitor_user": user, "monitor_password": password_of(user)})
    port = ports.claim()
    target = lab.target(options={"http": f"127.0.0.1:{port}"}, databases={
        "app": asked_as("rejected"), "other": asked_as("other")})

    def failed() -> float:
        return Scrape(port).sum("host_probes_failed_total")
    with target.connect() as first, target.connect(database="other") as second:
        first.run("select 1")
        second.run("select 1")
        wait_until(lambda: Scrape(port).sum("host_up") == 2, "both say what they are")
        asked, refused = Scrape(port).sum("host_probes_total"), failed()
        wait_until(lambda: Scrape(port).sum("host_probes_total") > asked + 20, "they go on")
        assert failed() == refused, target.log
