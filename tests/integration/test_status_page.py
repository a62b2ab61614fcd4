"""The status page in headless Chromium: that it shows what is counted, to whom, and how it looks."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import Any

from lab import messages as m
from lab import ports
from lab.browser import Browser, Page
from lab.declare import FOREBAY, test
from lab.lab import Lab
from lab.process import run, wait_until
from lab.scrape import get, get_json
from lab.target import Database, Target
from lab.wire import refused
from test_split import at, pair

DRAWN = Path(__file__).resolve().parents[2] / "build" / "integration" / "status_page"
EVIL = "</td><img src=x onerror=document.title='hurt'><script>"
# Each row of a table, by the columns' names.
ROWS = """[...document.querySelectorAll('#%s tbody tr')].map(row => Object.fromEntries(
    [...row.cells].map(cell => [cell.dataset.label || '', cell.textContent])))"""


# Some transaction has ended within the last two seconds.
BUSY = """!['0', '–'].includes(document.querySelector('[data-name="Transactions / s"] .value')
    .textContent)"""


def rows(page: Page, table: str) -> list[dict[str, str]]:
    return list(page.value(ROWS % table))


def looked(page: Page, times: int = 2) -> None:
    """It has asked so often since now, and shows rates."""
    page.wait("Number(document.body.dataset.looks) > 0", "the page shows something")
    seen = int(page.value("document.body.dataset.looks"))
    page.wait(f"Number(document.body.dataset.looks) >= {seen + times}", "the page is live")


def no_wider_than_the_screen(page: Page) -> None:
    widths = page.value("[document.documentElement.scrollWidth, innerWidth]")
    assert widths[0] <= widths[1], widths
    wide = page.value("""[...document.querySelectorAll('section, .tile, td, li, header *')]
        .filter(each => each.getBoundingClientRect().right > innerWidth + 1)
        .map(each => each.outerHTML.slice(0, 200))""")
    assert not wide, wide


def well(page: Page) -> None:
    """No script failed, and nothing was made of what clients said but text."""
    assert not page.errors, page.errors
    assert page.value("document.title") == "Forebay"
    assert page.value("document.querySelectorAll('img, iframe, main script').length") == 0


def loaded(lab: Lab, port: int) -> Target:
    """A primary, a replica, a server that is not there, and names with HTML in them."""
    both = pair(lab)
    with both.primary.admin("app") as admin:
        admin.run("create table if not exists public.busy (id int primary key, n int)")
        admin.run("insert into public.busy select n, 0 from generate_series(1, 100) as n")
        admin.run("grant all on public.busy to app")
    servers = [both.primary.address, both.replica.address]
    target = lab.target(
        servers=servers, pool_size=4,
        databases={"app": Database(servers), "<b>other": Database(servers, dbname="other"),
                   "gone": Database([("127.0.0.1", ports.claim())])},
        options={"http": f"127.0.0.1:{port}", "statement_statistics": 1000, "split_reads": True,
                 "read_consistency": "none", "slow_query_threshold": "100ms"})
    with target.connect() as client:
        wait_until(lambda: at(client) == both.replica.port, "the replica is read from")
    return target


def pgbench(lab: Lab, *more: object) -> list[object]:
    script = lab.folder / "script.sql"
    script.write_text("\\set id random(1, 100)\n"
                      "update busy set n = n + 1 where id = :id;\n"
                      "select n from busy where id = :id;\n"
                      "begin;\nselect sum(n) from busy;\nend;\n")
    return ["pgbench", "-n", "-M", "prepared", "-f", script, "-c", 8, *more]


def worked(lab: Lab, target: Target) -> None:
    run(pgbench(lab, "-t", 50), within=60, env=target.environment(PGAPPNAME=EVIL))
    with target.connect(database="<b>other", application_name=EVIL) as client:
        client.run(f"select 1 as \"{EVIL}\", pg_sleep(0.15)")
        client.error(m.query("select 1 / 0"))
        client.error(m.query("select 1 / 0"))
    refused(lambda: target.connect(database="gone"))


def number(text: str) -> int:
    return int(re.sub(r"\D", "", text) or "0")


def shows_what_is_counted(page: Page, port: int) -> None:
    counted = get_json(port, "/pools")["pools"]
    shown = rows(page, "pools")
    assert len(shown) == len(counted), shown
    for pool in counted:
        where = ("reads: " if pool["replica"] else "") + pool["hosts"]
        row = next(each for each in shown if (each["database"], each["leads to"]) ==
                   (pool["database"], where))
        assert (row["user"], number(row["clients"])) == (pool["user"], pool["clients"]), row
        assert number(row["errors"]) == pool["errors"], (row, pool)
        links = pool["active"] + pool["login"] + pool["idle"]
        assert row["connections"] == f"{links} / {pool['pool_size']}", (row, pool)
    tiles = page.value("""Object.fromEntries([...document.querySelectorAll('.tile')].map(
        tile => [tile.dataset.name, tile.querySelector('.note').textContent]))""")
    for name, key in (("Transactions / s", "transactions"), ("Errors / s", "errors")):
        assert number(tiles[name]) == sum(pool[key] for pool in counted), tiles
    hosts = {row["host"]: row for row in rows(page, "hosts") if "app" in row["databases"]}
    known = [host for host in get_json(port, "/hosts")["hosts"] if "app" in host["databases"]]
    assert {host["role"] for host in known} == {"primary", "replica"}, known
    for host in known:
        row = hosts[host["host"]]
        assert (row["role"], row["state"]) == (host["role"], "up"), row
        assert number(row["connections"]) == host["links"] > 0, (row, host)
        assert number(row["opened"]) == host["opened"], (row, host)
        assert (row["lag"] == "–") == (host["role"] == "primary"), row
    # Every link is some pool's, and to some host.
    in_all = sum(pool["active"] + pool["idle"] for pool in counted)
    assert sum(host["links"] for host in known) == in_all, (known, counted)
    for row, top in zip(rows(page, "statements"),
                        get_json(port, "/statements?order=total_time&limit=20")["statements"]):
        assert (row["text"], number(row["calls"])) == (top["text"], top["calls"]), (row, top)
        assert number(row["errors"]) == top["errors"], (row, top)
    slow = get_json(port, "/slow?limit=20")["slow"]
    assert [row["text"] for row in rows(page, "slow")] == [sample["text"] for sample in slow]


@test(targets=FOREBAY, within=120)
def shows_what_is_counted_to_everybody(lab: Lab) -> None:
    """On a desktop, light and dark, and on a phone; hostile names are text, and nothing else."""
    port = ports.claim()
    target = loaded(lab, port)
    with Browser(lab.folder / "browser") as browser:
        page = browser.open(f"http://127.0.0.1:{port}/", 1600, 1000)
        worked(lab, target)
        load = lab.child("pgbench", pgbench(lab, "-T", 600), env=target.environment())
        page.wait(BUSY, "what happens now is shown")
        looked(page, 4)
        page.draw(DRAWN / "desktop-loaded.png")
        load.send_signal(signal.SIGKILL)
        load.wait()
        page.wait(f"!({BUSY})", "nothing happens any more")
        wait_until(lambda: rows(page, "hosts")[0]["connections"], "hosts are shown")
        shows_what_is_counted(page, port)
        gone = next(row for row in rows(page, "hosts") if row["databases"] == "gone")
        assert gone["state"] == "down" and number(gone["failed"]) > 0, gone
        assert "refused" in gone["remark"], gone
        assert gone["host"] in page.value("document.getElementById('troubles').textContent")
        other = [row for row in rows(page, "pools") if row["database"] == "<b>other"]
        assert {number(row["errors"]) for row in other} == {0, 2}, other
        evil = next(row for row in rows(page, "slow") if "pg_sleep" in row["text"])
        assert evil["application"].startswith(EVIL), evil
        assert EVIL in evil["text"], evil
        well(page)
        page.draw(DRAWN / "desktop-light.png")
        no_wider_than_the_screen(page)
        colours = {page.value("getComputedStyle(document.body).backgroundColor")}
        for name, width, height, dark, phone in (("desktop-dark", 1600, 1000, True, False),
                                                 ("tablet-light", 820, 1180, False, True),
                                                 ("phone-light", 390, 844, False, True),
                                                 ("phone-dark", 390, 844, True, True)):
            other_page = browser.open(f"http://127.0.0.1:{port}/", width, height, dark=dark,
                                      phone=phone)
            looked(other_page, 1)
            well(other_page)
            other_page.draw(DRAWN / f"{name}.png")
            no_wider_than_the_screen(other_page)
            shows_what_is_counted(other_page, port)
            colours.add(other_page.value("getComputedStyle(document.body).backgroundColor"))
        assert len(colours) == 2, colours
    ports.release(port)


@test(targets=FOREBAY)
def asks_for_the_token_and_for_nothing_else(lab: Lab) -> None:
    """Who does not have it sees no name; the page's policy lets nothing run but what is its own."""
    port = ports.claim()
    token = lab.folder / "token"
    token.write_text("let me in\n")
    lab.target(options={"http": f"127.0.0.1:{port}", "http_token_file": str(token)})
    hidden = "document.getElementById('main').hidden"
    with Browser(lab.folder / "browser") as browser:
        page = browser.open(f"http://127.0.0.1:{port}/", 390, 844, phone=True)
        page.wait(hidden, "the token is asked for")

        def say(text: str) -> None:
            page.value(f"document.getElementById('token').value = '{text}';"
                       "document.getElementById('ask').requestSubmit()")
        say("wrong")
        page.wait("document.getElementById('wrong').textContent", "it is told that it is wrong")
        no_wider_than_the_screen(page)
        page.draw(DRAWN / "token.png")
        # Chromium itself reports each 401.
        assert page.errors and all("401" in error for error in page.errors), page.errors
        page.errors.clear()
        say("let me in")
        page.wait(f"!({hidden})", "it is let in")
        looked(page, 1)
        well(page)
        page.value("""document.body.insertAdjacentHTML('beforeend',
            '<p style="color: red" onclick="document.title = 1" id="strange">');
            document.getElementById('strange').click();
            document.body.append(Object.assign(document.createElement('script'),
                                               {textContent: "document.title = 2"}))""")
        assert page.value("document.title") == "Forebay"
        page.wait("true", "what was refused is reported")
        assert len([error for error in page.errors if "Content Security Policy" in error]) >= 3, (
            page.errors)
    assert "http" not in re.sub(r"http_token_file|http://www.w3.org/2000/svg", "", get(port, "/"))
    ports.release(port)
