"""How the partitions of a task come to be read: at once, or when their parents have been passed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from samza_py.assignment import PlannedTask
from samza_py.checkpoint import Claim
from samza_py.message import Partition
from samza_py.runtime.buffer import PartitionBuffer
from samza_py.runtime.children import Children
from samza_py.runtime.reading import Parents
from samza_py.runtime.scope import TaskScope
from samza_py.runtime.services import Services
from samza_py.runtime.wakeup import Wakeup
from samza_py.seam import seam

PARENTS_LOOK_S = 1.0


class Assigner:
    """Has the intakes of a container read for one task.

    Args:
        planned: the task.
        claim: its ownership.
        buffers: of its partitions.
        scope: of the task, which is woken where a buffer was filled.
        services: of the container.
        children: of the task; one of them waits for parents, and a failed partition fails them.
    """

    def __init__(
        self,
        planned: PlannedTask,
        claim: Claim,
        buffers: Sequence[PartitionBuffer],
        scope: TaskScope,
        services: Services,
        children: Children,
    ) -> None:
        self._planned = planned
        self._claim = claim
        self._buffers = buffers
        self._scope = scope
        self._services = services
        self._children = children

    async def assign(self) -> None:
        """Start reading; what has parents that are not passed yet waits for them in a child.

        Raises:
            SamzaError: what the consumer raises and no retry cures.
        """
        waiting = {b.key.partition: b for b in self._buffers if not b.finished}
        parents = Parents(self._planned, self._services)
        await self._read_ready(parents, waiting)
        if waiting:
            name = f"parents {self._planned.name}"
            self._children.start(self._wait_for_parents(parents, waiting), name)
        seam().reached("start.assigned")

    async def _wait_for_parents(
        self, parents: Parents, waiting: dict[Partition, PartitionBuffer]
    ) -> None:
        wakeup = Wakeup()
        self._services.waiting.add(wakeup)
        loop = asyncio.get_running_loop()
        try:
            while waiting:
                timer = loop.call_later(PARENTS_LOOK_S, wakeup.wake)
                await wakeup.wait()
                timer.cancel()
                await self._read_ready(parents, waiting)
        finally:
            self._services.waiting.discard(wakeup)

    async def _read_ready(
        self, parents: Parents, waiting: dict[Partition, PartitionBuffer]
    ) -> None:
        """Have those read whose parents have been passed; they wait no longer."""
        ready = await parents.ready(waiting)
        await self._read(list(ready.values()))
        for partition in ready:
            del waiting[partition]

    async def _read(self, buffers: list[PartitionBuffer]) -> None:
        for system in sorted({buffer.key.partition.system for buffer in buffers}):
            some = [buffer for buffer in buffers if buffer.key.partition.system == system]
            intake = self._services.intakes[system]
            await intake.assign(self._claim, some, self._scope.wakeup.wake, self._children.fail)
