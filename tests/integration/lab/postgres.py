"""Temporary PostgreSQL clusters: never as root, never in the system's folders, fast and forgetful."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path
from typing import Optional

from . import ports
from .certificates import Certificates
from .process import Child, LabError, give_to_postgres, run, wait_until
from .wire import Client

# Every role's password is its name and this.
PASSWORD_SUFFIX = "-secret"

SETTINGS = {
    "listen_addresses": "127.0.0.1,::1",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "max_wal_size": "2GB",
    "wal_level": "logical",
    "max_wal_senders": "10",
    "max_replication_slots": "10",
    "autovacuum": "off",
    "ssl": "on",
    "password_encryption": "scram-sha-256",
    "log_connections": "on",
    "log_disconnections": "on",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "max_prepared_transactions": "10",
}

# Who may come in, and how: the role decides the method. `postgres` is the laboratory's own.
HBA = """
local   all,replication postgres,trusted                trust
local   all             all                             scram-sha-256
host    all             postgres        samehost        trust
host    all             trusted         samehost        trust
host    all             md5user         samehost        md5
host    all             clearuser       samehost        password
hostssl all             machine         samehost        cert
host    all             machine         samehost        reject
host    all             rejected        samehost        reject
hostssl all             tlsuser         samehost        scram-sha-256
host    replication     repl            samehost        scram-sha-256
host    all             all             samehost        scram-sha-256
"""

ROLES = """
create role app login password 'app-secret';
create role other login password 'other-secret';
create role tlsuser login password 'tlsuser-secret';
create role trusted login;
create role clearuser login password 'clearuser-secret';
create role certuser login password 'certuser-secret';
create role machine login;
create role rejected login password 'rejected-secret';
create role expired login password 'expired-secret' valid until '2020-01-01';
create role nologin password 'nologin-secret';
create role repl login replication password 'repl-secret';
create role limited login password 'limited-secret' connection limit 1;
set password_encryption = 'md5';
create role md5user login password 'md5user-secret';
"""


def binaries() -> Path:
    """The folder of PostgreSQL's programs (Debian keeps initdb and postgres out of PATH)."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"),
                   key=lambda p: float(p.parts[-3]))
    if found:
        return found[-1].parent
    path = shutil.which("initdb")
    if path is None:
        raise LabError("PostgreSQL's server programs are not installed")
    return Path(path).parent


def password_of(user: str) -> str:
    return user + PASSWORD_SUFFIX


class Postgres:
    """One cluster in `folder`. Roles and databases come with the template it is copied from."""

    def __init__(self, folder: Path, certificates: Certificates, **settings: str) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.sockets = folder
        self.log = folder / "postgres.log"
        self.certificates = certificates
        self.settings = {**SETTINGS, **settings}
        self.port = ports.claim()
        self.child: Optional[Child] = None
        self._databases = 0

    # Making one.

    def make_template(self) -> None:
        """initdb, roles, databases; about two seconds, once in a run."""
        self._make_folder()
        run([binaries() / "initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
             "--locale", "C.UTF-8", "--no-sync"], as_postgres=True)
        self.configure()
        self.start()
        with self.admin() as admin:
            for statement in ROLES.strip().split(";\n"):
                admin.run(statement.rstrip(";"))
            admin.run("create database app owner app")
            admin.run("create database other owner other")
            admin.run("create database bench owner app")
        run(["pgbench", "-i", "-s", "1", "-q", "-h", self.sockets, "-p", self.port, "-U", "app",
             "bench"], env={**os.environ, "PGPASSWORD": password_of("app")})
        self.stop()

    def copy_from(self, template: "Postgres") -> "Postgres":
        self._make_folder()
        run(["cp", "-a", "--reflink=auto", template.data, self.data])
        self.configure()
        return self

    def copy_running(self, primary: "Postgres") -> "Postgres":
        """A streaming replica of a running cluster."""
        self._make_folder()
        run([binaries() / "pg_basebackup", "-h", primary.sockets, "-p", primary.port, "-U",
             "postgres", "-D", self.data, "-X", "stream", "-c", "fast", "--no-sync"],
            as_postgres=True)
        self.settings["primary_conninfo"] = (
            f"host={primary.sockets} port={primary.port} user=postgres")
        self.configure()
        signal_file = self.data / "standby.signal"
        signal_file.touch()
        give_to_postgres(signal_file)
        return self

    def _make_folder(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        give_to_postgres(self.folder)
        self.folder.chmod(0o755)

    def configure(self, hba: Optional[str] = None, **settings: str) -> None:
        """Writes the settings; a running server takes them by `reload` or `restart`."""
        self.settings.update(settings)
        for source, name in ((self.certificates.certificate, "server.crt"),
                             (self.certificates.key, "server.key"), (self.certificates.ca, "ca.crt")):
            shutil.copyfile(source, self.data / name)
            give_to_postgres(self.data / name)
            (self.data / name).chmod(0o600)
        lines = [f"{key} = '{value}'" for key, value in {
            "port": str(self.port), "unix_socket_directories": str(self.sockets),
            "ssl_cert_file": "server.crt", "ssl_key_file": "server.key", "ssl_ca_file": "ca.crt",
            **self.settings}.items()]
        self._write("postgresql.auto.conf", "\n".join(lines) + "\n")
        self._write("pg_hba.conf", HBA if hba is None else hba)

    def _write(self, name: str, text: str) -> None:
        (self.data / name).write_text(text)
        give_to_postgres(self.data / name)

    # Running it.

    def start(self) -> "Postgres":
        self.log.touch()
        give_to_postgres(self.log)
        self.child = Child("postgres", [str(binaries() / "postgres"), "-D", str(self.data)],
                           self.log, as_postgres=True, death_signal=signal.SIGQUIT)
        wait_until(self._ready, f"PostgreSQL is ready (see {self.log})", within=60)
        return self

    def _ready(self) -> bool:
        assert self.child is not None
        if not self.child.alive:
            raise LabError("PostgreSQL ended: " + self.child.output()[-2000:])
        try:
            with self.admin():
                return True
        except (OSError, AssertionError):
            return False

    def stop(self, mode: str = "fast") -> None:
        """`smart`, `fast` or `immediate`, as in pg_ctl."""
        number = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode]
        if self.child is not None:
            self.child.stop(number, within=30)
            self.child = None

    def restart(self, mode: str = "fast") -> None:
        self.stop(mode)
        self.start()

    def reload(self) -> None:
        assert self.child is not None
        self.child.send_signal(signal.SIGHUP)

    def remove(self) -> None:
        self.stop("immediate")
        ports.release(self.port)
        shutil.rmtree(self.folder, ignore_errors=True)

    # Talking to it.

    @property
    def address(self) -> tuple[str, int]:
        return ("127.0.0.1", self.port)

    @property
    def socket_path(self) -> str:
        return str(self.sockets / f".s.PGSQL.{self.port}")

    def admin(self, database: str = "postgres") -> Client:
        """A superuser's connection, through the Unix socket."""
        return Client(self.socket_path, user="postgres", database=database)

    def rows(self, sql: str, database: str = "postgres") -> list[tuple[Optional[str], ...]]:
        with self.admin(database) as admin:
            return admin.rows(sql)

    def value(self, sql: str, database: str = "postgres") -> Optional[str]:
        return self.rows(sql, database)[0][0]

    def new_database(self, owner: str = "app") -> str:
        """An empty database of its own for a test that leaves things behind."""
        self._databases += 1
        name = f"{owner}_{self._databases}"
        self.rows(f"create database {name} owner {owner}")
        return name

    def sessions(self, database: str) -> list[tuple[Optional[str], ...]]:
        """(pid, state, query) of the server connections to a database."""
        return self.rows("select pid, state, query from pg_stat_activity where datname = "
                         f"'{database}' and backend_type in ('client backend', 'walsender')")
