"""SCRAM-SHA-256 (RFC 5802, RFC 7677), both roles, with every part open to tampering."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
from typing import Optional


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, hashlib.sha256).digest()


def _xor(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b))


def encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def attributes(data: bytes) -> dict[str, str]:
    return dict(part.split("=", 1) for part in data.decode().split(",") if "=" in part)


class Keys:
    """What follows from a password, a salt and an iteration count."""

    def __init__(self, password: str, salt: bytes, iterations: int) -> None:
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
        self.client_key = _hmac(salted, b"Client Key")
        self.stored_key = hashlib.sha256(self.client_key).digest()
        self.server_key = _hmac(salted, b"Server Key")


def verifier(password: str, salt: Optional[bytes] = None, iterations: int = 4096) -> str:
    """What PostgreSQL keeps in pg_authid for a password."""
    salt = salt or os.urandom(16)
    keys = Keys(password, salt, iterations)
    return (f"SCRAM-SHA-256${iterations}:{encode(salt)}"
            f"${encode(keys.stored_key)}:{encode(keys.server_key)}")


class ScramClient:
    """The client's side of one exchange. `gs2` is the header: "n,,", "y,," or "p=...,,"."""

    def __init__(self, password: str, *, gs2: str = "n,,", binding: bytes = b"") -> None:
        self.password = password
        self.gs2 = gs2
        self.binding = binding
        self.nonce = encode(os.urandom(18))
        self.server_signature = b""

    def first(self) -> bytes:
        self.first_bare = f"n=,r={self.nonce}"
        return (self.gs2 + self.first_bare).encode()

    def final(self, server_first: bytes) -> bytes:
        told = attributes(server_first)
        if not told["r"].startswith(self.nonce):
            raise AssertionError("the server's nonce does not begin with ours")
        keys = Keys(self.password, base64.b64decode(told["s"]), int(told["i"]))
        without_proof = f"c={encode(self.gs2.encode() + self.binding)},r={told['r']}"
        auth_message = f"{self.first_bare},{server_first.decode()},{without_proof}".encode()
        proof = _xor(keys.client_key, _hmac(keys.stored_key, auth_message))
        self.server_signature = _hmac(keys.server_key, auth_message)
        return f"{without_proof},p={encode(proof)}".encode()

    def check(self, server_final: bytes) -> None:
        if base64.b64decode(attributes(server_final)["v"]) != self.server_signature:
            raise AssertionError("the server's signature is wrong")


class ScramServer:
    """The server's side; the attributes may be changed before `first` is asked for."""

    def __init__(self, password: str, *, iterations: int = 4096) -> None:
        self.password = password
        self.iterations = iterations
        self.salt = os.urandom(16)
        self.nonce = encode(os.urandom(18))

    def first(self, client_first: bytes) -> bytes:
        self.first_bare = client_first.decode().split(",", 2)[2]
        self.client_nonce = attributes(self.first_bare.encode())["r"]
        self.server_first = (f"r={self.client_nonce}{self.nonce},s={encode(self.salt)},"
                             f"i={self.iterations}").encode()
        return self.server_first

    def final(self, client_final: bytes) -> bytes:
        without_proof, proof = client_final.decode().rsplit(",p=", 1)
        auth_message = f"{self.first_bare},{self.server_first.decode()},{without_proof}".encode()
        keys = Keys(self.password, self.salt, self.iterations)
        client_key = _xor(base64.b64decode(proof), _hmac(keys.stored_key, auth_message))
        if hashlib.sha256(client_key).digest() != keys.stored_key:
            raise AssertionError("the client's proof is wrong")
        return f"v={encode(_hmac(keys.server_key, auth_message))}".encode()
