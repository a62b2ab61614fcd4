"""Coming from PgBouncer: what `forebay import` makes of a configuration is checked, and run."""

from __future__ import annotations

from pathlib import Path

from lab import ports
from lab.declare import FOREBAY, test
from lab.forebay import binary
from lab.lab import Lab
from lab.postgres import password_of
from lab.process import run
from lab.target import wait_for_listener
from lab.wire import Client

# The lines of PgBouncer's own sample that are not comments, but for its two paths outside of /etc.
SAMPLE = """[databases]
[users]
[pgbouncer]
listen_addr = localhost
listen_port = {port}
unix_socket_dir =
auth_type = {auth}
auth_file = {users}
"""


def imported(lab: Lab, text: str) -> Path:
    """The file of ours, of which `forebay check` has nothing to say."""
    ini, ours = lab.folder / "pgbouncer.ini", lab.folder / "forebay.toml"
    ini.write_text(text)
    done = run([binary(), "import", ini])
    assert " 0 unsupported" in done.err, done.err
    ours.write_text(done.out)
    ours.chmod(0o600)
    checked = run([binary(), "check", "-c", ours])
    assert "right" in checked.out + checked.err and "warning" not in checked.err, checked
    return ours


def users_file(lab: Lab, more: str = "") -> Path:
    path = lab.folder / "userlist.txt"
    path.write_text(f'"app" "{password_of("app")}"\n' + more)
    path.chmod(0o600)
    return path


@test(targets=FOREBAY, params=("md5", "scram-sha-256"))
def the_sample(lab: Lab, auth: str) -> None:
    """It has no databases: one line more, as its comments show it."""
    port = ports.claim()
    host, server = lab.postgres.address
    text = SAMPLE.format(port=port, auth=auth, users=users_file(lab)).replace(
        "[users]", f"* = host={host} port={server}\n[users]")
    child = lab.child("forebay", [binary(), "serve", "-c", imported(lab, text)])
    wait_for_listener(child, ("127.0.0.1", port))
    with Client(("127.0.0.1", port), user="app", database="app",
                password=password_of("app")) as client:
        assert client.value("select current_user || current_database()") == "appapp"
    code = child.stop()
    assert code == 0, (code, child.output()[-6000:])
    ports.release(port)


@test(targets=FOREBAY)
def a_large_one(lab: Lab) -> None:
    """1,000 databases and users, with sizes, modes and limits of their own."""
    port = ports.claim()
    host, server = lab.postgres.address
    databases = "".join(f"db{n} = host={host} port={server} dbname=app pool_size={n % 9 + 1} "
                        f"pool_mode={('session', 'transaction')[n % 2]} max_db_connections=20\n"
                        for n in range(1000))
    others = "".join(f'"user{n}" "secret{n}"\n' for n in range(1000))
    limits = "".join(f"user{n} = max_user_connections={n % 7 + 1}\n" for n in range(1000))
    text = (f"[databases]\n{databases}[users]\n{limits}[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {port}\nunix_socket_dir =\nauth_type = scram-sha-256\n"
            f"auth_file = {users_file(lab, others)}\nmax_client_conn = 500\n"
            "default_pool_size = 5\nserver_idle_timeout = 60\nadmin_users = app\n"
            "ignore_startup_parameters = extra_float_digits\n")
    child = lab.child("forebay", [binary(), "serve", "-c", imported(lab, text)])
    wait_for_listener(child, ("127.0.0.1", port))

    def ask(database: str, sql: str) -> str:
        with Client(("127.0.0.1", port), user="app", database=database,
                    password=password_of("app")) as client:
            return str(client.rows(sql))
    for number in (0, 1, 999):
        assert ask(f"db{number}", "select current_database()") == "[('app',)]"
    assert "db998" in ask("pgbouncer", "show databases")
    assert child.stop() == 0
    ports.release(port)
