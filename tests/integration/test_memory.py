"""Streams far larger than any buffer: they go through, and the target's memory stays flat."""

from __future__ import annotations

import hashlib
import socket
import struct
import time
from typing import Optional

from lab import messages as m
from lab.declare import MODES, TLS, test
from lab.lab import Lab
from lab.process import LabError
from lab.target import Target
from lab.wire import Client, Connection

MIB = 1024 * 1024
GROWTH_MIB = 64
ROW = b"x" * 65535 + b"\n"
# COPY ... WHERE is from PostgreSQL 12 on: every row is read and none is kept.
COPY_IN = "copy stream_in from stdin where false"
COPY_OUT = "copy (select repeat('x', 65535) from generate_series(1, {rows})) to stdout"


class Memory:
    """The growth of the target's resident memory, from now to its peak."""

    def __init__(self, lab: Lab, target: Target) -> None:
        self.child = target.child
        self.measured = self.child is not None and not lab.sanitized
        self.before = self.child.memory_kib("VmRSS") if self.child else 0

    def check(self, what: str) -> None:
        if not self.measured or self.child is None:
            return
        growth = (self.child.memory_kib("VmHWM") - self.before) / 1024
        if growth > GROWTH_MIB:
            raise LabError(f"{what}: resident memory grew by {growth:.0f} MiB, "
                           f"{GROWTH_MIB} MiB are allowed")


def size(lab: Lab, mib: int) -> int:
    """The size of a stream; much less through a sanitized build, which is slow."""
    return (mib // 16 if lab.sanitized else mib) * MIB


def prepared(lab: Lab) -> tuple[Target, Client]:
    target = lab.target(pool_size=2)
    client = lab.keep(target.connect(within=60))
    client.run("create table if not exists stream_in (t text)")
    client.run("select 1")
    return target, client


def discard_messages(client: Connection, type_: bytes) -> int:
    """Reads messages of one type without keeping them; gives how many bytes their bodies held.
    The message of another type that ends them stays unread."""
    total = 0
    while True:
        while len(client.buffer) < 5:
            if not client.receive():
                raise LabError("the stream ended early")
        length, = struct.unpack_from("!I", client.buffer, 1)
        if client.buffer[:1] != type_:
            return total
        total += length - 4
        left = length + 1
        while left > 0:
            if not client.buffer and not client.receive():
                raise LabError("the stream ended early")
            taken = min(left, len(client.buffer))
            del client.buffer[:taken]
            left -= taken


@test(modes=MODES, tls=TLS, within=180, alone=True)
def copy_in_of_a_gibibyte(lab: Lab) -> None:
    target, client = prepared(lab)
    memory = Memory(lab, target)
    rows = size(lab, 1024) // len(ROW)
    client.send(m.query(COPY_IN))
    client.read_until(b"G")
    chunk = m.copy_data(ROW) * 16
    for _ in range(rows // 16):
        client.send(chunk)
    answer = client.messages(m.copy_done())
    assert m.names(answer) == "CommandComplete ReadyForQuery", answer
    memory.check("COPY in")
    assert client.value("select 1") == "1"


@test(modes=MODES, tls=TLS, within=180, alone=True)
def copy_out_of_a_gibibyte(lab: Lab) -> None:
    target, client = prepared(lab)
    memory = Memory(lab, target)
    rows = size(lab, 1024) // len(ROW)
    client.send(m.query(COPY_OUT.format(rows=rows)))
    client.read_until(b"H")
    assert discard_messages(client, b"d") == rows * len(ROW)
    assert m.names(client.until_ready()) == "CopyDone CommandComplete ReadyForQuery"
    memory.check("COPY out")
    assert client.value("select 1") == "1"


@test(modes=MODES, tls=TLS, within=180, alone=True)
def one_row_of_half_a_gibibyte(lab: Lab) -> None:
    """A single DataRow: nobody may want to hold it whole."""
    target, client = prepared(lab)
    memory = Memory(lab, target)
    length = size(lab, 512)
    client.send(m.query(f"select repeat('x', {length})"))
    client.read_until(b"T")
    assert discard_messages(client, b"D") == length + 6
    assert m.names(client.until_ready()) == "CommandComplete ReadyForQuery"
    memory.check("a large row")
    assert client.value("select 1") == "1"


def statement(lab: Lab) -> tuple[str, bytes]:
    length = size(lab, 200)
    block = hashlib.sha256(b"seed").hexdigest().encode()
    text = block * (length // len(block))
    return hashlib.md5(text).hexdigest(), text


@test(modes=MODES, tls=TLS, within=180, alone=True)
def simple_statement_of_200_mebibytes(lab: Lab) -> None:
    target, client = prepared(lab)
    expected, text = statement(lab)
    memory = Memory(lab, target)
    answer = client.messages(m.query(b"select md5('" + text + b"')"))
    assert m.only(answer, b"D")[0].columns() == [expected.encode()], m.names(answer)
    memory.check("a large Query")
    assert client.value("select 1") == "1"


@test(modes=MODES, tls=TLS, within=180, alone=True)
def extended_statement_of_200_mebibytes(lab: Lab) -> None:
    """Once as the text of a Parse, once as a parameter of a Bind."""
    target, client = prepared(lab)
    expected, text = statement(lab)
    memory = Memory(lab, target)
    answer = client.messages(m.parse("", b"select md5('" + text + b"')"), m.bind("", ""),
                             m.execute(""), m.sync())
    assert m.only(answer, b"D")[0].columns() == [expected.encode()], m.names(answer)
    answer = client.messages(m.parse("", "select md5($1::text)"), m.bind("", "", [text]),
                             m.execute(""), m.sync())
    assert m.only(answer, b"D")[0].columns() == [expected.encode()], m.names(answer)
    memory.check("a large Parse and a large Bind")
    assert client.value("select 1") == "1"


@test(modes=MODES, tls=TLS, within=180, alone=True)
def gibibyte_to_a_slow_reader(lab: Lab) -> None:
    """The producer is held back while the client does not read; nothing is lost."""
    target, client = prepared(lab)
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    memory = Memory(lab, target)
    rows = size(lab, 1024) // len(ROW)
    client.send(m.query(f"select repeat('x', 65535) from generate_series(1, {rows})"))
    client.read_until(b"T")
    begun = time.monotonic()
    progress: Optional[int] = None
    for _ in range(3):                      # not reading at all for a while
        time.sleep(0.5)
        memory.check("a client that does not read")
        if target.child is not None:
            cpu = target.child.cpu_seconds()
            if progress is not None and cpu - progress > 0.3:
                raise LabError("the target is busy although nobody reads")
            progress = cpu
    while time.monotonic() - begun < 4:     # then in drops
        client.receive()
        time.sleep(0.005)
    assert discard_messages(client, b"D") == rows * (len(ROW) - 1 + 6)
    assert m.names(client.until_ready()) == "CommandComplete ReadyForQuery"
    memory.check("a slow reader")
    assert client.value("select 1") == "1"


@test(modes=("transaction",), tls=TLS, within=120, alone=True)
def twenty_slow_readers(lab: Lab) -> None:
    """Memory is bounded for each connection, and one that does not read holds up nobody else."""
    target = lab.target(pool_size=25)
    memory = Memory(lab, target)
    rows = size(lab, 64) // len(ROW)
    slow = [lab.keep(target.connect(within=60)) for _ in range(20)]
    for client in slow:
        client.send(m.query(f"select repeat('x', 65535) from generate_series(1, {rows})"))
    for _ in range(10):
        target.check_healthy()
    for client in slow:
        client.read_until(b"T")
        assert discard_messages(client, b"D") == rows * (len(ROW) - 1 + 6)
        client.until_ready()
    memory.check("20 slow readers")


@test(modes=("transaction",), within=120, alone=True)
def client_that_never_reads_and_leaves(lab: Lab) -> None:
    target = lab.target(pool_size=2)
    memory = Memory(lab, target)
    for turn in range(4):
        client = target.connect()
        client.send(m.query("select repeat('x', 1000000) from generate_series(1, 1000)"))
        client.read_until(b"T")
        if turn % 2:
            client.reset()
        else:
            client.close()
        target.check_healthy()
    memory.check("clients that leave in the middle")
