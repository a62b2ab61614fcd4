"""Test suites that Debian's packages of drivers bring, while others keep the pool busy. What passes
directly must pass through the proxy; what is left out is listed here, with the reason."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Mapping

from lab.declare import MODES, test
from lab.drivers import DRIVERS, go_test_program
from lab.lab import Lab
from lab.load import busy
from lab.process import LabError, run
from lab.target import Target

TARGETS = ("direct", "forebay")

# These tests leave transactions open, several at a time: their sessions keep so many connections.
POOL_SIZE = 14

AS_ROOT = "tests run as root, to whom PostgreSQL's files look the same with any permissions"
ENDS_SERVER = ("it ends the server process of a session between transactions, which the session has "
               "no more part in: nothing happens to it")

LIB_PQ = {"TestHasCorrectRootGroupPermissions": AS_ROOT}
LIB_PQ_POOLED = {"TestPing": ENDS_SERVER}
PGX_POOLED = {"TestFatalRxError": ENDS_SERVER, "TestFatalTxError": ENDS_SERVER}

# They cancel after ten milliseconds, whether or not anything has begun: on a busy machine the
# connection takes longer, a direct one, too, and then they fail. Who does is asked again, alone.
HURRIED = {"TestContextCancelExec", "TestContextCancelQuery"}
HURRIED_TRIES = 5

# With the requirements that SQLAlchemy supposes of an unknown dialect, these fail directly, too.
SQLALCHEMY_DIRECT = ("DistinctOnTest", "test_get_pk_constraint", "test_get_table_names",
                     "test_get_temp_table_indexes")


def pooled(target: Target) -> bool:
    return target.kind != "direct" and target.settings.mode == "transaction"


def passes_alone(program: Path, name: str, env: Mapping[str, str], folder: Path) -> bool:
    return any(run([program, "-test.run", f"^{name}$"], env=env, cwd=folder, within=60,
                   expect=None).code == 0 for _ in range(HURRIED_TRIES))


def go_suite(lab: Lab, package: str, least: int, apart: Mapping[str, str],
             pooled_apart: Mapping[str, str]) -> None:
    """Runs a package's tests but those that are set apart; all others must pass, or skip."""
    program, folder = go_test_program(package)
    target = lab.target(pool_size=POOL_SIZE if lab.variant.mode == "transaction" else 40)
    words = {"host": target.host, "port": target.port, "user": "app", "password": "app-secret",
             "dbname": "app", "sslmode": "disable"}
    env = dict(target.environment(), PGX_TEST_DATABASE=" ".join(f"{k}={v}" for k, v in
                                                                words.items()))
    out = {**apart, **(pooled_apart if pooled(target) else {})}
    listed = [name for name in run([program, "-test.list", "^Test"], env=env, cwd=folder)
              .out.split() if name.startswith("Test")]
    missing = sorted(set(out) - set(listed))
    if missing:
        raise LabError(f"no longer in {package}: {missing}")
    chosen = "^(" + "|".join(name for name in listed if name not in out) + ")$"
    with busy(lab, target):
        done = run([program, "-test.v", "-test.run", chosen, "-test.timeout", "200s"], env=env,
                   cwd=folder, within=210, expect=None)
    failed = re.findall(r"^--- FAIL: (\w+)", done.out, re.MULTILINE)
    passed = re.findall(r"^--- PASS: (\w+)", done.out, re.MULTILINE)
    hurried = [name for name in failed if name in HURRIED]
    if hurried == failed and all(passes_alone(program, name, env, folder) for name in hurried):
        failed = []
    if failed or (done.code != 0 and not hurried) or len(passed) < least - len(hurried):
        raise LabError(f"{len(passed)} passed, failed: {failed}\n{done.out[-6000:]}\n{done.err}")


@test(modes=MODES, targets=TARGETS, within=300, heavy=True)
def lib_pq(lab: Lab) -> None:
    go_suite(lab, "github.com/lib/pq", 190, LIB_PQ, LIB_PQ_POOLED)


@test(targets=TARGETS, within=300, heavy=True)
def pgx(lab: Lab) -> None:
    lab.postgres.rows("drop domain if exists uint64", "app")
    lab.postgres.rows("create domain uint64 as numeric(20, 0)", "app")
    try:
        go_suite(lab, "github.com/jackc/pgx/v4", 140, {}, PGX_POOLED)
    finally:
        lab.postgres.rows("drop domain uint64", "app")


@test(targets=TARGETS, within=300)
def pgxpool(lab: Lab) -> None:
    go_suite(lab, "github.com/jackc/pgx/v4/pgxpool", 45, {}, {})


@test(params=("psycopg2", "asyncpg"), targets=TARGETS, within=240, heavy=True)
def sqlalchemy(lab: Lab, driver: str) -> None:
    """The dialect compliance suite."""
    target = lab.target(pool_size=3)
    uri = f"postgresql+{driver}://app:app-secret@{target.host}:{target.port}/app"
    if driver == "asyncpg":
        uri += "?ssl=disable"
    with target.connect() as client:
        client.run("create schema test_schema")
    try:
        with busy(lab, target):
            done = run([sys.executable, "-m", "pytest", "-q", "--dburi", uri, "-k",
                        " and ".join(f"not {name}" for name in SQLALCHEMY_DIRECT)],
                       env=dict(target.environment(), PYTHONDONTWRITEBYTECODE="1"),
                       cwd=DRIVERS / "sqlalchemy_suite", within=110, expect=None)
    finally:
        lab.postgres.rows("drop schema test_schema cascade", "app")
    passed = re.search(r"(\d+) passed", done.out)
    if done.code != 0 or passed is None or int(passed.group(1)) < 300:
        raise LabError(f"{done!r}")
