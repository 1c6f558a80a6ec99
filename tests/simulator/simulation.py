"""Runs seeds: one call, one seed, one outcome; the same one every time."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tests.simulator.generating import scenario_of
from tests.simulator.play import Play
from tests.simulator.scenario import Scenario, chance
from tests.simulator.stage import Stage
from tests.simulator.world import World
from tests.virtual_time import DeadlockError, LivelockError, VirtualLoop

MOST_TURNS = 400_000


@dataclass(frozen=True)
class Outcome:
    """What became of a seed.

    Attributes:
        seed: which.
        violations: what did not hold; empty where all is well.
        fingerprint: of everything that happened.
        trace: the last lines of it.
        calls: how many calls of handlers there were.
        crashes: how many containers crashed.
    """

    seed: int
    violations: tuple[str, ...]
    fingerprint: str
    trace: tuple[tuple[float, str, str], ...]
    lines: int
    calls: int
    crashes: int

    def report(self, command: str) -> str:
        """What to print of a seed that failed."""
        lines = [f"  {at:9.3f} {who:<8} {what}" for at, who, what in self.trace]
        return "\n".join(
            (
                f"seed {self.seed} failed: {self.violations[0]}",
                f"the last {len(lines)} of {self.lines} lines of its trace:",
                *lines,
                f"again, exactly: {command} --seeds {self.seed}",
            )
        )


def run_seed(seed: int, scenario: Scenario | None = None, keep: int = 60) -> Outcome:
    """Play the scenario of a seed.

    Args:
        seed: what to draw everything from.
        scenario: to play instead of the seed's own.
        keep: how many lines of the trace to keep.
    """
    scenario = scenario if scenario is not None else scenario_of(seed)
    world = World(scenario, keep)
    shuffle = chance(seed, "order") if scenario.shuffled else None
    loop = VirtualLoop(most_turns=MOST_TURNS, shuffle=shuffle, born=world.born)
    loop.set_exception_handler(lambda _, context: _unexpected(world, context))
    logging.disable(logging.CRITICAL)
    # What a cycle of garbage holds would be let go of at a moment that no seed decides.
    collects = gc.isenabled()
    gc.disable()
    try:
        calls = _play(world, loop)
    finally:
        logging.disable(logging.NOTSET)
        if collects:
            gc.enable()
    return Outcome(
        seed,
        tuple(world.violations),
        world.fingerprint,
        tuple(world.trace),
        world.lines,
        calls,
        world.crashes,
    )


def _play(world: World, loop: VirtualLoop) -> int:
    asyncio.set_event_loop(None)
    try:
        stage = Stage(world)
        try:
            loop.run_until_complete(Play(stage).run())
        except (DeadlockError, LivelockError) as error:
            world.violated(f"{error}\n{stage.stuck()}")
        return stage.calls.made
    finally:
        loop.close()
        world.forget_children()


def _unexpected(world: World, context: dict[str, Any]) -> None:
    """The loop has nobody to give an exception to."""
    if not any(one.dead for one in world.incarnations):
        world.violated(f"{context['message']}: {context.get('exception')!r}")


def run_seeds(seeds: Iterable[int], keep: int = 60) -> Iterator[Outcome]:
    """Play one seed after the other, and clear away what each has left."""
    gc.collect()
    gc.freeze()
    for seed in seeds:
        yield run_seed(seed, keep=keep)
        gc.collect()
