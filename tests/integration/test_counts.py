"""What is measured against what others count; and names without end."""

from __future__ import annotations

import re

from lab import messages as m
from lab.declare import FOREBAY, test
from lab.lab import Lab
from lab.process import run, wait_until
from lab.scrape import get_json

from test_metrics import Observed


@test(targets=FOREBAY, within=180, params=("simple", "extended", "prepared"))
def pg_stat_statements_and_pgbench_say_the_same(lab: Lab, protocol: str) -> None:
    server = lab.private_postgres(shared_preload_libraries="pg_stat_statements")
    with server.admin("app") as admin:
        admin.run("create extension pg_stat_statements")
        admin.run("create table counted (id int primary key, n int)")
        admin.run("insert into counted select i, 0 from generate_series(1, 100) i")
        admin.run("grant all on counted to app")
        admin.run("select pg_stat_statements_reset()")
    observed = Observed(lab, postgres=server, pool_size=2,
                        options={"statement_statistics": 1000})
    script = lab.folder / "script.sql"
    script.write_text("\\set id random(1, 100)\n"
                      "begin;\n"
                      "update counted set n = n + 1 where id = :id;\n"
                      "select n from counted where id <= :id;\n"
                      "insert into counted values (:id, 0) on conflict do nothing;\n"
                      "end;\n"
                      "select count(*) from counted where n > :id and id = 5;\n")
    said = run(["pgbench", "-n", "-M", protocol, "-c", 4, "-j", 4, "-t", 50, "-f", script],
               within=120, env=observed.target.environment())
    done = re.search(r"transactions actually processed: (\d+)/(\d+)", said.out)
    assert done and done.group(1) == done.group(2) == "200", said

    def key(text: str) -> str:
        return re.sub(r"[?$0-9\s;(),.]+", "", text).lower()

    def summed(rows: list[tuple[str, int, int]]) -> dict[str, tuple[int, int]]:
        sums: dict[str, tuple[int, int]] = {}
        for text, calls, amount in rows:
            if "counted" in text or key(text) in ("begin", "end"):
                before = sums.get(key(text), (0, 0))
                sums[key(text)] = (before[0] + calls, before[1] + amount)
        return sums
    theirs = summed([(str(text), int(str(calls)), int(str(amount))) for text, calls, amount in
                     server.rows("select query, calls, rows from pg_stat_statements s "
                                 "join pg_roles r on r.oid = s.userid where rolname = 'app'", "app")])
    ours = summed([(row["text"], row["calls"], row["rows"]) for row in
                   get_json(observed.port, "/statements?limit=1000")["statements"]])
    if protocol == "prepared":
        # PostgreSQL 15 counts a prepared BEGIN or END once in each server process.
        theirs.update({word: ours[word] for word in ("begin", "end")})
    assert ours == theirs and len(ours) == 6, (ours, theirs)
    assert all(calls == 200 for calls, _ in ours.values()), ours
    seen = observed.scrape()
    # pgbench asks one or two questions of its own.
    extra = seen.sum("statements_total") - 6 * 200
    assert 0 <= extra <= 4, seen.text
    # A Parse that was given a connection of its own is a transaction there.
    more = seen.sum("transactions_total") - extra - 400
    assert 0 <= more <= (seen.sum("server_parses_total") if protocol == "prepared" else 0), seen.text


# Names without end.

@test(targets=FOREBAY, heavy=True, within=600)
def a_million_names_are_bounded(lab: Lab) -> None:
    """Statements, application names, databases: memory and label sets do not grow with them."""
    count = 30_000 if lab.sanitized else 1_000_000
    observed = Observed(lab, wildcard=True, options={
        "statement_statistics": 1000, "statement_metrics": 20, "slow_query_threshold": "1s",
        "log_connections": False})
    target = observed.target
    child = target.running

    def ask(first: int, last: int) -> None:
        with target.connect(within=120) as client:
            for at in range(first, last, 500):
                many = range(at, min(at + 500, last))
                client.send(*[m.query(f"set application_name = 'made_up_{n}'" if n % 4 == 0 else
                                      f"select 1 as made_up_{n}") for n in many])
                client.until_ready(len(many))

    def made_up_databases(first: int, last: int) -> None:
        for n in range(first, last):
            try:
                target.connect(database=f"made_up_{n}")
            except AssertionError:
                pass
    ask(0, count // 4)
    made_up_databases(0, 100)
    before, series = child.memory_kib("VmRSS"), len(observed.scrape().samples)
    ask(count // 4, count)
    made_up_databases(100, 400)
    growth = (child.memory_kib("VmHWM") - before) / 1024
    seen = observed.scrape()
    assert lab.sanitized or growth < 48, f"memory grew by {growth:.0f} MiB"
    wait_until(lambda: not observed.scrape().samples_with("made_up_"), "made-up names to go")
    assert len(seen.samples) < series + 100, (series, len(seen.samples))
    report = get_json(observed.port, "/statements?limit=100000")
    assert report["statements_in_all"] <= 2 * 1000, report["statements_in_all"]
    all_calls = sum(row["calls"] for row in report["statements"]) + report["other"]["calls"]
    assert all_calls == count, all_calls
