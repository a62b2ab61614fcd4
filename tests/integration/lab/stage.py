"""Plays a `.wire` file on the program: the servers are a scripted TCP server, the clients TCP
clients, all in one thread."""

from __future__ import annotations

import re
import selectors
import socket
import struct
import time
import urllib.request
from typing import Callable, Optional

from . import ports
from .process import PATIENCE, LabError, wait_until
from .wire_files import Script, Step, Words, encode, split

PATIENT = 10.0          # seconds that an answer may take
SHORT_ANSWERS = {b"P": "ParseComplete", b"B": "BindComplete", b"C": "CloseComplete",
                 b"E": 'CommandComplete "SELECT 1"', b"S": "ReadyForQuery I"}


def is_server(name: str) -> bool:
    return re.fullmatch(r"S\d+", name) is not None


class Peer:
    """One end of one connection."""

    def __init__(self, name: str, sock: socket.socket) -> None:
        self.name, self.socket = name, sock
        self.server = is_server(name)
        self.received = b""
        self.over = ""              # "end" or "reset", once nothing more can come
        self.logged_in = False      # of servers
        self.process_id, self.key = b"", b""
        if sock.family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def receive(self) -> None:
        try:
            data = self.socket.recv(262144)
            self.received += data
            self.over = self.over or ("" if data else "end")
        except (ConnectionResetError, BrokenPipeError):
            self.over = "reset"

    def send(self, data: bytes) -> None:
        try:
            self.socket.sendall(data)
        except (ConnectionResetError, BrokenPipeError):
            pass                    # what it has got to say is looked at, not whether it can

    def end(self) -> None:
        try:
            self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()
        self.over = "closed"


class Stage:
    def __init__(self, script: Script) -> None:
        self.script = script
        self.port, self.http = ports.claim(), ports.claim()
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.address: tuple[str, int] = ("", 0)
        self.peers: dict[str, Peer] = {}
        self.servers = 0
        self.line = 0
        self.alone = False          # the script is over: servers answer by themselves

    def close(self) -> None:
        self.listener.close()
        for peer in self.peers.values():
            peer.socket.close()
        ports.release(self.port)
        ports.release(self.http)

    def play(self, address: tuple[str, int]) -> None:
        self.address = address
        for step in self.script.steps:
            self.line = step.line
            self._step(step)
        self._finish()

    def _wrong(self, what: str) -> LabError:
        return LabError(f"{self.script.name}.wire:{self.line}: {what}")

    # Steps.

    def _step(self, step: Step) -> None:
        if step.verb == "wait":
            self._pass(float(step.argument[:-2]) / 1000 if step.argument.endswith("ms")
                       else float(step.argument[:-1]))
        elif step.verb == "waiting":
            wait_until(lambda: self._waiting() == int(step.argument),
                       f"line {step.line}: {step.argument} clients wait")
        elif step.verb == "login":
            self._login(self._peer(step.peer), step.messages)
        elif step.verb == ">":
            self._send(self._peer(step.peer), step.messages)
        else:
            for words in step.messages:
                self._expect(self._peer(step.peer), words)

    def _login(self, peer: Peer, messages: list[Words]) -> None:
        startup = split('Startup 3.0 user="u" database="app"')[0]
        peer.send(encode(startup + (messages[0] if messages else []), False).exact)
        for words in split('AuthenticationOk ; ParameterStatus "server_version" "15.0" ; '
                           'ParameterStatus "client_encoding" * ; BackendKeyData * * ; '
                           'ReadyForQuery I'):
            self._expect(peer, words)

    def _send(self, peer: Peer, messages: list[Words]) -> None:
        data = b""
        for words in messages:
            name = words[0].bare
            if name in ("end", "reset"):
                peer.send(data)
                data = b""
                peer.end() if name == "end" else peer.reset()
            elif name == "CancelRequest" and words[1].bare in self.peers:
                target = self.peers[words[1].bare]
                number, = struct.unpack("!I", target.process_id)
                known = split(f"CancelRequest {number}")[0]
                data += encode(known + [words[1]._replace(text=target.key, quoted=True)],
                               False).exact
            else:
                data += encode(words, peer.server).exact
        if data:
            peer.send(data)

    def _expect(self, peer: Peer, words: Words) -> None:
        name = words[0].bare
        if name == "nothing":
            self._pump(0)
            if peer.received or peer.over:
                raise self._wrong(f"{peer.name} got {peer.received!r} {peer.over}")
            return
        if name in ("end", "reset"):
            self._until(lambda: bool(peer.over), peer, name)
            if peer.received or (peer.over != name and not peer.server):
                raise self._wrong(f"{peer.name} got {peer.received!r} and {peer.over}, not {name}")
            return
        wanted = encode(words, not peer.server)
        if wanted.known:
            exact = wanted.exact
            self._until(lambda: len(peer.received) >= len(exact)
                        or not exact.startswith(peer.received), peer, words)
            if not peer.received.startswith(exact):
                raise self._wrong(f"{peer.name} expects {exact!r}, got {peer.received!r}")
            peer.received = peer.received[len(exact):]
            return
        self._until(lambda: whole(peer.received), peer, words)
        type_, body = peer.received[:1], peer.received[5:whole(peer.received)]
        if type_ != wanted.head or not wanted.matches(body):
            raise self._wrong(f"{peer.name} expects {words}, got {peer.received!r}")
        peer.received = peer.received[5 + len(body):]
        if type_ == b"K":
            peer.process_id, peer.key = body[:4], body[4:]

    # The world.

    def _peer(self, name: str) -> Peer:
        if name not in self.peers and is_server(name):
            self._until(lambda: name in self.peers, None, f"server connection {name}")
        elif name not in self.peers:
            sock = socket.create_connection(self.address, PATIENT * PATIENCE)
            self.peers[name] = Peer(name, sock)
        return self.peers[name]

    def _until(self, condition: Callable[[], object], peer: Optional[Peer], what: object) -> None:
        deadline = time.monotonic() + PATIENT * PATIENCE
        while not condition():
            left = deadline - time.monotonic()
            got = f"; got {peer.received!r} {peer.over}" if peer else ""
            if left <= 0 or (peer and peer.over and not condition()):
                raise self._wrong(f"never came: {what}{got}")
            self._pump(left)

    def _pass(self, seconds: float) -> None:
        """Time is what the script is about."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._pump(left)

    def _pump(self, timeout: float) -> None:
        """Takes what has come for anybody; waits for it as long as told."""
        with selectors.DefaultSelector() as selector:
            selector.register(self.listener, selectors.EVENT_READ, None)
            for peer in self.peers.values():
                if not peer.over:
                    selector.register(peer.socket, selectors.EVENT_READ, peer)
            for key, _ in selector.select(timeout):
                if key.data is None:
                    self.servers += 1
                    name = f"S{self.servers}"
                    self.peers[name] = Peer(name, self.listener.accept()[0])
                else:
                    key.data.receive()
        for peer in self.peers.values():
            if peer.server:
                self._serve(peer)

    def _serve(self, peer: Peer) -> None:
        """What a server says without a script."""
        if not peer.logged_in and (self.alone or self.script.config.get("logins") != "scripted"):
            size = int.from_bytes(peer.received[:4], "big")
            if 8 <= size <= len(peer.received) and peer.received[4:6] == b"\0\3":
                peer.received = peer.received[size:]
                peer.logged_in = True
                number = peer.name[1:]
                key = "key0"[:4 - len(number)] + number
                self._send(peer, split(
                    'AuthenticationOk ; ParameterStatus "server_version" "15.0" ; '
                    'ParameterStatus "client_encoding" "UTF8" ; '
                    f'BackendKeyData {1000 + int(number)} "{key}" ; ReadyForQuery I'))
        while self.alone and (size := whole(peer.received)):
            type_, body = peer.received[:1], peer.received[5:size]
            peer.received = peer.received[size:]
            if type_ == b"Q":
                text = body[:-1].decode().replace('"', '\\"')
                self._send(peer, split(f'CommandComplete "echo {text}" ; ReadyForQuery I'))
            elif type_ in SHORT_ANSWERS:
                self._send(peer, split(SHORT_ANSWERS[type_]))
            elif type_ == b"X":
                peer.end()

    def _waiting(self) -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        counts = re.findall(r"^\w+pool_clients\{.*state=\"waiting\".*\} (\d+)", text, re.MULTILINE)
        self._pump(0)
        return sum(map(int, counts))

    # The end: nothing is left unsaid, and the next client is served.

    def _finish(self) -> None:
        self.line = 0
        self._pump(0)
        for peer in self.peers.values():
            if not peer.server and peer.received:
                raise self._wrong(f"{peer.name} got what is not written: {peer.received!r}")
        self.alone = True
        for peer in self.peers.values():
            if not peer.server and peer.over != "closed":
                peer.end()
        following = self._next_client()
        following.send(encode(split('Query "next"')[0], False).exact)
        for words in split('CommandComplete "echo next" ; ReadyForQuery I'):
            self._expect(following, words)


    def _next_client(self) -> Peer:
        """One that is let in: a pool that was refused tries again after a pause."""
        deadline = time.monotonic() + PATIENT * PATIENCE
        startup = encode(split('Startup 3.0 user="u" database="app"')[0], False).exact
        attempt = 0
        while time.monotonic() < deadline:
            attempt += 1
            peer = self._peer(f"next{attempt}")
            peer.send(startup)
            ready = encode(split("ReadyForQuery I")[0], True).exact
            while not peer.over and not peer.received.endswith(ready):
                self._pump(max(0.0, deadline - time.monotonic()))
            if not peer.over:
                peer.received = b""
                return peer
        raise self._wrong("the next client is not let in")


def whole(data: bytes) -> int:
    """How long the first message is; 0 when it has not come to its end."""
    size = int.from_bytes(data[1:5], "big") + 1
    return size if len(data) >= 5 and len(data) >= size else 0
