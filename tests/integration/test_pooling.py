"""Who gets which server connection, when, and in which order."""

from __future__ import annotations

import threading
import time
from typing import Optional

from lab import messages as m
from lab.declare import ENTRIES, FOREBAY, MODES, POOLERS, TLS, test
from lab.lab import Lab
from lab.process import holds_for, wait_until
from lab.target import Database, Target
from lab.wire import Client, Ended, ServerError


class Watch:
    """The largest number of server connections to a database that was ever seen."""

    def __init__(self, lab: Lab, database: str = "app", user: str = "app") -> None:
        self.lab, self.most = lab, 0
        self.sql = ("select count(*) from pg_stat_activity where datname = "
                    f"'{database}' and usename = '{user}'")

    def __call__(self, stop: threading.Event) -> int:
        with self.lab.postgres.admin() as admin:
            while not stop.is_set():
                self.most = max(self.most, int(admin.value(self.sql) or 0))
                time.sleep(0.002)
        return self.most


def short_work(target: Target, number: int, turns: int = 20) -> None:
    with target.connect(within=60) as client:
        for turn in range(turns):
            assert client.value(f"select {number} + {turn}") == str(number + turn)
            client.run("begin")
            client.run("select pg_sleep(0.002)")
            client.run("commit")


@test(modes=("transaction",), tls=TLS, targets=POOLERS)
def pool_never_exceeds_its_size(lab: Lab) -> None:
    target = lab.target(pool_size=4)
    watch = Watch(lab)
    with lab.while_running(watch):
        lab.in_parallel(30, lambda n: short_work(target, n))
    assert 1 <= watch.most <= 4, f"{watch.most} server connections were seen"
    if lab.kind == "forebay":
        assert watch.most == 4, f"only {watch.most} of 4 were ever used"


@test(modes=("transaction",), entries=("run",), targets=FOREBAY)
def pool_keeps_its_size_without_a_configuration(lab: Lab) -> None:
    """Where the server authenticates each client, logins in progress come on top, for a moment."""
    target = lab.target(pool_size=4)
    watch = Watch(lab)
    with lab.while_running(watch):
        lab.in_parallel(20, lambda n: short_work(target, n))
    clients = [lab.keep(target.connect()) for _ in range(20)]
    wait_until(lambda: len(lab.postgres.sessions("app")) <= 4, "no more than the pool's size stay")
    for client in clients:
        assert client.value("select 1") == "1"
    holds_for(lambda: len(lab.postgres.sessions("app")) <= 4, 0.5, "the pool's size")


@test(modes=("session",), targets=POOLERS)
def sessions_wait_for_their_turn(lab: Lab) -> None:
    target = lab.target(pool_size=2)
    watch = Watch(lab)

    def visit(number: int) -> None:
        with target.connect(within=60) as client:
            assert client.value(f"select {number}") == str(number)
            client.run("select pg_sleep(0.01)")
    with lab.while_running(watch):
        lab.in_parallel(16, visit)
    assert watch.most <= 2, f"{watch.most} server connections were seen"


@test(modes=("transaction",), targets=POOLERS)
def idle_clients_need_no_server_connection(lab: Lab) -> None:
    target = lab.target(pool_size=2)
    clients = [lab.keep(target.connect()) for _ in range(40)]
    for client in clients:
        assert client.value("select 1") == "1"
    assert len(lab.postgres.sessions("app")) <= 2


@test(modes=("transaction",), targets=POOLERS)
def waiters_are_served_in_order(lab: Lab) -> None:
    """Ten clients wait for the one connection; they get it in the order in which they asked."""
    lab.postgres.rows("create table turns (at serial, who int)", "app")
    lab.postgres.rows("grant all on turns to app; grant usage on sequence turns_at_seq to app", "app")
    ours = lab.kind == "forebay"
    target = lab.target(pool_size=1, options={"stats_users": "app"} if ours else {})
    console = lab.keep(target.connect(database="forebay")) if ours else None
    holder = lab.keep(target.connect())
    waiting = [lab.keep(target.connect()) for _ in range(10)]
    holder.run("begin")
    holder.run("select 1")

    def waits(number: int) -> bool:         # which other thread has it or not
        assert console is not None
        return ("app", "app", str(number)) in [(row[0], row[1], row[3])
                                               for row in console.rows("show pools")]
    for number, client in enumerate(waiting):
        client.send(m.query(f"insert into turns (who) values ({number})"))
        if console is None:
            time.sleep(0.02)                # one thread reads them all
        else:
            wait_until(lambda: waits(number + 1), f"client {number} waits")
    holds_for(lambda: all(client.quiet for client in waiting), 0.2, "all of them wait")
    holder.run("commit")
    for client in waiting:
        client.until_ready()
    order = [int(who or -1) for (who,) in lab.postgres.rows("select who from turns order by at",
                                                            "app")]
    assert order == list(range(10)), order


@test(modes=("transaction",), targets=FOREBAY)
def a_waiter_that_leaves_holds_up_nobody(lab: Lab) -> None:
    target = lab.target(pool_size=1)
    holder = lab.keep(target.connect())
    holder.run("begin")
    leaver, stayer = target.connect(), lab.keep(target.connect())
    leaver.send(m.query("select 'never'"))
    time.sleep(0.05)
    stayer.send(m.query("select 'served'"))
    leaver.close()
    time.sleep(0.05)
    holder.run("commit")
    assert m.only(stayer.until_ready(), b"D")[0].columns() == [b"served"]


@test(modes=("transaction",), targets=POOLERS)
def a_transaction_keeps_its_connection(lab: Lab) -> None:
    target = lab.target(pool_size=3)
    with target.connect() as client, target.connect() as other:
        client.run("begin")
        pid = client.value("select pg_backend_pid()")
        for _ in range(20):
            other.run("select 1")
            assert client.value("select pg_backend_pid()") == pid
        client.run("commit")


@test(modes=("transaction",), targets=POOLERS)
def connections_change_hands(lab: Lab) -> None:
    """With server_round_robin, the connections are used in turn."""
    target = lab.target(pool_size=3)
    with target.connect() as a, target.connect() as b, target.connect() as c:
        for client in (a, b, c):
            client.run("begin")
            client.run("select 1")
        for client in (a, b, c):
            client.run("commit")
        pids = [a.value("select pg_backend_pid()") for _ in range(9)]
    assert len(set(pids)) == 3, pids


@test(modes=("statement",), targets=FOREBAY)
def statement_mode(lab: Lab) -> None:
    """A transaction of several statements is refused; the next client finds nothing of it."""
    target = lab.target(pool_size=1)
    with target.connect() as client:
        assert client.value("select 1") == "1"
        answer = client.messages(m.query("select 1; select 2"))
        assert len(m.only(answer, b"D")) == 2
        client.send(m.query("begin"), m.query("select 1"))
        answer = client.until_ready_or_end() + client.until_ready_or_end()
        assert len(m.only(answer, b"E")) == 1, answer
    with target.connect() as client:
        assert client.messages(m.query("select 1"))[-1].body == b"I"


@test(modes=MODES, targets=POOLERS)
def databases_and_users_have_pools_of_their_own(lab: Lab) -> None:
    target = lab.target(pool_size=1)
    with target.connect("app") as a, target.connect("other") as b, \
            target.connect("app", "other") as c:
        a.run("begin")
        b.run("begin")
        c.run("begin")
        assert a.value("select current_user") == "app"
        assert b.value("select current_user") == "other"
        assert c.value("select current_database()") == "other"


@test(modes=("session",), targets=POOLERS)
def session_state_is_gone_with_the_session(lab: Lab) -> None:
    target = lab.target(pool_size=1)
    with target.connect() as client:
        client.run("set work_mem = '9MB'; set datestyle = 'German'; set role none")
        client.run("create temp table mine (n int)")
        client.run("select pg_advisory_lock(77)")
        client.run("listen bell")
        client.run("prepare p as select 1")
        client.run("begin; declare held cursor with hold for select 1; commit")
        client.messages(m.parse("named", "select 1"), m.sync())
    with target.connect() as client:
        assert client.value("show work_mem") == "4MB"
        assert client.value("show datestyle") == "ISO, MDY"
        assert client.value("select count(*) from pg_class where relname = 'mine'") == "0"
        assert client.value("select count(*) from pg_locks where locktype = 'advisory'") == "0"
        assert client.value("select count(*) from pg_listening_channels()") == "0"
        assert client.value("select count(*) from pg_prepared_statements") == "0"
        assert client.value("select count(*) from pg_cursors") == "0"


@test(modes=("transaction",), targets=FOREBAY)
def reported_parameters_travel_with_the_client(lab: Lab) -> None:
    """What a client set in its start-up packet holds on whichever connection it gets, and is never
    seen by another client."""
    target = lab.target(pool_size=2)
    german = lab.keep(target.connect(datestyle="German", timezone="Asia/Tokyo",
                                     application_name="german"))
    plain = lab.keep(target.connect())
    for _ in range(10):
        assert german.value("select '2024-02-29'::date") == "29.02.2024"
        assert plain.value("select '2024-02-29'::date") == "2024-02-29"
        assert german.value("show timezone") == "Asia/Tokyo"
        assert plain.value("show timezone") == "UTC"
        assert german.value("show application_name") == "german"


@test(modes=MODES, targets=FOREBAY)
def application_names_have_addresses(lab: Lab) -> None:
    """With application_name_add_host, as PgBouncer has it; but long names leave the address whole,
    and a replica stays known by its name."""
    target = lab.target(options={"application_name_add_host": True})
    for name in ("mine", "", "ä" * 40):
        with target.connect(**({"application_name": name} if name else {})) as client:
            host = " - 127.0.0.1:" + str(client.socket.getsockname()[1])
            room = (63 - len(host)) // 2 * 2
            shown = ("?" * room if len(name) > 20 else name or "app") + host
            assert client.parameters["application_name"] == shown, client.parameters
            own = ("select application_name, current_setting('application_name') "
                   "from pg_stat_activity where pid = pg_backend_pid()")
            assert client.rows(own) == [(shown, shown)]
            client.run("set application_name = 'other'")
            assert client.rows(own) == [("other", "other")]
            client.run("reset application_name")
            assert client.rows(own) == [(shown, shown)]
    with target.connect("repl", replication="true", application_name="standby") as walsender:
        rows = "select application_name from pg_stat_activity where backend_type = 'walsender'"
        assert lab.postgres.rows(rows) == [("standby",)], walsender


@test(modes=("transaction",), targets=FOREBAY)
def set_of_a_reported_parameter_travels_too(lab: Lab) -> None:
    target = lab.target(pool_size=2)
    with target.connect() as one, target.connect() as two:
        one.run("set datestyle = 'German'")
        for _ in range(6):
            assert two.value("select '2024-02-29'::date") == "2024-02-29"
            assert one.value("select '2024-02-29'::date") == "29.02.2024"


@test(modes=("transaction",), targets=FOREBAY)
def encodings_do_not_mix(lab: Lab) -> None:
    target = lab.target(pool_size=1)
    with target.connect(client_encoding="LATIN1") as latin, target.connect() as utf:
        for _ in range(4):
            answer = latin.messages(m.query(b"select '\xe9'"))
            assert m.only(answer, b"D")[0].columns() == [b"\xe9"], answer
            answer = utf.messages(m.query("select 'é'"))
            assert m.only(answer, b"D")[0].columns() == ["é".encode()], answer


# Limits.

def refused_by(target: Target, user: str = "app") -> Optional[str]:
    try:
        with target.connect(user) as client:
            client.run("select 1")
            return None
    except ServerError as error:
        return error.sqlstate
    except Ended:
        return "closed"


@test(modes=("transaction",), targets=POOLERS)
def max_client_conn(lab: Lab) -> None:
    target = lab.target(options={"max_client_conn": 5})
    clients = [target.connect() for _ in range(5)]
    state = refused_by(target)
    assert state is not None, "a sixth client was let in"
    if lab.kind == "forebay":
        assert state == "53300", state
    for client in clients:
        assert client.value("select 1") == "1"
    clients.pop().close()
    wait_until(lambda: refused_by(target) is None, "there is room again")
    for client in clients:
        client.close()


@test(modes=("transaction",), targets=FOREBAY)
def operators_come_in_when_there_is_no_room(lab: Lab) -> None:
    """The console has places of its own, and three are left for admin_users in every database."""
    target = lab.target(options={"max_client_conn": 1, "admin_users": "app"})
    lab.keep(target.connect("other", "app"))
    assert refused_by(target, "other") == "53300"
    with target.connect("app", "forebay") as console:
        assert console.value("show state") == "active"
    for _ in range(3):
        assert lab.keep(target.connect("app", "app")).value("select 1") == "1"
    assert refused_by(target, "app") == "53300"


@test(modes=("transaction",), targets=FOREBAY)
def reserve_pool(lab: Lab) -> None:
    """A client that has waited for reserve_pool_timeout gets a server connection beyond
    pool_size, which is closed when nobody waits."""
    target = lab.target(pool_size=1, options={"reserve_pool_size": 1,
                                              "reserve_pool_timeout": "100ms"})
    clients = [lab.keep(target.connect()) for _ in range(2)]
    for client in clients:
        client.run("begin")
    for client in clients:
        client.run("commit")
    with lab.postgres.admin() as admin:
        wait_until(lambda: admin.value(Watch(lab).sql) == "1", "the reserve is closed")


@test(modes=("transaction",), targets=POOLERS)
def max_db_connections(lab: Lab) -> None:
    """The database's limit holds over the pools of all its users, and none of them starves."""
    if lab.kind == "forebay":
        target = lab.target(pool_size=3, databases={
            "app": Database(options={"max_db_connections": 4})})
    else:
        target = lab.target(pool_size=3, options={"max_db_connections": 4})
    watch = Watch(lab)
    watch.sql = "select count(*) from pg_stat_activity where datname = 'app'"

    def visit(number: int) -> None:
        with target.connect(("app", "other")[number % 2], "app", within=60) as client:
            for _ in range(20):
                client.run("select pg_sleep(0.002)")
    with lab.while_running(watch):
        lab.in_parallel(20, visit)
    # The watcher itself is connected to another database.
    assert watch.most <= 4, f"{watch.most} server connections were seen"


@test(modes=("transaction",), targets=FOREBAY)
def max_host_connections(lab: Lab) -> None:
    """The limit holds over all pools, whatever their users and databases, and none starves: not
    even one that has no server connection while another one's clients wait all the time."""
    target = lab.target(pool_size=2, options={"max_host_connections": 2})
    watch = Watch(lab)
    watch.sql = ("select count(*) from pg_stat_activity where backend_type = 'client backend' and "
                 "pid <> pg_backend_pid()")

    def visit(number: int) -> None:
        with target.connect(("app", "other")[number % 2], "app", within=60) as client:
            for _ in range(20):
                client.run("select pg_sleep(0.002)")
    with lab.while_running(watch):
        lab.in_parallel(20, visit)
    assert watch.most <= 2, f"{watch.most} server connections were seen"


@test(modes=("transaction",), targets=FOREBAY)
def max_user_connections(lab: Lab) -> None:
    target = lab.target(pool_size=3, user_options={"app": {"max_user_connections": 2}})
    watch = Watch(lab)
    watch.sql = "select count(*) from pg_stat_activity where usename = 'app'"

    def visit(number: int) -> None:
        with target.connect("app", ("app", "other")[number % 2], within=60) as client:
            for _ in range(10):
                client.run("select pg_sleep(0.002)")
    lab.postgres.rows("grant connect on database other to app")
    with lab.while_running(watch):
        lab.in_parallel(10, visit)
    assert watch.most <= 2, f"{watch.most} server connections were seen"


@test(modes=("transaction",), targets=POOLERS)
def query_wait_timeout(lab: Lab) -> None:
    target = lab.target(pool_size=1, options={"query_wait_timeout": "1s"})
    holder = lab.keep(target.connect())
    holder.run("begin")
    waiting = lab.keep(target.connect())
    begun = time.monotonic()
    waiting.send(m.query("select 1"))
    answer = waiting.until_ready_or_end()
    assert len(m.only(answer, b"E")) == 1, answer
    assert time.monotonic() - begun > 0.5
    holder.run("commit")
    target.check_healthy()
    if answer[-1].type == b"Z":             # it was kept: then it works
        assert waiting.value("select 1") == "1"


@test(modes=("transaction",), targets=FOREBAY)
def query_wait_timeout_in_a_pipeline(lab: Lab) -> None:
    """Whatever the client had sent is answered by one error, and then by what came after its
    Sync; never by another client's rows."""
    target = lab.target(pool_size=1, options={"query_wait_timeout": "1s"})
    holder = lab.keep(target.connect())
    holder.run("begin")
    waiting = lab.keep(target.connect())
    waiting.send(m.parse("", "select 'first'"), m.bind("", ""), m.execute(""), m.sync(),
                 m.parse("", "select 'second'"), m.bind("", ""), m.execute(""), m.sync())
    answer = waiting.until_ready_or_end()
    assert len(m.only(answer, b"E")) == 1, answer
    holder.run("commit")
    if answer[-1].type == b"Z":
        second = waiting.until_ready_or_end()
        assert m.names(second) in (
            "ParseComplete BindComplete DataRow CommandComplete ReadyForQuery",
            "ErrorResponse ReadyForQuery", "ErrorResponse"), second
    target.check_healthy()


@test(modes=("transaction",), targets=POOLERS)
def server_idle_timeout(lab: Lab) -> None:
    target = lab.target(pool_size=3, options={"server_idle_timeout": "1s"})
    with target.connect() as client:
        assert client.value("select 1") == "1"
        assert lab.postgres.sessions("app")
        wait_until(lambda: not lab.postgres.sessions("app"), "the idle connection was closed")
        assert client.value("select 1") == "1"


@test(modes=("transaction",), targets=POOLERS)
def server_lifetime(lab: Lab) -> None:
    target = lab.target(pool_size=1, options={"server_lifetime": "1s"})
    with target.connect() as client:
        first = client.value("select pg_backend_pid()")
        wait_until(lambda: client.value("select pg_backend_pid()") != first,
                   "the old connection was replaced", within=15)
        client.run("begin")                 # one that is in use is left alone
        pid = client.value("select pg_backend_pid()")
        holds_for(lambda: client.value("select pg_backend_pid()") == pid, 1.5, "same connection")
        client.run("commit")


@test(modes=("transaction",), targets=FOREBAY)
def min_pool_size(lab: Lab) -> None:
    target = lab.target(pool_size=5, options={"min_pool_size": 3, "server_idle_timeout": "1s"})
    with target.connect() as client:
        assert client.value("select 1") == "1"
        wait_until(lambda: len(lab.postgres.sessions("app")) == 3, "three are open")
        holds_for(lambda: len(lab.postgres.sessions("app")) >= 2, 3, "they stay, or are replaced")


@test(modes=("transaction",), targets=FOREBAY)
def connections_are_opened_in_parallel(lab: Lab) -> None:
    """Ten clients at once do not wait for ten logins one after the other."""
    target = lab.target(pool_size=10)
    clients = [lab.keep(target.connect()) for _ in range(10)]
    for client in clients:
        client.send(m.query("begin; select pg_sleep(0.5)"))
    for client in clients:
        client.until_ready()
    assert len(lab.postgres.sessions("app")) == 10


@test(modes=MODES, tls=TLS, entries=ENTRIES, targets=FOREBAY)
def wildcard_databases(lab: Lab) -> None:
    name = lab.postgres.new_database()
    target = lab.target(wildcard=True)
    with target.connect(database=name) as client:
        assert client.value("select current_database()") == name
    target.stop()
    lab.postgres.rows(f"drop database {name}")


@test(modes=("transaction",), targets=POOLERS)
def many_clients_come_and_go(lab: Lab) -> None:
    """Churn: no server connection is lost on the way, none is made too many."""
    target = lab.target(pool_size=3)

    def visit(_: int) -> None:
        for turn in range(15):
            client: Client = target.connect(within=60)
            client.run("select 1")
            if turn % 3 == 0:
                client.reset()
            elif turn % 3 == 1:
                client.close()
            else:
                client.send(m.terminate())
                client.until_end()
                client.close()
    lab.in_parallel(10, visit)
    target.check_healthy()
    assert len(lab.postgres.sessions("app")) <= 3
    if target.child is not None:
        before = target.child.descriptors()
        lab.in_parallel(5, visit)
        wait_until(lambda: target.running.descriptors() <= before + 5, "descriptors are given back")


@test(modes=("transaction",), tls=TLS, targets=POOLERS, within=90)
def nobody_is_forgotten(lab: Lab) -> None:
    """More clients than connections, on several threads of the proxy, for some seconds: every one
    of their short transactions is served soon."""
    target = lab.target(pool_size=3)
    end = time.monotonic() + 6

    def client(number: int) -> int:
        done = 0
        with target.connect() as mine:
            while time.monotonic() < end:
                answer = mine.messages(m.query("begin"), m.query(f"select {number}"),
                                       m.query("commit"), readies=3, within=10)
                assert m.only(answer, b"D")[0].columns() == [str(number).encode()], answer
                done += 1
                if done % 7 == number % 7:
                    time.sleep(0.001)
        return done
    done = lab.in_parallel(7, client)
    assert min(done) > 10, f"some were hardly served: {done}"
