"""The tenant firewall's tables as the catalog has them: nobody lists them, and nobody gets at what was
made, renamed or changed a moment ago."""

from __future__ import annotations

from typing import Any

from lab import messages as m
from lab.declare import FOREBAY, test
from lab.lab import Lab
from lab.process import wait_until
from lab.target import Database, Target
from lab.wire import Client

from test_console import rows as console_rows
from test_tenants import FOREIGN, corpus, make_tables, say

CATALOG: dict[str, Any] = {
    "databases": ["app"], "users": {"app": "1", "other": "2"}, "column_type": "integer",
    "firewall": "enforce", "tables_with_column": True, "shared_tables": ["countries"],
}
MORE = """
create table "Orders" (like orders);
insert into "Orders" select * from orders;
create table parts (tenant_id int, secret text) partition by list (tenant_id);
create table parts_1 partition of parts for values in (1);
create table parts_2 partition of parts for values in (2);
insert into parts values (1, 'own'), (2, 'foreign');
create materialized view sums as select tenant_id, min(secret) secret from orders group by 1;
create view seen as select * from orders;
create view hidden as select secret from seen;
create table parent (secret text);
create table child (tenant_id int) inherits (parent);
insert into child values ('own', 1), ('foreign', 2);
create view harmless as select id from plans;
create schema apart;
create table apart.settings (secret text, tenant_id int);
insert into apart.settings values ('foreign', 2);
create table settings (secret text);
create table public.logs (n int);
"""


def with_owner(lab: Lab, tenants: dict[str, Any] = CATALOG, more: str = MORE,
               **database: Any) -> Target:
    """The owner comes through Forebay as well, and is no tenant."""
    make_tables(lab)
    with lab.direct().connect() as direct:
        direct.run("drop schema if exists apart, shop cascade")     # other tests', too
        direct.run(more)
    app = Database(user="app", password="app-secret", options=database)
    owner = Database(dbname="app", user="app", password="app-secret")
    return lab.target(tenants=tenants, databases={"app": app, "owner": owner},
                      options={"admin_users": "app"})


def state(client: Client, sql: str) -> str:
    """Its SQLSTATE, if it fails; nobody sees what is another's."""
    answer = say(client, sql)
    assert not any(FOREIGN in message.body for message in answer), (sql, answer)
    errors = m.only(answer, b"E")
    if client.status == b"E" and not errors:
        raise AssertionError(answer)
    return errors[0].sqlstate if errors else ""


def refused(client: Client, *texts: str) -> None:
    for sql in texts:
        assert state(client, sql) == "42501", sql


def runs(client: Client, *texts: str) -> None:
    for sql in texts:
        assert state(client, sql) == "", sql


@test(targets=FOREBAY)
def all_that_have_the_column(lab: Lab) -> None:
    target = with_owner(lab)
    with target.connect() as client:
        runs(client, "select * from plans", "select id from public.plans", "select * from harmless",
             "select * from logs", "insert into logs values (1)", "select * from countries",
             "select * from public.settings", "select nextval('s')", "select * from s",
             "select count(*) from pg_class", "select 1 from information_schema.tables limit 1")
        for table in ("orders", "items", '"Orders"', "parts", "parts_1", "sums", "seen",
                      'public."Orders"', "child"):
            runs(client, f"select * from {table} where tenant_id = 1",
                 f"select * from plans p, {table} where tenant_id = 1",
                 f"with a as (select * from {table} where tenant_id = 1) select * from a")
            refused(client, f"select * from {table}", f"select * from {table} where tenant_id = 2",
                    f"with a as (select * from {table}) select * from a",
                    f"select (select min(secret) from {table})",
                    f"select * from {table} as plans where tenant_id = 1 or true",
                    f"explain analyze select * from {table} where tenant_id = 1")
        refused(client, "select * from hidden", "select * from parts_2", "select * from parent",
                "select * from hidden, orders where tenant_id = 1",
                "select * from settings", "select * from apart.settings",
                "table orders", "select * from ONLY orders", "select * from ORDERS",
                'select * from u&"\\006frders"', "select * from app.public.orders",
                "delete from orders", "update orders set note = ''", "copy orders to stdout",
                "insert into parts values (2, 'own')", "select * from no_such_table",
                "set search_path = apart; select * from settings",
                "create table mine (id int)", "lock orders")
        runs(client, "set search_path = apart, public")
        refused(client, "select * from settings")
    shown = {(row["schema"], row["table"]): (row["mode"], row["why"])
             for row in console_rows(target, "show tenant tables")}
    assert shown["public", "orders"] == ("enforce", "has the column"), shown
    assert shown["public", "hidden"] == ("enforce", "shows tenants' rows"), shown
    assert shown["public", "countries"] == ("off", "has the column"), shown
    assert not {("public", "plans"), ("public", "harmless"), ("public", "logs"),
                ("public", "settings")} & set(shown), shown


@test(targets=FOREBAY)
def attacks_where_nothing_is_listed(lab: Lab) -> None:
    target = with_owner(lab, {**CATALOG, "setting": "app.tenant_id"}, "")
    with target.connect() as client:
        for text in corpus("-"):
            answer = say(client, text)
            assert not any(FOREIGN in message.body for message in answer), (text, answer)
            failed = m.only(answer, b"E")
            # Which tables have the column is no secret of the list any more.
            assert failed or "plans" in text, (text, answer)
            if client.status != b"I":
                client.run("rollback")


@test(modes=("transaction",), targets=FOREBAY)
def changes_through_forebay_count_at_once(lab: Lab) -> None:
    target = with_owner(lab)
    text = "select * from plans"
    run = (m.bind("", "kept"), m.execute(""), m.sync())
    with target.connect() as client, target.connect(database="owner") as owner:
        runs(client, text, "prepare p as select * from plans", "execute p")
        assert not m.only(client.messages(m.parse("kept", text), *run), b"E")
        owner.run("create table fresh (tenant_id int, secret text)")
        owner.run("insert into fresh values (2, 'foreign')")
        refused(client, "select * from fresh")
        runs(client, "select * from fresh where tenant_id = 1", text)
        owner.run("alter table fresh rename to newer")
        refused(client, "select * from newer")
        # What was harmless, and is another's rows now.
        for swap in ("alter table plans rename to was; alter table orders rename to plans",
                     "alter table plans rename to orders; alter table was rename to plans"):
            owner.run(swap)
            names = ("plans", "was") if "to was" in swap else ("orders", "plans")
            refused(client, f"select * from {names[0]}")
            runs(client, f"select * from {names[1]}")
            expected = "42501" if names[0] == "plans" else ""
            assert state(client, "execute p") == expected
            assert state(client, "explain execute p") == expected
            failed = m.only(client.messages(*run), b"E")
            assert [error.sqlstate for error in failed] == ([expected] if expected else [])
        owner.run("begin; alter table logs add tenant_id int")
        client.send(m.query("select n from logs"))
        owner.run("insert into logs values (1, 2)")
        owner.run("commit")
        client.until_ready()                # it came before the change: it waited for its lock
        refused(client, "select * from logs")
        owner.run("alter table logs drop tenant_id")
        runs(client, "select * from logs")
        owner.run("create table apart.plans (tenant_id int)")
        refused(client, "select * from plans")
        runs(client, "select * from public.plans")
        owner.run("create view more as select secret from items")
        refused(client, "select * from more")
        owner.run("do $$ begin alter table logs add tenant_id int; end $$")
        refused(client, "select * from logs")
        # In a transaction nothing waits for an answer of the catalog.
        client.run("begin")
        owner.run("create table last (secret text)")
        assert state(client, "select * from logs") == "42501"
        client.run("rollback")
        runs(client, "select * from last")


@test(modes=("transaction",), targets=FOREBAY)
def changes_past_forebay_count_soon(lab: Lab) -> None:
    target = with_owner(lab)
    with target.connect() as client, lab.direct().connect() as direct:
        runs(client, "select * from logs")
        direct.run("create table fresh (tenant_id int, secret text)")
        direct.run("insert into fresh values (2, 'foreign')")
        refused(client, "select * from fresh")
        runs(client, "select * from fresh where tenant_id = 1")
        direct.run("alter table orders rename to elsewhere")
        refused(client, "select * from elsewhere")
        direct.run("create table plain (n int)")
        direct.run("alter table logs add tenant_id int default 2")
        wait_until(lambda: state(client, "select * from logs") == "42501", "it is seen", within=60)
        runs(client, "select * from plain")


@test(modes=("transaction",), targets=FOREBAY)
def while_the_catalog_cannot_be_read(lab: Lab) -> None:
    """Each table counts as having the column."""
    target = with_owner(lab, monitor_user="nobody", monitor_password="no-secret")
    with target.connect() as client:
        answer = m.only(client.messages(m.query("select * from plans")), b"E")
        assert answer[0].sqlstate == "42501" and "is not known now" in answer[0].text, answer
        refused(client, "select * from orders", "select * from logs", "select * from hidden")
        runs(client, "select o.secret from orders o where o.tenant_id = 1", "select 1",
             "select * from countries")
    assert [row["why"] for row in console_rows(target, "show tenant tables")] == [
        "not known now: each table"]
    assert "tables_unknown" in target.log
