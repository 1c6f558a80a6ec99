"""Checkpoints: what a task has finished, and where that is kept.

A checkpoint is the only memory of a task that counts. It names, per input partition, what was
read and finished; per output, what is staged; per store, how far its changelog goes. Whatever it
covers is durable before it is written.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple, NewType, TypeAlias

from samza_py.admin import Planned
from samza_py.message import Offset, Partition, Position
from samza_py.resource import AsyncResource
from samza_py.transaction import Transaction

Token = NewType("Token", str)
"""Names something staged by a two-phase producer, to any later owner of the task."""

Change: TypeAlias = tuple[bytes, bytes | None]
"""An encoded key of a store and its new encoded value; None where the entry was deleted."""

Changes: TypeAlias = Mapping[str, Sequence[Change]]
"""The changes of one commit by store name, the last one of a key only."""


class Run(NamedTuple):
    """Consecutive finished messages beyond a position: both ends belong to it."""

    first: Offset
    last: Offset


@dataclass(frozen=True, slots=True)
class InputProgress:
    """How far one task has come in one partition.

    Attributes:
        after: everything up to here is finished; reading goes on after it. END: all of it is.
        lineage: which incarnation of the partition this speaks of; a re-created stream has
            another one, and the runtime refuses to go on until it is reset.
        done: finished messages beyond ``after``, in order, not overlapping. They are not handed
            out again after a restart.
    """

    after: Position
    lineage: str = ""
    done: tuple[Run, ...] = ()


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """All that a task needs to go on after a crash.

    Attributes:
        epoch: of the claim that wrote it.
        number: counts the commits of the task, over all its owners. A commit whose outcome is
            unknown is decided by reading this back.
        inputs: progress by partition, END partitions included: their children wait for it.
        outputs: tokens staged and not yet known to be finished, by output name.
        stores: a marker by store name, which says what of the changelog belongs to this
            checkpoint.
        control: what the runtime itself has to remember: timers, messages that go straight to
            their last resort. JSON values.
    """

    epoch: int
    number: int = 0
    inputs: Mapping[Partition, InputProgress] = field(
        default_factory=dict[Partition, InputProgress]
    )
    outputs: Mapping[str, tuple[Token, ...]] = field(default_factory=dict[str, tuple[Token, ...]])
    stores: Mapping[str, str] = field(default_factory=dict[str, str])
    control: Mapping[str, Any] = field(default_factory=dict[str, Any])


class Role(Enum):
    """What a container does for a task: run it, or keep a warm copy of its state."""

    ACTIVE = "active"
    STANDBY = "standby"


@dataclass(frozen=True, slots=True)
class Grant:
    """A coordinator's word that this container owns a task.

    Attributes:
        task: the task's name, ``HANDLER/GROUP``.
        role: what to do for it.
        valid_until: loop time in seconds after which it must not be acted upon, where the
            coordinator renews it; None where it holds until it is taken back.
    """

    task: str
    role: Role = Role.ACTIVE
    valid_until: float | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A task's ownership as the checkpoint store has recorded it.

    Attributes:
        task: the task's name.
        epoch: grows with every claim of the task and never comes back. It stands in everything
            that is staged or written for the task, so that an older owner can be told apart.
        detail: whatever the store that gave it needs to write under it.
        job: the job's name, set by the store that gave it. Two jobs may have tasks of one name:
            what a system keeps for a task (a transactional id, what is staged) it keeps for both.
    """

    task: str
    epoch: int
    detail: object = None
    job: str = ""


class CheckpointStore(AsyncResource):
    """Keeps the checkpoints, and the changelog where it can, of one job.

    Checkpoint and changelog are one interface because they are one atomic step: a checkpoint that
    does not match the changes beside it is a wrong state after a crash.
    """

    @abstractmethod
    async def open(self, grant: Grant) -> tuple[Claim, Checkpoint | None]:
        """Claim a task, then read its checkpoint, in this order.

        From its return on no write of an older claim takes effect.

        Returns:
            The claim, with an epoch above all earlier ones, and the newest checkpoint, None where
            there has never been one.

        Raises:
            CorruptCheckpointError: it is damaged or of a newer format; says where it stands.
            CheckpointError: another process uses a store that can serve only one.
            UnavailableError: try again.
        """

    @abstractmethod
    async def write(
        self,
        claim: Claim,
        checkpoint: Checkpoint,
        changes: Changes | None = None,
        within: Transaction | None = None,
    ) -> None:
        """Store checkpoint and changes in one atomic step; durable on return.

        The entries of a store that the checkpoint has no marker for are forgotten: it is no longer
        declared, and begins empty where it is declared again.

        Args:
            claim: the one that ``open`` gave.
            checkpoint: its ``epoch`` is the claim's.
            changes: entries of stores that keep their changelog here.
            within: the task's open transaction: then it takes effect with its commit.

        Raises:
            FencedError: a newer claim exists; nothing has taken effect.
            UnavailableError: the outcome is not known; ``read`` tells by the number. Once it has
                answered, this write takes effect no more: by that answer the runtime sends it
                again or goes on to the next, and what came late would undo it.
            CheckpointError: it was not written and never will be (disk full, no permission).
        """

    @abstractmethod
    def restore(
        self, claim: Claim, store: str, marker: str
    ) -> AsyncGenerator[Sequence[Change], None]:
        """Read back a store's entries as of the checkpoint with this marker, in batches.

        An async generator, which the runtime closes also where it has not come to its end: what
        it holds may be let go of in a ``finally``. Later entries overwrite earlier ones of the
        same key.

        Raises:
            FencedError: a newer claim exists.
            UnavailableError: the restore begins anew after a while.
            CheckpointError: the changelog no longer holds what the marker needs.
        """

    @abstractmethod
    async def read(self, tasks: Collection[str] | None = None) -> Mapping[str, Checkpoint]:
        """The newest checkpoints of these tasks (None: of all), without claiming anything."""

    async def release(self, claim: Claim) -> None:
        """Give a task up after its last write, so that a successor need not wait. Idempotent."""


class Checkpoints(ABC):
    """Where a job keeps its checkpoints: a value in the job file. Opens nothing.

    Attributes:
        shared: several containers may use it at once; claims are fenced.
        durable: what it holds survives the process. A changelog must not be less durable than
            the checkpoints, which is so by construction: they are one store.
        sets_aside: ``set_aside`` can move what is kept for a job out of the way. Where not, a run
            that ignores it writes over it.
    """

    shared: bool = False
    durable: bool = True
    sets_aside: bool = False

    @abstractmethod
    def store(self, job: str) -> CheckpointStore:
        """A new, unopened store for the job of this name; one for each container."""

    @abstractmethod
    def location(self, job: str) -> str:
        """Where the job of this name has its own, for people: printed at the start of every run.

        Raises:
            ConfigError: there is no place for it on this machine.
        """

    def within(self, declared: Mapping[str, Any], merged: Mapping[str, Any]) -> Checkpoints:
        """The same with the settings from outside, where they are kept in one of the job's systems.

        Args:
            declared: the job's systems as its file has them, by name.
            merged: the same with what was set from outside.
        """
        return self

    async def plan(self, job: str) -> Sequence[Planned]:
        """What a start of this job would make for its checkpoints, or be refused by.

        Asked by ``samza-py plan``. Changes nothing, and leaves nothing open. [] where nothing
        stands in the way, and from a place that cannot tell.

        Raises:
            UnavailableError: the place cannot be asked now.
            ConnectorError: it refuses to tell.
        """
        return []

    def set_aside(self, job: str) -> str | None:
        """Move what is kept for a job out of the way, so that its next run starts over.

        Called for ``--ignore-checkpoint`` where ``sets_aside`` is true, in a thread, with no store
        of the job open. Nothing is deleted.

        Returns:
            Where it is now, for people; None where there was nothing.

        Raises:
            CheckpointError: it is in use, or cannot be moved.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot set checkpoints aside")

    @property
    def transactions_of(self) -> str | None:
        """The name of the system in whose transactions it can be written; None where in none."""
        return None
