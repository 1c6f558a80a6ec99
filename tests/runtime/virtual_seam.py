"""What stands between the runtime and the world in its tests: the loop's clock, fixed chance."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from samza_py.seam import Seam

START_MS = 1_700_000_000_000
"""The wall clock when a loop is new."""


class VirtualSeam(Seam):
    """The wall clock is the loop's, chance is always the same, and points are noted.

    Attributes:
        points: those that were reached, in order.
        on_point: called with each, where it is set.
    """

    watches_loop = False

    def __init__(self) -> None:
        super().__init__()
        self.random.seed(1)
        self.points: list[str] = []
        self.on_point: Callable[[str], None] | None = None

    def now_ms(self) -> int:
        return START_MS + round(asyncio.get_running_loop().time() * 1000)

    def reached(self, point: str) -> None:
        self.points.append(point)
        if self.on_point is not None:
            self.on_point(point)
