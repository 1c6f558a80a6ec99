"""A job with every system swapped for memory, under the same names and with the same promises."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Any

from samza_py.admin import Oldest
from samza_py.connectors.memory import Memory, MemoryCheckpoints, MemoryStream
from samza_py.errors import ConfigError
from samza_py.job import Job
from samza_py.planning import one_error, problems
from samza_py.producer import Promise
from samza_py.resolved import ResolvedJob
from samza_py.runtime.coordinators import Embedded
from samza_py.system import AnyStream, Input, Output, System


class StandIns:
    """The memory that takes the place of a job's systems for one run.

    Args:
        job: the job as its file declares it; nothing of it is changed.
        partitions: how many partitions every stream has.

    Attributes:
        systems: a memory system for each of the job's, by name.
        streams: a memory stream for each of the job's, by ``system.stream``.
        checkpoints: where the run keeps them.
    """

    def __init__(self, job: Job[Any], partitions: int) -> None:
        self.job = job
        self.systems: dict[str, Memory] = {
            name: Memory(name, promise=system.promise) for name, system in job.systems.items()
        }
        self.streams: dict[str, MemoryStream[Any, Any]] = {}
        for name, stream in job.streams.items():
            made = _stream(stream, self.systems[stream.system.name], partitions)
            made.declare(self.systems[stream.system.name].broker)
            self.streams[name] = made
        self.checkpoints = self._checkpoints()

    def resolved(self, resources: AbstractAsyncContextManager[Any] | None) -> ResolvedJob:
        """The job as the runtime takes it.

        Args:
            resources: used in place of the job's lifespan; None leaves it to the job.

        Raises:
            ConfigError: the job cannot run as declared.
        """
        resolved = ResolvedJob(
            self.job,
            self.job.options,
            dict[str, System](self.systems),
            dict[str, AnyStream](self.streams),
            self.checkpoints,
            Embedded(),
            resources=resources,
        )
        found = problems(resolved)
        if found:
            raise one_error(self.job.name, found)
        return resolved

    def stand_in(self, stream: Input[Any, Any]) -> MemoryStream[Any, Any]:
        """What takes the place of a stream that a test fills.

        Raises:
            ConfigError: no task reads it.
        """
        read = {str(i) for spec in self.job.tasks for i in spec.inputs}
        if str(stream) not in read:
            known = ", ".join(sorted(read))
            raise ConfigError(f"inputs.{stream}", f"no task reads it; tasks read: {known}")
        return self.streams[str(stream)]

    def memory(self, stream: AnyStream) -> Memory:
        """The system that a stream's stand-in is in."""
        return self.systems[stream.system.name]

    def _checkpoints(self) -> MemoryCheckpoints:
        """In the system whose transactions the job's own would be part of, where it has any."""
        named = self.job.checkpoints.transactions_of if self.job.checkpoints is not None else None
        transactional = [n for n, s in self.systems.items() if s.promise is Promise.TRANSACTIONAL]
        if self.job.checkpoints is None and len(transactional) == 1:
            named = transactional[0]
        home = self.systems[named] if named in self.systems else Memory("checkpoints")
        # They last as long as the run, and so do its streams: to the job that is durable.
        return replace(MemoryCheckpoints(home.link, home.name), durable=True)


def _stream(stream: AnyStream, system: Memory, partitions: int) -> MemoryStream[Any, Any]:
    promise = stream.promise if isinstance(stream, Output) else system.promise
    kept = promise if promise is system.promise else Promise.AT_LEAST_ONCE
    made: MemoryStream[Any, Any] = MemoryStream(
        system,
        stream.name,
        stream.key_serde,
        stream.value_serde,
        partitions=partitions,
        start=Oldest(),  # a test's input is there before the job is
        physical=stream.physical,
        promise=kept,
    )
    if isinstance(stream, Input):
        made.stable_keys = stream.stable_keys
    return made


def writers(job: Job[Any]) -> Mapping[str, set[str]]:
    """The names of the handlers that may send to each stream, by ``system.stream``."""
    found: dict[str, set[str]] = {name: set() for name in job.streams}
    for spec in job.tasks:
        for output in (*spec.outputs, *spec.dead_letters(job.on_error)):
            found[str(output)].add(spec.name)
    return found
