"""Many clients on few server connections, each with settings, statements, locks, temporary objects,
cursors and channels at random: each has its own after every transaction, and nobody else's.
SECONDS=n in the environment: longer."""

from __future__ import annotations

import os
import time

from lab.crowd import KEYS, Member, Register, lives
from lab.declare import POSTGRES_LIKE, test
from lab.lab import Lab
from lab.postgres import password_of

CLIENTS = 14
LINKS = 5


@test(targets=POSTGRES_LIKE, within=36_000, params=("pins", "shared_listen"))
def each_has_its_own(lab: Lab, how: str) -> None:
    shared = how == "shared_listen" and lab.kind != "direct"
    target = lab.target(pool_size=LINKS, options={"shared_listen": shared})
    register = Register(CLIENTS, LINKS - 2)
    until = time.monotonic() + float(os.environ.get("SECONDS", "15"))

    def connect(number: int) -> Member:
        return Member(target.address, user="app", database="app", password=password_of("app"),
                      tls=target.tls(), within=60, application_name=f"client {number}")

    def held() -> set[int]:
        return {int(key or 0) for key, in lab.postgres.rows(
            f"select objid from pg_locks where locktype = 'advisory' and objid < {KEYS}", "app")}

    lab.postgres.rows("create role tmpmask role app")
    all_members = lab.in_parallel(
        CLIENTS, lambda number: list(lives(connect, register, number, until, shared, held)),
        within=36_000)
    members = [member for each in all_members for member in each]
    turns = sum(member.turns for member in members)
    changes = sum(a != b for member in members
                  for a, b in zip(member.processes, member.processes[1:]))
    print(f"{len(members)} clients, {turns} turns, {changes} times on another connection, "
          f"{sum(len(member.heard) for member in members)} notifications")
    if lab.kind != "direct":
        assert changes > turns / 8, (changes, turns)
