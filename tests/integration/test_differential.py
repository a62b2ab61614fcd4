"""The same scripted session, recorded directly and through the target, gives the same bytes."""

from __future__ import annotations

from lab.declare import TLS, test
from lab.lab import Lab
from lab.load import busy
from lab.recorder import SESSIONS, compare
from lab.target import Target
from sessions import SETUP

TRANSACTION = [s.name for s in SESSIONS.values() if "transaction" in s.modes]
SESSION = [s.name for s in SESSIONS.values() if "session" in s.modes]

# Where PgBouncer 1.18 is known to differ; it also shows that the comparison finds differences.
PGBOUNCER_DIFFERS = {
    "into_with_a_query_in_the_middle", "login_with_reported_parameters",
    "login_with_other_parameters", "reset_goes_back_to_the_login", "discard_goes_back_to_the_login",
}


def prepare(lab: Lab) -> Target:
    direct = lab.direct()
    with direct.connect() as client:
        client.run(SETUP)
    return direct


@test(modes=("transaction",), targets=("direct", "forebay"), params=TRANSACTION)
def in_transaction_mode(lab: Lab, name: str) -> None:
    """With other clients on the same two server connections, which are handed out in turn."""
    direct = prepare(lab)
    target = lab.target(pool_size=2)
    with busy(lab, target, clients=2):
        compare(SESSIONS[name], direct, target, lab.postgres, "transaction")


@test(targets=("forebay",), params=("notified_by_itself", "notified_by_another_while_idle"))
def with_shared_listen(lab: Lab, name: str) -> None:
    """Notifications come where PostgreSQL says them, though by another connection."""
    direct = prepare(lab)
    target = lab.target(pool_size=2, options={"shared_listen": True})
    with busy(lab, target, clients=2):
        compare(SESSIONS[name], direct, target, lab.postgres, "transaction")


@test(targets=("forebay",), within=240)
def with_lazy_begin(lab: Lab) -> None:
    compare_all(lab, lab.target(pool_size=2, options={"lazy_begin": True}))


@test(modes=("session",), targets=("pgbouncer", "forebay"), params=SESSION)
def in_session_mode(lab: Lab, name: str) -> None:
    direct = prepare(lab)
    try:
        compare(SESSIONS[name], direct, lab.target(), lab.postgres, "session")
    except AssertionError:
        if lab.kind == "pgbouncer" and name in PGBOUNCER_DIFFERS:
            return
        raise


@test(modes=("transaction", "session"), tls=TLS, entries=("run",), targets=("forebay",), within=240)
def without_a_configuration(lab: Lab) -> None:
    """All sessions, one after the other, in run mode, where the server authenticates."""
    compare_all(lab, lab.target())


@test(modes=("transaction", "session"), tls=(True,), targets=("forebay",), within=240)
def over_tls(lab: Lab) -> None:
    compare_all(lab, lab.target())


@test(targets=("forebay",), within=240)
def with_reads_on_a_replica(lab: Lab) -> None:
    """What a replica answers, too, is what the primary would have said."""
    replica = lab.replica_of(lab.postgres)
    compare_all(lab, lab.target(servers=[lab.postgres.address, replica.address],
                                options={"split_reads": True}))


def compare_all(lab: Lab, target: Target) -> None:
    direct = prepare(lab)
    found = []
    for chosen in SESSIONS.values():
        if lab.variant.mode in chosen.modes:
            try:
                compare(chosen, direct, target, lab.postgres, lab.variant.mode, repeats=1)
            except AssertionError as error:
                found.append(str(error))
    assert not found, f"{len(found)} sessions differ:\n" + "\n".join(found)
