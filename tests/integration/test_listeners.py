"""Where clients come from: balancers that speak the PROXY protocol, and rules of single listeners."""

from __future__ import annotations

import socket
import struct
from typing import Any

from lab import ports
from lab.declare import FOREBAY, TLS, test
from lab.lab import Lab
from lab.process import wait_until
from lab.target import Target
from lab.wire import Client, Ended, refused

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v1(address: str) -> bytes:
    return f"PROXY TCP4 {address} 192.0.2.1 4711 5432\r\n".encode()


def v2(address: str, command: int = 0x21, more: bytes = b"") -> bytes:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    there = socket.inet_pton(family, address)
    body = there + there + struct.pack("!HH", 4711, 5432) + more
    kind = 0x21 if family == socket.AF_INET6 else 0x11
    return SIGNATURE + struct.pack("!BBH", command, kind, len(body)) + body


class Behind(Client):
    """A client behind a balancer."""

    header = b""

    def send(self, *pieces: bytes) -> None:
        header, self.header = self.header, b""
        super().send(header, *pieces)


def through(target: Target, header: bytes, **more: Any) -> Client:
    kind = type("Through", (Behind,), {"header": header})
    client: Client = kind(target.address, user="app", database="app", password="app-secret",
                          tls=target.tls(), **more)
    return client


@test(tls=TLS, targets=FOREBAY)
def through_a_balancer(lab: Lab) -> None:
    """Limits, rules and views know the client's address, not the balancer's."""
    own = f"{lab.folder}/socket"
    target = lab.target(listen=[own], options={
        "proxy_protocol_from": ["127.0.0.0/8"], "deny_from": ["203.0.113.9"],
        "max_address_client_connections": 1, "admin_users": "app"})
    with through(target, v1("203.0.113.1")) as first, \
            through(target, v2("203.0.113.2", more=b"\3\0\4abcd")) as second, \
            through(target, v2("2001:db8::1")) as third, \
            through(target, v2("203.0.113.3", command=0x20)) as itself:
        for client in (first, second, third, itself):
            assert client.value("select 1") == "1"
        error = refused(lambda: through(target, v1("203.0.113.1")))
        assert error.sqlstate == "53300" and "203.0.113.1 " in error.text, error
        error = refused(lambda: through(target, v2("203.0.113.9")))
        assert error.sqlstate == "28000" and "address 203.0.113.9 are not" in error.text, error
        with target.connect(address=own, database="forebay", tls=None) as console:
            seen = {row[5] for row in console.rows("show clients")}
        assert seen == {"203.0.113.1", "203.0.113.2", "2001:db8::1", "127.0.0.1"}, seen


@test(targets=FOREBAY)
def who_is_believed(lab: Lab) -> None:
    """From a balancer a header is required, and nobody else's is one."""
    target = lab.target(options={"proxy_protocol_from": ["127.0.0.0/8"]})
    for header in (b"", b"PROXY TCP4 nonsense\r\n", v2("203.0.113.1", command=0x11)):
        try:
            through(target, header)
            raise AssertionError(f"{header!r} was let in")
        except Ended:
            pass
    wait_until(lambda: target.log.count("no header of the PROXY protocol") == 3, "it is logged")
    other = lab.target(options={"proxy_protocol_from": ["10.0.0.0/8"],
                                "deny_from": ["203.0.113.1"]})
    for header in (v1("203.0.113.1"), v2("203.0.113.1")):
        error = refused(lambda: through(other, header))
        assert error.sqlstate == "08P01", error
    with other.connect() as client:
        assert client.value("select 1") == "1"


@test(targets=FOREBAY)
def rules_of_one_listener(lab: Lab) -> None:
    second = ports.claim()
    name = f"127.0.0.1:{second}"
    target = lab.target(listen=[name], options={"listen_deny_from": {name: ["127.0.0.1"]}})
    with target.connect() as client:
        assert client.value("select 1") == "1"
    error = refused(lambda: target.connect(address=("127.0.0.1", second)))
    assert error.text == ("connections from address 127.0.0.1 are not allowed (it is in deny_from, "
                          f'set in [forebay] for listener "{name}")'), error
    target.stop()
    ports.release(second)
