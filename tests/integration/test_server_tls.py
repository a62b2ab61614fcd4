"""TLS towards servers: each mode does what libpq's sslmode does, whatever the server has and whatever
its pg_hba.conf says of either kind of connection. libpq itself, by psql, is asked first."""

from __future__ import annotations

import socket
from threading import Event

from lab import messages as m
from lab.declare import FOREBAY, TLS, test
from lab.fake_server import FakeConnection, FakeServer, echo
from lab.lab import Lab
from lab.postgres import Postgres, password_of
from lab.process import run, wait_until
from lab.target import Database, Target
from lab.wire import ServerError, refused

from test_reload import change, reload, text_of

SSLMODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
ASKED = "select ssl from pg_stat_ssl where pid = pg_backend_pid()"

# What is refused in one way may be granted in the other: by no line, by a line that rejects, or
# because a certificate is wanted.
HBA = """
local   all             postgres                        trust
host    all             postgres        samehost        trust
hostssl all             tlsuser         samehost        scram-sha-256
hostnossl all           other           samehost        scram-sha-256
hostssl all             limited         samehost        reject
host    all             limited         samehost        scram-sha-256
hostssl all             trusted         samehost        cert
hostnossl all           trusted         samehost        trust
hostssl all             machine         samehost        trust
hostnossl all           machine         samehost        reject
host    all             app             samehost        scram-sha-256
"""
USERS = ("app", "tlsuser", "other", "limited", "trusted", "machine", "rejected")


def server(lab: Lab, **settings: str) -> Postgres:
    postgres = lab.private_postgres(**settings)
    postgres.configure(HBA)
    postgres.reload()
    return postgres


def servers(lab: Lab) -> dict[str, Postgres]:
    """With TLS, without, and with a TLS that is too old for who insists on 1.3."""
    return {"new": server(lab), "none": server(lab, ssl="off"),
            "old": server(lab, ssl_max_protocol_version="TLSv1.2")}


def outcome_of_libpq(lab: Lab, postgres: Postgres, mode: str, user: str) -> str:
    done = run(["psql", "-XAtc", ASKED], expect=None, env={
        "PATH": "/usr/bin:/bin", "HOME": str(lab.folder), "PGHOST": "127.0.0.1",
        "PGPORT": str(postgres.port), "PGUSER": user, "PGPASSWORD": password_of(user),
        "PGDATABASE": "app", "PGSSLMODE": mode, "PGGSSENCMODE": "disable",
        "PGSSLROOTCERT": str(lab.certificates.ca), "PGSSLMINPROTOCOLVERSION": "TLSv1.3"})
    return {"t\n": "tls", "f\n": "plain"}.get(done.out, "refused")


def outcome(target: Target, user: str, database: str) -> str:
    try:
        with target.connect(user, database) as client:
            return {"t": "tls", "f": "plain"}[str(client.value(ASKED))]
    except ServerError as error:
        assert error.error.fields()["S"] == "FATAL", error
        return "refused"


@test(targets=FOREBAY, params=SSLMODES)
def modes_are_those_of_libpq(lab: Lab, mode: str) -> None:
    clusters = servers(lab)
    target = lab.target(
        users={user: password_of(user) for user in USERS}, options={"query_wait_timeout": "2s"},
        server_tls={"mode": mode, "ca_file": lab.certificates.ca, "minimum_version": "TLSv1.3"},
        databases={name: Database([postgres.address], dbname="app")
                   for name, postgres in clusters.items()})
    cases = [(name, user) for name in clusters for user in USERS]
    wanted = [outcome_of_libpq(lab, clusters[name], mode, user) for name, user in cases]
    seen = lab.in_parallel(len(cases), lambda i: outcome(target, cases[i][1], cases[i][0]))
    assert seen == wanted, [f"{case}: {ours}, libpq: {theirs}"
                            for case, ours, theirs in zip(cases, seen, wanted) if ours != theirs]
    assert {"refused", "plain" if mode in ("disable", "allow") else "tls"} <= set(seen), seen


@test(targets=FOREBAY, entries=("run",), tls=TLS, params=("on", "off"))
def without_a_configuration_file(lab: Lab, ssl: str) -> None:
    """As with prefer; as with allow for clients that are inside TLS themselves, since SCRAM is bound
    to one connection."""
    postgres = server(lab, ssl=ssl)
    target = lab.target(postgres)
    mode = "allow" if lab.variant.tls else "prefer"
    wanted = [outcome_of_libpq(lab, postgres, mode, user) for user in USERS]
    seen = [outcome(target, user, "app") for user in USERS]
    assert seen == wanted, [f"{case}: {ours}, libpq: {theirs}"
                            for case, ours, theirs in zip(USERS, seen, wanted) if ours != theirs]


@test(targets=FOREBAY, entries=("run",), tls=TLS, params=("on", "off"))
def clear_text_passwords(lab: Lab, ssl: str) -> None:
    """As LDAP and PAM ask for them: shown to another machine inside TLS only, from either client."""
    postgres = lab.private_postgres(ssl=ssl)
    # An address that is not known for this machine's.
    target = lab.target(servers=[("[::ffff:127.0.0.1]", postgres.port)])
    if ssl == "on" and lab.variant.tls:
        assert outcome(target, "clearuser", "app") == "tls"
        assert outcome(target, "app", "app") == "plain"
    elif ssl == "on":
        assert outcome(target, "clearuser", "app") == "tls"
        assert outcome(target, "app", "app") == "tls"
    else:
        error = refused(lambda: target.connect("clearuser"))
        assert error.sqlstate == "28000" and "clear-text" in error.text, error
        assert outcome(target, "app", "app") == "plain"


@test(targets=FOREBAY)
def switched_off_while_a_server_is_connected_to(lab: Lab) -> None:
    """What was asked of the server holds to the end of its login."""
    asked, reloaded = Event(), Event()

    def hesitates(c: FakeConnection) -> None:
        # The next connection is as the reload says.
        if c.socket.recv(8, socket.MSG_PEEK) == m.ssl_request():
            c.receive(8)
            asked.set()
            assert reloaded.wait(30)
            c.take_tls(lab.certificates)
        c.login()
        c.queries(echo)
    slow = lab.keep(FakeServer(hesitates))
    target = lab.target(servers=[slow.address], databases={"app": Database()},
                        server_tls={"mode": "require"})
    text = text_of(target)
    client = lab.in_background(lambda: target.connect().value("select 'x'"))
    assert asked.wait(20)
    reload(target, change(text, 'mode = "require"', 'mode = "disable"'))
    reloaded.set()
    wait_until(lambda: "inside TLS" in target.log or client.done, "the login is over")
    assert target.alive
