"""PostgreSQL's messages: built by functions named as in the manual, and taken apart."""

from __future__ import annotations

import struct
from typing import Iterable, NamedTuple, Optional, Sequence, Union

PROTOCOL_3_0 = 196608
PROTOCOL_3_2 = 196610
CANCEL_REQUEST = 80877102
SSL_REQUEST = 80877103
GSSENC_REQUEST = 80877104

Value = Union[str, bytes, None]

BACKEND = {
    b"R": "Authentication", b"K": "BackendKeyData", b"2": "BindComplete", b"3": "CloseComplete",
    b"C": "CommandComplete", b"W": "CopyBothResponse", b"d": "CopyData", b"c": "CopyDone",
    b"G": "CopyInResponse", b"H": "CopyOutResponse", b"D": "DataRow", b"I": "EmptyQueryResponse",
    b"E": "ErrorResponse", b"V": "FunctionCallResponse", b"v": "NegotiateProtocolVersion",
    b"n": "NoData", b"N": "NoticeResponse", b"A": "NotificationResponse",
    b"t": "ParameterDescription", b"S": "ParameterStatus", b"1": "ParseComplete",
    b"s": "PortalSuspended", b"Z": "ReadyForQuery", b"T": "RowDescription",
}


class Message(NamedTuple):
    """A message from a server: its type byte and what follows the length word."""
    type: bytes
    body: bytes

    @property
    def name(self) -> str:
        return BACKEND.get(self.type, f"unknown {self.type!r}")

    @property
    def raw(self) -> bytes:
        return message(self.type, self.body)

    def fields(self) -> dict[str, str]:
        """The fields of an ErrorResponse or NoticeResponse, by their letter."""
        result = {}
        for part in self.body.split(b"\0"):
            if part:
                result[chr(part[0])] = part[1:].decode(errors="replace")
        return result

    @property
    def sqlstate(self) -> str:
        """Of an error or notice; other messages have none."""
        return self.fields().get("C", "") if self.type in b"EN" else ""

    @property
    def text(self) -> str:
        """The message of an error, or the tag of a CommandComplete."""
        if self.type in b"EN":
            return self.fields().get("M", "")
        return self.body.rstrip(b"\0").decode(errors="replace")

    def column_names(self) -> list[str]:
        """Of a RowDescription."""
        count, = struct.unpack_from("!H", self.body)
        names = []
        at = 2
        for _ in range(count):
            end = self.body.index(b"\0", at)
            names.append(self.body[at:end].decode())
            at = end + 1 + 18
        return names

    def columns(self) -> list[Optional[bytes]]:
        """The values of a DataRow."""
        count, = struct.unpack_from("!H", self.body)
        values: list[Optional[bytes]] = []
        at = 2
        for _ in range(count):
            size, = struct.unpack_from("!i", self.body, at)
            at += 4
            values.append(None if size < 0 else self.body[at:at + size])
            at += max(size, 0)
        return values

    def __repr__(self) -> str:
        if self.type in b"EN":
            shown: object = self.fields()
        elif self.type == b"D":
            shown = [c if c is None or len(c) < 60 else c[:60] + b"..." for c in self.columns()]
        else:
            shown = self.body if len(self.body) < 80 else self.body[:80] + b"..."
        return f"{self.name}({shown!r})"


def names(messages: Iterable[Message]) -> str:
    """"ParseComplete BindComplete DataRow*3 ReadyForQuery": what came, in order."""
    result: list[str] = []
    last, count = "", 0
    for name in [m.name for m in messages] + [""]:
        if name == last:
            count += 1
            continue
        if last:
            result.append(last if count == 1 else f"{last}*{count}")
        last, count = name, 1
    return " ".join(result)


def only(messages: Iterable[Message], type_: bytes) -> list[Message]:
    return [m for m in messages if m.type == type_]


def text(value: Union[str, bytes]) -> bytes:
    return (value.encode() if isinstance(value, str) else value) + b"\0"


def message(type_: bytes, body: bytes = b"") -> bytes:
    return type_ + struct.pack("!I", len(body) + 4) + body


# What a client sends before anything else.

def startup(parameters: Union[dict[str, str], Sequence[tuple[str, str]]],
            version: int = PROTOCOL_3_0) -> bytes:
    pairs = parameters.items() if isinstance(parameters, dict) else parameters
    body = struct.pack("!I", version) + b"".join(text(k) + text(v) for k, v in pairs) + b"\0"
    return struct.pack("!I", len(body) + 4) + body


def ssl_request() -> bytes:
    return struct.pack("!II", 8, SSL_REQUEST)


def gssenc_request() -> bytes:
    return struct.pack("!II", 8, GSSENC_REQUEST)


def cancel_request(process_id: int, key: bytes) -> bytes:
    return struct.pack("!III", 12 + len(key), CANCEL_REQUEST, process_id) + key


# What a client sends after that.

def password(value: Union[str, bytes]) -> bytes:
    return message(b"p", text(value))


def sasl_initial_response(mechanism: str, data: bytes) -> bytes:
    return message(b"p", text(mechanism) + struct.pack("!i", len(data)) + data)


def sasl_response(data: bytes) -> bytes:
    return message(b"p", data)


def query(sql: Union[str, bytes]) -> bytes:
    return message(b"Q", text(sql))


def parse(name: str, sql: Union[str, bytes], types: Sequence[int] = ()) -> bytes:
    return message(b"P", text(name) + text(sql) + struct.pack(f"!H{len(types)}I", len(types), *types))


def bind(portal: str, statement: str, values: Sequence[Value] = (), *,
         formats: Sequence[int] = (), results: Sequence[int] = ()) -> bytes:
    body = text(portal) + text(statement)
    body += struct.pack(f"!H{len(formats)}H", len(formats), *formats)
    body += struct.pack("!H", len(values))
    for value in values:
        if value is None:
            body += struct.pack("!i", -1)
        else:
            data = value.encode() if isinstance(value, str) else value
            body += struct.pack("!i", len(data)) + data
    return message(b"B", body + struct.pack(f"!H{len(results)}H", len(results), *results))


def describe_statement(name: str) -> bytes:
    return message(b"D", b"S" + text(name))


def describe_portal(name: str) -> bytes:
    return message(b"D", b"P" + text(name))


def close_statement(name: str) -> bytes:
    return message(b"C", b"S" + text(name))


def close_portal(name: str) -> bytes:
    return message(b"C", b"P" + text(name))


def execute(portal: str, rows: int = 0) -> bytes:
    return message(b"E", text(portal) + struct.pack("!I", rows))


def sync() -> bytes:
    return message(b"S")


def flush() -> bytes:
    return message(b"H")


def terminate() -> bytes:
    return message(b"X")


def copy_data(data: bytes) -> bytes:
    return message(b"d", data)


def copy_done() -> bytes:
    return message(b"c")


def copy_fail(reason: str) -> bytes:
    return message(b"f", text(reason))


def function_call(oid: int, arguments: Sequence[Value], *, formats: Sequence[int] = (),
                  result_format: int = 0) -> bytes:
    body = struct.pack(f"!IH{len(formats)}H", oid, len(formats), *formats)
    body += struct.pack("!H", len(arguments))
    for value in arguments:
        if value is None:
            body += struct.pack("!i", -1)
        else:
            data = value.encode() if isinstance(value, str) else value
            body += struct.pack("!i", len(data)) + data
    return message(b"F", body + struct.pack("!H", result_format))


# What a server sends (for the scripted server).

def authentication(code: int, data: bytes = b"") -> bytes:
    return message(b"R", struct.pack("!I", code) + data)


def parameter_status(name: str, value: str) -> bytes:
    return message(b"S", text(name) + text(value))


def backend_key_data(process_id: int, key: bytes) -> bytes:
    return message(b"K", struct.pack("!I", process_id) + key)


def ready_for_query(status: bytes = b"I") -> bytes:
    return message(b"Z", status)


def command_complete(tag: str) -> bytes:
    return message(b"C", text(tag))


def error_response(**fields: str) -> bytes:
    """error_response(S="ERROR", C="42601", M="text"): one letter for each field."""
    return message(b"E", b"".join(k.encode() + text(v) for k, v in fields.items()) + b"\0")


def row_description(*columns: str) -> bytes:
    body = struct.pack("!H", len(columns))
    for column in columns:
        body += text(column) + struct.pack("!IHIhiH", 0, 0, 25, -1, -1, 0)
    return message(b"T", body)


def data_row(*values: Value) -> bytes:
    body = struct.pack("!H", len(values))
    for value in values:
        if value is None:
            body += struct.pack("!i", -1)
        else:
            data = value.encode() if isinstance(value, str) else value
            body += struct.pack("!i", len(data)) + data
    return message(b"D", body)
