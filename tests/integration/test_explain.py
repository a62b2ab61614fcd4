"""Plans of slow statements: which have one, what it costs others, and what becomes of trouble."""

from __future__ import annotations

import json
import time
from typing import Any

from lab import messages as m
from lab import ports
from lab.declare import FOREBAY, test
from lab.fake_server import PARAMETERS, FakeConnection, FakeServer, echo, row
from lab.lab import Lab
from lab.process import wait_until
from lab.scrape import Scrape, get_json
from lab.target import Database
from lab.wire import Client

SIDE = "from pg_stat_activity where application_name = 'forebay explain'"

# Planners evaluate calls of what is said to be immutable.
PLANNED = """
create sequence numbers;
create function sleeps(float8) returns int immutable language plpgsql as
    'begin perform pg_sleep($1); return 1; end';
create function writes() returns int immutable language plpgsql as
    'begin perform nextval(''numbers''); perform pg_sleep(0.4); return 1; end';
grant all on sequence numbers to app;
grant usage on schema public to public;
"""


class Explained:
    """Whatever takes 300 ms is slow."""

    def __init__(self, lab: Lab, options: dict[str, Any] | None = None, **settings: Any) -> None:
        self.port = ports.claim()
        said = {"http": f"127.0.0.1:{self.port}", "statement_statistics": 1000,
                "slow_query_threshold": "300ms", "slow_query_text": "full", "admin_users": "app",
                "slow_query_explains_per_minute": 600, **(options or {})}
        self.target = lab.target(options=said, **settings)

    def sample(self, marker: str) -> dict[str, Any]:
        """The sample with this in its text, once its plan is there, or is known not to come."""
        def found() -> list[dict[str, Any]]:
            return [one for one in get_json(self.port, "/slow")["slow"] if marker in one["text"]]
        wait_until(lambda: bool(found()), f"a sample of {marker}")
        assert len(found()) == 1, found()
        return found()[0]

    def slow(self, client: Client, marker: str, more: str = "") -> dict[str, Any]:
        client.run(f"select pg_sleep(0.4) as {marker} {more}")
        return self.sample(marker)

    def results(self) -> dict[str, int]:
        scrape = Scrape(self.port)
        counted = {result: int(scrape.sum("slow_statement_explains_total", result=result))
                   for result in ("done", "limited", "unfit", "failed")}
        return {result: count for result, count in counted.items() if count > 0}


@test(targets=FOREBAY)
def a_slow_select_has_a_plan(lab: Lab) -> None:
    log = lab.folder / "slow.jsonl"
    explained = Explained(lab, {"slow_query_log": str(log)})
    with explained.target.connect() as client:
        plan = explained.slow(client, "whole",
                              ", 1 from pg_class where relname = 'pg_class' -- end")
        assert "Seq Scan" in plan["plan"] or "Index" in plan["plan"], plan
        assert "relname = 'pg_class'" in plan["plan"] and plan["no_plan"] == "", plan
        assert "actual" not in plan["plan"], plan
        client.messages(m.parse("s", "(select pg_sleep(0.4) as prepared)"), m.sync())
        client.messages(m.bind("", "s"), m.execute(""), m.sync())
        assert "Result" in explained.sample("prepared")["plan"]
        client.run("begin")
        client.run("create table unseen (a int)")
        wrong = explained.slow(client, "uncommitted", "from unseen right join pg_class on true "
                               "limit 1")
        assert wrong["no_plan"] == 'EXPLAIN failed: relation "unseen" does not exist', wrong
        client.run("insert into unseen values (1)")
        client.run("commit")
        client.run("insert into unseen select 1 as changed from pg_sleep(0.4)")
        assert "Insert on unseen" in explained.sample("changed")["plan"]
        with explained.target.connect(database="forebay") as console:
            shown = {row[-1] or "": row[-3] for row in console.rows("SHOW SLOW")}
            assert shown[plan["text"]] == plan["plan"], shown
            assert shown[wrong["text"]] == "no plan: " + wrong["no_plan"], shown
        assert client.value("select count(*) from unseen") == "2"
    assert explained.results() == {"done": 3, "failed": 1}, explained.results()
    wait_until(lambda: log.exists() and log.read_text().count("\n") == 4, "all lines")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["plan"] for line in lines if "whole" in line["text"]] == [plan["plan"]], lines
    ports.release(explained.port)


@test(targets=FOREBAY)
def no_plan_unless_it_is_wanted(lab: Lab) -> None:
    explained = Explained(lab, {"slow_query_explains_per_minute": 0})
    with explained.target.connect() as client, \
            explained.target.connect(database="forebay") as console:
        off = explained.slow(client, "before")
        assert off["plan"] == off["no_plan"] == "" and not explained.results(), off
        console.run("SET log.slow_query_explains_per_minute = 2")
        assert "Result" in explained.slow(client, "while_on")["plan"]
        console.run("SET log.slow_query_explains_per_minute = 0")
        off = explained.slow(client, "after_it")
        assert off["plan"] == off["no_plan"] == "", off
    assert explained.results() == {"done": 1}, explained.results()
    ports.release(explained.port)


@test(targets=FOREBAY)
def literals_that_samples_hide_are_in_no_plan(lab: Lab) -> None:
    explained = Explained(lab, {"slow_query_text": "redacted"})
    with explained.target.connect() as client:
        hidden = explained.slow(client, "hidden", ", 1 from pg_class where relname <> 'secret' "
                                "limit 1")
    assert hidden["no_plan"] == "plans show literals, and slow_query_text is redacted", hidden
    assert "secret" not in str(hidden) and hidden["plan"] == "", hidden
    assert explained.results() == {"unfit": 1}, explained.results()
    ports.release(explained.port)


@test(targets=FOREBAY)
def a_session_that_is_not_as_it_began_has_no_plan(lab: Lab) -> None:
    changed = "the session has changed its settings"
    explained = Explained(lab)
    with explained.target.connect(search_path="pg_catalog, public", application_name="a") as client:
        assert "Result" in explained.slow(client, "as_it_began")["plan"]
        client.run("set application_name = 'b'")
        assert "Result" in explained.slow(client, "renamed")["plan"]
        client.run("set search_path = public")
        assert explained.slow(client, "elsewhere")["no_plan"] == changed
        client.run("reset search_path")
        assert "Result" in explained.slow(client, "back_again")["plan"]
        client.run("begin")
        client.run("set local search_path = public")
        assert explained.slow(client, "for_now")["no_plan"] == changed
        client.run("commit")
        client.run("set role app")
        assert explained.slow(client, "in_role")["no_plan"] == changed
        client.run("reset role")
        client.send(m.query("begin"), m.query("set local search_path = public"),
                    m.query("select pg_sleep(0.4) as pipelined"), m.query("commit"))
        for _ in range(4):
            client.until_ready()
        assert explained.sample("pipelined")["no_plan"] == changed
        client.run("create temp table mine (a int)")
        assert "keeps its server connection" in explained.slow(client, "pinned")["no_plan"]
    assert explained.results() == {"done": 3, "unfit": 5}, explained.results()
    ports.release(explained.port)


@test(targets=FOREBAY)
def only_one_plain_statement_without_parameters_has_a_plan(lab: Lab) -> None:
    explained = Explained(lab)
    with explained.target.connect() as client:
        client.messages(m.parse("", "select pg_sleep($1) as with_values"),
                        m.bind("", "", ["0.4"]), m.execute(""), m.sync())
        said = explained.sample("with_values")
        assert said["no_plan"] == "the statement has parameters, and the server is older than 16"
        client.run("select pg_sleep(0.4) as one_of_two; select 2")
        assert explained.sample("one_of_two")["no_plan"] == "the text has not one statement"
        client.run("do $$ begin perform pg_sleep(0.4) as in_block; end $$")
        assert explained.sample("in_block")["no_plan"].startswith("only SELECT, INSERT")
        client.run("explain analyze select pg_sleep(0.4) as explains")
        assert explained.sample("explains")["no_plan"].startswith("only SELECT, INSERT")
        client.error(m.query("select pg_sleep(0.4) as failing, 1 / (random() * 0)::int"))
        assert explained.sample("failing")["no_plan"] == "the statement failed"
        client.run("select 1")
    assert explained.results() == {"unfit": 5}, explained.results()
    ports.release(explained.port)


@test(targets=FOREBAY)
def tenants_have_no_plan(lab: Lab) -> None:
    tenants = {"databases": ["app"], "users": {"app": "1"}, "setting": "app.tenant_id",
               "column_type": "integer"}
    explained = Explained(lab, tenants=tenants)
    with explained.target.connect() as client:
        said = explained.slow(client, "of_tenant")
    assert said["tenant"] == "1" and said["no_plan"].startswith("the client has a tenant"), said
    assert explained.results() == {"unfit": 1}, explained.results()
    ports.release(explained.port)


@test(modes=("session",), targets=FOREBAY)
def nobody_knows_what_a_session_has_that_keeps_its_connection(lab: Lab) -> None:
    explained = Explained(lab)
    with explained.target.connect() as client:
        assert "keeps its server connection" in explained.slow(client, "kept")["no_plan"]
    ports.release(explained.port)


@test(targets=FOREBAY)
def so_many_plans_and_no_more(lab: Lab) -> None:
    explained = Explained(lab, {"slow_query_explains_per_minute": 2})
    with explained.target.connect() as client:
        client.run("select pg_sleep(0.4), 1 as again")
        assert "Result" in explained.sample("1 as again")["plan"]
        client.run("select pg_sleep(0.4), 2 as again")
        assert "less than 10 minutes ago" in explained.sample("2 as again")["no_plan"]
        assert "Result" in explained.slow(client, "second_shape")["plan"]
        third = explained.slow(client, "third_shape")
        assert third["no_plan"] == "slow_query_explains_per_minute is reached", third
    assert explained.results() == {"done": 2, "limited": 2}, explained.results()
    ports.release(explained.port)


@test(targets=FOREBAY)
def clients_have_the_last_connection(lab: Lab) -> None:
    explained = Explained(lab, pool_size=1)
    with explained.target.connect() as client:
        assert explained.slow(client, "only_one")["no_plan"] == "no server connection is to spare"
        opened = Scrape(explained.port).sum("server_connections_opened_total")
        assert opened == 1, opened
    assert explained.results() == {"limited": 1}, explained.results()
    ports.release(explained.port)


@test(targets=FOREBAY)
def nobody_waits_for_a_plan(lab: Lab) -> None:
    """While the planner sleeps, the client's own statements see it do so. It is ended, and by the
    server: what it was to tell comes later."""
    explained = Explained(lab)
    with lab.postgres.admin("app") as admin:
        admin.run(PLANNED)
    with explained.target.connect() as client:
        client.run("select sleeps(1.3) as sleeper")
        wait_until(lambda: client.value(f"select count(*) {SIDE}") == "1", "it plans")
        assert not get_json(explained.port, "/slow")["slow"]
        late = explained.sample("sleeper")
        assert late["no_plan"].endswith("canceling statement due to statement timeout"), late
        wait_until(lambda: client.value(f"select count(*) {SIDE}") == "0", "it is gone")
        assert Scrape(explained.port).sum("waits_failed_total") == 0
        assert "Result" in explained.slow(client, "another")["plan"]
    assert explained.results() == {"done": 1, "failed": 1}, explained.results()
    ports.release(explained.port)


@test(targets=FOREBAY)
def what_is_planned_cannot_write(lab: Lab) -> None:
    explained = Explained(lab)
    with lab.postgres.admin("app") as admin:
        admin.run(PLANNED)
        with explained.target.connect() as client:
            client.run("select writes() as writer")
            said = explained.sample("writer")
        assert said["no_plan"] == ("EXPLAIN failed: cannot execute nextval() in a read-only "
                                   "transaction"), said
        assert admin.value("select last_value from numbers") == "1"
    ports.release(explained.port)


@test(targets=FOREBAY)
def a_server_that_goes_meanwhile_is_no_trouble(lab: Lab) -> None:
    explained = Explained(lab)
    with lab.postgres.admin("app") as admin:
        admin.run(PLANNED)
        with explained.target.connect() as client:
            client.run("select sleeps(0.9) as ended")
            wait_until(lambda: admin.value(f"select count(pg_terminate_backend(pid)) {SIDE} "
                                           "and query ~ 'sleeps'") == "1", "its end")
            said = explained.sample("ended")
            assert said["no_plan"].startswith("EXPLAIN failed: terminating connection"), said
            assert client.value("select 1") == "1"
            assert "Result" in explained.slow(client, "afterwards")["plan"]
    assert explained.results() == {"done": 1, "failed": 1}, explained.results()
    ports.release(explained.port)


@test(targets=FOREBAY)
def it_is_asked_as_the_role_of_the_pool(lab: Lab) -> None:
    explained = Explained(lab, databases={"app": Database(user="other", password="other-secret")})
    with lab.postgres.admin("app") as admin:
        admin.run(PLANNED)
        with explained.target.connect() as client:
            client.run("select sleeps(0.9) as whose")
            wait_until(lambda: admin.value(f"select (select usename || ' ' || datname {SIDE})")
                       == "other app", "it plans")
        assert "Result" in explained.sample("whose")["plan"]
    ports.release(explained.port)


@test(targets=FOREBAY)
def from_16_on_parameters_need_no_values(lab: Lab) -> None:
    """What is asked of the server, and in which order: it is a scripted one."""
    asked: list[str] = []

    def explain(sql: str) -> bytes:
        asked.append(sql)
        answer = echo(sql) if sql.startswith(("BEGIN", "ROLLBACK")) else row("the plan")
        return answer[:-1] + (b"I" if sql == "ROLLBACK" else b"T")

    def script(c: FakeConnection) -> None:
        c.startup()
        said = {**PARAMETERS, "server_version": "16.4"}
        c.send(m.authentication(0), *[m.parameter_status(k, v) for k, v in said.items()],
               m.backend_key_data(1000 + c.number, b"\1\2\3\4"), m.ready_for_query())
        if c.parameters.get("application_name") == "forebay explain":
            c.queries(explain)
        while (message := c.message()).type != b"X":
            if message.type == b"E":
                time.sleep(0.4)
            answers = {b"P": m.message(b"1"), b"B": m.message(b"2"), b"S": m.ready_for_query(),
                       b"E": m.command_complete("SELECT 0")}
            c.send(answers.get(message.type) or echo(message.body.rstrip(b"\0").decode()))
    server = FakeServer(script)
    lab.keep(server)
    explained = Explained(lab, databases={"app": Database([server.address])})
    text = "select a from t where b = $1"
    with explained.target.connect() as client:
        client.messages(m.parse("", text), m.bind("", "", ["secret"]), m.execute(""), m.sync())
        said = explained.sample("from")
    assert said["plan"] == "the plan", said
    wait_until(lambda: len(asked) == 3, "it is rolled back")
    assert asked[0].startswith("BEGIN READ ONLY;") and asked[2] == "ROLLBACK", asked
    assert asked[1] == "EXPLAIN (GENERIC_PLAN) " + text, asked
    server.check()
    ports.release(explained.port)
