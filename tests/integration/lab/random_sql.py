"""Random statements over the tables of the tenants' tests: most are held to tenant 1, in all the
ways that people write it, and some are not, or only seem to be."""

from __future__ import annotations

import random
from typing import Optional, Sequence

TABLES = {
    "orders": {"int": ["id", "country", "parent", "order_id"], "text": ["note", "status", "secret"]},
    "items": {"int": ["id", "order_id"], "text": ["secret", "x"]},
    "notes": {"int": ["id", "item"], "text": ["secret"]},
}
SHARED = {"countries": {"int": ["id", "x"], "text": ["name"]}, "plans": {"int": ["id"], "text": []}}

Source = tuple[str, dict[str, list[str]], bool]     # alias, columns by type, has tenant_id


class Writer:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.aliases = 0

    def one(self, options: Sequence[str]) -> str:
        return self.random.choice(list(options))

    def chance(self, share: float) -> bool:
        return self.random.random() < share

    # What a row is compared with.

    def held(self, alias: str, others: Sequence[Source]) -> str:
        """Says, or seems to say, that it is tenant 1's."""
        column = f"{alias}.tenant_id"
        good = [f"{column} = 1", f"1 = {column}", f"{column} in (1)", f"{column} = '1'",
                f"({column} = 1)", f"{column} = 1 and true", f"{column} = 1::int"]
        good += [f"{column} = {other[0]}.tenant_id" for other in others if other[2]]
        bad = [f"{column} = 2", f"{column} = 1 or true", f"{column} in (1, 2)", f"not {column} = 2",
               f"{column} + 0 = 1", f"{column} <> 2", f"{column} between 1 and 2",
               f"coalesce({column}, 1) = 1", f"{column} = {column}", f"{column} is not null",
               f"({column} = 1) is not false", f"case when {column} = 1 then true else true end",
               f"{column} = any(array[1, 2])", f"{column} = (select 1)", "true"]
        return self.one(good if self.chance(0.93) else bad)

    def value(self, kind: str, sources: Sequence[Source], depth: int) -> str:
        columns = [f"{alias}.{name}" for alias, known, _ in sources for name in known[kind]]
        if columns and self.chance(0.7):
            return self.one(columns)
        if depth > 0 and self.chance(0.2):
            inner = self.one(["min", "max"])
            return self.select(depth - 1, sources, [kind], inner)
        if kind == "int":
            return str(self.random.randrange(0, 26))
        return self.one(["'own note'", "'own secret'", "'s1'", "'foreign note'", "null", "'x'"])

    def condition(self, sources: Sequence[Source], depth: int) -> str:
        kind = self.one(["int", "text"])
        left, right = (self.value(kind, sources, depth) for _ in range(2))
        simple = [f"{left} {self.one(['=', '<', '<>', '>='])} {right}", f"{left} is null",
                  f"{left} is not distinct from {right}"]
        if depth > 0 and self.chance(0.3):
            inner = self.select(depth - 1, sources, [kind])
            simple = [f"exists {inner}", f"{left} in {inner}", f"not exists {inner}",
                      f"{left} = any {inner}", f"{left} <> all {inner}"]
        text = self.one(simple)
        if self.chance(0.2):
            text = f"({text} {self.one(['or', 'and'])} {self.condition(sources, 0)})"
        return f"not {text}" if self.chance(0.1) else text

    # Queries.

    def table(self) -> tuple[str, Source]:
        self.aliases += 1
        alias = f"t{self.aliases}"
        shared = self.chance(0.15)
        name = self.one(list(SHARED if shared else TABLES))
        columns = (SHARED if shared else TABLES)[name]
        return f"{name} {alias}", (alias, columns, not shared)

    def source(self, depth: int, outer: Sequence[Source]) -> tuple[str, Source]:
        if depth == 0 or self.chance(0.7):
            return self.table()
        self.aliases += 1
        alias = f"d{self.aliases}"
        lateral = self.chance(0.3)
        inner = self.select(depth - 1, outer if lateral else [], ["int", "text"])
        text = f"{'lateral ' if lateral else ''}{inner} {alias} (a, b)"
        return text, (alias, {"int": ["a"], "text": ["b"]}, False)

    def origin(self, depth: int, outer: Sequence[Source]) -> tuple[str, list[Source], list[str]]:
        """FROM, what it has, and what WHERE still has to say."""
        text, first = self.source(depth, outer)
        sources, owed = [first], []
        for _ in range(self.random.choice([0, 0, 1, 1, 2])):
            joined, more = self.source(depth, [*outer, *sources])
            if joined.startswith("lateral") and self.chance(0.5):
                text += f", {joined}"
            elif self.chance(0.2):
                text += f", {joined}"
            else:
                kinds = ["join", "left join"]
                if not joined.startswith("lateral"):
                    kinds += ["right join", "full join"]
                on = [self.condition([*sources, more], 0)]
                for each in [more, *sources]:
                    if each[2] and self.chance(0.6):
                        on.append(self.held(each[0], sources))
                self.random.shuffle(on)
                text += f" {self.one(kinds)} {joined} on {' and '.join(on)}"
            sources.append(more)
        for index, (alias, _, mine) in enumerate(sources):
            if mine and self.chance(0.96):
                owed.append(self.held(alias, sources[:index]))
        return text, sources, owed

    def select(self, depth: int, outer: Sequence[Source], kinds: Sequence[str],
               aggregate: Optional[str] = None) -> str:
        """In parentheses."""
        text, sources, owed = self.origin(depth, outer)
        seen = [*outer, *sources]
        if self.chance(0.6):
            owed.append(self.condition(seen, depth))
        self.random.shuffle(owed)
        values = [self.value(kind, sources, 0) for kind in kinds]
        if aggregate is not None:
            values = [f"{aggregate}({value})" for value in values]
        result = f"select {', '.join(values)} from {text}"
        if owed:
            result += f" where {' and '.join(owed)}"
        if aggregate is None and self.chance(0.15):
            result += f" group by {', '.join(str(i + 1) for i in range(len(values)))}"
            if self.chance(0.5):
                result += f" having count(*) < {self.random.randrange(4)}"
        if aggregate is None and depth > 0 and self.chance(0.2):
            other = self.select(depth - 1, outer, kinds)
            how = self.one(["union all", "union", "except", "intersect"])
            return f"(({result}) {how} {other})"
        return f"({result})"

    def with_query(self) -> str:
        recursive = self.chance(0.2)
        inner = self.select(1, [], ["int", "text"])
        if recursive:
            held = self.held("o", [])
            inner = (f"({inner} union select o.id, o.note from orders o join q on o.parent = q.a "
                     f"where {held})")
        source: Source = ("q", {"int": ["a"], "text": ["b"]}, False)
        body = f"select q.a, q.b from q where {self.condition([source], 1)}"
        if self.chance(0.3):
            body += f" and q.a in {self.select(1, [source], ['int'])}"
        return f"with {'recursive ' if recursive else ''}q (a, b) as {inner} {body}"

    def change(self) -> str:
        name = self.one(list(TABLES))
        target: Source = ("t", TABLES[name], True)
        number, text = self.one(TABLES[name]["int"]), self.one(TABLES[name]["text"])
        where = [self.condition([target], 1)]
        if self.chance(0.95):
            where.append(self.held("t", []))
        more, sources = "", [target]
        if self.chance(0.3):
            also, other = self.table()
            more, sources = also, [target, other]
            if other[2]:
                where.append(self.held(other[0], [target]))
        self.random.shuffle(where)
        condition = " and ".join(where)
        returning = f" returning t.id, t.{number}, t.{text}"
        kind = self.random.randrange(3)
        if kind == 0:
            return f"delete from {name} t{' using ' + more if more else ''} where " \
                   f"{condition}{returning}"
        if kind == 1:
            # One that may match several rows is given the same value by each.
            what = f"'new' || t.{text}"
            return (f"update {name} t set {text} = {what}{' from ' + more if more else ''} "
                    f"where {condition}{returning}")
        tenant = self.one(["1"] * 9 + ["2", "null", "t.tenant_id"])
        columns = f"tenant_id, id, {text}"
        if self.chance(0.5):
            rows = f"values ({tenant}, {self.random.randrange(900, 999)}, 'new')"
        else:
            rows = f"select {tenant}, t.id + 900, t.{text} from {name} t where {condition}" \
                if not more else f"select {tenant}, 950, 'new'"
        conflict = ""
        if self.chance(0.3):
            conflict = self.one([" on conflict do nothing",
                                 f" on conflict (id) do update set {text} = 'again'"])
        return f"insert into {name} as i ({columns}) {rows}{conflict} returning i.id, i.{text}"

    def statement(self) -> tuple[str, bool]:
        """A statement, and whether it changes something."""
        self.aliases = 0
        kind = self.random.random()
        if kind < 0.25:
            return self.change(), True
        if kind < 0.45:
            return self.with_query(), False
        return self.select(2, [], ["int", "text", "int"])[1:-1], False
