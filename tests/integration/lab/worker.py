"""Runs tests, one after the other, as the runner asks; one line of JSON for each."""

from __future__ import annotations

import faulthandler
import json
import os
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any, TextIO

from .declare import Case
from .lab import Lab, Site
from .process import Child


def _ended(*_: Any) -> None:
    raise SystemExit(1)


def work(folder: Path, kind: str, cases: dict[str, Case], orders: TextIO, answers: TextIO) -> None:
    """Reads ids from `orders` until its end, writes results to `answers`."""
    signal.signal(signal.SIGTERM, _ended)
    signal.signal(signal.SIGINT, signal.SIG_IGN)        # the runner is told, and tells us
    faulthandler.register(signal.SIGUSR1, file=sys.stderr, all_threads=True)
    site = Site(folder, kind)
    try:
        for line in orders:
            id_ = line.strip()
            answers.write(json.dumps(_run(site, cases[id_])) + "\n")
            answers.flush()
    finally:
        site.close()
        Child.end_all()


def _run(site: Site, case: Case) -> dict[str, Any]:
    folder = site.folder / f"test-{os.getpid()}-{time.monotonic_ns()}"
    folder.mkdir()
    folder.chmod(0o755)
    lab = Lab(site, case.variant, folder)
    begun = time.monotonic()
    detail, logs, broke = "", {}, False
    try:
        if case.param is None:
            case.function(lab)
        else:
            case.function(lab, case.param)
        lab.check_target()
    except Exception:                       # pylint: disable=broad-except
        detail = traceback.format_exc()
        logs = dict(lab.logs())
        if site.has_postgres:
            logs["postgres"] = _tail(site.postgres.log, 200)
        try:
            lab.check_target()
        except Exception:                   # pylint: disable=broad-except
            broke = True
    try:
        lab.clean()
        site.clean()
    except Exception:                       # pylint: disable=broad-except
        detail += "while cleaning up:\n" + traceback.format_exc()
        site.close()
        Child.end_all()
    shutil.rmtree(folder, ignore_errors=True)
    return {"id": case.id, "ok": not detail, "seconds": time.monotonic() - begun,
            "detail": detail, "logs": logs, "broke": broke}


def _tail(path: Path, lines: int) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
