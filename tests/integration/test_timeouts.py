"""The timeouts that Forebay keeps itself: what ends, what the client is told, and what it keeps."""

from __future__ import annotations

import re
import urllib.request
from typing import Any

from lab import messages as m
from lab import ports
from lab.declare import FOREBAY, test
from lab.lab import Lab
from lab.process import wait_until
from lab.target import Database, Target
from lab.wire import Client, ServerError

EVERY_MODE = ("transaction", "session", "statement")


class Counting:
    """A target with timeouts, and its counters."""

    def __init__(self, lab: Lab, **settings: Any) -> None:
        self.port = ports.claim()
        options = {"http": f"127.0.0.1:{self.port}", **settings.pop("options", {})}
        self.target: Target = lab.target(options=options, **settings)

    def count(self, name: str) -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        found = re.search(rf'^forebay_timeouts_total{{kind="{name}"}} (\d+)', text, re.MULTILINE)
        assert found, f"there is no counter {name}"
        return int(found[1])


def failure(client: Client, *pieces: bytes) -> tuple[str, str]:
    error = client.error(*pieces)
    return error.fields()["C"], error.fields()["M"]


def nothing_runs(lab: Lab) -> bool:
    return not lab.postgres.rows("select from pg_stat_activity where query like 'select pg_sleep%' "
                                 "and state = 'active'")


CANCELLED = ("57014", "canceling statement due to statement_timeout (300ms, set in [pool])")


@test(modes=EVERY_MODE, targets=FOREBAY)
def statement_timeout(lab: Lab) -> None:
    """Cancelled on the server; the client stays, and cannot loosen the limit."""
    at = Counting(lab, pool_size=1, options={"statement_timeout": "300ms"})
    with at.target.connect() as client:
        client.run("set statement_timeout = 0")
        assert failure(client, m.query("select pg_sleep(60)")) == CANCELLED
        assert nothing_runs(lab)
        assert client.value("select 1") == "1"
        answer = client.messages(m.parse("", "select pg_sleep(60)"), m.bind("", ""), m.execute(""),
                                 m.sync())
        assert m.names(answer) == "ParseComplete BindComplete ErrorResponse ReadyForQuery", answer
        assert answer[2].fields()["M"] == CANCELLED[1]
        assert client.value("select 2") == "2"
        assert at.count("statement_timeout") == 2


@test(targets=FOREBAY)
def statement_timeout_in_a_transaction(lab: Lab) -> None:
    """The transaction has failed as after any error, and a savepoint is there to go back to."""
    at = Counting(lab, options={"statement_timeout": "300ms"})
    with at.target.connect() as client:
        client.run("begin; create temp table t (a int); savepoint s")
        assert failure(client, m.query("select pg_sleep(60)")) == CANCELLED
        assert failure(client, m.query("select 1"))[0] == "25P02"
        client.run("rollback to s; insert into t values (7)")
        assert client.value("select a from t") == "7"
        client.run("rollback")


@test(targets=FOREBAY)
def statement_timeout_in_a_pipeline(lab: Lab) -> None:
    """Only what took too long fails, never what stands behind it."""
    at = Counting(lab, options={"statement_timeout": "300ms"})
    with at.target.connect() as client:
        client.send(*(m.query(sql) for sql in ("select 1", "select pg_sleep(60)", "select 2",
                                               "select pg_sleep(60)", "select 3")))
        ok, failed = ("RowDescription DataRow CommandComplete ReadyForQuery",
                      "RowDescription ErrorResponse ReadyForQuery")
        for expected in (ok, failed, ok, failed, ok):
            answer = client.until_ready()
            assert m.names(answer) in (expected, expected.replace("RowDescription Err", "Err"))


@test(targets=FOREBAY)
def statement_timeout_in_copy(lab: Lab) -> None:
    """A copy whose data does not come ends as well."""
    at = Counting(lab, options={"statement_timeout": "300ms"})
    with at.target.connect() as client:
        client.run("create table copied (a int)")
        client.send(m.query("copy copied from stdin"))
        client.read_until(b"G")
        client.send(m.copy_data(b"1\n"))
        answer = client.until_ready()
        assert answer[0].fields()["M"] == CANCELLED[1], answer
        assert client.value("select count(*) from copied") == "0"


@test(targets=FOREBAY)
def waiting_is_not_the_statement_s_time(lab: Lab) -> None:
    at = Counting(lab, pool_size=1, options={"statement_timeout": "300ms"})
    holder = lab.keep(at.target.connect())
    holder.run("begin")
    with at.target.connect() as client:
        client.send(m.query("select 1"))
        assert failure(holder, m.query("select pg_sleep(60)")) == CANCELLED
        holder.run("rollback")
        assert m.names(client.until_ready()).endswith("CommandComplete ReadyForQuery")


@test(targets=FOREBAY)
def who_says_how_long(lab: Lab) -> None:
    """A user's word goes before its database's; the text names the section."""
    slow = Database(dbname="app", options={"statement_timeout": "250ms"})
    at = Counting(lab, databases={"slow": slow},
                  user_options={"app": {"idle_transaction_timeout": "200ms"}},
                  options={"statement_timeout": "1h", "idle_transaction_timeout": "1h"})
    with at.target.connect(database="slow") as client:
        assert failure(client, m.query("select pg_sleep(60)"))[1].endswith(
            "statement_timeout (250ms, set in [databases.slow])")
        client.run("begin")
        wait_until(lambda: at.count("idle_transaction_timeout") == 1, "the time is over")
        assert failure(client, m.query("select 1"))[1].endswith(
            "idle_transaction_timeout (200ms, set in [users.app])")


@test(targets=FOREBAY)
def idle_transaction_timeout(lab: Lab) -> None:
    """Rolled back, its locks and its connection free; the client ends a failed transaction."""
    at = Counting(lab, pool_size=1, options={"idle_transaction_timeout": "300ms"})
    with at.target.connect() as client:
        client.run("create table locked (a int)")
        client.run("begin; insert into locked values (1); lock table locked; savepoint s")
        with at.target.connect() as other:
            assert other.value("select count(*) from locked") == "0"
        assert failure(client, m.query("select 1")) == (
            "25P03", "the transaction was rolled back due to idle_transaction_timeout (300ms, set "
                     "in [pool])")
        assert failure(client, m.query("rollback to s"))[0] == "25P02"
        answer = client.messages(m.query("commit"))
        assert answer[0].body == b"ROLLBACK\0", answer
        assert client.value("select count(*) from locked") == "0"
        assert at.count("idle_transaction_timeout") == 1


@test(modes=("transaction", "session"), targets=FOREBAY)
def idle_transactions_may_end_the_client(lab: Lab) -> None:
    action = "close" if lab.variant.mode == "transaction" else "cancel"
    at = Counting(lab, options={"idle_transaction_timeout": "300ms", "timeout_action": action})
    with at.target.connect() as client:
        client.run("begin")
        end = client.until_end()
        assert end[-1].fields()["C"] == "25P03" and end[-1].fields()["S"] == "FATAL", end
        assert end[-1].fields()["M"] == ("terminating connection due to idle_transaction_timeout "
                                       "(300ms, set in [pool])")
    at.target.check_healthy()


@test(targets=FOREBAY)
def transaction_timeout(lab: Lab) -> None:
    """Over its statements; what runs is cancelled, and the client ends a failed transaction."""
    at = Counting(lab, pool_size=1, options={"transaction_timeout": "400ms"})
    with at.target.connect() as client:
        client.run("begin; savepoint s")
        assert failure(client, m.query("select pg_sleep(60)")) == (
            "25P04", "canceling statement due to transaction_timeout (400ms, set in [pool])")
        assert at.target.connect().value("select 1") == "1"     # the connection is free
        assert failure(client, m.query("rollback to s"))[0] == "25P02"
        client.run("rollback")
        assert client.value("select 1") == "1"
        assert at.count("transaction_timeout") >= 1


@test(modes=("transaction", "session"), targets=FOREBAY)
def client_idle_timeout(lab: Lab) -> None:
    at = Counting(lab, options={"client_idle_timeout": "300ms"})
    with at.target.connect() as client:
        assert client.value("select 1") == "1"
        end = client.until_end()
        assert (end[-1].fields()["C"], end[-1].fields()["M"]) == (
            "57P05", "terminating connection due to client_idle_timeout (300ms, set in [pool])")
        assert at.count("client_idle_timeout") == 1


@test(targets=FOREBAY)
def timeouts_of_clients_that_vanish(lab: Lab) -> None:
    """Whatever ends first, nothing is left: neither a statement nor a server connection."""
    at = Counting(lab, pool_size=2, options={"statement_timeout": "300ms"})
    for _ in range(4):
        client = at.target.connect()
        client.send(m.query("select pg_sleep(60)"))
        wait_until(lambda: not nothing_runs(lab), "the statement runs")
        client.reset()
    wait_until(lambda: nothing_runs(lab), "nothing runs any more")
    with at.target.connect() as client:
        try:
            assert client.value("select 1") == "1"
        except ServerError as error:
            raise AssertionError("a late cancel request hit somebody else") from error


@test(modes=("transaction", "statement"), targets=FOREBAY)
def who_waits_is_told(lab: Lab) -> None:
    """Once for each statement, in front of its answer; not who does not want to know."""
    options = {"query_wait_notify": "100ms", "query_wait_timeout": "30s"}
    at = Counting(lab, pool_size=1, options=options)
    once = re.compile(rb"C00000\0M[^\0]*waits for one\0D[^\0]*query_wait_notify \(100ms\)[^\0]*\0H"
                      rb"[^\0]*query_wait_timeout \(30s\)")
    parse = (m.parse("", "select 1"), m.bind("", ""), m.execute(""), m.sync())
    for settings, notices in (({}, 1), ({"client_min_messages": "warning"}, 0)):
        for pieces in ((m.query("select 1"),), parse):
            with at.target.connect(**settings) as waits, at.target.connect() as holder:
                holder.send(m.query("select pg_sleep(1)"))
                wait_until(lambda: not nothing_runs(lab), "it has the server connection")
                waits.send(*pieces)
                answer = waits.until_ready()
                assert [message.type for message in answer].count(b"N") == notices, answer
                assert not notices or once.search(answer[0].body), answer
                assert m.only(answer, b"D")[0].columns() == [b"1"], answer
                holder.until_ready()
