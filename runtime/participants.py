"""The parts of a task that a commit covers: inputs, timers, stores, outputs."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

from samza_py.admin import Admin
from samza_py.assignment import PlannedTask
from samza_py.checkpoint import Checkpoint, CheckpointStore, Claim, InputProgress
from samza_py.message import END, Offset, Partition
from samza_py.runtime.backoff import retried
from samza_py.runtime.buffer import PartitionBuffer
from samza_py.runtime.commit import Draft, Participant
from samza_py.runtime.intake import Intake
from samza_py.runtime.overlay import Overlay
from samza_py.runtime.reading import Opened
from samza_py.runtime.runner import Runner
from samza_py.runtime.scope import TaskScope
from samza_py.seam import seam
from samza_py.store import StoreEngine

logger = logging.getLogger(__name__)


class Work(Participant):
    """The runner: it draws the line. First in the order, since all others cut behind it."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    def cut(self, draft: Draft) -> None:
        """Hand over what is finished; what comes later has the next generation."""
        draft.generation = self._runner.scope.generation
        self._runner.cut()


class Inputs(Participant):
    """How far the partitions are; tells the consumers afterwards."""

    def __init__(
        self,
        opened: Opened,
        intakes: Mapping[str, Intake],
        kept: Mapping[Partition, InputProgress],
    ) -> None:
        self._buffers = opened.buffers
        self._known = opened.known
        self._intakes = intakes
        self._kept = kept

    def cut(self, draft: Draft) -> None:
        """Note every partition's progress, and keep that of partitions which are gone.

        Children of a closed partition may still wait for the word that it was read to its end.
        """
        draft.inputs.update(self._kept)
        if self._known:
            draft.control["known"] = self._known
        for buffer in self._buffers:
            draft.inputs[buffer.key.partition] = buffer.progress.snapshot()

    async def commit(self, draft: Draft) -> None:
        """Tell each consumer what is durable."""
        for system, intake in self._intakes.items():
            done = {
                buffer.key: draft.inputs[buffer.key.partition].after
                for buffer in self._buffers
                if buffer.key.partition.system == system
            }
            if done:
                await intake.on_checkpoint(done)


def kept_progress(
    planned: PlannedTask, checkpoint: Checkpoint | None
) -> dict[Partition, InputProgress]:
    """Progress of partitions that are gone from streams which are still read."""
    streams = {(i.system.name, i.name) for i in planned.spec.inputs}
    return {
        partition: progress
        for partition, progress in ({} if checkpoint is None else checkpoint.inputs).items()
        if partition not in planned.inputs and (partition.system, partition.stream) in streams
    }


class Timers(Participant):
    """The timers that are set: part of the checkpoint itself."""

    def __init__(self, scope: TaskScope) -> None:
        self._scope = scope

    def cut(self, draft: Draft) -> None:
        """Note the timers."""
        if self._scope.timers:
            draft.control["timers"] = dict(self._scope.timers)

    async def recover(self, claim: Claim, checkpoint: Checkpoint | None) -> None:
        """Set the timers again that the checkpoint names."""
        self._scope.timers.clear()
        if checkpoint is not None:
            self._scope.timers.update(checkpoint.control.get("timers", {}))


class Ending(Participant):
    """Whether ``on_end`` was called: its effects and this word of it are committed together.

    A finished job that is started again therefore does not end a second time. Partitions that have
    come since then are a new end to come.
    """

    def __init__(self, scope: TaskScope, buffers: Sequence[PartitionBuffer]) -> None:
        self._scope = scope
        self._buffers = buffers

    def cut(self, draft: Draft) -> None:
        """Note it."""
        if self._scope.ended:
            draft.control["ended"] = True

    async def recover(self, claim: Claim, checkpoint: Checkpoint | None) -> None:
        """Remember it, where every partition of now was read to its end then."""
        before = checkpoint is not None and bool(checkpoint.control.get("ended"))
        self._scope.ended = before and all(buffer.finished for buffer in self._buffers)


class Condemned(Participant):
    """Messages whose rejection inside a transaction was decided before a rollback.

    They are known by place, for the instances of the task that come after the rollback, and
    forgotten once a checkpoint has passed them.

    Args:
        messages: by partition and offset, with the error; shared by all instances of the task.
        admins: by system name.
    """

    def __init__(
        self, messages: dict[tuple[Partition, str], Exception], admins: Mapping[str, Admin]
    ) -> None:
        self._messages = messages
        self._admins = admins

    def cut(self, draft: Draft) -> None:
        """Nothing of it is stored: who starts from a checkpoint decides anew."""

    async def commit(self, draft: Draft) -> None:
        """Forget what no instance will see again."""
        for partition, offset in list(self._messages):
            after = draft.inputs[partition].after if partition in draft.inputs else END
            compare = self._admins[partition.system].compare
            if after is END or compare(Offset(offset), after) <= 0:
                del self._messages[(partition, offset)]


class Stores(Participant):
    """The state: its changes go into the atomic step, then down to the engines."""

    def __init__(self, overlays: Mapping[str, Overlay[Any, Any]], store: CheckpointStore) -> None:
        self._overlays = overlays
        self._store = store
        self._markers: dict[str, str] = {}

    def cut(self, draft: Draft) -> None:
        """Take the newest generation of each store away."""
        for name, overlay in self._overlays.items():
            changes = overlay.cut()
            if changes:
                draft.changes[name] = list(changes.items())
                draft.stores[name] = str(draft.number)
            elif name in self._markers:
                draft.stores[name] = self._markers[name]

    async def commit(self, draft: Draft) -> None:
        """Hand the changes down to the engines, under their marker."""
        self._markers = dict(draft.stores)
        for name, overlay in self._overlays.items():
            overlay.committed(draft.stores.get(name, ""))

    async def recover(self, claim: Claim, checkpoint: Checkpoint | None) -> None:
        """Restore each store to the marker that the checkpoint names."""
        self._markers = dict(checkpoint.stores) if checkpoint is not None else {}
        for name, overlay in self._overlays.items():
            marker = self._markers.get(name, "")
            engine = overlay.engine
            if engine.marker() == marker:
                continue
            await retried(
                f"restoring store {name} of {claim.task}",
                partial(self._restore, claim, name, marker, engine),
            )

    async def forget(self, claim: Claim, checkpoint: Checkpoint) -> None:
        """Begin empty although there is a changelog: the next commit deletes what it holds."""
        await self.recover(claim, checkpoint)
        for overlay in self._overlays.values():
            overlay.apply({key: None for key, _ in overlay.engine.items()})

    async def _restore(self, claim: Claim, name: str, marker: str, engine: StoreEngine) -> None:
        engine.wipe()
        seam().reached("restore.wiped")
        async with aclosing(self._store.restore(claim, name, marker)) as batches:
            async for changes in batches:
                engine.apply(changes, "")
                seam().reached("restore.batch")
        engine.apply((), marker)
