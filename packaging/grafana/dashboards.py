#!/usr/bin/env python3
"""Writes the Grafana dashboards beside this file: packaging/grafana/dashboards.py

Change a panel here, run it, and commit both. Grafana 9 to 11 imports them; the data source and the
instances are chosen at the top of each dashboard.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

I = 'instance=~"$instance"'


def rate(metric: str, by: str = "instance", more: str = "") -> str:
    return f"sum by ({by}) (rate(forebay_{metric}{{{I}{more}}}[$__rate_interval]))"


def gauge(metric: str, by: str = "instance", more: str = "", how: str = "sum") -> str:
    return f"{how} by ({by}) (forebay_{metric}{{{I}{more}}})"


def quantile(metric: str, q: float, by: str = "le") -> str:
    return f"histogram_quantile({q}, {rate(metric + '_bucket', by)})"


def mean(metric: str, by: str) -> str:
    return f"{rate(metric + '_sum', by)} / ({rate(metric + '_count', by)} > 0)"


# A panel: title, unit, its expressions with their legends; then what else it is.
Panel = tuple[str, str, list[tuple[str, str]]]

POOL = "database, user"
OVERVIEW: list[Panel] = [
    ("Clients", "short", [(gauge("clients"), "{{instance}}")]),
    ("Waiting clients", "short", [(gauge("pool_clients", POOL, ',state="waiting"'),
                                   "{{database}}/{{user}}")]),
    ("Transactions", "ops", [(rate("transactions_total", "database"), "{{database}}")]),
    ("Where the time goes (seconds per second)", "short", [
        (rate("client_wait_seconds_sum"), "waiting for a connection"),
        (rate("statement_server_seconds_sum"), "PostgreSQL"),
        (rate("transfer_seconds_total"), "sending the answer")]),
    ("Statement duration", "s", [
        (quantile("statement_duration_seconds", 0.5), "p50"),
        (quantile("statement_duration_seconds", 0.95), "p95"),
        (quantile("statement_duration_seconds", 0.99), "p99")]),
    ("Errors by SQLSTATE", "ops", [(rate("errors_total", "source, sqlstate"),
                                    "{{sqlstate}} ({{source}})")]),
    ("Server connections", "short", [(gauge("server_connections", "state"), "{{state}}")]),
    ("Processor time (cores)", "short", [
        (f"rate(process_cpu_seconds_total{{{I},job=~\".*forebay.*\"}}[$__rate_interval])",
         "{{instance}}")]),
    ("Memory", "bytes", [(f"process_resident_memory_bytes{{{I},job=~\".*forebay.*\"}}",
                          "{{instance}}")]),
    ("Configuration in use since", "dateTimeAsIso", [
        (f"forebay_config_last_reload_timestamp_seconds{{{I}}} * 1000", "{{instance}}")]),
]
STATEMENTS: list[Panel] = [
    ("Statements", "ops", [(rate("statements_total", POOL), "{{database}}/{{user}}")]),
    ("Statements by kind and role", "ops", [
        (rate("statements_by_kind_total", "kind, role"), "{{kind}} ({{role}})")]),
    ("Rows", "rowsps", [(rate("rows_total", POOL), "{{database}}/{{user}}")]),
    ("Mean time in PostgreSQL", "s", [(mean("statement_server_seconds", POOL),
                                       "{{database}}/{{user}}")]),
    ("Mean time with waiting and transfer", "s", [(mean("statement_duration_seconds", POOL),
                                                   "{{database}}/{{user}}")]),
    ("Time in PostgreSQL", "s", [
        (quantile("statement_server_seconds", 0.5), "p50"),
        (quantile("statement_server_seconds", 0.95), "p95"),
        (quantile("statement_server_seconds", 0.99), "p99")]),
    ("Wait for a connection", "s", [
        (quantile("client_wait_seconds", 0.5), "p50"),
        (quantile("client_wait_seconds", 0.95), "p95"),
        (quantile("client_wait_seconds", 0.99), "p99")]),
    ("Transaction duration", "s", [
        (quantile("transaction_duration_seconds", 0.5), "p50"),
        (quantile("transaction_duration_seconds", 0.95), "p95"),
        (quantile("transaction_duration_seconds", 0.99), "p99")]),
    ("Share of a transaction in PostgreSQL", "percentunit", [
        (f"{rate('transaction_server_seconds_sum', POOL)} / "
         f"({rate('transaction_duration_seconds_sum', POOL)} > 0)", "{{database}}/{{user}}")]),
    ("Prepared statements", "ops", [
        (rate("client_parses_total"), "asked for by clients"),
        (rate("server_parses_total"), "sent to servers"),
        (rate("server_parses_injected_total"), "put ahead by Forebay"),
        (rate("binds_total"), "bound")]),
    ("Timeouts and cancel requests", "ops", [
        (rate("timeouts_total", "kind"), "{{kind}}"), (rate("cancels_total"), "cancel requests")]),
]
HOST = "cluster, host"
REPLICATION: list[Panel] = [
    ("Hosts that may get statements", "short", [
        (gauge("host_writable", HOST), "{{host}} {{cluster}}")]),
    ("Hosts that answer", "short", [(gauge("host_up", HOST), "{{host}} {{cluster}}")]),
    ("Primary", "short", [(gauge("host_role", HOST, ',role="primary"'), "{{host}} {{cluster}}")]),
    ("Replication lag (upper bound)", "s", [
        (gauge("host_replication_lag_seconds", HOST, how="max"), "{{host}} {{cluster}}")]),
    ("Timeline", "short", [(gauge("host_timeline", HOST, how="max"), "{{host}} {{cluster}}")]),
    ("Failovers", "short", [
        (f"increase(forebay_failovers_total{{{I}}}[$__range])", "{{instance}} {{cluster}}")]),
    ("Reads sent to replicas", "ops", [(rate("replica_reads_total"), "sent"),
                                       (rate("replica_reads_retried_total"),
                                        "done by the primary in the end")]),
    ("Questions to hosts that failed", "ops", [(rate("host_probes_failed_total", HOST),
                                                "{{host}} {{cluster}}")]),
    ("Server connections opened, closed, lost", "ops", [
        (rate("server_connections_opened_total"), "opened"),
        (rate("server_connections_closed_total"), "closed"),
        (rate("server_connections_lost_total"), "lost"),
        (rate("server_connections_failed_total"), "failed")]),
    ("Patroni and etcd that answer", "short", [(gauge("cluster_source_up", "cluster, source"),
                                                "{{source}} {{cluster}}")]),
]
CAPACITY: list[Panel] = [
    ("Use of limits", "percentunit", [
        (f"forebay_limit_used{{{I}}} / forebay_limit_max{{{I}}}", "{{limit}} {{of}}")]),
    ("Use of pools", "percentunit", [
        (f"{gauge('server_connections', 'instance, replica, ' + POOL)} / "
         f"{gauge('pool_size', 'instance, replica, ' + POOL)}",
         "{{database}}/{{user}} {{replica}}")]),
    ("Longest wait", "s", [(gauge("pool_oldest_wait_seconds", POOL, how="max"),
                            "{{database}}/{{user}}")]),
    ("Clients by state", "short", [(gauge("pool_clients", "state"), "{{state}}")]),
    ("Clients that keep a server connection, by reason", "short", [
        (gauge("pinned_clients", "reason"), "{{reason}}")]),
    ("Clients of each pool", "short", [(gauge("pool_clients", POOL), "{{database}}/{{user}}")]),
    ("Bytes from clients", "Bps", [(rate("received_bytes_total", POOL), "{{database}}/{{user}}")]),
    ("Bytes from servers", "Bps", [(rate("sent_bytes_total", POOL), "{{database}}/{{user}}")]),
    ("Logins", "ops", [(rate("client_logins_total"), "logged in"),
                       (rate("client_logins_failed_total", "sqlstate"), "refused {{sqlstate}}")]),
    ("Clients refused by a limit", "ops", [(rate("clients_refused_total", "limit"), "{{limit}}")]),
    ("Statements against the policy for tenants", "ops", [
        (rate("tenant_statements_refused_total"), "refused"),
        (rate("tenant_statements_reported_total"), "reported")]),
    ("Time of servers for each tenant", "short", [
        (rate("tenant_server_seconds_total", "tenant"), "{{tenant}}")]),
    ("Waiting of each tenant", "short", [
        (rate("tenant_wait_seconds_total", "tenant"), "{{tenant}}")]),
    ("Statements of each tenant", "ops", [(rate("tenant_statements_total", "tenant"), "{{tenant}}")]),
    ("Errors and refusals of each tenant", "ops", [
        (rate("tenant_errors_total", "tenant"), "{{tenant}} errors"),
        (rate("tenant_refusals_total", "tenant"), "{{tenant}} refused")]),
    ("Bytes of each tenant", "Bps", [
        (rate("tenant_received_bytes_total", "tenant"), "{{tenant}} from clients"),
        (rate("tenant_sent_bytes_total", "tenant"), "{{tenant}} from servers")]),
    ("Clients of each tenant", "short", [(gauge("tenant_clients", "tenant"), "{{tenant}}")]),
    ("Certificates: time left", "s", [
        (f"forebay_certificate_expiry_timestamp_seconds{{{I}}} - time()", "{{file}}")]),
]


BELOW_ZERO = {"Certificates: time left"}    # those that have expired, too, are to be seen


def panel(number: int, made: Panel) -> dict[str, Any]:
    title, unit, queries = made
    least = {} if title in BELOW_ZERO else {"min": 0}
    source = {"type": "prometheus", "uid": "${datasource}"}
    return {
        "id": number + 1, "title": title, "type": "timeseries", "datasource": source,
        "gridPos": {"x": number % 2 * 12, "y": number // 2 * 8, "w": 12, "h": 8},
        "fieldConfig": {"defaults": {"unit": unit, **least, "custom": {
            "drawStyle": "line", "fillOpacity": 10, "lineWidth": 1, "showPoints": "never"}},
            "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom", "showLegend": True},
                    "tooltip": {"mode": "multi", "sort": "desc"}},
        "targets": [{"refId": chr(ord("A") + i), "datasource": source, "expr": expression,
                     "legendFormat": legend} for i, (expression, legend) in enumerate(queries)],
    }


def variable(**more: Any) -> dict[str, Any]:
    return {"hide": 0, "skipUrlSync": False, **more}


def dashboard(uid: str, title: str, panels: list[Panel]) -> dict[str, Any]:
    source = {"type": "prometheus", "uid": "${datasource}"}
    query = "label_values(forebay_build_info, instance)"
    return {
        "uid": uid, "title": title, "tags": ["forebay", "postgresql"], "schemaVersion": 37,
        "version": 1, "editable": True, "refresh": "30s", "timezone": "browser",
        "time": {"from": "now-1h", "to": "now"},
        "links": [{"type": "dashboards", "tags": ["forebay"], "title": "Forebay", "asDropdown": True,
                   "includeVars": True, "keepTime": True}],
        "templating": {"list": [
            variable(name="datasource", label="Data source", type="datasource", query="prometheus",
                     refresh=1, multi=False, includeAll=False),
            variable(name="instance", label="Instance", type="query", datasource=source,
                     query={"query": query, "refId": "instance"}, definition=query, refresh=2,
                     multi=True, includeAll=True, allValue=".*", sort=1,
                     current={"text": ["All"], "value": ["$__all"]}),
        ]},
        "panels": [panel(number, made) for number, made in enumerate(panels)],
    }


def main() -> None:
    for name, title, panels in (("overview", "Forebay: overview", OVERVIEW),
                                ("statements", "Forebay: statements", STATEMENTS),
                                ("replication", "Forebay: replication and failover", REPLICATION),
                                ("capacity", "Forebay: capacity and tenants", CAPACITY)):
        file = Path(__file__).with_name(f"forebay-{name}.json")
        file.write_text(json.dumps(dashboard(f"forebay-{name}", title, panels), indent=1) + "\n")


if __name__ == "__main__":
    main()
