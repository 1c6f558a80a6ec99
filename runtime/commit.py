"""The commit: cut, settle or stage, one atomic step, hand down, finish.

It cuts first and never waits for attempts in flight: what finishes after the cut belongs to the
next commit. Killed between any two lines below, a task loses nothing; state is right at any
guarantee, because changelog and checkpoint are the one atomic step in the middle.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from samza_py.checkpoint import (
    Change,
    Checkpoint,
    CheckpointStore,
    Claim,
    InputProgress,
    Token,
)
from samza_py.errors import FencedError, SamzaError, UnavailableError
from samza_py.message import Partition
from samza_py.runtime.backoff import Backoff
from samza_py.runtime.producing import OpenTransaction
from samza_py.seam import seam


class TaskAbortedError(SamzaError):
    """Something took the task back to its last checkpoint; it is opened again from there."""


@dataclass(slots=True)
class Draft:
    """A checkpoint in the making; each participant adds its part.

    Attributes:
        number: of the commit.
        generation: everything up to it is covered.
        changes: new entries of stores that changed, by store name.
        final: no commit will follow in this container: nothing may be left for the next.
    """

    number: int
    generation: int = 0
    final: bool = False
    inputs: dict[Partition, InputProgress] = field(default_factory=dict[Partition, InputProgress])
    outputs: dict[str, tuple[Token, ...]] = field(default_factory=dict[str, tuple[Token, ...]])
    stores: dict[str, str] = field(default_factory=dict[str, str])
    control: dict[str, Any] = field(default_factory=dict[str, Any])
    changes: dict[str, Sequence[Change]] = field(default_factory=dict[str, Sequence[Change]])

    def checkpoint(self, claim: Claim) -> Checkpoint:
        """The checkpoint as it will be stored."""
        return Checkpoint(
            claim.epoch, self.number, self.inputs, self.outputs, self.stores, self.control
        )


class Participant(ABC):
    """Something of a task that a commit covers: its outputs, stores, timers, inputs.

    After an abort no participant is rolled back in place: the task is dropped as a whole and
    opened again from its checkpoint, which is the same road as a crash and tested with it.
    """

    @abstractmethod
    def cut(self, draft: Draft) -> None:
        """Draw the line: all that is finished now belongs to this commit. Never waits."""

    def settled(self, draft: Draft) -> bool:
        """Whether all that is before the line has been taken by its outputs."""
        return True

    async def settle(self, draft: Draft) -> None:
        """Wait until it has been."""

    async def prepare(self, draft: Draft) -> None:
        """Stage what is before the line; add to the draft."""

    async def commit(self, draft: Draft) -> None:
        """Hear that the checkpoint is durable, and do what had to wait for it."""

    async def recover(self, claim: Claim, checkpoint: Checkpoint | None) -> None:
        """Bring everything to what the checkpoint says, before the task starts."""


class Committer:
    """Commits one task under one claim.

    Args:
        claim: the ownership.
        store: where the checkpoint goes.
        participants: in the order in which they prepare and commit.
        transaction: what the checkpoint is written within under exactly-once, else None.
        newest: the checkpoint that the task was opened from.

    Attributes:
        names_staged: the newest checkpoint names staged output, even if it is finished by now.
    """

    def __init__(
        self,
        claim: Claim,
        store: CheckpointStore,
        participants: Sequence[Participant],
        transaction: OpenTransaction | None,
        newest: Checkpoint | None,
    ) -> None:
        self.names_staged = newest is not None and any(newest.outputs.values())
        self._claim = claim
        self._store = store
        self._participants = participants
        self._transaction = transaction
        self._number = 0 if newest is None else newest.number
        self._broken_off = False

    async def commit(self, *, final: bool = False) -> None:
        """Make all that is finished durable. Not to be called twice at once.

        Args:
            final: no commit will follow in this container.

        Cancellation: safe at any point, as a crash is; the task must then be dropped.

        Raises:
            FencedError: a newer owner exists; nothing has taken effect.
            CheckpointError: the checkpoint cannot be written.
            ConnectorError: an output cannot be made durable.
            TaskAbortedError: an earlier commit has not come to its end. What it had taken, out of
                a transaction or a store's newest generation, is not in this one any more.
        """
        if self._broken_off:
            raise TaskAbortedError(f"an earlier commit of {self._claim.task} was broken off")
        self._broken_off = True
        await self._commit(final=final)
        self._broken_off = False

    async def _commit(self, *, final: bool) -> None:
        reached = seam().reached
        draft = Draft(self._number + 1, final=final)
        for participant in self._participants:
            participant.cut(draft)
        reached("commit.cut")
        # Again and again: what one output rejects goes to another as a dead letter.
        while not all(participant.settled(draft) for participant in self._participants):
            for participant in self._participants:
                await participant.settle(draft)
        reached("commit.settled")
        for participant in self._participants:
            await participant.prepare(draft)
        reached("commit.prepared")
        await self._write(draft)
        self._number = draft.number
        self.names_staged = any(draft.outputs.values())
        reached("commit.written")
        for participant in self._participants:
            await participant.commit(draft)
        reached("commit.finished")

    async def _write(self, draft: Draft) -> None:
        """The atomic step. An unknown outcome is decided by reading the checkpoint back."""
        backoff = Backoff(f"committing {self._claim.task}")
        try:
            await self._write_on(draft, backoff)
        finally:
            backoff.over()

    async def _write_on(self, draft: Draft, backoff: Backoff) -> None:
        checkpoint = draft.checkpoint(self._claim)
        while True:
            try:
                if self._transaction is None:
                    await self._store.write(self._claim, checkpoint, draft.changes)
                else:
                    within = await self._transaction.ensure()
                    await self._store.write(self._claim, checkpoint, draft.changes, within)
                    seam().reached("commit.in_transaction")
                    await self._transaction.commit()
            except UnavailableError as error:
                if await self._took_effect(draft.number, error, backoff):
                    break
                if self._transaction is not None:
                    raise  # what was in the transaction is gone: back to the checkpoint
            else:
                break
        backoff.worked()

    async def _took_effect(self, number: int, error: UnavailableError, backoff: Backoff) -> bool:
        """Whether a write of unknown outcome is there. Asks until there is an answer."""
        while True:
            await backoff.wait(error)
            try:
                found = await self._store.read((self._claim.task,))
            except UnavailableError as again:
                error = again
                continue
            stored = found.get(self._claim.task)
            if stored is not None and stored.epoch > self._claim.epoch:
                raise FencedError(f"{self._claim.task} has a newer owner (epoch {stored.epoch})")
            return (
                stored is not None and stored.epoch == self._claim.epoch and stored.number == number
            )
