"""The proxy itself: its configuration file, its command line, its end."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import Any, Optional

from . import ports
from .postgres import password_of
from .process import PATIENCE, Child, LabError
from .target import Database, Target, end, wait_for_listener

# Which table of the TOML file a key of `Settings.options` stands in: [pool] unless it is here.
FOREBAY_KEYS = {
    "unix_socket_mode", "workers", "max_client_conn", "max_address_client_connections",
    "client_login_timeout", "shutdown_timeout",
    "cleartext_without_tls", "passwordless_from_anywhere", "scram_iterations", "http",
    "admin_users", "stats_users", "max_logins_per_second", "max_address_logins_per_second",
    "max_authenticating_clients", "allow_from", "deny_from",
    "listen_allow_from", "listen_deny_from", "listen_target", "proxy_protocol_from",
    "auth_user", "auth_query", "auth_dbname", "auth_query_ttl",
    "http_token_file", "statement_statistics", "peers", "peer_id", "pgbouncer_metrics", "statement_metrics",
}
LOG_KEYS = {"log_level": "level", "log_format": "format", "log_connections": "connections",
            "log_event_rate": "event_rate", "log_file": "file",
            "slow_query_log": "slow_query_log", "slow_query_text": "slow_query_text",
            "slow_query_explains_per_minute": "slow_query_explains_per_minute"}
# Threads of the program. More than there are cores, and they are interrupted in all places.
WORKERS = int(os.environ.get("FOREBAY_WORKERS", "2"))
NOT_OURS = {"server_login_retry"}           # PgBouncer's only

REPORTS = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:|"
                     r"LeakSanitizer|[Aa]ssertion .* failed|terminate called")


def binary() -> Path:
    path = os.environ.get("FOREBAY_BIN", "")
    if not path:
        raise LabError("set FOREBAY_BIN to the program under test")
    if not os.access(path, os.X_OK):
        raise LabError(f"FOREBAY_BIN is not a program: {path}")
    return Path(path)


_sanitized: Optional[bool] = None


def sanitized() -> bool:
    """Whether the program was built with a sanitizer: it is then slower, and larger."""
    global _sanitized
    if _sanitized is None:
        data = binary().read_bytes() if os.environ.get("FOREBAY_BIN") else b""
        _sanitized = b"__asan_init" in data or b"__tsan_init" in data
    return _sanitized


def toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{toml(k)} = {toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(toml(v) for v in value) + "]"
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c >= " " else f"\\u{ord(c):04x}" for c in text) + '"'


def table(name: str, values: dict[str, Any]) -> str:
    lines = [f"[{name}]"] + [f"{key} = {toml(value)}" for key, value in values.items()]
    return "\n".join(lines) + "\n"


def sanitizer_options() -> dict[str, str]:
    """How a sanitized build reports what it finds: by an exit code of its own."""
    suppressions = Path(__file__).with_name("tsan.supp")
    return {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=99",
            "UBSAN_OPTIONS": "print_stacktrace=1:exitcode=99",
            "TSAN_OPTIONS": "exitcode=99:halt_on_error=0:second_deadlock_stack=1:"
                            f"suppressions={suppressions}"}


class Forebay(Target):
    kind = "forebay"

    def _start(self) -> None:
        self.port = ports.claim()
        argv = self._run_command() if self.settings.entry == "run" else self._serve_command()
        env = {**os.environ, **sanitizer_options()}
        self.child = Child("forebay", argv, self.folder / "forebay.log", env=env,
                           open_files=self.settings.open_files)
        wait_for_listener(self.child, self.address)
        for path in self.settings.listen:
            if path.startswith("/") and not Path(path).is_dir():
                wait_for_listener(self.child, path)

    def _stop(self, check: bool) -> None:
        """Ends it the quick way (SIGTERM twice) and looks at what it leaves behind."""
        child = self.running
        code: Optional[int] = None
        if child.alive:
            child.send_signal(signal.SIGTERM)
            try:
                code = child.wait(within=1 / PATIENCE)
            except LabError:
                code = end(child, check, signal.SIGTERM)
        elif check:
            end(child, check)
        ports.release(self.port)
        if check:
            self.check_ended_well(code)

    def check_ended_well(self, code: Optional[int]) -> None:
        """The exit code is 0, and nothing in the output is a sanitizer's or assertion's report."""
        found = REPORTS.search(self.log)
        if found:
            raise LabError(f"the proxy's output holds a report:\n{self.log[found.start():][:6000]}")
        if code != 0:
            raise LabError(f"the proxy's exit code is {code}; its log ends with:\n"
                           f"{self.log[-3000:]}")

    def reload(self, toml_text: str) -> None:
        (self.folder / "forebay.toml").write_text(toml_text)
        self.running.send_signal(signal.SIGHUP)

    # The command line.

    def _run_command(self) -> list[str]:
        settings = self.settings
        argv = [str(binary()), "run"]
        for host, port in self.servers():
            socket = host.startswith("/")
            argv += ["--to", f"{host}:{port}" if socket else f"postgresql://{host}:{port}"]
        argv += ["--listen", f"{self.host}:{self.port}", "--pool-mode", settings.mode,
                 "--pool-size", str(settings.pool_size), "--workers", str(WORKERS)]
        if settings.round_robin:
            argv.append("--server-round-robin")
        if settings.tls:
            argv += ["--tls-cert", str(self.certificates.certificate),
                     "--tls-key", str(self.certificates.key)]
        return argv + settings.arguments

    def _serve_command(self) -> list[str]:
        path = self.folder / "forebay.toml"
        path.write_text(self.toml_text())
        return [str(binary()), "serve", "-c", str(path)]

    def toml_text(self) -> str:
        """The configuration file for these settings."""
        settings = self.settings
        top: dict[str, Any] = {"listen": [f"{self.host}:{self.port}", *settings.listen],
                               "workers": WORKERS, "auth": settings.auth}
        pool: dict[str, Any] = {"pool_mode": settings.mode,
                                "default_pool_size": settings.pool_size,
                                "server_round_robin": settings.round_robin}
        log: dict[str, Any] = {}
        for key, value in settings.options.items():
            if key in LOG_KEYS:
                log[LOG_KEYS[key]] = value
            elif key not in NOT_OURS:
                (top if key in FOREBAY_KEYS else pool)[key] = value
        text = table("forebay", top) + table("log", log) + table("pool", pool)
        client: dict[str, Any] = {"mode": "disable"}
        server: dict[str, Any] = {"mode": "disable"}
        if settings.tls:
            client = {"mode": "require", "certificate_file": self.certificates.certificate,
                      "key_file": self.certificates.key}
            server = {"mode": "verify-full", "ca_file": self.certificates.ca}
        text += table("tls.client", {**client, **settings.client_tls})
        text += table("tls.server", {**server, **settings.server_tls})
        if settings.tenants:
            users = settings.tenants.get("users", {})
            text += table("tenants", {k: v for k, v in settings.tenants.items() if k != "users"})
            text += table("tenants.users", {toml(name): tenant for name, tenant in users.items()})
        if settings.audit:
            text += table("audit", settings.audit)
        for name, database in settings.all_databases(self.servers()).items():
            text += self._database(name, database)
        if settings.wildcard:
            text += self._database("*", Database())
        for name, secret in settings.all_users().items():
            text += table(f"users.{toml(name)}",
                          {"password": secret, **settings.user_options.get(name, {})})
        for rule in settings.rules:
            text += "[" + table("rules", rule).replace("]\n", "]]\n", 1)
        return text

    def _database(self, name: str, database: Database) -> str:
        hosts = database.hosts or self.servers()
        values: dict[str, Any] = {"hosts": [f"{host}:{port}" for host, port in hosts]}
        if database.dbname:
            values["dbname"] = database.dbname
        if database.user:
            values["user"] = database.user
            values["password"] = database.password or password_of(database.user)
        return table(f"databases.{toml(name)}", {**values, **database.options})
