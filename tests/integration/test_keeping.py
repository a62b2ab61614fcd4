"""What keeps a server connection for its client, and no longer than it must: drivers and libraries
do it by the way, with statements that leave nothing behind."""

from __future__ import annotations

import re
from typing import Union

from lab import messages as m
from lab import ports
from lab.declare import FOREBAY, test
from lab.lab import Lab
from lab.process import wait_until
from lab.scrape import Scrape
from lab.target import Target
from lab.wire import Client, ServerError


def lone(lab: Lab) -> Target:
    """One server connection: whoever keeps it keeps everybody waiting."""
    return lab.target(pool_size=1, options={"query_wait_timeout": "1s"})


def kept(target: Target) -> bool:
    """Whether some client keeps the only server connection between its transactions."""
    with target.connect() as other:
        try:
            other.run("select 1")
        except ServerError as error:
            assert error.sqlstate == "57014", error
            return True
    return False


def fetch(client: Client, sql: str, rows: int) -> list[m.Message]:
    """As asyncpg: a statement with a name, so many rows at most."""
    name = f"s{abs(hash(sql))}"
    client.messages(m.parse(name, sql), m.describe_statement(name), m.sync())
    return client.messages(m.bind("", name), m.execute("", rows), m.close_statement(name), m.sync())


@test(targets=FOREBAY)
def a_setting_that_is_read_and_set_at_once(lab: Lab) -> None:
    """asyncpg does so before it looks up a type that it does not know, and puts it back."""
    target = lone(lab)
    both = "select current_setting('jit') as cur, set_config('jit', 'off', false) as new"
    with target.connect() as client:
        before = client.value("show jit")
        answer = fetch(client, both, 0)
        assert m.only(answer, b"D")[0].columns() == [str(before).encode(), b"off"], answer
        assert not kept(target)
        assert client.value("show jit") == "off"
        client.run("reset jit")
        client.run("select pg_backend_pid(), set_config('work_mem', '3MB', false), version()")
        assert not kept(target)
        assert client.value("show work_mem") == "3MB"
        # What may stop the row is none of these.
        client.run("select set_config('work_mem', '5MB', false), generate_series(1, 0)")
        assert kept(target)


@test(targets=FOREBAY, params=("reset all", "discard all"))
def settings_that_no_text_shows_until_all_are_reset(lab: Lab, reset: str) -> None:
    target = lone(lab)
    hidden = "select set_config('work_mem', '5MB', false) from generate_series(1, 2) limit 1"
    with target.connect(DateStyle="German") as client:
        client.run(hidden)
        assert kept(target)
        client.run(reset)
        assert not kept(target)
        assert client.value("show work_mem") == "4MB"
        assert client.value("show datestyle") == "German, DMY"
        if reset == "discard all":
            return
        client.run(hidden)
        client.run(f"begin; {reset}; rollback")
        assert kept(target)
        client.run(f"begin; {reset}; {hidden}; commit")
        assert kept(target)
        client.run(f"begin; savepoint a; {reset}; rollback to a; commit")
        assert kept(target)
        assert client.value("show work_mem") == "5MB"
        client.run(f"begin; {reset}; commit")
        assert not kept(target)
        # Who the session is, is not reset.
        client.run("select set_config('role', rolname, false) from pg_roles where rolname = user")
        client.run(reset)
        assert kept(target)


@test(targets=FOREBAY)
def a_setting_by_a_portal_that_is_not_at_its_end(lab: Lab) -> None:
    """As asyncpg's fetchval and fetchrow ask: one row, and no more."""
    target = lone(lab)
    with target.connect() as client:
        answer = fetch(client, "select set_config('work_mem', '3MB', false)", 1)
        assert m.only(answer, b"s"), answer
        assert not kept(target)
        assert client.value("show work_mem") == "3MB"
        client.run("prepare p as select set_config('work_mem', '5MB', false)")
        fetch(client, "explain analyze execute p", 1)
        assert kept(target)


@test(targets=FOREBAY)
def advisory_locks_that_were_not_got(lab: Lab) -> None:
    target = lone(lab)
    held = "select count(*) from pg_locks where locktype = 'advisory'"
    got = "select pg_try_advisory_lock(7)"
    with lab.direct().connect() as owner, target.connect() as client:
        owner.run("select pg_advisory_lock(7)")
        for _ in range(2):
            assert client.value(got) == "f"
        assert not kept(target)
        client.run(f"{got} where false")
        assert not kept(target)
        fetch(client, got, 1)
        assert not kept(target)
        client.run("begin; select pg_try_advisory_lock_shared(7); commit")
        assert not kept(target)
        owner.run("select pg_advisory_unlock(7)")
        assert client.value(got) == "t"
        assert kept(target)
        assert client.value(got) == "t"
        client.run("select pg_advisory_unlock(7)")
        assert kept(target)
        assert lab.postgres.value(held, "app") == "1"
        client.run("select pg_advisory_unlock(7)")
        assert not kept(target)
        client.run(f"begin; {got}")
        client.run("rollback")
        assert kept(target)


@test(targets=FOREBAY)
def a_large_unnamed_statement_until_a_query(lab: Lab) -> None:
    target = lone(lab)
    large = "select 1 -- " + "x" * 70_000
    with target.connect() as client:
        client.messages(m.parse("", large), m.sync())
        assert kept(target)
        client.run("select 2")
        assert not kept(target)
        assert client.error(m.bind("", ""), m.sync()).sqlstate == "26000"


# Each is counted, by its cause, for as long as it lasts.

PINS = {
    "temporary": ("create temp table own (a int)", "drop table own"),
    "held_cursor": ("declare held cursor with hold for select 1", "close held"),
    "listen": ("listen bell", "unlisten bell"),
    "advisory_lock": ("select pg_advisory_lock(4)", "select pg_advisory_unlock(4)"),
    "library": ("load 'plpgsql'", ""),
    "sequence": ("create sequence if not exists own;begin;select nextval('own');"
                 "select currval('own');commit", "discard all"),
    "setting": ("select set_config('work_mem', '5MB', false) from generate_series(1, 2) limit 1",
                "reset all"),
    "large_statement": (m.parse("large", "select 1 -- " + "x" * 70_000), m.close_statement("large")),
}


@test(targets=FOREBAY, params=PINS)
def counted_by_cause(lab: Lab, cause: str) -> None:
    http = ports.claim()
    target = lab.target(users={"postgres": "any"},
                        options={"http": f"127.0.0.1:{http}", "admin_users": "postgres"})
    begin, end = PINS[cause]

    def seen(console: Client) -> tuple[list[str], dict[str, float], float]:
        description, *answer = console.messages(m.query("show clients extended"))
        names = re.findall(rb"([a-z_]+)\0", description.body)
        listed = [row.columns()[names.index(b"pins")] for row in m.only(answer, b"D")
                  if row.columns()[names.index(b"database")] == b"app"]
        scrape = Scrape(http)
        now = {its["reason"]: scrape.sum("pinned_clients", **its)
               for its in scrape.series("pinned_clients")}
        return ([(pins or b"").decode() for pins in listed],
                {reason: count for reason, count in now.items() if count},
                scrape.sum("pins_total", reason=cause))

    def do(client: Client, what: Union[str, bytes]) -> None:
        if isinstance(what, bytes):
            client.messages(what, m.sync())
        for text in what.split(";") if isinstance(what, str) else ():
            client.run(text)

    with target.connect("postgres", "forebay", password="any") as console, \
            target.connect("postgres", password="any") as client:
        client.run("select 1")
        assert seen(console) == ([""], {}, 0.0)
        for turn in (1.0, 2.0):
            do(client, begin)
            wait_until(lambda: seen(console) == ([cause], {cause: 1.0}, turn),   # type: ignore
                       f"it is kept: {seen(console)}")
            if not end:
                client.close()
                wait_until(lambda: seen(console)[1] == {}, "it is over")
                break
            do(client, end)
            wait_until(lambda: seen(console) == ([""], {}, turn),               # type: ignore
                       f"it is free: {seen(console)}")
