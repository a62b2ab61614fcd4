"""Runs the cases in worker processes, prints one line for each, and counts."""

from __future__ import annotations

import importlib
import json
import os
import re
import resource
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import Optional, Sequence

from .declare import Case, cases_of
from .lab import Site
from .process import PATIENCE, Child

HERE = Path(__file__).resolve().parent.parent

# With more failures than this it is not the machine that was busy.
AGAIN_MAX = 3


def all_cases(target: str, anyway: bool) -> list[Case]:
    """Every case of every test_*.py beside the laboratory."""
    sys.path.insert(0, str(HERE))
    cases: list[Case] = []
    for path in sorted(HERE.glob("test_*.py")):
        cases += cases_of(importlib.import_module(path.stem), target, anyway)
    seen = set()
    for case in cases:
        if case.id in seen:
            raise SystemExit(f"two tests are called {case.id}")
        seen.add(case.id)
    return cases


def one_variant_each(cases: list[Case]) -> list[Case]:
    """Of each test with each parameter one variant: which one, its name says, so that all kinds of
    variants occur and a failure comes again."""
    variants: dict[tuple[object, Optional[str]], list[Case]] = {}
    for case in cases:
        variants.setdefault((case.function, case.param), []).append(case)
    return [of_one[zlib.crc32(of_one[0].id.encode()) % len(of_one)] for of_one in variants.values()]


def chosen(cases: list[Case], only: list[str], light: bool, once: bool = False,
           one_variant: bool = False, without: Sequence[str] = ()) -> list[Case]:
    """The cases whose id holds one of the patterns (text, or a regular expression), and none of
    those `without` it; with `once` the first of each function's."""
    result = []
    functions: set[object] = set()
    for case in cases:
        if light and case.declaration.heavy:
            continue
        if only and not any(p in case.id or re.search(p, case.id) for p in only):
            continue
        if any(p in case.id or re.search(p, case.id) for p in without):
            continue
        if once and case.function in functions:
            continue
        functions.add(case.function)
        result.append(case)
    return one_variant_each(result) if one_variant else result


class Worker:
    """A process that runs tests."""

    def __init__(self, folder: Path, target: str, anyway: bool) -> None:
        orders, self._orders = os.pipe()
        self.answers, answers = os.pipe()
        self.stderr = folder / f"worker-{time.monotonic_ns()}.err"
        with open(self.stderr, "wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, str(HERE / "run"), "--worker", f"{orders},{answers}", "--folder",
                 str(folder), "--target", target, *(["--anyway"] if anyway else [])],
                pass_fds=(orders, answers), stderr=stderr, stdin=subprocess.DEVNULL,
                start_new_session=True)
        os.close(orders)
        os.close(answers)
        self.case: Optional[Case] = None
        self.deadline = 0.0
        self.begun = 0.0
        self.buffer = b""

    def order(self, case: Case) -> None:
        self.case = case
        self.begun = time.monotonic()
        self.deadline = self.begun + case.declaration.within * PATIENCE
        os.write(self._orders, (case.id + "\n").encode())

    def answer(self) -> Optional[dict]:
        """The result that has come; None when it is not complete; {} when the worker is gone."""
        data = os.read(self.answers, 1 << 20)
        if not data:
            return {}
        self.buffer += data
        if b"\n" not in self.buffer:
            return None
        line, self.buffer = self.buffer.split(b"\n", 1)
        return json.loads(line)

    def stop(self, within: float = 30.0) -> None:
        """Lets it clean up and go; makes it go when it does not."""
        if self._orders >= 0:
            os.close(self._orders)
            self._orders = -1
        if self.case is not None:
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(within)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.answers)

    def overdue(self) -> str:
        """Ends a worker whose test is past its deadline; gives where every thread was."""
        self.process.send_signal(signal.SIGUSR1)
        time.sleep(0.3)
        where = self.stderr.read_text(errors="replace")[-5000:]
        self.stop()
        return where


class Runner:
    """Hands cases to workers: first those that may run side by side, then each that runs alone."""

    def __init__(self, folder: Path, target: str, anyway: bool, jobs: int, logs: Path) -> None:
        self.folder, self.target, self.jobs, self.logs = folder, target, jobs, logs
        self.anyway = anyway
        self.passed = 0
        self.failed: list[str] = []
        self.broke = False                  # the program itself: no second attempt mends that
        self.second: list[str] = []         # passed when asked again
        self.asking_again = False
        self.total = 0
        self.workers: list[Worker] = []

    def run(self, cases: list[Case], again: bool = False) -> None:
        """`again`: the few that fail are asked once more, alone."""
        self.total = len(cases)
        try:
            together = [c for c in cases if not c.declaration.alone]
            alone = [c for c in cases if c.declaration.alone]
            self._run_with(together, self.jobs)
            self._run_with(alone, 1)
            if again and len(self.failed) <= AGAIN_MAX and not self.broke:
                self.asking_again = True
                self._run_with([c for c in cases if c.id in self.failed], 1)
        finally:
            for worker in self.workers:
                if worker.case is not None:
                    worker.process.send_signal(signal.SIGTERM)
            for worker in self.workers:
                worker.stop()

    def _run_with(self, cases: list[Case], jobs: int) -> None:
        waiting = list(reversed(cases))
        while waiting or any(w.case for w in self.workers):
            for worker in self.workers[:jobs]:
                if worker.case is None and waiting:
                    worker.order(waiting.pop())
            while waiting and len(self.workers) < jobs:
                worker = Worker(self.folder, self.target, self.anyway)
                self.workers.append(worker)
                worker.order(waiting.pop())
            self._wait()

    def _wait(self) -> None:
        busy = [w for w in self.workers if w.case is not None]
        nearest = min(w.deadline for w in busy)
        with selectors.DefaultSelector() as selector:
            for worker in busy:
                selector.register(worker.answers, selectors.EVENT_READ, worker)
            for key, _ in selector.select(max(0.0, nearest - time.monotonic())):
                self._take(key.data)
        for worker in busy:
            if worker.case is not None and time.monotonic() > worker.deadline:
                case, worker.case = worker.case, worker.case
                self.workers.remove(worker)
                self._report(case.id, False, time.monotonic() - worker.begun,
                             f"not done within {case.declaration.within * PATIENCE:.0f} s\n"
                             + worker.overdue(), {})

    def _take(self, worker: Worker) -> None:
        answer = worker.answer()
        if answer is None:
            return
        case = worker.case
        assert case is not None
        if answer:
            worker.case = None
            self._report(case.id, answer["ok"], answer["seconds"], answer["detail"],
                         answer["logs"], answer["broke"])
            return
        self.workers.remove(worker)
        worker.stop()
        self._report(case.id, False, time.monotonic() - worker.begun,
                     "the worker ended:\n" + worker.stderr.read_text(errors="replace")[-3000:], {})

    def _report(self, id_: str, ok: bool, seconds: float, detail: str,
                logs: dict[str, str], broke: bool = True) -> None:
        done = self.passed + len(self.failed) + (0 if self.asking_again else 1)
        print(f"{'ok  ' if ok else 'FAIL'}  {id_}  {seconds:.1f} s  ({done}/{self.total})",
              flush=True)
        if ok:
            self.passed += 1
            if self.asking_again:
                self.failed.remove(id_)
                self.second.append(id_)
            return
        if not self.asking_again:
            self.failed.append(id_)
        self.broke = self.broke or broke
        place = self.logs / re.sub(r"[^\w.,-]+", "_", id_ + (" again" if self.asking_again else ""))
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        (place / "detail.txt").write_text(detail)
        for name, text in logs.items():
            (place / f"{name}.log").write_text(text)
        for line in detail.strip().splitlines()[-40:]:
            print(f"        {line[:400]}")
        print(f"        logs: {place}", flush=True)


def run_tests(target: str, cases: list[Case], jobs: int, logs: Path, *, anyway: bool = False,
              again: bool = False, keep: bool = False) -> int:
    """Runs the cases; gives the exit code of the program: 4 when there was nothing to run."""
    if target == "forebay":
        from .forebay import binary
        print(f"testing {binary()}")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))    # for thousands of clients
    begun = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="forebay-lab."))
    folder.chmod(0o755)
    runner = Runner(folder, target, anyway, jobs, logs)
    interrupted = False

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)
    try:
        Site(folder, target).prepare()
        runner.run(cases, again)
    except KeyboardInterrupt:
        interrupted = True
        print("interrupted")
    finally:
        Child.end_all()
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    for id_ in runner.second:
        print(f"failed, and passed when asked again: {id_}")
    for id_ in runner.failed:
        print(f"failed: {id_}")
    print(f"integration against {target}: {runner.passed} passed, {len(runner.failed)} failed "
          f"in {time.monotonic() - begun:.0f} s", flush=True)
    if runner.failed or interrupted:
        return 1
    return 0 if runner.total else 4
