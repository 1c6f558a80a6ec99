"""Checkpoint stores that break one promise each."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from samza_py.checkpoint import (
    Change,
    Changes,
    Checkpoint,
    Checkpoints,
    Claim,
    Grant,
    InputProgress,
)
from samza_py.checkpoint_format import encode_checkpoint
from samza_py.errors import (
    CheckpointError,
    CorruptCheckpointError,
    FencedError,
    UnavailableError,
)
from samza_py.transaction import Transaction
from tests.conformance.memory_harness import MemoryCheckpointsHarness
from tests.conformance.saboteurs.around import CheckpointsAround, StoreAround, breaks


@breaks("a_new_task_has_no_checkpoint")
class BeginsWithAnEmptyOne(StoreAround):
    async def open(self, grant: Grant) -> tuple[Claim, Checkpoint | None]:
        claim, found = await super().open(grant)
        return claim, found or Checkpoint(claim.epoch)


class Changing(StoreAround):
    """Something is done to what is written."""

    async def write(
        self,
        claim: Claim,
        checkpoint: Checkpoint,
        changes: Changes | None = None,
        within: Transaction | None = None,
    ) -> None:
        await super().write(claim, self.spoilt(checkpoint), self.changed(checkpoint, changes))

    def spoilt(self, checkpoint: Checkpoint) -> Checkpoint:
        """What is made of a checkpoint."""
        return checkpoint

    def changed(self, checkpoint: Checkpoint, changes: Changes | None) -> Changes | None:
        """What is made of the changes beside it."""
        return changes


@breaks("a_checkpoint_comes_back_as_it_was")
class ForgetsWhatIsDone(Changing):
    def spoilt(self, checkpoint: Checkpoint) -> Checkpoint:
        inputs = {p: InputProgress(i.after, i.lineage) for p, i in checkpoint.inputs.items()}
        return replace(checkpoint, inputs=inputs)


@breaks("a_checkpoint_outlives_its_store")
class WritesTheSecondLater(StoreAround):
    """The second checkpoint is written with the next call, and not by closing."""

    waiting: tuple[Claim, Checkpoint, Changes | None] | None = None

    async def write(
        self,
        claim: Claim,
        checkpoint: Checkpoint,
        changes: Changes | None = None,
        within: Transaction | None = None,
    ) -> None:
        await self.catch_up()
        if checkpoint.number == 2:
            self.waiting = (claim, checkpoint, changes)
        else:
            await super().write(claim, checkpoint, changes, within)

    async def catch_up(self) -> None:
        """Write what waits."""
        waiting, self.waiting = self.waiting, None
        if waiting is not None:
            try:
                await super().write(*waiting)
            except FencedError:
                return

    async def open(self, grant: Grant) -> tuple[Claim, Checkpoint | None]:
        await self.catch_up()
        return await super().open(grant)

    async def read(self, tasks: Collection[str] | None = None) -> Mapping[str, Checkpoint]:
        await self.catch_up()
        return await super().read(tasks)

    async def restore(
        self, claim: Claim, store: str, marker: str
    ) -> AsyncGenerator[Sequence[Change], None]:
        await self.catch_up()
        async for batch in super().restore(claim, store, marker):
            yield batch


@breaks("the_newest_checkpoint_counts")
class OrdersNumbersAsText(StoreAround):
    """Checkpoint 10 comes before 9."""

    newest = ""

    async def write(
        self,
        claim: Claim,
        checkpoint: Checkpoint,
        changes: Changes | None = None,
        within: Transaction | None = None,
    ) -> None:
        if checkpoint.number < 10 or str(checkpoint.number) > "9":
            await super().write(claim, checkpoint, changes, within)


class Renumbering(StoreAround):
    """Gives claims of other epochs than it keeps."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.claims: dict[int, Claim] = {}
        self.given = 0

    def epoch(self, claim: Claim) -> int:
        """The epoch to give for a claim."""
        return claim.epoch

    async def open(self, grant: Grant) -> tuple[Claim, Checkpoint | None]:
        kept, found = await super().open(grant)
        self.given += 1
        given = replace(kept, epoch=self.epoch(kept), detail=self.given)
        self.claims[self.given] = kept
        return given, found

    async def write(
        self,
        claim: Claim,
        checkpoint: Checkpoint,
        changes: Changes | None = None,
        within: Transaction | None = None,
    ) -> None:
        kept = self._kept(claim)
        await super().write(kept, replace(checkpoint, epoch=kept.epoch), changes, within)

    async def release(self, claim: Claim) -> None:
        await super().release(self._kept(claim))

    def _kept(self, claim: Claim) -> Claim:
        assert isinstance(claim.detail, int)
        return self.claims[claim.detail]


@breaks("epochs_only_grow")
class ForgetsTheEpochOfTheReleased(Renumbering):
    released = 0

    def epoch(self, claim: Claim) -> int:
        return claim.epoch - self.released

    async def release(self, claim: Claim) -> None:
        await super().release(claim)
        self.released = 1


@breaks("epochs_grow_over_restarts")
class CountsEpochsItself(Renumbering):
    def epoch(self, claim: Claim) -> int:
        return self.given


@breaks("an_older_claim_writes_nothing")
class WritesThenComplains(StoreAround):
    """A write of an older claim takes effect, and is complained of."""

    async def write(
        self,
        claim: Claim,
        checkpoint: Checkpoint,
        changes: Changes | None = None,
        within: Transaction | None = None,
    ) -> None:
        try:
            await super().write(claim, checkpoint, changes, within)
        except FencedError:
            kept = self.harness.memory.broker.jobs["conformance"]
            kept.checkpoints[claim.task] = encode_checkpoint(checkpoint)
            raise


@breaks("an_older_claim_is_told")
class RefusesInSilence(StoreAround):
    async def write(
        self,
        claim: Claim,
        checkpoint: Checkpoint,
        changes: Changes | None = None,
        within: Transaction | None = None,
    ) -> None:
        try:
            await super().write(claim, checkpoint, changes, within)
        except FencedError:
            return


@breaks("tasks_do_not_fence_each_other")
class FencesAllTasks(StoreAround):
    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.tasks: set[str] = set()

    async def open(self, grant: Grant) -> tuple[Claim, Checkpoint | None]:
        for task in self.tasks - {grant.task}:
            await super().open(Grant(task))
        self.tasks.add(grant.task)
        return await super().open(grant)


@breaks("reading_claims_nothing")
class ReadsByClaiming(StoreAround):
    async def read(self, tasks: Collection[str] | None = None) -> Mapping[str, Checkpoint]:
        found = await super().read(tasks)
        for task in found:
            await super().open(Grant(task))
        return found


@breaks("reading_sees_what_others_wrote")
class ReadsItsOwn(StoreAround):
    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.tasks: set[str] = set()

    async def open(self, grant: Grant) -> tuple[Claim, Checkpoint | None]:
        self.tasks.add(grant.task)
        return await super().open(grant)

    async def read(self, tasks: Collection[str] | None = None) -> Mapping[str, Checkpoint]:
        found = await super().read(tasks)
        return {task: checkpoint for task, checkpoint in found.items() if task in self.tasks}


@breaks("a_read_decides_a_write_of_unknown_outcome")
class LateWrites(StoreAround):
    """A write without an answer is still on its way when somebody reads, and arrives then."""

    late: Callable[[], Awaitable[None]] | None = None

    async def write(
        self,
        claim: Claim,
        checkpoint: Checkpoint,
        changes: Changes | None = None,
        within: Transaction | None = None,
    ) -> None:
        arrive = partial(super().write, claim, checkpoint, changes, within)
        if not self.harness.answers.wanted:
            await arrive()
            return
        self.harness.answers.wanted = False
        self.late = arrive
        raise UnavailableError("no answer")

    async def read(self, tasks: Collection[str] | None = None) -> Mapping[str, Checkpoint]:
        found = await super().read(tasks)
        if self.late is not None:
            arrive, self.late = self.late, None
            await arrive()
        return found


@breaks("a_task_may_be_released_twice")
class ReleasesOnce(StoreAround):
    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.released: set[int] = set()

    async def release(self, claim: Claim) -> None:
        if claim.epoch in self.released:
            raise CheckpointError("released before")
        self.released.add(claim.epoch)
        await super().release(claim)


@breaks("damage_is_said")
class BeginsAnewAfterDamage(StoreAround):
    async def open(self, grant: Grant) -> tuple[Claim, Checkpoint | None]:
        try:
            return await super().open(grant)
        except CorruptCheckpointError:
            return Claim(grant.task, 99), None


class _OneForAll(CheckpointsAround):
    def job(self, name: str) -> str:
        return "all"


@breaks("jobs_are_kept_apart")
class JobsShareAStore(MemoryCheckpointsHarness):
    patience_s = 0.3

    @property
    def checkpoints(self) -> Checkpoints:
        return _OneForAll(StoreAround, self)

    async def damage(self, job: str) -> None:
        await super().damage("all")
