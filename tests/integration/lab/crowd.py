"""Clients that do at random what a session can have, over few server connections. Each knows what
its session must be like, and the register what all of them hold."""

from __future__ import annotations

import os
import random
import threading
import time
from contextlib import ExitStack, contextmanager
from typing import Any, Callable, Iterator, Optional

from . import messages as m
from .messages import Message
from .process import LabError, wait_until
from .wire import Client

KEYS = 6                # advisory locks that all ask for
STATE = ("select pg_backend_pid(), current_setting('application_name'), "
         "current_setting('work_mem'), current_setting('timezone'), "
         "current_setting('app.mine', true), current_user, "
         "(select string_agg(relname, ',' order by relname) from pg_class "
         "where relnamespace = pg_my_temp_schema() and relkind in ('r', 'v', 'S')), "
         "(select string_agg(objid || ':' || n, ',' order by objid) from (select objid, count(*) n "
         "from pg_locks where locktype = 'advisory' and pid = pg_backend_pid() group by 1) l), "
         "(select string_agg(c, ',' order by c) from pg_listening_channels() c), "
         "(select count(*) from pg_cursors where is_holdable)")


class Register:
    """What is true of all clients: who has which lock, and what was notified to whom."""

    def __init__(self, clients: int, pins: int) -> None:
        self.pins = threading.Semaphore(pins)
        self.locks = [threading.Lock() for _ in range(KEYS)]
        self.owners: list[Optional[int]] = [None] * KEYS
        self.channels = [threading.Lock() for _ in range(clients)]
        self.listens = [False] * clients
        self.notified: list[list[str]] = [[] for _ in range(clients)]
        self.failures: list[BaseException] = []         # others follow from the first


class Member(Client):
    """A session and what it must be like. `pins` are what only its own connection has."""

    register: Register
    number = 0
    shared_listen = False

    def __init__(self, *arguments: Any, **more: Any) -> None:
        self.heard: list[str] = []
        super().__init__(*arguments, **more)

    def begin(self, register: Register, number: int, shared_listen: bool) -> None:
        self.register, self.number, self.shared_listen = register, number, shared_listen
        self.choice = random.Random(f"{number} {self.process_id}")
        self.settings: dict[str, str] = {}
        self.statements: dict[str, str] = {}
        self.temporary: set[str] = set()
        self.keys: dict[int, int] = {}
        self.cursor = False
        self.listening = False
        self.permit = False
        self.turns = 0
        self.processes: list[str] = []
        self.did: list[str] = []

    def read(self, within: Optional[float] = None) -> Message:
        message = super().read(within)
        if message.type == b"A":
            self.heard.append(message.body[4:].replace(b"\0", b" ").decode().strip())
        return message

    # What a client does.

    def may_pin(self) -> bool:
        """So many at a time that somebody always gets on."""
        self.permit = self.permit or self.register.pins.acquire(blocking=False)
        return self.permit

    def unpin(self) -> None:
        pinned = self.temporary or self.keys or self.cursor
        if self.permit and not pinned and (self.shared_listen or not self.listening):
            self.permit = False
            self.register.pins.release()

    def sets(self) -> None:
        name, value = self.choice.choice((
            ("work_mem", f"{self.choice.randrange(100, 999)}kB"),
            ("timezone", self.choice.choice(("Asia/Tokyo", "Europe/Berlin", "UTC"))),
            ("app.mine", f"{self.number}.{self.turns}")))
        self.run(self.choice.choice((f"set {name} = '{value}'",
                                     f"select set_config('{name}', '{value}', false)")))
        self.settings[name] = value

    def sets_in_vain(self) -> None:
        self.run("begin; savepoint s")
        self.run("set work_mem = '64kB'; set timezone = 'Asia/Oral'; set app.mine = 'gone'; "
                 "set role tmpmask")
        self.run(self.choice.choice(("rollback", "rollback to s; commit")))

    def prepares(self) -> None:
        name, value = f"s{self.choice.randrange(4)}", f"{self.number}/{self.turns}"
        if name in self.statements:
            self.run(f"deallocate {name}")
        if self.choice.randrange(2):
            self.run(f"prepare {name} as select '{value}'")
        else:
            self.messages(m.parse(name, f"select '{value}'"), m.sync())
        self.statements[name] = value

    def executes(self) -> None:
        for name, value in self.statements.items():
            self.expect(value, self.value(f"execute {name}"), name)
            answer = self.messages(m.bind("", name), m.execute(""), m.sync())
            self.expect([value.encode()], m.only(answer, b"D")[0].columns(), name)

    def makes_temporary(self) -> None:
        name = self.choice.choice(("own_table", "own_view", "own_sequence"))
        if name in self.temporary or not self.may_pin():
            return
        kind = name.removeprefix("own_")
        rest = {"table": f"as select {self.number} as n", "view": f"as select {self.number} as n",
                "sequence": f"start {self.number + 1}"}[kind]
        undone = self.choice.randrange(4) == 0
        self.run(f"begin; create temp {kind} {name} {rest}; {'rollback' if undone else 'commit'}")
        self.temporary |= set() if undone else {name}

    def looks_at_temporary(self) -> None:
        for name in sorted(self.temporary - {"own_sequence"}):
            self.expect(str(self.number), self.value(f"select n from {name}"), name)

    def drops_temporary(self) -> None:
        if self.temporary:
            name = self.choice.choice(sorted(self.temporary))
            self.run(f"drop {name.removeprefix('own_')} {name}")
            self.temporary.discard(name)

    def locks(self) -> None:
        key = self.choice.randrange(KEYS)
        if not self.register.locks[key].acquire(blocking=False):
            return
        try:
            owner = self.register.owners[key]
            if owner is None and not self.may_pin():
                return
            text = f"select pg_try_advisory_lock({key})"
            if self.choice.randrange(2):
                self.run("begin")
                got = self.value(text)
                self.run(self.choice.choice(("commit", "rollback")))    # it stays, in any case
            else:
                got = self.value(text)
            self.expect("t" if owner in (None, self.number) else "f", got, f"{text}, of {owner}")
            if got == "t":
                self.register.owners[key] = self.number
                self.keys[key] = self.keys.get(key, 0) + 1
        finally:
            self.register.locks[key].release()

    def locks_for_a_transaction(self) -> None:
        self.run(f"begin; select pg_advisory_xact_lock({100 + self.number}); commit")

    def unlocks(self) -> None:
        if not self.keys:
            return
        key = self.choice.choice(sorted(self.keys))
        with self.register.locks[key]:
            self.expect("t", self.value(f"select pg_advisory_unlock({key})"), "unlock")
            self.keys[key] -= 1
            if not self.keys[key]:
                del self.keys[key]
                self.register.owners[key] = None

    def listens(self) -> None:
        if not self.listening and not self.shared_listen and not self.may_pin():
            return
        with self.register.channels[self.number]:
            word = "unlisten" if self.listening else "listen"
            if self.choice.randrange(3) == 0:
                self.run(f"begin; {word} c{self.number}; rollback")
                return
            self.run(f"{word} c{self.number}")
            self.listening = self.register.listens[self.number] = not self.listening
            self.unlistened()

    def unlistened(self) -> None:
        """What another connection hears for it may still be on its way, and is not told any more."""
        if self.shared_listen and not self.listening:
            self.register.notified[self.number][len(self.heard):] = []

    def notifies(self) -> None:
        to = self.choice.randrange(len(self.register.channels))
        if not self.register.channels[to].acquire(blocking=False):
            return
        try:
            payload = f"{self.number} {self.turns} {time.monotonic_ns()}"
            self.run(f"begin; notify c{to}, 'never {payload}'; rollback")
            if self.register.listens[to]:
                self.register.notified[to].append(f"c{to} {payload}")
            self.run(self.choice.choice((f"notify c{to}, '{payload}'",
                                         f"select pg_notify('c{to}', '{payload}')")))
        finally:
            self.register.channels[to].release()

    def holds_a_cursor(self) -> None:
        if self.cursor:
            self.expect(str(self.number), self.value("fetch absolute 1 from held"), "held")
            self.run("close held")
            self.cursor = False
        elif self.may_pin():
            self.run(f"begin; declare held cursor with hold for select {self.number}; commit")
            self.cursor = True

    def discards(self) -> None:
        if self.choice.randrange(8):
            return
        with self.keys_given_up(), self.register.channels[self.number]:
            self.run("discard all")
            self.listening = self.register.listens[self.number] = False
            self.unlistened()
        self.settings, self.statements, self.keys = {}, {}, {}
        self.temporary, self.cursor = set(), False

    @contextmanager
    def keys_given_up(self) -> Iterator[None]:
        """Nobody asks for them meanwhile."""
        with ExitStack() as stack:
            for key in sorted(self.keys):
                stack.enter_context(self.register.locks[key])
            yield
            for key in self.keys:
                self.register.owners[key] = None

    # What it looks at after each turn.

    def expect(self, wanted: Any, got: Any, what: str) -> None:
        if wanted != got:
            raise LabError(f"client {self.number}, turn {self.turns}, {what}: {got!r}, not "
                           f"{wanted!r}; it did {self.did[-12:]}")

    def check(self, what: str) -> None:
        process, *state = self.rows(STATE)[0]
        listening = f"c{self.number}" if self.listening else None
        if self.shared_listen and state[7] is None:     # the connection itself need not
            listening = None
        self.expect([
            f"client {self.number}", self.settings.get("work_mem", "4MB"),
            self.settings.get("timezone", "UTC"), self.settings.get("app.mine", ""), "app", ",".join(sorted(self.temporary)) or None,
            ",".join(f"{key}:1" for key in sorted(self.keys)) or None, listening,
            "1" if self.cursor else "0"], [*state[:3], state[3] or "", *state[4:]], what)
        self.processes.append(str(process))
        with self.register.channels[self.number]:
            wanted = list(self.register.notified[self.number])
        heard = self.heard
        if heard != wanted[:len(heard)]:
            same = len(os.path.commonprefix([heard, wanted]))
            self.expect(wanted[same:], heard[same:], f"notifications after {same}")

    def actions(self) -> list[Callable[[], None]]:
        return [self.sets, self.sets_in_vain, self.prepares, self.executes, self.makes_temporary,
                self.looks_at_temporary, self.drops_temporary, self.locks, self.unlocks,
                self.locks_for_a_transaction, self.listens, self.notifies, self.notifies,
                self.holds_a_cursor, self.discards]

    def live(self, until: float) -> None:
        while time.monotonic() < until:
            self.turns += 1
            action = self.choice.choice(self.actions())
            self.did.append(f"{action.__name__} {self.listening} {time.monotonic_ns()}")
            action()
            self.check(action.__name__)
            self.unpin()

    def leave(self, held: Callable[[], set[int]]) -> None:
        """With all that it has; what it had is free before anybody asks for it again."""
        wanted = self.register.notified[self.number]
        with self.register.channels[self.number]:
            self.register.listens[self.number] = False
        while len(self.heard) < len(wanted):
            self.read_until(b"A")
        self.expect(wanted, self.heard, "notifications at the end")
        with self.keys_given_up():
            self.reset() if self.choice.randrange(2) else self.close()
            wait_until(lambda: not held() & set(self.keys), "its locks are free")
        wanted.clear()
        self.temporary, self.keys, self.cursor, self.listening = set(), {}, False, False
        self.unpin()


def lives(connect: Callable[[int], Member], register: Register, number: int, until: float,
          shared_listen: bool, held: Callable[[], set[int]]) -> Iterator[Member]:
    """One client after another, each for some seconds."""
    while time.monotonic() < until and not register.failures:
        member = connect(number)
        try:
            member.begin(register, number, shared_listen)
            member.live(min(until, time.monotonic() + 2 + member.choice.random() * 6))
            member.leave(held)
        except BaseException as error:
            register.failures.append(error)
            raise register.failures[0]
        finally:
            member.close()
        yield member
