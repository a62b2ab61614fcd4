"""The common drivers, each with its own program in drivers/, while others keep the pool busy."""

from __future__ import annotations

import sys

from lab.declare import MODES, TLS, test
from lab.drivers import (DRIVERS, c_program, cxx_program, java_program, node_program,
                         run_driver)
from lab.lab import Lab

# PgBouncer 1.18 knows no protocol-level prepared statements outside of session mode.
TARGETS = ("direct", "pgbouncer/session", "forebay")


def pool_size(lab: Lab) -> int:
    """Few links that all must share, or one for each of the driver's sessions and the others."""
    return 3 if lab.variant.mode == "transaction" else 16


@test(modes=MODES, tls=TLS, targets=TARGETS, within=120)
def libpq_pipeline(lab: Lab) -> None:
    run_driver(lab, lab.target(pool_size=pool_size(lab)), [c_program("pipeline")])


@test(modes=MODES, tls=TLS, targets=TARGETS, within=120)
def psycopg3(lab: Lab) -> None:
    run_driver(lab, lab.target(pool_size=pool_size(lab)),
               [sys.executable, DRIVERS / "psycopg3_driver.py"])


@test(modes=MODES, tls=TLS, within=120)
def psycopg2(lab: Lab) -> None:
    run_driver(lab, lab.target(pool_size=pool_size(lab)),
               [sys.executable, DRIVERS / "psycopg2_driver.py"])


@test(modes=MODES, tls=TLS, targets=TARGETS, within=120)
def asyncpg(lab: Lab) -> None:
    run_driver(lab, lab.target(pool_size=pool_size(lab)),
               [sys.executable, DRIVERS / "asyncpg_driver.py"])


@test(modes=MODES, tls=TLS, targets=TARGETS, within=120)
def pgjdbc(lab: Lab) -> None:
    run_driver(lab, lab.target(pool_size=pool_size(lab)), java_program("Jdbc"))


@test(modes=MODES, tls=TLS, targets=TARGETS, within=180)
def node_postgres(lab: Lab) -> None:
    run_driver(lab, lab.target(pool_size=pool_size(lab)), node_program("node_postgres"))


@test(modes=MODES, tls=TLS, targets=TARGETS, within=180)
def postgres_js(lab: Lab) -> None:
    run_driver(lab, lab.target(pool_size=pool_size(lab)), node_program("postgres_js"))


@test(modes=MODES, targets=TARGETS)
def sqlalchemy(lab: Lab) -> None:
    run_driver(lab, lab.target(pool_size=pool_size(lab)),
               [sys.executable, DRIVERS / "sqlalchemy_driver.py"])


@test(modes=MODES, targets=TARGETS)
def psqlodbc(lab: Lab) -> None:
    run_driver(lab, lab.target(pool_size=pool_size(lab)),
               [sys.executable, DRIVERS / "psqlodbc_driver.py"])


@test(modes=MODES, targets=TARGETS)
def libpqxx(lab: Lab) -> None:
    run_driver(lab, lab.target(pool_size=pool_size(lab)), [cxx_program("libpqxx", "libpqxx")])


@test(modes=MODES, targets=TARGETS)
def dbd_pg(lab: Lab) -> None:
    run_driver(lab, lab.target(pool_size=pool_size(lab)), ["perl", DRIVERS / "dbd_pg.pl"])


@test(modes=MODES, targets=TARGETS)
def ruby_pg(lab: Lab) -> None:
    run_driver(lab, lab.target(pool_size=pool_size(lab)), ["ruby", DRIVERS / "ruby_pg.rb"])


@test(modes=MODES, targets=TARGETS)
def php_pdo(lab: Lab) -> None:
    run_driver(lab, lab.target(pool_size=pool_size(lab)), ["php", DRIVERS / "php_pdo.php"])
