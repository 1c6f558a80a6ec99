"""Ports on loopback that stay a test's own while its server is down.

They lie below those that the system gives to outgoing connections. A client that keeps dialling a
dead server's port out of that range is sooner or later connected to itself, and the server cannot
come back; and any other process may be given the port meanwhile. A lock file for each port, in the
folder for temporary files, keeps parallel tests and other checkouts off it.
"""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from io import TextIOWrapper
from pathlib import Path

from tests.services.failing import ServiceError

LOOPBACK = "127.0.0.1"
LOWEST = 15_000
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
LOWEST_EPHEMERAL = 32_768
TRIES = 1_000


class Ports:
    """Reserves ports, and gives all of them back when it is closed."""

    def __init__(self) -> None:
        self._held: dict[int, TextIOWrapper] = {}
        self._folder = Path(tempfile.gettempdir()) / f"samza-py-ports-{os.getuid()}"
        self._folder.mkdir(mode=0o700, exist_ok=True)

    def reserve(self) -> int:
        """A port that nobody listens on and no other test has.

        Raises:
            ServiceError: none was found.
        """
        highest = lowest_ephemeral()
        for _ in range(TRIES):
            port = random.randrange(min(LOWEST, highest - TRIES), highest)
            if self._lock(port):
                if is_free(port):
                    return port
                self._held.pop(port).close()
        raise ServiceError(f"no free port below {highest} was found in {TRIES} tries")

    def close(self) -> None:
        """Give all of them back; safe to call twice."""
        while self._held:
            self._held.popitem()[1].close()

    def _lock(self, port: int) -> bool:
        if port in self._held:
            return False
        lock = (self._folder / str(port)).open("a")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            return False
        self._held[port] = lock
        return True


def lowest_ephemeral() -> int:
    """The lowest port that the system gives to outgoing connections."""
    try:
        return int(EPHEMERAL.read_text().split()[0])
    except OSError:
        return LOWEST_EPHEMERAL


def is_free(port: int) -> bool:
    """Say whether a server could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def answers(port: int) -> bool:
    """Say whether somebody accepts connections on the port."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=1).close()
    except OSError:
        return False
    return True
