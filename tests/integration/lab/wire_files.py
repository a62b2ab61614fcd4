"""Reads `.wire` files (tests/scripted/README.md): lines, words, and the bytes they stand for."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Optional, Union

from . import messages as m

FOLDER = Path(__file__).resolve().parents[2] / "scripted"


class Word(NamedTuple):
    text: bytes
    name: str = ""
    quoted: bool = False

    @property
    def bare(self) -> str:
        """The text of a word that stands for itself; "" for what is quoted or has a name."""
        return "" if self.quoted or self.name else self.text.decode()


Words = list[Word]
ESCAPES = {"n": b"\n", "t": b"\t", "0": b"\0"}


class Scanner:
    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def skip_blanks(self) -> None:
        while self.at < len(self.text) and self.text[self.at] in " \t":
            self.at += 1

    def peek(self) -> str:
        return self.text[self.at:self.at + 1]

    def next(self) -> str:
        self.at += 1
        return self.text[self.at - 1]

    def quoted(self) -> bytes:
        self.next()
        value = b""
        while (c := self.next()) != '"':
            if c != "\\":
                value += c.encode()
                continue
            c = self.next()
            value += bytes.fromhex(self.next() + self.next()) if c == "x" else \
                ESCAPES.get(c, c.encode())
        return value

    def bare(self) -> str:
        found = re.compile(r'[^ \t;="]+').match(self.text, self.at)
        if found is None:
            raise ValueError(f"unexpected {self.peek()!r} in: {self.text}")
        self.at = found.end()
        return found[0]

    def word(self) -> Word:
        if self.peek() == '"':
            return Word(self.quoted(), "", True)
        text = self.bare()
        if self.peek() != "=":
            return Word(text.encode())
        self.next()
        if self.peek() == '"':
            return Word(self.quoted(), text, True)
        return Word(self.bare().encode(), text)


def split(text: str) -> list[Words]:
    """Messages, each as its words."""
    scanner, result, words = Scanner(text), [], []  # type: ignore[var-annotated]
    scanner.skip_blanks()
    while scanner.peek():
        if scanner.peek() == ";":
            scanner.next()
            result.append(words)
            words = []
        else:
            words.append(scanner.word())
        scanner.skip_blanks()
    return result + [words] if words else result


# A field that may be anything, as a regular expression.
class Any(bytes):
    pass


Piece = Union[bytes, Any]
ANY_TEXT, ANY_NUMBER, ANY_REST = Any(rb"[^\0]*"), Any(rb".{4}"), Any(rb".*")

FRONTEND = {
    "Bind": (b"B", "text text bound"), "Close": (b"C", "letter text"), "CopyData": (b"d", "rest"),
    "CopyDone": (b"c", ""), "CopyFail": (b"f", "text"), "Describe": (b"D", "letter text"),
    "Execute": (b"E", "text optional"), "Flush": (b"H", ""),
    "FunctionCall": (b"F", "number argument"), "Parse": (b"P", "text text types"),
    "Password": (b"p", "text"), "SASLResponse": (b"p", "rest"), "Query": (b"Q", "text"),
    "Sync": (b"S", ""), "Terminate": (b"X", ""),
}
BACKEND = {
    "AuthenticationOk": (b"R", "code0"), "AuthenticationCleartextPassword": (b"R", "code3"),
    "BackendKeyData": (b"K", "number rest"), "BindComplete": (b"2", ""),
    "CloseComplete": (b"3", ""), "CommandComplete": (b"C", "text"),
    "CopyBothResponse": (b"W", "copy"), "CopyData": (b"d", "rest"), "CopyDone": (b"c", ""),
    "CopyInResponse": (b"G", "copy"), "CopyOutResponse": (b"H", "copy"),
    "DataRow": (b"D", "values"), "EmptyQueryResponse": (b"I", ""),
    "ErrorResponse": (b"E", "report"), "FunctionCallResponse": (b"V", "argument"),
    "NegotiateProtocolVersion": (b"v", "number options"), "NoData": (b"n", ""),
    "NoticeResponse": (b"N", "report"), "NotificationResponse": (b"A", "number text text"),
    "ParameterDescription": (b"t", "types"), "ParameterStatus": (b"S", "text text"),
    "ParseComplete": (b"1", ""), "PortalSuspended": (b"s", ""), "ReadyForQuery": (b"Z", "letter"),
    "RowDescription": (b"T", "columns"),
}
REQUESTS = {"SSLRequest": m.SSL_REQUEST, "GSSENCRequest": m.GSSENC_REQUEST}


def u16(value: int) -> bytes:
    return struct.pack("!H", value)


def u32(value: int) -> bytes:
    return struct.pack("!I", value)


def number(word: Word) -> int:
    major, dot, minor = word.text.decode().partition(".")
    return (int(major) << 16) + int(minor) if dot else int(major)


def value(word: Word) -> bytes:
    return u32(0xFFFFFFFF) if word.bare == "null" else u32(len(word.text)) + word.text


class Body:
    """A message's body, field by field, from its words."""

    def __init__(self, words: Words) -> None:
        self.name, self.words = words[0].text.decode(), words[1:]
        self.pieces: list[Piece] = []

    def build(self, fields: str) -> list[Piece]:
        for kind in fields.split():
            if self.words and self.words[0].bare == "...":
                self.words = []
                self.pieces.append(ANY_REST)
                return self.pieces
            if kind.startswith("code"):
                self.pieces.append(u32(int(kind[4:])))
            else:
                getattr(self, kind)()
        if self.words:
            raise ValueError(f"too many words: {self.name} {self.words}")
        return self.pieces

    def _one(self, any_: Any, literal: bytes) -> None:
        self.pieces.append(any_ if self.words.pop(0).bare == "*" else literal)

    def text(self) -> None:
        self._one(ANY_TEXT, self.words[0].text)
        self.pieces.append(b"\0")

    def letter(self) -> None:
        self._one(Any(b"."), self.words[0].text)

    def number(self) -> None:
        self._one(ANY_NUMBER, b"" if self.words[0].bare == "*" else u32(number(self.words[0])))

    def optional(self) -> None:
        self.pieces.append(u32(number(self.words.pop(0)) if self.words else 0))

    def rest(self) -> None:
        if self.words:
            self._one(ANY_REST, self.words[0].text)

    def _all(self, count: bytes, items: list[bytes]) -> None:
        self.pieces += [count, *items]
        self.words = []

    def types(self) -> None:
        self._all(u16(len(self.words)), [u32(number(w)) for w in self.words])

    def values(self) -> None:
        self._all(u16(len(self.words)), [value(w) for w in self.words])

    def bound(self) -> None:
        self.pieces.append(u16(0))
        self.values()
        self.pieces.append(u16(0))

    def columns(self) -> None:
        self._all(u16(len(self.words)), [w.text + b"\0" + struct.pack("!IHIHIH", 0, 0, 25, 0xFFFF,
                                                                   0xFFFFFFFF, 0)
                                         for w in self.words])

    def options(self) -> None:
        self._all(u32(len(self.words)), [w.text + b"\0" for w in self.words])

    def copy(self) -> None:
        self.pieces.append(b"\0\0\0")

    def argument(self) -> None:
        call = self.name == "FunctionCall"
        self.pieces += [u16(0) + u16(1) if call else b"", value(self.words.pop(0)),
                        u16(0) if call else b""]

    def report(self) -> None:
        for letters in ("SV", "C", "M"):
            if not self.words or self.words[0].name:
                break
            word = self.words.pop(0)
            if word.bare == "...":
                self.pieces.append(ANY_REST)
                return
            for letter in letters:
                self.pieces += [letter.encode(), ANY_TEXT if word.bare == "*" else word.text, b"\0"]
        for word in self.words:
            if word.bare == "...":
                self.pieces.append(ANY_REST)
                self.words = []
                return
            self.pieces.append(word.name.encode() + word.text + b"\0")
        self.words = []
        self.pieces.append(b"\0")


@dataclass
class Encoded:
    """The bytes that a message stands for, with or without places that may be anything."""
    head: bytes                 # the type; nothing for what has no length either
    pieces: list[Piece]

    @property
    def exact(self) -> bytes:
        body = b"".join(self.pieces)
        return self.head + u32(len(body) + 4) + body if self.head else body

    @property
    def known(self) -> bool:
        return not any(isinstance(piece, Any) for piece in self.pieces)

    def matches(self, body: bytes) -> bool:
        pattern = b"".join(p if isinstance(p, Any) else re.escape(p) for p in self.pieces)
        return re.fullmatch(pattern, body, re.DOTALL) is not None


def encode(words: Words, server: bool) -> Encoded:
    """What a peer says: a server's messages, or those of a client, start-up packets included."""
    name = words[0].text.decode()
    if name == "hex":
        return Encoded(b"", [bytes.fromhex(words[1].text.decode())])
    if name == "bytes":
        return Encoded(b"", [words[1].text])
    specs = BACKEND if server else FRONTEND
    if name in specs:
        type_, fields = specs[name]
        return Encoded(type_, Body(words).build(fields))
    if server:
        raise ValueError(f"no such message: {name}")
    if name in REQUESTS:
        body = u32(REQUESTS[name])
    elif name == "CancelRequest":
        body = u32(m.CANCEL_REQUEST) + u32(number(words[1])) + words[2].text
    elif name == "Startup":
        body = u32(number(words[1])) + b"".join(
            w.name.encode() + b"\0" + w.text + b"\0" for w in words[2:]) + b"\0"
    else:
        raise ValueError(f"no such message: {name}")
    return Encoded(b"", [u32(len(body) + 4) + body])


@dataclass
class Step:
    line: int
    verb: str                   # ">", "<", "login", "wait", "waiting"
    peer: str = ""
    messages: list[Words] = field(default_factory=list)
    argument: str = ""


@dataclass
class Script:
    name: str
    config: dict[str, str]
    steps: list[Step]


def lines(path: Path) -> list[tuple[int, str]]:
    """The lines with what continues them, and where they begin."""
    result: list[tuple[int, str]] = []
    for at, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line[0] in " \t":
            result[-1] = (result[-1][0], result[-1][1] + " " + line.strip())
        else:
            result.append((at, line))
    return result


def read_script(path: Path) -> Script:
    script = Script(path.stem, {}, [])
    for at, line in lines(path):
        messages = split(line)
        first = messages[0]
        peer, verb = first[0].bare, first[1].bare if len(first) > 1 else ""
        if peer == "config":
            script.config.update({w.name: w.text.decode() for w in first[1:]})
        elif peer in ("wait", "waiting"):
            script.steps.append(Step(at, peer, argument=verb))
        elif verb == "->":
            messages[0] = first[3:]
            script.steps.append(Step(at, ">", peer, messages))
            script.steps.append(Step(at, "<", first[2].bare, messages))
        elif verb in (">", "<", "login"):
            messages[0] = first[2:]
            script.steps.append(Step(at, verb, peer, messages))
        else:
            raise ValueError(f"{path.name}:{at}: cannot read {line!r}")
    return script


def names(only: Optional[str] = None) -> list[str]:
    """The files that may be played against the program."""
    return sorted(path.stem for path in FOLDER.glob("*.wire")
                  if read_script(path).config.get("only", only) != "core")
