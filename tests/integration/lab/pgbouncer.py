"""PgBouncer, set up like the proxy: to develop the tests with, and to compare."""

from __future__ import annotations

import os
import signal
from typing import Any

from . import ports
from .postgres import password_of
from .process import Child, give_to_postgres
from .target import Target, end, seconds, wait_for_listener

TIMES = {"query_wait_timeout", "server_idle_timeout", "server_lifetime", "server_connect_timeout",
         "client_login_timeout", "server_login_retry", "server_check_delay"}
NUMBERS = {"max_client_conn", "max_db_connections", "max_user_connections", "min_pool_size",
           "default_pool_size"}


class PgBouncer(Target):
    kind = "pgbouncer"

    def _start(self) -> None:
        self.port = ports.claim()
        users = self.folder / "users.txt"
        users.write_text("".join(f'"{name}" "{secret}"\n'
                                 for name, secret in self.settings.all_users().items()))
        ini = self.folder / "pgbouncer.ini"
        ini.write_text(self._ini(str(users)))
        for path in (self.folder, users, ini):
            give_to_postgres(path)
        self.child = Child("pgbouncer", ["/usr/sbin/pgbouncer", str(ini)],
                           self.folder / "pgbouncer.log", as_postgres=True,
                           open_files=self.settings.open_files)
        wait_for_listener(self.child, self.address)

    def _stop(self, check: bool) -> None:
        end(self.running, check, signal.SIGTERM)        # at once, in PgBouncer 1.18
        ports.release(self.port)

    def _ini(self, users: str) -> str:
        settings = self.settings
        lines = ["[databases]"]
        for name, database in settings.all_databases(self.servers()).items():
            hosts = database.hosts or self.servers()
            parts = [f"host={','.join(h for h, _ in hosts)}", f"port={hosts[0][1]}",
                     f"dbname={database.dbname or name}"]
            if database.user:
                password = database.password or password_of(database.user)
                parts += [f"user={database.user}", f"password='{password}'"]
            lines.append(f"{name} = {' '.join(parts)}")
        if settings.wildcard:
            host, port = self.servers()[0]
            lines.append(f"* = host={host} port={port}")
        values: dict[str, Any] = {
            "listen_addr": "127.0.0.1", "listen_port": self.port, "unix_socket_dir": self.folder,
            "auth_type": settings.auth, "auth_file": users, "pool_mode": settings.mode,
            "default_pool_size": settings.pool_size, "max_client_conn": 5000,
            "server_round_robin": int(settings.round_robin), "server_login_retry": 1,
            "ignore_startup_parameters": "extra_float_digits", "admin_users": "postgres",
        }
        if settings.tls:
            values.update(client_tls_sslmode="require", server_tls_sslmode="verify-full",
                          client_tls_cert_file=self.certificates.certificate,
                          client_tls_key_file=self._readable_key(),
                          server_tls_ca_file=self.certificates.ca)
        for key, value in settings.options.items():
            if key in TIMES:
                values[key] = max(1, round(seconds(value)))
            elif key in NUMBERS:
                values[key] = value
        return "\n".join(lines + ["[pgbouncer]"] + [f"{k} = {v}" for k, v in values.items()]) + "\n"

    def _readable_key(self) -> str:
        copy = self.folder / "server.key"
        copy.write_bytes(self.certificates.key.read_bytes())
        os.chmod(copy, 0o600)
        give_to_postgres(copy)
        return str(copy)
