"""An event loop on whose clock nothing waits: where all are idle, time goes to the next timer.

A test in which everything waits for everything fails at once, with ``DeadlockError``. Only while
a thread of the runtime's pool is at work the time is the real one.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, ParamSpec, TypeVar

from samza_py.seam import Seam

P = ParamSpec("P")
T = TypeVar("T")

START_MS = 1_700_000_000_000
"""The wall clock when a loop is new."""

LONGEST_THREAD_S = 10.0
LONGEST_S = 5 * 3600.0


class DeadlockError(Exception):
    """Nothing is ready, no timer is set, and no thread is at work."""


class _JumpingSelector(selectors.DefaultSelector):
    """Does not wait: what it is asked to wait for is added to the loop's clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.threads = 0

    def select(self, timeout: float | None = None) -> list[Any]:
        found: list[Any] = super().select(0)
        if found or timeout == 0:
            return found
        if self.threads:
            began = time.monotonic()
            found = super().select(LONGEST_THREAD_S if timeout is None else timeout)
            self.now += time.monotonic() - began
            return found
        if timeout is None:
            raise DeadlockError("nothing is ready, no timer is set, and no thread is at work")
        self.now += timeout
        if self.now > LONGEST_S:
            raise DeadlockError("hours have passed, with nothing but timers at work")
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop on virtual time that starts at 0."""

    def __init__(self) -> None:
        self.clock = _JumpingSelector()
        super().__init__(self.clock)

    def time(self) -> float:
        return self.clock.now


def _clock() -> _JumpingSelector:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop.clock


class VirtualSeam(Seam):
    """The wall clock is the loop's, chance is always the same, and threads are known."""

    watches_loop = False

    def __init__(self) -> None:
        super().__init__()
        self.random.seed(1)
        self.points: list[str] = []
        self.on_point: Callable[[str], None] | None = None

    def now_ms(self) -> int:
        return START_MS + round(_clock().now * 1000)

    async def in_pool(
        self, pool: Executor, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        clock = _clock()
        clock.threads += 1
        try:
            return await super().in_pool(pool, fn, *args, **kwargs)
        finally:
            clock.threads -= 1

    def reached(self, point: str) -> None:
        self.points.append(point)
        if self.on_point is not None:
            self.on_point(point)
