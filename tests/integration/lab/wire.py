"""A client that says exactly the bytes it is told to say, and shows exactly what came back."""

from __future__ import annotations

import hashlib
import socket
import ssl
import struct
import time
from pathlib import Path
from typing import Callable, Optional, Sequence, Union

from . import messages as m
from .messages import Message
from .process import PATIENCE, Deadline, LabError, wait_until
from .scram import ScramClient

Address = Union[tuple[str, int], str]       # a host and a port, or the path of a Unix socket


class ServerError(AssertionError):
    """An ErrorResponse where none was expected."""

    def __init__(self, error: Message) -> None:
        self.error = error
        self.sqlstate = error.sqlstate
        super().__init__(repr(error))


class Ended(AssertionError):
    """The other side closed (or reset) the connection where more was expected."""


def tls_context(ca: Optional[Path] = None, *, alpn: Sequence[str] = (),
                certificate: Optional[tuple[Path, Path]] = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(ca)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    if certificate is not None:
        context.load_cert_chain(*certificate)
    return context


class Connection:
    """Bytes and messages, nothing assumed about their order. Every wait has a deadline."""

    def __init__(self, address: Address, within: float = 20.0) -> None:
        self.within = within
        self.buffer = bytearray()
        self.received = 0
        if isinstance(address, str):
            self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        else:
            family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
            self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(within * PATIENCE)
        try:
            self.socket.connect(address)
        except BaseException:
            self.socket.close()
            raise
        if not isinstance(address, str):
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> "Connection":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, *pieces: bytes) -> None:
        self.socket.settimeout(self.within * PATIENCE)
        self.socket.sendall(b"".join(pieces))

    def receive(self, within: Optional[float] = None) -> bool:
        """Takes what has come; false at the end of the stream. ConnectionReset counts as Ended."""
        self.socket.settimeout(max(0.001, (self.within if within is None else within) * PATIENCE))
        try:
            data = self.socket.recv(262144)
        except socket.timeout:
            raise LabError(f"nothing came within {self.within if within is None else within} s; "
                           f"unread: {bytes(self.buffer[:100])!r}") from None
        except (ConnectionResetError, BrokenPipeError, ssl.SSLError) as error:
            raise Ended(f"connection lost: {error}") from None
        self.buffer += data
        self.received += len(data)
        return bool(data)

    def read_exactly(self, count: int, within: Optional[float] = None) -> bytes:
        while len(self.buffer) < count:
            if not self.receive(within):
                raise Ended(f"end of stream after {bytes(self.buffer[:100])!r}")
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    def read(self, within: Optional[float] = None) -> Message:
        """The next message, whatever it is."""
        head = self.read_exactly(5, within)
        size, = struct.unpack("!I", head[1:])
        if size < 4 or size > 0x40000000:
            raise LabError(f"not a message: {head!r}")
        return Message(head[:1], self.read_exactly(size - 4, within))

    def read_until(self, *types: bytes, within: Optional[float] = None) -> list[Message]:
        """Messages up to and with the first of one of these types."""
        result = []
        while True:
            try:
                message = self.read(within)
            except Ended as error:
                raise Ended(f"{error}; before that: {result}") from None
            result.append(message)
            if message.type in types:
                return result

    def until_ready(self, count: int = 1, within: Optional[float] = None) -> list[Message]:
        """Messages up to and with the `count`th ReadyForQuery."""
        result: list[Message] = []
        for _ in range(count):
            result += self.read_until(b"Z", within=within)
        return result

    def read_slowly(self, sql: str) -> None:
        """Runs a statement, and leaves its rows alone for longer than they took to come."""
        began = time.monotonic()
        self.send(m.query(sql))
        wait_until(lambda: not self.quiet, "rows come", within=30)
        time.sleep(max(0.5, 3 * (time.monotonic() - began)))
        self.until_ready()

    def until_ready_or_end(self, within: Optional[float] = None) -> list[Message]:
        """Messages up to a ReadyForQuery or the end of the stream, whichever is first."""
        result: list[Message] = []
        while not result or result[-1].type != b"Z":
            try:
                result.append(self.read(within))
            except Ended:
                break
        return result

    def until_end(self, within: Optional[float] = None) -> list[Message]:
        """All messages until the other side closes; a reset counts as a close."""
        result: list[Message] = []
        deadline = Deadline(self.within if within is None else within)
        while True:
            try:
                result.append(self.read(max(0.001, deadline.remaining() / PATIENCE)))
            except Ended:
                if self.buffer:
                    raise LabError(f"half a message at the end: {bytes(self.buffer)!r}") from None
                return result

    def raw_until_end(self, within: Optional[float] = None) -> bytes:
        try:
            while self.receive(within):
                pass
        except Ended:
            pass
        return bytes(self.buffer)

    @property
    def quiet(self) -> bool:
        """Whether nothing has come that was not read."""
        self.socket.settimeout(0)
        try:
            data = self.socket.recv(65536)
            self.buffer += data
            return not self.buffer and bool(data)
        except (BlockingIOError, ssl.SSLWantReadError):
            return not self.buffer
        except OSError:
            return False

    def start_tls(self, context: Optional[ssl.SSLContext] = None, host: str = "localhost", *,
                  direct: bool = False) -> None:
        if not direct:
            self.send(m.ssl_request())
            answer = self.read_exactly(1)
            if answer != b"S":
                raise LabError(f"SSLRequest answered with {answer!r}")
        self.socket.settimeout(self.within * PATIENCE)
        self.socket = (context or tls_context()).wrap_socket(self.socket, server_hostname=host)

    def half_close(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        """Closes with RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class Client(Connection):
    """A connection that logs in."""

    def __init__(self, address: Address, *, user: str, database: str, password: str = "",
                 tls: Optional[ssl.SSLContext] = None, host: str = "localhost",
                 version: int = m.PROTOCOL_3_0, within: float = 20.0, login: bool = True,
                 gs2: str = "n,,", **parameters: str) -> None:
        super().__init__(address, within)
        self.address = address
        self.user, self.password = user, password
        self.gs2 = gs2
        self.process_id, self.key = 0, b""
        self.login_messages: list[Message] = []
        self.parameters: dict[str, str] = {}
        self.status = b"I"
        try:
            if tls is not None:
                self.start_tls(tls, host)
            self.send(m.startup({"user": user, "database": database, **parameters}, version))
            if login:
                self.log_in()
        except BaseException:
            self.close()
            raise

    def log_in(self) -> list[Message]:
        """Answers what the server asks until ReadyForQuery; fails with ServerError."""
        while True:
            message = self.read()
            self.login_messages.append(message)
            if message.type == b"R":
                self._authenticate(message.body)
            elif message.type == b"E":
                raise ServerError(message)
            elif message.type == b"S":
                name, value, _ = message.body.split(b"\0")
                self.parameters[name.decode()] = value.decode()
            elif message.type == b"K":
                self.process_id, = struct.unpack_from("!I", message.body)
                self.key = message.body[4:]
            elif message.type == b"Z":
                self.status = message.body
                return self.login_messages

    def _authenticate(self, body: bytes) -> None:
        code, = struct.unpack_from("!I", body)
        if code == 0:
            return
        if code == 3:
            self.send(m.password(self.password))
        elif code == 5:
            self.send(m.password(md5_answer(self.user, self.password, body[4:8])))
        elif code == 10:
            binding = self._channel_binding() if self.gs2.startswith("p=") else b""
            self.scram = ScramClient(self.password, gs2=self.gs2, binding=binding)
            mechanism = "SCRAM-SHA-256-PLUS" if self.gs2.startswith("p=") else "SCRAM-SHA-256"
            self.send(m.sasl_initial_response(mechanism, self.scram.first()))
        elif code == 11:
            self.send(m.sasl_response(self.scram.final(body[4:])))
        elif code == 12:
            self.scram.check(body[4:])
        else:
            raise LabError(f"authentication request {code} is not known here")

    def _channel_binding(self) -> bytes:
        assert isinstance(self.socket, ssl.SSLSocket)
        certificate = self.socket.getpeercert(binary_form=True)
        assert certificate is not None
        return hashlib.sha256(certificate).digest()

    # Short forms for what most tests do.

    def messages(self, *pieces: bytes, readies: int = 1,
                 within: Optional[float] = None) -> list[Message]:
        """Sends these messages and gives the answer up to ReadyForQuery."""
        self.send(*pieces)
        result = self.until_ready(readies, within)
        self.status = result[-1].body
        return result

    def rows(self, sql: str, within: Optional[float] = None) -> list[tuple[Optional[str], ...]]:
        """A simple query's rows as text; an error is raised after ReadyForQuery."""
        answer = self.messages(m.query(sql), within=within)
        for message in answer:
            if message.type == b"E":
                raise ServerError(message)
        return [tuple(None if c is None else c.decode() for c in message.columns())
                for message in answer if message.type == b"D"]

    def value(self, sql: str, within: Optional[float] = None) -> Optional[str]:
        return self.rows(sql, within)[0][0]

    def run(self, sql: str, within: Optional[float] = None) -> None:
        self.rows(sql, within)

    def error(self, *pieces: bytes, within: Optional[float] = None) -> Message:
        """Sends messages whose answer must hold exactly one ErrorResponse, and gives that."""
        answer = self.messages(*pieces, within=within)
        errors = m.only(answer, b"E")
        if len(errors) != 1:
            raise LabError(f"{len(errors)} errors instead of one: {m.names(answer)}")
        return errors[0]

    def extended(self, sql: str, values: Sequence[m.Value] = (), *, name: str = "",
                 prepare: bool = True) -> list[tuple[Optional[str], ...]]:
        """One statement through Parse, Bind, Execute, Sync; gives its rows as text."""
        pieces = [m.parse(name, sql)] if prepare else []
        answer = self.messages(*pieces, m.bind("", name, values), m.execute(""), m.sync())
        for message in answer:
            if message.type == b"E":
                raise ServerError(message)
        return [tuple(None if c is None else c.decode() for c in message.columns())
                for message in answer if message.type == b"D"]

    def cancel(self, *, tls: Optional[ssl.SSLContext] = None) -> None:
        """Sends a CancelRequest for this session and waits until it was taken (closed)."""
        with Connection(self.address, self.within) as other:
            if tls is not None:
                other.start_tls(tls)
            other.send(m.cancel_request(self.process_id, self.key))
            other.raw_until_end()


def md5_answer(user: str, password: str, salt: bytes) -> str:
    inner = hashlib.md5((password + user).encode()).hexdigest()
    return "md5" + hashlib.md5(inner.encode() + salt).hexdigest()


def refused(connect: Callable[[], object]) -> Message:
    """The ErrorResponse with which a login is refused; fails when it is not refused."""
    try:
        connect()
    except ServerError as error:
        return error.error
    raise LabError("the login was not refused")
