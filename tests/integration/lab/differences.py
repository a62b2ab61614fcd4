"""The written list of what may differ between a recording made directly and one made through the
proxy, each with its reason. Everything else must be the same bytes."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Callable

from .messages import Message

Messages = list[Message]


@dataclass(frozen=True)
class Difference:
    what: str
    reason: str
    modes: tuple[str, ...]
    apply: Callable[[Messages], Messages]


def _each(type_: bytes, change: Callable[[Message], Message]) -> Callable[[Messages], Messages]:
    return lambda messages: [change(m) if m.type == type_ else m for m in messages]


def _without_authentication(messages: Messages) -> Messages:
    """Keeps AuthenticationOk only."""
    return [m for m in messages if m.type != b"R" or m.body == b"\0\0\0\0"]


def _key(message: Message) -> Message:
    return Message(b"K", b"pid." + b"." * (len(message.body) - 4))


def _login_order(messages: Messages) -> Messages:
    """Sorts the ParameterStatus messages that come before the first ReadyForQuery."""
    end = next((i for i, m in enumerate(messages) if m.type == b"Z"), 0)
    login = messages[:end]
    parameters = sorted((m for m in login if m.type == b"S"), key=lambda m: m.body)
    rest = [m for m in login if m.type not in b"SK"]
    keys = [m for m in login if m.type == b"K"]
    return rest + parameters + keys + messages[end:]


def _notification(message: Message) -> Message:
    return Message(b"A", b"pid." + message.body[4:])


ALLOWED = (
    Difference("the authentication exchange",
               "the proxy has challenges and salts of its own, and over TLS its own certificate to "
               "bind to; AuthenticationOk itself must come",
               ("session", "transaction"), _without_authentication),
    Difference("BackendKeyData's process id and key",
               "a cancel request must come to the proxy, which makes keys of its own",
               ("session", "transaction"), _each(b"K", _key)),
    Difference("the order of ParameterStatus and BackendKeyData before the first ReadyForQuery",
               "PostgreSQL's order is that of its table of settings; the set must be the same",
               ("session", "transaction"), _login_order),
    Difference("the process id in NotificationResponse",
               "it names a server process, and must be one that the client can know its own by",
               ("session", "transaction"), _each(b"A", _notification)),
)


def normalised(messages: Messages, mode: str) -> Messages:
    for difference in ALLOWED:
        if mode in difference.modes:
            messages = difference.apply(messages)
    return messages


def show(message: Message) -> str:
    if message.type == b"K":
        pid, = struct.unpack_from("!I", message.body)
        return f"BackendKeyData(pid {pid}, {len(message.body) - 4} bytes)"
    return repr(message)


def first_difference(ours: Messages, theirs: Messages, mode: str) -> str:
    """Where two recordings part, with what came before; empty when they are the same."""
    ours, theirs = normalised(ours, mode), normalised(theirs, mode)
    for at in range(max(len(ours), len(theirs))):
        a = ours[at] if at < len(ours) else None
        b = theirs[at] if at < len(theirs) else None
        if a != b:
            before = "\n".join(f"      {show(m)}" for m in ours[max(0, at - 4):at])
            return (f"message {at + 1} differs, after\n{before}\n"
                    f"    direct:  {show(a) if a else 'nothing more'}\n"
                    f"    through: {show(b) if b else 'nothing more'}")
    return ""


def print_all() -> None:
    for number, difference in enumerate(ALLOWED, 1):
        print(f"{number}. {difference.what} ({', '.join(difference.modes)} mode)\n"
              f"   {difference.reason}")
