"""An event loop whose clock jumps: nothing waits, and the same seed gives the same run.

It has no sockets and no threads. When nothing is ready, its time goes to the next timer; when
there is no timer either, everything waits for everything, and that is an error. Children and
futures are hashed by the order in which they were made, so that sets of them (``asyncio.wait``
makes some) do not depend on addresses in memory.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections import deque
from collections.abc import Callable, Coroutine
from operator import attrgetter
from typing import Any


class DeadlockError(Exception):
    """Nothing is ready and no timer is set, yet the simulation has not ended."""


class LivelockError(Exception):
    """The loop has turned so often that it must be going in circles."""


class VirtualFuture(asyncio.Future[Any]):
    """A future with a hash that does not change from run to run."""

    def __init__(self, number: int, loop: VirtualLoop) -> None:
        self._number = number
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self._number


class VirtualTask(asyncio.Task[Any]):
    """A child with a hash that does not change from run to run."""

    def __init__(self, number: int, coro: Coroutine[Any, Any, Any], **settings: Any) -> None:
        self._number = number  # first: the base class puts it into a set
        super().__init__(coro, **settings)

    def __hash__(self) -> int:
        return self._number


class _Clock:
    """Stands where a selector stands: instead of waiting for sockets it moves the time on."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise DeadlockError("nothing is ready and no timer is set")
        self._loop.turned(timeout)
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """A loop on virtual time.

    Args:
        most_turns: after so many turns it raises ``LivelockError``.
        shuffle: where given, children that are ready in one turn go on in a random order. Plain
            callbacks keep theirs, which asyncio promises.
        born: called with every child that is started.
    """

    def __init__(
        self,
        most_turns: int,
        shuffle: random.Random | None,
        born: Callable[[asyncio.Task[Any]], None],
    ) -> None:
        super().__init__()
        self._now = 0.0
        self._left = most_turns
        self._shuffle = shuffle
        self._born = born
        self._numbers = 0
        self._selector = _Clock(self)
        self._ready: deque[asyncio.Handle]

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    def turned(self, timeout: float) -> None:
        """Move on by so much; called once a turn of the loop."""
        self._now += timeout
        self._left -= 1
        if self._left < 0:
            raise LivelockError("the loop goes in circles")
        if self._shuffle is not None and len(self._ready) > 1:
            self._mix(self._shuffle)

    def _mix(self, chance: random.Random) -> None:
        """Change the order of those ready callbacks that are steps of children."""
        ready = self._ready
        places = [at for at, handle in enumerate(ready) if _is_step(handle)]
        if len(places) > 1:
            steps = [ready[at] for at in places]
            chance.shuffle(steps)
            for at, handle in zip(places, steps, strict=True):
                ready[at] = handle

    def create_future(self) -> asyncio.Future[Any]:
        """A future, numbered."""
        self._numbers += 1
        return VirtualFuture(self._numbers, self)

    def create_task(  # type: ignore[override]  # only what asyncio itself passes
        self,
        coro: Coroutine[Any, Any, Any],
        *,
        name: str | None = None,
        context: contextvars.Context | None = None,
        **_: Any,
    ) -> asyncio.Task[Any]:
        """A child, numbered and announced."""
        self._numbers += 1
        task = VirtualTask(self._numbers, coro, loop=self, name=name, context=context)
        self._born(task)
        return task

    # What BaseEventLoop asks of those that have sockets.

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass


_callback_of = attrgetter("_callback")


def _is_step(handle: asyncio.Handle) -> bool:
    return isinstance(getattr(_callback_of(handle), "__self__", None), asyncio.Task)
