"""A job with everything from outside merged in: what the runtime runs.

Made by ``samza_py.resolving`` for a real run and by ``samza_py.testing`` for a run over memory.
The runtime never looks at ``job.systems`` or a stream's own ``system``: it goes by the names here,
so that a setting from outside or a test replaces a system in one place.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from samza_py.checkpoint import Checkpoints
from samza_py.coordination import Coordination
from samza_py.job import Job
from samza_py.options import JobOptions
from samza_py.system import AnyStream, Input, Output, System


@dataclass(frozen=True, slots=True)
class ResolvedJob:
    """What a container needs to know.

    Attributes:
        job: the declaration: tasks, policies, stores, lifespan.
        options: the job's numbers after merging.
        systems: by name, with their settings after merging.
        streams: by ``system.stream``, with their physical names after merging.
        checkpoints: where they are kept.
        coordination: who runs which task.
        ignore_checkpoint: start from the inputs' configured start and write over what is there.
        resources: an object to use in place of the job's lifespan, in tests.
    """

    job: Job[Any]
    options: JobOptions
    systems: Mapping[str, System]
    streams: Mapping[str, AnyStream]
    checkpoints: Checkpoints
    coordination: Coordination
    ignore_checkpoint: bool = False
    resources: AbstractAsyncContextManager[Any] | None = None

    @property
    def checkpoint_location(self) -> str:
        """Where this job's checkpoints are; as ``Checkpoints.location``, which may raise."""
        return self.checkpoints.location(self.job.name)

    def inputs_of(self, system: str) -> dict[str, Input[Any, Any]]:
        """The inputs that tasks read from a system, by logical name."""
        wanted = {str(i) for spec in self.job.tasks for i in spec.inputs}
        return {
            stream.name: stream
            for name, stream in self.streams.items()
            if name in wanted and stream.system.name == system and isinstance(stream, Input)
        }

    def outputs_of(self, system: str) -> dict[str, Output[Any, Any]]:
        """The outputs of a system, dead letters included, by logical name."""
        policy = self.job.on_error
        wanted = {str(o) for t in self.job.tasks for o in (*t.outputs, *t.dead_letters(policy))}
        return {
            stream.name: stream
            for name, stream in self.streams.items()
            if name in wanted and stream.system.name == system and isinstance(stream, Output)
        }
