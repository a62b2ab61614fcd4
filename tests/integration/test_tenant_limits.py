"""How much each tenant may do, as the configuration says it."""

from __future__ import annotations

import time

from lab import messages as m
from lab import ports
from lab.declare import FOREBAY, test
from lab.lab import Lab
from lab.scrape import Scrape

from test_tenants import start

WHOSE = {"databases": ["app"], "users": {"app": "small", "other": "large"}}


@test(targets=FOREBAY)
def statements_per_second_of_a_tenant(lab: Lab) -> None:
    """All clients of a tenant have one rate; what comes too fast is refused where nothing may wait,
    and waits where it may. Other tenants have rates of their own."""
    port = ports.claim()
    target = start(lab, {**WHOSE, "max_statements_per_second": 100, "statement_burst": 1,
                         "limits": {"small": {"max_statements_per_second": 1,
                                              "max_waiting_statements": 0}}},
                   http=f"127.0.0.1:{port}")
    many = b"".join(m.query(f"select {n}") for n in range(10))
    with target.connect() as first, target.connect() as second:
        answers = []
        for client in (first, second):
            client.send(many)
        for client in (first, second):
            answers += client.until_ready(10)
        errors = m.only(answers, b"E")
        ran = m.only(answers, b"D")
        assert len(errors) + len(ran) == 20 and errors and ran, answers
        for error in errors:
            assert error.sqlstate == "53400", error
            assert "of tenant \"small\" (max_statements_per_second = 1, set in " \
                "[tenants.limits.small])" in error.text, error
        found = Scrape(port)
        assert found.sum("statements_refused_total",
                         limit="max_statements_per_second") == len(errors)
    with target.connect("other") as other:
        began = time.monotonic()
        for number in range(20):
            assert other.value(f"select {number}") == str(number)
        assert time.monotonic() - began >= 0.18


@test(targets=FOREBAY)
def bytes_per_second_of_a_tenant(lab: Lab) -> None:
    """They go their way later; nothing is lost, and nobody else is held up."""
    port = ports.claim()
    target = start(lab, {**WHOSE, "max_bytes_per_second": "1GiB",
                         "limits": {"small": {"max_bytes_per_second": "1MiB"}}},
                   http=f"127.0.0.1:{port}")
    much = "x" * (1 << 20)
    with target.connect() as first, target.connect() as second, target.connect("other") as other:
        began = time.monotonic()
        # What the first sends uses up what the second may receive.
        assert first.value(f"select length('{much}')") == str(len(much))
        assert second.value("select repeat('x', 1 << 20)") == much
        assert first.value("select 1") == "1"
        assert time.monotonic() - began >= 0.9
        before = Scrape(port).sum("byte_rate_pauses_total")
        assert before > 0
        for _ in range(5):
            assert other.value("select repeat('x', 1 << 20)") == much
        assert Scrape(port).sum("byte_rate_pauses_total") == before
