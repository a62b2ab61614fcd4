"""The audit log: who did what, where from, and what came of it; never a value."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lab import messages as m
from lab.declare import FOREBAY, test
from lab.lab import Lab
from lab.process import wait_until
from lab.target import Database
from test_tenants import FIREWALL, make_tables


def records(log: Path, wanted: int) -> list[dict[str, Any]]:
    def written() -> list[str]:
        return log.read_text().splitlines() if log.exists() else []
    wait_until(lambda: len(written()) >= wanted, f"{wanted} records in {log}")
    found = [json.loads(line) for line in written()]
    assert len(found) == wanted, found
    return found


@test(targets=FOREBAY)
def statements_of_note(lab: Lab) -> None:
    log = lab.folder / "audit.log"
    target = lab.target(audit={"file": log, "tables": ["cards"]})
    with target.connect(application_name="till") as client:
        client.run("create table cards (a int, secret text)")
        client.error(m.query("create table cards (a int)"))
        client.error(m.query("create role hush password 'hush-hush'"))
        client.run("insert into cards values (1, 'hidden literal')")
        client.run("select 'not of note'")
        reading = "select * from cards where secret = $1 /* hidden comment */"
        assert client.extended(reading, ["hidden parameter"]) == []
        client.error(m.parse("", "creat table cards"), m.sync())
        client.run("select 1; set role app; select 2 -- " + "x" * 70_000)
        found = records(log, 6)
        assert "hidden" not in log.read_text() and "hush-" not in log.read_text()
        summary = [(",".join(one["events"]), one["result"], one["sqlstate"]) for one in found]
        assert summary == [
            ("ddl,table", "ok", ""), ("ddl,table", "error", "42P07"), ("ddl,role", "error", "42501"),
            ("table", "ok", ""), ("table", "ok", ""), ("unknown", "ok", "")], summary
        for one in found:
            assert one["user"] == one["database"] == "app", one
            assert one["client"].startswith("127.0.0.1:"), one
            assert one["application_name"] == "till", one
            assert one["host"].endswith(f":{lab.postgres.address[1]}"), one
        assert found[4]["text"].replace(" ", "") == "select*fromcardswheresecret=$1", found
        assert found[3]["rows"] == 1 and len(found[3]["shape"]) == 16, found
        log.rename(lab.folder / "audit.1")
        client.run("begin; drop table cards; rollback")
        records(log, 1)
        client.send(m.query("select * from cards, pg_sleep(60)"))
        wait_until(lambda: lab.postgres.rows("select 1 from pg_stat_activity where query like "
                                             "'select * from cards, %' and state = 'active'"),
                   "it runs")
    # Nobody hears what became of it.
    found = records(log, 2)
    assert found[1]["result"] == "unanswered" and found[1]["events"] == ["table"], found


@test(targets=FOREBAY)
def what_tenants_may_not(lab: Lab) -> None:
    log = lab.folder / "audit.log"
    make_tables(lab)
    app = Database(user="app", password="app-secret")
    target = lab.target(tenants=FIREWALL, databases={"app": app},
                        audit={"file": log, "ddl": False})
    with target.connect() as client:
        client.error(m.query("select * from orders where note = 'hidden'"))
        client.run("select * from orders where tenant_id = 1")
        for tenant in ("1", "2"):
            client.send(m.parse("", "select * from orders where tenant_id = $1"),
                        m.bind("", "", [tenant]), m.execute(""), m.sync())
            client.until_ready()
        client.error(m.query("alter role app password hidden"))
    found = records(log, 3)
    assert "hidden" not in log.read_text(), found
    for one in found:
        assert one["events"] == ["refused"] and one["result"] == "refused", one
        assert one["tenant"] == "1" and one["sqlstate"] == "42501" and one["reason"], one
    assert "orders" in found[0]["text"] and "orders" in found[1]["text"], found
    assert found[2]["text"] == "", found


@test(targets=FOREBAY)
def rules_that_were_met(lab: Lab) -> None:
    log = lab.folder / "audit.log"
    target = lab.target(audit={"file": log, "ddl": False}, rules=[
        {"name": "tried", "kinds": ["delete"], "error": "not yet", "dry_run": True},
        {"name": "closed", "kinds": ["merge"], "error": "never"},
        {"name": "locks", "kinds": ["lock"], "error": "never", "sqlstate": "ZZ001"},
        {"name": "quick", "functions": ["now"], "statement_timeout": "1s"},
        {"name": "watched", "tables": ["cards"], "log": True}])
    with target.connect(application_name="till") as client:
        client.run("create table cards (a int, secret text)")
        records(log, 1)
        client.run("select now()")
        client.error(m.query("lock table cards"))
        client.run("delete from cards where secret = 'hidden literal'")
        client.run("set standard_conforming_strings = off")
        client.run(r"select secret from cards where secret = 'a\' hidden \'b'")
        for _ in range(2):
            assert client.extended("select a from cards where secret = $1", ["hidden"]) == []
        client.error(m.parse("", "lock table cards"), m.sync())
        found = records(log, 8)
    assert "hidden" not in log.read_text() + target.log, found
    summary = [(one["rule"], one["result"], one["sqlstate"], one["reason"]) for one in found]
    assert summary == [
        ("watched", "passed", "", ""), ("locks", "refused", "ZZ001", "never"),
        ("tried", "reported", "", "not yet")] + [("watched", "passed", "", "")] * 4 + [
        ("locks", "refused", "ZZ001", "never")], summary
    for one in found:
        assert "rule" in one["events"] and one["application_name"] == "till", one
        assert one["client"].startswith("127.0.0.1:") and one["user"] == "app", one
        assert len(one["shape"]) == 16, one
