"""Whose a session is, where TLS says it."""

from __future__ import annotations

from typing import Any

from lab.declare import FOREBAY, test
from lab.lab import Lab
from lab.target import Target
from lab.wire import refused, tls_context


def whose(target: Target, **how: Any) -> object:
    """The tenant, as the server hears it."""
    with target.connect(**how) as client:
        return client.value("select current_setting('app.tenant_id')")


@test(modes=("transaction",), tls=(True,), targets=FOREBAY)
def server_names_and_certificates(lab: Lab) -> None:
    """What was verified goes before what the client merely says; who says nothing is nobody's."""
    plain = tls_context()
    shown = tls_context(certificate=lab.certificates.client("tenant"))
    named = {"databases": ["app"], "setting": "app.tenant_id",
             "server_name_pattern": "{tenant}.db.test"}
    for field, pattern, tenant in (("common_name", "{tenant}", "acme"),
                                   ("organizational_unit", "unit-{tenant}", "b"),
                                   ("alternative_name", "{tenant}.clients.test", "c"),
                                   ("organizational_unit", "{tenant}", None),
                                   ("common_name", "x.{tenant}", "d")):
        target = lab.target(
            tenants={**named, "certificate_field": field, "certificate_pattern": pattern},
            client_tls={"mode": "prefer", "ca_file": lab.certificates.ca})
        for host in ("d.db.test", "D.DB.test"):
            assert whose(target, tls=plain, host=host) == "d"
            if tenant is None:
                error = refused(lambda: target.connect(tls=shown, host="d.db.test"))
                assert error.sqlstate == "28000", error
            else:
                assert whose(target, tls=shown, host=host) == tenant
        for host in ("localhost", "d.db.test.org"):
            error = refused(lambda: target.connect(tls=plain, host=host))
            assert error.sqlstate == "28000", error
        error = refused(lambda: target.connect(tls=None))
        assert error.sqlstate == "28000", error
        target.stop()
