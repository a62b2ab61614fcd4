"""What is measured: that it is right, that the blame falls where it belongs, that it is bounded."""

from __future__ import annotations

import re
import time
from typing import Any, Optional

from lab import messages as m
from lab import ports
from lab.declare import FOREBAY, test
from lab.lab import Lab
from lab.process import run, wait_until
from lab.scrape import Scrape, get, get_json
from lab.target import Target
from lab.wire import Connection, refused


class Observed:
    """A target with its HTTP port."""

    def __init__(self, lab: Lab, options: Optional[dict[str, Any]] = None,
                 **settings: Any) -> None:
        self.port = ports.claim()
        self.target: Target = lab.target(
            options={"http": f"127.0.0.1:{self.port}", **(options or {})}, **settings)

    def scrape(self) -> Scrape:
        return Scrape(self.port)


@test(targets=FOREBAY)
def promtool_finds_nothing(lab: Lab) -> None:
    observed = Observed(lab, options={"pgbouncer_metrics": True,
                                      "statement_statistics": 100,
                                      "statement_metrics": 1},
                        tenants={"databases": ["app"], "startup_parameter": "forebay.tenant"})
    with (observed.target.connect(**{"forebay.tenant": 'my "a\\'}) as client,
          observed.target.connect(**{"forebay.tenant": "other"})):
        client.run("select 1")
        client.error(m.query("select 1/0"))
        seen = observed.scrape()
    tenant = 'my \\"a\\\\'  # as a label
    assert seen.sum("tenant_clients", tenant=tenant) == 1, seen.text
    assert seen.sum("tenant_clients", tenant="other") == 1, seen.text
    assert seen.sum("tenant_statements_total", tenant=tenant) == 2, seen.text
    assert seen.sum("tenant_errors_total", tenant=tenant) == 1, seen.text
    assert seen.sum("tenant_received_bytes_total", tenant=tenant) > 10, seen.text
    assert seen.sum("tenant_sent_bytes_total", tenant=tenant) > 50, seen.text
    assert len(seen.series("top_statement_calls_total")) == 1, seen.text
    assert '\npgbouncer_stats_queries_pooled_total{database="app"} 2\n' in seen.text, seen.text
    metrics = lab.folder / "metrics.txt"
    metrics.write_text(seen.text)
    checked = run(["sh", "-c", f"promtool check metrics < {metrics}"])
    assert checked.out + checked.err == "", checked


@test(targets=FOREBAY)
def open_metrics_have_exemplars(lab: Lab) -> None:
    observed = Observed(lab, options={"pgbouncer_metrics": True, "slow_query_threshold": "10ms"})
    trace, span = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    with observed.target.connect() as client:
        client.run(f"select pg_sleep(0.03) /*traceparent='00-{trace}-{span}-01'*/")
        client.run("select pg_sleep(0.03)")
    text = get(observed.port, "/metrics", {"Accept": "application/openmetrics-text;version=1.0.0"})
    lines = text.splitlines()
    assert lines[-1] == "# EOF" and text.count("# EOF") == 1, lines[-1]
    types = dict(line.split()[2:4] for line in lines if line.startswith("# TYPE "))
    assert len(types) == sum(line.startswith("# TYPE ") for line in lines), "two of a name"
    for line in lines:
        name = line.split("{")[0].split(" ")[0]
        if name == "#":
            continue
        known = [ending for ending in ("_total", "_bucket", "_sum", "_count", "")
                 if name.endswith(ending) and name[:len(name) - len(ending)] in types]
        assert known, line
        kind = types[name[:len(name) - len(known[0])]]
        assert (kind == "counter") == (known[0] == "_total"), line
    wanted = re.compile(r'forebay_statement_duration_seconds_bucket[{]database="app",user="app",'
                        rf'le="[0-9.]+"[}}] 2 # [{{]trace_id="{trace}",span_id="{span}"[}}] '
                        r"0[.][0-9]{6} [0-9]{10}[.][0-9]{3}")
    assert len([line for line in lines if wanted.fullmatch(line)]) == 1, text
    assert sum(" # " in line for line in lines) == 1, text


@test(targets=FOREBAY, params=("simple", "prepared"))
def counts_are_those_of_pgbench(lab: Lab, protocol: str) -> None:
    """2 x 50 transactions of seven statements; the other sums follow from their parts."""
    observed = Observed(lab, pool_size=2)
    run(["pgbench", "-n", "-M", protocol, "-c", 2, "-j", 2, "-t", 50], within=60,
        env=observed.target.environment(database="bench"))
    seen = observed.scrape()
    bench = {"database": "bench", "user": "app"}
    # One more asks for the scale before the clients begin, one for partitions.
    extra = seen.sum("transactions_total", **bench) - 100
    assert 0 <= extra <= 4, seen.text
    statements = seen.sum("statements_total", **bench)
    assert statements == 700 + extra, statements
    assert seen.sum("statement_duration_seconds_count", **bench) == statements
    assert seen.sum("statement_server_seconds_count", **bench) == statements
    assert seen.sum("transaction_duration_seconds_count", **bench) == 100 + extra
    assert seen.sum("rows_total", **bench) >= 500, seen.text
    assert seen.sum("errors_total", **bench) == 0
    parts = (seen.sum("statement_server_seconds_sum", **bench)
             + seen.sum("client_wait_seconds_sum", **bench)
             + seen.sum("transfer_seconds_total", **bench))
    # Time before a Parse, too, is a wait.
    assert abs(parts - seen.sum("statement_duration_seconds_sum", **bench)) < 0.02 + parts * 0.2
    assert (seen.sum("transaction_duration_seconds_sum", **bench)
            >= seen.sum("transaction_server_seconds_sum", **bench))


def blame(seen: Scrape) -> tuple[float, float, float]:
    return (seen.sum("client_wait_seconds_sum"), seen.sum("statement_server_seconds_sum"),
            seen.sum("transfer_seconds_total"))


@test(targets=FOREBAY)
def a_slow_statement_is_the_servers(lab: Lab) -> None:
    observed = Observed(lab)
    with observed.target.connect() as client:
        client.run("select 1")              # the server connection is there
        client.run("select pg_sleep(0.5)")
    wait, server, transfer = blame(observed.scrape())
    assert server >= 0.5 and server > wait and server > transfer, (wait, server, transfer)


@test(targets=FOREBAY)
def a_full_pool_is_a_wait(lab: Lab) -> None:
    observed = Observed(lab, pool_size=1)
    with observed.target.connect() as first, observed.target.connect() as second:
        first.run("begin")
        second.send(m.query("select 1"))
        wait_until(lambda: observed.scrape().sum("pool_oldest_wait_seconds") >= 0.3, "a long wait")
        assert observed.scrape().sum("pool_clients", state="waiting") == 1
        first.run("commit")
        second.until_ready()
    wait, server, transfer = blame(observed.scrape())
    assert wait >= 0.3 and wait > server and wait > transfer, (wait, server, transfer)


@test(targets=FOREBAY)
def a_slow_reader_is_a_transfer(lab: Lab) -> None:
    observed = Observed(lab)
    with observed.target.connect() as client:
        client.read_slowly("select repeat('x', 1000) from generate_series(1, 30000)")
    wait, server, transfer = blame(observed.scrape())
    assert transfer >= 0.2 and transfer > wait and transfer > server, (wait, server, transfer)


@test(targets=FOREBAY)
def errors_are_told_apart(lab: Lab) -> None:
    observed = Observed(lab, pool_size=1, options={"query_wait_timeout": "200ms"})
    with observed.target.connect() as client, observed.target.connect() as other:
        client.error(m.query("select 1/0"))
        client.error(m.parse("", "select 1 from nowhere"), m.bind("", ""), m.execute(""),
                     m.sync())
        for i in range(100):
            code = f"ZZ{i:03}"
            client.error(m.query(f"do $$ begin raise 'x' using errcode = '{code}'; end $$"))
        client.run("begin")
        other.error(m.query("select 1"))
        client.run("rollback")
    seen = observed.scrape()
    assert seen.sum("errors_total", source="server", sqlstate="22012") == 1, seen.text
    assert seen.sum("errors_total", source="server", sqlstate="42P01") == 1, seen.text
    assert seen.sum("errors_total", source="server") == 102, seen.text
    assert seen.sum("errors_total", source="forebay") == 1, seen.text
    assert len(seen.series("errors_total")) <= 70, len(seen.series("errors_total"))


@test(targets=FOREBAY)
def each_transaction_of_a_pipeline_counts(lab: Lab) -> None:
    observed = Observed(lab)
    batch = [m.parse("", "select 1"), m.bind("", ""), m.execute(""), m.sync()]
    with observed.target.connect() as client:
        client.run("select 1")
        before = observed.scrape().sum("transactions_total")
        client.messages(*[m.query("select 1")] * 4, readies=4)
        assert observed.scrape().sum("transactions_total") == before + 4
        for _ in range(10):
            client.messages(*batch * 10, readies=10)
    seen = observed.scrape()
    assert seen.sum("transactions_total") == before + 104, seen.text
    assert seen.sum("transaction_duration_seconds_count") == before + 104, seen.text


@test(targets=FOREBAY)
def errors_of_ours_are_told_apart(lab: Lab) -> None:
    """By the code that the client was told: of rules, of timeouts, of lost connections."""
    port = ports.claim()
    rules = [{"name": "no_do", "kinds": ["do"], "error": "no"},
             {"name": "fast", "functions": ["pg_sleep"], "statement_timeout": "100ms"}]
    target = lab.target(rules=rules, options={"http": f"127.0.0.1:{port}",
                                              "statement_statistics": 100})
    mine = "datname = 'app' and query like '%the_lost_one%' and pid <> pg_backend_pid()"
    with target.connect() as client:
        client.error(m.query("do $$ begin end $$"))
        client.error(m.query("select pg_sleep(10)"))
        client.run("begin")
        client.send(m.query("select pg_advisory_xact_lock(1) as the_lost_one, "
                            "count(*) from generate_series(1, 1e10)"))
        wait_until(lambda: lab.postgres.rows(
            f"select pg_terminate_backend(pid) from pg_stat_activity where {mine}") != [], "it")
        answer = client.until_ready()
        lost = m.only(answer, b"E")[0].fields()["C"]
        client.error(m.query("select 1"))
        client.run("rollback")
    seen = Scrape(port)
    codes = {code: seen.sum("errors_total", source="forebay", sqlstate=code)
             for code in ("42501", "57014", lost, "25P02")}
    assert lost == "40001" and set(codes.values()) == {1}, (codes, seen.text)
    assert seen.sum("errors_total", source="server") == 0, seen.text
    rows = get_json(port, "/statements?limit=100")["statements"]
    row = [row for row in rows if "the_lost_one" in row["text"]]
    assert [(one["calls"], one["errors"]) for one in row] == [(1, 1)], rows
    ports.release(port)


@test(targets=FOREBAY)
def a_wait_that_fails_is_seen(lab: Lab) -> None:
    observed = Observed(lab, pool_size=1, options={
        "query_wait_timeout": "300ms", "slow_query_threshold": "200ms",
        "statement_statistics": 100})
    batch = [m.parse("", "select 1 as in_vain"), m.bind("", ""), m.execute(""), m.sync()]
    with observed.target.connect() as client, observed.target.connect() as other:
        client.run("begin")
        before = observed.scrape().sum("client_wait_seconds_sum")
        other.error(m.query("select 1 as in_vain"))
        other.error(*batch)
        client.run("rollback")
    seen = observed.scrape()
    assert seen.sum("client_wait_seconds_sum") - before >= 0.6, seen.text
    assert seen.sum("timeouts_total", kind="query_wait_timeout") == 2, seen.text
    slow = get_json(observed.port, "/slow")["slow"]
    assert [sample["sqlstate"] for sample in slow] == ["57014"] * 2, slow
    assert all(sample["wait_seconds"] >= 0.3 and "in_vain" in sample["text"] for sample in slow)
    rows = get_json(observed.port, "/statements")["statements"]
    row = [row for row in rows if "in_vain" in row["text"]]
    assert [(one["calls"], one["errors"]) for one in row] == [(2, 2)], rows


@test(targets=FOREBAY)
def a_login_that_takes_too_long_is_counted(lab: Lab) -> None:
    observed = Observed(lab, options={"client_login_timeout": "200ms"})
    with Connection(observed.target.address) as silent:
        silent.until_end()
    assert observed.scrape().sum("timeouts_total", kind="client_login_timeout") == 1


@test(targets=FOREBAY)
def a_slow_trigger_is_the_servers(lab: Lab) -> None:
    """The client sends what is copied as fast as it is taken."""
    with lab.postgres.admin("app") as admin:
        admin.run("drop table if exists slowly")
        admin.run("create table slowly (a text)")
        admin.run("create or replace function sleeps() returns trigger language plpgsql as "
                  "$$ begin perform pg_sleep(0.02); return null; end $$")
        admin.run("create trigger sleeps before insert on slowly for each row "
                  "execute function sleeps()")
        admin.run("grant all on slowly to app")
    observed = Observed(lab)
    row = b"x" * 200_000 + b"\n"
    with observed.target.connect() as client:
        client.send(m.query("copy slowly from stdin"))
        client.read_until(b"G")
        for _ in range(100):
            client.send(m.copy_data(row))
        client.send(m.copy_done())
        client.until_ready()
    wait, server, transfer = blame(observed.scrape())
    assert server >= 1 and server > wait and server > transfer, (wait, server, transfer)


@test(targets=FOREBAY)
def a_silent_client_holds_its_copy_up(lab: Lab) -> None:
    observed = Observed(lab)
    with observed.target.connect() as client:
        client.run("begin; create temporary table copied (a int)")
        client.send(m.query("copy copied from stdin"))
        client.read_until(b"G")
        client.send(m.copy_data(b"1\n"))
        began = time.monotonic()
        wait_until(lambda: time.monotonic() - began >= 0.4, "some time")
        client.send(m.copy_data(b"2\n"), m.copy_done())
        client.until_ready()
        client.run("rollback")
    wait, server, transfer = blame(observed.scrape())
    assert transfer >= 0.3 and transfer > wait and transfer > server, (wait, server, transfer)


# Files.

@test(targets=FOREBAY)
def what_cannot_be_written_is_counted(lab: Lab) -> None:
    """A full disk: nobody is held up, and the metrics say which file it is."""
    observed = Observed(lab, options={"log_file": "/dev/full", "slow_query_log": "/dev/full",
                                      "slow_query_threshold": "1ms"}, audit={"file": "/dev/full"})

    def answers() -> bool:
        try:
            return observed.scrape().sum("write_errors_total", file="audit_log") == 0
        except OSError:                     # no log says that it is open
            return False

    wait_until(answers, "the metrics are served")
    with observed.target.connect() as client:
        client.run("select pg_sleep(0.01)")
        client.run("create temporary table t (a int)")
        for file in ("log", "slow_query_log", "audit_log"):
            wait_until(lambda: observed.scrape().sum("write_errors_total", file=file) > 0,
                       f"{file} cannot be written")
        client.run("select 1")
    seen = observed.scrape()
    assert seen.sum("slow_statements_lost_total") >= 1, seen.text
    assert seen.sum("audit_records_lost_total") >= 1, seen.text
    assert seen.sum("write_errors_total", file="learn_file") == 0, seen.text


@test(targets=FOREBAY)
def a_flood_in_the_log_is_cut_short(lab: Lab) -> None:
    observed = Observed(lab, options={"log_event_rate": 1})
    target = observed.target
    wanted = {"client_connected": 150, "authentication_failed": 60}
    for _ in range(wanted["client_connected"]):
        target.connect().close()
    for _ in range(wanted["authentication_failed"]):
        refused(lambda: target.connect(password="wrong"))

    def lines(event: str) -> int:
        return len(re.findall(rf"[a-z] {event}: ", target.log))

    def left_out(event: str) -> int:
        return sum(map(int, re.findall(rf" lines_left_out: {event}: (\d+) more ", target.log)))

    for event, count in wanted.items():
        wait_until(lambda: lines(event) + left_out(event) == count,
                   f"{count} of {event} in the log, written or left out")
        assert left_out(event) > 0 and lines(event) >= 10, target.log
        assert observed.scrape().sum("log_lines_suppressed_total", event=event) == left_out(event)
