"""What saboteurs are made of: honest parts of the memory system, each with something around it.

A saboteur overrides one method and says by ``@breaks`` which check must find it out.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from samza_py.admin import Admin, Bounds, PartitionInfo, StartAt
from samza_py.checkpoint import (
    Change,
    Changes,
    Checkpoint,
    Checkpoints,
    CheckpointStore,
    Claim,
    Grant,
    Token,
)
from samza_py.connectors.memory.checkpoints import MemoryCheckpointStore
from samza_py.consumer import Consumer, Fetched, Room
from samza_py.message import Offset, Outgoing, Partition, Position, TaskPartition
from samza_py.producer import Failures, Producer, Receipt, Settled, TwoPhaseProducer
from samza_py.testing import Capability, Harness
from samza_py.transaction import Transaction
from tests.conformance.memory_harness import MemoryCheckpointsHarness, MemoryHarness

T = TypeVar("T")
Said = Mapping[TaskPartition, Fetched]


@dataclass(frozen=True)
class Saboteur:
    """A harness over something broken, and the check that must fail for it.

    Attributes:
        name: what is broken, for the test's name.
        breaks: the check that fails.
        make: makes a harness.
        also: checks that fail with it, each with the reason why the two cannot be told apart.
    """

    name: str
    breaks: str
    make: Callable[[], Harness]
    also: Mapping[str, str] = field(default_factory=dict[str, str])


SABOTEURS: list[Saboteur] = []


class AdminAround(Admin):
    """An admin with something around it."""

    def __init__(self, inner: Admin, harness: MemoryHarness) -> None:
        self.inner = inner
        self.harness = harness

    async def aopen(self) -> None:
        await self.inner.aopen()

    async def aclose(self) -> None:
        await self.inner.aclose()

    async def partitions(self, stream: str) -> Mapping[Partition, PartitionInfo]:
        return await self.inner.partitions(stream)

    async def bounds(self, partitions: Collection[Partition]) -> Mapping[Partition, Bounds]:
        return await self.inner.bounds(partitions)

    async def start_position(self, partition: Partition, start: StartAt) -> Position:
        return await self.inner.start_position(partition, start)

    def compare(self, first: Offset, second: Offset) -> int:
        return self.inner.compare(first, second)

    async def create(self, streams: Collection[str]) -> Sequence[str]:
        return await self.inner.create(streams)

    async def trim(self, up_to: Mapping[Partition, Offset]) -> None:
        await self.inner.trim(up_to)


class ConsumerAround(Consumer):
    """A consumer with something around it; ``positions`` is where each partition was left."""

    def __init__(self, inner: Consumer, harness: MemoryHarness) -> None:
        self.inner = inner
        self.harness = harness
        self.positions: dict[TaskPartition, Position] = {}
        self.heads: set[TaskPartition] = set()

    async def aopen(self) -> None:
        await self.inner.aopen()

    async def aclose(self) -> None:
        await self.inner.aclose()

    async def assign(self, claim: Claim, positions: Mapping[TaskPartition, Position]) -> None:
        await self.inner.assign(claim, positions)
        self.positions.update(positions)
        self.heads -= set(positions)

    async def revoke(self, partitions: Collection[TaskPartition]) -> None:
        await self.inner.revoke(partitions)
        for key in partitions:
            self.positions.pop(key, None)

    async def poll(self, wanted: Mapping[TaskPartition, Room]) -> Said:
        said = await self.inner.poll(wanted)
        self.heads |= {key for key, fetched in said.items() if fetched.at_head}
        self.positions.update({key: fetched.position for key, fetched in said.items()})
        return {key: self.changed(key, fetched) for key, fetched in said.items()}

    def changed(self, key: TaskPartition, fetched: Fetched) -> Fetched:
        """What is made of a fetch."""
        return fetched

    def has_nothing(self, keys: Collection[TaskPartition]) -> bool:
        """Whether a poll of these would have to wait, as their head was said and nothing came."""
        topic = self.harness.system.broker.topic(self.harness.source.physical)
        for key in keys:
            log = topic.log(key.partition.id)
            news = log.closed or self.positions.get(key) != str(log.end - 1)
            if news or key not in self.heads or self.harness.faults.failing == key.partition.id:
                return False
        return True

    async def on_checkpoint(self, positions: Mapping[TaskPartition, Position]) -> None:
        await self.inner.on_checkpoint(positions)


class ProducerAround(Producer):
    """A producer with something around it."""

    def __init__(self, inner: Producer, harness: MemoryHarness) -> None:
        self.inner = inner
        self.harness = harness
        self.limits = inner.limits
        self.requests = inner.requests

    async def aopen(self) -> None:
        await self.inner.aopen()

    async def aclose(self) -> None:
        await self.inner.aclose()

    def lane(self, message: Outgoing) -> Hashable:
        return self.inner.lane(message)

    async def write(self, batch: Sequence[Outgoing], within: Transaction | None = None) -> Receipt:
        return Settled(await self.settled(batch, within))

    async def settled(self, batch: Sequence[Outgoing], within: Transaction | None) -> Failures:
        """Write a batch and wait for what became of it."""
        return await (await self.inner.write(batch, within))

    async def flush(self) -> None:
        await self.inner.flush()


class StagingAround(ProducerAround, TwoPhaseProducer):
    """A two-phase producer with something around it."""

    inner: Any
    claim = Claim("", 0)

    async def stage(self) -> Mapping[str, Sequence[Token]]:
        tokens: Mapping[str, Sequence[Token]] = await self.inner.stage()
        return tokens

    async def finish(self, token: Token) -> None:
        await self.inner.finish(token)

    async def recover(self, claim: Claim, tokens: Mapping[str, Sequence[Token]]) -> None:
        self.claim = claim
        await self.inner.recover(claim, tokens)

    async def abandon(self, token: Token) -> None:
        await self.inner.abandon(token)


class StoreAround(CheckpointStore):
    """A checkpoint store with something around it."""

    def __init__(self, inner: MemoryCheckpointStore, harness: MemoryCheckpointsHarness) -> None:
        self.inner = inner
        self.harness = harness

    async def aopen(self) -> None:
        await self.inner.aopen()

    async def aclose(self) -> None:
        await self.inner.aclose()

    async def open(self, grant: Grant) -> tuple[Claim, Checkpoint | None]:
        return await self.inner.open(grant)

    async def write(
        self,
        claim: Claim,
        checkpoint: Checkpoint,
        changes: Changes | None = None,
        within: Transaction | None = None,
    ) -> None:
        await self.inner.write(claim, checkpoint, changes, within)

    async def restore(
        self, claim: Claim, store: str, marker: str
    ) -> AsyncGenerator[Sequence[Change], None]:
        async for batch in self.inner.restore(claim, store, marker):
            yield batch

    async def read(self, tasks: Collection[str] | None = None) -> Mapping[str, Checkpoint]:
        return await self.inner.read(tasks)

    async def release(self, claim: Claim) -> None:
        await self.inner.release(claim)


class CheckpointsAround(Checkpoints):
    """A place for checkpoints whose stores have something around them."""

    def __init__(self, kind: type[StoreAround], harness: MemoryCheckpointsHarness) -> None:
        self.kind = kind
        self.harness = harness

    def store(self, job: str) -> CheckpointStore:
        link = self.harness.memory.link
        return self.kind(MemoryCheckpointStore(link, self.job(job)), self.harness)

    def job(self, name: str) -> str:
        """Under which name a job's checkpoints are kept."""
        return name

    def location(self, job: str) -> str:
        return "a saboteur"


class Impatient(MemoryHarness):
    """The memory system with something around one of its parts, and little patience.

    Of the checks that are run one fails, often by waiting in vain.
    """

    patience_s = 0.3
    quiet_s = 0.02
    around: type[Any] | None = None

    def admin(self) -> Admin:
        inner, kind = super().admin(), self.around
        return kind(inner, self) if kind and issubclass(kind, AdminAround) else inner

    def consumer(self) -> Consumer:
        inner, kind = super().consumer(), self.around
        return kind(inner, self) if kind and issubclass(kind, ConsumerAround) else inner

    def producer(self, claim: Claim) -> Producer:
        inner, kind = super().producer(claim), self.around
        return kind(inner, self) if kind and issubclass(kind, ProducerAround) else inner


class ImpatientStore(MemoryCheckpointsHarness):
    """The checkpoints of the memory system with something around their stores."""

    patience_s = 0.3
    around: type[StoreAround]

    @property
    def checkpoints(self) -> Checkpoints:
        return CheckpointsAround(self.around, self)


def breaks(
    check: str, base: type[Impatient] | None = None, also: Mapping[str, str] | None = None
) -> Callable[[type[T]], type[T]]:
    """Enlist a class as the saboteur of one check.

    Args:
        check: the name of the check that must fail.
        base: the honest harness it is put into.
        also: checks that must fail too, each with the reason.
    """

    def enlist(kind: type[T]) -> type[T]:
        make = _maker(kind, base or Impatient)
        SABOTEURS.append(Saboteur(kind.__name__, check, make, also or {}))
        return kind

    return enlist


def _maker(kind: type[Any], base: type[Impatient]) -> Callable[[], Harness]:
    if issubclass(kind, Harness):
        return kind
    lists = Capability.READS if issubclass(kind, ProducerAround) else Capability.WRITES

    def make() -> Harness:
        if issubclass(kind, StoreAround):
            store = ImpatientStore()
            store.around = kind
            return store
        harness = base()
        harness.around = kind
        if not issubclass(kind, AdminAround):  # checks of what is honest are run elsewhere
            harness.capabilities = set(harness.capabilities) - {lists}
        return harness

    return make
