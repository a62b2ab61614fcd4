"""What a test is given: its folder, its cluster, its target, and helpers which clean up."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Iterator, Optional, TypeVar

from .certificates import Certificates
from .declare import Variant
from .forebay import Forebay, sanitized
from .pgbouncer import PgBouncer
from .postgres import Postgres
from .process import PATIENCE, Child, Deadline, LabError
from .target import Direct, Settings, Target

T = TypeVar("T")

KINDS: dict[str, type[Target]] = {"direct": Direct, "pgbouncer": PgBouncer, "forebay": Forebay}


class Site:
    """What the tests of one worker share: certificates, a template, one running cluster."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder = folder
        self.kind = kind
        self.certificates = Certificates(folder / "certificates")
        self._postgres: Optional[Postgres] = None

    def prepare(self) -> None:
        """Once in a run, before the workers start."""
        self.certificates.make()
        Postgres(self.folder / "template", self.certificates).make_template()

    @property
    def postgres(self) -> Postgres:
        if self._postgres is None:
            self._postgres = self.new_postgres(self.folder / f"shared-{os.getpid()}").start()
        return self._postgres

    @property
    def has_postgres(self) -> bool:
        return self._postgres is not None

    def new_postgres(self, folder: Path, **settings: str) -> Postgres:
        template = Postgres(self.folder / "template", self.certificates)
        return Postgres(folder, self.certificates, **settings).copy_from(template)

    def clean(self) -> None:
        """After a test: what it left in the shared cluster goes."""
        if self._postgres is None:
            return
        with self._postgres.admin() as admin:
            admin.run("select pg_terminate_backend(pid) from pg_stat_activity "
                      "where backend_type in ('client backend', 'walsender') "
                      "and pid <> pg_backend_pid()")
            for (slot,) in admin.rows("select slot_name from pg_replication_slots where not active"):
                admin.run(f"select pg_drop_replication_slot('{slot}')")
            for (drop,) in admin.rows("select format('drop role %I', rolname) from pg_roles "
                                      "where rolname like 'tmp%'"):
                admin.run(str(drop))
        with self._postgres.admin("app") as admin:
            if admin.value("select count(*) from pg_class c join pg_namespace n on n.oid = "
                           "relnamespace where nspname = 'public'") != "0":
                admin.run("drop schema public cascade")
                admin.run("create schema public authorization app")

    def close(self) -> None:
        if self._postgres is not None:
            self._postgres.remove()
            self._postgres = None


class Lab:
    """The laboratory of one test."""

    def __init__(self, site: Site, variant: Variant, folder: Path) -> None:
        self.site = site
        self.variant = variant
        self.folder = folder
        self.certificates = site.certificates
        self.kind = site.kind
        self._targets: list[Target] = []
        self._private: list[Postgres] = []
        self._connections: list[Any] = []

    # Servers and targets.

    @property
    def postgres(self) -> Postgres:
        """A running cluster which other tests use too, one after the other."""
        return self.site.postgres

    def private_postgres(self, **settings: str) -> Postgres:
        """A running cluster of the test's own: to stop, to reconfigure."""
        folder = self.folder / f"postgres-{len(self._private)}"
        postgres = self.site.new_postgres(folder, **settings)
        self._private.append(postgres)
        return postgres.start()

    def replica_of(self, primary: Postgres) -> Postgres:
        replica = Postgres(self.folder / f"postgres-{len(self._private)}", self.certificates)
        self._private.append(replica)
        return replica.copy_running(primary).start()

    def foreign_postgres(self) -> Postgres:
        """A running cluster with another system identifier than all others."""
        postgres = Postgres(self.folder / f"postgres-{len(self._private)}", self.certificates)
        self._private.append(postgres)
        postgres.make_template()
        return postgres.start()

    def target(self, postgres: Optional[Postgres] = None, **settings: Any) -> Target:
        """Starts what is tested, in the test's variant; it is ended and looked at afterwards."""
        return self._start(KINDS[self.kind], postgres, settings)

    def direct(self, postgres: Optional[Postgres] = None, **settings: Any) -> Target:
        return self._start(Direct, postgres, settings)

    def _start(self, kind: type[Target], postgres: Optional[Postgres],
               settings: dict[str, Any]) -> Target:
        chosen = replace(Settings(mode=self.variant.mode, tls=self.variant.tls,
                                  entry=self.variant.entry), **settings)
        folder = self.folder / f"target-{len(self._targets)}"
        folder.mkdir()
        server = postgres
        if server is None and chosen.servers is None:
            server = self.postgres
        target = kind(folder, self.certificates, server, chosen)
        self._targets.append(target)
        target.start()
        return target

    @property
    def sanitized(self) -> bool:
        """A sanitized build: measures of memory and speed mean nothing, streams are shorter."""
        return self.kind == "forebay" and sanitized()

    # Working in parallel.

    def keep(self, connection: T) -> T:
        """Closes a connection at the end of the test, whatever happens."""
        self._connections.append(connection)
        return connection

    def in_background(self, work: Callable[[], T]) -> "Background[T]":
        return Background(work)

    def in_parallel(self, count: int, work: Callable[[int], T], within: float = 60.0) -> list[T]:
        """work(0) ... work(count - 1) in threads at the same time; gives all results."""
        threads = [Background(lambda i=i: work(i)) for i in range(count)]   # type: ignore[misc]
        deadline = Deadline(within)
        return [thread.result(deadline.remaining() / PATIENCE) for thread in threads]

    @contextmanager
    def while_running(self, work: Callable[[threading.Event], T]) -> Iterator["Background[T]"]:
        """`work(stop)` runs in a thread during the block; then `stop` is set and it must end."""
        stop = threading.Event()
        thread = Background(lambda: work(stop))
        try:
            yield thread
        finally:
            stop.set()
        thread.result(30)

    # The end.

    def check_target(self) -> None:
        """After a test that passed: the target lived until it was told to end, and ended well."""
        for target in self._targets:
            target.stop(check=True)
        self._targets.clear()

    def clean(self) -> None:
        for connection in self._connections:
            connection.close()
        for target in self._targets:
            target.stop(check=False)
        for postgres in self._private:
            postgres.remove()

    def logs(self) -> Iterator[tuple[str, str]]:
        for number, target in enumerate(self._targets):
            if target.child is not None:
                yield f"{target.kind}-{number}", target.log
        for number, postgres in enumerate(self._private):
            if postgres.log.exists():
                yield f"postgres-{number}", postgres.log.read_text(errors="replace")

    def child(self, name: str, argv: list[Any], **more: Any) -> Child:
        """A program beside the test, with its output in the test's folder."""
        return Child(name, [str(a) for a in argv], self.folder / f"{name}.log", **more)


class Background:
    """A thread whose result, or exception, somebody asks for."""

    def __class_getitem__(cls, _: Any) -> type:
        return cls

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work = work
        self._value: Any = None
        self._error: Optional[BaseException] = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._value = self._work()
        except BaseException as error:      # pylint: disable=broad-except
            self._error = error

    @property
    def done(self) -> bool:
        return not self._thread.is_alive()

    def result(self, within: float = 30.0) -> Any:
        self._thread.join(within * PATIENCE)
        if self._thread.is_alive():
            raise LabError(f"a background task did not end within {within * PATIENCE:.0f} s")
        if self._error is not None:
            raise self._error
        return self._value
