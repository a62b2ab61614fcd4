"""Ways around what keeps tenants apart that are no statements of the corpus: names of prepared
statements, the order of messages, encodings."""

from __future__ import annotations

from typing import Iterator

from lab import messages as m
from lab.declare import FOREBAY, test
from lab.lab import Lab

from test_tenants import FIREWALL, ROW_SECURITY, make_tables, say, start, told

# What Forebay's own prepared statements would do for a client.

OURS = (
    'execute {}_forebay_set{}(\'app.tenant_id\', \'2\')',
    'execute {}_forebay_set{}(\'standard_conforming_strings\', \'off\')',
    'explain analyze execute {}_forebay_set{}(\'app.tenant_id\', \'2\')',
    'create temp table t as execute {}_forebay_set{}(\'app.tenant_id\', \'2\')',
    'explain analyze create temp table t as execute {}_forebay_set{}(\'app.tenant_id\', \'2\')',
    'create temp table execute (a) as execute {}_forebay_set{}(\'app.tenant_id\', \'2\')',
    'deallocate {}_forebay_set{}', 'deallocate prepare {}_forebay_set{}',
)
QUOTES = (("", ""), ('"', '"'), ('U&"', '"'), ('u&"\\005f', '"'),
          ('U&"!005f', '"/**/ uescape\n\'!\''), ('U&"#005f', '"UESCAPE $$#$$'))


def names_of_ours() -> Iterator[str]:
    for text in OURS:
        for before, behind in QUOTES:
            first = "{}_" if "5f" in before else "{}"
            yield text.replace(first, before, 1).replace("{}", behind)


@test(modes=("transaction", "session"), targets=FOREBAY)
def the_statements_of_the_proxy_are_nobodys(lab: Lab) -> None:
    """What it prepared for itself sets any setting."""
    make_tables(lab, row_security=True)
    mode = lab.variant.mode
    target = start(lab, ROW_SECURITY, pool_size=1)
    own = "select count(*), min(tenant_id), current_setting('standard_conforming_strings') " \
          "from orders"
    with target.connect() as client:
        for text in names_of_ours():
            for whole in (text, f"{text}; {own}", "reset all; " * 1001 + text):
                answer = say(client, whole)
                assert m.only(answer, b"E")[0].sqlstate in ("26000", "42501"), (mode, whole[-120:],
                                                                                answer)
                assert client.rows(own) == [("5", "1", "on")], (mode, whole[-120:])
            if mode == "transaction" or "deallocate" in text:
                continue
            assert told(client, m.parse("", text), m.sync()) in (
                "26000 ReadyForQuery", "42501 ReadyForQuery"), text
        values = ["app.tenant_id", "2"]
        for portal in ("", "x" * 2000):
            answer = told(client, m.bind(portal, "_forebay_set", values), m.execute(portal),
                          m.sync())
            assert answer == "26000 ReadyForQuery", answer
            answer = told(client, m.bind(portal, "_forebay_set", [*values, "x" * 70_000]),
                          m.execute(portal), m.sync())
            assert answer in ("26000 ReadyForQuery", "54000 ReadyForQuery",
                              "42501 ReadyForQuery"), answer
            assert client.rows(own) == [("5", "1", "on")]
        assert told(client, m.describe_statement("_forebay_set"),
                    m.sync()) == "26000 ReadyForQuery"
        assert told(client, m.close_statement("_forebay_set"),
                    m.sync()) == "CloseComplete ReadyForQuery"
        # A client may have a statement of such a name; it is its own.
        for name in ("_forebay_set", "_forebay_1"):
            assert told(client, m.parse(name, "select 7"), m.bind("", name), m.execute(""),
                        m.close_statement(name), m.sync()) == (
                "ParseComplete BindComplete DataRow CommandComplete CloseComplete "
                "ReadyForQuery"), name
        client.run("reset all")
        assert client.rows(own) == [("5", "1", "on")]


@test(targets=FOREBAY)
def an_argument_of_execute_is_checked_whatever_the_name_is(lab: Lab) -> None:
    make_tables(lab)
    target = start(lab, FIREWALL, pool_size=1)
    with target.connect("other") as other, target.connect() as client:
        text = "select * from orders where tenant_id = $1"
        other.extended(text, ["2"], name="s")
        client.extended(text, ["1"], name="s")
        for number in range(1, 9):
            for text in (f'execute U&"_forebay_{number}" (2)', f'execute _forebay_{number} (2)'):
                assert told(client, m.query(text)) in ("26000 ReadyForQuery",
                                                       "42501 ReadyForQuery"), text
