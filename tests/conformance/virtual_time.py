"""A loop whose clock jumps to the next timer whenever nothing can run: waiting costs nothing.

For code without threads and sockets, such as the memory system.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


TURN_S = 1e-5
"""What a turn of the loop takes: else a busy loop would stop the time."""


class _Jumping(selectors.SelectSelector):
    """Does not wait for events, but lets the time pass that it should have waited."""

    passed_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        self.passed_s += TURN_S
        if not ready:
            if timeout is None:
                raise RuntimeError("everything waits, and no timer will end it")
            self.passed_s += max(0.0, timeout)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop on virtual time, which begins at 0."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.passed_s


def run_virtually(main: Coroutine[Any, Any, T]) -> T:
    """As ``asyncio.run``, on virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)
