"""Runs a whole job over memory: the real runtime, no server, no file, typed results.

def test_orders_are_priced():
    result = run(job, {orders: [Order("a", 2), Record(Order("b", 1), key="k")]})
    assert result[priced] == [PricedOrder("a", 4), PricedOrder("b", 2)]
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Any, Final, TypeVar

from samza_py.checkpoint import Change, Checkpoint, Claim
from samza_py.connectors.memory import MemoryStream
from samza_py.errors import ConfigError
from samza_py.job import Job
from samza_py.runtime.container import Container
from samza_py.system import Input
from samza_py.testing.ending import Ending
from samza_py.testing.given import encoded, refuse_other_types
from samza_py.testing.results import DeadLettered, RunResult
from samza_py.testing.stand_ins import StandIns

InputT = TypeVar("InputT", bound=Input[Any, Any])
"""A dict's keys are invariant: this lets it hold streams of any system."""


class _FromJob:
    """Stands for the resources of the job's own lifespan."""

    def __repr__(self) -> str:
        return "<the job's own>"


FROM_JOB: Final = _FromJob()


def run(
    job: Job[Any],
    inputs: Mapping[InputT, Iterable[Any]],
    *,
    resources: object = FROM_JOB,
    partitions: int = 1,
) -> RunResult:
    """Run a job over memory until it has read all of these inputs.

    Every system is swapped for memory, under its own name and with its own promise; the runtime,
    the serdes and the error policies are the real ones. Nothing is opened and no file is written.
    For synchronous tests; in a coroutine ``await arun(...)``.

    Args:
        job: the job of the user's file; it is not changed and may be run again.
        inputs: what each input holds, by the stream objects of the job file: values,
            ``Record(value, key=..., timestamp_ms=...)`` or ``RawRecord(bytes)``. Inputs that are
            not named are empty.
        resources: what ``ctx.resources`` is, in place of the job's lifespan: an object, or an
            async context manager that gives one.
        partitions: of every stream. With one, outputs are in the order they were sent.

    Raises:
        ConfigError: the job cannot run as declared, or a value does not fit its stream.
        TaskFailedError: a message failed and its policy is ``Fail()``.
        SamzaError: the job failed otherwise.
    """
    if _in_a_loop():
        raise ConfigError("run()", "is for plain functions; in a coroutine: await arun(...)")
    return asyncio.run(arun(job, inputs, resources=resources, partitions=partitions))


async def arun(
    job: Job[Any],
    inputs: Mapping[InputT, Iterable[Any]],
    *,
    resources: object = FROM_JOB,
    partitions: int = 1,
) -> RunResult:
    """As ``run``, in the running loop, on whose clock timers and backoffs go.

    Cancelling it ends the job at once. Takes the same arguments and raises the same errors.
    """
    refuse_other_types(job, inputs)
    stand_ins = StandIns(job, partitions)
    for stream, items in inputs.items():
        place = stand_ins.stand_in(stream)
        memory = stand_ins.memory(place)
        for message in encoded(stream, items):
            memory.put_raw(
                place,
                message.key,
                message.value,
                partition=message.partition,
                timestamp_ms=message.timestamp_ms,
                headers=message.headers,
            )
    container = Container(stand_ins.resolved(_entered(resources)))
    await Ending(stand_ins).install()
    await container.run()
    return await _result(stand_ins)


def _in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _entered(resources: object) -> AbstractAsyncContextManager[Any] | None:
    if isinstance(resources, _FromJob):
        return None
    if isinstance(resources, AbstractAsyncContextManager):
        return resources  # pyright: ignore[reportUnknownVariableType]  # of whatever it gives
    return _given(resources)


@asynccontextmanager
async def _given(resources: object) -> AsyncGenerator[object]:
    yield resources


async def _result(stand_ins: StandIns) -> RunResult:
    job = stand_ins.job
    store = stand_ins.checkpoints.store(job.name)
    checkpoints = dict(await store.read())
    states: dict[str, list[Change]] = {declared.name: [] for declared in job.stores}
    for task, checkpoint in checkpoints.items():
        for name, marker in checkpoint.stores.items():
            async with aclosing(store.restore(_claim(task, checkpoint), name, marker)) as batches:
                async for batch in batches:
                    states[name] += batch
    sent = {
        name: stand_ins.memory(stream).read_raw(stream)
        for name, stream in stand_ins.streams.items()
    }
    return RunResult(sent, _dead_letters(stand_ins), checkpoints, states)


def _claim(task: str, checkpoint: Checkpoint) -> Claim:
    return Claim(task, checkpoint.epoch)


def _dead_letters(stand_ins: StandIns) -> Sequence[DeadLettered]:
    job = stand_ins.job
    names = {str(o): o for spec in job.tasks for o in spec.dead_letters(job.on_error)}
    found: list[DeadLettered] = []
    for name in names:
        stream: MemoryStream[Any, Any] = stand_ins.streams[name]
        for m in stand_ins.memory(stream).read_raw(stream):
            if any(header == "samza-error" for header, _ in m.headers):
                found.append(DeadLettered(name, m.raw_key, m.raw_value, m.headers))
    return found
