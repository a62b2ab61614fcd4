"""One process takes the place of another: nobody is refused, nothing fails."""

from __future__ import annotations

import os
import signal
import stat
import sys
import textwrap
import urllib.request
from pathlib import Path

from lab import messages as m
from lab import ports
from lab.declare import FOREBAY, test
from lab.forebay import binary, sanitizer_options
from lab.lab import Lab
from lab.postgres import password_of
from lab.process import Child, run, wait_until
from lab.target import wait_for_listener
from lab.wire import Client, Connection


class Place:
    """Where they serve, each in turn: over TCP, a Unix socket, and HTTP."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.port, self.http = ports.claim(), ports.claim()
        self.folder = lab.folder / "sockets"
        self.folder.mkdir()
        self.folder.chmod(0o755)
        self.count = 0

    def file(self, more: str = "", shutdown_timeout: str = "1s") -> Path:
        host, server = self.lab.postgres.address
        path = self.lab.folder / f"forebay{self.count}.toml"
        path.write_text(f'''
            [forebay]
            listen = ["127.0.0.1:{self.port}", "{self.folder}/.s.PGSQL.{self.port}"{more}]
            http = "127.0.0.1:{self.http}"
            auth = "server"
            shutdown_timeout = "{shutdown_timeout}"
            takeover_socket = "{self.folder}/takeover"
            [databases."*"]
            hosts = ["{host}:{server}"]
            ''')
        return path

    def start(self, *options: str, **settings: str) -> Child:
        self.count += 1
        return self.lab.child(f"forebay{self.count}",
                              [binary(), "serve", "-c", self.file(**settings), *options],
                              env={**os.environ, **sanitizer_options()})

    def environment(self, host: str) -> dict[str, str]:
        return {**os.environ, "PGHOST": host, "PGPORT": str(self.port), "PGUSER": "app",
                "PGDATABASE": "app", "PGPASSWORD": password_of("app")}

    def load(self, host: str) -> Child:
        script = self.lab.folder / "one.sql"
        script.write_text("select 1;\n")
        return self.lab.child(f"load{host.replace('/', '-')}",
                              ["pgbench", "-n", "-C", "-c", "2", "-T", "600", "-P", "1", "-f",
                               script], env=self.environment(host))


@test(targets=FOREBAY)
def nobody_is_refused(lab: Lab) -> None:
    """Clients come and go all the time while three processes follow each other."""
    place = Place(lab)
    old = place.start()
    wait_for_listener(old, ("127.0.0.1", place.port))
    socket = place.folder / "takeover"
    wait_until(lambda: socket.exists() and stat.S_IMODE(socket.stat().st_mode) == 0o600,
               "nobody else may take over")
    loads = [place.load("127.0.0.1"), place.load(str(place.folder))]
    for load in loads:
        wait_until(lambda: "progress:" in load.output(), "the load has begun", within=30)
    for _ in range(2):
        new = place.start("--takeover")
        wait_until(lambda: "took the place" in new.output(), "it has taken over", within=20)
        assert old.wait() == 0, old.output()
        old = new
    with urllib.request.urlopen(f"http://127.0.0.1:{place.http}/readyz", timeout=10) as page:
        assert page.status == 200
    for load in loads:
        assert load.alive, load.output()
        load.stop()
        assert "error" not in load.output() and "aborted" not in load.output(), load.output()
    assert old.stop() == 0
    assert not list(place.folder.iterdir()), "the last one removes the socket files"
    ports.release(place.port)
    ports.release(place.http)


@test(targets=FOREBAY)
def the_old_one_goes_on_if_the_new_one_fails(lab: Lab) -> None:
    place = Place(lab)
    old = place.start()
    wait_for_listener(old, ("127.0.0.1", place.port))
    host, taken = lab.postgres.address
    new = place.start("--takeover", more=f', "{host}:{taken}"')
    assert new.wait() == 1 and "could not listen" in new.output(), new.output()
    wait_until(lambda: "nothing was taken over" in old.output(), "it says so")
    with Connection(("127.0.0.1", place.port), 5):
        pass
    assert (place.folder / f".s.PGSQL.{place.port}").exists()
    assert old.stop() == 0
    alone = place.start("--takeover")
    assert alone.wait() == 1 and "cannot take over" in alone.output(), alone.output()
    ports.release(place.port)
    ports.release(place.http)


@test(targets=FOREBAY)
def from_one_that_drains(lab: Lab) -> None:
    """What is at the places afterwards is the new one's, also when the old one has ended."""
    place = Place(lab)
    old = place.start(shutdown_timeout="60s")
    wait_for_listener(old, ("127.0.0.1", place.port))
    socket = place.folder / "takeover"
    wait_until(socket.exists, "it may be taken over")
    with Client(("127.0.0.1", place.port), user="app", database="app",
                password=password_of("app")) as client:
        client.run("begin")
        old.send_signal(signal.SIGTERM)
        wait_until(lambda: "no new clients" in old.output(), "it drains")
        new = place.start("--takeover")
        wait_until(lambda: "took the place" in new.output(), "it has taken over", within=20)
        client.send(m.query("select pg_sleep(600), 'drained'"))
        wait_until(lambda: bool(lab.postgres.rows(
            "select 1 from pg_stat_activity where state = 'active' and query like '%drained%' "
            "and pid <> pg_backend_pid()")), "it runs")
        client.cancel()
        assert m.only(client.until_ready(), b"E")[0].sqlstate == "57014"
        client.run("rollback")
    assert old.wait() == 0, old.output()
    assert socket.exists(), old.output()
    assert new.stop() == 0
    assert not list(place.folder.iterdir())
    ports.release(place.port)
    ports.release(place.http)


@test(targets=FOREBAY)
def those_who_stay_can_cancel(lab: Lab) -> None:
    """Their requests come in at the one who listens, and go back to the one who has the client."""
    place = Place(lab)
    running = [place.start(shutdown_timeout="60s")]
    wait_for_listener(running[0], ("127.0.0.1", place.port))
    clients: list[Client] = []

    def come() -> None:
        clients.append(Client(("127.0.0.1", place.port), user="app", database="app",
                              password=password_of("app")))

    come()
    for _ in range(2):
        wait_until((place.folder / "takeover").exists, "it may be taken over")
        new = place.start("--takeover", shutdown_timeout="60s")
        wait_until(lambda: "took the place" in new.output(), "it has taken over", within=20)
        running.append(new)
        come()
    for number, client in enumerate(clients):
        client.send(m.query(f"select pg_sleep(600), {number}"))
    for number, client in enumerate(clients):
        wait_until(lambda: bool(lab.postgres.rows(
            "select 1 from pg_stat_activity where state = 'active' and "
            f"query = 'select pg_sleep(600), {number}'")), "it runs")
        client.cancel()
        error = m.only(client.until_ready(), b"E")[0]
        assert error.sqlstate == "57014", error
        assert client.value("select 1") == "1"
    clients.pop(1).close()
    assert running[1].wait() == 0, running[1].output()
    clients[0].send(m.query("select pg_sleep(600), 'again'"))
    wait_until(lambda: bool(lab.postgres.rows(
        "select 1 from pg_stat_activity where state = 'active' and query like '%again%' "
        "and pid <> pg_backend_pid()")), "it runs")
    clients[0].cancel()
    assert m.only(clients[0].until_ready(), b"E")[0].sqlstate == "57014", "past who left first"
    for client in clients:
        client.close()
    assert running[0].wait() == 0 and running[1].wait() == 0
    assert running[2].stop() == 0
    assert not list(place.folder.iterdir()), list(place.folder.iterdir())
    ports.release(place.port)
    ports.release(place.http)


@test(targets=FOREBAY)
def sockets_of_the_service_manager_are_used(lab: Lab) -> None:
    """As systemd's socket activation hands them over; a socket file stays systemd's."""
    place = Place(lab)
    path = f"{place.folder}/.s.PGSQL.{place.port}"
    script = f"""
        import os, socket
        tcp = socket.create_server(("127.0.0.1", {place.port}))
        unix = socket.socket(socket.AF_UNIX)
        unix.bind("{path}")
        os.chmod("{path}", 0o777)
        unix.listen()
        os.dup2(tcp.fileno(), 103)
        os.dup2(unix.fileno(), 104)
        os.dup2(103, 3)
        os.dup2(104, 4)
        os.environ.update(LISTEN_FDS="2", LISTEN_PID=str(os.getpid()))
        os.execv("{binary()}", ["forebay", "serve", "-c", "{place.file()}"])
        """
    child = lab.child("activated", [sys.executable, "-c", textwrap.dedent(script)],
                      env={**os.environ, **sanitizer_options()})
    wait_for_listener(child, ("127.0.0.1", place.port))
    for host in ("127.0.0.1", str(place.folder)):
        done = run(["psql", "-XAtc", "select 1"], env=place.environment(host))
        assert done.out == "1\n", done
    assert child.stop() == 0
    assert os.path.exists(path), child.output()
    ports.release(place.port)
    ports.release(place.http)
