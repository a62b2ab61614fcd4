"""Clients that write a counter and read it back, while replicas are late: does anybody see less
than it wrote itself?"""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass, field

from .target import Target

TABLE = "create table counters (client int primary key, n int not null)"


@dataclass
class Seen:
    writes: int = 0
    reads: Counter[str] = field(default_factory=Counter)    # by the server's port
    stale: int = 0
    trouble: str = ""


class Counters:
    """Half of the clients write and read back; the others only read."""

    def __init__(self, target: Target, clients: int, reads: int, think: float) -> None:
        self.target, self.reads, self.think = target, reads, think
        self.seen = [Seen() for _ in range(clients)]
        self.stop = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(n,)) for n in range(clients)]

    def __enter__(self) -> "Counters":
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def writers(self) -> list[Seen]:
        return self.seen[::2]

    def _run(self, number: int) -> None:
        seen = self.seen[number]
        try:
            with self.target.connect(within=60) as client:
                written = 0
                if number % 2 == 0:
                    client.run(f"insert into counters values ({number}, 0)")
                while not self.stop.is_set():
                    if number % 2 == 0:
                        client.run(f"update counters set n = n + 1 where client = {number}")
                        written += 1
                        seen.writes += 1
                    for _ in range(self.reads):
                        if self.stop.wait(self.think):
                            break
                        row = client.rows("select coalesce(max(n), 0), inet_server_port() "
                                          f"from counters where client = {number}")[0]
                        seen.reads[str(row[1])] += 1
                        seen.stale += int(row[0] or 0) < written
        except Exception as error:      # noqa: BLE001, told by whoever waits
            seen.trouble = f"{type(error).__name__}: {error}"

    def total(self) -> Seen:
        total = Seen()
        for seen in self.seen:
            total.writes += seen.writes
            total.reads += seen.reads
            total.stale += seen.stale
            total.trouble = total.trouble or seen.trouble
        return total


def load_for(counters: Counters, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and not counters.total().trouble:
        counters.stop.wait(0.05)
