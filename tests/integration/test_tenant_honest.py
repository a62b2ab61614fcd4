"""What honest clients of tenants say: a list as varied as that of the attacks, through the firewall and
directly."""

from __future__ import annotations

import re
from pathlib import Path

from lab import messages as m
from lab.declare import FOREBAY, test
from lab.lab import Lab
from lab.wire import Client

from test_tenants import FIREWALL, comparable, make_tables, say, start

HONEST = Path(__file__).parents[1] / "unit/routing/corpus/honest.txt"
# Every use of one takes the next; plans depend on when the tables were analyzed.
UNEQUAL = re.compile(r"nextval|explain|random\(\)", re.IGNORECASE)


def answer_to(client: Client, line: str) -> list[m.Message]:
    """Of one statement of the list; what it changed is undone."""
    client.run("begin")
    text, _, values = line[2:].partition(" ;; ")
    if line[0] == "+":
        answer = say(client, text)
    else:
        answer = client.messages(m.parse("", text), m.bind("", "", values.split("|")),
                                 m.describe_portal(""), m.execute(""), m.sync())
    client.run("rollback")
    return [message for message in answer if message.type not in b"SN"]


@test(targets=FOREBAY)
def honest_lists_run(lab: Lab) -> None:
    """Each gives what it gives without a proxy, and none an error."""
    make_tables(lab)
    target = start(lab, {**FIREWALL, "setting": "app.tenant_id"})
    lines = [line for line in HONEST.read_text().splitlines() if line[:2] in ("+ ", "? ")]
    assert len(lines) >= 350, len(lines)
    failed = []
    with target.connect() as client, lab.direct().connect() as direct:
        for line in lines:
            through, directly = answer_to(client, line), answer_to(direct, line)
            same = not comparable(line) or UNEQUAL.search(line) or through == directly
            if m.only(through, b"E") or not same:
                failed.append((line, through, directly))
    assert not failed, "\n".join(map(str, failed))
