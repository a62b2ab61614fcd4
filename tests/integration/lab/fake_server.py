"""A server that follows a script: well-behaved helpers, and every byte open to misbehaviour."""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from typing import Callable, Optional

from . import messages as m
from . import ports
from .certificates import Certificates
from .messages import Message
from .process import PATIENCE, LabError
from .scram import ScramServer
from .wire import Ended

FRONTEND = {
    b"B": "Bind", b"C": "Close", b"d": "CopyData", b"c": "CopyDone", b"f": "CopyFail",
    b"D": "Describe", b"E": "Execute", b"H": "Flush", b"F": "FunctionCall", b"P": "Parse",
    b"p": "Password", b"Q": "Query", b"S": "Sync", b"X": "Terminate",
}

PARAMETERS = {
    "server_version": "15.0", "server_encoding": "UTF8", "client_encoding": "UTF8",
    "DateStyle": "ISO, MDY", "TimeZone": "UTC", "integer_datetimes": "on", "is_superuser": "off",
    "standard_conforming_strings": "on", "IntervalStyle": "postgres", "application_name": "",
    "in_hot_standby": "off", "default_transaction_read_only": "off", "session_authorization": "app",
}


class Gone(Exception):
    """The script has closed its connection, or the other side has."""


class FakeConnection:
    """One connection to the scripted server, as its script sees it. Every send and every receive
    is a step; the connection closes by itself at step `close_at`, if that is set."""

    def __init__(self, sock: socket.socket, number: int, close_at: Optional[int] = None) -> None:
        self.socket = sock
        self.socket.settimeout(30 * PATIENCE)
        self.number = number            # 0 for the first connection to this server
        self.steps = 0
        self.close_at = close_at
        self.parameters: dict[str, str] = {}

    def _step(self) -> None:
        if self.close_at is not None and self.steps == self.close_at:
            self.close()
            raise Gone()
        self.steps += 1

    def send(self, *pieces: bytes) -> None:
        self._step()
        self.socket.sendall(b"".join(pieces))

    def take_tls(self, certificates: Certificates) -> None:
        """Says yes to an SSLRequest that has been read, and goes on inside TLS."""
        self.send(b"S")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificates.certificate, certificates.key)
        self.socket = context.wrap_socket(self.socket, server_side=True)

    def receive(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise Gone()
            data += more
        return data

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:                 # it is closed by now
            pass
        self.socket.close()

    def message(self) -> Message:
        """The next message of a client that has said its start-up packet."""
        self._step()
        head = self.receive(5)
        size, = struct.unpack("!I", head[1:])
        return Message(head[:1], self.receive(size - 4))

    def startup(self) -> int:
        """Reads start-up packets until one that is not a request for encryption; its code."""
        while True:
            self._step()
            size, code = struct.unpack("!II", self.receive(8))
            body = self.receive(size - 8)
            if code in (m.SSL_REQUEST, m.GSSENC_REQUEST):
                self.send(b"N")
                continue
            if code == m.CANCEL_REQUEST:
                self.close()
                raise Gone()
            parts = body.split(b"\0")
            self.parameters = {parts[i].decode(): parts[i + 1].decode()
                               for i in range(0, len(parts) - 2, 2) if parts[i]}
            return code

    def welcome(self) -> None:
        """What comes after authentication."""
        self.send(m.authentication(0))
        self.send(*[m.parameter_status(k, v) for k, v in PARAMETERS.items()])
        self.send(m.backend_key_data(1000 + self.number, b"\1\2\3\4"))
        self.send(m.ready_for_query())

    def login(self) -> None:
        self.startup()
        self.welcome()

    def scram_login(self, scram: ScramServer) -> None:
        self.startup()
        self.send(m.authentication(10, b"SCRAM-SHA-256\0\0"))
        initial = self.message().body
        data = initial.split(b"\0", 1)[1][4:]
        self.send(m.authentication(11, scram.first(data)))
        final = scram.final(self.message().body)
        self.send(m.authentication(12, final))
        self.welcome()

    def queries(self, answer: Callable[[str], bytes]) -> None:
        """Answers simple queries until the client goes; extended messages end with an error."""
        while True:
            message = self.message()
            if message.type == b"X":
                raise Gone()
            if message.type == b"Q":
                self.send(answer(message.body.rstrip(b"\0").decode()))
            elif message.type == b"S":
                self.send(m.ready_for_query())


def row(value: str) -> bytes:
    """The whole answer to a query with one value."""
    return (m.row_description("value") + m.data_row(value) + m.command_complete("SELECT 1")
            + m.ready_for_query())


def echo(sql: str) -> bytes:
    """The answer of a well-behaved server: housekeeping is done, anything else is its own answer."""
    first = sql.split(None, 1)[0].lower().rstrip(";") if sql.strip() else ""
    if not first:
        return m.message(b"I") + m.ready_for_query()
    if first in ("set", "reset", "discard", "rollback", "deallocate", "begin", "commit"):
        return m.command_complete(first.upper()) + m.ready_for_query()
    return row(sql)


Script = Callable[[FakeConnection], None]


class FakeServer:
    """Listens and runs the script for each connection, in a thread of its own."""

    def __init__(self, script: Script, *, close_at: Optional[int] = None,
                 receive_buffer: Optional[int] = None) -> None:
        self.script = script
        self.close_at = close_at
        self.port = ports.claim()
        self.failures: list[BaseException] = []
        self.connections: list[FakeConnection] = []
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if receive_buffer:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._listener.bind(("127.0.0.1", self.port))
        self._listener.listen(200)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def address(self) -> tuple[str, int]:
        return ("127.0.0.1", self.port)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            connection = FakeConnection(sock, len(self.connections), self.close_at)
            self.connections.append(connection)
            threading.Thread(target=self._run, args=(connection,), daemon=True).start()

    def _run(self, connection: FakeConnection) -> None:
        try:
            self.script(connection)
        except (Gone, Ended, OSError):
            pass
        except BaseException as error:      # pylint: disable=broad-except
            self.failures.append(error)
        finally:
            connection.close()

    def close(self) -> None:
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        for connection in self.connections:
            connection.close()
        ports.release(self.port)

    def check(self) -> None:
        """Fails when a script met something that it did not expect."""
        if self.failures:
            raise LabError(f"the scripted server: {self.failures[0]!r}") from self.failures[0]
