"""Statement statistics and slow samples: what they say, and what a hostile client can do to them."""

from __future__ import annotations

import json
import urllib.error
from typing import Any

from lab import messages as m
from lab import ports
from lab.declare import FOREBAY, test
from lab.lab import Lab
from lab.process import Finished, run, wait_until
from lab.scrape import Scrape, get, get_json
from lab.target import Database
from test_split import at, pair, split


def observed(lab: Lab, port: int, options: dict[str, Any] | None = None, **settings: Any) -> Any:
    said = {"http": f"127.0.0.1:{port}", "statement_statistics": 1000, **(options or {})}
    return lab.target(options=said, **settings)


def statement(port: int, text: str) -> dict[str, Any]:
    found = [row for row in get_json(port, "/statements?limit=1000")["statements"]
             if row["text"].replace(" ", "") == text.replace(" ", "")]
    assert len(found) == 1, (text, found)
    return dict(found[0])


@test(targets=FOREBAY)
def counts_by_shape_in_both_protocols(lab: Lab) -> None:
    port = ports.claim()
    target = observed(lab, port)
    with target.connect() as client, target.connect() as other:
        for n in range(3):
            client.run(f"select {n} as simple, 'secret{n}'")
        for user in (client, other):
            user.messages(m.parse("s", "select $1::int as prepared"), m.sync())
            for n in range(4):
                user.messages(m.bind("", "s", [str(n)]), m.execute(""), m.sync())
        client.messages(m.parse("", "select 1 from generate_series(1, 5) as unnamed"),
                        m.bind("", ""), m.execute(""), m.sync())
        client.error(m.query("select 1 / 0 as wrong"))
    assert statement(port, "select ? as simple,?")["calls"] == 3
    assert statement(port, "select $1::int as prepared")["calls"] == 8
    assert statement(port, "select ? from generate_series(?,?)as unnamed")["rows"] == 5
    wrong = statement(port, "select ?/? as wrong")
    assert (wrong["calls"], wrong["errors"]) == (1, 1), wrong
    assert "secret" not in get(port, "/statements?limit=1000")
    ports.release(port)


@test(targets=FOREBAY, params=("simple", "prepared"))
def pgbench_is_counted_whole(lab: Lab, protocol: str) -> None:
    port = ports.claim()
    target = observed(lab, port, pool_size=2)
    run(["pgbench", "-n", "-M", protocol, "-c", 4, "-j", 4, "-t", 25], within=60,
        env=target.environment(database="bench"))
    report = get_json(port, "/statements?order=calls&limit=1000")
    counted = sum(row["calls"] for row in report["statements"]) + report["other"]["calls"]
    assert counted == Scrape(port).sum("statements_total"), report
    updates = [row for row in report["statements"]
               if row["text"].startswith("update pgbench_accounts")]
    # A negative number is an operator and a number: a shape of its own.
    assert sum(row["calls"] for row in updates) == 100, updates
    assert sum(row["rows"] for row in updates) == 100, updates
    begins = [row for row in report["statements"] if row["text"].rstrip(";") == "begin"]
    assert sum(row["calls"] for row in begins) == 100, begins
    ports.release(port)


@test(targets=FOREBAY)
def kinds_roles_and_pins_are_told_apart(lab: Lab) -> None:
    port = ports.claim()
    both = pair(lab)
    target = split(lab, both, http=f"127.0.0.1:{port}", statement_statistics=1000)
    with target.connect() as client:
        before = Scrape(port)
        for n in range(3):
            assert at(client, f"select inet_server_port() as there, {n}") == both.replica.port
        for n in range(2):
            assert client.extended("select inet_server_port() + $1::int as there", ["0"])
        client.run("begin")
        client.run("select 1 as here")
        client.run("create temp table kept (a int)")
        client.run("commit")
        client.run("insert into kept values (1), (2)")
        client.run("update kept set a = 3")
        client.error(m.query("select 1 / 0"))
        client.run("drop table kept")
        seen = Scrape(port)

    def grown(**labels: str) -> float:
        name = "statements_by_kind_total"
        return seen.sum(name, database="app", **labels) - before.sum(name, **labels)
    wanted = {("select", "replica"): 5, ("select", "primary"): 1, ("transaction", "primary"): 2,
              ("ddl", "primary"): 2, ("insert", "primary"): 1, ("update", "primary"): 1,
              ("failed", "primary"): 1, ("failed", "replica"): 0}
    found = {key: grown(kind=key[0], role=key[1]) for key in wanted}
    assert found == wanted, found
    assert grown() == seen.sum("statements_total") - before.sum("statements_total"), seen.text
    simple = statement(port, "select inet_server_port() as there, ?")
    assert (simple["calls"], simple["replica_calls"], simple["pins"]) == (3, 3, 0), simple
    extended = statement(port, "select inet_server_port() + $1::int as there")
    assert (extended["calls"], extended["replica_calls"]) == (2, 2), extended
    here = statement(port, "select ? as here")
    assert (here["calls"], here["replica_calls"]) == (1, 0), here
    assert statement(port, "create temp table kept (a int)")["pins"] == 1
    assert statement(port, "update kept set a = ?")["pins"] == 0
    ports.release(port)


@test(targets=FOREBAY)
def slow_samples_blame_the_right_one(lab: Lab) -> None:
    """One is slow in PostgreSQL, one waits for a connection, one is read slowly."""
    port = ports.claim()
    log = lab.folder / "slow.jsonl"
    target = observed(lab, port, {"slow_query_threshold": "200ms", "slow_query_log": str(log)},
                      pool_size=1)
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    with target.connect() as first, target.connect(application_name="waiter") as second:
        first.run(f"select pg_sleep(0.3), 'literal' /*traceparent='{trace}'*/")
        first.run("begin")
        second.send(m.query("select 1 as waiting"))
        wait_until(lambda: Scrape(port).sum("pool_oldest_wait_seconds") >= 0.3, "a long wait")
        first.run("commit")
        second.until_ready()
        first.read_slowly("select repeat('x', 1000) as large from generate_series(1, 30000)")
    by_text = {sample["text"].replace(" ", ""): sample for sample in get_json(port, "/slow")["slow"]}

    def blamed(sample: dict[str, Any]) -> str:
        return max(("wait", "server", "transfer"), key=lambda part: sample[part + "_seconds"])
    sleeping = by_text["selectpg_sleep(?),?"]
    assert blamed(sleeping) == "server" and sleeping["traceparent"] == trace, sleeping
    assert blamed(by_text["select?aswaiting"]) == "wait", by_text
    assert by_text["select?aswaiting"]["application_name"] == "waiter", by_text
    large = by_text["selectrepeat(?,?)aslargefromgenerate_series(?,?)"]
    assert blamed(large) == "transfer" and large["rows"] == 30000, large
    assert large["sent_bytes"] > 30_000_000 and large["client"].startswith("127.0.0.1:"), large
    wait_until(lambda: log.exists() and len(log.read_text().splitlines()) >= 3, "three lines")
    assert "literal" not in log.read_text()
    for line in log.read_text().splitlines():
        json.loads(line)
    assert log.stat().st_mode & 0o007 == 0, "others may not read who did what"
    assert Scrape(port).series("slow_statements_lost_total") == [{}]
    log.rename(log.with_suffix(".old"))
    log.mkdir()                                         # nobody can write to it now
    with target.connect() as client:
        client.run("select pg_sleep(0.3)")
    wait_until(lambda: Scrape(port).sum("slow_statements_lost_total") == 1, "it is counted")
    ports.release(port)


@test(targets=FOREBAY)
def samples_say_of_which_transaction_they_are(lab: Lab) -> None:
    """As PostgreSQL's log has it, by the process; and who never came to a server is of none."""
    port = ports.claim()
    log = lab.folder / "audit.log"
    target = observed(lab, port, {"slow_query_threshold": "50ms", "query_wait_timeout": "100ms"},
                      pool_size=1, audit={"file": log, "tables": ["*"]})
    with target.connect() as client, target.connect(application_name="waiter") as waiter:
        process = client.value("select pg_backend_pid()")
        for text in ("begin", "select pg_sleep(0.1) as one", "select pg_sleep(0.1) as two",
                     "select count(*), pg_sleep(0.1) as three from pg_am"):
            client.run(text)
        waiter.send(m.query("select 1 as waiting"))
        assert waiter.read_until(b"E")[-1].fields()["C"] == "57014"
        client.run("commit")
        client.run("select pg_sleep(0.1) as four")
    samples = {sample["text"].split()[-1]: sample for sample in get_json(port, "/slow")["slow"]}
    of = {name: sample["transaction"] for name, sample in samples.items()}
    assert of["one"] == of["two"] == of["pg_am"] != of["four"], of
    assert of["waiting"] == "" and of["one"].split("/")[0] == process, (of, process)
    assert str(samples["one"]["server_pid"]) == process and samples["waiting"]["server_pid"] == 0
    wait_until(lambda: log.exists() and "pg_am" in log.read_text(), "the audit log")
    assert json.loads(log.read_text().splitlines()[0])["transaction"] == of["one"], log.read_text()
    ports.release(port)


@test(targets=FOREBAY)
def samples_show_what_was_bound_where_that_is_wanted(lab: Lab) -> None:
    port = ports.claim()
    log = lab.folder / "audit.log"
    target = observed(lab, port, {"slow_query_threshold": "50ms", "admin_users": "app",
                                  "slow_query_parameters": "redacted"},
                      audit={"file": log, "tables": ["*"]},
                      databases={"app": Database(options={"slow_query_parameters": "full"}),
                                 "shy": Database(dbname="app")})
    asked = "select pg_sleep($1::float8), $2::text, $3::bytea from pg_class limit 1"

    def sleep(client: Any) -> None:
        values = ["0.1", "it's secret", b"\x00\xff"]
        client.messages(m.parse("", asked), m.bind("", "", values, formats=[0, 0, 1]),
                        m.execute(""), m.sync())
    with target.connect() as client, target.connect(database="shy") as shy:
        sleep(client)
        client.run("select pg_sleep(0.1), 'a literal'")
        sleep(shy)
        found = [(one["database"], one["parameters"]) for one in get_json(port, "/slow")["slow"]]
        full = "$1 = '0.1', $2 = 'it''s secret', $3 = '\\x00ff'"
        assert sorted(found) == [("app", ""), ("app", full), (
            "shy", "$1 = 3 bytes, $2 = 11 bytes, $3 = 2 bytes")], found
        with target.connect(database="forebay") as console:
            assert full in [row[-2] for row in console.rows("SHOW SLOW")]
            console.run("SET databases.app.slow_query_parameters = 'off'")
            console.run("RESET STATEMENTS")
        sleep(client)
        assert [one["parameters"] for one in get_json(port, "/slow")["slow"]] == [""]
    wait_until(lambda: log.exists() and "pg_sleep" in log.read_text(), "the audit log")
    assert "secret" not in log.read_text() + target.log
    ports.release(port)


@test(targets=FOREBAY)
def a_client_may_bind_without_end(lab: Lab) -> None:
    """As many values as it likes, of which it executes the first and the last."""
    port = ports.claim()
    target = observed(lab, port, {"slow_query_threshold": "10ms", "slow_query_parameters": "full"})
    with target.connect() as client, target.connect() as other:
        client.run("begin")
        client.messages(m.parse("s", "select $1::text, pg_sleep(0.02)"), m.sync())
        client.send(m.bind("first", "s", ["the first"]), m.flush())
        client.read_until(b"2")
        bound, at_once = 200_000, 2_000
        for _ in range(bound // at_once):
            client.send(m.bind("", "s", ["again"]) * at_once, m.flush())
            for _ in range(at_once):
                client.read_until(b"2")
        client.send(m.execute("first"), m.flush(), m.execute(""), m.flush(),
                    m.bind("", "s", ["x" * 10_000]), m.execute(""), m.sync())
        answer = client.until_ready()
        assert not m.only(answer, b"E"), answer
        shown = [one["parameters"] for one in reversed(get_json(port, "/slow")["slow"])
                 if "pg_sleep" in one["text"]]
        assert shown[:2] == ["", "$1 = 'again'"] and shown[2].startswith("$1 = 'xxx"), shown
        assert shown[2].endswith("x'...") and len(shown) == 3 and len(shown[2]) < 600, shown
        client.run("commit")
        other.run("select 1")
    ports.release(port)


@test(targets=FOREBAY)
def the_console_shows_them_to_administrators(lab: Lab) -> None:
    target = lab.target(options={"admin_users": "app", "stats_users": "other",
                                 "statement_statistics": 10, "slow_query_threshold": "50ms"})
    with target.connect() as client:
        client.run("select pg_sleep(0.1), 'a literal'")
    shows = "SHOW STATEMENTS;\nSHOW SLOW;\n"

    def asked(user: str, shows: str = shows) -> Finished:
        return run(["psql", "-XAtq", "-v", "VERBOSITY=verbose"], given=shows,
                   env=target.environment(user, "forebay"))
    statements, slow = [line.split("|") for line in asked("app").out.splitlines()]
    assert statements[:5] == ["app", "app", "1", "0", "1"], statements
    assert int(statements[5]) >= 100_000 and int(slow[7]) >= 100_000, (statements, slow)
    assert slow[1:3] == ["app", "app"] and slow[3].startswith("127.0.0.1:"), slow
    for line in (statements, slow):
        assert line[-1].replace(" ", "") == "selectpg_sleep(?),?", line
    refused = asked("other")
    assert refused.err.count("42501") == 2 and not refused.out, refused

    with target.connect() as client:
        client.run("select 2 as fast")
        client.run("select 3 as fast")
    assert "pg_sleep" in asked("app").out.splitlines()[0]
    by_calls = asked("app", "show statements order by calls")
    assert by_calls.out.splitlines()[0].split("|")[2] == "2", by_calls
    assert "42501" in asked("other", "reset statements").err
    assert not asked("app", "reset statements;\n" + shows).out


@test(targets=FOREBAY)
def statements_are_counted_only_where_it_was_asked_for(lab: Lab) -> None:
    port = ports.claim()
    target = lab.target(options={"http": f"127.0.0.1:{port}", "slow_query_threshold": "1ms"})
    with target.connect() as client:
        for n in range(10):
            client.run(f"select pg_sleep(0.01) as at_{n}")
            client.messages(m.parse("", f"select pg_sleep($1) as unnamed_{n}"),
                            m.bind("", "", ["0.01"]), m.execute(""), m.sync())
    assert get_json(port, "/statements")["statements"] == []
    texts = {sample["text"].replace(" ", "") for sample in get_json(port, "/slow")["slow"]}
    wanted = {f"selectpg_sleep(?)asat_{n}" for n in range(10)}
    wanted |= {f"selectpg_sleep($1)asunnamed_{n}" for n in range(10)}
    assert texts == wanted, texts
    ports.release(port)


@test(targets=FOREBAY)
def full_text_only_where_it_was_asked_for(lab: Lab) -> None:
    port = ports.claim()
    target = observed(lab, port, {"slow_query_threshold": "1ms", "slow_query_text": "full"})
    with target.connect() as client:
        client.run("select pg_sleep(0.01), 'a literal'")
    assert "'a literal'" in get(port, "/slow")
    assert "a literal" not in get(port, "/statements")
    ports.release(port)


@test(targets=FOREBAY)
def a_flood_of_statements_pushes_nothing_out(lab: Lab) -> None:
    port = ports.claim()
    target = observed(lab, port, {"statement_statistics": 50})
    with target.connect(application_name="x" * 60) as client:
        for n in range(2000):
            client.run(f"select 1 as noise_{n}")
            if n % 20 == 0:
                client.run("select 'the one that matters'")
    report = get_json(port, "/statements?order=calls&limit=1000")
    assert len(report["statements"]) <= 50, len(report["statements"])
    assert report["statements"][0]["text"] == "select ?", report["statements"][0]
    assert report["statements"][0]["calls"] == 100, report["statements"][0]
    everything = sum(row["calls"] for row in report["statements"]) + report["other"]["calls"]
    assert everything == 2100, everything
    assert "noise" not in get(port, "/metrics") and "xxxx" not in get(port, "/metrics")
    ports.release(port)


@test(targets=FOREBAY)
def noise_pushes_out_nothing_that_takes_time(lab: Lab) -> None:
    port = ports.claim()
    target = observed(lab, port, {"statement_statistics": 50, "statement_metrics": 1,
                                  "workers": 1})
    with target.connect() as client:
        for n in range(2):
            client.run("select pg_sleep(0.5)")
            for i in range(1500):
                client.run(f"select 1 as noise_{n}_{i}")
    assert statement(port, "select pg_sleep(?)")["calls"] == 2
    assert Scrape(port).sum("top_statement_calls_total") == 2
    ports.release(port)


@test(targets=FOREBAY)
def a_portal_read_in_parts_is_one_call(lab: Lab) -> None:
    port = ports.claim()
    target = observed(lab, port)
    with target.connect() as client:
        client.run("begin")
        client.messages(m.parse("", "select 1 as part from generate_series(1, 5)"),
                        m.bind("c", ""), m.execute("c", 2), m.sync())
        client.run("select 2")
        client.messages(m.execute("c", 2), m.sync())
        client.messages(m.execute("c", 2), m.sync())
        client.run("commit")
    row = statement(port, "select ? as part from generate_series(?,?)")
    assert (row["calls"], row["rows"]) == (1, 5), row
    ports.release(port)


@test(targets=FOREBAY)
def made_up_names_leave_no_series(lab: Lab) -> None:
    port = ports.claim()
    target = observed(lab, port, wildcard=True)
    for n in range(30):
        try:
            target.connect(database=f"made_up_{n}", user=f"nobody_{n}")
        except AssertionError:
            pass
    target.check_healthy()
    wait_until(lambda: "made_up" not in get(port, "/metrics"), "made-up names to go")
    ports.release(port)


@test(targets=FOREBAY)
def nothing_is_taken_from_the_text_before_one_that_cannot_be_read(lab: Lab) -> None:
    """In such encodings a text is not looked at: where the other's comment stood means nothing."""
    target = lab.target(options={"workers": 1})
    with target.connect() as first, target.connect() as second:
        second.run("set client_encoding to 'GBK'")
        first.run(f"select '{'x' * 200}' /*traceparent='00-1-2-01'*/")
        assert second.value("select 1") == "1"
        answer = second.messages(m.parse("", "select 2"), m.bind("", ""), m.execute(""), m.sync())
        assert m.only(answer, b"D")[0].columns() == [b"2"], answer


@test(targets=FOREBAY)
def a_token_keeps_strangers_out(lab: Lab) -> None:
    port = ports.claim()
    token = lab.folder / "token"
    token.write_text("a-token\n")
    target = observed(lab, port, {"http_token_file": str(token)})
    target.check_healthy()
    for path in ("/metrics", "/statements", "/slow", "/pools"):
        for headers in ({}, {"Authorization": "Bearer another"}):
            try:
                get(port, path, headers)
            except urllib.error.HTTPError as error:
                assert error.code == 401, error
            else:
                raise AssertionError(path)
        assert get(port, path, {"Authorization": "Bearer a-token"})
    assert get(port, "/livez") == "ok\n"
    assert "<title>Forebay</title>" in get(port, "/")
    ports.release(port)
