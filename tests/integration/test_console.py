"""The console: the databases forebay and pgbouncer, as psql, drivers and exporters use them."""

from __future__ import annotations

import re
import socket
from typing import Any

import psycopg
import psycopg2

from lab import messages as m
from lab.declare import FOREBAY, test
from lab.forebay import Forebay
from lab.lab import Lab
from lab.process import Finished, LabError, holds_for, run, wait_until
from lab.target import Database, Target
from lab.wire import Connection, refused

USERS = {"admin_users": "app", "stats_users": "other, somebody"}
# What pgbouncer_exporter asks, with the columns that it reads by name.
EXPORTER = {
    "SHOW STATS;": ["database", "total_query_count", "total_received", "total_sent",
                    "total_xact_count", "total_xact_time", "total_query_time", "total_wait_time"],
    "SHOW POOLS;": ["database", "user", "cl_active", "cl_waiting", "cl_active_cancel_req",
                    "cl_waiting_cancel_req", "sv_active", "sv_active_cancel", "sv_being_canceled",
                    "sv_idle", "sv_used", "sv_tested", "sv_login", "maxwait", "maxwait_us",
                    "pool_mode"],
    "SHOW DATABASES;": ["name", "host", "port", "database", "pool_size", "reserve_pool_size",
                        "pool_mode", "max_connections", "current_connections", "paused",
                        "disabled"],
    "SHOW LISTS;": ["list", "items"],
    "SHOW CONFIG;": ["key", "value", "default", "changeable"],
    "SHOW VERSION;": ["version"],
}


def console(target: Target, script: str, *, user: str = "app", database: str = "pgbouncer",
            expect: int = 0) -> Finished:
    return run(["psql", "-XAtq", "-v", "VERBOSITY=verbose"], given=script, expect=expect,
               env=target.environment(user, database))


def rows(target: Target, command: str) -> list[dict[str, str]]:
    done = run(["psql", "-XAq", "-P", "footer=off", "-c", command],
               env=target.environment("app", "forebay"))
    lines = [line.split("|") for line in done.out.splitlines()]
    return [dict(zip(lines[0], line)) for line in lines[1:]]


@test(targets=FOREBAY)
def exporters_and_psql(lab: Lab) -> None:
    target = lab.target(options=USERS)
    with target.connect() as client:
        client.run("select 1")
        for command, columns in EXPORTER.items():
            found = rows(target, command)
            assert found and set(columns) <= set(found[0]), (command, found)
        stats = {row["database"]: row for row in rows(target, "SHOW STATS")}
        assert int(stats["app"]["total_query_count"]) >= 1, stats
        clients = rows(target, "SHOW CLIENTS EXTENDED")
        assert [row["user"] for row in clients] == ["app"], clients
        assert len(rows(target, "SHOW SERVERS")) == 1
    done = console(target, "show pools; show nonsense;\nselect 1;\nshow version;\n")
    assert "42601" in done.err and done.out.splitlines()[-2] == "1", done


@test(targets=FOREBAY)
def rights(lab: Lab) -> None:
    target = lab.target(options=USERS)
    done = console(target, "SHOW POOLS;\nSHOW CONFIG;\nPAUSE;\nKILL_CLIENT 1;\n"
                   "SET default_pool_size = 5;\nSET extra_float_digits = 3;\n", user="other")
    assert done.err.count("42501") == 4, done
    done = console(target, "SHOW POOLS", user="repl", expect=2)
    assert "may not use the console" in done.err, done


@test(targets=FOREBAY)
def rights_end_with_a_reload(lab: Lab) -> None:
    """Also those of who is in the console."""
    target = lab.target(options=USERS)
    with target.connect("app", "forebay") as app, target.connect("other", "forebay") as other:
        app.run("RECONNECT")
        app.run("SET stats_users = 'app'; SET admin_users = ''")
        assert app.error(m.query("RECONNECT")).sqlstate == "42501"
        app.run("SHOW POOLS")
        other.send(m.query("SHOW POOLS"))
        answer = other.until_end()
        assert answer[0].sqlstate == "42501", answer


@test(targets=FOREBAY, entries=("run",))
def who_may_log_in_may_look_where_nothing_is_configured(lab: Lab) -> None:
    target = lab.target()
    done = console(target, "SHOW POOLS;\nRECONNECT;\n")
    assert "42501" in done.err, done


@test(targets=FOREBAY)
def its_owner_comes_in_when_others_have_all_places(lab: Lab) -> None:
    folder = lab.folder / "sockets"
    folder.mkdir()
    target = lab.target(options=USERS, listen=[f"{folder}/.s.PGSQL.6432"])
    others = [target.connect("app", "forebay") for _ in range(20)]
    assert refused(lambda: target.connect("app", "forebay")).sqlstate == "53300"
    done = run(["psql", "-XAtqc", "SHOW VERSION"],
               env=target.environment("forebay", "forebay", PGHOST=str(folder), PGPORT="6432"))
    assert "Forebay" in done.out, done
    for other in others:
        other.close()


@test(targets=FOREBAY)
def drivers(lab: Lab) -> None:
    target = lab.target(options=USERS)
    where: dict[str, Any] = {"host": target.host, "port": target.port, "user": "app",
                             "password": target.environment("app", "app")["PGPASSWORD"],
                             "dbname": "pgbouncer"}
    for autocommit in (True, False):
        with psycopg.connect(autocommit=autocommit, **where) as three:
            for binary in (False, True):
                with three.cursor(binary=binary) as cursor:
                    pools = cursor.execute("SHOW DATABASES").fetchall()
                    assert ("app", target.port) == (pools[0][0], target.port), pools
                    assert isinstance(pools[0][2], int), pools
            cursor = three.execute("SHOW TOTALS", prepare=True)
            assert dict(cursor.fetchall())["query_count"] == 0
        two = psycopg2.connect(**where)
        two.autocommit = autocommit
        cursor2 = two.cursor()
        cursor2.execute("SHOW LISTS")
        assert dict(cursor2.fetchall())["databases"] == 5
        two.close()


@test(targets=FOREBAY)
def paused_and_resumed_under_load(lab: Lab) -> None:
    target = lab.target(options=USERS)
    child = lab.child("load", ["pgbench", "-n", "-S", "-M", "prepared", "-c", "8", "-j", "2", "-T",
                               "600", "bench"], env=dict(target.environment(database="bench")))
    wait_until(lambda: any(int(row["xact_count"]) > 100 for row in rows(
        target, "SHOW STATS_TOTALS") if row["database"] == "bench"), "the load has begun")
    for command in ("PAUSE", "PAUSE bench"):
        console(target, f"{command};\n")
        busy = [row for row in rows(target, "SHOW SERVERS") if row["database"] == "bench"]
        assert busy == [], busy
        wait_until(lambda: any(row["cl_waiting"] == "8" for row in rows(target, "SHOW POOLS")),
                   "every client waits")
        console(target, command.replace("PAUSE", "RESUME") + ";\nRECONNECT;\nWAIT_CLOSE;\n")
        wait_until(lambda: any(row["sv_active"] != "0" for row in rows(target, "SHOW POOLS")),
                   "work goes on")
    assert child.alive, child.output()
    child.stop()
    assert "error" not in child.output().lower(), child.output()


@test(targets=FOREBAY)
def suspended_between_two_statements(lab: Lab) -> None:
    """Nothing is read from anybody, in transactions too; new consoles are served all the same."""
    target = lab.target(options=USERS)
    console(target, "SET suspend_timeout = 500ms;\n")

    def state() -> str:
        return lab.postgres.value("select state from pg_stat_activity where pid = " + number, "app")

    def suspended() -> list[str]:
        return [row["value"] for row in rows(target, "SHOW STATE") if row["key"] == "suspended"]
    with target.connect() as client, target.connect() as sleeper:
        client.run("begin")
        number = client.value("select pg_backend_pid()")
        sleeper.send(m.query("select pg_sleep(600)"))
        wait_until(lambda: lab.postgres.rows("select 1 from pg_stat_activity where query like "
                                             "'%pg_sleep(600)' and state = 'active'"), "it runs")
        done = console(target, "SUSPEND;\n")
        assert "57014" in done.err and "1 client was" in done.err, done
        assert suspended() == ["no"]
        console(target, "SET suspend_timeout = 60s;\n")
        with target.connect("app", "forebay") as impatient:
            impatient.send(m.query("SUSPEND"))
            wait_until(lambda: suspended() == ["yes"], "it waits for the sleeper")
        wait_until(lambda: suspended() == ["no"], "who ordered it has gone")
        assert client.value("select 'read'") == "read"
        lab.postgres.rows("select pg_cancel_backend(pid) from pg_stat_activity where query like "
                          "'%pg_sleep(600)' and state = 'active'")
        sleeper.until_ready()
        for end in ("RESUME", "goes"):
            operator = target.connect("app", "forebay")
            operator.run("SUSPEND")
            assert suspended() == ["yes"]
            client.send(m.query("select 'answered' from pg_sleep(0)"))
            holds_for(lambda: state() == "idle in transaction", 0.3, "it is not read")
            assert "55000" in console(target, "SUSPEND;\n").err
            if end == "RESUME":
                assert console(target, "RESUME;\n").err == ""
            operator.close()
            assert m.only(client.until_ready(), b"D")[0].columns() == [b"answered"]
        client.run("commit")
    assert suspended() == ["no"]


@test(targets=FOREBAY)
def who_goes_while_pause_waits_takes_it_back(lab: Lab) -> None:
    target = lab.target(options=USERS)

    def paused() -> list[str]:
        return [row["value"] for row in rows(target, "SHOW STATE") if row["key"] == "paused"]
    with target.connect() as client:
        client.run("begin")
        with target.connect("app", "forebay") as operator:
            operator.send(m.query("PAUSE"))
            wait_until(lambda: paused() == ["yes"], "it waits for the transaction")
        wait_until(lambda: paused() == ["no"], "it is taken back")
        with target.connect("app", "forebay") as operator:
            operator.send(m.query("PAUSE"))
            wait_until(lambda: paused() == ["yes"], "it waits for the transaction")
            assert console(target, "RESUME;\n").err == ""
            assert m.only(operator.until_ready(), b"E")[0].sqlstate == "57014"
        client.run("commit")
    console(target, "PAUSE;\n")
    assert paused() == ["yes"]
    console(target, "RESUME;\n")


@test(targets=FOREBAY)
def killed_disabled_enabled(lab: Lab) -> None:
    target = lab.target(options=USERS)
    with target.connect() as client:
        client.run("select 1")
        number = rows(target, "SHOW CLIENTS")[0]["id"]
        console(target, f"KILL_CLIENT {number};\n")
        wait_until(lambda: rows(target, "SHOW CLIENTS") == [], "it is gone")
    assert "42704" in console(target, "KILL_CLIENT 99999;\n").err
    with target.connect() as client:
        client.run("select 1")
        console(target, "KILL app;\n")
        assert rows(target, "SHOW CLIENTS") == [] and rows(target, "SHOW SERVERS") == []
    console(target, "RESUME app; DISABLE app;\n")
    refused = run(["psql", "-Xc", "select 1"], env=target.environment(), expect=2)
    assert "is disabled" in refused.err, refused
    console(target, "ENABLE app;\n")
    assert run(["psql", "-XAtc", "select 1"], env=target.environment()).out == "1\n"
    assert "3D000" in console(target, "PAUSE nobody;\n").err


NAMES = ('we"ird', "sp ace", "it's", "UPPER", "a;b", "é", "-- c", "all", "back\\s")


@test(targets=FOREBAY)
def names_that_need_quotes(lab: Lab) -> None:
    """Each is found by its own name, and nobody else is meant."""
    target = lab.target(options=USERS, databases={
        name: Database(dbname="app") for name in (*NAMES, "app", "upper", "sp", "a")})
    everybody = {name: lab.keep(target.connect(database=name))
                 for name in (*NAMES, "app", "upper", "sp", "a")}
    for name in NAMES:
        quoted = '"' + name.replace('"', '""') + '"'
        everybody[name].run("select 1")
        for command in ("RECONNECT", "PAUSE", "RESUME", "DISABLE", "ENABLE", "KILL", "RESUME"):
            done = console(target, f"{command} {quoted};\n")
            assert not done.err, (command, done)
            if command == "DISABLE":
                off = [row["name"] for row in rows(target, "SHOW DATABASES")
                       if row["disabled"] == "1"]
                assert off == [name], (name, off)
        everybody.pop(name).until_end()
        for other in everybody.values():
            assert other.value("select 1") == "1"


@test(targets=FOREBAY, params=("KILL_CLIENT", "KILL"))
def killed_in_the_middle_of_a_row(lab: Lab, command: str) -> None:
    """The connection is reset: an error message would be taken for the rest of the row."""
    target = lab.target(options=USERS)
    with target.connect() as client:
        client.send(m.query("select repeat('x', 100000000)"))
        begun = client.socket.recv(1000, socket.MSG_WAITALL)
        number = rows(target, "SHOW CLIENTS")[0]["id"]
        console(target, f"{command} {'app' if command == 'KILL' else number};\n")
        client.socket.settimeout(20)
        got = len(begun)
        try:
            while data := client.socket.recv(1 << 20):
                got += len(data)
                assert set(data) == {ord("x")}, data.strip(b"x")[:200]
        except ConnectionResetError:
            return
        raise LabError(f"{got} bytes, and then an orderly end")


@test(targets=FOREBAY)
def reloaded(lab: Lab) -> None:
    """The answer lists every change; a broken file changes nothing and says why."""
    target = lab.target(options=USERS)
    assert isinstance(target, Forebay)
    file = target.folder / "forebay.toml"
    good = file.read_text()
    assert "default_pool_size = " in good, good
    file.write_text(re.sub(r"default_pool_size = \d+", "default_pool_size = 77", good))
    done = console(target, "RELOAD;\n")
    assert "default_pool_size" in done.err and "-> 77" in done.err, done
    [size] = [row for row in rows(target, "SHOW CONFIG") if row["key"] == "default_pool_size"]
    assert size["value"] == "77", size
    file.write_text(good + "\nnonsense = 1\n")
    done = console(target, "RELOAD;\n", expect=None)
    assert "nonsense" in done.err and "forebay.toml:" in done.err, done
    [size] = [row for row in rows(target, "SHOW CONFIG") if row["key"] == "default_pool_size"]
    assert size["value"] == "77", size


@test(targets=FOREBAY)
def keys_are_set_until_the_next_reload(lab: Lab) -> None:
    """Judged as a reload is; SHOW CONFIG EXTENDED says where a value comes from."""
    target = lab.target(options=USERS, pool_size=2)
    done = console(target, "SET default_pool_size TO 1;\nSET databases.app.server_lifetime = 2h;\n")
    assert "[pool] default_pool_size: 2 -> 1 (at once)" in done.err, done
    assert "[databases.app] server_lifetime: not set -> \"2h\"" in done.err, done
    found = {row["key"]: row for row in rows(target, "SHOW CONFIG EXTENDED")}
    assert found["default_pool_size"]["value"] == "1", found
    assert found["default_pool_size"]["source"] == "SET", found
    assert "forebay.toml:" in found["listen"]["source"], found
    with target.connect() as one, target.connect() as two:
        one.run("begin")
        two.send(m.query("select 1"))
        wait_until(lambda: any(row["cl_waiting"] == "1" for row in rows(target, "SHOW POOLS")),
                   "there is one server connection for two")
        done = console(target, "SET default_pool_size = 0;\nSET defualt_pool_size = 3;\n"
                               "SET workers = 3;\nSET min_pool_size = 9;\nRELOAD;\n")
        for said in ("22023: SET: [pool] default_pool_size: 0 is out of range",
                     "42704: SET: unknown key \"defualt_pool_size\"; did you mean",
                     "55P02: SET: workers", "22023: SET: [pool] min_pool_size:",
                     "[pool] default_pool_size: 1 -> 2"):
            assert said in done.err, done
        assert "DataRow" in m.names(two.until_ready())


@test(targets=FOREBAY)
def shut_down(lab: Lab) -> None:
    target = lab.target(options=USERS)
    with target.connect() as client:
        client.run("begin; select 1")
        console(target, "SHUTDOWN WAIT_FOR_SERVERS;\n")
        client.run("commit")
    wait_until(lambda: not target.alive, "the process has ended")
    target.stop(check=False)


@test(targets=FOREBAY)
def shut_down_when_clients_have_left(lab: Lab) -> None:
    """They are served as before, new ones are not let in."""
    target = lab.target(options=USERS)
    with target.connect() as client:
        console(target, "SHUTDOWN WAIT_FOR_CLIENTS;\n")

        def refuses() -> bool:
            try:
                with Connection(target.address, 2):
                    return False
            except OSError:
                return True
        wait_until(refuses, "new clients are not let in")
        client.run("select 1")
        client.run("begin; select 2; commit")
        assert target.alive
    wait_until(lambda: not target.alive, "the process has ended")
    target.stop(check=False)


@test(targets=FOREBAY)
def pools_are_of_clients_that_came_in(lab: Lab) -> None:
    """Names that somebody tries make no pools."""
    target = lab.target(options=USERS)
    for password in ("wrong", ""):
        run(["psql", "-Xc", "select 1"], env=dict(target.environment(), PGPASSWORD=password),
            expect=2)
        run(["psql", "-Xc", "select 1", "nowhere"],
            env=dict(target.environment(), PGPASSWORD=password), expect=2)
    assert rows(target, "SHOW POOLS") == []
    with target.connect() as client:
        client.run("select 1")
        assert [row["database"] for row in rows(target, "SHOW POOLS")] == ["app"]
