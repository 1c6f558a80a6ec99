"""The right to a running server: it lives as long as one process holds its lease.

A named pipe, because the system lets go of it for a process that was killed. Holders have it open
for writing and the server's supervisor for reading, so each side sees the other one end.
"""

from __future__ import annotations

import os
import select
from pathlib import Path

from tests.services.caching import locked

NAME = "lease"


class Lease:
    """One holder's share."""

    def __init__(self, writer: int) -> None:
        self._writer = writer

    @classmethod
    def create(cls, folder: Path) -> tuple[Lease, int]:
        """Make the first share.

        Returns:
            The share, and the end of the pipe that becomes the supervisor's standard input. It is
            open before the share is: else a holder that dies early would never be missed.
        """
        pipe = folder / NAME
        pipe.unlink(missing_ok=True)
        os.mkfifo(pipe, mode=0o600)
        reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
        return cls(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)), reader

    @classmethod
    def join(cls, folder: Path) -> Lease | None:
        """Take a share of a server that runs; none where it does not run any more.

        The lock keeps its supervisor from giving it up while somebody comes.
        """
        try:
            with locked(folder / "lock"):
                return cls(os.open(folder / NAME, os.O_WRONLY | os.O_NONBLOCK))
        except OSError:  # no such file, or nobody reads it
            return None

    def is_void(self, wait_s: float = 0) -> bool:
        """Say whether the server and its supervisor have ended, or do within a while."""
        poll = select.poll()
        poll.register(self._writer, 0)
        return any(event & select.POLLERR for _, event in poll.poll(int(wait_s * 1000)))

    def let_go(self) -> None:
        """Give the share up: the server is killed if it was the last one."""
        if self._writer >= 0:
            os.close(self._writer)
            self._writer = -1
