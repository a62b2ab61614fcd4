"""What Forebay does for a client besides costs no round trip: it goes with the client's own message,
in one write, and is not waited for."""

from __future__ import annotations

import re
from typing import Any

from lab import messages as m
from lab.counting_server import CountingServer, Turn
from lab.declare import FOREBAY, test
from lab.lab import Lab
from lab.process import wait_until
from lab.target import Database, Target
from lab.wire import Client


class Trips:
    """A target before a server that counts, and clients of it."""

    def __init__(self, lab: Lab, pool_size: int = 1, **settings: Any) -> None:
        self.server = CountingServer()
        lab.keep(self.server)
        self.lab = lab
        self.target: Target = lab.target(
            pool_size=pool_size, databases={"app": Database([self.server.address])}, **settings)

    def client(self, **parameters: str) -> Client:
        return self.lab.keep(self.target.connect(**parameters))

    def turn(self, client: Client, *pieces: bytes, writes: int = 1) -> Turn:
        """The only one that the answer to these messages takes; they say "mine"."""
        self.server.wait_for("mine")
        answer = client.messages(*pieces)
        assert not m.only(answer, b"E"), answer
        self.server.check()
        turn, = self.server.turns
        assert turn.writes <= writes, turn
        return turn

    def hold(self) -> Client:
        """Keeps the first connection, so that the next statement gets a fresh one."""
        holder = self.client()
        turn = self.turn(holder, m.query("begin /* mine */"))
        assert turn.connection == 0, turn
        return holder


SETTINGS = r"(Parse )?(Bind Execute )+Sync "         # set_config, prepared once


@test(targets=FOREBAY, params=("simple", "extended", "begin"))
def settings(lab: Lab, how: str) -> None:
    """Of whoever comes next, on a connection that somebody else had, and on a fresh one."""
    trips = Trips(lab)
    one = trips.client(application_name="one", options="-c work_mem=3MB")
    two = trips.client(application_name="two", DateStyle="German")
    pieces = {"simple": [m.query("select 'mine'")], "begin": [m.query("begin /* mine */")],
              "extended": [m.parse("", "select 'mine'"), m.bind("", ""), m.execute(""), m.sync()]}
    own = "Query" if how != "extended" else "Parse Bind Execute Sync"
    for client in (one, two, one, two):
        turn = trips.turn(client, *pieces[how])
        assert re.fullmatch(SETTINGS + own, turn.names), turn
        if how == "begin":
            for text in ("select 'mine'", "commit /* mine */"):
                turn = trips.turn(client, m.query(text))
                assert turn.names == "Query", turn
    # Nobody else was there meanwhile.
    turn = trips.turn(two, m.query("select 'mine'"))
    assert turn.names == "Query", turn
    # What one sets is not the other's.
    trips.turn(two, m.query("set work_mem = '5MB' /* mine */"))
    turn = trips.turn(one, m.query("select 'mine'"))
    assert any(b"3MB" in message.body for message in turn.messages), turn


def fresh(trips: Trips, client: Client, more: str = "") -> None:
    trips.hold()
    turn = trips.turn(client, m.query("select 'mine'"))
    assert turn.connection == 1 and re.fullmatch(SETTINGS + "Query", turn.names), turn
    assert more.encode() in b"".join(message.body for message in turn.messages), turn
    turn = trips.turn(client, m.query("select 'mine'"))
    assert turn.names == "Query", turn


@test(targets=FOREBAY)
def settings_on_a_fresh_connection(lab: Lab) -> None:
    trips = Trips(lab, 2)
    fresh(trips, trips.client(application_name="one", options="-c work_mem=3MB"), "3MB")


@test(targets=FOREBAY)
def the_address_in_the_name(lab: Lab) -> None:
    trips = Trips(lab, 2, options={"application_name_add_host": True})
    fresh(trips, trips.client(application_name="one"), "one - 127.0.0.1")


@test(targets=FOREBAY)
def the_setting_of_a_tenant(lab: Lab) -> None:
    trips = Trips(lab, 2, tenants={"databases": ["app"], "setting": "app.tenant_id",
                                   "users": {"app": "acme"}})
    fresh(trips, trips.client(), "acme")


@test(targets=FOREBAY)
def prepared_statements(lab: Lab) -> None:
    """On a connection that has them not, and where they take another one's place."""
    trips = Trips(lab, 2, options={"max_prepared_statements": 2})
    client = trips.client()
    run = [m.bind("", "s", ["mine"]), m.execute(""), m.sync()]
    turn = trips.turn(client, m.parse("s", "select $1::text"), *run)
    assert turn.names == "Parse Bind Execute Sync" and turn.connection == 0, turn
    holder = trips.hold()
    for wanted in ("Parse Bind Execute Sync", "Bind Execute Sync"):
        turn = trips.turn(client, *run)
        assert turn.names == wanted and turn.connection == 1, turn
    # A Parse that the connection has had is answered without it.
    trips.server.wait_for("mine")
    client.messages(m.parse("same", "select $1::text"), m.sync())
    assert not trips.server.turns
    for number, wanted in enumerate(("Parse", "Close Parse", "Close Parse")):
        turn = trips.turn(client, m.parse(f"s{number}", f"select {number}, $1::text"),
                          m.bind("", f"s{number}", ["mine"]), m.execute(""), m.sync())
        assert turn.names == wanted + " Bind Execute Sync", turn
    turn = trips.turn(client, *run)
    assert turn.names == "Close Parse Bind Execute Sync", turn
    turn = trips.turn(client, m.query("execute s('mine')"))
    assert re.fullmatch(r"(Close Sync )?Query", turn.names), turn
    turn = trips.turn(holder, m.query("commit /* mine */"))
    assert turn.names == "Query", turn


@test(targets=FOREBAY)
def the_unnamed_statement(lab: Lab) -> None:
    """It follows its client in the same way."""
    trips = Trips(lab, 2)
    client = trips.client()
    turn = trips.turn(client, m.parse("", "select 'mine'"), m.sync())
    assert turn.names == "Parse Sync" and turn.connection == 0, turn
    trips.hold()
    turn = trips.turn(client, m.bind("", ""), m.execute(""), m.sync())
    assert turn.names == "Parse Bind Execute Sync" and turn.connection == 1, turn


LEFT = {
    "advisory_lock": "select pg_advisory_lock(1)",
    "held_cursor": "declare c cursor with hold for select 1",
    "listen": "listen bell",
    "temporary": "create temp table t (a int)",
    "role": "set role other",
    "prepared": "prepare x as select 1",
    "nothing": "select 1",
    "several": "create temp table t (a int); listen bell; select pg_advisory_lock(1)",
}


@test(targets=FOREBAY, params=LEFT)
def what_a_client_leaves(lab: Lab, what: str) -> None:
    """Where it has to be cleaned up, that is one turn, when the client goes and not when the next
    one asks; what settings undo goes with the next one's statement."""
    trips = Trips(lab)
    client, other = trips.client(), trips.client()
    trips.turn(client, m.query(LEFT[what] + " /* mine */"))
    trips.server.wait_for("")
    client.send(m.terminate())
    cleaned = what not in ("role", "prepared", "nothing")
    if cleaned:
        wait_until(lambda: trips.server.turns, "the connection is cleaned")
        assert len(trips.server.turns) == 1, trips.server.turns
    turn = trips.turn(other, m.query("select 'mine'"))
    assert turn.connection == 0, turn
    assert re.fullmatch((SETTINGS if what == "role" else "") + "Query", turn.names), turn


@test(targets=FOREBAY, params=("do $$ begin perform 1; end $$", "call p()"))
def what_may_have_changed_the_session(lab: Lab, what: str) -> None:
    """The server is asked behind it; the client's next statement does not wait for the answer, and
    goes with the question where it comes in time."""
    trips = Trips(lab)
    client, other = trips.client(), trips.client()
    turn = trips.turn(client, m.query(what + " /* mine */"))
    assert turn.names == "Query", turn
    turn = trips.turn(client, m.query("select 'mine'"), writes=2)
    assert turn.names == "Query Query" and "pg_my_temp_schema" in turn.texts[0], turn
    turn = trips.turn(other, m.query("select 'mine'"))
    assert turn.names == "Query", turn
