"""TCP ports that no other test, worker or run of this laboratory uses at the same time."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

# Below the kernel's range for outgoing connections (32768 and up), which thousands of clients use.
FIRST, LAST = 12000, 31999

_held: dict[int, int] = {}


def _folder() -> Path:
    path = Path(tempfile.gettempdir()) / "forebay-lab-ports"
    try:
        path.mkdir()
        path.chmod(0o1777)
    except FileExistsError:
        pass
    return path


def claim() -> int:
    """A port that is free, and ours until this process ends: the lock on a file says so."""
    while True:
        port = random.randint(FIRST, LAST)
        if port in _held:
            continue
        try:
            lock = os.open(_folder() / str(port), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o666)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue
        if _is_free(port):
            _held[port] = lock
            return port
        os.close(lock)


def release(port: int) -> None:
    lock = _held.pop(port, None)
    if lock is not None:
        os.close(lock)


def _is_free(port: int) -> bool:
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError as error:
                if family == socket.AF_INET:
                    return False
                if error.errno not in (97, 99):     # no IPv6 on this machine
                    return False
    return True
