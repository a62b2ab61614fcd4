"""Plays a random conversation twice at the same time: each client directly, and through the target.
All that comes back must be the same."""

from __future__ import annotations

import itertools
import re
from contextlib import contextmanager
from typing import Callable, Iterator, Optional

from . import messages as m
from .messages import Message
from .process import LabError
from .random_messages import Plan, Say, Turn
from .target import Target
from .wire import Client, Ended

# Each extended message has one of these as its last answer, unless it fails or is skipped.
COPIED = ("copy_data", "copy_done", "copy_fail")        # have none of their own
ENDS = {"parse": b"1", "bind": b"2", "close_statement": b"3", "close_portal": b"3",
        "describe_statement": b"Tn", "describe_portal": b"Tn", "execute": b"CIs"}
ANSWERED = ("sync", "query", "function_call")           # ... by ReadyForQuery
# What keeps a server connection until the client leaves.
PINS = re.compile(r"\btemp\b|with hold|listen|advisory|set_config|currval|lastval|nextval|discard",
                  re.IGNORECASE)
TABLES = re.compile(r"\b[tu](\d)\b")
# What the README says is not the same, by its errors.
KNOWN = ("cached plan must not change result type",     # a result that has changed is taken anew
         "unnamed prepared statement does not exist",   # the one before, of a batch that failed
         "stack depth limit exceeded",                  # a circle of EXECUTEs fails sooner
         "server connection lost: terminating connection due")  # DDL, function calls
NO_PLAN = b"Utility statements have no plan structure"      # ... of an EXPLAIN of itself
LOGIN = {"work_mem": "3MB", "datestyle": "SQL, DMY"}


class Voice:
    """One connection, and what it has said without having heard the answer."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.notifications: list[Message] = []
        self.owed: list[Say] = []
        self.skipping = False
        self.status = b"I"

    def say(self, said: tuple[Say, ...]) -> None:
        self.client.send(*(each.bytes() for each in said))
        self.owed += said

    @property
    def asks(self) -> bool:
        said = [each.what for each in self.owed if each.what not in COPIED]
        return bool(said) and said[-1] in (*ANSWERED, "flush")

    @property
    def open(self) -> bool:
        """In a transaction, or in a batch."""
        return self.status != b"I" or bool(self.owed) or self.skipping

    def hear(self) -> list[Message]:
        """All that a server answers by now."""
        heard: list[Message] = []
        if not self.asks:
            return heard
        in_batch = False
        for said in self.owed:
            if said.what in COPIED:
                continue
            in_batch = said.what not in ANSWERED
            if said.what == "flush" or (self.skipping and said.what != "sync"):
                continue
            ends = b"Z" if said.what in ANSWERED else ENDS[said.what] + b"E"
            heard += self._until(ends)
            if heard[-1].type == b"Z":
                self.status = heard[-1].body
                if len(self.status) > 1:        # nothing more comes
                    return heard
            self.skipping = heard[-1].type == b"E"
        self.owed = [Say("flush")] if in_batch else []
        return heard

    def hear_notifications(self, count: int) -> None:
        try:
            while len(self.notifications) < count:
                message = self.client.read()
                if message.type == b"A":
                    self.notifications.append(message)
        except (Ended, LabError):
            pass

    def _until(self, ends: bytes) -> list[Message]:
        heard: list[Message] = []
        while not heard or heard[-1].type not in ends:
            try:
                message = self.client.read()
            except (Ended, LabError) as error:
                return [*heard, Message(b"Z", str(error).encode())]
            if message.type == b"A":
                self.notifications.append(message)
                continue
            heard.append(message)
            if message.type == b"Z":
                return heard
        return heard


def known_difference(heard: list[Message], got: list[Message]) -> bool:
    """Behind one, everything may differ."""
    return any(each.type == b"E" and each.text.startswith(KNOWN) or NO_PLAN in each.body
               for each in [*heard, *got])


def is_odd(plan: Plan) -> bool:
    """Whether somebody executes, by EXECUTE, what is itself a PREPARE or DEALLOCATE, or the very
    statement that says so. PostgreSQL lets them; Forebay does not follow them."""
    said = [each for turn in plan.turns for _, all_said in turn.said for each in all_said]
    texts = [each.arguments[-1 if each.what == "query" else 1].lower() for each in said
             if each.what in ("parse", "query")]
    for each in said:
        if each.what != "parse" or not each.arguments[0]:
            continue
        name, text = each.arguments[0], each.arguments[1].lower()
        runs = re.compile(rf'execute (/\* c \*/ )?"?{name}\b')
        if runs.search(text) or (text.startswith(("prepare", "deallocate"))
                                 and any(runs.search(other) for other in texts)):
            return True
    return False


def comparable(message: Message) -> Message:
    """Without the numbers of tables."""
    if message.type != b"T":
        return message
    body = bytearray(message.body)
    at = 2
    while at < len(body):
        at = body.index(0, at) + 1
        body[at:at + 4] = b"\0\0\0\1" if any(body[at:at + 4]) else b"\0\0\0\0"
        at += 18
    return Message(b"T", bytes(body))


class Play:
    """One performance of a plan."""

    def __init__(self, plan: Plan, theatre: "Theatre") -> None:
        self.plan = plan
        self.theatre = theatre
        self.target = theatre.target(plan)
        self.clients: list[Client] = []
        logins = plan.logins or (LOGIN if plan.startup else {},) * plan.clients
        self.pairs = [self.open_pair(login) for login in logins[:plan.clients]]
        self.other = self.open(self.target.connect, {}).client
        self.pinned: set[int] = set()
        self.listened: set[int] = set()
        self.tables = {int(n) for turn in plan.turns for _, said in turn.said
                       for n in TABLES.findall(repr(said))}

    def open(self, connect: Callable[..., Client], login: dict[str, str]) -> Voice:
        client = connect(within=4, **login)
        self.clients.append(client)
        return Voice(client)

    def open_pair(self, login: dict[str, str]) -> tuple[Voice, Voice]:
        return (self.open(self.theatre.direct, login), self.open(self.target.connect, login))

    def close(self) -> None:
        for client in self.clients:
            client.close()

    def prepare(self) -> None:
        with self.theatre.direct() as direct:
            for n in range(4) if self.plan.logins else self.tables:
                for client in (direct, self.other):
                    client.run(self.theatre.setting_up(n))
        self.theatre.settle()

    def keeps(self, client: int) -> bool:
        return client in self.pinned or self.pairs[client][0].open

    def kept(self) -> int:
        return sum(self.keeps(client) for client in range(self.plan.clients))

    def run(self) -> str:
        """The first difference; empty for none."""
        self.prepare()
        for turn in self.plan.turns:
            difference = self.happen(turn) if turn.event else self.take(turn)
            if difference is not None:
                return difference
        return self.compare_notifications()

    def happen(self, turn: Turn) -> Optional[str]:
        if turn.event == "evict":
            return self.evict()
        if turn.event == "reload":
            self.theatre.reload(self.plan)
        if turn.event == "terminate" and not self.kept():
            self.theatre.terminate_idle()
        if turn.event == "lag":
            self.theatre.lag()
        if turn.event == "reconnect" and turn.client < len(self.pairs):
            before = self.pairs[turn.client]
            for voice in before:
                voice.client.send(m.terminate())
                voice.client.raw_until_end()
                voice.client.close()
            self.pinned.discard(turn.client)
            self.listened.discard(turn.client)
            self.theatre.released()
            self.pairs[turn.client] = self.open_pair(turn.login)
        return None

    def evict(self) -> Optional[str]:
        for _ in range(max(0, self.plan.pool_size - self.kept())):
            pieces = [m.parse(f"e{next(self.theatre.evictions)}",
                              f"select {next(self.theatre.evictions) % 100}")
                      for _ in range(self.plan.max_prepared)]
            try:
                self.other.messages(*pieces, m.sync())
            except LabError:
                return self.all_leave(None, "nobody has the server connection, and others wait")
        return None

    def all_leave(self, waits: Optional[int], trouble: str) -> str:
        """Somebody waits for a server connection. That may be one's whose texts could not be read
        for certain; but when that one leaves, it must be there."""
        for client, (_, voice) in enumerate(self.pairs):
            if client != waits:
                voice.client.close()
        try:
            (self.other if waits is None else self.pairs[waits][1].client).read()
            return ""
        except (Ended, LabError):
            return trouble

    def take(self, turn: Turn) -> Optional[str]:
        """The directly connected first: they tell who will keep a connection."""
        heard: dict[int, list[Message]] = {}
        before = self.kept()
        for client, said in turn.said:
            if self.kept() >= self.plan.pool_size and not self.keeps(client):
                continue
            self.note(client, said)
            voice = self.pairs[client][0]
            voice.say(said)
            heard[client] = self.hear(voice)
            if any(each.type == b"Z" and len(each.body) > 1 for each in heard[client]):
                return ""       # PostgreSQL ended it ("ReleaseSavepoint: unexpected state")
        at_once = self.kept() == before == 0
        said_by = {client: said for client, said in turn.said if client in heard}
        if at_once:
            for client, said in said_by.items():
                self.pairs[client][1].say(said)
        for client, said in said_by.items():
            if not at_once:
                self.pairs[client][1].say(said)
            got = self.hear(self.pairs[client][1])
            if got and got[-1].type == b"Z" and len(got[-1].body) > 1:
                return self.all_leave(client, describe(turn, client, heard[client], got))
            if got != heard[client]:
                if known_difference(heard[client], got):
                    return ""
                return describe(turn, client, heard[client], got)
        return None

    def note(self, client: int, said: tuple[Say, ...]) -> None:
        if any(PINS.search(repr(each)) for each in said):
            self.pinned.add(client)
        if any("listen" in repr(each) for each in said):
            self.listened.add(client)

    def hear(self, voice: Voice) -> list[Message]:
        if any("cancel me" in repr(each) for turn in self.plan.turns for each in turn.said):
            with self.theatre.cancelling(voice.client):
                return [comparable(each) for each in voice.hear()]
        return [comparable(each) for each in voice.hear()]

    def compare_notifications(self) -> str:
        """Where they come between answers is a matter of time; that all come, in order, is not."""
        for client in self.listened:
            if self.kept() >= self.plan.pool_size and not self.keeps(client):
                continue
            direct = self.notifications(client, 0)
            through = self.notifications(client, 1, len(direct))
            if direct != through:
                return (f"client {client} was notified\n"
                        f"    direct:  {direct}\n    through: {through}")
        return ""

    def notifications(self, client: int, side: int, due: int = 0) -> list[bytes]:
        voice = self.pairs[client][side]
        voice.say((Say("sync"), Say("query", ("rollback",)), Say("query", ("listen z; notify z",))))
        voice.hear()
        voice.hear_notifications(due)       # with shared_listen they may be late
        numbers = {pair[side].client.process_id: n for n, pair in enumerate(self.pairs)}
        return [b"%d %s" % (numbers.get(int.from_bytes(each.body[:4], "big"), -1), each.body[4:])
                for each in voice.notifications]


def tables(n: int) -> str:
    return (f"drop table if exists t{n}; drop table if exists u{n}; "
            f"create table t{n} (a int, b text); "
            f"insert into t{n} values (1, 'one'), (2, 'two'), (3, 'three')")


def describe(turn: Turn, client: int, direct: list[Message], through: list[Message]) -> str:
    lines = []
    for a, b in itertools.zip_longest(direct, through):
        if a == b:
            lines.append(f"    both:    {a!r}")
        else:
            lines += [f"    direct:  {a!r}", f"    through: {b!r}"]
    return f"client {client} heard, after\n{turn!r}\n" + "\n".join(lines)


class Theatre:
    """Where plans are played, again and again: a target for each size of pool."""

    def __init__(self, direct: Callable[..., Client], start: Callable[[int, int], Target],
                 setting_up: Callable[[int], str] = tables) -> None:
        self.direct = direct
        self.start = start
        self.setting_up = setting_up
        self.targets: dict[tuple[int, int], Target] = {}
        self.evictions = itertools.count()

    def target(self, plan: Plan) -> Target:
        sizes = (plan.pool_size, plan.max_prepared)
        if sizes not in self.targets:
            self.targets[sizes] = self.start(*sizes)
        return self.targets[sizes]

    def play(self, plan: Plan) -> str:
        play = Play(plan, self)
        try:
            return play.run()
        finally:
            play.close()

    # What happens around the clients; nothing, unless a test has something to do it with.

    def settle(self) -> None:
        """What was written is everywhere."""

    def lag(self) -> None:
        """The replica falls behind, or catches up."""

    def reload(self, plan: Plan) -> None:
        """The target reads another configuration."""

    def terminate_idle(self) -> None:
        """Server connections that no client uses are ended."""

    def released(self) -> None:
        """What a client held that has left is free."""

    @contextmanager
    def cancelling(self, client: Client) -> Iterator[None]:
        """Whatever says that it wants to be cancelled is, meanwhile."""
        yield

    def shrink(self, plan: Plan) -> Plan:
        """Leaves out what the difference does not need."""
        again = True
        while again:
            again = False
            for smaller in smaller_plans(plan):
                if self.play(smaller):
                    plan, again = smaller, True
                    break
        return plan


def smaller_plans(plan: Plan) -> Iterator[Plan]:
    turns = plan.turns
    for i, turn in enumerate(turns):
        yield plan._replace(turns=turns[:i] + turns[i + 1:])
    for i, turn in enumerate(turns):
        for j, (client, said) in enumerate(turn.said):
            for k in range(len(said)):
                fewer = said[:k] + said[k + 1:]
                rest = turn.said[:j] + (((client, fewer),) if fewer else ()) + turn.said[j + 1:]
                if rest:
                    yield plan._replace(turns=turns[:i] + (Turn(rest),) + turns[i + 1:])
