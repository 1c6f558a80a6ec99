"""Runs a declared job in this process, and says what that cost."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

from benchmarks.pace import Stopwatch
from samza_py.checkpoint import Checkpoints
from samza_py.job import Job
from samza_py.resolved import ResolvedJob
from samza_py.runtime.container import Container
from samza_py.runtime.coordinators import Embedded


def resolved(job: Job[Any], checkpoints: Checkpoints) -> ResolvedJob:
    """The job with nothing merged in from outside."""
    systems = {name: one.for_profile(job.options.profile) for name, one in job.systems.items()}
    return ResolvedJob(job, job.options, systems, job.streams, checkpoints, Embedded())


def run(job: Job[Any], checkpoints: Checkpoints) -> Stopwatch:
    """Run a job to the end of its inputs; what that took."""
    container = Container(resolved(job, checkpoints))
    gc.collect()
    gc.freeze()  # what the benchmark itself holds is not the engine's to walk
    watch = Stopwatch()
    asyncio.run(container.run())
    watch.stop()
    return watch


async def run_until(
    job: Job[Any], checkpoints: Checkpoints, count: int, *, say_ready: bool = False
) -> Stopwatch:
    """Run a job without an end until it has handled so many messages, and stop it.

    Args:
        job: what to run.
        checkpoints: where it keeps its positions.
        count: how many messages.
        say_ready: print a line once its tasks run.

    Returns:
        What it took from its first messages to its last commit and its end.
    """
    container = Container(resolved(job, checkpoints))
    running = asyncio.ensure_future(container.run())
    while say_ready and not container.statistics().tasks and not running.done():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    if say_ready:
        await asyncio.sleep(0.5)
        print("ready", flush=True)
    while not _handled(container) and not running.done():  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    gc.collect()
    gc.freeze()
    watch = Stopwatch()
    while _handled(container) < count and not running.done():  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    container.request_stop()
    await running
    watch.stop()
    return watch


def _handled(container: Container) -> int:
    return sum(task.counters.handled for task in container.statistics().tasks)
