"""The README is true: its commands work as they are written, and what it names exists. Only hosts,
ports, roles and databases are exchanged for those of the laboratory."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import urllib.request
from pathlib import Path
from typing import Iterator

from lab import ports
from lab.declare import FOREBAY, test
from lab.forebay import binary, sanitizer_options
from lab.lab import Lab
from lab.postgres import password_of
from lab.process import Child, run, wait_until
from lab.runner import all_cases
from lab.target import wait_for_listener
from lab.wire import Connection, refused

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()

# Words with an underscore that are not keys of ours: functions, views and settings of PostgreSQL's.
POSTGRES = {"set_config", "pg_backend_pid", "pg_settings", "pg_stat_activity", "search_path",
            "pg_prepared_statements", "pg_temp", "standard_conforming_strings", "client_encoding",
            "idle_session_timeout", "tenant_id", "query_to_xml", "lo_get", "pg_stats",
            "pg_proc", "pg_authid", "application_name", "pg_terminate_backend",
            "pg_cancel_backend", "pg_stat_user_tables", "pg_locks", "pg_cursors",
            "pg_prepared_xacts", "pg_blocking_pids", "pg_monitor",
            "pg_notify", "default_transaction_read_only", "temp_buffers"}


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


def psql(lab: Lab, line: str, port: int) -> str:
    """A psql line of the README's, as somebody who may come in."""
    for old, new in (("-p 6432", f"-p {port}"), ("-U me", "-U app")):
        line = change(line, old, new)
    return run(["sh", "-ec", line.replace(" mydb", " app")], given="select 6 * 7 as answer;\n",
               cwd=lab.folder,
               env={"PATH": os.environ["PATH"], "PGPASSWORD": password_of("app")}).out


@test(targets=FOREBAY)
def without_a_configuration_file(lab: Lab) -> None:
    serve, connect = block_with("forebay run")
    port = ports.claim()
    host, server = lab.postgres.address
    line = change(serve, "postgresql://db.example.com:5432", f"postgresql://{host}:{server}")
    child = served(lab, f"{line} --listen 127.0.0.1:{port}", port)
    assert "42" in psql(lab, connect, port)
    console, = [word for word in quoted() if word.startswith("psql -h")]
    assert "sv_active" in psql(lab, console, port)
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
    assert "42" in psql(lab, block_with("forebay run")[1], port)
    assert child.stop() == 0
    path.write_text(text + "\nnonsense = 1\n")
    wrong = run(["sh", "-c", check], cwd=lab.folder, env=program(lab), expect=None)
    assert wrong.code != 0
    assert re.search(r"forebay\.toml:\d+:\d+", wrong.out + wrong.err), wrong


BUILDS = """#!/bin/sh
# What the build makes is the program under test.
case $1 in --build) mkdir -p build/release && cp "$FOREBAY_BIN" build/release/forebay ;; esac
"""


def sources(lab: Lab) -> dict[str, str]:
    """A tree with the demonstration in it, and an environment in which nothing is built, and nothing
    can be installed."""
    for name in ("packaging/demo", "tests/integration/setup.sh"):
        copy = lab.folder / name
        copy.parent.mkdir(parents=True)
        shutil.copy(ROOT / name, copy)
    tools = lab.folder / "tools"
    tools.mkdir()
    for name, text in (("cmake", BUILDS), ("apt-get", "#!/bin/sh\nexit 1\n")):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    (lab.folder / "tmp").mkdir(mode=0o1777)
    (lab.folder / "tmp").chmod(0o1777)
    return {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "FOREBAY_BIN": str(binary()),
            "TMPDIR": str(lab.folder / "tmp")}


def nobody_listens(port: int) -> bool:
    try:
        Connection(("127.0.0.1", port)).close()
        return False
    except OSError:
        return True


@test(targets=FOREBAY, alone=True, heavy=True)
def the_demonstration(lab: Lab) -> None:
    """Its summary is true; what it says of connecting and stopping works; nothing is left."""
    env, left = sources(lab), lab.folder / "tmp"
    line = next(line for line in block_with("packaging/demo") if line.startswith("packaging/demo"))
    assert f"{line} --keep" in quoted()
    done = run(["bash", "-c", f"{line} --keep --clients 20 --seconds 2 --pool-size 4"], env=env,
               cwd=lab.folder)
    try:
        figures = {name: list(map(float, values)) for name, *values in re.findall(
            r"^  (\S.*?\S) +([\d.]+)(?: ms)? +([\d.]+)(?: ms)?$", done.out, re.M)}
        assert figures["clients"] == [20, 20] and figures["failed"] == [0, 0], done
        assert 0 < figures["server connections"][1] <= 4, done
        assert min(figures["transactions/s"]) > 0, done
        assert min(figures["latency p50"] + figures["latency p99"]) > 0, done
        assert "replica streaming: yes" in done.out, done
        connect = re.search(r"^  (PGPASSWORD=.* psql .*)$", done.out, re.M)
        ports_of_servers = re.search(r"primary itself is at port (\d+), the replica at port (\d+)",
                                     done.out)
        assert connect and ports_of_servers, done
        answer = run(["sh", "-c", connect[1]], given="select count(*) from pgbench_accounts;\n")
        assert "1000000" in answer.out, answer
        port = re.search(r"port=(\d+)", connect[1])
        assert port
    finally:
        for stop in left.glob("*/stop"):
            run([stop])
    for number in (port[1], *ports_of_servers.groups()):
        wait_until(lambda n=int(number): nobody_listens(n), f"{number} is free")    # type: ignore
    assert not list(left.iterdir()), list(left.iterdir())


@test(targets=FOREBAY, alone=True, heavy=True)
def a_demonstration_that_fails_leaves_nothing(lab: Lab) -> None:
    env, left = sources(lab), lab.folder / "tmp"
    (lab.folder / "tools" / "pgbench").write_text("#!/bin/sh\necho broken >&2; exit 3\n")
    (lab.folder / "tools" / "pgbench").chmod(0o755)
    done = run(["bash", "-c", "packaging/demo --keep"], env=env, cwd=lab.folder, expect=None)
    assert done.code != 0 and "broken" in done.err and "the end of forebay.log" in done.out, done
    assert not list(left.iterdir()), list(left.iterdir())


@test(targets=FOREBAY)
def from_pgbouncer(lab: Lab) -> None:
    port = ports.claim()
    host, server = lab.postgres.address
    (lab.folder / "users.txt").write_text(f'"app" "{password_of("app")}"\n')
    (lab.folder / "pgbouncer.ini").write_text(
        f"[databases]\napp = host={host} port={server}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nauth_type = scram-sha-256\nauth_file = users.txt\nlogfile = x\n")
    (line,) = [word for word in quoted() if "forebay import" in word]
    shell(lab, line)
    path = lab.folder / "forebay.toml"
    assert path.stat().st_mode & 0o777 == 0o600, oct(path.stat().st_mode)
    _, check, serve = block_with("forebay config")
    shell(lab, check)
    child = served(lab, serve, port)
    assert "42" in psql(lab, block_with("forebay run")[1], port)
    assert child.stop() == 0


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


@test(targets=FOREBAY)
def examples_of_configuration(lab: Lab) -> None:
    """Each block is accepted in a configuration, and means something there."""
    config, check, _ = block_with("forebay config")
    shell(lab, config)
    path = lab.folder / "forebay.toml"
    plain = path.read_text()
    (lab.folder / "plain.toml").write_text(plain)
    compare, = [word for word in quoted() if word.startswith("forebay diff")]
    compare = compare.replace("OLD", "plain.toml").replace("NEW", path.name)
    examples = re.findall(r"```toml\n(.*?)```", README, re.S)
    assert len(examples) >= 2, examples
    for example in examples:
        # The sample has every table, with its keys as comments.
        table = example.splitlines()[0]
        path.write_text(plain.replace(f"\n{table}\n", "\n") + "\n" + example)
        shell(lab, check)
        changed = shell(lab, compare)
        for key in re.findall(r"^(\w+) = ", example, re.M):
            assert table[:2] == "[[" or f"{table} {key}:" in changed, (key, changed)
        for rule in re.findall(r'^name = "(.*)"', example, re.M):
            assert f"[rules.{rule}] added" in changed, (rule, changed)
    with_tenants, = [example for example in examples if "[tenants]" in example]
    path.write_text(plain.replace("\n[tenants]\n", "\n") + "\n" + with_tenants
                    + 'claim_key = "0123456789abcdef"\n')
    path.chmod(0o600)
    command, = [word for word in quoted() if word.startswith("forebay tenant-sql")]
    assert "create" in shell(lab, command).lower()


@test(targets=FOREBAY)
def function_that_looks_secrets_up(lab: Lab) -> None:
    block, = re.findall(r"```sql\n(.*?)```", README, re.S)
    query = re.search(r'^-- (auth_query) = "(.*)"$', block, re.M)
    assert query
    env = {"PATH": os.environ["PATH"], "PGHOST": str(lab.postgres.sockets), "PGUSER": "postgres",
           "PGPORT": str(lab.postgres.port), "PGDATABASE": "app"}
    with lab.postgres.admin("app") as admin:
        admin.run("create schema lookup; grant usage on schema lookup to other")
        try:
            run(["psql", "-Xv", "ON_ERROR_STOP=1"], given=block, env=env)
            target = lab.target(users={"other": password_of("other")},
                                options={"auth_user": "other", query[1]: query[2]})
            with target.connect() as client:
                assert client.value("select current_user") == "app"
            for user in ("expired", "nologin", "nobody"):
                error = refused(lambda u=user: target.connect(u))       # type: ignore
                assert error.sqlstate == "28P01", error
        finally:
            admin.run("drop schema lookup cascade")


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
