"""Random statements: what the firewall lets through gives what it gives in a database that holds
only that tenant's rows. SEED=n STATEMENTS=n in the environment: others, and more of them."""

from __future__ import annotations

import os
from typing import Any, Optional

from lab.declare import FOREBAY, test
from lab.lab import Lab
from lab.random_sql import TABLES, Writer
from lab.wire import Client, ServerError
from test_tenants import FIREWALL, SCHEMA, foreign_rows, make_tables, start


def outcome(client: Client, statement: str) -> Any:
    """The rows, in no order, or the SQLSTATE."""
    try:
        return sorted(client.rows(statement), key=repr)
    except ServerError as error:
        return error.sqlstate


def owned(client: Client) -> list[Any]:
    return [outcome(client, f"select t.* from {table} t where t.tenant_id = 1")
            for table in TABLES]


def mismatch(proxied: Client, alone: Client, statement: str, changes: bool) -> Optional[str]:
    """What the tenant sees otherwise than alone; "" for a statement that was refused or failed."""
    for client in (proxied, alone):
        client.run("begin")
    seen = outcome(proxied, statement)
    result: Optional[str] = ""
    if isinstance(seen, list):
        wanted = outcome(alone, statement)
        result = None if seen == wanted else f"{statement}\n  gives {seen}\n  not {wanted}"
        if changes and result is None and owned(proxied) != owned(alone):
            result = f"{statement}\n  leaves other rows"
    for client in (proxied, alone):
        client.run("rollback")
    return result


@test(targets=FOREBAY, heavy=True, within=36_000)
def random_statements(lab: Lab) -> None:
    seed = int(os.environ.get("SEED", "1"))
    count = int(os.environ.get("STATEMENTS", "1500"))
    make_tables(lab)
    with lab.direct().connect("other", "other") as owner:
        owner.run(SCHEMA)
        for table in TABLES:
            owner.run(f"delete from {table} where tenant_id <> 1")
    before = foreign_rows(lab)
    target = start(lab, FIREWALL)
    writer, passed, wrong = Writer(seed), 0, []
    with target.connect() as proxied, lab.direct().connect("other", "other") as alone:
        for _ in range(count):
            found = mismatch(proxied, alone, *writer.statement())
            passed += found is None
            if found:
                wrong.append(found)
    assert not wrong, f"seed {seed}, {len(wrong)} of {count}:\n" + "\n".join(wrong[:5])
    assert passed > count / 5, f"seed {seed}: only {passed} of {count} were let through"
    print(f"seed {seed}: {passed} of {count} statements were let through and are right")
    assert foreign_rows(lab) == before
