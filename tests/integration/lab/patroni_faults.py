"""What is done to a Patroni cluster while clients work: see `tests/integration/failovers`."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from typing import Any, Callable

from .lab import Lab
from .patroni import Cluster, Node, Promotion
from .process import wait_until
from .target import Database


class Stage:
    """A fault runs on it, and gives the server that has the data afterwards."""

    def __init__(self, lab: Lab, fault: "Fault", sources: str = "",
                 monitor_interval: str = "100ms") -> None:
        self.cluster = Cluster(lab, relayed=fault.relayed, synchronous=fault.synchronous)
        self.primary = self.cluster.primary()
        if fault.failsafe:
            self.cluster.configure(failsafe_mode=True)
        self.primary.rows("create table written (client int, number int, "
                          "primary key (client, number))", "app")
        self.primary.rows("grant all on written to app", "app")
        options: dict[str, Any] = {"primary_lease": "2s", "admin_users": "app",
                                   "monitor_interval": monitor_interval}
        if fault.split:
            options |= {"split_reads": True, "max_replica_lag": "1s"}
        servers = [node.address for node in self.cluster.nodes]
        database = Database(servers, options=self.cluster.sources(sources))
        self.target = lab.target(servers=servers, databases={"app": database}, pool_size=4,
                                 options=options)
        with self.target.connect() as client:
            client.run("select 1")
        wait_until(lambda: "the primary, on timeline" in self.target.log, "it is known")
        wait_until(lambda: self.target.log.count("host_up: replica") >= 2, "replicas are known")
        self.load: Any = None           # what works meanwhile
        self.promotion = Promotion(self.cluster)

    def fenced(self) -> None:
        wait_until(lambda: "an older timeline" in self.target.log, "the old primary is fenced",
                   within=30)

    def promoted(self) -> Node:
        """Another server is the primary, and clients write there."""
        node = self.promotion.wait()
        self.load.goes_on()
        return node

    def returned(self) -> Node:
        """The old primary follows the new one, and clients still write."""
        self.cluster.whole()
        self.load.goes_on()
        return self.cluster.primary()

    def console(self, command: str) -> None:
        with self.target.connect(database="forebay", within=60) as console:
            console.run(command)

    def close(self) -> None:
        self.promotion.end()


def crash(stage: Stage) -> Node:
    stage.primary.crash()
    stage.promoted()
    stage.primary.start()
    return stage.returned()


def postmaster_dies(stage: Stage) -> Node:
    stage.primary.signal_all(signal.SIGKILL, patroni=False)
    stage.promoted()
    return stage.returned()


def switchover(stage: Stage) -> Node:
    stage.cluster.switch_over()
    stage.promoted()
    return stage.returned()


def paused_switchover(stage: Stage) -> Node:
    stage.console("PAUSE")
    stage.cluster.switch_over()
    stage.console("RESUME")
    stage.promoted()
    return stage.returned()


def hang(stage: Stage) -> Node:
    stage.primary.signal_all(signal.SIGSTOP)
    try:
        stage.promoted()
    finally:
        stage.primary.signal_all(signal.SIGCONT)
    stage.fenced()
    return stage.returned()


def partition(stage: Stage) -> Node:
    stage.primary.cut()
    try:
        stage.promoted()
    finally:
        stage.primary.heal()
    return stage.returned()


def replica_dies(stage: Stage) -> Node:
    stage.cluster.standby().crash()
    return stage.primary


def replay_paused(stage: Stage) -> Node:
    for node in stage.cluster.nodes:
        if node is not stage.primary:
            node.value("select pg_wal_replay_pause()")
    stage.load.goes_on()
    for node in stage.cluster.nodes:
        if node is not stage.primary:
            node.value("select pg_wal_replay_resume()")
    return stage.primary


def etcd_lost(stage: Stage) -> Node:
    """Patroni makes a healthy primary a replica when it cannot renew its key."""
    stage.cluster.etcd.stop()
    wait_until(lambda: not stage.primary.is_("primary"), "Patroni has given up", within=30)
    wait_until(stage.primary.in_recovery, "it is a replica", within=30)
    stage.cluster.etcd.start()
    stage.promoted()
    return stage.returned()


def etcd_lost_failsafe(stage: Stage) -> Node:
    stage.cluster.etcd.stop()
    stage.load.goes_on()
    wait_until(lambda: "failsafe" in stage.primary.patroni_log.read_text(), "failsafe mode")
    stage.load.goes_on()
    stage.cluster.etcd.start()
    return stage.returned()


def rolling_restart(stage: Stage) -> Node:
    """All of them, one after another, the primary last and where it is."""
    for node in sorted(stage.cluster.nodes, key=lambda n: n is stage.primary):
        status, text = node.rest("restart", {}, within=60)
        assert status == 200, text
        stage.returned()
    return stage.primary


def chain(stage: Stage) -> Node:
    """Each of them was the primary once, and the first is it again."""
    for _ in range(3):
        stage.cluster.switch_over()
        stage.returned()
    return stage.cluster.primary()


def rogue(stage: Stage) -> Node:
    """Somebody promotes a replica by hand. Patroni makes a replica of it again, which is stuck
    where it is: pg_rewind finds nothing to do before the next checkpoint."""
    other = next(n for n in stage.cluster.nodes if n.is_("replica") and not n.is_("sync"))
    other.promote()
    stage.promotion.wait()
    wait_until(other.in_recovery, "it is a replica again", within=60)
    wait_until(lambda: "timeline_set_back" in stage.target.log, "its timeline is given up",
               within=60)
    stage.load.goes_on()
    return stage.cluster.primary()


@dataclass
class Fault:
    run: Callable[[Stage], Node]
    words: str
    relayed: bool = False       # each node can be cut from all others
    split: bool = False         # reads are the replicas', and long unless they are read back
    cuts_rows: bool = False     # a client that has half a row cannot be told: it is let go
    failsafe: bool = False
    synchronous: bool = True
    loses: bool = False         # PostgreSQL loses what it had acknowledged
    reads_back: bool = False    # clients look for what they have written


FAULTS = {
    "switchover": Fault(switchover, "switchover"),
    "paused": Fault(paused_switchover, "PAUSE, switchover, RESUME"),
    "crash": Fault(crash, "kill -9 of all, it comes back"),
    "postmaster": Fault(postmaster_dies, "kill -9 of PostgreSQL alone"),
    "hang": Fault(hang, "SIGSTOP of all, SIGCONT"),
    "partition": Fault(partition, "cut from everybody, healed", relayed=True),
    "replay-paused": Fault(replay_paused, "reads split, replay paused", split=True),
    "mid-result": Fault(replica_dies, "reads split, kill -9 of a replica", split=True,
                        cuts_rows=True),
    "read-back": Fault(switchover, "reads split, switchover", split=True, reads_back=True),
    "crash-read-back": Fault(crash, "reads split, kill -9 of all", split=True, reads_back=True),
    "etcd": Fault(etcd_lost, "etcd lost and back"),
    "failsafe": Fault(etcd_lost_failsafe, "etcd lost and back, failsafe_mode", failsafe=True),
    "restarts": Fault(rolling_restart, "each restarted, one after another"),
    "chain": Fault(chain, "three switchovers in a row"),
    "rogue": Fault(rogue, "a replica promoted by hand", loses=True),
    "async-crash": Fault(crash, "kill -9 of all, asynchronous", synchronous=False, loses=True),
    "async-hang": Fault(hang, "SIGSTOP, SIGCONT, asynchronous", synchronous=False, loses=True),
}
