"""Builds and runs the driver programs of tests/integration/drivers."""

from __future__ import annotations

import fcntl
import os
import shlex
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, Sequence

from .lab import Lab
from .load import busy
from .process import LabError, run
from .target import Target

DRIVERS = Path(__file__).resolve().parent.parent / "drivers"
BUILT = Path(__file__).resolve().parents[3] / "build" / "integration" / "drivers"
GO_PATH = Path("/usr/share/gocode")
JDBC = Path("/usr/share/java/postgresql.jar")


@contextmanager
def _building() -> Iterator[None]:
    """One worker builds, the others wait for it."""
    BUILT.mkdir(parents=True, exist_ok=True)
    with open(BUILT / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _older(product: Path, *sources: Path) -> bool:
    return not product.exists() or any(s.stat().st_mtime > product.stat().st_mtime for s in sources)


def c_program(name: str) -> Path:
    source, product = DRIVERS / f"{name}.c", BUILT / name
    with _building():
        if _older(product, source):
            flags = shlex.split(run(["pkg-config", "--cflags", "--libs", "libpq"]).out)
            run(["cc", "-O1", "-g", "-Wall", "-Wextra", "-Werror", source, "-o", product, *flags])
    return product


def cxx_program(name: str, library: str) -> Path:
    source, product = DRIVERS / f"{name}.cpp", BUILT / name
    with _building():
        if _older(product, source):
            flags = shlex.split(run(["pkg-config", "--cflags", "--libs", library]).out)
            run(["c++", "-std=c++17", "-g", "-Wall", "-Wextra", "-Werror",
                 "-Wno-deprecated-declarations", source, "-o", product, *flags], within=120)
    return product


def java_program(name: str) -> list[str]:
    source, product = DRIVERS / f"{name}.java", BUILT / f"{name}.class"
    if not JDBC.exists():
        raise LabError(f"{JDBC} is missing: install libpostgresql-jdbc-java")
    with _building():
        if _older(product, source):
            run(["javac", "-cp", JDBC, "-d", BUILT, source], within=120)
    return ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp",
            f"{BUILT}:{JDBC}", name]


def go_test_program(package: str) -> tuple[Path, Path]:
    """The tests of a package that Debian ships as source; and where they are to run."""
    folder = GO_PATH / "src" / package
    product = BUILT / (package.replace("/", "_") + ".test")
    if not folder.is_dir():
        raise LabError(f"{folder} is missing: install the golang-*-dev package")
    with _building():
        if not product.exists():
            run(["go", "test", "-c", "-o", product, package], within=300,
                env=dict(os.environ, GO111MODULE="off", GOPATH=str(GO_PATH), GOFLAGS="-p=2",
                         GOCACHE=str(BUILT / "go-cache")))
    return product, folder


def node_program(name: str) -> list[str]:
    installed = DRIVERS / "node_modules" / ".package-lock.json"
    with _building():
        if _older(installed, DRIVERS / "package-lock.json"):
            run(["npm", "ci", "--no-fund", "--no-audit"], cwd=DRIVERS, within=300,
                env=dict(os.environ))
            installed.touch()
    return ["node", str(DRIVERS / f"{name}.mjs")]


def run_driver(lab: Lab, target: Target, command: Sequence[object], *, crowd: int = 4,
               within: float = 110) -> None:
    """Runs a driver program while other clients keep the pool busy; every check must be ok."""
    pools = target.kind != "direct"
    changing = pools and target.settings.mode == "transaction"
    env = dict(target.environment(), LAB_MODE=target.settings.mode if pools else "direct",
               LAB_LINKS_CHANGE="1" if changing else "0", PYTHONDONTWRITEBYTECODE="1")
    with busy(lab, target, clients=crowd):
        done = run(command, env=env, within=within, expect=None, cwd=DRIVERS)
    lines = done.out.splitlines()
    failed = [line for line in lines if line.startswith("not ok")]
    passed = [line for line in lines if line.startswith("ok ")]
    if failed or done.code != 0 or f"1..{len(passed)}" not in lines or not passed:
        raise LabError("\n".join(failed) + f"\n{done!r}")
