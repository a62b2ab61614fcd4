"""A certificate authority for one run of the tests, made with the openssl command."""

from __future__ import annotations

from pathlib import Path

from .process import run


class Certificates:
    """ca.crt signs server.crt (localhost, 127.0.0.1, ::1) and one certificate per client name;
    other-ca.crt signs nothing that anybody trusts."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = folder / "ca.crt"
        self.other_ca = folder / "other-ca.crt"
        self.certificate = folder / "server.crt"
        self.key = folder / "server.key"

    def make(self) -> None:
        self.folder.mkdir(exist_ok=True)
        self._authority("ca")
        self._authority("other-ca")
        self._signed("server", "/CN=localhost", "ca",
                     "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1")
        for name in ("certuser", "machine"):
            self._signed(name, f"/CN={name}", "ca", "keyUsage=digitalSignature")
        self._signed("tenant", "/CN=acme/OU=staff/OU=unit-b", "ca",
                     "subjectAltName=email:x@y.test,DNS:c.clients.test,URI:urn:x")
        self._signed("stranger", "/CN=certuser", "other-ca", "keyUsage=digitalSignature")

    def client(self, name: str) -> tuple[Path, Path]:
        return self.folder / f"{name}.crt", self.folder / f"{name}.key"

    def _openssl(self, *argv: object) -> None:
        run(["openssl", *argv], cwd=self.folder)

    def _authority(self, name: str) -> None:
        self._openssl("req", "-x509", "-new", "-newkey", "ec", "-pkeyopt",
                      "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", f"/CN=Lab {name}",
                      "-keyout", f"{name}.key", "-out", f"{name}.crt")

    def _signed(self, name: str, subject: str, authority: str, extension: str) -> None:
        self._openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                      "-nodes", "-subj", subject, "-keyout", f"{name}.key", "-out", f"{name}.csr")
        (self.folder / f"{name}.ext").write_text(extension + "\n")
        self._openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.crt", "-CAkey",
                      f"{authority}.key", "-CAcreateserial", "-days", "30", "-extfile",
                      f"{name}.ext", "-out", f"{name}.crt")
        (self.folder / f"{name}.key").chmod(0o600)
