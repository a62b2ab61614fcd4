"""What is measured: that it is right, that the blame falls where it belongs, that it is bounded."""

from __future__ import annotations

import re
from typing import Any, Optional

from lab import messages as m
from lab import ports
from lab.declare import FOREBAY, test
from lab.lab import Lab
from lab.process import run, wait_until
from lab.scrape import Scrape, get
from lab.target import Target


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
