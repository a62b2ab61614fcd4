"""What nobody may learn: passwords and keys, whatever is shown or written; and who exists."""

from __future__ import annotations

import hashlib
import re
import urllib.request
from pathlib import Path
from typing import Iterator

from lab import messages as m
from lab import ports
from lab.declare import FOREBAY, test
from lab.forebay import binary
from lab.lab import Lab
from lab.process import run
from lab.scram import verifier
from lab.target import Database, Target
from lab.wire import ServerError
from test_authentication import shape
from test_reload import file_of, reload, text_of

# Every secret has this in it, or is derived from what has.
MARK = "tattle"
HASH = "md5" + hashlib.md5(f"{MARK}-hashtmphash".encode()).hexdigest()
VERIFIER = verifier(f"{MARK}-verifier", b"0123456789abcdef")
TELLING = re.compile("|".join([MARK, HASH[3:], *map(re.escape, re.split(r"[$:]", VERIFIER)[3:])]))


def with_secrets(lab: Lab, http: int) -> Target:
    """A target with all kinds of them."""
    lab.postgres.rows(f"create role tmpclear login password '{MARK}-clear'")
    lab.postgres.rows("grant pg_read_all_data to tmpclear")
    token = lab.folder / "token"
    token.write_text(f"{MARK}-token\n")
    token.chmod(0o600)
    in_file = lab.folder / "in_file"
    in_file.write_text(f"{MARK}-file\n")
    in_file.chmod(0o600)
    forced = Database([lab.postgres.address], dbname="app", user="tmpclear",
                      password=f"{MARK}-clear", options={"monitor_user": "tmpclear",
                                                         "monitor_password": f"{MARK}-clear"})
    return lab.target(
        users={"tmpclear": f"{MARK}-clear", "tmphash": HASH, "tmpverifier": VERIFIER},
        user_options={"tmpclear": {"pool_size": 2}},
        databases={"app": Database(), "forced": forced},
        tenants={"databases": ["other"], "user_pattern": "app.{tenant}", "setting": "app.tenant",
                 "claim_key": f"{MARK}-claim-0123456789"},
        audit={"file": lab.folder / "audit.log"},
        options={"admin_users": "tmpclear", "http": f"127.0.0.1:{http}", "http_token_file": token,
                 "auth_user": "tmpclear", "statement_statistics": 100, "log_level": "debug",
                 "slow_query_threshold": "1ms", "slow_query_log": lab.folder / "slow.log"})


def shown(target: Target) -> Iterator[tuple[str, str]]:
    """What each SHOW of the console says, in all its forms, and some commands that look at users."""
    with target.connect("tmpclear", "forebay", password=f"{MARK}-clear") as console:
        help_text = "\n".join(" ".join(map(str, row)) for row in console.rows("SHOW HELP"))
        help_text += "\n" + "\n".join(
            message.text + str(message.fields()) for message in
            m.only(console.messages(m.query("SHOW HELP")), b"N"))
        names = sorted(set(re.findall(r"\b[A-Z][A-Z_]{3,}\b", help_text)))
        yield "SHOW HELP", help_text
        worked = 0
        for name in names:
            for command in (f"SHOW {name}", f"SHOW {name} EXTENDED"):
                answer = console.messages(m.query(command))
                worked += not m.only(answer, b"E")
                yield command, repr([message.body for message in answer])
        assert worked > 25, names
        for command in ("SET users.tmphash.password = 'tattle-set'", "SET users.tmphash = 'x'",
                        "SET tenants.claim_key = 'tattle-set-0123456789'", "RELOAD",
                        "SET databases.forced.password = 'tattle-set'",
                        "SET databases.forced.password = 7", "EXPLAIN ROUTE FOR forced select 1"):
            answer = console.messages(m.query(command))
            yield command, repr([message.body for message in answer]).replace("tattle-set'", "")


def pages(port: int) -> Iterator[tuple[str, str]]:
    for page in ("/", "/metrics", "/pools", "/statements", "/slow", "/readyz", "/livez"):
        request = urllib.request.Request(f"http://127.0.0.1:{port}{page}",
                                         headers={"Authorization": f"Bearer {MARK}-token"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            yield page, answer.read().decode()


def told(where: str, text: str) -> None:
    found = TELLING.search(text)
    assert not found, f"{where}: ...{text[max(0, found.start() - 200):found.end() + 60]}"


@test(targets=FOREBAY)
def nothing_shows_a_secret(lab: Lab) -> None:
    http = ports.claim()
    target = with_secrets(lab, http)
    with target.connect("tmpclear", password=f"{MARK}-clear") as client:
        client.run("select pg_sleep(0.01)")
        for text in (f"alter role tmpclear password '{MARK}-clear'", f"select '{MARK}-literal'",
                     f"create role tmpx password '{MARK}-sql'", f"seelct '{MARK}-literal'",
                     f"select pg_sleep(0.01), '{MARK}-literal'"):
            client.messages(m.query(text))
        with target.connect("tmpclear", "forced", password=f"{MARK}-clear") as other:
            other.run("select 1")
        for user in ("tmphash", "tmpverifier", "tmpclear"):
            try:
                target.connect(user, password=f"{MARK}-wrong").close()
            except ServerError as error:
                told(f"login as {user}", repr(error))
        for where, text in shown(target):
            told(where, text)
    for where, text in pages(http):
        told(where, text)
    before = text_of(target)
    after = before.replace(f"{MARK}-clear", f"{MARK}-new").replace(HASH, "md5" + "0" * 32).replace(
        f"{MARK}-claim-0", f"{MARK}-claim-1")
    said = reload(target, after)
    assert "claim_key" in said and "password" in said, said
    told("log", target.log)
    told("audit log", (lab.folder / "audit.log").read_text())


BROKEN = {
    "no_end_of_text": lambda text: text.replace(f'"{MARK}-clear"', f'"{MARK}-clear'),
    "no_quotes": lambda text: text.replace(f'"{MARK}-clear"', f"{MARK}-clear"),
    "wrong_key": lambda text: text.replace(f'password = "{MARK}-clear"', f'pasword = "{MARK}-x"'),
    "wrong_type": lambda text: text.replace(f'"{MARK}-clear"', f'{{a = "{MARK}-clear"}}'),
    "broken_verifier": lambda text: text.replace(VERIFIER, VERIFIER[:-3]),
    "short_claim": lambda text: text.replace(f"{MARK}-claim-0123456789", f"{MARK}-claim"),
    "twice": lambda text: text.replace(f'password = "{MARK}-clear"',
                                       f'password = "{MARK}-clear"\npassword = "{MARK}-x"'),
    "also_a_file": lambda text: text.replace(
        f'password = "{MARK}-clear"', f'password = "{MARK}-clear"\npassword_file = "/x"'),
}


@test(targets=FOREBAY)
def errors_of_the_configuration_show_no_secret(lab: Lab) -> None:
    target = with_secrets(lab, ports.claim())
    good = text_of(target)
    path = Path(lab.folder / "broken.toml")
    for what, broken in BROKEN.items():
        assert broken(good) != good, what
        path.write_text(broken(good))
        path.chmod(0o600)
        done = run([binary(), "check", path], expect=None)
        assert done.code != 0, (what, done)
        told(what, done.out + done.err)
        told(what, reload(target, broken(good)))
        done = run([binary(), "diff", file_of(target), path], expect=None)
        told(what, done.out + done.err)


# Who exists.

METHODS = ("scram-sha-256", "md5", "password")
STORED = ("clear_text", "verifier", "hash")


@test(tls=(True,), targets=FOREBAY,
      params=[f"{method} {stored}" for method in METHODS for stored in STORED
              if (method, stored) != ("scram-sha-256", "hash")])
def users_are_not_told_from_others(lab: Lab, param: str) -> None:
    """Whatever the method and what is kept: as many messages, as long, with as much to compute."""
    method, stored = param.split()
    lab.postgres.rows("create role tmpabc login password 'right'")
    secret = {"clear_text": "right", "verifier": verifier("right", iterations=10_000),
              "hash": "md5" + hashlib.md5(b"righttmpabc").hexdigest()}[stored]
    target = lab.target(auth=method, users={"tmpabc": secret},
                        options={"scram_iterations": 10_000})
    known = shape(target, "tmpabc", "wrong")
    assert known == shape(target, "tmpxyz", "wrong"), (known, shape(target, "tmpxyz", "wrong"))
    assert known == shape(target, "TMPABC", "wrong")
    assert shape(target, "tmpabc", "") == shape(target, "tmpxyz", "")


@test(targets=FOREBAY)
def users_that_are_looked_up_are_not_told_from_others(lab: Lab) -> None:
    lab.postgres.rows("create role tmpabc login password 'right'")
    lab.postgres.rows("create role tmpdef password 'right'")
    lab.postgres.rows("create role tmpghi login")
    target = lab.target(users={"postgres": "any"}, options={"auth_user": "postgres"})
    known = shape(target, "tmpabc", "wrong")
    for other in ("tmpxyz", "tmpdef", "tmpghi", "expired"):
        assert known == shape(target, other, "wrong"), other
        assert known == shape(target, other, "right"), other
