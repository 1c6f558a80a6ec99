"""How these tests run a job: in a container of their own, over memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from samza_py.checkpoint import Checkpoint, Checkpoints, InputProgress
from samza_py.connectors.memory import Memory, MemoryStream
from samza_py.coordination import Coordination
from samza_py.job import Job
from samza_py.message import Partition
from samza_py.resolved import ResolvedJob
from samza_py.runtime.container import Container
from samza_py.runtime.coordinators import Embedded
from samza_py.runtime.statistics import TaskStatistics
from samza_py.system import System

LONGEST_S = 3600.0
"""Virtual seconds after which a run is taken for hung."""


def resolved(
    job: Job[Any],
    *memories: Memory,
    checkpoints: Checkpoints | None = None,
    coordination: Coordination | None = None,
    ignore_checkpoint: bool = False,
) -> ResolvedJob:
    """A job as the runtime takes it; checkpoints are in the first memory unless told otherwise."""
    systems: dict[str, System] = {memory.name: memory for memory in memories}
    return ResolvedJob(
        job,
        job.options,
        systems,
        job.streams,
        memories[0].checkpoints() if checkpoints is None else checkpoints,
        Embedded() if coordination is None else coordination,
        ignore_checkpoint,
    )


class Running:
    """A container that runs in a child."""

    def __init__(self, given: ResolvedJob) -> None:
        self.container = Container(given)
        self.child = asyncio.create_task(self.container.run(), name="container")

    async def ended(self) -> None:
        """Wait until it has ended by itself; raises what it raises."""
        async with asyncio.timeout(LONGEST_S):
            await asyncio.shield(self.child)

    async def stop(self) -> None:
        """Stop it in good order."""
        self.container.request_stop()
        await self.ended()

    async def abort(self) -> None:
        """End it at once."""
        self.container.abort()
        await asyncio.wait((self.child,), timeout=LONGEST_S)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so, unless the container ends before."""
        step_s = 0.0005
        async with asyncio.timeout(LONGEST_S):
            while not condition():
                if self.child.done():
                    self.child.result()
                    raise AssertionError("the container ended before it came to that")
                await asyncio.sleep(step_s)
                step_s = min(0.05, step_s * 1.001)

    def task(self, name: str) -> TaskStatistics:
        """The statistics of one task."""
        return next(task for task in self.container.statistics().tasks if task.name == name)


@asynccontextmanager
async def running(given: ResolvedJob) -> AsyncGenerator[Running]:
    """A container from here to the end of the block, where it is aborted if it still runs."""
    run = Running(given)
    try:
        yield run
    finally:
        if not run.child.done():
            await run.abort()


async def run(job: Job[Any], *memories: Memory, **settings: Any) -> Running:
    """Run a job to its end; raises what its container raises."""
    async with running(resolved(job, *memories, **settings)) as ran:
        await ran.ended()
    return ran


async def checkpoint(memory: Memory, job: Job[Any], task: str) -> Checkpoint | None:
    """What is checkpointed of a task."""
    return (await memory.checkpoints().store(job.name).read((task,))).get(task)


async def progress(
    memory: Memory, job: Job[Any], task: str, stream: MemoryStream[Any, Any], partition: str = "0"
) -> InputProgress:
    """What is checkpointed of one partition of a task, without its lineage."""
    found = await checkpoint(memory, job, task)
    assert found is not None, f"{task} has no checkpoint"
    place = Partition(stream.system.name, stream.name, partition)
    return replace(found.inputs[place], lineage="")


def values(memory: Memory, stream: MemoryStream[Any, Any]) -> list[Any]:
    """The decoded values that stand in a stream."""
    return [message.value for message in memory.read(stream)]


def pairs(memory: Memory, stream: MemoryStream[Any, Any]) -> list[tuple[Any, Any]]:
    """Keys and values that stand in a stream."""
    return [(message.key, message.value) for message in memory.read(stream)]
