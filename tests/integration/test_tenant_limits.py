"""How much each tenant may do, as the configuration says it."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from lab import messages as m
from lab import ports
from lab.declare import FOREBAY, test
from lab.forebay import Forebay
from lab.lab import Lab
from lab.process import wait_until
from lab.scrape import Scrape
from lab.target import Database
from lab.wire import refused

from test_console import console
from test_tenant_orders import tenant
from test_tenants import start

WHOSE = {"databases": ["app"], "users": {"app": "small", "other": "large"}}


@test(targets=FOREBAY)
def statements_per_second_of_a_tenant(lab: Lab) -> None:
    """All clients of a tenant have one rate; what comes too fast is refused where nothing may wait,
    and waits where it may. Other tenants have rates of their own."""
    port = ports.claim()
    target = start(lab, {**WHOSE, "max_statements_per_second": 100, "statement_burst": 1,
                         "limits": {"small": {"max_statements_per_second": 1,
                                              "max_waiting_statements": 0}}},
                   http=f"127.0.0.1:{port}")
    many = b"".join(m.query(f"select {n}") for n in range(10))
    with target.connect() as first, target.connect() as second:
        answers = []
        for client in (first, second):
            client.send(many)
        for client in (first, second):
            answers += client.until_ready(10)
        errors = m.only(answers, b"E")
        ran = m.only(answers, b"D")
        assert len(errors) + len(ran) == 20 and errors and ran, answers
        for error in errors:
            assert error.sqlstate == "53400", error
            assert "of tenant \"small\" (max_statements_per_second = 1, set in " \
                "[tenants.limits.small])" in error.text, error
        found = Scrape(port)
        assert found.sum("statements_refused_total",
                         limit="max_statements_per_second") == len(errors)
    with target.connect("other") as other:
        began = time.monotonic()
        for number in range(20):
            assert other.value(f"select {number}") == str(number)
        assert time.monotonic() - began >= 0.18


@test(targets=FOREBAY)
def bytes_per_second_of_a_tenant(lab: Lab) -> None:
    """They go their way later; nothing is lost, and nobody else is held up."""
    port = ports.claim()
    target = start(lab, {**WHOSE, "max_bytes_per_second": "1GiB",
                         "limits": {"small": {"max_bytes_per_second": "1MiB"}}},
                   http=f"127.0.0.1:{port}")
    much = "x" * (1 << 20)
    with target.connect() as first, target.connect() as second, target.connect("other") as other:
        began = time.monotonic()
        # What the first sends uses up what the second may receive.
        assert first.value(f"select length('{much}')") == str(len(much))
        assert second.value("select repeat('x', 1 << 20)") == much
        assert first.value("select 1") == "1"
        assert time.monotonic() - began >= 0.9
        before = Scrape(port).sum("byte_rate_pauses_total")
        assert before > 0
        for _ in range(5):
            assert other.value("select repeat('x', 1 << 20)") == much
        assert Scrape(port).sum("byte_rate_pauses_total") == before


def held(port: int) -> int:
    return int(Scrape(port).sum("statements_held_total", limit="max_tenant_connections"))


@test(targets=FOREBAY)
def server_connections_of_a_tenant(lab: Lab) -> None:
    """What its clients have counts, whether it is at work, in a transaction or kept beyond one; who
    comes then waits for its own, oldest first, and others do not."""
    port = ports.claim()
    target = start(lab, {**WHOSE, "limits": {"small": {"max_tenant_connections": 2,
                                                       "max_waiting_statements": 1}}},
                   pool_size=5, http=f"127.0.0.1:{port}", admin_users="app")
    keeps, holder, waits, late = (lab.keep(target.connect()) for _ in range(4))
    keeps.run("listen news")
    holder.run("begin")
    for turn in (1, 2):
        before = held(port)  # the holder may have waited a moment for the place to be given back
        waits.send(m.query("select 1"))
        wait_until(lambda before=before: held(port) == before + 1, "it waits")
        with target.connect("other") as other:
            assert other.value("select 2") == "2"
        error = late.error(m.query("select 3"))
        assert error.sqlstate == "53400", error
        assert "of tenant \"small\" (max_tenant_connections = 2, set in [tenants.limits.small])" \
            in error.text, error
        assert keeps.value("select 4") == "4" and holder.value("select 5") == "5"
        assert waits.quiet
        shown = tenant(target, "small")
        assert (shown["servers"], shown["max_connections"], shown["waiting"]) == ("2", "2", "1")
        if turn == 1:
            holder.run("commit")
            assert m.only(waits.until_ready(), b"D")[0].columns() == [b"1"]
            holder.run("begin")
    keeps.run("unlisten *")
    assert m.only(waits.until_ready(), b"D")[0].columns() == [b"1"]
    assert Scrape(port).sum("statements_refused_total", limit="max_tenant_connections") == 2
    assert late.value("select 6") == "6"


@test(modes=("session",), targets=FOREBAY)
def server_connections_of_whole_sessions(lab: Lab) -> None:
    """They have one from login to the end, so that logins wait."""
    port = ports.claim()
    target = start(lab, {**WHOSE, "max_tenant_connections": 1}, pool_size=5,
                   http=f"127.0.0.1:{port}", query_wait_timeout="1s")
    with target.connect() as first, target.connect("other") as other:
        assert first.value("select 1") == "1" and other.value("select 2") == "2"
        error = refused(target.connect)
        assert error.sqlstate == "53300" and "max_tenant_connections = 1" in str(error.fields()), \
            error
        assert "query_wait_timeout (1000 ms)" in error.text, error
        with ThreadPoolExecutor(1) as pool:
            second = pool.submit(target.connect)
            wait_until(lambda: held(port) == 2, "it waits")
            first.close()
            with second.result() as client:
                assert client.value("select 3") == "3"
        assert other.value("select 4") == "4"


@test(targets=FOREBAY)
def server_connections_ordered_of_a_tenant(lab: Lab) -> None:
    """A limit that comes while there are more counts those; more room is had at once; who waits is
    paused, too, may cancel, and gives up with the limit's name."""
    port = ports.claim()
    target = start(lab, {**WHOSE, "users": {"app": "small"}, "max_statements": 9}, pool_size=5,
                   http=f"127.0.0.1:{port}", admin_users="app", query_wait_timeout="2s")
    first, second, third = (lab.keep(target.connect()) for _ in range(3))
    first.run("begin")
    first.run("select 1")
    second.run("listen news")
    console(target, "limit tenant small max_tenant_connections = 1;")
    first.run("commit")
    # The one that keeps its server connection has it; nobody else has any.
    error = third.error(m.query("select 2"))
    assert error.sqlstate == "57014" and "query_wait_timeout (2000 ms)" in error.text, error
    assert "max_tenant_connections = 1, set in the console by LIMIT TENANT" \
        in error.fields()["D"], error
    assert second.value("select 3") == "3"
    third.send(m.query("select 4"))
    wait_until(lambda: held(port) == 2, "it waits")
    console(target, "pause tenant small;")
    second.send(m.query("unlisten *"))
    wait_until(lambda: tenant(target, "small")["waiting"] == "2", "both wait")
    assert third.quiet
    console(target, "resume tenant small;")
    assert m.only(third.until_ready(), b"D")[0].columns() == [b"4"]
    second.until_ready()
    first.run("begin")
    first.run("select 5")
    third.send(m.query("select 6"))
    wait_until(lambda: tenant(target, "small")["waiting"] == "1", "it waits")
    console(target, "limit tenant small max_tenant_connections = 2;")
    assert m.only(third.until_ready(), b"D")[0].columns() == [b"6"]


@test(targets=FOREBAY)
def who_waits_for_its_tenants_connections_keeps_no_place(lab: Lab) -> None:
    """And waits no longer when a reload takes the limit away."""
    port = ports.claim()
    app = Database(user="app", password="app-secret", options={"max_statements": 2})
    target = lab.target(tenants={**WHOSE, "limits": {"small": {"max_tenant_connections": 1}}},
                        databases={"app": app}, pool_size=5,
                        options={"http": f"127.0.0.1:{port}", "admin_users": "app"})
    holder, waits = (lab.keep(target.connect()) for _ in range(2))
    holder.run("begin")
    waits.send(m.query("select 1"))
    wait_until(lambda: held(port) == 1, "it waits")
    with target.connect("other") as other:
        assert other.value("select 2", within=10) == "2"
    assert waits.quiet
    assert isinstance(target, Forebay)
    target.settings.tenants["limits"] = {}
    (target.folder / "forebay.toml").write_text(target.toml_text())
    console(target, "reload;")
    assert m.only(waits.until_ready(), b"D")[0].columns() == [b"1"]
    holder.run("commit")


@test(targets=FOREBAY)
def server_connections_are_never_more(lab: Lab) -> None:
    """Whatever the workers do, and whoever vanishes with a statement at work."""
    target = start(lab, {**WHOSE, "max_tenant_connections": 2}, pool_size=8, workers=2)
    watch = lab.keep(lab.direct().connect())
    most = 0

    def work(number: int) -> None:
        for turn in range(40):
            client = target.connect()
            if (number + turn) % 5 == 0:
                client.send(m.query("select pg_advisory_lock_shared(7), pg_sleep(0.05)"))
            else:
                client.run("begin; select pg_advisory_xact_lock_shared(7)")
                client.run("commit")
            client.close()

    with ThreadPoolExecutor(8) as pool:
        workers = [pool.submit(work, number) for number in range(8)]
        while not all(worker.done() for worker in workers):
            most = max(most, int(watch.value(
                "select count(*) from pg_stat_activity where application_name <> 'watch' "
                "and pid <> pg_backend_pid() and state <> 'idle' "
                "and query like '%pg_advisory%'")))
        for worker in workers:
            worker.result()
    assert 0 < most <= 2, most
