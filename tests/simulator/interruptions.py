"""Cancels the runs of containers from outside: what ``task.cancel()`` and ``asyncio.timeout`` do.

Unlike a crash it leaves the container its own way out: whatever it does on that has an effect. It
comes a few turns of the loop after an operation or a named point, or a while later, so that it
finds the container at any of its awaits, in its opening and in its last commit too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tests.simulator.scenario import chance
from tests.simulator.world import Incarnation, World

MOST_TURNS = 8
#: What is awaited for longer (calls, backoffs, the next commit) is found after so many seconds.
LATER_S = (0.0, 0.0, 0.02, 0.5)
#: A user who does not see it end cancels again: at once, or after so many seconds.
AGAIN_S = (0.0, 0.0, 0.001, 0.5)
#: No container takes longer to end, whatever it waits for: several times ``close_timeout_s``.
LONGEST_END_S = 30.0


class Interruptions:
    """Decides who is cancelled when.

    Args:
        world: the simulation.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._trouble = world.scenario.trouble
        self._left = self._trouble.cancels
        self._draw = chance(world.scenario.seed, "cancel")

    def near(self, incarnation: Incarnation) -> None:
        """A container has come to an operation or a point: cancel it soon, by chance."""
        if not self._left or not self._world.troubled or incarnation.aborted_s is not None:
            return
        if self._draw.random() < self._trouble.cancel:
            self._left -= 1
            self._soon(LATER_S, incarnation)

    def _cancel(self, incarnation: Incarnation) -> None:
        if not incarnation.running:
            return
        first = incarnation.aborted_s is None
        self._world.abort(incarnation, self._draw.choice((incarnation.cancel, incarnation.expire)))
        if first:
            loop = asyncio.get_running_loop()
            loop.call_later(LONGEST_END_S, self._look_whether_ended, incarnation)
            for _ in range(self._draw.randint(0, self._trouble.impatience)):
                self._soon(AGAIN_S, incarnation)

    def _soon(self, seconds: Sequence[float], incarnation: Incarnation) -> None:
        """Cancel after one of these waits, and then a few turns in which no time passes."""
        turns = self._draw.randrange(MOST_TURNS)
        loop = asyncio.get_running_loop()
        loop.call_later(self._draw.choice(seconds), self._turn, turns, incarnation)

    def _turn(self, left: int, incarnation: Incarnation) -> None:
        if left:
            asyncio.get_running_loop().call_soon(self._turn, left - 1, incarnation)
        else:
            self._cancel(incarnation)

    def _look_whether_ended(self, incarnation: Incarnation) -> None:
        if incarnation.running:
            self._world.violated(f"{incarnation} still runs {LONGEST_END_S:g} s after its abort")
