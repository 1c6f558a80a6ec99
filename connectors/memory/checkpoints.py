"""Checkpoints and changelogs kept in a broker, written as every other store writes them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from dataclasses import dataclass

from samza_py.checkpoint import (
    Change,
    Changes,
    Checkpoint,
    Checkpoints,
    CheckpointStore,
    Claim,
    Grant,
)
from samza_py.checkpoint_format import decode_checkpoint, encode_checkpoint
from samza_py.connectors.memory.broker import Link
from samza_py.connectors.memory.kept import Kept
from samza_py.connectors.memory.transactions import MemoryTransaction
from samza_py.errors import CheckpointError
from samza_py.transaction import Transaction


class MemoryCheckpointStore(CheckpointStore):
    """The checkpoints of one job in a broker; claims are fenced by compare-and-set of the epoch.

    Args:
        link: the line to the broker.
        job: whose checkpoints they are.
    """

    def __init__(self, link: Link, job: str) -> None:
        self._link = link
        self._job = job

    @property
    def _kept(self) -> Kept:
        return self._link.broker.jobs.setdefault(self._job, Kept())

    async def aopen(self) -> None:
        """Reach the broker."""
        await self._link.before("open")

    async def open(self, grant: Grant) -> tuple[Claim, Checkpoint | None]:
        """Claim a task and read its checkpoint; see ``CheckpointStore.open``."""
        await self._link.before("claim")
        broker = self._link.broker
        owner = (self._job, grant.task)
        epoch = broker.epochs.get(owner, 0) + 1
        broker.fence(owner, epoch)
        if self._link.watched:
            await self._link.after("claim")
        found = self._read(grant.task)
        return Claim(grant.task, epoch, job=self._job), found

    async def write(
        self,
        claim: Claim,
        checkpoint: Checkpoint,
        changes: Changes | None = None,
        within: Transaction | None = None,
    ) -> None:
        """Store checkpoint and changes in one step; see ``CheckpointStore.write``."""
        await self._link.before("checkpoint")
        kept, task = self._kept, claim.task
        self._check(claim, checkpoint)
        data = encode_checkpoint(checkpoint)
        markers = dict(checkpoint.stores)
        copied = {store: tuple(entries) for store, entries in (changes or {}).items()}
        if within is None:
            kept.apply(task, data, markers, copied)
        else:
            ongoing = self._transaction(within, claim)
            ongoing.on_commit(lambda: kept.apply(task, data, markers, copied))
        if self._link.watched:
            await self._link.after("checkpoint")

    async def restore(
        self, claim: Claim, store: str, marker: str
    ) -> AsyncGenerator[Sequence[Change], None]:
        """Read back a store's entries as of a marker, a thousand at a time.

        The last 64 commits at least can be read as of; an older marker raises ``CheckpointError``.
        """
        await self._link.before("restore")
        log = self._kept.changelogs.get((claim.task, store))
        if log is None:
            if marker:
                raise CheckpointError(f"task {claim.task} has no changelog of store {store!r}")
            return
        for batch in log.until(marker):
            yield batch
            await self._link.before("restore")

    async def read(self, tasks: Collection[str] | None = None) -> Mapping[str, Checkpoint]:
        """The newest checkpoints, without a claim."""
        await self._link.before("read")
        names = self._kept.checkpoints if tasks is None else tasks
        found = {task: self._read(task) for task in names}
        return {task: checkpoint for task, checkpoint in found.items() if checkpoint is not None}

    async def release(self, claim: Claim) -> None:
        """Give a task up: nothing more can be written under this claim."""
        await self._link.before("release")
        released = self._kept.released
        released[claim.task] = max(claim.epoch, released.get(claim.task, 0))
        if self._link.watched:
            await self._link.after("release")

    def _read(self, task: str) -> Checkpoint | None:
        data = self._kept.checkpoints.get(task)
        if data is None:
            return None
        return decode_checkpoint(data, f"the memory checkpoints of job {self._job}, task {task}")

    def _check(self, claim: Claim, checkpoint: Checkpoint) -> None:
        self._link.broker.check((self._job, claim.task), claim.epoch)
        if self._kept.released.get(claim.task, 0) >= claim.epoch:
            raise CheckpointError(f"task {claim.task}: epoch {claim.epoch} was released")
        if checkpoint.epoch != claim.epoch:
            raise CheckpointError(
                f"task {claim.task}: a checkpoint of epoch {checkpoint.epoch} under a claim of "
                f"epoch {claim.epoch}"
            )

    def _transaction(self, within: Transaction, claim: Claim) -> MemoryTransaction:
        if not isinstance(within, MemoryTransaction) or not within.belongs_to(self._link):
            raise CheckpointError("memory checkpoints, but a transaction of another system")
        if within.claim != claim:
            raise CheckpointError(f"task {claim.task}: within a transaction of {within.claim.task}")
        within.check()
        return within


@dataclass(frozen=True)
class MemoryCheckpoints(Checkpoints):
    """Checkpoints that last as long as their broker: as durable as the streams beside them.

    Any number of containers on the broker may share them. ``durable`` is False because nothing
    survives the process.

    Attributes:
        link: the line to the broker.
        system: the name of the memory system in whose transactions they can be written.
    """

    link: Link
    system: str
    shared: bool = True
    durable: bool = False

    def store(self, job: str) -> CheckpointStore:
        """A new, unopened store for a job."""
        return MemoryCheckpointStore(self.link, job)

    def location(self, job: str) -> str:
        """Where they are, for people."""
        return f"memory of this process ({self.system})"

    @property
    def transactions_of(self) -> str | None:
        """The name of their memory system."""
        return self.system
