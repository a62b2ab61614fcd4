"""Checks of a driver program, reported one line each: "ok NAME" or "not ok NAME: why"."""

from __future__ import annotations

import asyncio
import os
import sys
import traceback
from typing import Any, Callable

MODE = os.environ.get("LAB_MODE", "direct")
# In transaction mode behind a pooler, other clients keep the pool busy, and a client's
# transactions must really run on several server connections.
LINKS_CHANGE = os.environ.get("LAB_LINKS_CHANGE") == "1"

_checks: list[Callable[..., Any]] = []


def check(function: Callable[..., Any]) -> Callable[..., Any]:
    _checks.append(function)
    return function


def main() -> None:
    failures = 0
    for function in _checks:
        try:
            if asyncio.iscoroutinefunction(function):
                asyncio.run(asyncio.wait_for(function(), 60))
            else:
                function()
            print(f"ok {function.__name__}", flush=True)
        except Exception as error:      # pylint: disable=broad-except
            failures += 1
            traceback.print_exc()
            text = " ".join(f"{type(error).__name__}: {error}".split())
            print(f"not ok {function.__name__}: {text}", flush=True)
    print(f"1..{len(_checks)}")
    sys.exit(1 if failures else 0)
