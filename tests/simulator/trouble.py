"""What strikes the containers' calls to the memory systems, as chance and the scenario want it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from samza_py.connectors.memory import Fault, Faults
from samza_py.errors import ConnectorError, RejectedError, UnavailableError
from samza_py.message import Outgoing, Partition
from samza_py.producer import Failure, Rejected, Retry, Unknown
from tests.simulator.handling import source_of
from tests.simulator.interruptions import Interruptions
from tests.simulator.scenario import Given, chance
from tests.simulator.world import Incarnation, World

DELAYS_S = (0.0, 0.0, 0.001, 0.02, 0.3, 2.0, 12.0)
#: A coordinator's events cannot be asked for again: it has to see to them by itself.
NEVER_REFUSED = frozenset({"events"})


class SeededFaults(Faults):
    """Strikes at the operations of containers, never at those of the play itself.

    Args:
        world: the simulation.
        given: what was put into the input, by partition and offset.
        interruptions: told of every operation.
    """

    def __init__(
        self,
        world: World,
        given: Mapping[tuple[str, int], Given],
        interruptions: Interruptions,
    ) -> None:
        self._world = world
        self._interruptions = interruptions
        self._draw = chance(world.scenario.seed, "broken off")
        self._given = given
        self._trouble = world.scenario.trouble

    async def before(self, operation: str, client: str) -> None:
        """Delay, refuse, or end the container before anything is done."""
        here = await self._alive()
        if here is None:
            return
        self._world.note(here, operation)
        self._interruptions.near(here)
        if not self._world.troubled:
            return
        await self._maybe_crash(here, f"before {operation}")
        await self._maybe_delay(operation)
        if self._strikes(self._trouble.before, operation):
            self._world.note(here, f"{operation} refused")
            raise UnavailableError(f"simulated: {operation} of {client} refused")

    async def after(self, operation: str, client: str) -> None:
        """Delay, lose the answer, or end the container after it is done."""
        here = await self._alive()
        if here is None or not self._world.troubled:
            return
        self._interruptions.near(here)
        await self._maybe_crash(here, f"after {operation}")
        await self._maybe_delay(operation)
        if self._strikes(self._trouble.after, operation):
            self._world.note(here, f"{operation} unanswered")
            raise UnavailableError(f"simulated: the answer of {operation} to {client} is lost")

    def messages(self, client: str, batch: Sequence[Outgoing]) -> Mapping[int, Fault]:
        """Reject what the scenario says output A rejects; let others fail by chance."""
        world = self._world
        struck: dict[int, Fault] = {}
        for index, message in enumerate(batch):
            fault = self._rejection(message)
            if fault is None and world.troubled and world.chance.random() < self._trouble.message:
                fault = self._failure()
            if fault is not None:
                struck[index] = fault
        world.note(world.here(), f"writes {_listed(batch, struck)}")
        return struck

    def partition(self, client: str, partition: Partition) -> ConnectorError | None:
        """Let a partition fail by chance."""
        world = self._world
        if world.troubled and world.chance.random() < self._trouble.partition:
            world.note(world.here(), f"{partition} fails")
            return UnavailableError(f"simulated: {partition} cannot be read now")
        return None

    def broken_off(self, client: str, partition: Partition) -> ConnectorError | None:
        """Let a partition fail behind what a fetch has brought, by chance.

        A consumer never delivers a message again by itself: each fetch begins behind the position
        of the one before. It does so where the runtime seeks, which is after a failure, from where
        the runtime says that it has read to. So that is where a message can be delivered twice.
        """
        world = self._world
        if world.troubled and self._draw.random() < self._trouble.broken_off:
            world.note(world.here(), f"{partition} fails behind what was fetched")
            return UnavailableError(f"simulated: {partition} cannot be read on now")
        return None

    def _rejection(self, message: Outgoing) -> Fault | None:
        if message.stream != "A" or message.dead:
            return None
        source = source_of(message.value)
        given = None if source is None else self._given.get(source)
        if given is None or given.fate.kind != "rejected":
            return None
        return Fault(Rejected(RejectedError("simulated: A does not take it")))

    def _failure(self) -> Fault:
        draw = self._world.chance
        error = UnavailableError("simulated: a message failed")
        kind = draw.randrange(3)
        failure: Failure = Retry(error, draw.choice((0.0, 0.5))) if kind == 0 else Unknown(error)
        return Fault(failure, written=kind == 2)

    async def _alive(self) -> Incarnation | None:
        """Who calls. A dead container's calls never come back."""
        here = self._world.here()
        if here is not None and here.dead:
            await asyncio.get_running_loop().create_future()
        return here

    def _strikes(self, likely: float, operation: str) -> bool:
        if operation in NEVER_REFUSED:
            return False
        if operation in self._trouble.hot:
            likely *= self._trouble.heat
        return likely > 0 and self._world.chance.random() < min(likely, 0.5)

    async def _maybe_delay(self, operation: str) -> None:
        if self._strikes(self._trouble.delay, operation):
            await asyncio.sleep(self._world.chance.choice(DELAYS_S))

    async def _maybe_crash(self, here: Incarnation, where: str) -> None:
        world, trouble = self._world, self._trouble
        if world.crashes < trouble.crashes and world.chance.random() < trouble.crash:
            world.crash(here, where)
            await asyncio.get_running_loop().create_future()


def _listed(batch: Sequence[Outgoing], struck: Mapping[int, Fault]) -> str:
    """What a write holds, for the trace; a struck message with what becomes of it."""
    listed: list[str] = []
    for index, message in enumerate(batch):
        fault = struck.get(index)
        source = message.source
        of = "" if source is None else f"{source.partition.id}/{source.offset}"
        fate = "" if fault is None else f" {type(fault.failure).__name__} written={fault.written}"
        listed.append(f"{message.stream}<{of}{fate}>")
    return " ".join(listed)
