"""Every statement of the unit tests' corpora with reads split over a real primary and replica: no
client sees an error that PostgreSQL itself would not have given."""

from __future__ import annotations

import re

from lab import messages as m
from lab.declare import FOREBAY, test
from lab.lab import Lab
from lab.process import wait_until
from lab.wire import Client

from test_split import CORPUS, WHERE, at, make_schema

#: Statement in a line of facts.txt, and of access.txt; "R": certainly only reads.
FACTS = CORPUS.with_name("facts.txt")
#: What depends on whether others had temporary objects, or this parameter, on the same server
#: connection: it says that there is none in one of two ways, or that it is empty.
OTHERS_SHOW = re.compile(r"\bpg_temp(_3)?\.|^SHOW app\.x$")
ACCESS_LINE = re.compile(r"([RPBO]) (.*)")


def corpus() -> list[tuple[str, str]]:
    """(kind, statement); of facts.txt nobody says what they are."""
    found = [line.groups() for line in map(ACCESS_LINE.fullmatch, CORPUS.read_text().splitlines())
             if line is not None]
    found += [("?", line[2:]) for line in FACTS.read_text().splitlines() if line.startswith("> ")]
    assert len(found) > 800, len(found)
    return [(kind, sql) for kind, sql in found if "pg_sleep(" not in sql or "pg_sleep(0)" in sql]


def codes_of(client: Client, sql: str, extended: bool) -> list[str]:
    """What errors a statement gives, and what is done in its transaction, if it begins one."""
    if extended:
        client.send(m.parse("", sql), m.bind("", ""), m.describe_portal(""), m.execute(""), m.sync())
    else:
        client.send(m.query(sql))
    answer: list[m.Message] = []
    while not answer or answer[-1].type != b"Z":
        answer += client.read_until(b"Z", b"G")
        if answer[-1].type == b"G":
            client.send(m.copy_fail("no data"), *([m.sync()] if extended else []))
    # A Sync that is sent during a COPY is dropped with it, or not, depending on when it comes.
    client.status = answer[-1].body
    found = [error.sqlstate for error in m.only(answer, b"E")]
    if client.status != b"I":
        for then in ("select count(*) from t", "insert into u values (1)", "rollback"):
            found += [e.sqlstate for e in m.only(client.messages(m.query(then)), b"E")]
    return found


@test(modes=("transaction",), targets=FOREBAY, within=240, heavy=True,
      params=("none", "session extended"))
def as_directly(lab: Lab, param: str) -> None:
    """Two databases of one cluster get the same statements, one of them through the program."""
    consistency, extended = param.split()[0], "extended" in param
    primary = lab.private_postgres(synchronous_commit="local")
    primary.rows("alter database other owner to app")
    for database in ("app", "other"):
        make_schema(primary, database)
    replica = lab.replica_of(primary)
    replica.configure(log_statement="all")
    replica.reload()
    target = lab.target(servers=[primary.address, replica.address], options={
        "split_reads": True, "read_consistency": consistency})
    direct = lab.direct(servers=[primary.address])
    wrong = []
    with target.connect() as client:
        wait_until(lambda: at(client) == replica.port, "the replica is read from")
    client, other = target.connect(), direct.connect(database="other")
    for kind, sql in corpus():
        expected = codes_of(other, sql, extended)
        got = codes_of(client, sql, extended)
        if got != expected and not OTHERS_SHOW.search(sql):
            wrong.append((kind, sql, expected, got))
        if kind == "R":
            continue
        for each in (client, other):        # whatever that has made of the session
            each.close()
        client, other = target.connect(), direct.connect(database="other")
    with client, other:
        assert at(client, WHERE) == replica.port
    assert not wrong, "\n".join(map(str, wrong))
    log = replica.log.read_text()
    reads = [sql for kind, sql in corpus() if kind == "R"]
    there = [sql for sql in reads if sql in log]
    assert len(there) > 0.9 * len(reads), sorted(set(reads) - set(there))
