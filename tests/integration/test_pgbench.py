"""pgbench in its three protocols, with more clients than server connections."""

from __future__ import annotations

import re
from typing import Any

from lab.declare import MODES, POOLERS, TLS, test
from lab.lab import Lab
from lab.process import Finished, run
from lab.target import Target

PROTOCOLS = ("simple", "extended", "prepared")
# PgBouncer 1.18 knows no prepared statements outside of session mode.
TARGETS = ("direct", "pgbouncer/session", "forebay")


def pgbench(target: Target, *arguments: Any, within: float = 120) -> Finished:
    done = run(["pgbench", "-n", *arguments], within=within,
               env=target.environment(database="bench"))
    assert "error" not in done.err.lower(), done
    failed = re.search(r"number of failed transactions: (\d+)", done.out)
    assert failed and failed.group(1) == "0", done
    return done


def check_books(target: Target) -> None:
    """pgbench's transactions move the same amounts in four tables; nothing was lost or doubled."""
    with target.connect(database="bench") as client:
        sums = client.rows("select (select sum(abalance) from pgbench_accounts), "
                           "(select sum(tbalance) from pgbench_tellers), "
                           "(select sum(bbalance) from pgbench_branches)")[0]
        assert len(set(sums)) == 1, sums


@test(modes=("transaction",), tls=TLS, targets=("direct", "forebay"), params=PROTOCOLS)
def more_clients_than_links(lab: Lab, protocol: str) -> None:
    # A thread for each client: pgbench prepares with a blocking call, and a thread that waits for a
    # server connection while another of its clients holds one in a transaction waits for ever.
    target = lab.target(pool_size=4)
    pgbench(target, "-M", protocol, "-c", 16, "-j", 16, "-t", 60)
    pgbench(target, "-M", protocol, "-S", "-c", 16, "-j", 2, "-t", 300)
    check_books(target)


@test(modes=("transaction",), tls=TLS, targets=("pgbouncer",))
def more_clients_than_links_simply(lab: Lab) -> None:
    target = lab.target(pool_size=4)
    pgbench(target, "-M", "simple", "-c", 16, "-j", 2, "-t", 60)
    check_books(target)


@test(modes=("session",), tls=TLS, targets=TARGETS, params=PROTOCOLS)
def sessions(lab: Lab, protocol: str) -> None:
    target = lab.target(pool_size=20)
    pgbench(target, "-M", protocol, "-c", 16, "-j", 2, "-t", 60)
    check_books(target)


@test(modes=("session",), targets=POOLERS)
def sessions_wait_for_a_link(lab: Lab) -> None:
    """With -C every transaction is a session of its own: eight of them take turns on two links.
    Each has a thread, since pgbench logs in with a blocking call."""
    target = lab.target(pool_size=2)
    pgbench(target, "-S", "-C", "-c", 8, "-j", 8, "-t", 20)


@test(modes=("transaction",), tls=TLS, targets=("direct", "forebay"))
def pipeline(lab: Lab) -> None:
    """\\startpipeline: several statements are sent before the first answer."""
    script = lab.folder / "pipeline.sql"
    script.write_text("\\set n random(1, 100000)\n\\startpipeline\n"
                      "select abalance from pgbench_accounts where aid = :n;\n"
                      "begin;\nupdate pgbench_accounts set abalance = abalance where aid = :n;\n"
                      "end;\nselect :n;\n\\endpipeline\n")
    target = lab.target(pool_size=3)
    for protocol in ("extended", "prepared"):
        pgbench(target, "-f", script, "-M", protocol, "-c", 8, "-j", 8, "-t", 100)


def _many(lab: Lab, protocol: str, clients: int, transactions: int) -> None:
    target = lab.target(pool_size=20)
    pgbench(target, "-M", protocol, "-S", "-c", clients, "-j", 2, "-t", transactions, within=280)
    assert lab.postgres.value("select count(*) from pg_stat_activity where datname = 'bench'") \
        in [str(n) for n in range(21)]


@test(modes=("transaction",), tls=TLS, targets=("forebay",), params=PROTOCOLS, alone=True,
      within=300)
def two_thousand_clients(lab: Lab, protocol: str) -> None:
    """2,000 clients on 20 server connections finish with no error."""
    _many(lab, protocol, 300 if lab.sanitized else 2000, 10)


@test(modes=("transaction",), tls=TLS, targets=("pgbouncer",), alone=True, within=300)
def two_thousand_clients_simply(lab: Lab) -> None:
    _many(lab, "simple", 2000, 10)


@test(modes=MODES, targets=("forebay",), within=90)
def three_hundred_clients(lab: Lab) -> None:
    """The same, small enough for sanitized builds."""
    if lab.variant.mode == "session":
        target = lab.target(pool_size=20)
        pgbench(target, "-S", "-C", "-c", 60, "-j", 60, "-t", 5)
    else:
        _many(lab, "prepared", 300, 5)
