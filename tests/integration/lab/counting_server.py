"""A server that counts round trips: it answers nothing before the message that it was told to wait
for has come, so that who waits for an answer before that waits in vain."""

from __future__ import annotations

import re
import struct
import threading
from dataclasses import dataclass, field

from . import messages as m
from .fake_server import FRONTEND, FakeConnection, FakeServer, Gone
from .messages import Message


@dataclass(repr=False)
class Turn:
    """What came on one connection up to the message that was waited for."""
    connection: int
    writes: int = 0
    messages: list[Message] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"{self.writes} writes on {self.connection}: {self.names} {self.texts}"

    @property
    def names(self) -> str:
        return " ".join(FRONTEND[message.type] for message in self.messages)

    @property
    def texts(self) -> list[str]:
        """Of Query and Parse."""
        return [message.body.split(b"\0")[message.type == b"P"].decode()
                for message in self.messages if message.type in b"QP"]


class CountingServer(FakeServer):
    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self.marker = b""
        self._lock = threading.Lock()
        super().__init__(self._serve)

    def wait_for(self, marker: str) -> None:
        self.marker = marker.encode()
        self.turns.clear()

    def _serve(self, c: FakeConnection) -> None:
        c.login()
        session, buffer, turn = Session(), b"", Turn(c.number)
        while True:
            data = c.socket.recv(1 << 20)
            if not data:
                raise Gone()
            turn.writes += 1
            buffer += data
            while len(buffer) >= 5:
                size = 1 + struct.unpack_from("!I", buffer, 1)[0]
                if len(buffer) < size:
                    break
                turn.messages.append(Message(buffer[:1], buffer[5:size]))
                buffer = buffer[size:]
            over = not buffer and bool(turn.messages) and turn.messages[-1].type in b"QSX"
            if over and any(self.marker in message.body for message in turn.messages):
                with self._lock:
                    self.turns.append(turn)
                c.send(b"".join(map(session.answer, turn.messages)))
                turn = Turn(c.number)


class Session:
    """What a server says."""

    def __init__(self) -> None:
        self.status = b"I"
        self.statements: dict[bytes, str] = {}
        self.portal = ""

    def answer(self, message: Message) -> bytes:
        parts = message.body.split(b"\0")
        if message.type == b"X":
            raise Gone()
        if message.type == b"Q":
            done = [self.result(text) for text in parts[0].decode().split(";") if text.strip()]
            return b"".join(done) + m.ready_for_query(self.status)
        if message.type == b"P":
            self.statements[parts[0]] = parts[1].decode()
            return m.message(b"1")
        if message.type == b"B":
            self.portal = self.statements[parts[1]]
            return m.message(b"2")
        if message.type == b"E":
            return self.result(self.portal)
        if message.type == b"S":
            return m.ready_for_query(self.status)
        return {b"C": m.message(b"3"), b"D": m.message(b"n")}.get(message.type, b"")

    def result(self, statement: str) -> bytes:
        tag = re.sub(r"/\*.*?\*/", "", statement).split()[0].upper()
        self.status = {"BEGIN": b"T", "COMMIT": b"I", "ROLLBACK": b"I"}.get(tag, self.status)
        return m.command_complete("SELECT 0" if tag == "SELECT" else tag)
