"""Servers that speak nonsense, at login and in a query: the client gets a clear error or a clean
close, nothing leaks to another client, and another database on the same proxy goes on."""

from __future__ import annotations

import struct
import time
from threading import Semaphore
from typing import Callable

from lab import messages as m
from lab.declare import FOREBAY, MODES, POOLERS, test
from lab.fake_server import FakeConnection, FakeServer, Gone, echo, row
from lab.lab import Lab
from lab.process import LabError, wait_until
from lab.scram import ScramServer, encode
from lab.target import Database, Target
from lab.wire import Client, Ended, ServerError

QUICK = {"server_connect_timeout": "2s", "server_unavailable_timeout": "1s",
         "query_wait_timeout": "15s", "server_login_retry": "1s"}


class Nonsense:
    """A proxy with two databases: "broken" on the scripted server, "app" on the real one."""

    def __init__(self, lab: Lab, script: Callable[[FakeConnection], None], *, pool_size: int = 1,
                 **fake: int) -> None:
        self.server = FakeServer(script, **fake)
        lab.keep(self.server)
        self.target = lab.target(
            pool_size=pool_size, options=dict(QUICK),
            databases={"broken": Database([self.server.address],
                                          options={"follow_functions": False}),
                       "app": Database()})

    def attempt(self, sql: str = "select 'mine'") -> str:
        """Logs in and asks; gives the value, or says how it was refused. Never hangs."""
        try:
            with self.target.connect(database="broken", within=25) as client:
                return f"value {client.value(sql)}"
        except ServerError as error:
            fields = error.error.fields()
            if not (fields.get("S") and fields.get("C") and fields.get("M")):
                raise LabError(f"an incomplete error: {fields}") from error
            return f"error {fields['C']}"
        except (Ended, OSError):
            return "closed"

    def check(self) -> None:
        self.target.check_healthy()
        self.server.check()


def refused(lab: Lab, script: Callable[[FakeConnection], None], **fake: int) -> None:
    """The script must not lead to an answer, twice; and harms nobody else."""
    nonsense = Nonsense(lab, script, **fake)
    for _ in range(2):
        outcome = nonsense.attempt()
        assert not outcome.startswith("value"), outcome
        nonsense.target.check_healthy()
    nonsense.check()


# At login.

def raw(data: bytes) -> Callable[[FakeConnection], None]:
    def script(c: FakeConnection) -> None:
        c.startup()
        c.send(data)
        c.message()
    return script


def after_ok(*pieces: bytes) -> Callable[[FakeConnection], None]:
    return raw(m.authentication(0) + b"".join(pieces))


KEY = m.backend_key_data(1, b"\1\2\3\4")

LOGIN = {
    "garbage": raw(b"\xde\xad\xbe\xef" * 50),
    "http": raw(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "zeroes": raw(b"\0" * 100),
    "length_zero": raw(b"R\0\0\0\0"),
    "length_three": raw(b"R\0\0\0\3"),
    "length_negative": raw(b"R\xff\xff\xff\xff"),
    "length_largest": raw(b"R\x7f\xff\xff\xff" + b"\0" * 100),
    "authentication_without_code": raw(m.message(b"R", b"\0\0")),
    "unknown_authentication": raw(m.authentication(99)),
    "gss": raw(m.authentication(7)),
    "sspi": raw(m.authentication(9)),
    "kerberos_v5": raw(m.authentication(2)),
    "md5_without_salt": raw(m.authentication(5, b"\1\2")),
    "sasl_without_mechanisms": raw(m.authentication(10, b"\0")),
    "sasl_list_not_ended": raw(m.authentication(10, b"SCRAM-SHA-256")),
    "sasl_unknown_mechanism": raw(m.authentication(10, b"SCRAM-SHA-1\0OAUTHBEARER\0\0")),
    "sasl_continue_first": raw(m.authentication(11, b"r=x,s=eA==,i=4096")),
    "sasl_final_first": raw(m.authentication(12, b"v=AAAA")),
    "many_mechanisms": raw(m.authentication(10, b"X\0" * 5000 + b"\0")),
    "ready_before_authentication": raw(m.ready_for_query()),
    "key_before_authentication": raw(KEY + m.ready_for_query()),
    "row_before_authentication": raw(m.data_row("x")),
    "authenticated_twice": after_ok(m.authentication(0), KEY, m.authentication(3)),
    "row_during_login": after_ok(m.data_row("x"), KEY, m.ready_for_query()),
    "parse_complete_during_login": after_ok(m.message(b"1"), KEY, m.ready_for_query()),
    "unknown_type": after_ok(m.message(b"?", b"x"), KEY, m.ready_for_query()),
    "parameter_not_ended": after_ok(m.message(b"S", b"name"), KEY, m.ready_for_query()),
    "key_too_short": after_ok(m.message(b"K", b"\0\0"), m.ready_for_query()),
    "key_too_long": after_ok(m.message(b"K", b"\0" * 400), m.ready_for_query()),
    "status_unknown": after_ok(KEY, m.ready_for_query(b"?")),
    "status_missing": after_ok(KEY, m.message(b"Z")),
    "in_a_transaction": after_ok(KEY, m.ready_for_query(b"T")),
    "error_without_sqlstate": raw(m.error_response(S="FATAL", M="no code")),
    "error_without_anything": raw(m.error_response()),
    "error_empty_body": raw(m.message(b"E")),
    "error_not_ended": raw(m.message(b"E", b"SFATAL\0C28000")),
    "error_of_old_style": raw(b"Esomething is wrong\n\0"),
    "error_of_unknown_fields": raw(m.error_response(S="FATAL", C="57P03", M="not now", Z="?", z="!")),
    "error_of_a_mebibyte": raw(m.error_response(S="FATAL", C="57P03", M="x" * (1 << 20))),
    "error_of_not_utf8": raw(m.message(b"E", b"SFATAL\0C57P03\0M\xff\xfe\0\0")),
    "negotiate_protocol_twice": raw(m.message(b"v", struct.pack("!II", m.PROTOCOL_3_0, 0)) * 2
                                    + m.authentication(99)),
    "negotiate_protocol_2": raw(m.message(b"v", struct.pack("!II", 2 << 16, 0))),
    "silence": lambda c: (c.startup(), c.message()),            # type: ignore[return-value]
    "never_reads": lambda c: time.sleep(8),
}


@test(params=LOGIN, targets=FOREBAY, within=90)
def at_login(lab: Lab, name: str) -> None:
    refused(lab, LOGIN[name])


@test(targets=POOLERS)
def error_of_a_server_at_login(lab: Lab) -> None:
    """What the server says before authentication reaches the client with all its fields."""
    nonsense = Nonsense(lab, raw(m.error_response(
        S="FATAL", V="FATAL", C="57P03", M="the database system is starting up",
        D="a detail", H="a hint")))
    try:
        with nonsense.target.connect(database="broken", within=25) as client:
            client.run("select 1")
        raise LabError("was let in")
    except ServerError as error:
        fields = error.error.fields()
    if lab.kind == "forebay":
        assert (fields["C"], fields["M"], fields.get("D"), fields.get("H")) == (
            "57P03", "the database system is starting up", "a detail", "a hint"), fields
    nonsense.check()


def scram_script(change: Callable[[ScramServer], None] = lambda s: None, *,
                 first: Callable[[bytes], bytes] = lambda b: b,
                 final: Callable[[bytes], bytes] = lambda b: b) -> Callable[[FakeConnection], None]:
    """A server that asks for SCRAM with the right password, and bends one part of it."""
    def script(c: FakeConnection) -> None:
        scram = ScramServer("app-secret")
        change(scram)
        c.startup()
        c.send(m.authentication(10, b"SCRAM-SHA-256\0\0"))
        initial = c.message().body.split(b"\0", 1)[1][4:]
        c.send(m.authentication(11, first(scram.first(initial))))
        answer = c.message()
        c.send(m.authentication(12, final(scram.final(answer.body))))
        c.welcome()
        c.queries(echo)
    return script


def set_iterations(count: int) -> Callable[[ScramServer], None]:
    return lambda s: setattr(s, "iterations", count)


def replaced(key: bytes, value: bytes) -> Callable[[bytes], bytes]:
    return lambda b: b",".join(key + b"=" + value if part[:1] == key else part
                               for part in b.split(b","))


SCRAM = {
    "huge_nonce": scram_script(lambda s: setattr(s, "nonce", "n" * 100000)),
    "nonce_not_ours": scram_script(first=replaced(b"r", b"somebody-elses")),
    "nonce_not_longer": scram_script(lambda s: setattr(s, "nonce", "")),
    "iterations_enormous": scram_script(first=replaced(b"i", b"2000000000")),
    "iterations_beyond_32_bits": scram_script(first=replaced(b"i", b"99999999999999999999")),
    "iterations_zero": scram_script(first=replaced(b"i", b"0")),
    "iterations_negative": scram_script(first=replaced(b"i", b"-1")),
    "iterations_text": scram_script(first=replaced(b"i", b"many")),
    "salt_empty": scram_script(first=replaced(b"s", b"")),
    "salt_not_base64": scram_script(first=replaced(b"s", b"!!!")),
    "salt_huge": scram_script(first=replaced(b"s", encode(b"s" * 60000).encode())),
    "first_empty": scram_script(first=lambda b: b""),
    "first_garbage": scram_script(first=lambda b: b"\xff" * 50),
    "first_without_salt": scram_script(first=lambda b: b",".join(
        p for p in b.split(b",") if p[:1] != b"s")),
    "first_with_extension": scram_script(first=lambda b: b"m=x," + b),
    "final_wrong_signature": scram_script(final=lambda b: b"v=" + encode(b"\0" * 32).encode()),
    "final_short_signature": scram_script(final=lambda b: b"v=AAAA"),
    "final_empty": scram_script(final=lambda b: b""),
    "final_error": scram_script(final=lambda b: b"e=invalid-proof"),
    "final_huge": scram_script(final=lambda b: b + b"x" * 60000),
}


@test(params=SCRAM, targets=FOREBAY)
def in_scram(lab: Lab, name: str) -> None:
    """The server must show that it knows the password, within bounds of time and memory."""
    nonsense = Nonsense(lab, SCRAM[name])
    begun = time.monotonic()
    outcome = nonsense.attempt()
    assert not outcome.startswith("value"), outcome
    assert time.monotonic() - begun < 20
    nonsense.target.check_healthy()


@test(targets=POOLERS)
def scram_as_it_should_be(lab: Lab) -> None:
    """The same script, unbent: it is not the script that was refused."""
    nonsense = Nonsense(lab, scram_script())
    assert nonsense.attempt("select 'x'") == "value select 'x'"
    nonsense.check()


@test(targets=FOREBAY)
def scram_skipped_by_the_server(lab: Lab) -> None:
    """AuthenticationOk in the middle of SCRAM: the server has shown nothing."""
    def script(c: FakeConnection) -> None:
        c.startup()
        c.send(m.authentication(10, b"SCRAM-SHA-256\0\0"))
        c.message()
        c.welcome()
        c.queries(echo)
    refused(lab, script)


@test(targets=FOREBAY)
def server_that_asks_for_the_password_in_clear(lab: Lab) -> None:
    """Outside of TLS it does not get it."""
    got: list[bytes] = []

    def script(c: FakeConnection) -> None:
        c.startup()
        c.send(m.authentication(3))
        got.append(c.message().body)
    refused(lab, script)
    assert not got, got


# TLS towards the server.

def tls_answer(answer: bytes) -> Callable[[FakeConnection], None]:
    def script(c: FakeConnection) -> None:
        c.receive(8)
        c.send(answer)
        c.receive(8)
        c.login()
    return script


TLS_ANSWERS = {
    "no": tls_answer(b"N"),
    "garbage": tls_answer(b"?"),
    "error": tls_answer(m.error_response(S="FATAL", C="57P03", M="not now")),
    "yes_and_stuffing": tls_answer(b"S" + m.authentication(0) + KEY + m.ready_for_query()),
    "yes_and_clear_text": tls_answer(b"S" + b"x" * 200),
    "closed": lambda c: (c.receive(8), c.close()),              # type: ignore[return-value]
    "silence": lambda c: (c.receive(8), c.receive(1)),          # type: ignore[return-value]
}


def tls_target(lab: Lab, script: Callable[[FakeConnection], None], mode: str,
               **server_tls: object) -> tuple[FakeServer, Target]:
    server = FakeServer(script)
    lab.keep(server)
    return server, lab.target(
        servers=[server.address], options=dict(QUICK), databases={"app": Database()},
        server_tls={"mode": mode, **server_tls})


@test(params=TLS_ANSWERS, targets=FOREBAY)
def at_the_server_tls_request(lab: Lab, name: str) -> None:
    _, target = tls_target(lab, TLS_ANSWERS[name], "require")
    for _ in range(2):
        try:
            with target.connect(within=25) as client:
                client.run("select 1")
            raise LabError("was answered")
        except (ServerError, Ended, OSError):
            pass
    assert target.alive


def tls_server(lab: Lab) -> Callable[[FakeConnection], None]:
    def script(c: FakeConnection) -> None:
        c.receive(8)
        c.take_tls(lab.certificates)
        c.login()
        c.queries(echo)
    return script


@test(targets=FOREBAY, params=("require", "verify-ca", "verify-full", "other-ca", "other-name"))
def server_certificates(lab: Lab, what: str) -> None:
    mode = what if what in ("require", "verify-ca", "verify-full") else "verify-full"
    more: dict[str, object] = {}
    if mode != "require":
        more["ca_file"] = lab.certificates.other_ca if what == "other-ca" else lab.certificates.ca
    server, target = tls_target(lab, tls_server(lab), mode, **more)
    if what == "other-name":                # another address than the certificate's
        target.stop()
        target.settings.databases = {"app": Database([("127.0.0.2", server.port)])}
        target.start()
    try:
        with target.connect(within=25) as client:
            answer = client.value("select 'x'")
    except (ServerError, Ended):
        answer = None
    assert (answer is None) == (what in ("other-ca", "other-name")), (what, answer)


# In a query.

def misanswer(answer: Callable[[FakeConnection, str], None]) -> Callable[[FakeConnection], None]:
    """Logs in well, does housekeeping well, and misbehaves at statements that say "mine"."""
    def script(c: FakeConnection) -> None:
        c.login()
        while True:
            message = c.message()
            if message.type == b"X":
                raise Gone()
            sql = message.body.rstrip(b"\0").decode(errors="replace")
            if message.type == b"Q" and "mine" in sql:
                answer(c, sql)
            elif message.type == b"Q":
                c.send(echo(sql))
            elif message.type == b"S":
                c.send(m.ready_for_query())
    return script


def sends(data: bytes) -> Callable[[FakeConnection], None]:
    return misanswer(lambda c, sql: c.send(data))


QUERY = {
    "garbage": sends(b"\xde\xad\xbe\xef" * 20),
    "length_zero": sends(b"T\0\0\0\0"),
    "length_negative": sends(b"D\xff\xff\xff\xff"),
    "length_over_a_gibibyte": sends(b"D\x7f\xff\xff\xff"),
    "unknown_type": sends(m.message(b"?", b"x") + row("x")),
    "status_unknown": sends(m.command_complete("X") + m.ready_for_query(b"?")),
    "long_status": sends(m.message(b"Z", b"I" * 1000)),
    "authentication_again": sends(m.authentication(0) + row("x")),
    "password_wanted": sends(m.authentication(3)),
    "half_a_message_and_close": misanswer(lambda c, _: (c.send(row("x")[:20]), c.close())),
    "half_a_message_and_reset": misanswer(lambda c, _: (c.send(row("x")[:20]), c.reset())),
    "closed": misanswer(lambda c, _: c.close()),
    "reset": misanswer(lambda c, _: c.reset()),
    "row_and_close": misanswer(lambda c, _: (c.send(m.row_description("a"), m.data_row("x")),
                                             c.close())),
    "fatal_and_close": misanswer(lambda c, _: (c.send(m.error_response(
        S="FATAL", C="57P01", M="terminating connection")), c.close())),
    "notice_and_close": misanswer(lambda c, _: (c.send(m.message(b"N", m.error_response(
        S="WARNING", C="57P02", M="another process crashed")[5:])), c.close())),
    "error_without_sqlstate": sends(m.error_response(M="no code") + m.ready_for_query()),
    "copy_in": sends(m.message(b"G", b"\0\0\0") + m.command_complete("X") + m.ready_for_query()),
    "copy_both": sends(m.message(b"W", b"\0\0\0") + m.command_complete("X") + m.ready_for_query()),
}


@test(modes=MODES, params=QUERY, targets=FOREBAY)
def in_a_query(lab: Lab, name: str) -> None:
    """One client may suffer; the next one gets its own answer, from a connection in order."""
    nonsense = Nonsense(lab, QUERY[name], pool_size=2)
    with nonsense.target.connect(database="broken") as client:
        client.send(m.query("select 'mine'"))
        answer = client.until_ready_or_end()
        assert len(m.only(answer, b"E")) <= 1, answer
    for _ in range(3):
        assert nonsense.attempt("select 'other'") == "value select 'other'"
    nonsense.check()


LEAKS = {
    "a_second_ready": lambda sql: row(sql) + m.ready_for_query(),
    "a_row_after_ready": lambda sql: row(sql) + m.data_row("LEAK"),
    "a_whole_answer_after_ready": lambda sql: row(sql) + row("LEAK"),
    "an_early_ready": lambda sql: m.ready_for_query() + row("LEAK"),
    "an_error_after_ready": lambda sql: row(sql) + m.error_response(S="ERROR", C="XX000", M="LEAK"),
    "half_a_message_after_ready": lambda sql: row(sql) + row("LEAK")[:7],
    "a_notice_after_ready": lambda sql: row(sql) + m.message(
        b"N", m.error_response(S="WARNING", C="01000", M="LEAK")[5:]),
    "a_notification_after_ready": lambda sql: row(sql) + m.message(b"A", b"\0\0\0\1LEAK\0LEAK\0"),
}


@test(modes=("transaction",), params=LEAKS, targets=FOREBAY)
def nothing_leaks_to_the_next_client(lab: Lab, name: str) -> None:
    """Clients take turns on one connection, which now and then says more than was asked."""
    def answer(c: FakeConnection, sql: str) -> None:
        c.send(LEAKS[name](sql))
    nonsense = Nonsense(lab, misanswer(answer))
    clients: list[Client] = []
    try:
        for turn in range(8):
            sql = f"select '{'mine' if turn % 3 == 1 else 'other'} {turn}'"
            client = nonsense.target.connect(database="broken", within=25)
            clients.append(client)
            try:
                messages = client.messages(m.query(sql))
            except Ended:
                assert "mine" in sql, f"turn {turn} was closed"
                continue
            seen = b"".join(message.raw for message in messages)
            if "mine" not in sql:
                assert b"LEAK" not in seen, messages
                assert m.only(messages, b"D")[0].columns() == [sql.encode()], messages
                assert m.names(messages) == "RowDescription DataRow CommandComplete ReadyForQuery"
    finally:
        for client in clients:
            client.close()
    nonsense.check()


@test(modes=("transaction",), targets=FOREBAY)
def notices_to_an_idle_connection(lab: Lab) -> None:
    """57P01 and 57P02 to a parked connection mean its end, and are nobody's notice."""
    parked, gone = Semaphore(0), Semaphore(0)

    def script(c: FakeConnection) -> None:
        c.login()
        message = c.message()
        c.send(echo(message.body.rstrip(b"\0").decode()))
        if not parked.acquire(timeout=30):
            return
        c.send(m.message(b"N", m.error_response(S="WARNING", C="57P02", M="LEAK")[5:]))
        try:
            c.receive(1)                    # the proxy says goodbye, and closes
        except Gone:
            pass
        gone.release()

    nonsense = Nonsense(lab, script)
    for turn in range(5):
        with nonsense.target.connect(database="broken", within=25) as client:
            answer = client.messages(m.query(f"select {turn}"))
            seen = b"".join(message.raw for message in client.login_messages + answer)
            assert b"LEAK" not in seen, answer
        parked.release()
        assert gone.acquire(timeout=20), "the connection is still there"
    nonsense.check()


# Gone at every step.

STEPS = 12


@test(modes=MODES, targets=POOLERS, params=("by_close", "by_reset"), within=120)
def server_gone_at_every_step(lab: Lab, how: str) -> None:
    """The scripted server closes after each of its steps in turn, through login and a query."""
    for step in range(STEPS):
        def script(c: FakeConnection) -> None:
            if c.number > 1:                # from then on it is well
                c.close_at = None
            if how == "by_reset":
                c.close = c.reset           # type: ignore[method-assign]
            c.scram_login(ScramServer("app-secret"))
            c.queries(echo)
        nonsense = Nonsense(lab, script, close_at=step)
        wait_until(lambda: nonsense.attempt("select 'x'") == "value select 'x'",    # noqa: B023
                   f"served again after the server went away at step {step}", within=20)
        nonsense.check()
        nonsense.target.stop()
        nonsense.server.close()


# One that never reads.

@test(modes=("transaction",), targets=POOLERS, alone=True)
def server_that_never_reads(lab: Lab) -> None:
    """A client that sends far more than the server takes is held back; memory stays flat."""
    def script(c: FakeConnection) -> None:
        c.login()
        time.sleep(15)
    nonsense = Nonsense(lab, script, receive_buffer=65536)
    with nonsense.target.connect(database="broken") as client:
        before = nonsense.target.running.memory_kib("VmRSS")
        client.socket.settimeout(3)
        block = m.query("x" * 1_000_000)
        sent = 0
        try:
            for _ in range(300):
                client.socket.sendall(block)
                sent += len(block)
            raise LabError("300 MB were taken although the server reads nothing")
        except TimeoutError:
            pass
        growth = (nonsense.target.running.memory_kib("VmHWM") - before) / 1024
        assert lab.sanitized or growth < 64, f"memory grew by {growth:.0f} MiB after {sent} bytes"
    nonsense.check()
