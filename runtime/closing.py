"""Closes what a container has opened: in reverse, all of it, and within one bound.

One client that hangs or fails when it is closed must neither keep the process nor the others from
being closed, nor hide why the job ended: everything is durable by then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

from samza_py.errors import ContainerError, SamzaError, StalledError
from samza_py.runtime.lifespan import Lifespan

logger = logging.getLogger(__name__)

LEAST_S = 0.1
"""What is left for each of the others where one has used up all the time."""


class Opened:
    """What is to be closed at the end of the block, the newest first.

    Each is closed by the child that opened it: a client may hold what only that one may leave,
    such as an ``asyncio.TaskGroup``.

    Args:
        within_s: for all of it together. Whatever still closes then is cancelled and left behind.
        failed: told of each failure by name, unless the block itself has failed: then it is logged.
    """

    def __init__(self, within_s: float, failed: Callable[[str, SamzaError], None]) -> None:
        self._within_s = within_s
        self._failed = failed
        self._until: float | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    def calls(self, end: Callable[[], None]) -> None:
        """Call something at the end that neither waits nor fails."""
        self._stack.callback(end)

    def closes(self, what: str, close: Callable[[], Awaitable[None]]) -> None:
        """Close something at the end; ``what`` names it to people."""

        async def closing(*why: Any) -> None:
            await self._end(what, close, why[1])

        self._stack.push_async_exit(closing)

    async def enter(self, what: str, lifespan: Lifespan) -> Any:
        """Enter user code, and leave it at the end; it cannot swallow what ends the container."""
        entered = await lifespan.__aenter__()

        async def leaving(*why: Any) -> None:
            async def leave() -> None:
                await lifespan.__aexit__(*why)

            await self._end(what, leave, why[1])

        self._stack.push_async_exit(leaving)
        return entered

    async def _end(
        self, what: str, end: Callable[[], Awaitable[None]], error: BaseException | None
    ) -> None:
        try:
            await self._in_time(what, end)
        except Exception as failed:
            if failed is error:
                return  # user code has let it through
            ours = _as_ours(what, failed)
            if error is None:
                self._failed(f"closing {what}", ours)
            else:
                logger.error("%s; before that: %r", ours, error)

    async def _in_time(self, what: str, end: Callable[[], Awaitable[None]]) -> None:
        now = asyncio.get_running_loop().time()
        if self._until is None:
            self._until = now + self._within_s
        timer = asyncio.timeout_at(max(self._until, now + LEAST_S))
        try:
            async with timer:
                await end()
        except TimeoutError as error:
            if not timer.expired():
                raise
            raise StalledError(
                f"{what} did not close in time (job.close_timeout_s is {self._within_s:g} s for "
                "all of a container) and is left behind; where that is too short, raise it"
            ) from error


def _as_ours(what: str, error: Exception) -> SamzaError:
    if isinstance(error, SamzaError):
        return error
    ours = ContainerError(f"{what} failed while it was closed: {error!r}")
    ours.__cause__ = error
    return ours
