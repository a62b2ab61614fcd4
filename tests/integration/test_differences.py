"""What differs from a direct connection: the lines of the README's section of that name. Each test
shows both sides, PostgreSQL's own and ours: one that fails because they have become the same is a
line that can go."""

from __future__ import annotations

import struct
import time
from typing import NamedTuple

from lab import messages as m
from lab.declare import FOREBAY, MODES, test
from lab.lab import Lab
from lab.process import wait_until
from lab.target import Target
from lab.wire import Client, Ended, ServerError

LARGE = " /* " + "x" * 70_000 + " */"      # a text that holds this is not looked into
LOCKS = "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()"


def said(client: Client, sql: str) -> str:
    """The first column of the first row; "" for none and NULL, the SQLSTATE for an error."""
    try:
        rows = client.rows(sql)
    except ServerError as error:
        return error.sqlstate
    return (rows[0][0] or "") if rows else ""


def answered(answer: list[m.Message]) -> str:
    """The same of an answer to messages."""
    errors = m.only(answer, b"E")
    if errors:
        return errors[0].sqlstate
    rows = m.only(answer, b"D")
    return (rows[0].columns()[0] or b"").decode() if rows else ""


def pooled(lab: Lab, size: int = 2) -> Target:
    """A target with so many server connections, all open, which are used in turn. In session mode
    there are enough for everybody, and none is open."""
    if lab.variant.mode == "session":
        return lab.target(pool_size=8)
    target = lab.target(pool_size=size)
    open_all(target)
    return target


def open_all(target: Target) -> None:
    clients = [target.connect() for _ in range(target.settings.pool_size)]
    for client in clients:
        client.run("begin")
    for client in clients:
        client.run("commit")
        client.close()


class Seen(NamedTuple):
    """What a change of the session looks like afterwards."""
    own: set[str]       # to the client itself, over some transactions
    others: set[str]    # to one that comes later


def change(target: Target, do: str, show: str, **startup: str) -> Seen:
    with target.connect(**startup) as client:
        client.run(do)
        own = {said(client, show) for _ in range(4)}
    time.sleep(0.1)     # the connection that was kept, if it was, is clean again
    with target.connect() as other:
        return Seen(own, {said(other, show) for _ in range(4)})


# Which server connection.

@test(modes=MODES, targets=FOREBAY)
def process_ids(lab: Lab) -> None:
    """BackendKeyData has an id of ours, which the server does not know."""
    with lab.direct().connect() as client:
        assert said(client, "select pg_backend_pid()") == str(client.process_id)
    if lab.variant.mode == "session":
        with pooled(lab).connect() as client:
            assert said(client, "select pg_backend_pid()") == str(client.process_id)
        return
    with pooled(lab).connect() as client, pooled(lab).connect() as second:
        backends = {said(client, "select pg_backend_pid()") for _ in range(4)}
        assert len(backends) == 2 and str(client.process_id) not in backends, backends
        assert said(client, f"select pg_cancel_backend({second.process_id})") == "f"
        # A NOTIFY that no text shows comes with the server connection's; the client's own with its.
        client.run("create or replace function ring() returns void language sql as $$notify bell$$")
        client.run("listen bell")
        backend = said(client, "select pg_backend_pid()")
        with lab.direct().connect() as other:
            other.run("select ring()")
            assert heard(client) == other.process_id != int(backend)
        assert heard(client, "select ring()") == client.process_id


def heard(listener: Client, text: str = "select") -> int:
    """Who sent the one notification that comes."""
    told: list[m.Message] = []
    while not told:
        told = m.only(listener.messages(m.query(text)), b"A")
    return int(struct.unpack_from("!I", told[0].body)[0])


@test(targets=FOREBAY)
def server_sees_its_own_connections(lab: Lab) -> None:
    """pg_stat_activity has no row for an idle client; an idle row shows who used it last."""
    rows = ("select application_name from pg_stat_activity where datname = 'app' and "
            "backend_type = 'client backend' and pid <> pg_backend_pid() order by 1")
    for kind, expected in (("direct", [("first",), ("second",)]), ("forebay", [("second",)])):
        target = lab.direct() if kind == "direct" else pooled(lab, 1)
        with target.connect(application_name="first") as first, \
                target.connect(application_name="second") as second:
            assert said(first, "show application_name") == "first"
            assert said(second, "show application_name") == "second"
            seen = lab.postgres.rows(rows, "app")
            assert seen == expected, (kind, seen)
            port = first.socket.getsockname()[1]
            same = said(first, "select inet_client_port()") == str(port)
            assert same == (kind == "direct")
        wait_until(lambda: kind != "direct" or not lab.postgres.sessions("app"), "they have left")


@test(targets=FOREBAY)
def ends_of_idle_connections_go_unnoticed(lab: Lab) -> None:
    """Between transactions, a client loses nothing with a server connection."""
    for target, ended in ((lab.direct(), True), (pooled(lab), False)):
        with target.connect() as client:
            client.run("set work_mem = '101kB'")
            lab.postgres.rows("select pg_terminate_backend(pid) from pg_stat_activity "
                              "where datname = 'app'")
            wait_until(lambda: not lab.postgres.sessions("app"), "the server connections are gone")
            try:
                assert said(client, "show work_mem") == "101kB"
                assert not ended
            except (Ended, OSError):
                assert ended


@test(targets=FOREBAY)
def idle_session_timeout_ends_nobody(lab: Lab) -> None:
    for target, ended in ((lab.direct(), True), (pooled(lab), False)):
        with target.connect() as client:
            client.run("set idle_session_timeout = '200ms'")
            time.sleep(0.7)
            try:
                assert said(client, "select 1") == "1"
                assert not ended
            except (Ended, OSError):
                assert ended


@test(modes=MODES, targets=FOREBAY)
def defaults_of_a_role_come_with_new_connections(lab: Lab) -> None:
    """ALTER ROLE ... SET means logins of the server connection, not of the client."""
    target = pooled(lab)
    target.check_healthy()
    lab.postgres.rows("alter role app set work_mem = '9MB'")
    try:
        with lab.direct().connect() as client:
            assert said(client, "show work_mem") == "9MB"
        with target.connect() as client:
            assert {said(client, "show work_mem") for _ in range(4)} == {"4MB"}
    finally:
        lab.postgres.rows("alter role app reset work_mem")


# Settings.

@test(modes=MODES, targets=FOREBAY)
def start_values_are_set(lab: Lab) -> None:
    """pg_settings shows a value that the client began with as one that was SET later."""
    columns = "select source || ' ' || reset_val from pg_settings where name = 'work_mem'"
    for target, expected in ((lab.direct(), "client 3072"), (pooled(lab), "session 4096")):
        with target.connect(options="-c work_mem=3MB") as client:
            assert said(client, columns) == expected
            client.run("set work_mem = '1MB'; reset work_mem")
            assert said(client, "show work_mem") == "3MB"


@test(modes=MODES, targets=FOREBAY)
def custom_parameters_stay_known(lab: Lab) -> None:
    """PostgreSQL cannot forget a parameter with a dot in its name: it reads as '' afterwards."""
    for target, expected in ((lab.direct(), "42704"),
                             (lab.target(pool_size=1), "")):
        with target.connect() as client:
            assert said(client, "show app.tenant") == "42704"
            client.run("set app.tenant = 'one'")
        with target.connect() as other:
            assert said(other, "show app.tenant") == expected


@test(targets=FOREBAY)
def libraries_stay_loaded(lab: Lab) -> None:
    """What a function's language has loaded shows its parameters to whoever is next."""
    question = "select count(*) > 0 from pg_settings where name like 'plpgsql.%'"
    for target, expected in ((lab.direct(), "f"), (lab.target(pool_size=1), "t")):
        with target.connect() as client:
            assert client.value(question) == "f"
            client.run("do $$begin end$$")
            assert client.value(question) == "t"
        with target.connect() as other:
            assert other.value(question) == expected


@test(targets=FOREBAY)
def settings_that_are_refused_later(lab: Lab) -> None:
    """A role that is dropped while clients are in it: one error, and the session is what it began
    as."""
    for target, expected in ((lab.direct(), ["1", "", "1"]), (pooled(lab, 1), ["22023", "", "1"])):
        lab.postgres.rows("create role tmp_actor; grant tmp_actor to app", "app")
        with target.connect() as client, target.connect() as other:
            client.run("set role tmp_actor")
            other.run("select 1")
            lab.postgres.rows("drop role tmp_actor", "app")
            got = [said(client, sql) for sql in ("select 1", "reset role", "select 1")]
            assert got == expected, (target.kind, got)


# What nobody sees.

class Hidden(NamedTuple):
    make: str           # run before, by the owner
    do: str
    show: str
    before: str
    after: str


HIDDEN = {
    "setting_in_do": Hidden("", "do $$ begin execute 's' || 'et work_mem = ''101kB'''; end $$",
                            "show work_mem", "4MB", "101kB"),
    "setting_in_function": Hidden(
        "create or replace function hidden() returns void language plpgsql as "
        "$$ begin execute 's' || 'et work_mem = ''101kB'''; end $$",
        "select hidden()", "show work_mem", "4MB", "101kB"),
    "large": Hidden("", "select set_config('work_mem', '101kB', false)" + LARGE, "show work_mem",
                    "4MB", "101kB"),
    "large_lock": Hidden("", "select pg_advisory_lock(3)" + LARGE, LOCKS, "0", "1"),
}


@test(targets=FOREBAY, params=tuple(HIDDEN))
def hidden_changes_stay_on_the_server_connection(lab: Lab, which: str) -> None:
    """Its client has it in some transactions only, and whoever comes later has it, too."""
    hidden = HIDDEN[which]
    if hidden.make:
        with lab.direct().connect() as owner:
            owner.run(hidden.make)
    direct = change(lab.direct(), hidden.do, hidden.show)
    assert direct == Seen({hidden.after}, {hidden.before}), direct
    through = change(pooled(lab), hidden.do, hidden.show)
    both = {hidden.before, hidden.after}
    assert through == Seen(both, both), through


@test(targets=FOREBAY)
def hidden_changes_in_session_mode(lab: Lab) -> None:
    """pool_mode = "session" is the remedy: the next session finds nothing."""
    target = lab.target(pool_size=1, mode="session")
    for hidden in HIDDEN.values():
        if hidden.make:
            with lab.direct().connect() as owner:
                owner.run(hidden.make)
        seen = change(target, hidden.do, hidden.show)
        assert seen == Seen({hidden.after}, {hidden.before}), (hidden.do[:80], seen)


@test(targets=FOREBAY)
def code_is_known_a_minute_after_it_was_made(lab: Lab) -> None:
    """... past Forebay; at once to a program that starts."""
    make = ("create or replace function newcomer() returns void language sql as "
            "$$ select set_config('work_mem', '101kB', false) $$")
    lab.postgres.rows("drop function if exists newcomer()", "app")
    target = pooled(lab)
    with lab.direct().connect() as owner:
        owner.run(make)
    both = {"4MB", "101kB"}
    assert change(target, "select newcomer()", "show work_mem") == Seen(both, both)
    assert change(pooled(lab), "select newcomer()", "show work_mem") == Seen({"101kB"}, {"4MB"})


@test(targets=FOREBAY)
def encodings_that_are_not_read(lab: Lab) -> None:
    """In SJIS, BIG5, GBK ... a quote may be the second half of a character: texts are not read."""
    sql = "select set_config('work_mem', '101kB', false)"
    both = {"4MB", "101kB"}
    for target, expected in ((lab.direct(), Seen({"101kB"}, {"4MB"})),
                             (pooled(lab), Seen(both, both))):
        seen = change(target, sql, "show work_mem", client_encoding="SJIS")
        assert seen == expected, (target.kind, seen)


@test(targets=FOREBAY)
def currval_before_its_first_use(lab: Lab) -> None:
    """The first currval of a session may meet another server connection than its nextval did: an
    error then. Once a client has asked, those of its pool keep theirs for a moment."""
    def own(target: Target) -> list[str]:
        with target.connect() as client:
            client.run("select nextval('numbers')")
            return [said(client, "select currval('numbers')") for _ in range(3)]

    def anothers(target: Target) -> set[str]:
        with target.connect() as client:
            client.run("select nextval('numbers')")
        with target.connect() as other:
            return {said(other, "select currval('numbers')") for _ in range(2)}
    with lab.direct().connect() as owner:
        owner.run("create sequence numbers")
    assert own(lab.direct()) == ["1", "1", "1"]
    assert anothers(lab.direct()) == {"55000"}
    target = pooled(lab)
    assert own(target) == ["55000", "3", "3"]
    assert own(target) == ["4", "4", "4"]
    assert anothers(target) == {"55000"}


# What keeps a server connection until the client leaves.

@test(targets=FOREBAY, params={
    "currval": "select nextval('numbers'), currval('numbers')",
    "setseed": "select setseed(0.5)",
    "load": "load 'auto_explain'"})
def kept_until_the_client_leaves(lab: Lab, which: str) -> None:
    sql = kept_until_the_client_leaves.declaration.params[which]    # type: ignore[attr-defined]
    lab.postgres.rows("create sequence numbers", "app")
    target = lab.target(pool_size=1, users={"postgres": "postgres-secret"},
                        options={"query_wait_timeout": "500ms"})
    with target.connect("postgres") as client:
        client.run(sql)
        with target.connect("postgres") as other:
            assert said(other, "select 1") == "57014"
        client.run("select 1")
    with target.connect("postgres") as other:
        wait_until(lambda: said(other, "select 1") == "1", "the connection is free again")


TAKEN_OFF_BY_NOTHING = {
    "origin": "select pg_replication_origin_create('o'); "
              "select pg_replication_origin_session_setup('o')",
    "slot": "select pg_create_physical_replication_slot('s', true, true)",
    "backup": "select pg_backup_start('b', true)"}


@test(modes=MODES, targets=FOREBAY, params=tuple(TAKEN_OFF_BY_NOTHING))
def what_nothing_takes_off_goes_with_its_client(lab: Lab, which: str) -> None:
    """DISCARD ALL leaves it: nobody else gets the server connection."""
    target = lab.target(pool_size=2, users={"postgres": "postgres-secret"})
    with target.connect("postgres") as client:
        client.run(TAKEN_OFF_BY_NOTHING[which])
        backend = said(client, "select pg_backend_pid()")
        with target.connect("postgres") as other:
            assert said(other, "select pg_backend_pid()") != backend
            assert said(client, "select pg_backend_pid()") == backend
    wait_until(lambda: not lab.postgres.rows(
        f"select from pg_stat_activity where pid = {backend}"), "its server connection is closed")
    if which == "origin":
        lab.postgres.rows("select pg_replication_origin_drop('o')")


# Prepared statements.

@test(targets=FOREBAY)
def prepared_statements_have_shared_names(lab: Lab) -> None:
    names = ("select name from pg_catalog.pg_prepared_statements where statement like '%shared' "
             "order by 1")
    for target, expected in ((lab.direct(), ["mine"]), (pooled(lab, 1), ["_forebay_"])):
        with target.connect() as client, target.connect() as other:
            client.messages(m.parse("mine", "select 1 as shared"), m.sync())
            assert [str(row[0]).rstrip("0123456789") for row in client.rows(names)] == expected
            # Another client's are seen, too, but not under a name that can be used.
            assert len(other.rows(names)) == (0 if target.kind == "direct" else 1)
            assert said(other, "execute _forebay_1") == "26000"


@test(targets=FOREBAY)
def known_texts_are_prepared_without_the_server(lab: Lab) -> None:
    """What a server has accepted from anybody is answered at once; a change of the catalog that was
    made past the proxy shows later."""
    for target, expected in ((lab.direct(), "42P01"), (pooled(lab), "")):
        lab.postgres.rows("create table soon_gone (n int); grant all on soon_gone to app", "app")
        with target.connect() as first, target.connect() as second:
            first.messages(m.parse("s", "select n from soon_gone"), m.sync())
            lab.postgres.rows("drop table soon_gone", "app")
            assert answered(second.messages(m.parse("s", "select n from soon_gone"),
                                            m.sync())) == expected
            assert answered(second.messages(m.bind("", "s"), m.execute(""), m.sync())) in (
                "42P01", "26000")


@test(targets=FOREBAY)
def notices_about_a_text_come_once(lab: Lab) -> None:
    """Only the first who prepares a text hears what the server notices about its names."""
    text = "select 1 as " + "n" * 70
    for target, expected in ((lab.direct(), 1), (pooled(lab, 1), 0)):
        with target.connect() as first, target.connect() as second:
            assert len(m.only(first.messages(m.parse("s", text), m.sync()), b"N")) == 1
            assert len(m.only(second.messages(m.parse("s", text), m.sync()), b"N")) == expected


@test(targets=FOREBAY)
def a_failed_batch_forgets_the_unnamed_statement(lab: Lab) -> None:
    """Where it had another one behind what failed, which PostgreSQL does not even look at."""
    for target, expected in ((lab.direct(), "1"), (pooled(lab, 1), "26000")):
        with target.connect() as client:
            client.messages(m.parse("", "select 1"), m.sync())
            client.error(m.bind("", "missing"), m.parse("", "select 2"), m.sync())
            assert answered(client.messages(m.bind("", ""), m.execute(""), m.sync())) == expected


@test(targets=FOREBAY)
def changed_results_are_taken_anew(lab: Lab) -> None:
    """After ALTER TABLE, PostgreSQL refuses a prepared statement for good, within transactions and
    without. So does the proxy where the client was told of other columns."""
    use = [m.bind("", "s"), m.execute("")]
    asks = [m.bind("", "s"), m.describe_portal(""), m.execute("")]
    for target, told, expected in ((lab.direct(), False, ["0A000"] * 4),
                                   (pooled(lab, 1), False, ["0A000", "7", "7", "7"]),
                                   (lab.direct(), True, ["0A000"] * 4),
                                   (pooled(lab, 1), True, ["0A000"] * 4)):
        lab.postgres.rows("drop table if exists grows; create table grows as select 7 as n; "
                          "grant all on grows to app", "app")
        with target.connect() as client:
            client.messages(m.parse("s", "select * from grows"),
                            *[m.describe_statement("s")] * told, m.sync())
            lab.postgres.rows("alter table grows add more int", "app")
            client.run("begin")
            got = [answered(client.messages(*use, m.sync()))]
            client.run("rollback")
            got += [answered(client.messages(*messages, m.sync())) for messages in (use, asks, use)]
            assert got == expected, (target.kind, got)


@test(targets=FOREBAY)
def executes_that_are_not_seen(lab: Lab) -> None:
    """EXECUTE of SQL in a text over 64 KiB finds no statement."""
    for target, expected in ((lab.direct(), "00000"), (pooled(lab), "26000")):
        with target.connect() as client:
            client.run("prepare p (text) as select length($1) as n")
            answer = client.messages(m.query("execute p('" + "x" * 70_000 + "')"))
            errors = m.only(answer, b"E")
            assert (errors[0].sqlstate if errors else "00000") == expected, target.kind


@test(targets=FOREBAY)
def names_that_are_not_seen(lab: Lab) -> None:
    """PREPARE within a DO block stays on the server connection."""
    for do, name in (("do $$ begin execute 'prepare p as select 1'; end $$", "p"),):
        for target, own, others in ((lab.direct(), {"1"}, {"26000"}),
                                    (pooled(lab), {"1", "26000"}, {"1", "26000"})):
            seen = change(target, do, f"execute {name}")
            assert seen == Seen(own, others), (do, target.kind, seen)


@test(targets=FOREBAY)
def deallocate_all_within_a_function(lab: Lab) -> None:
    """It takes the statements of all clients with it; the first to notice gets an error."""
    for target, expected in ((lab.direct(), ["5", "5"]), (pooled(lab, 1), ["26000", "5"])):
        with target.connect() as client, target.connect() as other:
            client.messages(m.parse("s", "select 5"), m.bind("", "s"), m.execute(""), m.sync())
            other.run("create function forget() returns void language plpgsql as "
                      "$$ begin execute 'deallo' || 'cate all'; end $$")
            other.run("select forget(); drop function forget()")
            got = [answered(client.messages(m.bind("", "s"), m.execute(""), m.sync()))
                   for _ in range(2)]
            assert got == expected, (target.kind, got)


# The protocol.

@test(modes=MODES, targets=FOREBAY)
def half_close_is_answered_by_a_parameter(lab: Lab) -> None:
    """A client that ends its sending while it waits is told a parameter that it knows."""
    for target, expected in ((lab.direct(), 0), (lab.target(), 1)):
        with target.connect() as client:
            client.send(m.query("select pg_sleep(0.3)"))
            client.half_close()
            answer = client.until_end()
            told = m.only(answer, b"S")
            assert len(told) == expected, (target.kind, answer)
            for message in told:
                name, value, _ = message.body.split(b"\0")
                assert client.parameters[name.decode()] == value.decode()
            assert m.names(answer).endswith("CommandComplete ReadyForQuery"), answer


@test(targets=FOREBAY)
def temp_buffers_of_others(lab: Lab) -> None:
    """What temporary tables have been given stays the server's."""
    for target, refused in ((lab.direct(), False), (pooled(lab, 1), True)):
        with target.connect() as before:
            before.run("create temp table mine (n int); insert into mine values (1)")
        wait_until(lambda: not lab.postgres.rows("select 1 from pg_class where relname = 'mine'",
                                                 "app"), "it is gone")
        with target.connect() as client:
            assert said(client, "set temp_buffers = '1MB'") == ("22023" if refused else "")
        with target.connect(temp_buffers="1MB") as client:
            assert said(client, "show temp_buffers") == "1MB"
