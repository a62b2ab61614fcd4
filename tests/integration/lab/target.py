"""What is tested: the proxy, another pooler, or PostgreSQL itself, behind one interface."""

from __future__ import annotations

import os
import signal
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Mapping, Optional

from .certificates import Certificates
from .postgres import Postgres, password_of
from .process import Child, LabError, wait_until
from .wire import Address, Client, Connection, tls_context


@dataclass
class Database:
    """One entry of the configuration's databases. Without hosts: the test's own cluster."""
    hosts: list[tuple[str, int]] = field(default_factory=list)
    dbname: str = ""
    user: str = ""
    password: str = ""
    options: dict[str, Any] = field(default_factory=dict)


@dataclass
class Settings:
    """How to set up the target. Values of time are in seconds, or in PgBouncer's words as text."""
    mode: str = "transaction"
    pool_size: int = 3
    round_robin: bool = True
    tls: bool = False                       # on both sides
    entry: str = "serve"                    # or "run": no configuration file
    auth: str = "scram-sha-256"             # how clients log in; "server": PostgreSQL decides
    users: Optional[dict[str, str]] = None  # name -> password, md5 hash or SCRAM verifier
    user_options: dict[str, dict[str, Any]] = field(default_factory=dict)   # by user, our words
    databases: Optional[dict[str, Database]] = None
    wildcard: bool = False                  # serve every other database too
    options: dict[str, Any] = field(default_factory=dict)       # keys by PgBouncer's words
    client_tls: dict[str, Any] = field(default_factory=dict)    # changes to [tls.client]
    server_tls: dict[str, Any] = field(default_factory=dict)    # changes to [tls.server]
    tenants: dict[str, Any] = field(default_factory=dict)       # [tenants], with "users" a table
    audit: dict[str, Any] = field(default_factory=dict)         # [audit]
    rules: list[dict[str, Any]] = field(default_factory=list)   # [[rules]]
    listen: list[str] = field(default_factory=list)             # more listeners
    arguments: list[str] = field(default_factory=list)          # more on the command line (run)
    open_files: Optional[int] = None        # the limit of descriptors
    servers: Optional[list[tuple[str, int]]] = None             # instead of the test's cluster

    def all_users(self) -> dict[str, str]:
        if self.users is not None:
            return self.users
        return {name: password_of(name) for name in ("app", "other", "repl")}

    def all_databases(self, default: list[tuple[str, int]]) -> dict[str, Database]:
        if self.databases is not None:
            return self.databases
        return {name: Database(default) for name in ("app", "other", "bench")}


class Target:
    """Something that listens for PostgreSQL clients."""

    kind = "target"

    def __init__(self, folder: Path, certificates: Certificates, postgres: Optional[Postgres],
                 settings: Settings) -> None:
        self.folder = folder
        self.certificates = certificates
        self.postgres = postgres
        self.settings = settings
        self.child: Optional[Child] = None
        self.host, self.port = "127.0.0.1", 0
        self.started = False

    def servers(self) -> list[tuple[str, int]]:
        if self.settings.servers is not None:
            return self.settings.servers
        assert self.postgres is not None
        return [self.postgres.address]

    def __enter__(self) -> "Target":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self.stop(check=kind is None)

    def start(self) -> "Target":
        if self.started:
            raise LabError(f"{self.kind} runs already")
        self._start()
        self.started = True
        return self

    def stop(self, check: bool = True) -> None:
        """Ends it, once; with `check`, it must have lived until now and must end well."""
        if self.started:
            self.started = False
            self._stop(check)

    def _start(self) -> None:
        raise NotImplementedError

    def _stop(self, check: bool) -> None:
        raise NotImplementedError

    @property
    def address(self) -> Address:
        return (self.host, self.port)

    @property
    def running(self) -> Child:
        if self.child is None:
            raise LabError(f"{self.kind} has not been started")
        return self.child

    @property
    def alive(self) -> bool:
        return self.child is None or self.child.alive

    @property
    def log(self) -> str:
        return self.child.output() if self.child else ""

    def tls(self) -> Optional[ssl.SSLContext]:
        return tls_context(self.certificates.ca) if self.settings.tls else None

    def connect(self, user: str = "app", database: str = "app", **more: Any) -> Client:
        """A logged-in wire client, over TLS when the target has it."""
        more.setdefault("password", password_of(user))
        more.setdefault("tls", self.tls())
        return Client(more.pop("address", self.address), user=user, database=database, **more)

    def open(self, within: float = 20.0) -> Connection:
        """A bare connection that has said nothing yet."""
        return Connection(self.address, within)

    def environment(self, user: str = "app", database: str = "app",
                    **more: str) -> Mapping[str, str]:
        """The environment for a program that uses libpq, or reads its variables."""
        result = {
            "PATH": os.environ["PATH"], "HOME": str(self.folder), "LC_ALL": "C.UTF-8",
            "PGHOST": self.host, "PGPORT": str(self.port), "PGUSER": user, "PGDATABASE": database,
            "PGPASSWORD": password_of(user), "PGCONNECT_TIMEOUT": "20",
            "PGSSLMODE": "verify-full" if self.settings.tls else "disable",
            "PGSSLROOTCERT": str(self.certificates.ca), "PGGSSENCMODE": "disable",
        }
        result.update(more)
        return result

    def check_healthy(self, user: str = "app", database: str = "app") -> None:
        """A new client is served, and the process lives."""
        if not self.alive:
            raise LabError(f"{self.kind} has ended; its log ends with:\n{self.log[-3000:]}")
        with self.connect(user, database) as client:
            if client.value("select 6 * 7") != "42":
                raise LabError("a healthy client was given a wrong answer")


class Direct(Target):
    """PostgreSQL without anything in front of it."""

    kind = "direct"

    def _start(self) -> None:
        self.host, self.port = self.servers()[0]

    def _stop(self, check: bool) -> None:
        pass


def seconds(value: Any) -> float:
    """"250ms", "2s", "1min", or a number of seconds."""
    if isinstance(value, (int, float)):
        return float(value)
    for unit, factor in (("ms", 0.001), ("min", 60.0), ("s", 1.0)):
        if value.endswith(unit):
            return float(value[:-len(unit)]) * factor
    raise ValueError(value)


def accepts(child: Child, address: Address) -> bool:
    """Whether a program listens by now; fails when it has ended instead."""
    if not child.alive:
        raise LabError(f"{child.name} ended at its start, exit code {child.process.returncode}:\n"
                       f"{child.output()[-3000:]}")
    try:
        with Connection(address, 5):
            return True
    except OSError:
        return False


def wait_for_listener(child: Child, address: Address) -> None:
    wait_until(lambda: accepts(child, address), f"{child.name} listens on {address}", within=20)


def end(child: Child, check: bool, number: int = signal.SIGTERM) -> Optional[int]:
    """Ends a target's process; with `check`, it must have been alive until now."""
    if not child.alive:
        code = child.wait()
        if check:
            raise LabError(f"{child.name} had ended, exit code {code}:\n{child.output()[-4000:]}")
        return None
    try:
        return child.stop(number, within=20)
    except LabError:
        if check:
            raise
        return None
