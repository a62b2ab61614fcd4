"""A Patroni cluster of three PostgreSQL servers with one etcd, all on 127.0.0.1 and all without
rights: what people run Forebay in front of. With `relayed`, each node can be cut from all others."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Optional

from . import ports
from .cut_relay import CutRelay
from .lab import Lab
from .postgres import HBA, SETTINGS, Postgres, binaries, password_of
from .process import Child, LabError, give_to_postgres, run, wait_until

PROGRAMS = ("patroni", "etcd")
#: As quick as Patroni gets (its manual wants a ttl of 20): ttl >= loop_wait + 2 retry_timeout.
TIMES = {"ttl": 5, "loop_wait": 1, "retry_timeout": 2, "primary_start_timeout": 5}
ROLE = ("select case when pg_is_in_recovery() then 0 else "
        "('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int end")


def missing() -> str:
    """What is not installed; nothing when a cluster can be made."""
    return ", ".join(name for name in PROGRAMS if shutil.which(name) is None)


class Etcd:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.peer_port = ports.claim(), ports.claim()
        self.child: Optional[Child] = None
        folder.mkdir()
        give_to_postgres(folder)

    def start(self) -> None:
        client, peer = f"http://127.0.0.1:{self.port}", f"http://127.0.0.1:{self.peer_port}"
        self.child = Child("etcd", [
            "etcd", "--name", "e1", "--data-dir", str(self.folder / "data"), "--unsafe-no-fsync",
            "--logger", "zap", "--listen-client-urls", client, "--advertise-client-urls", client,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--initial-cluster", f"e1={peer}"], self.folder / "etcd.log", as_postgres=True)
        wait_until(lambda: asked(f"{client}/health")[0] == 200, "etcd is healthy", within=30)

    def stop(self) -> None:
        if self.child is not None:
            self.child.stop(signal.SIGKILL)
            self.child = None

    def remove(self) -> None:
        self.stop()
        ports.release(self.port)
        ports.release(self.peer_port)


def asked(url: str, body: Optional[dict[str, Any]] = None, method: str = "",
          within: float = 2.0) -> tuple[int, str]:
    """The status and the text; 0 when nobody answers."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"},
                                     method=method or None)
    try:
        with urllib.request.urlopen(request, timeout=within) as answer:
            return answer.status, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")
    except OSError:
        return 0, ""


class Node(Postgres):
    """A server that Patroni starts, stops and makes anew as it likes."""

    def __init__(self, name: str, folder: Path, cluster: "Cluster") -> None:
        super().__init__(folder, cluster.lab.certificates)
        self.name = name
        self.cluster = cluster
        self.rest_port = ports.claim()
        self.patroni: Optional[Child] = None
        self.patroni_log = folder / "patroni.log"
        self.relays: list[CutRelay] = []
        if cluster.relayed:
            self.relays = [CutRelay(a) for a in (("127.0.0.1", self.port),
                                                 ("127.0.0.1", self.rest_port),
                                                 ("127.0.0.1", cluster.etcd.port))]
        self._make_folder()

    # What others reach it by.

    def _outside(self, which: int, port: int) -> str:
        return f"127.0.0.1:{self.relays[which].address[1] if self.relays else port}"

    @property
    def address(self) -> tuple[str, int]:
        return self.relays[0].address if self.relays else ("127.0.0.1", self.port)

    def cut(self) -> None:
        for relay in self.relays:
            relay.cut()

    def heal(self) -> None:
        for relay in self.relays:
            relay.heal()

    def rest(self, path: str, body: Optional[dict[str, Any]] = None, method: str = "",
             within: float = 2.0) -> tuple[int, str]:
        return asked(f"http://127.0.0.1:{self.rest_port}/{path}", body, method, within)

    def is_(self, role: str) -> bool:
        return self.rest(role)[0] == 200

    # Its life.

    def adopt(self, template: Postgres) -> None:
        """The cluster begins with a copy: Patroni takes a data directory that is there."""
        self.copy_from(template)
        self._write("postgresql.auto.conf", "")

    def start(self) -> "Node":
        path = self.folder / "patroni.yml"
        path.write_text(json.dumps(self._configuration(), indent=1))    # JSON is YAML
        give_to_postgres(path)
        self.patroni_log.touch()
        give_to_postgres(self.patroni_log)
        # What it starts outlives it: told to end, it ends that too.
        self.patroni = Child("patroni", ["patroni", str(path)], self.patroni_log, as_postgres=True,
                             death_signal=signal.SIGTERM)
        return self

    def _configuration(self) -> dict[str, Any]:
        parameters = {**SETTINGS, "synchronous_commit": "on", "wal_keep_size": "128MB",
                      "wal_log_hints": "on", "full_page_writes": "on",      # for pg_rewind
                      "wal_retrieve_retry_interval": "200ms",
                      "ssl_cert_file": "server.crt", "ssl_key_file": "server.key",
                      "ssl_ca_file": "ca.crt"}
        del parameters["listen_addresses"]
        superuser = {"username": "postgres", "password": "not-asked"}
        return {
            "scope": "lab", "name": self.name,
            "restapi": {"listen": f"127.0.0.1:{self.rest_port}",
                        "connect_address": self._outside(1, self.rest_port)},
            # As proxies: else it asks etcd for its addresses, past the relay.
            "etcd3": {"hosts": [self._outside(2, self.cluster.etcd.port)], "use_proxies": True},
            "bootstrap": {"dcs": {**TIMES, "synchronous_mode": self.cluster.synchronous,
                                  "maximum_lag_on_failover": 1048576,
                                  "postgresql": {"use_pg_rewind": True, "parameters": parameters}}},
            "postgresql": {
                "listen": f"127.0.0.1:{self.port}", "connect_address": self._outside(0, self.port),
                "data_dir": str(self.data), "bin_dir": str(binaries()),
                "pgpass": str(self.folder / "pgpass"), "use_unix_socket": True,
                "parameters": {"unix_socket_directories": str(self.sockets)},
                "pg_hba": [line for line in HBA.splitlines() if line],
                "authentication": {
                    "superuser": superuser, "rewind": superuser,
                    "replication": {"username": "repl", "password": password_of("repl")}}}}

    def postmaster(self) -> Optional[int]:
        try:
            pid = int((self.data / "postmaster.pid").read_text().split()[0])
            # A server that was killed leaves its file, and the number is another's some day.
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError, IndexError):
            return None
        return pid if str(self.data).encode() in line else None

    def processes(self, patroni: bool = True) -> list[int]:
        """Patroni, the server and its children."""
        postmaster = self.postmaster()
        found = [] if postmaster is None else [postmaster]
        if patroni and self.patroni is not None and self.patroni.alive:
            found.insert(0, self.patroni.pid)
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                text = stat.read_text()
            except OSError:
                continue
            if postmaster is not None and int(text[text.rindex(")") + 2:].split()[1]) == postmaster:
                found.append(int(stat.parent.name))
        return found

    def signal_all(self, number: int, patroni: bool = True) -> None:
        for pid in self.processes(patroni):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def in_recovery(self) -> bool:
        """It says that it is a replica; not so while it cannot be asked."""
        try:
            return self.value("select pg_is_in_recovery()") == "t"
        except (OSError, AssertionError):
            return False

    def crash(self) -> None:
        self.signal_all(signal.SIGKILL)
        if self.patroni is not None:
            self.patroni.wait()
            self.patroni = None

    def promote(self) -> None:
        """Behind Patroni's back."""
        run([binaries() / "pg_ctl", "promote", "-D", self.data], as_postgres=True)

    def remove(self) -> None:
        if self.patroni is not None:
            self.patroni.stop(signal.SIGKILL)
        postmaster = self.postmaster()
        if postmaster is not None:
            self.signal_all(signal.SIGCONT)
            os.kill(postmaster, signal.SIGQUIT)
            try:
                wait_until(lambda: self.postmaster() is None, f"{self.name} ends")
            except LabError:
                self.signal_all(signal.SIGKILL)
        for relay in self.relays:
            relay.close()
        ports.release(self.rest_port)
        super().remove()


class Cluster:
    """Three nodes; closed with the test, whatever happens in it."""

    def __init__(self, lab: Lab, *, relayed: bool = False, synchronous: bool = True) -> None:
        self.lab, self.relayed, self.synchronous = lab, relayed, synchronous
        self.folder = lab.folder / "patroni"
        self.folder.mkdir()
        self.nodes: list[Node] = []
        lab.keep(self)
        self.etcd = Etcd(self.folder / "etcd")
        self.etcd.start()
        self.nodes += [Node(f"node{i}", self.folder / f"node{i}", self) for i in range(3)]
        self.nodes[0].adopt(Postgres(lab.site.folder / "template", lab.certificates))
        self.nodes[0].start()
        wait_until(lambda: self.nodes[0].is_("primary"), "there is a primary", within=60)
        for node in self.nodes[1:]:
            node.start()
        self.whole()

    def whole(self) -> None:
        """All nodes are there and follow the primary; one is synchronous if that is wanted."""
        def state() -> bool:
            primary = self.primary_now()
            if primary is None:
                return False
            return all(n is primary or n.is_("replica") for n in self.nodes) and all(
                count == "2" for count in primary.rows(
                    "select count(*) from pg_stat_replication where state = 'streaming'")[0]) and (
                not self.synchronous or any(n.is_("sync") for n in self.nodes))
        wait_until(state, "primary and two replicas", within=90, every=0.2)

    def primary_now(self) -> Optional[Node]:
        return next((node for node in self.nodes if node.is_("primary")), None)

    def primary(self) -> Node:
        return wait_until(self.primary_now, "Patroni has a primary", within=60)

    def standby(self) -> Node:
        """The one that takes over: the synchronous one where there is one."""
        role = "sync" if self.synchronous else "replica"
        return wait_until(lambda: next((n for n in self.nodes if n.is_(role)), None), "a standby")

    def sources(self, kinds: str) -> dict[str, Any]:
        """Keys of a database that listens to Patroni by "rest" or "etcd"."""
        keys: dict[str, Any] = {}
        if kinds == "rest":
            keys["patroni"] = [f"http://127.0.0.1:{node.rest_port}" for node in self.nodes]
        if kinds == "etcd":
            keys |= {"etcd": [f"http://127.0.0.1:{self.etcd.port}"], "etcd_scope": "lab"}
        return keys

    def configure(self, **changes: Any) -> None:
        status, text = self.primary().rest("config", changes, "PATCH")
        assert status == 200, text

    def switch_over(self) -> None:
        old, new = self.primary(), self.standby()
        status, text = old.rest("switchover", {"leader": old.name, "candidate": new.name},
                                within=60)
        if status != 200:
            raise LabError(f"switchover: {status} {text}")

    def close(self) -> None:
        for node in self.nodes:
            node.remove()
        self.etcd.remove()


class Promotion:
    """Looks from beside when a server becomes the primary on a newer timeline."""

    def __init__(self, cluster: Cluster) -> None:
        self.begun = time.monotonic()
        self.at: Optional[float] = None
        self.node: Optional[Node] = None
        self.timeline = int(cluster.primary().value(ROLE) or 0)
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._look, args=(node,), daemon=True)
                         for node in cluster.nodes]
        for thread in self._threads:
            thread.start()

    def _look(self, node: Node) -> None:
        while not self._stop.is_set():
            try:
                with node.admin() as client:
                    while not self._stop.wait(0.01):
                        if int(client.value(ROLE) or 0) > self.timeline and self.at is None:
                            self.at, self.node = time.monotonic(), node
                            self._stop.set()
            except (OSError, AssertionError):
                self._stop.wait(0.02)

    def wait(self) -> Node:
        return wait_until(lambda: self.node, "another primary is there", within=60)

    def end(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
