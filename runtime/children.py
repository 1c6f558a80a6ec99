"""Children that fail as one, for the first error is everybody's; and ends that none cuts off."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine
from typing import Any


async def ended(
    children: Collection[asyncio.Task[Any]], within_s: float | None = None
) -> Collection[asyncio.Task[Any]]:
    """Cancel children and wait until they have ended, whatever by.

    Returns:
        Those that have not within this time; none where there is no limit to it.
    """
    for child in children:
        child.cancel()
    if not children:
        return ()
    _, left = await asyncio.wait(children, timeout=within_s)
    return left


async def to_its_end(closing: Coroutine[Any, Any, Any]) -> None:
    """Tidy up to the end, also where the current child is cancelled meanwhile, even repeatedly.

    Without it whoever is cancelled a second time, by a user who does not see it end, would leave
    behind what still runs, and what that runs on would be closed under it.

    Raises:
        Exception: what the tidying raises.
        asyncio.CancelledError: it is done, and the current child was cancelled meanwhile.
    """
    child = asyncio.ensure_future(closing)
    cancelled: asyncio.CancelledError | None = None
    while not child.done():
        try:
            await asyncio.wait((child,))
        except asyncio.CancelledError as error:
            cancelled = error
    child.result()
    if cancelled is not None:
        raise cancelled


class Children:
    """Starts children, gives the first failure to whoever waits, and ends them all.

    Not ``asyncio.TaskGroup``: a failure here must not cancel the parent, which may have a last
    commit to make, and it must arrive as the error it is, not wrapped in a group.
    """

    def __init__(self) -> None:
        self._children: set[asyncio.Task[Any]] = set()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def start(self, run: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        """Start a child; its failure, or ``fail``, ends every ``wait``."""
        child = asyncio.get_running_loop().create_task(run, name=name)
        self._children.add(child)
        child.add_done_callback(self._ended)
        return child

    def fail(self, error: BaseException) -> None:
        """Report a failure from where nothing can be raised."""
        if not self._failed.done():
            self._failed.set_exception(error)
            self._failed.exception()  # looked at: an unread failure is not worth a warning

    async def wait(self, child: asyncio.Task[Any] | asyncio.Future[Any]) -> None:
        """Wait until a child has ended.

        Raises:
            Exception: the first failure of any child, this one included.
        """
        await asyncio.wait((child, self._failed), return_when=asyncio.FIRST_COMPLETED)
        if self._failed.done():
            self._failed.result()
        if child.done() and not child.cancelled():
            child.result()

    @property
    def failure(self) -> BaseException | None:
        """The first failure, if there is one."""
        return self._failed.exception() if self._failed.done() else None

    def leave(self, child: asyncio.Task[Any], error: BaseException) -> None:
        """Wait no more for a child that will not end; every ``wait`` ends with this error."""
        self._children.discard(child)
        self.fail(error)

    async def end(self, within_s: float | None = None) -> Collection[str]:
        """Cancel every child and wait until all have ended. What they raise then is dropped.

        Args:
            within_s: how long to wait for those that swallow their cancellation; None for ever.

        Returns:
            The names of those that have not ended: they are left to themselves.
        """
        self._failed.cancel()
        children = [child for child in self._children if child is not asyncio.current_task()]
        left = await ended(children, within_s)
        return sorted(child.get_name() for child in left)

    def _ended(self, child: asyncio.Task[Any]) -> None:
        self._children.discard(child)
        if not child.cancelled():
            error = child.exception()
            if error is not None:
                self.fail(error)
