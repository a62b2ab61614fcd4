"""The README is true: its commands work as they are written, and what it names exists. Only hosts,
ports, roles and databases are exchanged for those of the laboratory."""

from __future__ import annotations

import json
import os
import re
import shlex
import urllib.request
from pathlib import Path
from typing import Iterator

from lab import ports
from lab.declare import FOREBAY, test
from lab.forebay import binary, sanitizer_options
from lab.lab import Lab
from lab.postgres import password_of
from lab.process import Child, run
from lab.runner import all_cases
from lab.target import wait_for_listener

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()

# Words with an underscore that are not keys of ours: functions, views and settings of PostgreSQL's.
POSTGRES = {"set_config", "pg_backend_pid", "pg_settings", "pg_stat_activity", "search_path",
            "pg_prepared_statements", "pg_temp", "standard_conforming_strings", "client_encoding",
            "idle_session_timeout", "tenant_id", "query_to_xml", "lo_get", "pg_stats",
            "pg_proc", "pg_authid", "application_name", "pg_terminate_backend",
            "pg_cancel_backend", "pg_stat_user_tables",
            "pg_notify"}


def blocks() -> list[list[str]]:
    """The commands of each block of code, without the comments behind them."""
    return [[re.sub(r"\s+# .*", "", line) for line in block.splitlines() if line.strip()]
            for block in re.findall(r"```sh\n(.*?)```", README, re.S)]


def block_with(word: str) -> list[str]:
    found = [block for block in blocks() if any(line.startswith(word) for line in block)]
    assert len(found) == 1, f"{len(found)} blocks have a line that begins with \"{word}\""
    return found[0]


def quoted() -> set[str]:
    """What stands between backticks outside of blocks of code."""
    text = re.sub(r"```.*?```", "", README, flags=re.S)
    return {" ".join(word.split()) for word in re.findall(r"`([^`]+)`", text)}


def program(lab: Lab) -> dict[str, str]:
    """An environment in which the program under test is called `forebay`."""
    link = lab.folder / "bin" / "forebay"
    link.parent.mkdir(exist_ok=True)
    if not link.exists():
        link.symlink_to(binary())
    return {**os.environ, **sanitizer_options(),
            "PATH": f"{link.parent}:{os.environ['PATH']}"}


def shell(lab: Lab, line: str) -> str:
    return run(["sh", "-ec", line], cwd=lab.folder, env=program(lab)).out


def served(lab: Lab, line: str, port: int) -> Child:
    child = lab.child("forebay", ["sh", "-ec", f"cd {lab.folder} && exec {line}"],
                      env=program(lab))
    wait_for_listener(child, ("127.0.0.1", port))
    return child


def change(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, f"\"{old}\" stands {text.count(old)} times in: {text[:200]}"
    return text.replace(old, new)


def psql(lab: Lab, line: str, port: int) -> None:
    """The README's psql line, as somebody who may come in."""
    for old, new in (("-p 6432", f"-p {port}"), ("-U me", "-U app"), (" mydb", " app")):
        line = change(line, old, new)
    out = run(["sh", "-ec", line], given="select 6 * 7 as answer;\n", cwd=lab.folder,
              env={"PATH": os.environ["PATH"], "PGPASSWORD": password_of("app")}).out
    assert "42" in out, out


@test(targets=FOREBAY)
def without_a_configuration_file(lab: Lab) -> None:
    serve, connect = block_with("forebay run")
    port = ports.claim()
    host, server = lab.postgres.address
    line = change(serve, "postgresql://db.example.com:5432", f"postgresql://{host}:{server}")
    child = served(lab, f"{line} --listen 127.0.0.1:{port}", port)
    psql(lab, connect, port)
    assert "trust" in child.output() or "passwords" in child.output(), child.output()
    assert child.stop() == 0


@test(targets=FOREBAY)
def with_a_configuration_file(lab: Lab) -> None:
    config, check, serve = block_with("forebay config")
    shell(lab, config)
    path = lab.folder / "forebay.toml"
    shell(lab, check)
    port = ports.claim()
    host, server = lab.postgres.address
    text = change(path.read_text(), 'hosts = ["127.0.0.1:5432"]', f'hosts = ["{host}:{server}"]')
    text = change(text, '#listen = ["127.0.0.1:6432"]', f'listen = ["127.0.0.1:{port}"]')
    path.write_text(text)
    shell(lab, check)
    child = served(lab, serve, port)
    psql(lab, block_with("forebay run")[1], port)
    assert child.stop() == 0
    path.write_text(text + "\nnonsense = 1\n")
    wrong = run(["sh", "-c", check], cwd=lab.folder, env=program(lab), expect=None)
    assert wrong.code != 0
    assert re.search(r"forebay\.toml:\d+:\d+", wrong.out + wrong.err), wrong


@test(targets=FOREBAY)
def commands_that_install(lab: Lab) -> None:
    """They are there, and know the options that the README gives them; presets exist."""
    for line in block_with("packaging/demo"):
        assert os.access(ROOT / shlex.split(line)[0], os.X_OK), line
    for command in (c for c in quoted() if c.startswith(("packaging/", "tests/run"))):
        name, *arguments = command.split()
        usage = run([ROOT / name, "--help"]).out
        assert all(argument in usage for argument in arguments), command
    presets = json.loads((ROOT / "CMakePresets.json").read_text())["configurePresets"]
    names = {preset["name"] for preset in presets}
    for line in block_with("cmake"):
        assert set(re.findall(r"--preset (\w+)", line)) <= names, line
    assert {"dev", "tsan"} <= names
    setup = (ROOT / "tests/integration/setup.sh").read_text()
    needed = re.search(r"^build_packages=\((.*?)^\)", setup, re.M | re.S)
    assert needed
    install = " ".join(block_with("sudo apt-get")).split("cmake --preset")[0]
    listed = {word for word in install.split("apt-get install")[1].split() if word != "\\"}
    assert listed == set(re.findall(r"=([\w.+-]+)", needed[1])), listed


def sample() -> str:
    return run([binary(), "config"]).out


@test(targets=FOREBAY)
def options_and_keys(lab: Lab) -> None:
    """Every option is in a command's help, every key and every value in the sample."""
    helps = "".join(run([binary(), *command, "--help"]).out
                    for command in ((), ("run",), ("serve",), ("check",), ("config",)))
    for line in (line for block in blocks() for line in block if line.startswith("forebay ")):
        for option in re.findall(r"\s(--?[a-z][a-z-]*)", line):
            assert re.search(rf"(?<!\S){option}\b", helps), f"{option} of: {line}"
    for command in (c for c in quoted() if c.startswith("forebay ") and "--" not in c):
        assert re.search(rf"^  {command.split()[1]}\b", helps, re.M), command
    keys = set(re.findall(r"^#?\[?(\w+)(?: =|\.)", sample(), re.M))
    for word in quoted():
        named = re.match(r"([a-z]+(?:_[a-z]+)+)(?: = .*)?$", word)
        if named and named[1] not in POSTGRES:
            assert named[1] in keys, f"no key is called {named[1]}"
    values = set(re.findall(r'"([a-z0-9-]+)"', sample()))
    tables = re.findall(r"^\| `?(?:auth`? )?\|.*\n\| --- \| --- \|\n((?:\|.*\n)+)", README, re.M)
    assert len(tables) == 2, tables
    for table in tables:
        for value in re.findall(r"^\| `([^`]+)`", table, re.M):
            assert value in values, f"no value is called {value}"
    for mode in ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"):
        assert mode in quoted() and mode in values, mode


@test(targets=FOREBAY)
def addresses(lab: Lab) -> None:
    """Every HTTP address is served; every SHOW is answered."""
    named = [word for word in quoted() if re.match(r"http = ", word)]
    assert named == ['http = "127.0.0.1:9127"'], named
    paths = sorted(word for word in quoted() if re.match(r"/[a-z]+$", word))
    assert paths, "the README names no address"
    port = ports.claim()
    target = lab.target(options={"http": f"127.0.0.1:{port}", "admin_users": "app"})
    target.check_healthy()
    for path in paths:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as page:
            text = page.read().decode()
        assert page.status == 200 and text, path
        if path == "/metrics":
            assert "# TYPE forebay_" in text, text[:300]
    for show in sorted(word for word in quoted() if re.match(r"SHOW [A-Z_]+$", word)):
        with target.connect(database="forebay") as console:
            console.run(show)


def named_tests() -> Iterator[str]:
    section = README.split("## What differs from a direct connection")[1].split("\n## ")[0]
    for item in re.split(r"\n- ", section)[1:]:
        names = re.findall(r"`([a-z]+\.[a-z_]+)`", item)
        assert names, f"a line without a test: {item[:80]}"
        yield from names


@test(targets=FOREBAY)
def every_difference_has_its_test(lab: Lab) -> None:
    """And every test of a difference its line."""
    known = {case.id.split("[")[0] for case in all_cases("forebay", False)}
    named = set(named_tests())
    assert named <= known, named - known
    tests = {name for name in known if name.startswith("differences.")}
    assert tests <= named, tests - named


@test(targets=FOREBAY)
def links_lead_somewhere(lab: Lab) -> None:
    for page in ROOT.rglob("README.md"):
        if {"build", "node_modules"} & set(page.relative_to(ROOT).parts):
            continue
        for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page.relative_to(ROOT)}: {link}"
