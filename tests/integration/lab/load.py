"""Clients that keep a pool busy, so that server connections really change hands."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Iterator

from .lab import Lab
from .process import LabError
from .target import Target

# Short transactions of several shapes, some with think time inside, so that links stay uneven.
SCRIPT = """
\\set n random(1, 1000000)
select :n::int + 1;
begin;
select :n::int;
\\sleep 2 ms
select count(*) from pg_class where oid = :n::int;
end;
select repeat('x', 1000 + :n::int % 1000);
\\sleep 1 ms
"""


@contextmanager
def busy(lab: Lab, target: Target, *, clients: int = 4, protocol: str = "prepared",
         database: str = "app", user: str = "app", sql: str = SCRIPT) -> Iterator[None]:
    """pgbench clients on the same pool during the block; every one must get on without an error."""
    if target.kind == "direct":
        yield
        return
    if target.kind == "pgbouncer" and target.settings.mode == "transaction":
        protocol = "simple"             # 1.18 keeps no prepared statements
    # One thread for each client: pgbench prepares with a blocking call, and a thread that waits for
    # a server connection while another of its clients holds one in a transaction waits for ever.
    script = lab.folder / "busy.sql"
    script.write_text(sql)
    child = lab.child("busy", ["pgbench", "-n", "-f", script, "-M", protocol, "-c", clients, "-j",
                               clients, "-T", "600", "-P", "1"],
                      env=dict(target.environment(user, database)))
    try:
        yield
        if not child.alive:
            raise LabError(f"the busy clients ended: {child.output()[-2000:]}")
    finally:
        child.stop()
    trouble = [line for line in child.output().splitlines()
               if "error" in line.lower() or "fatal" in line.lower()]
    if trouble:
        raise LabError("the busy clients met trouble: " + "\n".join(trouble[:5]))
