"""An event loop whose clock jumps: nothing waits, and the same program runs the same way twice.

When nothing is ready, its time goes to the next timer; when there is no timer either, everything
waits for everything, and that is an error. Only while a thread is at work its time is the real one.
It has no sockets. Children and futures are hashed by the order in which they were made, so that
sets of them (``asyncio.wait`` makes some) do not depend on addresses in memory.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from operator import attrgetter
from typing import Any, TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

LONGEST_THREAD_S = 10.0


class DeadlockError(Exception):
    """Nothing is ready, no timer is set, and no thread is at work, yet there is no end."""


class LivelockError(Exception):
    """The loop has turned so often, or so long, that it must be going in circles."""


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
        self._loop.turned(timeout)
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """A loop on virtual time, which begins at 0.

    Args:
        most_turns: after so many turns it raises ``LivelockError``.
        longest_s: after so many virtual seconds, too.
        turn_s: what a turn takes, where a child that never waits must not stop the time.
        shuffle: where given, children that are ready in one turn go on in a random order. Plain
            callbacks keep theirs, which asyncio promises.
        born: called with every child that is started.
    """

    def __init__(
        self,
        *,
        most_turns: int = 10_000_000,
        longest_s: float = 5 * 3600.0,
        turn_s: float = 0.0,
        shuffle: random.Random | None = None,
        born: Callable[[asyncio.Task[Any]], None] | None = None,
    ) -> None:
        super().__init__()
        self._now = 0.0
        self._left = most_turns
        self._longest_s = longest_s
        self._turn_s = turn_s
        self._shuffle = shuffle
        self._born = born
        self._numbers = 0
        self._threads = 0
        self._told = threading.Event()
        self._selector = _Clock(self)
        self._ready: deque[asyncio.Handle]

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now

    def turned(self, timeout: float | None) -> None:
        """Move on by so much; called once a turn of the loop."""
        if self._threads and timeout != 0:
            self._wait_for_threads(timeout)
        elif timeout is None:
            raise DeadlockError("nothing is ready, no timer is set, and no thread is at work")
        else:
            self._now += timeout + self._turn_s
        self._left -= 1
        if self._left < 0 or self._now > self._longest_s:
            raise LivelockError("the loop goes in circles")
        if self._shuffle is not None and len(self._ready) > 1:
            self._mix(self._shuffle)

    def _wait_for_threads(self, timeout: float | None) -> None:
        began = time.monotonic()
        self._told.wait(LONGEST_THREAD_S if timeout is None else timeout)
        self._told.clear()
        self._now += time.monotonic() - began

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
        if self._born is not None:
            self._born(task)
        return task

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Call something in a thread, which is waited for in real time."""
        self._threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._thread_ended)
        return future

    async def shutdown_default_executor(self, *timeout: Any) -> None:
        """Wait for the threads of the default pool."""
        self._threads += 1
        try:
            await super().shutdown_default_executor(*timeout)
        finally:
            self._threads -= 1

    def _thread_ended(self, _: asyncio.Future[Any]) -> None:
        self._threads -= 1

    # What BaseEventLoop asks of those that have sockets.

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        self._told.set()


def run_virtually(main: Coroutine[Any, Any, T], *, turn_s: float = 0.0) -> T:
    """As ``asyncio.run``, on virtual time."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(turn_s=turn_s)) as runner:
        return runner.run(main)


_callback_of = attrgetter("_callback")


def _is_step(handle: asyncio.Handle) -> bool:
    return isinstance(getattr(_callback_of(handle), "__self__", None), asyncio.Task)
