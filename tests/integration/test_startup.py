"""How a connection begins: requests for encryption, TLS in all its ways, protocol versions."""

from __future__ import annotations

import ssl
import struct

from lab import messages as m
from lab.declare import ENTRIES, FOREBAY, MODES, POSTGRES_LIKE, TLS, test
from lab.lab import Lab
from lab.process import LabError, wait_until
from lab.target import Target
from lab.wire import Client, Connection, Ended, ServerError, refused, tls_context


def startup_packet(version: int = m.PROTOCOL_3_0, **more: str) -> bytes:
    return m.startup({"user": "app", "database": "app", **more}, version)


class Slow(Client):
    """A client whose connection was opened and prepared by the test."""

    def __init__(self, connection: Connection) -> None:     # pylint: disable=super-init-not-called
        self.__dict__.update(connection.__dict__)
        self.user, self.password, self.gs2 = "app", "app-secret", "n,,"
        self.login_messages, self.parameters = [], {}
        self.process_id, self.key = 0, b""


def log_in(connection: Connection, version: int = m.PROTOCOL_3_0, **more: str) -> Slow:
    client = Slow(connection)
    client.send(startup_packet(version, **more))
    client.log_in()
    return client


# Requests for encryption.

@test(targets=FOREBAY)
def ssl_request_without_tls(lab: Lab) -> None:
    """N, and the connection goes on in clear."""
    with lab.target().open() as connection:
        connection.send(m.ssl_request())
        assert connection.read_exactly(1) == b"N"
        assert log_in(connection).value("select 1") == "1"


@test(targets=("pgbouncer", "forebay"))
def gssenc_request_then_ssl_request(lab: Lab) -> None:
    """libpq asks for GSS encryption first when it has a ticket: N, then SSLRequest, then clear."""
    with lab.target().open() as connection:
        connection.send(m.gssenc_request())
        assert connection.read_exactly(1) == b"N"
        connection.send(m.ssl_request())
        assert connection.read_exactly(1) == b"N"
        assert log_in(connection).value("select 1") == "1"


@test(tls=(True,))
def gssenc_request_then_tls(lab: Lab) -> None:
    target = lab.target()
    with target.open() as connection:
        connection.send(m.gssenc_request())
        answer = connection.read_exactly(1)
        if answer == b"G":
            return                          # PostgreSQL was built with it; nothing to negotiate
        connection.start_tls(target.tls())
        assert log_in(connection).value("select 1") == "1"


@test(tls=(True,), params=("startup", "byte", "query"))
def plaintext_stuffed_before_the_handshake(lab: Lab, what: str) -> None:
    """CVE-2021-3935 and its relatives: what came in clear must not be taken for protected."""
    stuffing = {"startup": startup_packet(), "byte": b"x", "query": m.query("select 1")}[what]
    target = lab.target()
    with target.open(within=20) as connection:
        connection.send(m.ssl_request(), stuffing)
        try:
            if connection.read_exactly(1) == b"S":
                connection.start_tls(target.tls(), direct=True)
                log_in(connection)
                raise LabError("was let in")
        except (Ended, ServerError, OSError):
            pass
    target.check_healthy()


@test(tls=(True,), targets=FOREBAY)
def clear_text_where_tls_is_required(lab: Lab) -> None:
    target = lab.target()
    error = refused(lambda: target.connect(tls=None))
    assert error.fields()["S"] == "FATAL", error
    target.check_healthy()


@test(tls=(True,), targets=FOREBAY, params=("prefer", "allow"))
def clear_text_where_tls_is_offered(lab: Lab, mode: str) -> None:
    target = lab.target(client_tls={"mode": mode})
    with target.connect(tls=None) as client:
        assert client.value("select 1") == "1"
    target.check_healthy()


@test(tls=(True,))
def tls_versions(lab: Lab) -> None:
    target = lab.target()
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context = tls_context(lab.certificates.ca)
        context.minimum_version = context.maximum_version = version
        with target.connect(tls=context) as client:
            assert client.value("select 1") == "1"
            assert client.socket.version() == version.name.replace("_", ".")    # type: ignore
    old = tls_context()
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    try:
        with target.connect(tls=old):
            raise LabError("TLS 1.1 was accepted")
    except (OSError, Ended):
        pass
    target.check_healthy()


@test(tls=(True,), within=90)
def garbage_instead_of_a_handshake(lab: Lab) -> None:
    target = lab.target()
    for garbage in (b"\0" * 300, b"x" * 300, b"\x16\x03\x01\x40\0" + b"\xff" * 300,
                    startup_packet(), b"\x16\x03\x01\0\x05\x01\0\0\x01\0"):
        with target.open() as connection:
            connection.send(m.ssl_request())
            assert connection.read_exactly(1) == b"S"
            try:
                connection.send(garbage)
                connection.half_close()
                connection.raw_until_end()
            except OSError:
                pass
    target.check_healthy()


@test(tls=(True,))
def tls_cut_off(lab: Lab) -> None:
    """A handshake that stops, and an end without close_notify, are ends like others."""
    target = lab.target()
    for turn in range(6):
        connection = target.open()
        connection.send(m.ssl_request())
        connection.read_exactly(1)
        if turn % 3 == 0:
            connection.send(b"\x16\x03\x01\x00\xc8\x01")
        elif turn % 3 == 1:
            connection.start_tls(target.tls(), direct=True)
            connection.send(startup_packet())
        else:
            connection.start_tls(target.tls(), direct=True)
            connection.send(b"\0\0")
        if turn % 2:
            connection.reset()
        else:
            connection.close()
    target.check_healthy()


# Direct TLS (PostgreSQL 17).

@test(tls=(True,), targets=FOREBAY)
def direct_tls(lab: Lab) -> None:
    target = lab.target()
    with target.open() as connection:
        context = tls_context(lab.certificates.ca, alpn=["postgresql"])
        connection.start_tls(context, direct=True)
        assert connection.socket.selected_alpn_protocol() == "postgresql"   # type: ignore
        assert log_in(connection).value("select 1") == "1"


@test(tls=(True,), targets=FOREBAY, params=("none", "http"))
def direct_tls_without_alpn(lab: Lab, alpn: str) -> None:
    """A browser, or a cross-protocol attack: refused."""
    target = lab.target()
    context = tls_context(lab.certificates.ca, alpn=[] if alpn == "none" else ["http/1.1"])
    with target.open() as connection:
        try:
            connection.start_tls(context, direct=True)
            log_in(connection)
            raise LabError("was let in")
        except (OSError, Ended, ServerError):
            pass
    target.check_healthy()


@test(tls=(True,), targets=FOREBAY)
def alpn_after_an_ssl_request(lab: Lab) -> None:
    """libpq 17 offers ALPN there too; nobody needs it, and it must not disturb."""
    target = lab.target()
    for protocols in ([], ["postgresql"]):
        with target.connect(tls=tls_context(lab.certificates.ca, alpn=protocols)) as client:
            assert client.value("select 1") == "1"


@test(targets=FOREBAY)
def direct_tls_where_there_is_none(lab: Lab) -> None:
    target = lab.target()
    with target.open() as connection:
        try:
            connection.start_tls(tls_context(alpn=["postgresql"]), direct=True)
            raise LabError("a handshake without a certificate")
        except (OSError, Ended):
            pass
    target.check_healthy()


@test(tls=(True,), targets=FOREBAY)
def direct_tls_in_small_pieces(lab: Lab) -> None:
    """The first byte says what it is, even when it comes alone."""
    target = lab.target()
    with target.open() as connection:
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = tls_context(lab.certificates.ca, alpn=["postgresql"]).wrap_bio(
            incoming, outgoing, server_hostname="localhost")
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                for byte in outgoing.read():
                    connection.socket.sendall(bytes([byte]))
                incoming.write(connection.socket.recv(65536))
        connection.socket.sendall(outgoing.read())
        tls.write(startup_packet())
        connection.socket.sendall(outgoing.read())
        incoming.write(connection.socket.recv(65536))
        while True:
            try:
                assert tls.read(1) == b"R"
                break
            except ssl.SSLWantReadError:
                incoming.write(connection.socket.recv(65536))


# Protocol versions.

def negotiation(client: Client) -> tuple[int, list[str]]:
    """The version and the options of the one NegotiateProtocolVersion, which came first."""
    told = m.only(client.login_messages, b"v")
    if len(told) != 1:
        raise LabError(f"NegotiateProtocolVersion came {len(told)} times")
    if client.login_messages[0].type != b"v":
        raise LabError(f"it was not the first message: {m.names(client.login_messages)}")
    version, count = struct.unpack_from("!II", told[0].body)
    names = [name.decode() for name in told[0].body[8:].split(b"\0")[:-1]]
    if len(names) != count:
        raise LabError(f"{count} options were announced, {len(names)} came")
    return version, names


def newest(lab: Lab) -> int:
    return m.PROTOCOL_3_0 if lab.kind == "direct" else m.PROTOCOL_3_2


@test(tls=TLS, entries=ENTRIES, targets=POSTGRES_LIKE)
def protocol_newer_than_ours(lab: Lab) -> None:
    """What libpq 19 beta does on purpose: 3.9999 and an option that nobody knows."""
    target = lab.target()
    with target.connect(version=(3 << 16) + 9999,
                        **{"_pq_.test_protocol_negotiation": ""}) as client:
        assert negotiation(client) == (newest(lab), ["_pq_.test_protocol_negotiation"])
        assert client.value("select 1") == "1"


@test(entries=ENTRIES, targets=POSTGRES_LIKE)
def protocol_3_99(lab: Lab) -> None:
    with lab.target().connect(version=(3 << 16) + 99) as client:
        assert negotiation(client) == (newest(lab), [])
        assert client.value("select 1") == "1"


@test(targets=FOREBAY)
def protocol_3_1_does_not_exist(lab: Lab) -> None:
    """3.1 was never released; a client that says it gets an answer that it can use."""
    with lab.target().connect(version=(3 << 16) + 1) as client:
        assert client.value("select 1") == "1"


@test(entries=ENTRIES, targets=POSTGRES_LIKE)
def unknown_protocol_options(lab: Lab) -> None:
    """Named in the answer, in the order sent; ordinary parameters beside them count."""
    with lab.target().connect(**{"_pq_.first": "1", "application_name": "negotiator",
                                 "_pq_.second": "x"}) as client:
        version, names = negotiation(client)
        assert names == ["_pq_.first", "_pq_.second"], names
        assert version in (m.PROTOCOL_3_0, newest(lab)), version
        assert client.value("show application_name") == "negotiator"


@test(entries=ENTRIES, targets=POSTGRES_LIKE)
def parameters_sent_twice(lab: Lab) -> None:
    """The last value counts: asyncpg sends an encoding of its own, then the application's. So it
    does for who it is: before anybody looks, so that nobody can be two users."""
    with lab.target().open() as connection:
        client = Slow(connection)
        client.send(m.startup([("client_encoding", "utf-8"), ("user", "nobody"), ("user", "app"),
                               ("database", "app"), ("client_encoding", "latin1")]))
        client.log_in()
        assert client.parameters["client_encoding"] == "LATIN1", client.parameters
        for _ in range(2):
            assert client.value("show client_encoding") == "LATIN1"
            client.run("reset client_encoding")


@test(entries=ENTRIES, targets=POSTGRES_LIKE)
def no_negotiation_without_need(lab: Lab) -> None:
    with lab.target().connect() as client:
        assert not m.only(client.login_messages, b"v")
        assert len(client.key) == 4, client.key


@test(modes=("transaction", "session"), tls=TLS, entries=ENTRIES, targets=FOREBAY)
def protocol_3_2(lab: Lab) -> None:
    """Agreed on without a word, with a longer cancel key, which works."""
    target = lab.target()
    with target.connect(version=m.PROTOCOL_3_2) as client:
        assert not m.only(client.login_messages, b"v")
        assert 4 <= len(client.key) <= 256, client.key
        client.send(m.query("select pg_sleep(601)"))
        wait_for_sleep(lab, "select pg_sleep(601)")
        client.cancel(tls=target.tls())
        answer = client.until_ready()
        assert m.only(answer, b"E")[0].sqlstate == "57014", answer
        assert client.value("select 1") == "1"


@test(targets=FOREBAY)
def cancel_key_must_be_whole(lab: Lab) -> None:
    """A part of the key, or the key and more, is another key."""
    target = lab.target()
    with target.connect(version=m.PROTOCOL_3_2) as client:
        client.send(m.query("select pg_sleep(602)"))
        wait_for_sleep(lab, "select pg_sleep(602)")
        for key in (client.key[:-1], client.key + b"x", client.key[:4],
                    bytes([client.key[0] ^ 1]) + client.key[1:]):
            with target.open() as other:
                other.send(m.cancel_request(client.process_id, key))
                assert other.raw_until_end() == b""
        assert client.quiet
        client.cancel()
        assert m.only(client.until_ready(), b"E")[0].sqlstate == "57014"


@test(modes=("transaction", "session"), targets=POSTGRES_LIKE)
def process_id_is_positive(lab: Lab) -> None:
    """libpq shows it as an int. No two clients have the same."""
    target = lab.target(pool_size=10)
    clients = [lab.keep(target.connect()) for _ in range(10)]
    assert all(0 < client.process_id < 2**31 for client in clients)
    assert len({(client.process_id, client.key) for client in clients}) == 10


def wait_for_sleep(lab: Lab, sql: str) -> None:
    wait_until(lambda: lab.postgres.rows("select 1 from pg_stat_activity where query = "
                                         f"'{sql}' and state = 'active'"), f"{sql} runs")


# What a session begins with.

SWITCHES = ("-e", "-e -S 77", "-eS77", "-S x", "-S", "-f si -fh", "-f xx", "-s", "-t pl", "-t xx",
            "-d 3", "-O", "-F", "-B 100", "-i", "-l", "-N 5", "-p 5", "-E -T -n -j -b",
            "-v 3 -r x -D /x -C y", "-a", "-o x", "foo", "-e foo", "-", "--", "-- -e", "-ework",
            "-cwork_mem=3MB", "--work-mem=3MB", "--work_mem", "-c work_mem", "-c")
SHOWN = ("work_mem", "datestyle", "enable_seqscan", "enable_hashjoin", "log_statement_stats",
         "log_planner_stats", "log_min_messages", "log_statement", "allow_system_table_mods")
ROLES = ("actor", "boss", "other", "nosuch", "none")


def begun(target: Target, user: str, **startup: str) -> object:
    """What a client is told at its login, and what holds then; an error's words."""
    try:
        with target.connect(user, **startup) as client:
            told = {name: client.parameters[name]
                    for name in ("is_superuser", "session_authorization", "DateStyle")}
            shown = [client.value(f"show {name}") for name in (*SHOWN, "role")]
            return told, shown, client.value("select current_user")
    except ServerError as error:
        return {field: error.error.fields().get(field) for field in "SCMH"}


def both(lab: Lab) -> tuple[Target, Target]:
    users = {"postgres": "postgres-secret", "app": "app-secret"}
    return lab.direct(users=users), lab.target(users=users, pool_size=2)


@test(modes=MODES, targets=FOREBAY)
def switches_in_options(lab: Lab) -> None:
    """`options` may have the switches of a server process, as getopt reads them."""
    direct, target = both(lab)
    for user in ("app", "postgres"):
        for options in SWITCHES:
            expected, found = (begun(where, user, options=options) for where in (direct, target))
            assert found == expected, (user, options, found, expected)


@test(modes=MODES, targets=FOREBAY)
def roles_to_begin_with(lab: Lab) -> None:
    """`role` as a start-up parameter, and what it makes of is_superuser."""
    lab.postgres.rows("drop role if exists actor, boss; create role actor; "
                      "create role boss superuser; grant actor, boss to app", "app")
    direct, target = both(lab)
    for user in ("app", "postgres"):
        for role in ROLES:
            for startup in ({"role": role}, {"options": f"-c role={role}"}):
                for _ in range(2):      # the second time it is known what the server says
                    expected, found = (begun(where, user, **startup) for where in (direct, target))
                    assert found == expected, (user, startup, found, expected)
                # Nor is anybody the role of whoever was there before.
                assert begun(target, user) == begun(direct, user), (user, startup)
