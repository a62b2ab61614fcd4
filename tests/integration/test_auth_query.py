"""Passwords that the server knows and the proxy does not: auth_query."""

from __future__ import annotations

from typing import Any, Optional

from lab import messages as m
from lab.declare import FOREBAY, test
from lab.fake_server import FakeConnection, FakeServer, echo
from lab.lab import Lab
from lab.postgres import Postgres, password_of
from lab.process import wait_until
from lab.target import Database, Target
from lab.wire import ServerError, refused

# What the role that asks may use, in place of pg_authid.
LOOKUP = """
create schema lookup;
create function lookup.secret(in who text, out name text, out secret text) language sql
    security definer set search_path = pg_catalog, pg_temp
    as 'select rolname, case when rolvaliduntil < now() then null else rolpassword end
        from pg_authid where rolname = who and rolcanlogin';
revoke all on function lookup.secret from public;
grant usage on schema lookup to other;
grant execute on function lookup.secret to other
"""


def start(lab: Lab, query: str = "", postgres: Optional[Postgres] = None,
          **options: Any) -> Target:
    """Nobody but auth_user has a password here."""
    asks = {"auth_user": "postgres", "auth_query": query, **options}
    return lab.target(postgres, users={asks["auth_user"]: password_of(asks["auth_user"])},
                      options=asks)


def said(target: Target, user: str, **more: Any) -> tuple[str, str]:
    error = refused(lambda: target.connect(user, **more))
    return error.sqlstate, error.text.replace(user, "USER")


WRONG = ("28P01", 'password authentication failed for user "USER"')


@test(modes=("transaction", "session"), targets=FOREBAY)
def nothing_is_stored(lab: Lab) -> None:
    """The keys that a client shows log in to the server."""
    with lab.postgres.admin("app") as admin:
        for statement in LOOKUP.strip().split(";\n"):
            admin.run(statement)
        try:
            target = start(lab, "select * from lookup.secret($1)", auth_user="other")
            for user in ("app", "certuser", "app"):
                with target.connect(user) as client:
                    assert client.value("select current_user") == user
            assert said(target, "app", password="wrong") == WRONG
        finally:
            admin.run("drop schema lookup cascade")


@test(targets=FOREBAY)
def whoever_may_not_log_in(lab: Lab) -> None:
    """Expired (CVE-2025-2291), NOLOGIN, without a password, unknown, or with quotes in it."""
    target = start(lab)
    for user in ("expired", "nologin", "machine", "nobody", "x' or '1'='1", "x\\' or 1=1 --"):
        assert said(target, user) == WRONG, user
    lab.postgres.rows("create role tmpsoon login password 'tmpsoon-secret' "
                      "valid until 'infinity'")
    with target.connect("tmpsoon") as client:
        assert client.value("select 1") == "1"


@test(targets=FOREBAY)
def a_client_cannot_choose_what_is_asked(lab: Lab) -> None:
    """CVE-2025-12819: its search_path is not that of the query, nor is the asking role's own."""
    with lab.postgres.admin("app") as admin:
        admin.run("create schema evil")
        admin.run("create view evil.pg_shadow as select name 'app' as usename, 'mine' as passwd")
        admin.run("grant usage on schema evil to public")
        admin.run("grant select on evil.pg_shadow to public")
        admin.run("alter role postgres in database app set search_path = evil, pg_catalog")
        try:
            target = start(lab, "select usename, passwd from pg_shadow where usename = $1")
            assert said(target, "app", password="mine", search_path="evil, pg_catalog") == WRONG
            with target.connect("app", search_path="evil, pg_catalog") as client:
                assert client.value("show search_path") == "evil, pg_catalog"
        finally:
            admin.run("alter role postgres in database app reset search_path")
            admin.run("drop schema evil cascade")


@test(targets=FOREBAY)
def a_new_password_works_at_once(lab: Lab) -> None:
    """Whoever fails with what was cached makes it be asked again."""
    lab.postgres.rows("create role tmpold login password 'first'")
    target = start(lab, auth_query_ttl="1h")

    def let_in() -> bool:
        try:
            with target.connect("tmpold", password="second") as client:
                return client.value("select current_user") == "tmpold"
        except ServerError as error:
            assert error.sqlstate == "28P01", error
            return False
    with target.connect("tmpold", password="first") as client:
        lab.postgres.rows("alter role tmpold password 'second'")
        # The first one is asked with the salt of what was known.
        wait_until(let_in, "the new password is known")
        assert said(target, "tmpold", password="first") == WRONG
        assert client.value("select 1") == "1"


@test(targets=FOREBAY)
def console_and_reload(lab: Lab) -> None:
    target = start(lab, auth_dbname="app", admin_users="app", auth_query_ttl="1h")
    with target.connect("app") as client, target.connect("app", database="forebay") as console:
        assert any("app" in row for row in console.rows("show databases"))
        (target.folder / "forebay.toml").write_text(target.toml_text().replace('"1h"', '"2h"'))
        console.run("reload")
        assert client.value("select current_user") == "app"


@test(targets=FOREBAY)
def without_a_server(lab: Lab) -> None:
    """An error that says so, and what is known goes on."""
    postgres = lab.private_postgres()
    target = start(lab, postgres=postgres, auth_query_ttl="1h")
    with target.connect("app"):
        pass
    postgres.stop()
    sqlstate, text = said(target, "certuser")
    assert (sqlstate, text) == ("57P03", "passwords cannot be looked up at present: auth_query has "
                                         'no connection to database "app"'), text
    assert said(target, "app", password="wrong") == WRONG
    postgres.start()
    wait_until(lambda: said(target, "certuser", password="wrong") == WRONG, "it is asked again")
    with target.connect("certuser"):
        pass


@test(targets=FOREBAY)
def a_server_that_hangs_up_on_newer_versions(lab: Lab) -> None:
    """As some do that stand before PostgreSQL: it is asked in 3.0, by the pools and by the lookup."""
    versions: list[tuple[str, int]] = []

    def script(c: FakeConnection) -> None:
        version = c.startup()
        versions.append((c.parameters["user"], version))
        if version == m.PROTOCOL_3_0:
            c.welcome()
            c.queries(echo)
    server = lab.keep(FakeServer(script))
    target = lab.target(databases={"app": Database([server.address])},
                        users={"app": "any", "other": "any"}, options={"auth_user": "other"})
    with target.connect(password="any") as client:
        assert client.value("select 1") == "select 1"
    refused(lambda: target.connect("nobody"))
    for user in ("app", "other"):
        found = [version for name, version in versions if name == user]
        assert found[:2] == [m.PROTOCOL_3_2, m.PROTOCOL_3_0], (user, versions)
