"""What is packaged for Prometheus and Grafana, against a real Prometheus that scrapes a real load."""

from __future__ import annotations

import json
import re
import urllib.parse
from pathlib import Path
from typing import Any

from lab import messages as m
from lab import ports
from lab.declare import FOREBAY, test
from lab.fake_patroni import FakePatroni
from lab.lab import Lab
from lab.process import run, wait_until
from lab.scrape import Scrape, get, get_json
from lab.target import Database
from lab.wire import refused

PACKAGING = Path(__file__).resolve().parents[2] / "packaging"
RULES = PACKAGING / "prometheus" / "forebay.rules.yml"
DASHBOARDS = sorted((PACKAGING / "grafana").glob("*.json"))
VARIABLES = {"$__rate_interval": "10s", "$__range": "10s", "$instance": ".*"}


def panels(dashboard: Path) -> list[dict[str, Any]]:
    return list(json.loads(dashboard.read_text())["panels"])


class Prometheus:
    def __init__(self, lab: Lab, target_port: int) -> None:
        self.port = ports.claim()
        folder = lab.folder / "prometheus"
        folder.mkdir()
        (folder / "prometheus.yml").write_text(json.dumps({
            "global": {"scrape_interval": "250ms", "evaluation_interval": "250ms"},
            "rule_files": [str(RULES)],
            "scrape_configs": [{"job_name": "forebay", "static_configs": [
                {"targets": [f"127.0.0.1:{target_port}"]}]}]}))
        lab.child("prometheus", ["prometheus", f"--config.file={folder}/prometheus.yml",
                                 f"--storage.tsdb.path={folder}/data", "--log.level=warn",
                                 f"--web.listen-address=127.0.0.1:{self.port}"])
        wait_until(lambda: self.ready() and self.query("up == 1"), "Prometheus scrapes", within=20)

    def ready(self) -> bool:
        try:
            return bool(get(self.port, "/-/ready"))
        except OSError:
            return False

    def query(self, expression: str) -> list[Any]:
        """What it finds; a wrong expression is an HTTP error, which fails the test."""
        asked = urllib.parse.urlencode({"query": expression})
        answer = get_json(self.port, f"/api/v1/query?{asked}")
        assert answer["status"] == "success", (expression, answer)
        return list(answer["data"]["result"])


@test(targets=FOREBAY, tls=(True,))
def every_expression_finds_something(lab: Lab) -> None:
    """Of the dashboards each, of the alerts each metric; Prometheus takes the rules."""
    primary = lab.private_postgres()
    replica = lab.replica_of(primary)
    port = ports.claim()
    servers = [primary.address, replica.address]
    patroni = lab.keep(FakePatroni())
    databases = {"app": Database(servers, options={"patroni": [patroni.url]}),
                 "other": Database(servers), "bench": Database(servers)}
    target = lab.target(servers=servers, databases=databases, pool_size=2,
                        options={"http": f"127.0.0.1:{port}"},
                        tenants={"databases": ["*"], "users": {"app": "acme", "other": "b"}})
    with target.connect() as client:
        client.error(m.query("select 1/0"))
    refused(lambda: target.connect(password="wrong"))
    prometheus = Prometheus(lab, port)
    script = lab.folder / "script.sql"
    script.write_text("select count(*) from generate_series(1, 100);\n")
    run(["pgbench", "-n", "-M", "prepared", "-f", script, "-c", 4, "-T", 2], within=60,
        env=target.environment())
    nothing = []
    for dashboard in DASHBOARDS:
        for panel in panels(dashboard):
            for aim in panel["targets"]:
                expression = aim["expr"]
                for name, value in VARIABLES.items():
                    expression = expression.replace(name, value)
                if not prometheus.query(expression):
                    nothing.append((dashboard.name, panel["title"], expression))
    for metric in sorted(set(re.findall(r"\bforebay_\w+", RULES.read_text()))):
        if not prometheus.query(metric):
            nothing.append((RULES.name, metric))
    assert not nothing, nothing

    def unhealthy() -> list[Any]:
        groups = get_json(prometheus.port, "/api/v1/rules")["data"]["groups"]
        return [rule for group in groups for rule in group["rules"] if rule["health"] != "ok"]
    wait_until(lambda: not unhealthy(), "every rule was evaluated")


@test(targets=FOREBAY)
def made_up_names_do_not_end_scraping(lab: Lab) -> None:
    """Whoever is let in by the server has named its pool before that: any bytes."""
    port = ports.claim()
    target = lab.target(auth="server", users={}, wildcard=True,
                        options={"http": f"127.0.0.1:{port}", "pgbouncer_metrics": True})
    with target.connect() as client:
        client.run("select 1")
    prometheus = Prometheus(lab, port)
    evil = "evil\udcff".encode("utf-8", "surrogateescape")
    for user, database in ((evil, b"app"), (b"app", evil), (b"made_up", b"app")):
        with target.open() as connection:
            body = (b"\0\3\0\0user\0" + user + b"\0database\0" + database + b"\0\0")
            connection.send((len(body) + 4).to_bytes(4, "big") + body)
            connection.read()       # asked for a password, or refused
            seen = Scrape(port)
            assert not seen.samples_with("evil"), seen.text
            assert not seen.samples_with("made_up"), seen.text
        refused(lambda: target.connect("made_up", password="wrong"))
    assert not Scrape(port).samples_with("made_up")
    assert Scrape(port).samples_with("app")

    def scrapes() -> int:
        return int(prometheus.query("count_over_time(up[1h])")[0]["value"][1])
    seen = scrapes()
    wait_until(lambda: scrapes() > seen + 1, "Prometheus scrapes again")
    assert not prometheus.query("min_over_time(up[1h]) == 0")


@test(targets=FOREBAY)
def alerts_fire_when_they_should(lab: Lab) -> None:
    run(["promtool", "test", "rules", RULES.with_name("forebay.rules.test.yml")])
    rules = RULES.read_text()
    assert rules.count("- alert:") == rules.count("summary:") == rules.count("runbook:")
    tested = RULES.with_name("forebay.rules.test.yml").read_text()
    for alert in re.findall(r"- alert: (\w+)", rules):
        assert f'alertname="{alert}"' in tested, alert


@test(targets=FOREBAY)
def dashboards_are_as_grafana_wants_them(lab: Lab) -> None:
    """As the script writes them; panels within 24 columns; units that fit what is shown."""
    run(["python3", "-c", "import sys; sys.path.insert(0, sys.argv[1]); import dashboards; "
         "from pathlib import Path; dashboards.__file__ = sys.argv[2] + '/x'; dashboards.main()",
         PACKAGING / "grafana", lab.folder])
    assert len(DASHBOARDS) == 4, DASHBOARDS
    uids = set()
    for dashboard in DASHBOARDS:
        assert (lab.folder / dashboard.name).read_text() == dashboard.read_text(), dashboard
        whole = json.loads(dashboard.read_text())
        uids.add(whole["uid"])
        ids = [panel["id"] for panel in whole["panels"]]
        assert len(set(ids)) == len(ids), dashboard
        for panel in whole["panels"]:
            place = panel["gridPos"]
            assert place["x"] + place["w"] <= 24, panel
            differs = any("- time()" in aim["expr"] for aim in panel["targets"])
            assert ("min" in panel["fieldConfig"]["defaults"]) == (not differs), panel
            for aim in panel["targets"]:
                assert aim["datasource"]["uid"] == "${datasource}", panel
    assert len(uids) == 4, uids
