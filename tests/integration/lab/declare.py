"""How a test says what it is and what it needs."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from typing import Any, Callable, Iterator, Mapping, Optional, Sequence, Union

# Which targets a test means something for. "pgbouncer/session" is PgBouncer in that mode only.
ANY = ("direct", "pgbouncer", "forebay")
POOLERS = ("pgbouncer", "forebay")
POSTGRES_LIKE = ("direct", "forebay")
FOREBAY = ("forebay",)

MODES = ("transaction", "session")
TLS = (False, True)
ENTRIES = ("serve", "run")


@dataclass(frozen=True)
class Variant:
    """What a test is repeated for."""
    mode: str = "transaction"
    tls: bool = False
    entry: str = "serve"


@dataclass(frozen=True)
class Declaration:
    """What stands in the decorator."""
    modes: tuple[str, ...]
    tls: tuple[bool, ...]
    entries: tuple[str, ...]
    targets: tuple[str, ...]
    params: dict[str, Any]
    within: float
    alone: bool
    heavy: bool


@dataclass(frozen=True)
class Case:
    """One test in one variant: what the runner runs, and one line of its output."""
    module: str
    function: Callable[..., None]
    variant: Variant
    param: Optional[str]
    declaration: Declaration

    @property
    def id(self) -> str:
        parts = []
        if self.param is not None:
            parts.append(self.param)
        if len(self.declaration.entries) > 1 or self.variant.entry == "run":
            parts.append(self.variant.entry)
        parts.append(self.variant.mode)
        if len(self.declaration.tls) > 1 or self.variant.tls:
            parts.append("tls" if self.variant.tls else "plain")
        return f"{self.module}.{self.function.__name__}[{','.join(parts)}]"


def test(*, modes: Sequence[str] = ("transaction",), tls: Sequence[bool] = (False,),
         entries: Sequence[str] = ("serve",), targets: Sequence[str] = ANY,
         params: Union[Sequence[str], Mapping[str, Any], None] = None, within: float = 60.0,
         alone: bool = False, heavy: bool = False) -> Callable[..., Callable[..., None]]:
    """Makes a function `f(lab)` or, with `params`, `f(lab, param)` a test.

    modes, tls, entries  it runs once for each combination (once in all for target "direct")
    targets              where it means something; elsewhere it is not listed at all
    params               it also runs once for each of these names; the values of a mapping may
                         have `targets` of their own
    within               seconds it may take, multiplied for sanitized builds
    alone                no other test at the same time (it measures, or needs the machine)
    heavy                left out of runs with --light (sanitized builds in the test command)
    """
    def mark(function: Callable[..., None]) -> Callable[..., None]:
        declaration = Declaration(tuple(modes), tuple(tls), tuple(entries), tuple(targets),
                                  _named(params), within, alone, heavy)
        setattr(function, "declaration", declaration)
        return function
    return mark


def _named(params: Union[Sequence[str], Mapping[str, Any], None]) -> dict[str, Any]:
    if isinstance(params, Mapping):
        return dict(params)
    return {name: None for name in params or ()}


def cases_of(module: Any, target: str, anyway: bool = False) -> Iterator[Case]:
    """All cases of a module for a target, in the order in which they are written; `anyway` those
    too that are not meant for it."""
    name = module.__name__.removeprefix("test_")
    functions = [f for _, f in inspect.getmembers(module, inspect.isfunction)
                 if hasattr(f, "declaration") and f.__module__ == module.__name__]
    functions.sort(key=lambda f: f.__code__.co_firstlineno)
    for function in functions:
        declaration: Declaration = function.declaration
        for variant in _variants(declaration, target):
            if not anyway and not _applies(declaration, target, variant):
                continue
            if not declaration.params:
                yield Case(name, function, variant, None, declaration)
            for param, value in declaration.params.items():
                if anyway or target in getattr(value, "targets", ANY):
                    yield Case(name, function, variant, param, declaration)


def _variants(declaration: Declaration, target: str) -> Iterator[Variant]:
    modes, entries = declaration.modes, declaration.entries
    if target == "direct":      # it has no pool and no configuration
        modes, entries = modes[:1], ("serve",)
    if target == "pgbouncer":
        entries = tuple(e for e in entries if e == "serve")
    for entry in entries:
        for mode in modes:
            for tls in declaration.tls:
                yield replace(Variant(), mode=mode, tls=tls, entry=entry)


def _applies(declaration: Declaration, target: str, variant: Variant) -> bool:
    return target in declaration.targets or f"{target}/{variant.mode}" in declaration.targets
