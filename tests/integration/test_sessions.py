"""Sessions in transaction mode: what a client set, made or locked is there at its next statement,
whichever server connection that gets, and is nobody else's. Run directly, too: PostgreSQL itself is
the measure."""

from __future__ import annotations

import time
from contextlib import contextmanager, suppress
from typing import Iterator, Optional

from lab import messages as m
from lab import ports
from lab.declare import FOREBAY, MODES, POSTGRES_LIKE, test
from lab.lab import Lab
from lab.load import busy
from lab.process import wait_until
from lab.scrape import Scrape
from lab.target import Target
from lab.wire import Client, ServerError


@contextmanager
def crowd(lab: Lab, target: Target, clients: int = 2, **startup: str) -> Iterator[list[Client]]:
    """Some clients, and others that keep the same connections busy."""
    with busy(lab, target, clients=2):
        yield [lab.keep(target.connect(within=60, **startup)) for _ in range(clients)]


def sqlstate(client: Client, sql: str) -> str:
    try:
        client.run(sql)
    except ServerError as error:
        return error.sqlstate
    return "00000"


def lone(lab: Lab) -> Target:
    """One server connection: whoever keeps it keeps everybody waiting."""
    return lab.target(pool_size=1, options={"query_wait_timeout": "1s"}
                      if lab.kind == "forebay" else {})


def kept(target: Target) -> bool:
    """Whether some client keeps the only server connection between its transactions."""
    with target.connect() as other:
        state = sqlstate(other, "select 1")
    assert state in ("00000", "57014"), state
    return state == "57014"


# Settings.

@test(modes=MODES, targets=POSTGRES_LIKE)
def settings_follow_their_client(lab: Lab) -> None:
    target = lab.target(pool_size=8 if lab.variant.mode == "session" else 2)
    with crowd(lab, target, 3) as clients:
        for turn in range(12):
            for number, client in enumerate(clients):
                if turn % 4 == 0:
                    client.run(f"set work_mem = '{100 + 10 * turn + number}kB'")
                    client.run(f"set statement_timeout to {50_001 + number}")
                    client.run(f"set search_path = \"we\"\"ird {number}\", \"$user\", public")
                    client.run(f"set app.mine = 'it''s \\{number}'")
                    client.run(f"set time zone 'Etc/GMT+{number + 1}'")
            for number, client in enumerate(clients):
                assert client.value("show work_mem") == f"{100 + 10 * (turn // 4 * 4) + number}kB"
                assert client.value("show search_path") == f"\"we\"\"ird {number}\", \"$user\", public"
                assert client.rows("select current_setting('app.mine'), "
                                   "current_setting('statement_timeout'), "
                                   "current_setting('timezone')") == [
                    (f"it's \\{number}", f"{50_001 + number}ms", f"Etc/GMT+{number + 1}")]
    with target.connect() as fresh:
        assert fresh.value("show work_mem") == "4MB"
        assert fresh.value("show search_path") == '"$user", public'
        assert (fresh.value("select current_setting('app.mine', true)") or "") == ""


@test(targets=POSTGRES_LIKE)
def settings_by_function(lab: Lab) -> None:
    target = lab.target(pool_size=2)
    with crowd(lab, target) as (a, b):
        for turn in range(8):
            a.run(f"select set_config('work_mem', '{200 + turn}kB', false)")
            b.extended("select set_config($1, $2, $3)", ["work_mem", f"{300 + turn}kB", "false"])
            b.extended("select set_config($1, $2, $3)", ["app.gone", "x", "true"])
            a.run("select set_config('app.gone', 'x', true)")
            assert a.value("show work_mem") == f"{200 + turn}kB"
            assert b.value("show work_mem") == f"{300 + turn}kB"
            for client in (a, b):
                assert (client.value("select current_setting('app.gone', true)") or "") == ""


@test(targets=POSTGRES_LIKE)
def settings_go_back_with_their_transaction(lab: Lab) -> None:
    target = lab.target(pool_size=2)
    with crowd(lab, target, 1) as (client,):
        for _ in range(6):
            client.run("set work_mem = '101kB'")
            client.run("begin; set work_mem = '102kB'; set timezone = 'Asia/Tokyo'")
            client.run("rollback")
            assert client.value("show work_mem") == "101kB"
            client.run("begin")
            client.run("set work_mem = '103kB'")
            client.run("savepoint s; set work_mem = '104kB'")
            client.run("savepoint s; set work_mem = '105kB'")
            client.run("rollback to s")
            assert client.value("show work_mem") == "104kB"
            client.run("release s; rollback to s")
            client.run("commit")
            assert client.value("show work_mem") == "103kB"
            assert sqlstate(client, "set work_mem = '106kB'; select 1/0") == "22012"
            assert client.value("show work_mem") == "103kB"
            client.run("begin; set local work_mem = '107kB'")
            assert client.value("show work_mem") == "107kB"
            client.run("commit")
            assert client.value("show work_mem") == "103kB"
            client.run("begin")
            client.run("set work_mem = '108kB'")
            assert sqlstate(client, "select 1/0") == "22012"
            client.run("commit")                            # which rolls back
            assert client.value("show work_mem") == "103kB"
            assert sqlstate(client, "set work_mem = 'nonsense'") == "22023"
            assert sqlstate(client, "set no_such_parameter = 1") == "42704"
            assert client.value("show work_mem") == "103kB"
            assert client.value("show timezone") == client.parameters["TimeZone"]


@test(targets=POSTGRES_LIKE)
def settings_in_a_pipeline(lab: Lab) -> None:
    target = lab.target(pool_size=2)
    with crowd(lab, target, 1) as (client,):
        for turn in range(6):
            client.messages(m.parse("", f"set work_mem = '{110 + turn}kB'"), m.bind("", ""),
                            m.execute(""), m.sync())
            assert client.value("show work_mem") == f"{110 + turn}kB"
            answer = client.messages(m.parse("", "set work_mem = '64kB'"), m.bind("", ""),
                                     m.execute(""), m.parse("", "select 1/0"), m.bind("", ""),
                                     m.execute(""), m.sync())
            assert m.only(answer, b"E"), answer
            assert client.value("show work_mem") == f"{110 + turn}kB"


@test(modes=MODES, targets=POSTGRES_LIKE)
def reset_goes_back_to_the_start(lab: Lab) -> None:
    target = lab.target(pool_size=8 if lab.variant.mode == "session" else 2)
    with crowd(lab, target, 1, options="-c work_mem=3MB", datestyle="SQL, DMY") as (client,):
        for how in ("reset work_mem", "reset all", "set work_mem to default", "discard all"):
            for simple in (True, False):
                client.run("set work_mem = '111kB'; set maintenance_work_mem = '2MB'")
                client.run("set datestyle = 'German'")
                if simple:
                    client.run(how)
                else:
                    client.extended(how)
                assert client.value("show work_mem") == "3MB", how
                if how in ("reset all", "discard all"):
                    assert client.value("show maintenance_work_mem") == "64MB", how
                    assert client.value("show datestyle") == "SQL, DMY", how
        client.run("begin; set work_mem = '111kB'; reset work_mem")
        assert client.rows("reset work_mem; show work_mem; select 1; show datestyle") == [
            ("3MB",), ("1",), ("SQL, DMY",)]
        client.run("rollback")
        client.run("begin; set local work_mem = '111kB'; set local work_mem to default")
        assert client.value("show work_mem") == "3MB"
        client.run("commit")


@test(targets=POSTGRES_LIKE)
def discard_all_with_what_servers_report(lab: Lab) -> None:
    """The server reports application_name while the settings of the start are made anew."""
    target = lab.target(pool_size=3)
    with busy(lab, target):
        for turn in range(40):
            name = f"client {turn}"
            with target.connect(options="-c work_mem=3MB", application_name=name) as client:
                client.run("select 1")
                if turn % 2:
                    client.run("discard all")
                else:
                    client.extended("discard all")
                for _ in range(3):
                    rows = client.rows("select current_setting('work_mem'), "
                                       "current_setting('application_name')")
                    assert rows == [("3MB", name)], (turn, rows)


@test(targets=POSTGRES_LIKE)
def roles_follow_their_client(lab: Lab) -> None:
    target = lab.target(pool_size=2)
    lab.postgres.rows("drop role if exists actor; create role actor; grant actor to app", "app")
    with crowd(lab, target) as (a, b):
        for _ in range(8):
            a.run("set role actor")
            assert a.value("select current_user") == "actor"
            assert b.value("select current_user") == "app"
            a.run("begin; set local role none")
            assert a.value("select current_user") == "app"
            a.run("commit")
            assert a.value("select current_user") == "actor"
            a.run("reset role")
            assert a.value("select current_user") == "app"


@test(targets=POSTGRES_LIKE)
def settings_of_blocks(lab: Lab) -> None:
    """What a DO block sets is its client's, and nobody else's."""
    target = lab.target(pool_size=2)
    with crowd(lab, target) as (a, b):
        for number, statement in enumerate((
                "set work_mem = '{}kB'", "perform set_config('work_mem', '{}kB', false)",
                "execute 'set work_mem = ''{}kB'''")):
            a.run(f"do $$ begin {statement.format(101 + number)}; end $$")
            for _ in range(5):
                assert a.value("show work_mem") == f"{101 + number}kB"
                assert b.value("show work_mem") == "4MB"
        a.run("begin; do $$ begin set work_mem = '200kB'; end $$; rollback")
        assert a.value("show work_mem") == "103kB"
        a.close()
        for _ in range(5):
            assert b.value("show work_mem") == "4MB"


# Prepared statements, by SQL.

@test(targets=POSTGRES_LIKE)
def sql_prepared_statements(lab: Lab) -> None:
    target = lab.target(pool_size=2)
    with crowd(lab, target) as (a, b):
        a.run("prepare p (int) as select 'a', $1 + 1")
        b.run("prepare p (int) as select 'b', $1 + 2")
        assert sqlstate(a, "prepare p as select 1") == "42P05"
        for turn in range(10):
            assert a.rows(f"execute p({turn})") == [("a", str(turn + 1))]
            assert b.rows(f"/* x */ EXECUTE \"p\" ({turn})") == [("b", str(turn + 2))]
            assert len(a.rows("explain execute p(1)")) >= 1
            assert len(a.rows("explain create table made as execute p(1)")) >= 1
            # One namespace with the protocol's.
            assert a.messages(m.bind("", "p", [str(turn)]), m.execute(""), m.sync())
            answer = b.messages(m.bind("", "p", [str(turn)]), m.execute(""), m.sync())
            assert m.only(answer, b"D")[0].columns() == [b"b", str(turn + 2).encode()], answer
            b.messages(m.parse("q", "select $1::int * 2"), m.sync())
            assert b.rows(f"execute q({turn})") == [(str(2 * turn),)]
            b.run("begin")
            b.run("deallocate q")
            b.run("commit")
            assert sqlstate(b, "execute q(1)") == "26000"
        a.run("deallocate prepare p")
        assert sqlstate(a, "execute p(1)") == "26000"
        assert sqlstate(a, "deallocate p") == "26000"
        assert b.rows("execute p(1)") == [("b", "3")]
        a.run("prepare p as select 1; execute p; deallocate p")
        a.extended("prepare p as select 5")
        assert a.rows("execute p") == [("5",)]
        assert a.extended("execute p") == [("5",)]
        a.extended("deallocate p")
        assert sqlstate(a, "execute p") == "26000"
        b.run("deallocate all")
        assert sqlstate(b, "execute p(1)") == "26000"


@test(targets=POSTGRES_LIKE)
def what_sql_prepared_statements_do(lab: Lab) -> None:
    """EXECUTE does to the session what the statement does, whichever connection it runs on."""
    target = lab.target(pool_size=2)
    with crowd(lab, target) as (a, b):
        a.run("prepare sets as select set_config('work_mem', '321kB', false)")
        a.run("prepare sets_any (text) as select set_config('app.any', $1, false)")
        a.messages(m.parse("proto", "select set_config('app.proto', $1, false)", [25]),
                   m.parse("plain", "set statement_timeout = '77s'"), m.sync())
        a.run("prepare locks as select pg_advisory_lock(4711)")
        a.run("prepare part as select 42 as n")
        for client in (a, b):
            assert client.value("show work_mem") == "4MB"
        a.run("begin; execute sets; rollback")
        assert a.value("show work_mem") == "4MB"
        a.run("explain execute sets")
        assert a.value("show work_mem") == "4MB"
        a.run("execute sets")
        a.extended("execute locks")
        a.messages(m.bind("", "proto", ["p"]), m.execute(""), m.sync())
        for _ in range(10):
            assert a.value("show work_mem") == "321kB"
            assert a.value("select current_setting('app.proto')") == "p"
            assert b.value("show work_mem") == "4MB"
            assert b.value("select pg_try_advisory_lock(4711)") == "f"
            assert a.value("select pg_try_advisory_lock(4711)") == "t"
        a.run("execute sets_any('x')")
        a.run("execute plain")
        a.run("create temp table made as execute part")
        for _ in range(10):
            assert a.value("select current_setting('app.any')") == "x"
            assert a.value("show statement_timeout") == "77s"
            assert a.value("select n from made") == "42"
            assert (b.value("select current_setting('app.any', true)") or "") == ""
            assert b.value("show statement_timeout") == "0"


@test(targets=POSTGRES_LIKE)
def read_in_another_way(lab: Lab) -> None:
    """A text is read as the settings say that hold when the server reads it, also when it is sent
    together with what changes them."""
    target = lab.target(pool_size=1)
    quoted = "select 'a\\'' ; set work_mem = 123 --'"
    called = "select 'a\\'' , set_config($$work_mem$$, $$123$$, false) --'"
    off = "set standard_conforming_strings = off"

    def extended(sql: str) -> list[bytes]:
        return [m.parse("", sql), m.bind("", ""), m.execute("")]
    for answers, pieces in (
            (2, [m.query(off), m.query(quoted)]),
            (1, [*extended(off), *extended(called), m.sync()]),
            (2, [*extended(off), m.sync(), *extended(called), m.sync()])):
        with target.connect() as client:
            client.send(*pieces)
            for _ in range(answers):
                assert not m.only(client.read_until(b"Z"), b"E")
            assert client.value("show work_mem") == "123kB"
        with target.connect() as other:
            assert other.value("show work_mem") == "4MB", pieces


@test(targets=POSTGRES_LIKE)
def a_prepare_that_fails(lab: Lab) -> None:
    """Another client has prepared the same: a PREPARE that fails takes it from nobody."""
    target = lab.target(pool_size=1)
    with target.connect() as a, target.connect() as b:
        a.run("create table going (n int)")
        a.run("prepare p as select count(*) from going")
        a.run("drop table going")
        assert sqlstate(b, "prepare p as select count(*) from going") == "42P01"
        a.run("create table going (n int)")
        assert a.value("execute p") == "0"
        b.run("prepare p as select count(*) from going")


@test(targets=POSTGRES_LIKE)
def positions_of_errors(lab: Lab) -> None:
    """They speak of the client's own text, whatever was put into what the server saw."""
    target = lab.target(pool_size=2)
    with target.connect(options="-c work_mem=3MB") as client:
        client.run("prepare p as select 1")
        for sql in ("execute p; select nonsense", "reset work_mem; select nonsense",
                    "deallocate p; select nonsense", "select nonsense; reset work_mem"):
            error = client.error(m.query(sql))
            position = int(error.fields()["P"])
            assert sql[position - 1:].startswith("nonsense"), (sql, error.fields())


# What keeps a server connection, and until when.

@test(targets=FOREBAY)
def temporary_tables_keep_the_connection(lab: Lab) -> None:
    target = lone(lab)
    with target.connect() as client:
        for make, end in (("create temp table t (n int)", "drop table t"),
                          ("select 1 as n into temp t", "discard temp"),
                          ("create temporary view t as select 1 as n", "drop view t"),
                          ("do $$ begin create temp table t (n int); end $$", "discard all"),
                          ("begin; create temp table t (n int)", "rollback")):
            client.run(make)
            client.run("select n from t")
            if end != "rollback":
                assert kept(target), make
            client.run("select n from t")
            client.run(end)
            assert not kept(target), end
            assert sqlstate(client, "select n from t") == "42P01"
        client.run("begin; create temp table t (n int) on commit drop; commit")
        assert not kept(target)
        client.run("do $$ begin perform 1; end $$")
        assert not kept(target)
        client.run("create temp table t (n int)")
    wait_until(lambda: not kept(target), "the connection is free again")
    with target.connect() as other:
        assert sqlstate(other, "select n from t") == "42P01"


@test(targets=FOREBAY)
def held_cursors_keep_the_connection(lab: Lab) -> None:
    target = lone(lab)
    with target.connect() as client:
        client.run("declare c cursor with hold for select generate_series(1, 3)")
        assert kept(target)
        assert client.rows("fetch 2 from c") == [("1",), ("2",)]
        client.run("close c")
        assert not kept(target)
        client.run("begin; declare c cursor for select 1; fetch c; commit")
        assert not kept(target)
        client.run("begin; declare c cursor with hold for select 1; rollback")
        assert not kept(target)
        client.run("declare c cursor with hold for select 1")
    wait_until(lambda: not kept(target), "the connection is free again")
    with target.connect() as other:
        assert sqlstate(other, "fetch c") == "34000"


@test(targets=FOREBAY)
def advisory_locks_keep_the_connection(lab: Lab) -> None:
    target = lone(lab)
    held = "select count(*) from pg_locks where locktype = 'advisory'"
    with target.connect() as client:
        client.run("select pg_advisory_lock(7), pg_advisory_lock(7), pg_try_advisory_lock(1, 2)")
        assert kept(target)
        client.run("select pg_advisory_unlock(7)")
        assert kept(target)
        client.extended("select pg_advisory_unlock($1::bigint)", ["7"])
        assert kept(target)
        client.run("select pg_advisory_unlock(1, 2)")
        assert not kept(target)
        client.run("begin; select pg_advisory_xact_lock(9); commit")
        assert not kept(target)
        client.run("select pg_advisory_lock(8)")
        assert lab.postgres.value(held, "app") == "1"
        client.run("select pg_advisory_unlock(8)")
        # No rollback gives them back.
        for text in ("select pg_advisory_lock(8), 1 / (n - n) from generate_series(1, 1) n",
                     "do $$ begin perform pg_advisory_lock(8); raise 'no'; end $$"):
            assert not kept(target)
            with suppress(ServerError):
                client.run(text)
            assert kept(target), text
            client.run("select pg_advisory_unlock(8)")
        client.run("select pg_advisory_lock(8)")
    wait_until(lambda: lab.postgres.value(held, "app") == "0", "the lock is gone with its client")
    assert not kept(target)


@test(modes=MODES, targets=POSTGRES_LIKE)
def notifications_name_their_sender(lab: Lab) -> None:
    """By the process id that the sender was told at login, as drivers' own tests compare them."""
    with crowd(lab, lab.target(pool_size=8), 3) as clients:
        for client in clients:
            client.run("listen bell")
        for client in clients[1:]:
            client.run("unlisten bell")
        for sender in (*clients, *reversed(clients)):
            for text in ("notify bell", "begin; select pg_notify('bell', 'x'); commit"):
                answer = sender.messages(m.query(text))
                told = m.only(answer, b"A") if sender is clients[0] else []
                while not told:
                    told = m.only(clients[0].messages(m.query("select")), b"A")
                assert told[0].body[:4] == sender.process_id.to_bytes(4, "big"), told


@test(targets=FOREBAY)
def listening_keeps_the_connection(lab: Lab) -> None:
    target = lone(lab)
    with target.connect() as client:
        client.run("listen bell")
        lab.postgres.rows("select pg_notify('bell', 'ding')", "app")
        notification = client.read_until(b"A")[-1]
        assert notification.body[4:] == b"bell\0ding\0", notification
        client.run("unlisten bell")
        assert not kept(target)
        client.run("begin; listen bell; rollback")
        assert not kept(target)
        client.run("listen bell")
    wait_until(lambda: not kept(target), "the connection is free again")


def told(client: Client) -> tuple[int, str]:
    """The next notification: its sender, and channel with payload."""
    body = client.read_until(b"A")[-1].body
    return int.from_bytes(body[:4], "big"), body[4:].replace(b"\0", b" ").decode().strip()


@test(targets=FOREBAY)
def listening_costs_no_connection(lab: Lab) -> None:
    """With shared_listen: one connection more listens for everybody."""
    target = lab.target(pool_size=1, options={"shared_listen": True, "query_wait_timeout": "1s"})
    clients = [lab.keep(target.connect(within=60)) for _ in range(5)]
    wide = "w" * 70
    for number, client in enumerate(clients):
        client.run(f'listen bell; listen "Own {number}é"')
        client.messages(m.parse("", f"listen {wide}"), m.bind("", ""), m.execute(""), m.sync())
    assert not kept(target)
    assert clients[0].rows("select pg_listening_channels()") == []
    listening = "select count(*) from pg_stat_activity where application_name = 'forebay listen'"
    assert lab.postgres.value(listening) == "1"
    lab.postgres.rows(f"select pg_notify('bell', 'it''s'), pg_notify('{wide[:63]}', '')", "app")
    for client in clients:
        assert [told(client)[1] for _ in range(2)] == ["bell it's", wide[:63]]
    lab.postgres.rows("select pg_notify('Own 3é', 'ü')", "app")
    assert told(clients[3])[1] == "Own 3é ü"
    # Each sender by the id that it knows as its own, in the order of the commits.
    for sender in clients:
        for number, text in (("1", "notify bell, '1'"),
                             ("2", "begin; select pg_notify('bell', '2'); commit")):
            own = m.only(sender.messages(m.query(text)), b"A")
            assert [message.body[:4] for message in own] == [sender.process_id.to_bytes(4, "big")]
            for listener in clients:
                if listener is not sender:
                    assert told(listener) == (sender.process_id, f"bell {number}")
    # Nothing within a transaction.
    clients[0].run("begin")
    lab.postgres.rows("select pg_notify('bell', 'late')", "app")
    assert [told(client)[1] for client in clients[1:]] == ["bell late"] * 4
    assert not m.only(clients[0].messages(m.query("select 1")), b"A")
    clients[0].send(m.query("commit"))
    assert told(clients[0])[1] == "bell late"
    # The listening connection is lost, and comes back.
    lab.postgres.rows("select pg_terminate_backend(pid) from pg_stat_activity where "
                      "application_name = 'forebay listen'")
    for client in clients:
        assert client.read_until(b"N")[-1].fields()["C"] == "01000"
    lab.postgres.rows("select pg_notify('bell', 'back')", "app")
    assert [told(client)[1] for client in clients] == ["bell back"] * 5
    clients[0].run("discard all")
    clients[1].run("unlisten *")
    clients[2].run("begin; unlisten bell; rollback")
    lab.postgres.rows("select pg_notify('bell', 'end')", "app")
    assert [told(client)[1] for client in clients[2:]] == ["bell end"] * 3
    for client in clients[:2]:
        assert not m.only(client.messages(m.query("select 1")), b"A")


@test(targets=FOREBAY)
def notifications_come_once_and_in_order(lab: Lab) -> None:
    """With shared_listen, whichever connections the senders get; own ones among them."""
    target = lab.target(pool_size=3, options={"shared_listen": True})
    with crowd(lab, target, 4) as (listener, *senders):
        listener.run("listen bell")
        heard = []

        def send(number: int) -> None:
            for turn in range(60):
                text = f"notify bell, '{number} {turn}'"
                if number < 3:
                    senders[number].run(text)
                else:
                    answer = m.only(listener.messages(m.query(text)), b"A")
                    own = listener.process_id.to_bytes(4, "big")
                    heard.extend(message.body[4:] for message in answer)
                    assert [message.body[4:] for message in answer if message.body[:4] == own] == [
                        f"bell\0{number} {turn}\0".encode()]

        lab.in_parallel(4, send)
        while len(heard) < 240:
            heard.append(listener.read_until(b"A")[-1].body[4:])
        for number in range(4):
            mine = [text for text in heard if text.startswith(f"bell\0{number} ".encode())]
            assert mine == [f"bell\0{number} {turn}\0".encode() for turn in range(60)], mine


CHANNELS = ('a"b', "it's", "back\\slash", "a; b", "UPPER", "sp ace", "é", "-- x", "$1", "select")
PAYLOADS = ("", "it's", 'qu"ote', "back\\slash", "new\nline", "é", "x" * 7999, "%s", "$1", "\x01")


@test(targets=POSTGRES_LIKE, params=("own", "shared"))
def notifications_come_as_they_were_sent(lab: Lab, how: str) -> None:
    target = lab.target(options={"shared_listen": how == "shared"}, pool_size=4)
    with target.connect() as listener, target.connect() as sender:
        quoted = {channel: channel.replace('"', '""') for channel in CHANNELS}
        for channel in CHANNELS:
            listener.run(f'listen "{quoted[channel]}"')
        for channel in CHANNELS:
            for payload in PAYLOADS:
                sender.extended("select pg_notify($1, $2)", [channel, payload])
                doubled = payload.replace("'", "''")
                sender.run(f"notify \"{quoted[channel]}\", '{doubled}'")
                for _ in range(2):
                    body = listener.read_until(b"A")[-1].body[4:]
                    assert body == f"{channel}\0{payload}\0".encode(), (channel, body)
        for channel in CHANNELS[:3]:
            listener.run(f'unlisten "{quoted[channel]}"')
            sender.run(f'notify "{quoted[channel]}"')
        sender.run("notify \"UPPER\", 'last'")
        assert told(listener)[1] == "UPPER last"


@test(targets=FOREBAY)
def notifications_without_end(lab: Lab) -> None:
    """With shared_listen: what waits for one client has a bound, and what is dropped is told and
    counted; channels of others take nothing of it."""
    http = ports.claim()
    target = lab.target(options={"shared_listen": True, "http": f"127.0.0.1:{http}"})
    with target.connect() as busy, target.connect() as idle, target.connect() as noisy:
        busy.run("listen bell")
        idle.run("listen bell")
        noisy.run("listen noise")

        def ring(channel: str, count: int, listener: Client) -> None:
            """One by one, and `listener` has heard it."""
            for number in range(count):
                text = f"{number} ".ljust(7900, "x")
                lab.postgres.rows(f"select pg_notify('{channel}', '{text}')", "app")
                assert told(listener)[1] == f"{channel} {text}"

        busy.run("begin; set work_mem = '1MB'")
        ring("noise", 200, noisy)
        ring("bell", 2, idle)
        answer = busy.messages(m.query("commit"))
        while len(m.only(answer, b"A")) < 2:
            answer += busy.read_until(b"A", b"N")
            assert not m.only(answer, b"N"), answer[-1]
        assert Scrape(http).sum("notifications_dropped_total") == 0
        busy.run("begin")
        ring("bell", 200, idle)
        answer = busy.messages(m.query("commit"))
        if not m.only(answer, b"N"):
            answer += busy.read_until(b"N")
        warning, = m.only(answer, b"N")
        numbers = [int(message.body[4:].split(b"\0")[1].split()[0])
                   for message in m.only(answer, b"A")]
        assert numbers == list(range(len(numbers))) and 100 < len(numbers) < 140, numbers
        lost = f"{200 - len(numbers)} notifications were lost"
        assert warning.fields()["C"] == "01000" and lost in warning.text, warning
        assert Scrape(http).sum("notifications_dropped_total") == 200 - len(numbers)
        ring("bell", 1, busy)


@test(targets=FOREBAY)
def session_state_is_refused(lab: Lab) -> None:
    """With on_session_state: what would keep a connection does not get it; the rest is as ever."""
    target = lab.target(pool_size=1, user_options={"app": {"on_session_state": "error"}},
                        options={"on_session_state": "warn", "query_wait_timeout": "1s"})
    with target.connect() as client:
        for text in ("create temp table t (n int)", "select pg_advisory_lock(1)", "listen bell"):
            answer = client.messages(m.query(text))
            error = m.only(answer, b"E")[0].fields()
            assert error["C"] == "0A000" and "(set in [users.app])" in error["M"], error
            assert "session mode" not in error["M"] and error["H"], error
        client.run("begin")
        assert sqlstate(client, "select pg_advisory_lock(1)") == "0A000"
        assert sqlstate(client, "select 1") == "25P02"
        client.run("rollback")
        answer = client.messages(m.parse("", "select pg_advisory_lock($1)"), m.bind("", "", ["1"]),
                                 m.execute(""), m.sync())
        assert m.only(answer, b"E")[0].fields()["C"] == "0A000", answer
        assert client.value("select count(*) from pg_locks where locktype = 'advisory'") == "0"
        client.run("begin; create temp table t (n int) on commit drop; commit")
        assert not kept(target)
        answer = client.messages(m.query("do $$ begin create temp table t (n int); end $$"))
        warning = m.only(answer, b"N") or [client.read_until(b"N")[-1]]
        assert warning[0].fields()["C"] == "01000", warning
        assert kept(target)


@test(targets=FOREBAY)
def cleaning_leaves_others_statements(lab: Lab) -> None:
    """A session that made temporary things is cleaned of these, not of what clients share."""
    target = lab.target(pool_size=1)
    with target.connect() as client:
        client.messages(m.parse("s", "select 'shared'"), m.sync())
        assert client.messages(m.bind("", "s"), m.execute(""), m.sync())
    with target.connect() as client:
        client.run("create temp table t (n int); select pg_advisory_lock(5)")
    with target.connect() as client:
        assert sqlstate(client, "select n from t") == "42P01"
        assert client.value("select count(*) from pg_catalog.pg_prepared_statements where statement = "
                            "'select ''shared'''") == "1"


@test(targets=POSTGRES_LIKE)
def currval_is_the_sessions_own(lab: Lab) -> None:
    """From its first use on."""
    target = lab.target(pool_size=2)
    with target.connect() as client:
        client.run("drop sequence if exists numbers; create sequence numbers")
        for client_turn in range(3):
            client.run("begin; select nextval('numbers'); select currval('numbers'); commit")
            assert client.value("select nextval('numbers')") == client.value(
                "select currval('numbers')")
            assert client.value("select lastval()") == client.value("select currval('numbers')")


@test(targets=POSTGRES_LIKE)
def numbers_taken_are_the_sessions_own(lab: Lab) -> None:
    """INSERT, and lastval in a statement of its own, as many libraries do it, while others insert
    by the same connections: a client is told its own number, or that it is not known."""
    with lab.direct().connect() as owner:
        owner.run("create table counted (id serial, who text); create table bare (who text)")
    target = lab.target(pool_size=2)
    known = 0
    with busy(lab, target, clients=3, sql="insert into counted (who) values ('another');\n"):
        wait_until(lambda: lab.postgres.value("select count(*) > 100 from counted", "app") == "t",
                   "the others insert")
        for number in range(30):
            with target.connect(within=60) as client:
                if number % 3 == 2:
                    # Another's number would be the only one to tell.
                    client.run("insert into bare values ('mine')")
                    assert sqlstate(client, "select lastval()") == "55000"
                    continue
                client.run(f"insert into counted (who) values ('{number}')")
                try:
                    told = client.value("select lastval()" if number % 3 == 0
                                        else "select currval('counted_id_seq')")
                except ServerError as error:
                    assert error.sqlstate == "55000" and "INSERT ... RETURNING" in repr(error)
                    continue
                known += 1
                assert told == client.value(f"select id from counted where who = '{number}'")
    assert known > 0


@test(targets=FOREBAY)
def numbers_that_functions_ask_for_are_the_sessions_own(lab: Lab) -> None:
    """currval and lastval in what statements run, without saying so: never another's."""
    with lab.direct().connect() as owner:
        owner.run("create sequence drawn; create table bydefault (x int default currval('drawn')); "
                  "create table checked (x int check (x <= currval('drawn'))); "
                  "create function last_drawn() returns bigint language plpgsql as $$ begin "
                  "return lastval(); end $$; create view drawn_now as select currval('drawn') as x")
    draw = "select nextval('drawn')"
    target = lab.target(pool_size=1)
    with target.connect() as client, target.connect() as other:
        for sql in ("insert into bydefault default values returning x", "select last_drawn()",
                    "select x from drawn_now"):
            assert client.value(draw) == client.value(sql)
            client.run("begin")
            assert client.value(draw) == client.value(sql)
            client.run("commit")
            client.value(draw)
            other.value(draw)
            assert sqlstate(client, sql) == "55000", sql
        client.value(draw)
        other.value(draw)
        assert sqlstate(client, "insert into checked values (1)") == "55000"


@test(targets=POSTGRES_LIKE)
def databases_that_every_client_has_left_are_in_nobodys_way(lab: Lab) -> None:
    """Our idle connections are not in the way of those who drop, rename or copy a database; clients
    are, even if they are idle."""
    target = lab.target(wildcard=True, users={"app": "app-secret", "postgres": "postgres-secret"},
                        options={"min_pool_size": 1} if lab.kind == "forebay" else {})

    def visit(database: str) -> None:
        with target.connect("app", database) as one, target.connect("app", database) as two:
            one.run("begin")
            two.run("select 1")
            one.run("commit")
    with target.connect("postgres") as owner:
        owner.run("create database comes")
        visit("comes")
        owner.run("alter database comes rename to goes")
        visit("goes")
        owner.run("create database copied template goes")
        visit("goes")
        owner.run("drop database goes")
        owner.run("create database comes")
        with target.connect("app", "comes") as idle:
            idle.run("select 1")
            assert sqlstate(owner, "drop database comes") == "55006"
            idle.run("select 1")


def ended_by(client: Client) -> str:
    client.send(m.query("select 1"))
    answer = client.read_until(b"E")[-1]
    assert answer.fields()["S"] == "FATAL", answer
    return answer.sqlstate


ROLE_CHANGES = {
    "renamed": ("alter role tmp_role rename to tmp_was", "create role tmp_role login password 'two'"),
    "another_word": ("alter user tmp_role rename to tmp_was",
                     "create user tmp_role password 'two'"),
    "dropped": ("drop owned by tmp_role", "drop role if exists tmp_role, tmp_nobody",
                "create role tmp_role login password 'two'"),
    "one_transaction": ("begin; savepoint s; alter role tmp_role rename to tmp_was",
                        "create role tmp_role login password 'two'", "release s", "commit"),
}


@test(modes=("transaction", "session"), entries=("run", "serve"), targets=FOREBAY,
      params=ROLE_CHANGES)
def a_name_of_another_role_is_another_login(lab: Lab, name: str) -> None:
    """Nothing that the old role has logged in serves who logs in by its name later, in whatever
    database; what is in a transaction is the old role's until its end."""
    server = lab.private_postgres()
    for sql in ("create role tmp_role login password 'one'", "create table secret (a text)",
                "insert into secret values ('of the old')", "grant all on secret to tmp_role"):
        server.rows(sql, "app")
    target = lab.target(server, auth="server", users={}, pool_size=4)
    for database in ("app", "other"):
        with target.connect("tmp_role", database, password="one") as old:
            old.run("select 1")
    with target.connect("tmp_role", password="one") as busy:
        busy.run("begin; select 1")
        with target.connect("postgres") as owner:
            for sql in ROLE_CHANGES[name]:
                owner.run(sql)
        for database in ("app", "other", "app"):
            with target.connect("tmp_role", database, password="two") as new:
                assert new.value("select current_user") == "tmp_role"
                assert new.value("select count(*) from pg_roles where oid = "
                                 "(select usesysid from pg_stat_activity "
                                 "where pid = pg_backend_pid())") == "1"
                new.run("create temp table t (a int)")
                if database == "app":
                    assert sqlstate(new, "select * from secret") == "42501"
        busy.run("commit")
        if lab.variant.mode == "transaction":
            assert ended_by(busy) == "57P01"


@test(modes=("transaction",), targets=FOREBAY)
def a_role_dropped_past_us(lab: Lab) -> None:
    """The server connection that shows that its role is gone serves nobody else."""
    server = lab.private_postgres()
    server.rows("create role tmp_role login password 'one'")
    target = lab.target(server, users={"tmp_role": "one"}, pool_size=1)
    with target.connect("tmp_role", password="one") as client:
        client.run("select 1")
        server.rows("drop role tmp_role")
        server.rows("create role tmp_role login password 'one'")
        assert sqlstate(client, "select current_user") == "42704"
        assert client.value("select current_user") == "tmp_role"


@test(modes=("transaction",), targets=FOREBAY)
def a_role_that_keeps_its_name_keeps_its_sessions(lab: Lab) -> None:
    """A change that is rolled back, to a savepoint or whole, is none; nor one of another role."""
    server = lab.private_postgres()
    server.rows("create role tmp_role login password 'one'")
    target = lab.target(server, users={"postgres": "postgres-secret", "tmp_role": "one"},
                        pool_size=1)
    with target.connect("tmp_role", password="one") as client, target.connect("postgres") as owner:
        process = client.value("select pg_backend_pid()")
        for sql in ("begin; drop role tmp_role; rollback",
                    "begin; savepoint s; drop role tmp_role; rollback to s; commit",
                    "begin; alter role tmp_role rename to tmp_was; select 1/0",
                    "rollback", "create role tmp_another", "drop role tmp_another",
                    "alter role tmp_role set work_mem = '5MB'"):
            sqlstate(owner, sql)
        assert client.value("select pg_backend_pid()") == process
        owner.run("drop role tmp_role")
        assert ended_by(client) == "57P01"


@test(targets=POSTGRES_LIKE)
def statements_are_shared_by_meaning(lab: Lab) -> None:
    """A constant is read with the settings of the session that prepares it."""
    target = lab.target(pool_size=1)
    sql = "select extract(epoch from '2023-01-01 12:00'::timestamptz)::bigint"
    with target.connect(timezone="UTC") as utc, target.connect(timezone="Asia/Tokyo") as tokyo:
        for client in (utc, tokyo):
            client.messages(m.parse("s", sql), m.sync())
        for _ in range(3):
            for client, hours in ((utc, 0), (tokyo, 9)):
                answer = client.messages(m.bind("", "s"), m.execute(""), m.sync())
                assert m.only(answer, b"D")[0].columns() == [
                    str(1672574400 - 3600 * hours).encode()], answer
        utc.run("set timezone = 'Asia/Tokyo'")
        utc.messages(m.close_statement("s"), m.parse("s", sql), m.sync())
        answer = utc.messages(m.bind("", "s"), m.execute(""), m.sync())
        assert m.only(answer, b"D")[0].columns() == [b"1672542000"], answer


@test(targets=POSTGRES_LIKE, params=("named", "sql"))
def statements_by_local_settings_are_shared_by_meaning(lab: Lab, how: str) -> None:
    """The same where SET LOCAL and set_config(..., true) said how, for one transaction."""
    target = lab.target(pool_size=1)
    sql = "select extract(epoch from '2023-01-01 12:00'::timestamptz)::bigint"
    utc, tokyo = ("1672574400",), ("1672542000",)

    def prepare(client: Client, name: str = "s") -> None:
        if how == "sql":
            client.run(f"prepare {name} as {sql}")
        else:
            client.messages(m.parse(name, sql), m.sync())

    def run(client: Client, name: str = "s") -> tuple[Optional[str], ...]:
        if how == "sql":
            return client.rows(f"execute {name}")[0]
        return client.extended("", name=name, prepare=False)[0]

    def clients() -> Iterator[Client]:
        while True:
            yield lab.keep(target.connect(timezone="UTC"))

    fresh = clients()
    for way in ("set local timezone = 'Asia/Tokyo'",
                "select set_config('timezone', 'Asia/Tokyo', true)",
                "select set_config('TimeZone', 'Asia/' || 'Tokyo', true)",
                "savepoint a; set local timezone = 'Europe/Rome'; rollback to a; "
                "set local timezone = 'Asia/Tokyo'"):
        client = next(fresh)
        client.run(f"begin; {way}")
        prepare(client)
        assert run(client) == tokyo, way
        client.run("commit")
        for name in "st":
            other = next(fresh)
            prepare(other, name)
            assert run(other, name) == utc, way
        assert run(client) == tokyo, way
    # All of it at once.
    client = next(fresh)
    pieces = [m.query(f"begin; set local timezone = 'Asia/Tokyo'; prepare s as {sql}"),
              m.query("commit")] if how == "sql" else [
        m.query("begin; set local timezone = 'Asia/Tokyo'"), m.parse("s", sql), m.sync(),
        m.query("commit"), m.parse("t", sql), m.sync()]
    client.messages(*pieces, readies=len([piece for piece in pieces if piece[:1] in b"QS"]))
    assert run(client) == tokyo
    if how == "named":
        assert run(client, "t") == utc
    other = next(fresh)
    prepare(other)
    assert run(other) == utc


@test(targets=POSTGRES_LIKE)
def types_by_local_search_path(lab: Lab) -> None:
    """The same name means one type in each schema: the type of a parameter is the statement's."""
    target = lab.target(pool_size=1)
    with target.connect() as a, target.connect() as b:
        for name in ("here", "there"):
            a.run(f"drop schema if exists {name} cascade; create schema {name}; "
                  f"create type {name}.mood as enum ('{name}')")
        for _ in range(3):
            for client, name in ((a, "here"), (b, "there")):
                client.run(f"begin; set local search_path = {name}")
                client.messages(m.parse("s", "select $1::mood::text"), m.sync())
                answer = client.messages(m.bind("", "s", [name]), m.execute(""),
                                         m.close_statement("s"), m.sync())
                assert m.only(answer, b"D")[0].columns() == [name.encode()], answer
                client.run("commit")
        a.run("drop schema here cascade; drop schema there cascade")


@test(targets=POSTGRES_LIKE)
def half_a_date_style(lab: Lab) -> None:
    """pgjdbc begins with "ISO", which says nothing about the order of day and month."""
    target = lab.target(pool_size=1)
    date = "select '01/02/2024'::date::text"
    with target.connect() as sql, target.connect(DateStyle="ISO") as iso:
        for begins in ("ISO", "Iso"):                         # the second one is not known yet
            sql.run("set datestyle = 'SQL, DMY'")
            assert iso.value(date) == "2024-01-02"
            sql.run("select 1")
            with target.connect(DateStyle=begins) as other:
                assert other.parameters["DateStyle"] == "ISO, MDY"
                assert other.value(date) == "2024-01-02"
            assert sql.value(date) == "01/02/2024"
            assert sql.value("show datestyle") == "SQL, DMY"
        for text in ("set datestyle = 'DMY'", "set datestyle = 'ISO'",
                     "begin; set datestyle = 'SQL'; rollback"):
            sql.run("set datestyle = 'ISO, DMY'")
            sql.run(text)
            iso.run("set datestyle = 'ISO, YMD'")
            assert sql.value(date) == "2024-02-01", text
            iso.run("reset datestyle")
            assert iso.value("show datestyle") == "ISO, MDY"


@test(targets=FOREBAY)
def nothing_runs_as_somebody_else(lab: Lab) -> None:
    """A role that is gone meanwhile: the statement does not run without it."""
    target = lab.target(pool_size=1)
    lab.postgres.rows("drop role if exists passing; create role passing; grant passing to app",
                      "app")
    with target.connect() as client, target.connect() as other:
        schema = client.value("select current_schema()")
        client.run("create table if not exists runs (who text); truncate runs; "
                   f"grant all on runs to public; grant usage on schema {schema} to public; "
                   f"set search_path = {schema}")
        client.run("set role passing")
        client.run("insert into runs values (current_user)")
        other.run("select 1")
        lab.postgres.rows("drop role passing", "app")
        assert sqlstate(client, "insert into runs values (current_user)") == "22023"
        assert client.rows(f"select who from {schema}.runs") == [("passing",)]
        assert client.value("select current_user") == "app"


@test(targets=FOREBAY, params=("named", "sql"))
def who_changes_settings_changes_nobodys_statements(lab: Lab, how: str) -> None:
    """A statement is parsed by the settings of its time. Who changes these later, and then needs it
    where it is not, must not leave it there for those who did not."""
    text = "select '01/02/2003'::date::text"
    target = lab.target(pool_size=1, options={"max_prepared_statements": 1})

    def dated(client: Client) -> list[tuple[Optional[str], ...]]:
        if how == "sql":
            return client.rows("execute dated")
        return client.extended("", name="dated", prepare=False)

    with target.connect() as changes, target.connect() as stays, target.connect() as other:
        for client in (changes, stays):
            client.run("set datestyle = 'ISO, DMY'")
            if how == "sql":
                client.run(f"prepare dated as {text}")
            else:
                client.messages(m.parse("dated", text), m.sync())
        changes.run("set datestyle = 'ISO, MDY'")
        for turn in range(3):
            other.messages(m.parse(f"s{turn}", f"select {turn}"), m.sync())
            dated(changes)
            assert dated(stays) == [("2003-02-01",)]


CALL = "set_config('work_mem', '1MB', false)"


@test(targets=POSTGRES_LIKE, params={
    "case": f"select case when now() is null then {CALL} end",
    "cte": f"with a as (select {CALL}) select 1",
    "or": f"select true or {CALL} = ''",
    "count": f"select count(*) from (select {CALL} where false) t",
    "limit": f"select {CALL} limit 0",
    "where": f"select 1 where {CALL} = ''",
    "default": f"create table made as select 1; alter table made add b text default {CALL}",
    "explain": f"explain analyze select {CALL} where false",
    "no_data": f"create table made as select {CALL} with no data",
    "prepared": f"prepare p as select {CALL}; create table made as execute p with no data"})
def calls_of_set_config(lab: Lab, which: str) -> None:
    """Some are made, some not, and the text does not tell: the session is as it is directly, and
    nobody else meets what it set."""
    sql = calls_of_set_config.declaration.params[which]       # type: ignore
    seen = []
    for target in (lab.direct(), lab.target(pool_size=2)):
        with target.connect() as client, target.connect() as same, target.connect() as other:
            client.run("set work_mem = '3MB'")
            same.run("set work_mem = '1MB'")
            client.run(sql)
            for _ in range(3):
                assert same.value("show work_mem") == "1MB"
                assert other.value("show work_mem") == "4MB"
                seen.append(client.value("show work_mem"))
            client.run("drop table if exists made")
    assert seen[:3] == seen[3:]


# Temporary tables on a server connection that has had some before.

SHADOW = "select string_agg(a, ',') from shadow"


def made_before(target: Target, *others: str) -> None:
    with target.connect() as before:
        before.run("create temp table made_before (n int); insert into made_before values (1)")
        for sql in others:
            before.run(sql)


@test(modes=MODES, targets=POSTGRES_LIKE, params=("simple", "extended", "execute"))
def temporary_tables_hide_others(lab: Lab, how: str) -> None:
    """What was planned before a session makes its first temporary table finds that from then on."""
    lab.postgres.rows("create table shadow (a text); insert into shadow values ('permanent'); "
                      "grant all on shadow to public; create function shadowed() returns text "
                      "language plpgsql as 'begin return (select string_agg(a, '','') from shadow);"
                      " end'", "app")
    target = lab.target(pool_size=1)
    made_before(target, SHADOW, "select shadowed()")
    with target.connect() as client:
        client.messages(m.parse("s", SHADOW), m.sync())
        client.run(f"prepare q as {SHADOW}")
        assert client.value("select shadowed()") == client.value("execute q") == "permanent"
        make = "create temp table shadow as select 'temporary' as a"
        if how == "simple":
            assert client.messages(m.query(make))[0].body == b"SELECT 1\0"
        elif how == "extended":
            answer = client.messages(m.parse("", make), m.bind("", ""), m.execute(""),
                                     m.parse("", "select 1"), m.bind("", ""), m.execute(""),
                                     m.sync())
            assert m.names(answer).count("CommandComplete") == 2, answer
        else:
            client.run("prepare make as select 'temporary' as a")
            client.run("create temp table shadow as execute make")
        for _ in range(2):
            assert client.value("execute q") == "temporary"
            assert client.value("select shadowed()") == "temporary"
            answer = client.messages(m.bind("", "s"), m.execute(""), m.sync())
            assert m.only(answer, b"D")[0].columns() == [b"temporary"], answer
    with target.connect() as other:
        assert other.value("select shadowed()") == other.value(SHADOW) == "permanent"


@test(modes=MODES, targets=FOREBAY)
def buffers_for_temporary_tables(lab: Lab) -> None:
    """A server that has had temporary tables refuses another temp_buffers: it serves who wants that
    once more, and is replaced."""
    target = lab.target(pool_size=1)
    made_before(target)
    with target.connect(options="-c temp_buffers=1MB -c work_mem=3MB") as client:
        for _ in range(3):
            assert client.value("select 1 from generate_series(1, 1)") == "1"
            assert client.value("show work_mem") == "3MB"
        assert client.value("show temp_buffers") == "1MB"
    if lab.variant.mode == "session":
        return
    with target.connect(options="-c temp_buffers=1MB -c work_mem=3MB") as client:
        client.run("select 1")
        with target.connect() as other:
            other.run("select 1")       # with what the server begins with
        made_before(target)
        assert client.value("show work_mem") == "3MB"
        assert client.value("show temp_buffers") == "1MB"
    for wrong in ("many", "1"):
        try:
            with target.connect(options=f"-c temp_buffers={wrong}"):
                raise AssertionError(wrong)
        except ServerError as error:
            assert error.sqlstate == "22023", error.error


@test(modes=MODES, targets=POSTGRES_LIKE)
def values_from_before_another_encoding(lab: Lab) -> None:
    """They are kept as the client said them, and mean that in the encoding of then."""
    target = lab.target(pool_size=2)
    with target.connect() as client, target.connect() as other:
        for text in (b"set client_encoding = 'latin1'", b"set my.name = 'caf\xe9'",
                     b"set client_encoding = 'utf8'", b"set work_mem = '3MB'"):
            client.messages(m.query(text))
        other.run("begin")
        rows = m.only(client.messages(m.query("show my.name")), b"D")
        assert rows and rows[0].columns() == ["café".encode()], rows
        assert client.value("show work_mem") == "3MB"
