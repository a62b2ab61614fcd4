"""Who may come in: every method and every kind of stored secret, and what a refusal looks like."""

from __future__ import annotations

import re
from threading import Event
from typing import Optional

from lab import messages as m
from lab.declare import FOREBAY, MODES, POOLERS, POSTGRES_LIKE, TLS, test
from lab.fake_server import FakeConnection, FakeServer
from lab.lab import Lab
from lab.messages import Message
from lab.postgres import password_of
from lab.process import LabError, run, wait_until
from lab.target import Database, Target
from lab.wire import Client, ServerError, refused, tls_context


def verifier_of(lab: Lab, user: str) -> str:
    """What the server itself keeps for a role: a SCRAM verifier or an md5 hash."""
    secret = lab.postgres.value(f"select rolpassword from pg_authid where rolname = '{user}'")
    assert secret is not None
    return secret


def works(target: Target, user: str = "app") -> None:
    with target.connect(user) as client:
        assert client.value("select current_user") == user


def refuses(target: Target, user: str, password: str) -> Message:
    error = refused(lambda: target.connect(user, password=password))
    fields = error.fields()
    if target.kind == "pgbouncer":          # it has words of its own
        return error
    assert fields["S"] == "FATAL" and fields["C"] == "28P01", fields
    assert fields["M"] == f'password authentication failed for user "{user}"', fields
    return error


# serve: the proxy knows the users.

@test(modes=MODES, tls=TLS, targets=POOLERS, params=("clear_text", "verifier"))
def scram(lab: Lab, stored: str) -> None:
    """With the server's own verifier, the client's key logs in to the server: no password is kept
    anywhere."""
    secret = password_of("app") if stored == "clear_text" else verifier_of(lab, "app")
    target = lab.target(users={"app": secret})
    works(target)
    refuses(target, "app", "wrong")
    refuses(target, "app", "")
    refuses(target, "nobody", "wrong")
    works(target)


@test(modes=("transaction",), tls=TLS, targets=POOLERS, params=("clear_text", "md5", "scram"))
def md5(lab: Lab, stored: str) -> None:
    """The method md5 uses SCRAM where the stored secret is a SCRAM verifier, as PostgreSQL does."""
    user = "app" if stored == "scram" else "md5user"
    secret = password_of(user) if stored == "clear_text" else verifier_of(lab, user)
    target = lab.target(auth="md5", users={user: secret})
    works(target, user)
    refuses(target, user, "wrong")
    works(target, user)


@test(modes=("transaction",), tls=(True,), targets=FOREBAY,
      params=("clear_text", "md5", "scram_verifier"))
def password_over_tls(lab: Lab, stored: str) -> None:
    user = "md5user" if stored == "md5" else "app"
    secret = password_of(user) if stored == "clear_text" else verifier_of(lab, user)
    target = lab.target(auth="password", users={user: secret})
    works(target, user)
    refuses(target, user, "wrong")
    empty = refused(lambda: target.connect(user, password=""))
    assert (empty.sqlstate, empty.text) == ("28P01", "empty password returned by client"), empty
    works(target, user)


@test(modes=("transaction",), targets=FOREBAY)
def password_in_clear(lab: Lab) -> None:
    """Never asked for outside of TLS, unless the configuration says so."""
    target = lab.target(auth="password")
    with target.open() as connection:
        connection.send(m.startup({"user": "app", "database": "app"}))
        answer = connection.until_end()
        assert m.names(answer) == "ErrorResponse" and answer[0].fields()["S"] == "FATAL", answer
    allowed = lab.target(auth="password", options={"cleartext_without_tls": True})
    works(allowed)
    refuses(allowed, "app", "wrong")


@test(modes=("transaction",), tls=TLS, targets=POOLERS)
def trust(lab: Lab) -> None:
    target = lab.target(auth="trust")
    with target.connect("app", password="whatever") as client:
        assert client.value("select current_user") == "app"
        assert m.names(client.login_messages).startswith("Authentication ParameterStatus")


@test(modes=MODES, targets=POSTGRES_LIKE, params=("trust", "password"))
def all_at_once(lab: Lab, auth: str) -> None:
    """Start-up message, password and a statement in one piece, before any answer."""
    options = {"cleartext_without_tls": True} if auth == "password" else {}
    target = lab.target(auth=auth, options=options)
    for _ in range(3):  # once the server is known, a login needs it no more
        with target.open() as client:
            password = m.password(password_of("app")) if auth == "password" else b""
            client.send(m.startup({"user": "app", "database": "app"}) + password
                        + m.query("select 7"))
            client.until_ready()
            assert m.only(client.until_ready(), b"D")[0].columns() == [b"7"]


@test(modes=MODES, targets=FOREBAY)
def all_at_once_to_a_server_that_asks(lab: Lab) -> None:
    """The password is kept until the server behind asks for it."""
    server = lab.private_postgres()
    server.configure(hba="local all all trust\nhost all all 127.0.0.1/32 password\n"
                         "host all all ::1/128 password\n")
    server.reload()
    target = lab.target(server, auth="server", users={}, options={"cleartext_without_tls": True})
    for _ in range(3):
        with target.open() as client:
            client.send(m.startup({"user": "app", "database": "app"})
                        + m.password(password_of("app")) + m.query("select 7"))
            client.until_ready()
            assert m.only(client.until_ready(), b"D")[0].columns() == [b"7"]
    refuses(target, "app", "a-wrong-password")


@test(modes=("transaction",), tls=(True,), targets=FOREBAY)
def client_certificate(lab: Lab) -> None:
    """Its common name must be the user's name; another authority's certificate is none."""
    target = lab.target(auth="cert", users={"certuser": password_of("certuser"),
                                            "app": password_of("app")},
                        client_tls={"mode": "verify-full", "ca_file": lab.certificates.ca})
    ours = tls_context(lab.certificates.ca, certificate=lab.certificates.client("certuser"))
    with target.connect("certuser", password="", tls=ours) as client:
        assert client.value("select current_user") == "certuser"
    error = refused(lambda: target.connect("app", password="", tls=ours))
    assert error.fields()["S"] == "FATAL", error
    strangers = tls_context(lab.certificates.ca, certificate=lab.certificates.client("stranger"))
    for context in (strangers, tls_context(lab.certificates.ca)):
        try:
            with target.connect("certuser", password="", tls=context):
                raise LabError("was let in")
        except (OSError, ServerError, AssertionError) as reason:
            if isinstance(reason, LabError):
                raise


@test(modes=("transaction",), tls=(True,), targets=FOREBAY, params=("verify-ca", "verify-full"))
def certificate_and_password(lab: Lab, mode: str) -> None:
    """The TLS mode asks for a certificate on top of the password."""
    target = lab.target(users={"certuser": password_of("certuser"), "app": password_of("app")},
                        client_tls={"mode": mode, "ca_file": lab.certificates.ca})
    ours = tls_context(lab.certificates.ca, certificate=lab.certificates.client("certuser"))
    with target.connect("certuser", tls=ours) as client:
        assert client.value("select current_user") == "certuser"
    if mode == "verify-ca":
        with target.connect("app", tls=ours) as client:
            assert client.value("select current_user") == "app"
    else:
        assert refused(lambda: target.connect("app", tls=ours)).fields()["S"] == "FATAL"


@test(modes=("transaction",), tls=(True,), targets=FOREBAY)
def certificate_towards_the_server(lab: Lab) -> None:
    """The server asks the proxy for a certificate, whose common name is the role."""
    certificate, key = lab.certificates.client("machine")
    target = lab.target(databases={"app": Database(user="machine", password="unused")},
                        server_tls={"certificate_file": certificate, "key_file": key})
    with target.connect() as client:
        assert client.value("select current_user") == "machine"


@test(modes=("transaction",), tls=TLS, targets=FOREBAY)
def forced_user(lab: Lab) -> None:
    """All clients of the database use one role on the server."""
    target = lab.target(databases={"app": Database(user="other", dbname="app")})
    for user in ("app", "other"):
        with target.connect(user) as client:
            assert client.value("select current_user") == "other"
    assert len(lab.postgres.sessions("app")) <= 3


@test(modes=("transaction",), targets=POOLERS)
def renamed_database(lab: Lab) -> None:
    target = lab.target(databases={"shop": Database(dbname="app")})
    with target.connect(database="shop") as client:
        assert client.value("select current_database()") == "app"


@test(modes=("transaction",), targets=FOREBAY)
def unknown_database(lab: Lab) -> None:
    target = lab.target()
    error = refused(lambda: target.connect(database="nowhere"))
    assert (error.fields()["S"], error.sqlstate) == ("FATAL", "3D000"), error
    assert error.text == 'database "nowhere" does not exist', error
    # Whoever does not know the password learns nothing about databases.
    error = refused(lambda: target.connect(database="nowhere", password="wrong"))
    assert error.sqlstate == "28P01", error


@test(modes=("transaction",), targets=FOREBAY)
def wrong_secret_for_the_server(lab: Lab) -> None:
    """The proxy lets the client in, the server does not let the proxy in: the client is told."""
    target = lab.target(users={"app": "not-the-servers"},
                        options={"server_unavailable_timeout": "2s"})

    def attempt() -> None:
        with target.connect("app", password="not-the-servers") as client:
            client.run("select 1")
    error = refused(attempt)
    assert error.sqlstate in ("28P01", "08006", "08001", "57P03"), error
    assert "not-the-servers" not in target.log


# What gives a user away.

def shape(target: Target, user: str, password: str) -> list[tuple[str, int, str]]:
    """The messages of a refused login, with all that could tell one user from another."""
    result = []
    client = target.connect(user, login=False, password=password)
    try:
        client.log_in()
        raise LabError("was let in")
    except ServerError:
        pass
    finally:
        client.close()
    for message in client.login_messages:
        salted = message.type == b"R" and message.body[:4] == b"\0\0\0\5"      # by random bytes
        text = message.body[:4 if salted else None].decode(errors="replace")
        text = re.sub(r"r=[^,]*", "r=", text)
        text = re.sub(r"s=[^,]*", "s=", text).replace(user, "USER")
        result.append((message.name, len(text), text))
    return result


@test(modes=("transaction",), tls=TLS)
def unknown_users_look_like_known_ones(lab: Lab) -> None:
    target = lab.target()
    assert shape(target, "app", "wrong") == shape(target, "nob", "wrong")


@test(modes=("transaction",))
def salt_of_an_unknown_user_is_steady(lab: Lab) -> None:
    def salt(user: str) -> bytes:
        client = target.connect(user, login=False, password="wrong")
        refused(client.log_in)
        client.close()
        found = re.search(rb"s=([^,]*),", m.only(client.login_messages, b"R")[1].body)
        assert found
        return found.group(1)
    target = lab.target()
    if lab.kind != "pgbouncer":
        assert salt("nobody") == salt("nobody")
    assert salt("nobody") != salt("anybody")


# SCRAM's small print.

class Tampering(Client):
    """A client whose SCRAM messages are changed before they are sent."""

    first: Optional[bytes] = None
    mechanism = "SCRAM-SHA-256"

    def change_final(self, final: bytes) -> bytes:
        return final

    def _authenticate(self, body: bytes) -> None:
        code = body[:4]
        if code == b"\0\0\0\x0a" and self.first is not None:
            self.send(m.sasl_initial_response(self.mechanism, self.first))
        elif code == b"\0\0\0\x0b" and self.first is None:
            self.send(m.sasl_response(self.change_final(self.scram.final(body[4:]))))
        else:
            super()._authenticate(body)


FIRST = {
    "empty": b"", "no_nonce": b"n,,n=", "garbage": b"\xff\xfe\0\1",
    "authzid": b"n,a=other,n=,r=abcdefghijklmnopqr", "extension": b"n,,m=x,n=,r=abcdefghijklmnop",
    "no_header": b"n=,r=abcdefghijklmnopqr", "unknown_flag": b"x,,n=,r=abcdefghijklmnopqr",
    "binding_without_plus": b"p=tls-server-end-point,,n=,r=abcdefghijklmnopqr",
    "nonce_with_comma": b"n,,n=,r=abc,def", "unprintable_nonce": b"n,,n=,r=abc\x01def",
    "long": b"n,,n=,r=" + b"x" * 20000, "nul": b"n,,n=\0,r=abcdefghijklmnopqr",
}

FINAL = {
    "empty": lambda f: b"",
    "garbage": lambda f: b"\xff\0\1",
    "no_proof": lambda f: f.rsplit(b",p=", 1)[0],
    "empty_proof": lambda f: f.rsplit(b",p=", 1)[0] + b",p=",
    "short_proof": lambda f: f.rsplit(b",p=", 1)[0] + b",p=AAAA",
    "long_proof": lambda f: f + b"AAAA",
    "proof_not_base64": lambda f: f.rsplit(b",p=", 1)[0] + b",p=" + b"!" * 44,
    "other_nonce": lambda f: re.sub(rb"r=.", b"r=~", f),
    "nonce_cut": lambda f: re.sub(rb"r=([^,]*).,p", rb"r=\1,p", f),
    "other_header": lambda f: f.replace(b"c=biws", b"c=eSws"),
    "long": lambda f: f.replace(b",p=", b",x=" + b"y" * 20000 + b",p="),
    "something_after": lambda f: f + b",x=y",
}


def refused_exchange(target: Target, kind: type[Tampering]) -> None:
    """One clear error, and the connection is closed."""
    client = kind(target.address, user="app", database="app", password="app-secret",
                  tls=target.tls(), login=False)
    with client:
        refused(client.log_in)
        assert client.until_end() == []
    target.check_healthy()


@test(modes=("transaction",), params=FIRST)
def scram_first_message(lab: Lab, name: str) -> None:
    refused_exchange(lab.target(), type("Changed", (Tampering,), {"first": FIRST[name]}))


@test(modes=("transaction",), params=FINAL)
def scram_final_message(lab: Lab, name: str) -> None:
    refused_exchange(lab.target(), type("Changed", (Tampering,), {
        "change_final": lambda self, final: FINAL[name](final)}))


@test(modes=("transaction",), params=("SCRAM-SHA-1", "PLAIN", "", "SCRAM-SHA-256-PLUS", "x" * 3000))
def unknown_mechanism(lab: Lab, mechanism: str) -> None:
    refused_exchange(lab.target(), type("Changed", (Tampering,), {
        "mechanism": mechanism, "first": b"n,,n=,r=abcdefghijklmnopqr"}))


@test(modes=("transaction",), params=("query", "huge", "negative", "startup"))
def something_else_instead_of_a_password(lab: Lab, what: str) -> None:
    sent = {"query": m.query("select 1"), "huge": b"p\x7f\xff\xff\xff" + b"x" * 1000,
            "negative": b"p\xff\xff\xff\xff", "startup": m.startup({"user": "app"})}[what]
    target = lab.target()
    with target.connect(login=False) as client:
        client.read()
        client.send(sent)
        answer = client.until_end()
        assert m.names(answer) in ("", "ErrorResponse"), answer
        if lab.kind == "forebay":
            assert answer and answer[0].sqlstate == "08P01", answer
    target.check_healthy()


@test(modes=("transaction",), tls=(True,), targets=POSTGRES_LIKE)
def channel_binding(lab: Lab) -> None:
    target = lab.target()
    with target.connect(gs2="p=tls-server-end-point,,") as client:
        assert client.value("select 1") == "1"
        assert b"SCRAM-SHA-256-PLUS" in client.login_messages[0].body
    # "I could bind, but you did not offer it": somebody took the offer away.
    assert refused(lambda: target.connect(gs2="y,,")).fields()["S"] == "FATAL"
    assert refused(lambda: target.connect(gs2="p=tls-unique,,")).fields()["S"] == "FATAL"

    class WrongBinding(Client):
        def _channel_binding(self) -> bytes:
            return b"\0" * 32
    assert refused(lambda: WrongBinding(
        target.address, user="app", database="app", password="app-secret", tls=target.tls(),
        gs2="p=tls-server-end-point,,")).fields()["S"] == "FATAL"
    target.check_healthy()


@test(modes=("transaction",), targets=POSTGRES_LIKE)
def passwords_in_unicode(lab: Lab) -> None:
    """SASLprep: the Roman numeral nine is IX, a soft hyphen is nothing; and what it forbids is
    taken as bytes."""
    for number, (stored, typed) in enumerate((("IX", "\u2168"), ("\u2168", "IX"),
                                              ("a\u00adb", "ab"), ("schl\u00fcssel", "schlu\u0308ssel"),
                                              ("x\u0007y", "x\u0007y"), ("\U0001F511", "\U0001F511"))):
        role = f"tmp{number}"
        lab.postgres.rows(f"create role {role} login password '{stored}'")
        target = lab.target(users={role: stored})
        done = run(["psql", "-XAtqc", "select 'in'"],
                   env=target.environment(role, PGPASSWORD=typed))
        assert done.out == "in\n", (stored, typed, done)


@test(modes=("transaction",), targets=POSTGRES_LIKE)
def names_of_users(lab: Lab) -> None:
    for number, role in enumerate(('tmp"quote', "tmp space", "tmpünï", "tmp" + "n" * 60, "tmp'x",
                                   "tmp\\b", "tmp=,x")):
        quoted = role.replace('"', '""')
        lab.postgres.rows(f"create role \"{quoted}\" login password 'secret-{number}'")
        target = lab.target(users={role: f"secret-{number}"})
        with target.connect(role, password=f"secret-{number}") as client:
            assert client.value("select current_user") == role


@test(entries=("serve", "run"), targets=POSTGRES_LIKE)
def names_that_are_too_long(lab: Lab) -> None:
    """They are cut as PostgreSQL does it."""
    role = "tmp" + "n" * 60
    lab.postgres.rows(f"create role \"{role}\" login password 'right'")
    target = lab.target(users={role: "right", "app": password_of("app")})
    for name in (role, role + "more"):
        with target.connect(name, password="right") as client:
            assert client.rows("select current_user, session_user") == [(role, role)]
        assert refused(lambda n=name: target.connect(n, password="")).sqlstate == "28P01"  # type: ignore
    error = refused(lambda: target.connect(database="d" * 70))
    assert (error.sqlstate, error.text) == ("3D000", f'database "{"d" * 63}" does not exist'), error


# run: the server decides.

RUN_USERS = ("app", "md5user", "trusted", "certuser")


@test(modes=MODES, tls=TLS, entries=("run",), targets=FOREBAY, params=RUN_USERS)
def server_lets_in(lab: Lab, user: str) -> None:
    target = lab.target(pool_size=2)
    for _ in range(5):
        works(target, user)
    # More clients than connections; in session mode each needs one to log in.
    count = 5 if lab.variant.mode == "transaction" else 2
    clients = [lab.keep(target.connect(user)) for _ in range(count)]
    for client in clients:
        assert client.value("select current_user") == user
        client.close()
    if user == "trusted":
        return
    refuses(target, user, "wrong")
    works(target, user)
    refuses(target, user, "wrong")          # also now that the pool has links of this user


@test(modes=("transaction",), tls=TLS, entries=("run", "serve"), targets=FOREBAY)
def password_changed_on_the_server(lab: Lab) -> None:
    """Nothing that the proxy remembers outlives the password."""
    lab.postgres.rows("create role tmp_changing login password 'one'")
    target = lab.target(auth="server", users={})
    with target.connect("tmp_changing", password="one") as client:
        client.run("select 1")
        lab.postgres.rows("alter role tmp_changing password 'two'")
        refuses(target, "tmp_changing", "one")
        with target.connect("tmp_changing", password="two") as other:
            assert other.value("select 1") == "1"
        assert client.value("select 1") == "1"


@test(modes=("transaction",), targets=FOREBAY)
def a_password_that_nobody_asked_for(lab: Lab) -> None:
    """It would come to the server behind the login, in the midst of what another client says."""
    connected = Event()

    def hesitates(server: FakeConnection) -> None:
        server.startup()
        connected.set()
        server.message()
    server = lab.keep(FakeServer(hesitates))
    target = lab.target(auth="server", users={}, databases={"app": Database([server.address])})
    with target.open() as connection:
        connection.send(m.startup({"user": "app", "database": "app"}))
        assert connected.wait(20)
        connection.send(m.password("x"))
        error = connection.read_until(b"E")[-1].fields()
        assert (error["C"], error["M"]) == ("08P01", "password response without a request"), error


@test(modes=("transaction",), targets=FOREBAY, params=("password", "scram"))
def a_server_that_does_not_wait_for_the_answer(lab: Lab, what: str) -> None:
    """What the client says to it comes when the login is over: nobody has asked for that."""
    def hurries(server: FakeConnection) -> None:
        server.startup()
        server.send((m.authentication(3) if what == "password" else
                     m.authentication(10, b"SCRAM-SHA-256\0\0")) + m.authentication(0))
        server.message()
    server = lab.keep(FakeServer(hurries))
    target = lab.target(auth="server", users={}, databases={"app": Database([server.address])},
                        options={"cleartext_without_tls": True})
    with target.open() as connection:
        connection.send(m.startup({"user": "app", "database": "app"}))
        connection.read_until(b"R")
        connection.send(m.password("x"))
        error = connection.read_until(b"E")[-1].fields()
        assert (error["C"], error["M"]) == ("08P01", "password response without a request"), error
    assert target.alive


REFUSALS = {
    "wrong_password": ("app", "app", "wrong"),
    "unknown_role": ("nobody", "app", "x"),
    "unknown_database": ("app", "nowhere", "app-secret"),
    "no_login_right": ("nologin", "app", "nologin-secret"),
    "expired_password": ("expired", "app", "expired-secret"),
    "rejected_by_hba": ("rejected", "app", "rejected-secret"),
    "wrong_md5_password": ("md5user", "app", "wrong"),
    "empty_password": ("app", "app", ""),
}


def essence(error: Message) -> dict[str, str]:
    """What a client program would see of an error; how the server was reached is not part of it."""
    fields = error.fields()
    return {key: re.sub(r", (no|SSL) encryption$", "", fields.get(key, "")) for key in "SVCMDH"}


@test(modes=MODES, entries=("run",), tls=TLS, targets=FOREBAY, params=REFUSALS)
def refusals_are_the_servers_own(lab: Lab, name: str) -> None:
    user, database, password = REFUSALS[name]
    direct, target = lab.direct(), lab.target()

    def attempt(where: Target) -> dict[str, str]:
        return essence(refused(lambda: where.connect(user, database, password=password)))
    assert attempt(target) == attempt(direct)
    target.check_healthy()
    assert attempt(target) == attempt(direct)


@test(modes=("transaction",), entries=("run",), targets=FOREBAY)
def too_many_connections_of_a_role(lab: Lab) -> None:
    """53300 from the server at login, in its own words."""
    direct, target = lab.direct(), lab.target(pool_size=5)
    with direct.connect("limited"):
        expected = essence(refused(lambda: direct.connect("limited")))
        assert essence(refused(lambda: target.connect("limited"))) == expected
    wait_until(lambda: not lab.postgres.sessions("app"), "the direct session is gone")
    works(target, "limited")


@test(modes=("transaction",), entries=("run",), targets=FOREBAY)
def start_up_lines_say_what_is_trusted(lab: Lab) -> None:
    target = lab.target()
    wait_until(lambda: "127.0.0.1" in target.log, "the start-up lines")
    assert password_of("app") not in target.log
    works(target)
    refuses(target, "app", "a-wrong-password")
    assert password_of("app") not in target.log and "a-wrong-password" not in target.log


REFUSED_ROLES = {"28000": "nologin", "53300": "connection limit 0"}


@test(modes=MODES, entries=("run",), targets=FOREBAY, params=REFUSED_ROLES)
def refused_behind_trust(lab: Lab, name: str) -> None:
    """A server that asks for nothing, and then refuses the role, says so at each login."""
    server = lab.private_postgres()
    direct, target = lab.direct(server), lab.target(server, auth="server")
    server.rows(f"alter role trusted {REFUSED_ROLES[name]}")
    expected = essence(refused(lambda: direct.connect("trusted")))
    assert expected["C"] == name
    for _ in range(3):
        assert essence(refused(lambda: target.connect("trusted"))) == expected
    server.rows("alter role trusted login connection limit -1")
    works(target, "trusted")


@test(entries=("run",), targets=FOREBAY)
def trust_of_a_server_is_believed_for_a_while(lab: Lab) -> None:
    """A login that shows nothing costs no server connection each time."""
    server = lab.private_postgres()
    target = lab.target(server, auth="server")
    with target.connect("trusted") as client:
        client.run("select 1")
        server.rows("alter role trusted nologin")
        with target.connect("trusted") as other:
            assert other.value("select 1") == "1"
    assert refused(lambda: lab.direct(server).connect("trusted")).sqlstate == "28000"
