"""Clients that come, work, are cancelled, vanish; servers that are killed; files that are reloaded."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Callable

from . import messages as m
from .lab import Lab
from .process import LabError
from .target import Target
from .wire import Client, Ended, ServerError

# Who was killed or cancelled is told so: connection lost (08), operator (57P01), cancelled (57014),
# and what depended on the transaction that is gone (25P02, 40001, 40003).
EXPECTED = {"08006", "08007", "08003", "57P01", "57014", "40001", "40003", "25P02"}


class Soak:
    """Everything at once, until told to stop. `done` counts by what was done, `trouble` is what
    nobody should have seen."""

    def __init__(self, lab: Lab, target: Target, seed: int) -> None:
        self.lab, self.target = lab, target
        self.done: Counter[str] = Counter()
        self.trouble: list[str] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._random = random.Random(seed)
        self._threads: list[threading.Thread] = []
        self._text = target.toml_text()  # type: ignore[attr-defined]

    def start(self, clients: int) -> None:
        work = [self._visitor, self._stayer, self._canceller, self._vanisher]
        kinds: list[Callable[[random.Random], None]] = [work[i % len(work)] for i in range(clients)]
        for kind in [*kinds, self._killer, self._reloader]:
            thread = threading.Thread(target=self._again_and_again,
                                      args=(kind, random.Random(self._random.random())))
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _again_and_again(self, kind: Callable[[random.Random], None], chance: random.Random) -> None:
        while not self._stop.is_set():
            try:
                kind(chance)
                self._count(kind.__name__.strip("_"))
            except ServerError as error:
                if error.sqlstate in EXPECTED:
                    self._count(error.sqlstate)
                else:
                    self._complain(f"{kind.__name__}: {error}")
            except Ended:
                self._count("disconnected")
            except Exception as error:                          # noqa: BLE001  it is to be told
                self._complain(f"{kind.__name__}: {error!r}")

    def _count(self, what: str) -> None:
        with self._lock:
            self.done[what] += 1

    def _complain(self, what: str) -> None:
        with self._lock:
            self.trouble.append(what)

    def _client(self) -> Client:
        return self.target.connect(within=60)

    def _visitor(self, chance: random.Random) -> None:
        """Comes for a statement or a few."""
        with self._client() as client:
            for _ in range(chance.randrange(1, 5)):
                number = str(chance.randrange(1000))
                assert client.value(f"select {number}") == number

    def _stayer(self, chance: random.Random) -> None:
        """Has a session: settings, prepared statements, transactions, temporary tables."""
        with self._client() as client:
            mine = f"s{chance.randrange(10**9)}"
            client.run(f"set application_name = '{mine}'")
            client.run(f"prepare p as select '{mine}'::text || $1")
            for i in range(50):
                if self._stop.is_set():
                    return
                assert client.value("show application_name") == mine
                assert client.value(f"execute p({i})") == f"{mine}{i}"
                client.run("begin")
                client.run("select repeat('x', 20000)")
                client.run(chance.choice(("commit", "rollback")))
                if i == 25:
                    client.run("create temp table kept (x int)")
                    client.run("insert into kept values (1)")
                    assert client.value("select count(*) from kept") == "1"
                    client.run("drop table kept")

    def _canceller(self, chance: random.Random) -> None:
        with self._client() as client:
            client.send(m.query("select pg_sleep(5)"))
            self._stop.wait(chance.random() / 20)
            # Before it is there a cancel hits nothing, as with PostgreSQL: so again, until it does.
            while True:
                client.cancel(tls=self.target.tls())
                try:
                    client.receive(0.2)
                    break
                except LabError:
                    continue
            client.until_ready()
            assert client.value("select 1") == "1"

    def _vanisher(self, chance: random.Random) -> None:
        """Goes without a word: idle, in a transaction, in a statement, in the middle of a result."""
        client = self._client()
        try:
            stage = chance.randrange(4)
            if stage > 0:
                client.run("begin")
            if stage == 2:
                client.send(m.query("select pg_sleep(5)"))
            if stage == 3:
                client.send(m.query("select repeat('x', 1000) from generate_series(1, 20000)"))
                client.receive(1)
        finally:
            client.reset() if chance.random() < 0.5 else client.close()

    def _killer(self, chance: random.Random) -> None:
        self.lab.postgres.rows(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = 'app' "
            "and backend_type = 'client backend' order by random() limit 1")
        self._stop.wait(0.5 + chance.random())

    def _reloader(self, chance: random.Random) -> None:
        text = self._text + chance.choice(("", "\n", "\n[pool"))
        size = chance.randrange(3, 9)
        text = text.replace("default_pool_size = 6", f"default_pool_size = {size}")
        (self.target.folder / "forebay.toml").write_text(text)
        self.target.running.send_signal(signal.SIGHUP)
        self._stop.wait(2)


class Footprint:
    """Memory and descriptors of the program, sampled."""

    def __init__(self, target: Target) -> None:
        self.pid = target.running.pid
        self.samples: list[tuple[float, float, int]] = []       # seconds, MiB, descriptors

    def sample(self) -> tuple[float, float, int]:
        status = Path(f"/proc/{self.pid}/status").read_text()
        resident = int(status.split("VmRSS:")[1].split()[0]) / 1024
        descriptors = len(list(Path(f"/proc/{self.pid}/fd").iterdir()))
        self.samples.append((time.monotonic(), resident, descriptors))
        return self.samples[-1]
