"""Random conversations about prepared statements, with pools so small and limits so low that what a
client prepared is nearly never where it is needed: each client hears what it hears directly.

SEED=n PLANS=n in the environment: others, and more of them."""

from __future__ import annotations

import os
from typing import Any

from lab.declare import FOREBAY, test
from lab.lab import Lab
from lab.random_messages import Writer
from lab.target import Target
from lab.twins import Theatre, is_odd
from lab.wire import Client


@test(targets=FOREBAY, within=36_000)
def random_conversations(lab: Lab) -> None:
    first = int(os.environ.get("SEED", "1"))
    count = int(os.environ.get("PLANS", "40"))
    plain = lab.direct()

    def direct(**more: Any) -> Client:
        return plain.connect("other", "other", **more)

    def start(pool_size: int, max_prepared: int) -> Target:
        return lab.target(pool_size=pool_size, options={"max_prepared_statements": max_prepared})

    theatre = Theatre(direct, start)
    wrong = []
    for seed in range(first, first + count):
        plan = Writer(seed).plan()
        if theatre.play(plan):
            plan = theatre.shrink(plan)
            if not is_odd(plan):
                wrong.append(f"seed {seed}: {plan}\n{theatre.play(plan)}\n")
    with plain.connect("other", "other") as client:
        for n in range(4):
            client.run(f"drop table if exists t{n}, u{n}")
    assert not wrong, f"{len(wrong)} of {count} differ:\n" + "\n".join(wrong)
