"""Patroni's REST API and the JSON of an etcd with Patroni's keys, which say what a test wants."""

from __future__ import annotations

import base64
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Optional

from . import ports

PREFIX = "/service/lab/"
#: What a handler answers instead of the truth, by name: a status and a body.
LIES: dict[str, tuple[int, bytes]] = {
    "no JSON": (200, b"\0\xff{"),
    "deep": (200, b"[" * 500_000),
    "huge": (200, b'{"members": [' + b'{"name": "x"},' * 200_000 + b"{}]}"),
    "another program": (200, b"<html>It works!</html>"),
    "no members": (200, b'{"members": 7}'),
    "two leaders": (200, b'{"members": [{"name": "a", "role": "leader"}, '
                         b'{"name": "b", "role": "master"}]}'),
    "an error": (503, b"{}"),
    "elsewhere": (301, b""),
}


@dataclass
class Member:
    name: str
    port: int
    role: str = "replica"
    state: str = "running"
    timeline: int = 2
    tags: dict[str, Any] = field(default_factory=dict)

    def rest(self, leads: bool) -> dict[str, Any]:
        return {"name": self.name, "role": "leader" if leads else self.role, "state": self.state,
                "host": "127.0.0.1", "port": self.port, "timeline": self.timeline,
                "api_url": "http://127.0.0.1:1/patroni", "tags": self.tags}

    def key(self, leads: bool) -> dict[str, Any]:
        return {"conn_url": f"postgres://127.0.0.1:{self.port}/postgres", "state": self.state,
                "role": "master" if leads else self.role, "timeline": self.timeline,
                "version": "3.0.2", "xlog_location": 67108960, "tags": self.tags}


class FakePatroni:
    """Serves both; `lie` is the name of an entry of LIES, or "silence"."""

    def __init__(self, *members: Member) -> None:
        self.members = {member.name: member for member in members}
        self.leader: Optional[str] = None
        self.paused = False
        self.switchover: Optional[dict[str, str]] = None    # as its key in etcd has it
        self.lie = ""
        self.asked = 0
        self.revision = 10
        self.changed = threading.Condition()
        self.stopped = False
        self.port = ports.claim()
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                fake.serve(self)

            def do_POST(self) -> None:
                fake.serve(self)

        self.server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def say(self, **changes: Any) -> None:
        """From now on; who watches is told."""
        with self.changed:
            for name, value in changes.items():
                setattr(self, name, value)
            self.revision += 1
            self.changed.notify_all()

    def close(self) -> None:
        self.say(stopped=True)
        self.server.shutdown()
        self.server.server_close()
        ports.release(self.port)

    # What it answers.

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        with self.changed:
            self.asked += 1
            if self.lie == "silence":
                self.changed.wait_for(lambda: self.stopped or self.lie != "silence")
                handler.close_connection = True
                return
        if self.lie:
            self.answer(handler, *LIES[self.lie])
        elif handler.path == "/cluster":
            self.answer(handler, 200, json.dumps(self.cluster()).encode())
        elif handler.path == "/v3/kv/range":
            self.answer(handler, 200, json.dumps(self.range()).encode())
        elif handler.path == "/v3/watch":
            self.watch(handler, int(json.loads(body)["create_request"]["start_revision"]))
        else:
            self.answer(handler, 404, b"")

    @staticmethod
    def answer(handler: BaseHTTPRequestHandler, status: int, body: bytes) -> None:
        try:
            handler.send_response(status)
            if status == 301:
                handler.send_header("Location", "http://127.0.0.1:1/")
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)
        except OSError:
            pass            # it has heard enough

    def cluster(self) -> dict[str, Any]:
        asked = self.switchover or {}
        scheduled = {"at": asked.get("scheduled_at"), "from": asked.get("leader")}
        return {**({"scheduled_switchover": scheduled} if scheduled["at"] else {}), "members": [m.rest(m.name == self.leader) for m in self.members.values()],
                "scope": "lab", **({"pause": True} if self.paused else {})}

    def keys(self) -> dict[str, str]:
        keys = {f"members/{m.name}": json.dumps(m.key(m.name == self.leader))
                for m in self.members.values()}
        keys["config"] = json.dumps({"ttl": 5, **({"pause": True} if self.paused else {})})
        if self.leader is not None:
            keys["leader"] = self.leader
        if self.switchover is not None:
            keys["failover"] = json.dumps(self.switchover)
        return keys

    def range(self) -> dict[str, Any]:
        return {"header": {"revision": str(self.revision)},
                "kvs": [{"key": coded(PREFIX + name), "value": coded(value)}
                        for name, value in self.keys().items()]}

    def watch(self, handler: BaseHTTPRequestHandler, revision: int) -> None:
        def chunk(text: dict[str, Any]) -> None:
            data = json.dumps({"result": text}).encode() + b"\n"
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            handler.wfile.flush()
        handler.close_connection = True
        try:
            handler.send_response(200)
            handler.send_header("Transfer-Encoding", "chunked")
            handler.end_headers()
            chunk({"header": {}, "created": True})
            while not self.stopped and not self.lie:
                with self.changed:
                    self.changed.wait_for(
                        lambda: self.stopped or self.lie or self.revision >= revision)
                    revision = self.revision + 1
                chunk({"events": [{"type": "DELETE", "kv": {"key": coded(PREFIX + "leader")}}]})
        except OSError:
            pass


def coded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
