"""What operators order of one tenant at run time: to wait, to go, to do less; until it is over or
taken back."""

from __future__ import annotations

from lab import messages as m
from lab import ports
from lab.declare import FOREBAY, test
from lab.lab import Lab
from lab.process import wait_until
from lab.scrape import Scrape
from lab.target import Target
from lab.wire import Client, ServerError, refused

from test_console import console, rows
from test_tenants import start

WHOSE = {"databases": ["app"], "users": {"app": "acme", "other": "b"}}


def tenant(target: Target, name: str, command: str = "show tenants extended") -> dict[str, str]:
    return next(row for row in rows(target, command) if row["tenant"] == name)


def waiting(target: Target, number: int, name: str = "acme") -> None:
    wait_until(lambda: tenant(target, name)["waiting"] == str(number), "they wait")


def answers(client: Client) -> bytes:
    row = m.only(client.until_ready(), b"D")[0].columns()[0]
    assert row is not None
    return row


@test(modes=("transaction", "session"), targets=FOREBAY)
def paused_tenants_wait_between_transactions(lab: Lab) -> None:
    target = start(lab, WHOSE, pool_size=5, admin_users="app")
    with target.connect() as first, target.connect() as second, target.connect("other") as other:
        first.run("begin")
        console(target, "pause tenant acme for '1h' reason 'it''s not paid for';")
        first.run("select 1")
        second.send(m.query("select 2"))
        waiting(target, 1)
        first.run("commit")
        first.send(m.query("select 3"))
        waiting(target, 2)
        assert first.quiet and second.quiet
        assert other.value("select 4") == "4"
        with target.connect() as third:
            third.send(m.query("select 5"))
            waiting(target, 3)
            shown = tenant(target, "acme")
            assert (shown["state"], shown["reason"]) == ("paused", "it's not paid for"), shown
            assert shown["until"].endswith(" UTC"), shown
            assert tenant(target, "b")["state"] == ""
            order = tenant(target, "acme", "show tenant orders")
            assert (order["order"], order["by"]) == ("pause", "app"), order
            console(target, "resume tenant acme;")
            assert [answers(client) for client in (second, first, third)] == [b"2", b"3", b"5"]
        assert tenant(target, "acme")["state"] == ""
        assert first.value("select 6") == "6"
        assert "is not paused" in console(target, "resume tenant acme;").err
    wait_until(lambda: 'PAUSE TENANT' in target.log and "user=app tenant=acme" in target.log,
               "who ordered what")


@test(targets=FOREBAY)
def who_waits_for_a_server_is_paused_too(lab: Lab) -> None:
    """And who keeps a server connection between transactions."""
    target = start(lab, {**WHOSE, "max_statements": 9}, pool_size=2, admin_users="app")
    with target.connect() as keeps, target.connect() as waits, target.connect("other") as other:
        keeps.run("listen news")
        other.run("begin")
        waits.send(m.query("select 1"))
        waiting(target, 1)
        console(target, "pause tenant acme;")
        console(target, "reload;")
        keeps.send(m.query("select 2"))
        waiting(target, 2)
        other.run("commit")
        assert other.value("select 3") == "3"
        assert waits.quiet and keeps.quiet
        console(target, "resume tenant acme;")
        assert (answers(waits), answers(keeps)) == (b"1", b"2")


@test(targets=FOREBAY)
def a_pause_is_not_waited_for_without_end(lab: Lab) -> None:
    """The wait is bounded as any other is; and the pause itself by its time."""
    target = start(lab, WHOSE, admin_users="app", query_wait_timeout="200ms")
    with target.connect() as client:
        console(target, "pause tenant acme reason 'too much';")
        error = client.error(m.query("select 1"))
        assert error.sqlstate == "57014", error
        assert 'tenant "acme" is paused: too much' in error.text, error
        console(target, "pause tenant acme for '1s';")
        wait_until(lambda: not m.only(client.messages(m.query("select 1")), b"E"), "it is over")
    wait_until(lambda: "tenant_order_ended" in target.log, "the log says it")


@test(modes=("transaction", "session"), targets=FOREBAY)
def banned_tenants_go_and_stay_away(lab: Lab) -> None:
    target = start(lab, WHOSE, pool_size=5, admin_users="app")
    with target.connect() as idle, target.connect() as busy, target.connect("other") as other:
        busy.run("begin")
        busy.run("select 1")
        said = console(target, "ban tenant acme for '1h' reason 'abuse';").err
        assert "until this process ends" in said and "no client of" not in said, said
        for client in (idle, busy):
            error = m.only(client.until_end(), b"E")[0]
            assert error.sqlstate == "57P01", error
            assert 'tenant "acme" is banned until ' in error.text and "UTC: abuse" in error.text
        error = refused(target.connect)
        assert error.sqlstate == "28000" and "UTC: abuse" in error.text, error
        assert other.value("select 1") == "1"
        assert tenant(target, "acme")["state"] == "banned"
        # Nobody of these has come yet.
        for name in ("c", "nobody"):
            assert "no client of tenant" in console(target, f"ban tenant {name};").err
        assert [row["tenant"] for row in rows(target, "show tenant orders")] == [
            "acme", "c", "nobody"]
        console(target, "unban tenant acme; reset tenant c;")
        with target.connect() as again:
            assert again.value("select 2") == "2"
        console(target, "ban tenant acme for '1s';")

        def comes() -> bool:
            try:
                target.connect().close()
            except ServerError:
                return False
            return True
        wait_until(comes, "it is over")


@test(targets=FOREBAY)
def ordered_limits_outlive_a_reload(lab: Lab) -> None:
    target = start(lab, {**WHOSE, "max_statements": 7}, admin_users="app")
    where = "set in the console by LIMIT TENANT)"
    with target.connect() as first, target.connect() as second, target.connect("other") as other:
        first.run("begin")
        console(target, "limit tenant acme max_statements = 1, max_waiting_statements = 0, "
                "max_tenant_client_connections = 2, statement_timeout = '100ms' reason 'loud';")
        for _ in range(2):
            error = second.error(m.query("select 1"))
            assert error.sqlstate == "53400" and f"(max_statements = 1, {where}" in error.text
            error = refused(target.connect)
            assert error.sqlstate == "53300" and where in error.text, error
            console(target, "reload;")
        shown = tenant(target, "acme")
        assert (shown["state"], shown["max_statements"], shown["statement_timeout_ms"]) == (
            "limited", "1", "100"), shown
        assert tenant(target, "b")["max_statements"] == "7"
        order = tenant(target, "acme", "show tenant orders")
        assert order["limits"] == (
            "max_tenant_client_connections = 2, max_statements = 1, max_waiting_statements = 0, "
            'statement_timeout = "100ms"')
        first.run("commit")
        error = first.error(m.query("select pg_sleep(600)"))
        assert error.sqlstate == "57014" and f"(100ms, {where}" in error.text, error
        assert other.value("select 1") == "1"
        console(target, "reset tenant acme;")
        first.run("begin")
        assert second.value("select 2") == "2"
        with target.connect() as third:
            assert third.value("select 3") == "3"


@test(targets=FOREBAY)
def orders_are_checked(lab: Lab) -> None:
    target = start(lab, {**WHOSE, "users": {"app": "1", "other": "2"}, "column_type": "integer"},
                   admin_users="app", stats_users="other")
    for order, said in (("pause tenant acme", "column_type"),
                        ("limit tenant 1 max_server_connections = 1", "a tenant has no limit"),
                        ("limit tenant 1 max_statements = many", "expected a number from 0"),
                        ("limit tenant 1 statement_timeout = 'long'", "expected a time"),
                        ("limit tenant 1 max_bytes_per_second = 5", "expected a size"),
                        ("ban tenant 1 for 'ever'", "expected a time"),
                        ("unban tenant 1", "is not banned"),
                        ("reset tenant 1", "has nothing ordered")):
        assert said in console(target, order + ";").err, order
    for order in ("pause tenant 1", "ban tenant 1", "reset tenant 1", "limit tenant 1 a = 1"):
        assert "42501" in console(target, order + ";", user="other").err, order
    assert rows(target, "show tenant orders") == []
    helped = {row["command"] for row in rows(target, "show help")}
    assert "PAUSE TENANT name [FOR 'time'] [REASON 'text']" in helped, helped


@test(targets=FOREBAY)
def orders_are_counted(lab: Lab) -> None:
    """By kind: those in force, and all that were given; what is taken back or over is no order."""
    port = ports.claim()
    target = start(lab, WHOSE, admin_users="app", http=f"127.0.0.1:{port}")

    def orders(name: str) -> tuple[float, ...]:
        found = Scrape(port)
        return tuple(found.sum(name, order=kind) for kind in ("ban", "pause", "limit"))

    lab.keep(target.connect())
    assert orders("tenant_orders") == orders("tenant_orders_total") == (0, 0, 0)
    console(target, "ban tenant c; ban tenant d; pause tenant c; pause tenant c for '1h'; "
            "limit tenant acme max_statements = 1; limit tenant acme max_statements = 2;")
    assert orders("tenant_orders") == (2, 1, 1)
    assert orders("tenant_orders_total") == (2, 2, 2)
    console(target, "unban tenant d; reset tenant c; ban tenant d for '1s';")
    assert orders("tenant_orders_total") == (3, 2, 2)
    wait_until(lambda: orders("tenant_orders") == (0, 0, 1), "the ban is over")
    assert orders("tenant_orders_total") == (3, 2, 2)
