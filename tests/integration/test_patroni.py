"""What Patroni says of a cluster, by its REST API or its keys in etcd: a reason to ask the servers,
the last word between two primaries, and nothing more."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from lab.declare import FOREBAY, test
from lab.fake_patroni import LIES, FakePatroni, Member
from lab.lab import Lab
from lab.postgres import Postgres
from lab.process import holds_for, wait_until
from lab.target import Database, Target
from test_console import rows
from test_failover import last_primary, promote
from test_split import at

SOURCES = ("rest", "etcd")


def fake(lab: Lab, *servers: Postgres) -> FakePatroni:
    return lab.keep(FakePatroni(*(Member(f"node{i}", s.port) for i, s in enumerate(servers))))


def keys(source: str, patroni: FakePatroni) -> dict[str, Any]:
    if source == "rest":
        return {"patroni": [patroni.url]}
    return {"etcd": [patroni.url], "etcd_scope": "lab"}


def watched(lab: Lab, source: str, patroni: FakePatroni, *servers: Postgres,
            has_primary: bool = True, **options: Any) -> Target:
    database = Database([s.address for s in servers], options=keys(source, patroni))
    target = lab.target(servers=[s.address for s in servers], databases={"app": database},
                        pool_size=4, options={"stats_users": "app", "primary_lease": "2s",
                                              "split_reads": True, **options})
    if has_primary:
        with target.connect() as client:
            client.run("select 1")
    return target


def shown(target: Target, command: str, server: Postgres) -> tuple[str, ...]:
    """The server's row; one of nothing before the monitor has looked."""
    with target.connect(database="forebay") as console:
        return next((tuple(map(str, row)) for row in console.rows(command)
                     if row[0] == f"127.0.0.1:{server.port}"), ("",) * 10)


def waits(target: Target) -> bool:
    return any(row["cl_waiting"] == "1" for row in rows(target, "SHOW POOLS"))


@test(modes=("transaction",), targets=FOREBAY, params=SOURCES, within=90, heavy=True)
def two_primaries_on_one_timeline(lab: Lab, source: str) -> None:
    """The leader is the primary, and the other one gets nothing; that may change."""
    old = lab.private_postgres()
    first, second = lab.replica_of(old), lab.replica_of(old)
    promote(first)
    promote(second)
    patroni = fake(lab, first, second)
    target = watched(lab, source, patroni, first, second, has_primary=False)

    def port_of_the_primary() -> Any:
        with target.connect(within=60) as client:
            return client.value("show port", within=60)
    waiting = lab.in_background(port_of_the_primary)
    wait_until(lambda: "two primaries on timeline" in target.log, "they are seen")
    patroni.say(leader="node1")
    assert waiting.result(60) == str(second.port)
    assert str(second.port) in last_primary(target)
    assert "other primary on the same timeline" in shown(target, "SHOW HOSTS", first)[4]
    patroni.say(leader="node0")
    wait_until(lambda: str(first.port) in last_primary(target), "the other one leads")
    assert port_of_the_primary() == str(first.port)


@test(modes=("transaction",), targets=FOREBAY, within=90, heavy=True)
def a_leader_with_two_names(lab: Lab) -> None:
    """It is no rival of its own: nothing is fenced, and replicas are read from within their bounds.
    A switchover from the one name is one from the other."""
    primary = lab.private_postgres()
    replica = lab.replica_of(primary)
    patroni = fake(lab, primary, replica)
    patroni.say(leader="node0")
    hosts = [("[::1]", primary.port), primary.address, replica.address]
    target = lab.target(databases={"app": Database(hosts, options=keys("etcd", patroni))},
                        options={"split_reads": True, "max_replica_lag": "30s", "slow_start": "0"})
    with target.connect() as client:
        client.run("create table t (number int)")
        wait_until(lambda: "node0: leader" in target.log, "Patroni was heard")
        wait_until(lambda: at(client) == replica.port, "the replica is read from")
        wait_until(lambda: "same_server" in target.log, "that it is listed twice is told")
        client.run("insert into t values (1)")
        wait_until(lambda: at(client) == replica.port, "and after a write")
        assert "host_fenced" not in target.log and "two primaries" not in target.log, target.log
        patroni.say(switchover={"leader": "node0", "member": "node1"})
        wait_until(lambda: "new transactions wait until it has" in target.log, "they wait")


@test(modes=("transaction",), targets=FOREBAY, params=SOURCES, within=90, heavy=True)
def a_new_leader_is_asked_at_once(lab: Lab, source: str) -> None:
    """Else the next question would come after monitor_interval."""
    primary = lab.private_postgres()
    replica = lab.replica_of(primary)
    patroni = fake(lab, primary, replica)
    patroni.say(leader="node0")
    target = watched(lab, source, patroni, primary, replica, monitor_interval="300s",
                     primary_lease="600s")
    wait_until(lambda: str(primary.port) in last_primary(target), "it is known")
    wait_until(lambda: "node0: leader" in shown(target, "SHOW REPLICATION", primary)[8],
               "what Patroni says is known")
    promote(replica)            # and nobody has noticed
    patroni.say(leader="node1")
    wait_until(lambda: str(replica.port) in last_primary(target), "the new one is the primary")
    with target.connect() as client:
        assert client.value("show port") == str(replica.port)


@test(modes=("transaction",), targets=FOREBAY, within=90, heavy=True)
def a_switchover_breaks_nothing(lab: Lab) -> None:
    """What is open may end before the server does; what is new goes to the next primary, unseen."""
    primary = lab.private_postgres()
    replica = lab.replica_of(primary)
    patroni = fake(lab, primary, replica)
    patroni.say(leader="node0")
    target = watched(lab, "etcd", patroni, primary, replica, shared_listen=True)
    with target.connect() as client, target.connect() as other, target.connect() as listener:
        listener.run("listen told")
        client.run("begin")
        client.run("create table seen (port text)")
        patroni.say(switchover={"leader": "node0", "member": "node1"})
        wait_until(lambda: "Patroni is to make another host" in target.log, "it is known")
        waiting = lab.in_background(lambda: other.value("show port", within=60))
        wait_until(lambda: waits(target), "somebody waits")
        client.run("insert into seen select setting from pg_settings where name = 'port'")
        client.run("notify told")
        client.run("commit")
        assert listener.read_until(b"A", within=30)[-1].body[4:].startswith(b"told\0")
        # Patroni has the replica come up to the last byte first.
        end = primary.value("select pg_current_wal_flush_lsn()")
        wait_until(lambda: replica.value(f"select pg_last_wal_replay_lsn() >= '{end}'") == "t",
                   "the replica has it")
        assert not waiting.done
        primary.stop()
        promote(replica)
        patroni.say(leader="node1")
        assert waiting.result(60) == str(replica.port)
        assert client.value("select port from seen", within=60) == str(primary.port)
        # The key goes when the new leader comes to it.
        patroni.say(switchover=None)
        assert client.value("show port") == str(replica.port)


@test(modes=("transaction",), targets=FOREBAY, params=SOURCES, within=60, heavy=True)
def a_switchover_that_does_not_come(lab: Lab, source: str) -> None:
    """It is called off: who waited goes on where it was. One that is for later holds nobody."""
    primary = lab.private_postgres()
    replica = lab.replica_of(primary)
    patroni = fake(lab, primary, replica)
    patroni.say(leader="node0")
    target = watched(lab, source, patroni, primary, replica)

    def ask(at: datetime) -> None:
        patroni.say(switchover={"leader": "node0", "scheduled_at": at.isoformat()})
    now = datetime.now(timezone.utc)
    with target.connect() as client:
        ask(now + timedelta(hours=1))
        wait_until(lambda: "a switchover from node0 was asked for" in target.log, "it is heard")
        assert client.value("show port") == str(primary.port)
        ask(now - timedelta(seconds=1))
        wait_until(lambda: "Patroni is to make another host" in target.log, "it is time")
        waiting = lab.in_background(lambda: client.value("show port", within=60))
        wait_until(lambda: waits(target), "somebody waits")
        patroni.say(switchover=None)
        assert waiting.result(60) == str(primary.port)
    assert "no longer the primary" not in target.log


@test(modes=("transaction",), targets=FOREBAY, params=SOURCES, within=60, heavy=True)
def noloadbalance_keeps_reads_away(lab: Lab, source: str) -> None:
    primary = lab.private_postgres()
    replica = lab.replica_of(primary)
    patroni = fake(lab, primary, replica)
    patroni.say(leader="node0")
    target = watched(lab, source, patroni, primary, replica, slow_start=0)

    def reads() -> str:
        return shown(target, "SHOW REPLICATION", replica)[7]
    wait_until(lambda: reads() == "yes", "it may be read from")
    patroni.members["node1"].tags = {"noloadbalance": True}
    patroni.say()
    wait_until(lambda: reads() == "no: it has Patroni's tag noloadbalance", "it may not")
    row = shown(target, "SHOW REPLICATION", replica)
    assert row[8] == "node1: replica, running, timeline 2, noloadbalance", row
    patroni.members["node1"].tags = {}
    patroni.say()
    wait_until(lambda: reads() == "yes", "it may again")


@test(modes=("transaction",), targets=FOREBAY, params=SOURCES, within=120, heavy=True)
def nothing_that_it_says_stops_writes(lab: Lab, source: str) -> None:
    """Lies, silence, a leader that is gone or another: the servers themselves say what they are."""
    primary = lab.private_postgres()
    replica = lab.replica_of(primary)
    patroni = fake(lab, primary, replica)
    patroni.say(leader="node0")
    target = watched(lab, source, patroni, primary, replica)
    wait_until(lambda: "node0: leader" in target.log, "it is heard")
    with target.connect() as client:
        for number, lie in enumerate((*LIES, "silence"), 1):
            patroni.say(lie=lie)
            wait_until(lambda: target.log.count("patroni_silent") == number, f"{lie}: refused")
            patroni.say(lie="")
            wait_until(lambda: target.log.count("patroni_answers") == number, f"{lie}: forgotten")
            assert client.value("select 1") == "1"
        for leader in (None, "node1", "node0"):
            asked = patroni.asked
            patroni.say(leader=leader)
            wait_until(lambda: patroni.asked > asked + 1, "it is heard")
            assert client.value("show port") == str(primary.port)
    assert "no longer the primary" not in target.log
    assert "fenced" not in target.log


@test(modes=("transaction",), targets=FOREBAY, within=60, heavy=True)
def a_reload_begins_and_ends_it(lab: Lab) -> None:
    primary = lab.private_postgres()
    replica = lab.replica_of(primary)
    patroni, other = fake(lab, primary, replica), fake(lab, primary, replica)
    other.members["node0"].name = "renamed"
    patroni.say(leader="node0")
    target = watched(lab, "rest", patroni, primary, replica)
    wait_until(lambda: shown(target, "SHOW REPLICATION", primary)[8].startswith("node0: leader"),
               "it is heard")
    text = target.toml_text()
    target.reload(text.replace(patroni.url, other.url))
    wait_until(lambda: shown(target, "SHOW REPLICATION", primary)[8].startswith("renamed: replica"),
               "the other one is heard")
    asked = patroni.asked
    target.reload("".join(line for line in text.splitlines(True)
                          if not line.startswith("patroni")))
    wait_until(lambda: shown(target, "SHOW REPLICATION", primary)[8] == "None", "nobody is")
    holds_for(lambda: patroni.asked == asked, 1.5, "the first one is not asked any more")
