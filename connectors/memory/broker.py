"""The one thing that memory systems share: streams, checkpoints, and the lines to them.

A broker stands for a service that outlives every container. Containers reach it over a ``Link``
each, which a test can sever, and at which its faults strike.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from samza_py.connectors.memory.kept import Kept
from samza_py.connectors.memory.topic import Topic
from samza_py.errors import ConnectorError, FencedError, UnavailableError
from samza_py.message import Outgoing, Partition, Position, TaskPartition
from samza_py.producer import Failure


@dataclass(frozen=True, slots=True)
class Fault:
    """What becomes of one message of a write.

    Attributes:
        failure: what the producer says of it.
        written: whether it was written all the same; only an ``Unknown`` may be.
    """

    failure: Failure
    written: bool = False


class Faults:
    """What a test puts in the way of its clients. As it stands, nothing: override what is needed.

    Operations are named after the methods they stand in: ``poll``, ``assign``, ``write``,
    ``receipt``, ``flush``, ``stage``, ``finish``, ``recover``, ``abandon``, ``begin``, ``commit``,
    ``abort``, ``claim`` (a checkpoint store's ``open``), ``checkpoint`` (its ``write``),
    ``restore``, ``read``, ``release``, ``on_checkpoint``; an admin's ``partitions``, ``bounds``,
    ``start_position``, ``create``, ``trim``; a coordinator's ``events``, ``name_tasks``,
    ``release_tasks``, ``owns``; and ``open`` for each thing that is opened. Those that only read
    have no ``after``.
    """

    async def before(self, operation: str, client: str) -> None:
        """Called before the effect: wait, or raise ``UnavailableError``, and nothing was done."""

    async def after(self, operation: str, client: str) -> None:
        """Called after the effect: what is raised here leaves the caller without knowledge of it.

        After ``write`` and at ``receipt`` an ``UnavailableError`` makes the outcome of the whole
        batch unknown; where requests are ordered, the producer is broken by it.
        """

    def messages(self, client: str, batch: Sequence[Outgoing]) -> Mapping[int, Fault]:
        """What becomes of the messages of a write, by index; those not named are written."""
        return {}

    def partition(self, client: str, partition: Partition) -> ConnectorError | None:
        """An error of one partition, told by the poll that would have read it."""
        return None

    def broken_off(self, client: str, partition: Partition) -> ConnectorError | None:
        """An error of one partition behind the messages that its fetch has brought."""
        return None


Owner: TypeAlias = tuple[str, str]
"""A job and one of its tasks."""


@dataclass(frozen=True, slots=True)
class Staged:
    """What one stage of one output holds.

    Attributes:
        owner: the job and task that staged it.
        epoch: of the claim.
        physical: the stream it is meant for.
        messages: in order.
    """

    owner: Owner
    epoch: int
    physical: str
    messages: Sequence[Outgoing]


class Link:
    """One client's line to a broker. Whatever the client does goes over it.

    Args:
        broker: what it leads to.
        client: a name for the one who uses it.
    """

    def __init__(self, broker: Broker, client: str) -> None:
        self.broker = broker
        self.client = client
        self.severed = False
        self._silent = False
        self._waiters: set[asyncio.Future[None]] = set()

    @property
    def watched(self) -> bool:
        """Whether anything may go wrong on it."""
        return self.severed or self.broker.faults is not None

    def sever(self, *, silent: bool = False) -> None:
        """Cut it for ever: no call over it, running or to come, has an effect from now on.

        Args:
            silent: calls wait for ever, as those of a killed process do; else they raise
                ``UnavailableError``, as those of one that lost its network.
        """
        self.severed = True
        self._silent = silent
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def before(self, operation: str) -> None:
        """Come to an effect. The effect follows without an await in between.

        Raises:
            UnavailableError: it is severed, or a fault strikes; the effect must not happen.
        """
        faults = self.broker.faults
        if faults is not None:
            await faults.before(operation, self.client)
        if self.severed:
            await self._refuse()

    async def after(self, operation: str) -> None:
        """Leave an effect that has happened.

        Raises:
            UnavailableError: its outcome is not to be known.
        """
        faults = self.broker.faults
        if faults is not None:
            await faults.after(operation, self.client)
        if self.severed:
            await self._refuse()

    async def wait(self, waiter: asyncio.Future[None]) -> None:
        """Wait for a future that also ends when the line is severed.

        Raises:
            UnavailableError: it was severed.
        """
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)
        if self.severed:
            await self._refuse()

    async def _refuse(self) -> None:
        if self._silent:
            await asyncio.get_running_loop().create_future()
        raise UnavailableError(f"memory: the connection of client {self.client!r} was severed")


class Broker:
    """Holds the streams and the checkpoints of any number of memory systems, until it is dropped.

    Attributes:
        topics: streams by physical name.
        committed: what consumers heard to be durable, by task and partition.
        epochs: the newest claim of each task, by job and task.
        transactions: how to abort the open transaction of a task, by job and task.
        jobs: checkpoints and changelogs by job.
        staged: what two-phase producers have put aside, by number.
        finished: the numbers of what was made visible.
        faults: what strikes its clients; None where nothing does.
    """

    def __init__(self) -> None:
        self.epochs: dict[Owner, int] = {}
        self.transactions: dict[Owner, Callable[[], None]] = {}
        self.jobs: dict[str, Kept] = {}
        self.staged: dict[int, Staged] = {}
        self.finished: set[int] = set()
        self.topics: dict[str, Topic] = {}
        self.committed: dict[TaskPartition, Position] = {}
        self.faults: Faults | None = None
        self._incarnations = 0
        self._stages = 0

    def link(self, client: str) -> Link:
        """A new line for a client."""
        return Link(self, client)

    def topic(self, physical: str) -> Topic:
        """The stream of this physical name.

        Raises:
            ConnectorError: there is none.
        """
        found = self.topics.get(physical)
        if found is None:
            known = ", ".join(sorted(self.topics)) or "none"
            raise ConnectorError(f"memory has no stream {physical!r}; it has: {known}")
        return found

    def create(self, physical: str, partitions: int) -> Topic:
        """Make a stream; one that exists already is left as it is.

        Raises:
            ConnectorError: it exists with another number of partitions.
        """
        found = self.topics.get(physical)
        if found is None:
            found = self.topics[physical] = Topic(physical, partitions, self._lineage(physical))
        elif found.declared != partitions:
            raise ConnectorError(
                f"memory stream {physical!r} exists with {found.declared} partitions, "
                f"not {partitions}"
            )
        return found

    def recreate(self, physical: str) -> None:
        """Delete a stream and make it again, empty and with another lineage."""
        self.topic(physical).recreate(self._lineage(physical))

    def next_stage(self) -> int:
        """A number that no stage has had."""
        self._stages += 1
        return self._stages

    def fence(self, owner: Owner, epoch: int) -> None:
        """Make a claim the newest of its task and abort the transaction that is open for the task.

        Raises:
            FencedError: a newer claim exists.
        """
        self.check(owner, epoch)
        self.epochs[owner] = epoch
        abort = self.transactions.pop(owner, None)
        if abort is not None:
            abort()

    def check(self, owner: Owner, epoch: int) -> None:
        """Make sure that a claim is the newest of its task.

        Raises:
            FencedError: it is not.
        """
        newest = self.epochs.get(owner, 0)
        if epoch < newest:
            raise FencedError(f"task {owner[1]}: epoch {epoch} was fenced by epoch {newest}")

    def _lineage(self, physical: str) -> str:
        self._incarnations += 1
        return f"{physical}#{self._incarnations}"
