"""Checkpoint stores that break one promise each about the changes beside a checkpoint."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from samza_py.checkpoint import Change, Changes, Checkpoint, Claim
from samza_py.errors import CheckpointError, FencedError
from samza_py.transaction import Transaction
from tests.conformance.saboteurs.around import StoreAround, breaks
from tests.conformance.saboteurs.stores import Changing


@breaks("changes_come_back_with_their_checkpoint")
class KeepsOneChange(Changing):
    """Of later commits only the first change is kept."""

    def changed(self, checkpoint: Checkpoint, changes: Changes | None) -> Changes | None:
        if changes is None or checkpoint.number == 1:
            return changes
        return {store: entries[:1] for store, entries in changes.items()}


@breaks("deleted_entries_stay_away")
class DeletedIsEmpty(Changing):
    def changed(self, checkpoint: Checkpoint, changes: Changes | None) -> Changes | None:
        emptied = (changes or {}).items()
        return {store: [(k, v or b"") for k, v in entries] for store, entries in emptied}


@breaks("changes_outlive_their_store")
class RestoresItsOwn(StoreAround):
    """Only changes that this store has written are restored."""

    wrote = False

    async def write(
        self,
        claim: Claim,
        checkpoint: Checkpoint,
        changes: Changes | None = None,
        within: Transaction | None = None,
    ) -> None:
        self.wrote = True
        await super().write(claim, checkpoint, changes, within)

    async def restore(
        self, claim: Claim, store: str, marker: str
    ) -> AsyncGenerator[Sequence[Change], None]:
        async for batch in super().restore(claim, store, marker):
            if self.wrote:
                yield batch


@breaks("an_older_claim_changes_nothing")
class ChangesThenComplains(StoreAround):
    """The changes of an older claim take effect, its checkpoint does not."""

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
            logs = self.harness.memory.broker.jobs["conformance"].changelogs
            for store, entries in (changes or {}).items():
                logs[claim.task, store].append("older", entries)
            raise


@breaks("a_store_without_a_marker_is_forgotten")
class NeverForgets(StoreAround):
    async def write(
        self,
        claim: Claim,
        checkpoint: Checkpoint,
        changes: Changes | None = None,
        within: Transaction | None = None,
    ) -> None:
        logs = self.harness.memory.broker.jobs[claim.job].changelogs
        before = dict(logs)
        await super().write(claim, checkpoint, changes, within)
        logs.update({place: log for place, log in before.items() if place not in logs})


@breaks("tasks_have_their_own_entries")
class RestoresEverybodys(StoreAround):
    async def restore(
        self, claim: Claim, store: str, marker: str
    ) -> AsyncGenerator[Sequence[Change], None]:
        async for batch in super().restore(claim, store, marker):
            yield batch
        for task in await self.read():
            if task != claim.task:
                async for batch in super().restore(Claim(task, 1), store, marker):
                    yield batch


@breaks("an_unknown_marker_is_an_error")
class RestoresNothingInstead(StoreAround):
    async def restore(
        self, claim: Claim, store: str, marker: str
    ) -> AsyncGenerator[Sequence[Change], None]:
        try:
            async for batch in super().restore(claim, store, marker):
                yield batch
        except CheckpointError:
            return
