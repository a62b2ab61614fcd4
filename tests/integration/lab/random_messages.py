"""Random conversations of several clients, about prepared statements above all: what is said, by
whom, in which order. The same seed gives the same conversation."""

from __future__ import annotations

import random
from typing import Any, NamedTuple, Sequence, Union

from . import messages as m

NAMES = ("a", "b", "c")
PORTALS = ("", "", "", "x", "y")
TEXT, BINARY = 0, 1
INT4 = 23


class Say(NamedTuple):
    """One message, as a call of a function in `messages`."""
    what: str
    arguments: tuple[Any, ...] = ()
    formats: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())

    def bytes(self) -> bytes:
        function = getattr(m, self.what)
        if self.what == "bind":
            return function(*self.arguments, formats=self.formats[0], results=self.formats[1])
        return function(*self.arguments)

    def __repr__(self) -> str:
        arguments = [repr(a) for a in self.arguments]
        arguments += [f"{name}={list(value)}" for name, value
                      in zip(("formats", "results"), self.formats) if value]
        return f"m.{self.what}({', '.join(arguments)})"


class Turn(NamedTuple):
    """What some clients say at the same time, or what happens between two of these."""
    said: tuple[tuple[int, tuple[Say, ...]], ...]
    event: str = ""         # "evict": others' statements take the room of what was prepared
    client: int = 0         # whom it happens to, and how that one logs in then
    login: dict[str, str] = {}

    def __repr__(self) -> str:
        if self.event:
            return f"  ({self.event}, client {self.client}, {self.login})"
        return "\n".join(f"  client {client}: {', '.join(map(repr, said))}"
                         for client, said in self.said)


class Plan(NamedTuple):
    pool_size: int
    max_prepared: int
    startup: bool
    turns: tuple[Turn, ...]
    logins: tuple[dict[str, str], ...] = ()

    @property
    def clients(self) -> int:
        return 1 + max((client for turn in self.turns for client, _ in turn.said), default=0)

    def __repr__(self) -> str:
        return (f"pool_size {self.pool_size}, max_prepared_statements {self.max_prepared}"
                f"{', parameters at login' if self.startup else ''}"
                f"{f', logins {self.logins}' if self.logins else ''}\n"
                + "\n".join(map(repr, self.turns)))


Query = tuple[str, int]         # a text, and how many parameters it has


class Writer:
    """Writes a plan. Keeps a rough idea of what exists, so that most of it makes sense."""

    def __init__(self, seed: Union[int, str]) -> None:
        self.random = random.Random(seed)
        self.known: list[dict[str, int]] = []       # of each client: names, and their parameters
        self.client = 0
        self.columns = 0
        self.pins = self.chance(0.15)               # whether some may keep their connection
        self.ddl = self.chance(0.4)
        self.settings = self.chance(0.3)

    def one(self, options: Sequence[Any]) -> Any:
        return self.random.choice(list(options))

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    def plan(self) -> Plan:
        pool_size, max_prepared = self.one((1, 1, 2)), self.one((1, 1, 2, 3))
        clients = self.random.randint(2, 4)
        self.known = [{"": 0} for _ in range(clients)]
        turns: list[Turn] = []
        budget = self.random.randint(3, 14)
        while budget > 0:
            if turns and self.chance(0.3):
                turns.append(Turn((), "evict"))
            speakers = [self.client if self.chance(0.6) else self.random.randrange(clients)]
            if self.chance(0.15):
                speakers.append(self.random.randrange(clients))
            said = []
            for self.client in dict.fromkeys(speakers):
                said.append((self.client, tuple(self.salvo())))
                budget -= len(said[-1][1])
            turns.append(Turn(tuple(said)))
        return Plan(pool_size, max_prepared, self.chance(0.2), tuple(turns))

    # Messages.

    def salvo(self) -> list[Say]:
        """Some batches that are sent without waiting."""
        said: list[Say] = []
        for _ in range(self.one((1, 1, 1, 2, 3))):
            if self.chance(0.3):
                said.append(Say("query", (self.script(),)))
                continue
            for _ in range(self.one((1, 1, 1, 2, 2, 3))):
                said += self.pattern()
                if self.chance(0.05):
                    said.append(Say("flush"))
                if self.chance(0.03):
                    said.append(Say("query", (self.script(),)))
            said += [Say("sync")] * self.one((1, 1, 1, 1, 1, 2))
        if len(said) > 1 and said[-1].what == "sync" and self.chance(0.06):
            said[-1] = Say("flush")
        return said

    def pattern(self) -> list[Say]:
        known = self.known[self.client]
        portal = self.one(PORTALS)
        rows = self.one((0, 0, 0, 0, 1, 2))
        kind = self.random.random()
        if kind < 0.45:
            name = self.one(("", "", *NAMES))
            text, count = self.statement()
            said = []
            if name in known and name and self.chance(0.8):
                said.append(Say("close_statement", (name,)))
            known[name] = count
            types = (INT4,) * count if self.chance(0.3) else ()
            said.append(Say("parse", (name, text, types)))
            if self.chance(0.3):
                said.append(Say("describe_statement", (name,)))
            if self.chance(0.7):
                said += self.use(name, portal, rows)
            return said
        if kind < 0.8:
            return self.use(self.one(list(known) or NAMES), portal, rows)
        single = self.random.random()
        name = self.one((*known, *NAMES, ""))
        if single < 0.35:
            return [Say("describe_statement", (name,))]
        if single < 0.6:
            known.pop(name, None)
            return [Say("close_statement", (name,))]
        if single < 0.75:
            return [Say("execute", (portal, rows))]
        if single < 0.85:
            return [Say("describe_portal", (portal,))]
        if single < 0.95:
            return [Say("close_portal", (portal,))]
        return [Say("bind", (portal, name, ()))]

    def use(self, name: str, portal: str, rows: int) -> list[Say]:
        count = self.known[self.client].get(name, 0)
        if self.chance(0.03):
            count += 1
        values = tuple(None if self.chance(0.1) else str(self.random.randrange(5))
                       for _ in range(count))
        formats = ((), ())
        if self.chance(0.2):
            formats = ((), self.one(((BINARY,), (TEXT,), (BINARY,) * 2)))
        said = [Say("bind", (portal, name, values), formats)]
        if self.chance(0.4):
            said.append(Say("describe_portal", (portal,)))
        said.append(Say("execute", (portal, rows)))
        if rows and self.chance(0.6):
            said.append(Say("execute", (portal, 0)))
        if self.chance(0.1):
            said.append(Say("close_portal", (portal,)))
        return said

    # Texts.

    def script(self) -> str:
        count = self.one((1, 1, 1, 1, 2, 3))
        return "; ".join(self.statement()[0] for _ in range(count)) + self.one(("", "", ";"))

    def statement(self) -> Query:
        kind = self.random.random()
        if kind < 0.25:
            return self.query()
        if kind < 0.5:
            return self.executing(), 0
        if kind < 0.6:
            return self.preparing(), 0
        if kind < 0.68:
            return self.forgetting(), 0
        if kind < 0.8:
            return self.one(("begin", "begin", "commit", "rollback", "savepoint s", "release s",
                             "rollback to s", "commit and chain", "start transaction")), 0
        if kind < 0.85:
            return self.cursor(), 0
        if kind < 0.9:
            return self.one(("select 1/0", "selec 1", "select 1 from missing", "", "select 'a",
                             "select $1::int / 0", "execute", "prepare a as")), 0
        if kind < 0.95 and self.settings:
            return self.one(("set work_mem = '5MB'", "set local work_mem = '6MB'", "reset work_mem",
                             "reset all", "set datestyle = 'German'", "show datestyle",
                             "set search_path = pg_catalog, public", "set search_path = nowhere",
                             "select set_config('work_mem', '7MB', false)")), 0
        if kind < 0.98 and self.ddl:
            return self.changing(), 0
        if self.pins:
            return self.one(("create temp table tt as " + self.executing(plain=True),
                             "create temp table tt (a int)", "table tt", "drop table tt",
                             "declare h cursor with hold for select generate_series(1, 4)",
                             "fetch 1 from h", "close h", "discard temp")), 0
        return self.query()

    def query(self) -> Query:
        t = f"t{self.client}"
        return self.one((
            ("select 1 as one", 0), ("select 2 as two, 'x'::text as x", 0), ("show work_mem", 0),
            ("select $1::int + 1 as n", 1), ("select $1::text || $2::text as both", 2),
            ("select generate_series(1, 4) as g", 0), ("values (1), (2), (3)", 0),
            (f"select * from {t} order by a", 0), (f"select b from {t} where a = $1", 1),
            (f"insert into {t} (a) values ($1) returning a", 1), (f"delete from {t} where a = 2", 0),
            (f"update {t} set b = b || '!' returning b", 0),
            ("select 'execute a' as said, now() = now() as t /* deallocate all */", 0),
            ("select $1 as untold", 1), ("select 7 / ($1::int - 1) as perhaps", 1)))

    def name(self) -> str:
        name = self.one((*self.known[self.client], *NAMES)) or self.one(NAMES)
        return self.one((name, name, name, name, name.upper(), f'"{name}"', f"/* c */ {name} "))

    def executing(self, plain: bool = False) -> str:
        name = self.name()
        count = self.known[self.client].get(name, self.known[self.client].get(name.lower(), 0))
        values = [self.one(("1", "2", "null", "1 + 1", "'3'")) for _ in range(count)]
        if self.chance(0.05):
            values.append("1")
        text = f"execute {name}" + (f"({', '.join(values)})" if values else "")
        if plain:
            return text
        how = self.random.random()
        if how < 0.7:
            return text
        if how < 0.85:
            return "explain (costs off) " + text
        if how < 0.93:
            return "explain (analyze, costs off, timing off, summary off) " + text
        return f"create table u{self.client} as {text}"

    def preparing(self) -> str:
        name, (text, count) = self.name(), self.query()
        if text.startswith("show"):
            text, count = "select 3 as three", 0
        self.known[self.client][name.strip('"')] = count
        types = f"({', '.join(['int'] * count)})" if count and self.chance(0.6) else ""
        return f"prepare {name}{types} as {text}"

    def forgetting(self) -> str:
        return self.one((f"deallocate {self.name()}", f"deallocate {self.name()}",
                         f"deallocate prepare {self.name()}", "deallocate all", "discard plans",
                         "discard all"))

    def cursor(self) -> str:
        return self.one(("declare k cursor for select generate_series(1, 5)", "fetch 2 from k",
                         f"declare k cursor for select a from t{self.client} order by a",
                         "move 1 in k", "close k", "close all", "fetch all from x"))

    def changing(self) -> str:
        t = f"t{self.client}"
        self.columns += 1
        return self.one((f"alter table {t} add column n{self.columns} int default 7",
                         f"alter table {t} alter column a type bigint", f"drop table {t}",
                         f"alter table {t} alter column a type text",
                         f"create table {t} (a int, b text)", f"truncate {t}",
                         f"drop table u{self.client}", f"create index on {t} (a)"))
