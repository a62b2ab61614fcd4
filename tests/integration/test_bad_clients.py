"""Clients that say what they should not, before the login and after it. Each gets a clear error or
a clean close; the target goes on serving others."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Callable, Optional, Union

from lab import messages as m
from lab.declare import ANY, FOREBAY, MODES, POOLERS, POSTGRES_LIKE, test
from lab.lab import Lab
from lab.messages import Message
from lab.process import LabError
from lab.target import Target
from lab.wire import Client, Connection, Ended


def length_and(code_or_length: int, rest: bytes = b"") -> bytes:
    return struct.pack("!i", code_or_length) + rest


@dataclass
class Bad:
    """What is sent, and with which SQLSTATE the proxy refuses it: None where silence is right too,
    because the stream ended or could not be read at all."""
    sent: Union[bytes, Callable[[], bytes]]
    sqlstate: Optional[str] = "08P01"
    finish: bool = False                    # the client says no more: FIN
    targets: tuple[str, ...] = ANY


LOGIN = m.startup({"user": "app", "database": "app"})

AT_STARTUP = {
    "text": Bad(b"hello, is this the database?\n"),
    "http": Bad(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "zeroes": Bad(b"\0" * 64),
    "ones": Bad(b"\xff" * 64),
    "ssh": Bad(b"SSH-2.0-OpenSSH_9.2p1\r\n"),
    "length_zero": Bad(length_and(0, b"\0\3\0\0")),
    "length_four": Bad(length_and(4, b"\0\3\0\0")),
    "length_seven": Bad(length_and(7, b"\0\3\0\0")),
    "length_negative": Bad(length_and(-1, b"\0\3\0\0")),
    "length_most_negative": Bad(length_and(-2**31, b"\0\3\0\0")),
    "length_largest": Bad(length_and(2**31 - 1, b"\0\3\0\0")),
    "length_10001": Bad(length_and(10001, b"\0\3\0\0" + b"x" * 9993)),
    "protocol_1": Bad(m.startup({"user": "app"}, 1 << 16), "0A000", targets=POOLERS),
    "protocol_2": Bad(m.startup({"user": "app"}, 2 << 16), "0A000", targets=POOLERS),
    "protocol_4": Bad(m.startup({"user": "app"}, 4 << 16), "0A000"),
    "unknown_request": Bad(length_and(8) + struct.pack("!I", 80877199), None),
    "nothing": Bad(b"", None, finish=True),
    "half_a_length": Bad(b"\0\0", None, finish=True),
    "half_a_packet": Bad(LOGIN[:20], None, finish=True),
    "no_user": Bad(m.startup({"database": "app"}), "28000"),
    "no_terminator": Bad(length_and(8 + 9) + b"\0\3\0\0" + b"user\0app\0",
                         targets=POSTGRES_LIKE),
    "name_without_value": Bad(length_and(8 + 6) + b"\0\3\0\0" + b"user\0\0"),
    "value_not_ended": Bad(length_and(8 + 8) + b"\0\3\0\0" + b"user\0app"),
    "bytes_after_terminator": Bad(length_and(8 + 14) + b"\0\3\0\0" + b"user\0app\0\0more",
                                  targets=POSTGRES_LIKE),
    "ssl_request_twice": Bad(m.ssl_request() + m.ssl_request(), None, finish=True),
    "gssenc_request_twice": Bad(m.gssenc_request() + m.gssenc_request(), None, finish=True),
    "ssl_request_too_long": Bad(length_and(9) + struct.pack("!I", m.SSL_REQUEST) + b"x", None,
                                finish=True),
    "cancel_without_key": Bad(length_and(12) + struct.pack("!II", m.CANCEL_REQUEST, 1), None),
    "cancel_with_unknown_key": Bad(m.cancel_request(1, b"\1\2\3\4"), None),
    "cancel_with_a_key_of_3": Bad(m.cancel_request(1, b"\1\2\3"), None),
    "cancel_with_a_key_of_257": Bad(m.cancel_request(1, b"k" * 257), None),
    "cancel_with_a_long_key": Bad(m.cancel_request(2**32 - 1, b"k" * 256), None),
}


def errors_only(data: bytes) -> list[Message]:
    """What a refused client was sent: nothing, or well-formed ErrorResponses."""
    while data[:1] in (b"N", b"S", b"G") and data[1:2] != b"\0":
        data = data[1:]                     # the answer to a request for encryption
    result = []
    while data:
        if len(data) < 5:
            raise LabError(f"half a message: {data!r}")
        size, = struct.unpack_from("!I", data, 1)
        result.append(Message(data[:1], data[5:1 + size]))
        data = data[1 + size:]
    return result


def check_refusal(kind: str, answer: list[Message], sqlstate: Optional[str]) -> None:
    errors = m.only(answer, b"E")
    if len(errors) > 1:
        raise LabError(f"{len(errors)} errors instead of one: {answer}")
    for error in errors:
        fields = error.fields()
        if not all(fields.get(key) for key in "SCM"):
            raise LabError(f"an error without severity, SQLSTATE or message: {fields}")
    if kind == "forebay" and sqlstate is not None:
        if not errors:
            raise LabError(f"closed without a word; {sqlstate} was expected")
        fields = errors[0].fields()
        if fields["C"] != sqlstate or fields["S"] != "FATAL":
            raise LabError(f"FATAL {sqlstate} was expected, not {fields}")


@test(params=AT_STARTUP)
def at_startup(lab: Lab, name: str) -> None:
    case = AT_STARTUP[name]
    target = lab.target()
    with target.open(within=20) as connection:
        connection.send(case.sent if isinstance(case.sent, bytes) else case.sent())
        if case.finish:
            connection.half_close()
        answer = errors_only(connection.raw_until_end())
    assert all(message.type == b"E" for message in answer), answer
    check_refusal(lab.kind, answer, case.sqlstate)
    target.check_healthy()


# After the login.

AFTER_LOGIN = {
    "length_zero": Bad(b"Q" + length_and(0)),
    "length_three": Bad(b"Q" + length_and(3)),
    "length_negative": Bad(b"Q" + length_and(-1, b"select 1\0")),
    "length_most_negative": Bad(b"Q" + length_and(-2**31)),
    "length_largest": Bad(b"Q" + length_and(2**31 - 1, b"select 1\0")),
    "length_over_a_gibibyte": Bad(b"Q" + length_and(2**30 + 5, b"select 1\0")),
    "parse_of_negative_length": Bad(b"P" + length_and(-5, b"\0select 1\0\0\0")),
    "bind_over_a_gibibyte": Bad(b"B" + length_and(2**30 + 5)),
    "long_sync": Bad(b"S" + length_and(100000, b"x" * 99996)),
    "long_execute": Bad(b"E" + length_and(100000, b"x" * 99996)),
    "long_describe": Bad(b"D" + length_and(100000, b"Sx" * 49998)),
    "type_zero": Bad(b"\0" + length_and(4), targets=POSTGRES_LIKE),
    "password_after_login": Bad(m.password("app-secret")),
    "startup_again": Bad(LOGIN),
    "server_message": Bad(m.row_description("x")),
    "http": Bad(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    "binary": Bad(bytes(range(128, 256))),
    "half_a_header": Bad(b"Q\0\0", None, finish=True),
    "half_a_query": Bad(m.query("select 1")[:-4], None, finish=True),
    "half_a_parse": Bad(m.parse("", "select 1")[:-3], None, finish=True),
}


def server_sessions(lab: Lab) -> int:
    return len(lab.postgres.sessions("app"))


@test(modes=("transaction", "session"), params=AFTER_LOGIN)
def after_login(lab: Lab, name: str) -> None:
    case = AFTER_LOGIN[name]
    target = lab.target()
    with target.connect() as client:
        client.run("select 1")
        assert isinstance(case.sent, bytes)
        client.send(case.sent)
        if case.finish:
            client.half_close()
        answer = errors_only(client.raw_until_end())
    # PostgreSQL answers a Sync or two before it sees what is wrong.
    check_refusal(lab.kind, answer, case.sqlstate)
    target.check_healthy()


@test(modes=("transaction",), within=120)
def every_unknown_type(lab: Lab) -> None:
    target = lab.target()
    known = set(b"BCdcfDEHFPpQSX")
    for type_ in range(256):
        if type_ in known:
            continue
        with target.connect() as client:
            try:
                client.send(m.message(bytes([type_]), b"body"))
                if lab.kind == "pgbouncer" and type_ == 0:
                    continue                # it waits for more
                answer = errors_only(client.raw_until_end())
            except OSError:
                continue
            check_refusal(lab.kind, answer, "08P01")
    target.check_healthy()


@test(modes=("transaction",), params=("in_a_transaction", "in_a_batch", "in_copy"))
def unknown_type_in_the_middle(lab: Lab, where: str) -> None:
    """What was begun is rolled back on the server; the next client finds nothing of it."""
    target = lab.target(pool_size=1)
    with target.connect() as client:
        client.run("create table marks (n int)")
        if where == "in_a_transaction":
            client.run("begin; insert into marks values (1)")
        elif where == "in_a_batch":
            client.send(m.parse("", "insert into marks values (1)"), m.bind("", ""), m.execute(""),
                        m.flush())
            client.read_until(b"C")
        else:
            client.send(m.query("copy marks from stdin"))
            client.read_until(b"G")
            client.send(m.copy_data(b"1\n"))
        client.send(b"\x01\0\0\0\x04")
        client.raw_until_end()
    with target.connect() as client:
        assert client.value("select count(*) from marks") == "0"


EXCHANGE = (m.query("select 1") + m.parse("s", "select $1::text") + m.describe_statement("s")
            + m.bind("p", "s", ["value"]) + m.execute("p") + m.close_portal("p")
            + m.close_statement("s") + m.sync() + m.query("begin; insert into marks values (1)")
            + m.query("copy marks from stdin") + m.copy_data(b"1\n2\n") + m.copy_done()
            + m.query("commit"))


@test(modes=("transaction", "session"), targets=(*POSTGRES_LIKE, "pgbouncer/transaction"),
      within=180)
def cut_off_anywhere(lab: Lab) -> None:
    """The client vanishes after every possible byte, by FIN and by RST in turn."""
    target = lab.target(pool_size=3)
    with target.connect() as client:
        client.run("create table marks (n int)")
    for size in range(len(EXCHANGE)):
        client = target.connect()
        client.send(EXCHANGE[:size])
        if size % 2:
            client.reset()
        else:
            client.close()
    target.check_healthy()
    with target.connect() as client:
        assert client.value("select count(*) from marks") == "0"
    if target.child is not None:
        assert server_sessions(lab) <= 3


@test(modes=("transaction",), within=120)
def cut_off_during_login(lab: Lab) -> None:
    target = lab.target()
    for size in range(len(LOGIN)):
        connection = target.open()
        connection.send(LOGIN[:size])
        if size % 2:
            connection.reset()
        else:
            connection.close()
    target.check_healthy()


@test(modes=("transaction",), tls=(False, True), targets=POSTGRES_LIKE)
def login_in_single_bytes(lab: Lab) -> None:
    target = lab.target()
    with Trickle(target.address) as connection:
        context = target.tls()
        if context is not None:
            connection.start_tls(context)
        client = log_in_slowly(connection)
        answer = client.messages(m.parse("", "select $1::text"), m.bind("", "", ["x"]),
                                 m.describe_portal(""), m.execute(""), m.sync(), m.query("select 1"),
                                 readies=2)
        assert m.names(answer) == (
            "ParseComplete BindComplete RowDescription DataRow CommandComplete ReadyForQuery "
            "RowDescription DataRow CommandComplete ReadyForQuery")


class Trickle(Client):
    """Sends every byte by itself."""

    def __init__(self, address: object) -> None:        # pylint: disable=super-init-not-called
        Connection.__init__(self, address)              # type: ignore[arg-type]
        self.user, self.password, self.gs2 = "app", "app-secret", "n,,"
        self.login_messages, self.parameters = [], {}

    def send(self, *pieces: bytes) -> None:
        for byte in b"".join(pieces):
            self.socket.sendall(bytes([byte]))


def log_in_slowly(client: Trickle) -> Trickle:
    client.send(m.startup({"user": "app", "database": "app"}))
    client.log_in()
    return client


@test(modes=("transaction",), targets=POSTGRES_LIKE)
def everything_in_one_segment(lab: Lab) -> None:
    """Query, batches and Terminate in one write: everything is answered, then closed."""
    target = lab.target()
    with target.connect() as client:
        client.send(m.query("select 1") * 50, m.parse("", "select 2"), m.bind("", ""),
                    m.execute(""), m.sync(), m.terminate())
        answer = client.until_end()
        assert answer.count(Message(b"Z", b"I")) == 51, f"got only: {m.names(answer)}"


@test(modes=("transaction",), targets=("pgbouncer", "forebay"), within=60)
def slow_loris(lab: Lab) -> None:
    """Clients that never finish their login are ended, and are in nobody's way until then."""
    target = lab.target(options={"client_login_timeout": "2s"})
    slow = [target.open(within=30) for _ in range(200)]
    for number, connection in enumerate(slow):
        connection.send(LOGIN[:number % 20])
    half = target.open(within=30)
    half.send(LOGIN)                        # waits with its password
    half.read()
    target.check_healthy()
    for connection in slow:
        if lab.kind == "pgbouncer":
            connection.close()
            continue
        check_refusal(lab.kind, errors_only(connection.raw_until_end()), None)
        connection.close()
    half.raw_until_end()
    half.close()
    target.check_healthy()


@test(modes=("transaction",), targets=POSTGRES_LIKE)
def unread_errors(lab: Lab) -> None:
    """A client that sends nonsense, never reads and stays."""
    target = lab.target()
    stay = []
    for _ in range(20):
        client = target.connect()
        client.send(m.query("select 1") * 2000)
        try:
            client.send(b"\xff" * 100)
        except (OSError, Ended):
            pass
        stay.append(client)
    target.check_healthy()
    for client in stay:
        client.close()


@test(targets=FOREBAY, params=("", "error"))
def statements_that_execute_each_other(lab: Lab, rule: str) -> None:
    """A chain as long as a client likes, and one that bites its own tail."""
    options = {"on_session_state": rule} if rule else {}
    target = lab.target(pool_size=1, options=options)
    with target.connect(within=60) as client:
        client.messages(m.parse("tail", "execute tail"), m.sync())
        answer = client.messages(m.bind("", "tail"), m.execute(""), m.sync())
        assert m.only(answer, b"E"), answer
        for name, other in (("one", "two"), ("two", "one"), ("one", "two")) * 10:
            client.messages(m.parse(name, f"execute {other}"), m.sync())
            answer = client.messages(m.bind("", name), m.execute(""), m.sync())
            assert m.only(answer, b"E"), answer
            client.messages(m.query(f"execute {name}"))
        client.messages(m.parse("p0", "select 1"), m.sync())
        for first in range(1, 100_000, 1000):
            client.messages(*[m.parse(f"p{n}", f"execute p{n - 1}")
                              for n in range(first, first + 1000)], m.sync())
        client.messages(m.bind("", "p100000"), m.execute(""), m.sync())
        client.messages(m.query("execute p100000"))
        client.messages(m.query("begin; execute p100000; commit"))
        client.run("rollback")
        assert client.value("select 1") == "1"
    with target.connect() as other:
        assert other.value("select 1") == "1"


@test(modes=MODES, targets=FOREBAY, params={
    "begin": (m.query("begin; select pg_sleep(0.1)"), m.execute(""), m.query("select 1")),
    "plain": (m.query("select pg_sleep(0.1)"), m.execute(""), m.query("select 1")),
    "set": (m.query("set work_mem = '1MB'; select pg_sleep(0.1)"), m.execute(""),
            m.query("select 1"))})
def leaves_without_the_sync_of_a_failed_batch(lab: Lab, which: str) -> None:
    """The server skips whatever comes, our own questions, too, until somebody sends a Sync."""
    payload = leaves_without_the_sync_of_a_failed_batch.declaration.params[which]   # type: ignore
    target = lab.target(pool_size=1)
    for _ in range(3):
        client = target.connect()
        client.send(b"".join(payload))
        client.close()
        with target.connect() as other:
            assert other.value("show work_mem") == "4MB"


@test(targets=FOREBAY)
def resets_of_many_parameters(lab: Lab) -> None:
    """Each RESET ALL takes back all that the session began with: a short text may not become a
    very long one."""
    target = lab.target(pool_size=1)
    began = {f"a.b{n}": "x" for n in range(800)}
    with target.connect(**began) as client:
        assert len(m.only(client.messages(m.query("reset all; " * 1000)), b"C")) == 1000
        assert client.value("select 1") == "1"
    with target.connect() as other:
        assert other.value("select 1") == "1"


# Messages that are to have no body.

def with_body(type_: bytes, body: bytes = b"x") -> bytes:
    return m.message(type_, body)


BATCH = m.parse("", "select 1") + m.bind("", "") + m.execute("")
BODIES = {
    "sync": (with_body(b"S"), "EZ"),
    "sync_behind_a_batch": (BATCH + with_body(b"S"), "12DCEZ"),
    "sync_in_a_transaction": (m.query("begin") + BATCH + with_body(b"S") + m.query("rollback"),
                              "CZ12DCEZCZ"),
    "sync_behind_an_error": (m.parse("", "selec") + with_body(b"S"), "EEZ"),
    "flush": (with_body(b"H") + m.flush() + m.sync(), "EZ"),
    "flush_behind_a_batch": (BATCH + with_body(b"H") + BATCH + m.sync(), "12DCEZ"),
    "flush_behind_an_error": (m.parse("", "selec") + with_body(b"H") + m.sync(), "EZ"),
}


@test(modes=MODES, targets=POSTGRES_LIKE, params=list(BODIES))
def bodies_where_there_are_none(lab: Lab, what: str) -> None:
    """An error at its place, and the connection goes on."""
    said, expected = BODIES[what]
    with lab.target(pool_size=1).connect() as client:
        for _ in range(2):
            client.send(said)
            answer = client.until_ready(expected.count("Z"))
            assert b"".join(message.type for message in answer).decode() == expected, answer
            for error in m.only(answer, b"E"):
                assert error.sqlstate in ("08P01", "42601"), error
            assert client.value("select 'next'") == "next"
        # What the Sync would have committed is not.
        client.run("create table none (n int)")
        client.send(m.parse("", "insert into none values (1)"), m.bind("", ""), m.execute(""),
                    with_body(b"S"))
        client.until_ready()
        assert client.value("select count(*) from none") == "0"
        client.run("drop table none")
