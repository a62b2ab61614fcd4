"""Tenants that are placed on other databases and clusters than they name, and moved by a reload."""

from __future__ import annotations

from typing import Any, Optional

from lab import messages as m
from lab.declare import FOREBAY, test
from lab.forebay import Forebay
from lab.lab import Lab
from lab.process import wait_until
from lab.target import Database, Target
from lab.wire import Client

from test_console import console
from test_prepared_types import INT4, INT8, told as types_of
from test_split import at, pair, split
from test_tenant_orders import tenant

WHOSE: dict[str, Any] = {"databases": ["app"], "users": {"app": "acme", "other": "b"},
                         "setting": "app.tenant_id"}


def start(lab: Lab, places: dict[str, str], limits: Optional[dict[str, Any]] = None,
          **options: Any) -> Target:
    """Two clusters, each of which says which it is."""
    second = lab.private_postgres()
    for postgres, name, number in ((lab.postgres, "first", "int"), (second, "second", "bigint")):
        with postgres.admin("app") as admin:
            admin.run(f"create table place as select '{name}' as name, 1::{number} as number")
            admin.run("grant usage on schema public to public; grant select on place to public")
    return lab.target(tenants={**WHOSE, "places": places, "limits": limits or {}},
                      pool_size=2,
                      options={"admin_users": "app", **options},
                      databases={"app": Database(),
                                 "apart": Database([second.address], dbname="app")})


def place(target: Target, places: dict[str, str]) -> None:
    assert isinstance(target, Forebay)
    target.settings.tenants["places"] = places
    (target.folder / "forebay.toml").write_text(target.toml_text())
    console(target, "reload;")


def where(client: Client) -> str:
    value = client.value("select name from place")
    assert value is not None
    return value


@test(targets=FOREBAY)
def tenants_are_where_they_are_placed(lab: Lab) -> None:
    target = start(lab, {"acme": "apart"})
    with target.connect() as client, target.connect("other") as other:
        assert (where(client), where(other)) == ("second", "first")
        assert client.value("show app.tenant_id") == "acme"


@test(modes=("transaction", "statement"), targets=FOREBAY)
def a_reload_moves_them_with_all_that_they_have(lab: Lab) -> None:
    target = start(lab, {})
    statement = "select name, current_setting('work_mem') from place"
    run = (m.bind("", "kept"), m.execute(""), m.sync())

    def kept(client: Client) -> list[Any]:
        return m.only(client.messages(*run), b"D")[0].columns()

    with target.connect() as client, target.connect("other") as other:
        client.run("set work_mem = '5MB'")
        client.run("prepare p as select name from place")
        client.messages(m.parse("kept", statement), m.sync())
        assert kept(client) == [b"first", b"5MB"]
        for places, name in (({"acme": "apart"}, "second"), ({}, "first")):
            place(target, places)
            wait_until(lambda: where(client) == name, "its worker has heard of it")
            assert kept(client) == [name.encode(), b"5MB"]
            assert client.value("execute p") == name
            assert client.value("show work_mem") == "5MB"
            assert client.value("show app.tenant_id") == "acme"
            assert where(other) == "first"
    assert "tenant_moved" in target.log


@test(targets=FOREBAY)
def types_of_parameters_are_the_places(lab: Lab) -> None:
    """What a client was told of a statement holds in the database that told it."""
    target = start(lab, {})
    with target.connect() as client:
        client.messages(m.parse("p", "select name from place where number = $1"), m.sync())
        for places, name, number in (({}, "first", INT4), ({"acme": "apart"}, "second", INT8),
                                     ({}, "first", INT4)):
            place(target, places)
            wait_until(lambda: where(client) == name, "its worker has heard of it")
            assert types_of(client, "p") == [number]


@test(modes=("transaction",), targets=FOREBAY)
def transactions_end_where_they_began(lab: Lab) -> None:
    target = start(lab, {})
    with target.connect() as client, target.connect() as bound, target.connect() as waits:
        client.run("begin")
        bound.run("listen news")
        assert where(client) == "first"
        waits.send(m.query("select name from place"))       # both connections are in use
        place(target, {"acme": "apart"})
        # Where its worker hears of it last, a connection may have come free before.
        answer = m.only(waits.until_ready(), b"D")[0].columns()
        assert answer in ([b"first"], [b"second"]), answer
        wait_until(lambda: where(waits) == "second", "its worker has heard of it")
        assert where(client) == "first"
        client.run("commit")
        wait_until(lambda: where(client) == "second", "its worker has heard of it")
        # What stands on a server connection cannot be taken along.
        error = m.only(bound.until_end(), b"E")[0]
        assert error.sqlstate == "57P01" and "placed in another database" in error.text, error


@test(modes=("session",), targets=FOREBAY)
def whole_sessions_end(lab: Lab) -> None:
    target = start(lab, {})
    with target.connect() as client, target.connect() as busy:
        assert where(client) == "first"
        busy.run("begin")
        place(target, {"acme": "apart"})
        assert m.only(client.until_end(), b"E")[0].sqlstate == "57P01"
        assert where(busy) == "first"
        busy.send(m.query("commit"))
        answer = busy.until_end()
        assert m.only(answer, b"C") and m.only(answer, b"E")[0].sqlstate == "57P01", answer
    with target.connect() as again:
        assert where(again) == "second"


@test(modes=("transaction",), targets=FOREBAY)
def reads_that_wait_for_a_replica_move(lab: Lab) -> None:
    """To a database that has none. When the replica has what they waited for, nobody waits."""
    both = pair(lab)
    target = split(lab, both, {"app": Database(), "apart": Database([both.primary.address],
                                                                    dbname="app")},
                   tenants=WHOSE, read_consistency="session", read_wait_timeout="20s",
                   admin_users="app")
    with target.connect() as client:
        both.replica.value("select pg_wal_replay_pause()")
        client.run("insert into t values (10, 'x')")
        client.send(m.query("select count(*) from t where id = 10"))
        assert client.quiet
        place(target, {"acme": "apart"})
        assert m.only(client.until_ready(), b"D")[0].columns() == [b"1"]
        both.replica.value("select pg_wal_replay_resume()")
        with target.connect("other") as other:
            wait_until(lambda: at(other) == both.replica.port, "the replica is read from")
        assert at(client) == both.primary.port
    target.check_healthy()


SEQUENCE = "create table numbered (id serial, x int); grant all on numbered, numbered_id_seq to app"


def keeps_its_link(lab: Lab, target: Target) -> Client:
    """It has taken a number of a sequence, where clients have asked for such: it may ask, too."""
    with target.connect() as asks:
        asks.error(m.query("select lastval()"))
    client = target.connect()
    lab.keep(client)
    client.run("insert into numbered (x) values (1)")
    return client


@test(modes=("transaction",), targets=FOREBAY)
def what_a_rate_holds_up_moves(lab: Lab) -> None:
    """Also where its session has kept its server connection."""
    with lab.postgres.admin("app") as admin:
        for statement in SEQUENCE.split("; "):
            admin.run(statement)
    target = start(lab, {}, limits={"acme": {"max_statements_per_second": 1,
                                             "statement_burst": 2}})
    others = [lab.keep(target.connect()) for _ in range(5)]
    client = keeps_its_link(lab, target)
    for other in others:
        other.send(m.query("select 1"))
    client.send(m.query("select name from place"))
    place(target, {"acme": "apart"})
    assert m.only(client.until_ready(within=30), b"D")[0].columns() == [b"second"]


@test(modes=("transaction",), targets=FOREBAY)
def places_below_a_limit_are_given_back_by_who_moves(lab: Lab) -> None:
    with lab.postgres.admin("app") as admin:
        for statement in SEQUENCE.split("; "):
            admin.run(statement)
    target = start(lab, {}, limits={"acme": {"max_statements": 1}})
    client = keeps_its_link(lab, target)
    console(target, "pause tenant acme;")
    client.send(m.query("select name from place"))
    wait_until(lambda: tenant(target, "acme")["waiting"] == "1", "it waits")
    place(target, {"acme": "apart"})
    console(target, "resume tenant acme;")
    assert m.only(client.until_ready(), b"D")[0].columns() == [b"second"]
    client.close()
    with target.connect() as other:
        assert where(other) == "second"
