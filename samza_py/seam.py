"""The one seam between samza-py and the world it cannot control: clock, chance, threads, points.

The runtime and the connectors never call ``time.time``, ``random`` or a thread pool themselves;
they ask ``seam()``. The simulator and the crash campaign put their own in its place, and run the
real code on virtual time or kill it at a named point. Durations need no seam: they are measured on
the running loop's own clock, which a virtual-time loop supplies.
"""

from __future__ import annotations

import asyncio
import functools
import random
import time
from collections.abc import Callable, Generator
from concurrent.futures import Executor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Seam:
    """The real world. Subclass it to put another in its place."""

    #: Whether a thread may watch for a loop that stands still; off where time is not real.
    watches_loop = True

    def __init__(self) -> None:
        self.random = random.Random()

    def now_ms(self) -> int:
        """The wall clock in milliseconds since 1970: for timestamps, never for durations."""
        return time.time_ns() // 1_000_000

    async def in_thread(self, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking call outside the loop and wait for it.

        Raises what it raises. Under cancellation the thread runs on to its end unobserved.
        """
        return await asyncio.to_thread(fn, *args, **kwargs)

    async def in_pool(
        self, pool: Executor, fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a blocking call in a bounded pool of the runtime's; as ``in_thread`` otherwise."""
        context = copy_context()
        call = functools.partial(context.run, fn, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(pool, call)

    def reached(self, point: str) -> None:
        """Hear that the runtime has come to a named point, such as ``commit.prepared``.

        Does nothing here. The crash campaign kills the process in it, the simulator a container.
        """


_real = Seam()
_current: ContextVar[Seam] = ContextVar("samza_py_seam", default=_real)


def seam() -> Seam:
    """The seam in force here: the real world unless ``use_seam`` says otherwise."""
    return _current.get()


@contextmanager
def use_seam(replacement: Seam) -> Generator[Seam]:
    """Put another seam in place for the block and for the children started in it."""
    token = _current.set(replacement)
    try:
        yield replacement
    finally:
        _current.reset(token)
