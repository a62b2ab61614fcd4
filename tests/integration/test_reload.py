"""Another configuration while clients are served: SIGHUP, all of it or nothing."""

from __future__ import annotations

import os
import random
import re
import signal
import socket
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Callable, Iterator

from lab import messages as m
from lab import ports
from lab.declare import FOREBAY, TLS, test
from lab.forebay import WORKERS, Forebay, binary, sanitizer_options
from lab.lab import Lab
from lab.postgres import password_of
from lab.process import run, wait_until
from lab.scrape import Scrape
from lab.target import Database, Target, accepts
from lab.wire import Client, Ended, ServerError, refused

NUMBER = f"workers = {WORKERS}"
ENDS = re.compile(r" (?:reloaded|reload_failed: nothing was changed)\b")


def file_of(target: Target) -> Path:
    return target.folder / "forebay.toml"


def text_of(target: Target) -> str:
    assert isinstance(target, Forebay)
    return target.toml_text()


def reload(target: Target, text: str) -> str:
    """Writes the file, tells the proxy, and gives what it said about it."""
    before = target.log
    file_of(target).write_text(text)
    target.running.send_signal(signal.SIGHUP)
    wait_until(lambda: len(ENDS.findall(target.log)) > len(ENDS.findall(before)), "it has reloaded")
    return target.log[len(before):]


def change(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in:\n{text}"
    return text.replace(old, new)


def backends(lab: Lab) -> int:
    return len(lab.postgres.sessions("app"))


def metric(port: int, name: str) -> float:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        found = re.search(rf"^{name} (\S+)$", answer.read().decode(), re.M)
    assert found, name
    return float(found.group(1))


@test(modes=("transaction",), tls=TLS, targets=FOREBAY)
def a_pool_grows_and_shrinks(lab: Lab) -> None:
    """Who waits is served as soon as the pool may grow; what is too much goes when it is free."""
    target = lab.target(pool_size=1)
    first, second = lab.keep(target.connect()), lab.keep(target.connect())
    first.run("begin")
    second.send(m.query("select 'served'"))
    said = reload(target, change(text_of(target), "default_pool_size = 1", "default_pool_size = 2"))
    assert "[pool] default_pool_size: 1 -> 2 (at once)" in said, said
    assert "DataRow" in m.names(second.until_ready())
    assert backends(lab) == 2
    second.run("begin")
    reload(target, text_of(target))
    assert first.value("select 'still in its transaction'") == "still in its transaction"
    second.run("commit")
    first.run("commit")
    wait_until(lambda: backends(lab) == 1, "one of two has gone")
    assert first.value("select 1") == "1" and second.value("select 1") == "1"


@test(modes=("transaction",), targets=FOREBAY)
def a_broken_file_changes_nothing(lab: Lab) -> None:
    """Line and column are said, the metric is 0, and everything goes on; the next good one counts."""
    port = ports.claim()
    target = lab.target(options={"http": f"127.0.0.1:{port}"})
    client = lab.keep(target.connect())
    good = text_of(target)
    assert metric(port, "forebay_config_last_reload_success") == 1
    broken_files = ((good + "\n[pool", r"forebay.toml:\d+:\d+: this is not TOML"),
                    (change(good, NUMBER, f"{NUMBER}\nno_such_key = 1"),
                     r"forebay.toml:\d+:1: \[forebay\]: unknown key"),
                    ("", "no database is configured"))
    for broken, why in broken_files:
        said = reload(target, broken)
        assert "nothing was changed" in said and re.search(why, said), said
        assert client.value("select 1") == "1"
    assert metric(port, "forebay_config_last_reload_success") == 0
    assert metric(port, "forebay_config_reloads_failed_total") == len(broken_files)
    reload(target, good)
    assert metric(port, "forebay_config_last_reload_success") == 1
    assert metric(port, "forebay_config_reloads_total") == 1
    ports.release(port)


@test(modes=("transaction",), targets=FOREBAY)
def what_needs_a_restart_is_said_and_left(lab: Lab) -> None:
    target = lab.target()
    text = change(text_of(target), NUMBER, f"workers = {WORKERS + 1}")
    for _ in range(2):                                  # it is still to be done the second time
        said = reload(target, text)
        assert f"[forebay] workers: {WORKERS} -> {WORKERS + 1} (needs a restart" in said, said
    target.check_healthy()


@test(modes=("transaction",), tls=TLS, targets=FOREBAY)
def users_come_and_go(lab: Lab) -> None:
    """A new password counts for the next login; who is removed ends after the transaction."""
    target = lab.target(users={"app": "wrong"})
    refused(lambda: target.connect())
    good = change(text_of(target), '"wrong"', f'["{password_of("app")}", "other"]')
    said = reload(target, good)
    assert "[users.app] password: changed" in said and password_of("app") not in said, said
    idle, busy = lab.keep(target.connect()), lab.keep(target.connect())
    busy.run("begin")
    said = reload(target, change(good, '[users."app"]', "[users.other]"))
    assert "[users.app] removed" in said, said
    goodbye(idle)
    assert busy.value("select 'may finish'") == "may finish"
    busy.send(m.query("commit"))
    goodbye(busy)
    refused(lambda: target.connect())
    reload(target, good)
    target.check_healthy()


def goodbye(client: Client) -> None:
    answer = client.until_end()
    assert answer[-1].name == "ErrorResponse", answer
    fields = answer[-1].fields()
    assert (fields["S"], fields["C"]) == ("FATAL", "57P01"), fields


@test(modes=("transaction",), targets=FOREBAY)
def databases_come_and_go(lab: Lab) -> None:
    """Only the clients and server connections of the one that goes are let go."""
    target = lab.target(databases={"app": Database(), "second": Database(dbname="app")})
    stays, goes, busy = (lab.keep(target.connect(database=name))
                         for name in ("app", "second", "second"))
    process = stays.value("select pg_backend_pid()")
    busy.run("begin")
    goes.run("select 1")
    both = text_of(target)
    start = both.index('[databases."second"]')
    end = both.find("\n[", start)
    reload(target, both[:start] + both[end + 1:])
    goodbye(goes)
    assert busy.value("select 1") == "1"
    busy.send(m.query("commit"))
    goodbye(busy)
    error = refused(lambda: target.connect(database="second"))
    assert error.fields()["C"] == "3D000", error
    assert stays.value("select pg_backend_pid()") == process
    wait_until(lambda: backends(lab) == 1, "the server connections of the other are closed")
    reload(target, both)
    with target.connect(database="second") as client:
        assert client.value("select 1") == "1"


@test(modes=("transaction",), targets=FOREBAY)
def a_host_goes(lab: Lab) -> None:
    """Clients go on at the other host with their next transaction; connections that lead to hosts
    that stay are kept."""
    target = lab.target()
    client, busy = lab.keep(target.connect()), lab.keep(target.connect())
    client.run("set application_name = 'mine'")
    busy.run("begin")
    busy_at = busy.value("select pg_backend_pid()")
    text = text_of(target)
    host, port = lab.postgres.address
    said = reload(target, text.replace(f'"{host}:{port}"', f'"localhost:{port}"'))
    assert "hosts:" in said, said
    assert busy.value("select pg_backend_pid()") == busy_at
    assert client.value("show application_name") == "mine"
    busy.run("commit")
    busy.run("begin")
    assert busy.value("select pg_backend_pid()") != busy_at
    busy.run("commit")


@test(modes=("transaction",), targets=FOREBAY)
def a_host_goes_and_who_is_bound_to_it(lab: Lab) -> None:
    """Session mode, temporary tables, replication: they would never leave the host, which nobody
    fences any more. Transactions end as they began."""
    session = Database(dbname="app", options={"pool_mode": "session"})
    stays = Database(hosts=[lab.postgres.address], dbname="app")
    target = lab.target(databases={"app": Database(), "whole": session, "kept": stays})

    def bound(database: str = "app", sql: str = "create temp table own (n int)") -> Client:
        client = lab.keep(target.connect(database=database))
        client.run(sql)
        return client

    elsewhere, whole, temporary = bound("kept"), bound("whole", "select 1"), bound()
    busy, free = bound(), lab.keep(target.connect())
    walsender, stream = (lab.keep(target.connect("repl", replication="true")) for _ in range(2))
    position = str(stream.rows("IDENTIFY_SYSTEM")[0][2])
    walsender.rows("IDENTIFY_SYSTEM")
    stream.send(m.query(f"START_REPLICATION PHYSICAL {position}"))
    stream.read_until(b"W")
    for client in (busy, free):
        client.run("begin")
    text = text_of(target)
    last = text.index('[databases."kept"]')
    host, port = lab.postgres.address
    reload(target, text[:last].replace(f'"{host}:{port}"', f'"localhost:{port}"') + text[last:])
    for client in (whole, temporary, walsender, stream):
        goodbye(client)
    busy.run("insert into own values (1)")
    busy.send(m.query("commit"))
    goodbye(busy)
    free.run("commit")
    assert free.value("select 1") == "1"
    assert elsewhere.value("select count(*) from own") == "0"


@test(modes=("transaction",), targets=FOREBAY)
def former_hosts_are_not_shown(lab: Lab) -> None:
    # Nobody is to notice that the two hosts are one and the same.
    target = lab.target(options={"stats_users": "app", "monitor_interval": 0})
    text = text_of(target)
    host, port = lab.postgres.address
    one, other = f'"{host}:{port}"', f'"localhost:{port}"'
    with target.connect() as client, target.connect(database="forebay") as console:
        for listed in ((one, other), (other, one)):
            reload(target, text.replace(one, ", ".join(listed)))
            assert client.value("select 1") == "1"
            shown = [f'"{row[0]}"' for row in console.rows("SHOW HOSTS")]
            assert shown == list(listed), shown


@test(modes=("transaction",), targets=FOREBAY)
def listeners_come_and_go(lab: Lab) -> None:
    """The new one is open, the old one closed; who came in by it stays."""
    target = lab.target()
    client = lab.keep(target.connect())
    port = ports.claim()
    text = text_of(target)
    own = f'"{target.host}:{target.port}"'
    reload(target, change(text, own, f'"{target.host}:{port}"'))
    wait_until(lambda: accepts(target.running, (target.host, port)), "the new one is open")
    wait_until(lambda: not accepts(target.running, target.address), "the old one is closed")
    assert client.value("select 1") == "1"
    taken = ports.claim()
    said = reload(target, change(text, own, f'{own}, "192.0.2.1:{taken}"'))
    assert "could not listen on 192.0.2.1" in said and "nothing was changed" in said, said
    assert accepts(target.running, (target.host, port)) and not accepts(target.running,
                                                                        target.address)
    reload(target, text)
    target.check_healthy()
    ports.release(port)
    ports.release(taken)


@test(modes=("transaction",), targets=FOREBAY)
def a_log_file_that_was_moved_is_opened_anew(lab: Lab) -> None:
    path = lab.folder / "own.log"
    target = lab.target()
    text = text_of(target)
    with_file = text.replace("[log]\n", f'[log]\nfile = "{path}"\n')
    file_of(target).write_text(with_file)
    target.running.send_signal(signal.SIGHUP)
    wait_until(lambda: path.exists() and "reloaded" in path.read_text(), "it writes to the file")
    moved = path.rename(lab.folder / "own.log.1")
    target.running.send_signal(signal.SIGHUP)
    wait_until(lambda: path.exists() and "reloaded" in path.read_text(), "it writes to a new one")
    assert moved.read_text().count("reloaded") == 1
    moved = path.rename(lab.folder / "own.log.2")
    file_of(target).write_text(with_file + "\nno such key")    # the file is opened all the same
    target.running.send_signal(signal.SIGHUP)
    wait_until(lambda: path.exists() and "nothing was changed" in path.read_text(), "a third one")
    file_of(target).write_text(with_file)
    assert "reload_failed" not in moved.read_text()
    with target.connect() as client:
        client.run("begin")
        target.running.send_signal(signal.SIGTERM)
        wait_until(lambda: "draining" in path.read_text(), "it drains")
        path.rename(lab.folder / "own.log.3")
        target.running.send_signal(signal.SIGHUP)
        wait_until(lambda: path.exists() and "shutting down" in path.read_text(), "a fourth one")
        client.run("commit")


@test(modes=("transaction",), targets=FOREBAY)
def the_token_of_http_is_read_anew(lab: Lab) -> None:
    """It holds from the moment on in which the port is opened; a new one replaces it."""
    port = ports.claim()
    token = lab.folder / "token"
    token.write_text("one\n")
    target = lab.target()

    def status(shown: str) -> int:
        request = urllib.request.Request(f"http://127.0.0.1:{port}/pools",
                                         headers={"Authorization": f"Bearer {shown}"})
        try:
            with urllib.request.urlopen(request, timeout=10) as page:
                return int(page.status)
        except urllib.error.HTTPError as error:
            return error.code
    text = change(text_of(target), NUMBER, f'{NUMBER}\nhttp = "127.0.0.1:{port}"\n'
                  f'http_token_file = "{token}"')
    reload(target, text)
    assert (status("none"), status("one")) == (401, 200)
    token.write_text("two\n")
    reload(target, text)
    assert (status("one"), status("two")) == (401, 200)
    token.write_text("\n")
    said = reload(target, text)
    assert "http_token_file" in said and "reload_failed" in said, said
    assert (status(""), status("two")) == (401, 200)
    ports.release(port)


@test(modes=("transaction",), targets=FOREBAY)
def the_file_is_watched(lab: Lab) -> None:
    """With reload_on_change nobody has to say that the file is another one, or one in a folder."""
    target = lab.target()
    more = target.folder / "conf.d" / "more.toml"
    more.parent.mkdir()
    text = change(text_of(target), NUMBER, f"{NUMBER}\nreload_on_change = true")
    reload(target, 'include = ["conf.d/"]\n' + text)
    more.write_text("[pool]\nmin_pool_size = 1\n")
    wait_until(lambda: "[pool] min_pool_size: 0 -> 1" in target.log, "it was noticed")
    more.write_text("[pool]\nmin_pool_size = 1\nnonsense = 1\n")
    wait_until(lambda: "more.toml:3:1: [pool]: unknown key" in target.log, "and what is wrong")
    target.check_healthy()


@test(targets=FOREBAY)
def the_service_manager_is_told(lab: Lab) -> None:
    """READY, RELOADING and STOPPING, as systemd's Type=notify expects them, and WATCHDOG."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        path = lab.folder / "notify"
        manager.bind(str(path))
        manager.settimeout(20)
        port = ports.claim()
        file = lab.folder / "own.toml"
        host, server = lab.postgres.address
        file.write_text(f'[forebay]\nlisten = ["127.0.0.1:{port}"]\nauth = "server"\n'
                        f'[databases."*"]\nhosts = ["{host}:{server}"]\n')
        child = lab.child("forebay", [binary(), "serve", "-c", file],
                          env={**os.environ, **sanitizer_options(), "NOTIFY_SOCKET": str(path),
                               "WATCHDOG_USEC": "300000"})
        assert manager.recv(1000) == b"READY=1"
        for _ in range(3):
            assert manager.recv(1000) == b"WATCHDOG=1"

        def next_news() -> bytes:
            while (news := manager.recv(1000)) == b"WATCHDOG=1":
                pass
            return news
        child.send_signal(signal.SIGHUP)
        assert re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=\d+", next_news())
        assert next_news() == b"READY=1"
        child.send_signal(signal.SIGTERM)
        assert next_news() == b"STOPPING=1"
        assert child.wait() == 0
        ports.release(port)


def some_file(dice: random.Random, good: str) -> str:
    """Another good file, or a broken one."""
    text = change(good, "default_pool_size = 4", f"default_pool_size = {dice.randint(1, 8)}")
    if dice.random() < 0.3:
        text += '\n[users.new]\npassword = "x"\n'
    if dice.random() < 0.3:
        text = text.replace("[pool]\n", f"[pool]\nmin_pool_size = {dice.randint(0, 1)}\n")
    if dice.random() < 0.4:
        cut = dice.randint(0, len(text))
        # Whatever the cut has left of it, the last line is no TOML: half a password is right.
        text = text[:cut] + dice.choice(("[", "=", "default_pool_size = 0\n", '"')) + "\n= broken"
    return text


def without_table(text: str, head: str) -> str:
    start = text.index(head)
    end = text.find("\n[", start)
    return text[:start] + (text[end + 1:] if end >= 0 else "")


@test(targets=FOREBAY)
def databases_that_only_the_wildcard_names(lab: Lab) -> None:
    """Their clients and sessions outlive reloads, and what becomes of the wildcard holds for them."""
    first, second = lab.postgres.new_database(), lab.postgres.new_database()
    target = lab.target(wildcard=True)
    try:
        stays, busy = (lab.keep(target.connect(database=first)) for _ in range(2))
        stays.run("set work_mem = '3MB'")
        busy.run("begin; create table left_open (a int)")
        process = busy.value("select pg_backend_pid()")
        text = text_of(target)
        head = '[databases."*"]'
        reload(target, text)
        reload(target, change(text, head, f"{head}\npool_size = 2"))
        assert busy.value("select pg_backend_pid() + count(*) from left_open") == process
        assert stays.value("show work_mem") == "3MB"
        with target.connect(database=second) as client:
            assert client.value("select current_database()") == second
        # Named on its own now, it leads elsewhere, and only that one does.
        host, port = lab.postgres.address
        named = f'{text}\n[databases.{first}]\nhosts = ["{host}:{port}"]\ndbname = "other"\n'
        reload(target, named)
        assert busy.value("select pg_backend_pid() + count(*) from left_open") == process
        busy.run("rollback")
        with target.connect(database=first) as client:
            assert client.value("select current_database()") == "other"
        with target.connect(database=second) as client:
            assert client.value("select current_database()") == second
        reload(target, text)
        busy.run("select 1")
        # Without the wildcard it is nobody's.
        reload(target, without_table(text, head))
        goodbye(stays)
        goodbye(busy)
        assert refused(lambda: target.connect(database=first)).sqlstate == "3D000"
        assert refused(lambda: target.connect(database=second)).sqlstate == "3D000"
        target.check_healthy()
        reload(target, text)
        with target.connect(database=first) as client:
            assert client.value("select current_database()") == first
    finally:
        target.stop()
        for name in (first, second):
            lab.postgres.rows(f"drop database {name} with (force)")


@test(targets=FOREBAY)
def counters_outlive_reloads(lab: Lab) -> None:
    """None of them falls, whatever comes and goes; of what stays none is gone."""
    http = ports.claim()
    target = lab.target(databases={"app": Database(), "second": Database(dbname="app")},
                        options={"http": f"127.0.0.1:{http}", "statement_statistics": 100})
    text = text_of(target)

    def scrape() -> dict[tuple[str, str], float]:
        for database in ("app", "second"):
            with target.connect(database=database) as client:
                client.run("select 1")
                client.messages(m.query("select 1 / 0"))
        return {(name, str(sorted(labels.items()))): value
                for name, labels, value in Scrape(http).samples
                if name.endswith(("_total", "_count", "_sum", "_bucket"))}

    last = scrape()
    assert len(last) > 100, last
    for changed in (text, change(text, "default_pool_size = 3", "default_pool_size = 7"),
                    without_table(text, "[databases.\"second\"]"), text,
                    without_table(text, "[users.\"other\"]"), "broken", text):
        reload(target, changed)
        if "second" not in changed and changed != "broken":
            continue
        now = scrape()
        fallen = {key: (value, now.get(key)) for key, value in last.items()
                  if now.get(key, 0.0 if "second" in key[1] else -1.0) < value
                  and not ("second" in key[1] and key not in now)}
        assert not fallen, fallen
        assert sum(now.values()) > sum(last.values())
        last = now


class Slow(Client):
    """Logs in step by step: what is to happen in between does, after each question."""

    steps: Iterator[Callable[[], object]] = iter(())

    def _authenticate(self, body: bytes) -> None:
        next(self.steps, lambda: None)()
        super()._authenticate(body)


CHANGES = {
    "user_goes": lambda text: without_table(text, '[users."app"]'),
    "database_goes": lambda text: without_table(text, '[databases."app"]'),
    "password_changes": lambda text: change(text, '"app-secret"', '"another-secret"'),
    "address_is_denied": lambda text: change(text, "auth = ", 'deny_from = ["127.0.0.1"]\nauth = '),
    "method_changes": lambda text: change(text, 'auth = "scram-sha-256"', 'auth = "md5"'),
    "nothing_changes": lambda text: text,
}


@test(targets=FOREBAY, params=CHANGES)
def a_reload_during_a_login(lab: Lab, what: str) -> None:
    """Who is on the way in is judged once, and is no longer here than others whom it concerns."""
    target = lab.target()
    text = text_of(target)
    for step in range(4):
        reload(target, text)
        client = Slow(target.address, user="app", database="app", password="app-secret",
                      login=False)
        client.steps = iter([lambda: None] * step
                            + [lambda: reload(target, CHANGES[what](text)) and None])
        try:
            client.log_in()
            came_in = client.rows("select current_user") == [("app",)]
        except ServerError as error:
            came_in = False
            assert error.sqlstate in ("57P01", "3D000", "28P01"), error
        except Ended as error:
            came_in = False
            assert "57P01" in str(error), error
        assert came_in != what.endswith("_goes") or what == "password_changes", (what, step)
        client.close()
        if what != "nothing_changes" and what != "method_changes":
            assert refused(lambda: target.connect()).sqlstate in ("28P01", "3D000", "28000")
    reload(target, text)
    target.check_healthy()


@test(modes=("transaction",), targets=FOREBAY)
def a_storm_of_reloads(lab: Lab) -> None:
    """Hundreds of good and broken files while clients run transactions: none of them fails."""
    target = lab.target(pool_size=4, options={"log_connections": False})
    good = text_of(target)
    stop = threading.Event()
    failures: list[str] = []
    done = [0]

    def work(number: int) -> None:
        try:
            with target.connect() as client:
                while not stop.is_set():
                    client.run("begin")
                    mine = client.value(f"select 'client {number}'")
                    assert mine == f"client {number}", mine
                    client.run("commit")
                    done[0] += 1
        except (ServerError, AssertionError, OSError) as error:
            failures.append(f"client {number}: {error!r}")

    threads = [threading.Thread(target=work, args=(i,)) for i in range(20)]
    for thread in threads:
        thread.start()
    dice = random.Random(5)
    for _ in range(150):
        reload(target, some_file(dice, good))
    before = done[0]
    wait_until(lambda: failures or done[0] > before + 100, "they go on", within=60)
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures, failures
    reload(target, good)
    wait_until(lambda: backends(lab) <= 4, "the pool has the size that was last said")
    target.check_healthy()


@test(modes=("transaction",), targets=FOREBAY, heavy=True, alone=True, within=400)
def a_storm_over_five_hundred_clients(lab: Lab) -> None:
    """Three hundred good and broken files while pgbench's 500 clients run transactions: none fails,
    the last good file holds whole, and nothing is left behind."""
    target = lab.target(pool_size=4, options={"log_connections": False, "admin_users": "app"})
    good = text_of(target)
    script = lab.folder / "transaction.sql"
    script.write_text("begin;\nselect :client_id;\nselect count(*) from pgbench_branches;\ncommit;\n")
    dice = random.Random(7)
    descriptors = target.running.descriptors()
    resident: list[int] = []
    reloads = 0
    while reloads < 300:
        load = lab.child(f"pgbench-{reloads}",
                         ["pgbench", "-n", "-f", script, "-c", 500, "-j", 2, "-t", 40],
                         env=target.environment(database="bench"))
        while load.alive:
            reload(target, some_file(dice, good))
            reloads += 1
        assert load.wait(within=300) == 0, load.output()
        assert "number of failed transactions: 0 " in load.output(), load.output()
        wait_until(lambda: target.running.descriptors() <= descriptors + 2 * 8, "all have gone")
        resident.append(target.running.memory_kib("VmRSS"))
    last = change(good, "default_pool_size = 4", "default_pool_size = 3")
    reload(target, last + '\n[users.new]\npassword = "x"\n')
    reload(target, "= broken")
    shown = run(["psql", "-XAtq"], given="show config;\nshow users;\n",
                env=target.environment(database="forebay")).out
    assert "\ndefault_pool_size|3|" in shown and "\nnew|" in shown, shown
    assert resident[-1] <= resident[0] + 8192, resident
