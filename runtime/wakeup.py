"""A wait for something that changes often: one future, made only while somebody waits."""

from __future__ import annotations

import asyncio


class Wakeup:
    """Wakes the one child that waits on it; a wake before the wait is remembered.

    Cheaper than ``asyncio.Event`` where it is set for every batch and rarely waited for.
    """

    __slots__ = ("_future", "_set")

    def __init__(self) -> None:
        self._set = False
        self._future: asyncio.Future[None] | None = None

    def wake(self) -> None:
        """Let the wait return, now or when it begins."""
        self._set = True
        future = self._future
        if future is not None and not future.done():
            future.set_result(None)

    async def wait(self) -> None:
        """Return once woken since the last wait. Cancelling it loses no wake."""
        if not self._set:
            future = self._future = asyncio.get_running_loop().create_future()
            try:
                await future
            finally:
                # A cancelled wait ends only after the next one may have begun.
                if self._future is future:
                    self._future = None
        self._set = False
