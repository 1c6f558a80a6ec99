"""A consumer and a producer as the runtime uses them, in few words: what the checks speak."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncGenerator, Coroutine, Hashable, Iterable, Mapping, Sequence
from itertools import count
from typing import Any, TypeVar

from samza_py.admin import Admin
from samza_py.assignment import natural_order
from samza_py.checkpoint import Claim, Token
from samza_py.consumer import Consumer, Fetched, Room
from samza_py.message import END, Offset, Outgoing, Partition, Position, Received, TaskPartition
from samza_py.producer import Failure, Failures, Producer, Requests, TwoPhaseProducer
from samza_py.testing.conformance.check import BrokenPromiseError, expect, within
from samza_py.testing.conformance.harness import ConnectorHarness
from samza_py.transaction import Transaction

T = TypeVar("T")

WIDE = Room(1000, 64 << 20)
"""Room that is never the reason why a message does not come."""
ONE = Room(1, 64 << 20)
AMOUNTS = range(21)
"""How much work is done before a cancel: at each of these, one poll or write is cancelled."""

TASK = "reader/0"
WRITER = Claim("writer/0", 1)


class Reading:
    """One open consumer, the admin of its system, and the partitions of the source in order."""

    def __init__(
        self,
        harness: ConnectorHarness,
        admin: Admin,
        consumer: Consumer,
        partitions: Sequence[Partition],
    ) -> None:
        self.harness = harness
        self.admin = admin
        self.consumer = consumer
        self.partitions = partitions
        self._fresh = count()
        self._finished: set[TaskPartition] = set()

    def key(self, index: int = 0, task: str = TASK) -> TaskPartition:
        """A partition, by its place among all, as a task reads it."""
        return TaskPartition(task, self.partitions[index])

    async def put(self, index: int, numbers: Iterable[int], size: int = 0) -> None:
        """Have the harness put messages of these numbers into a partition."""
        messages = [self.harness.message(number, size) for number in numbers]
        await self.harness.put(self.partitions[index].id, messages)

    async def start(self, *keys: TaskPartition) -> None:
        """Assign partitions before their oldest message, each to the task in its key."""
        bounds = await self.admin.bounds({key.partition for key in keys})
        for key in keys:
            await self.seek(key, bounds[key.partition].oldest)

    async def seek(self, key: TaskPartition, after: Position) -> None:
        """Assign one partition at a position."""
        self._finished.discard(key)
        await self.consumer.assign(Claim(key.task, 1), {key: after})

    async def poll(
        self, *keys: TaskPartition, room: Room = WIDE
    ) -> Mapping[TaskPartition, Fetched]:
        """One poll with the same room for each of these partitions, bounded in time."""
        async with within(self.harness.patience_s, "a poll"):
            return await self.consumer.poll(dict.fromkeys(keys, room))

    async def fetch(self, key: TaskPartition, room: Room = WIDE) -> Fetched:
        """Poll one partition until there is something to say about it."""
        async with within(self.harness.patience_s, f"reading {key.partition}"):
            while True:
                fetched = await self.consumer.poll({key: room})
                if key in fetched:
                    if fetched[key].finished:
                        self._finished.add(key)
                    return fetched[key]
                await asyncio.sleep(0)

    async def take(self, key: TaskPartition, count: int) -> list[Received]:
        """Take this many messages, one a poll, so that each poll's edge is between two."""
        return await self.read(key, count, ONE)

    async def read(self, key: TaskPartition, count: int, room: Room = WIDE) -> list[Received]:
        """Read until at least this many messages have come."""
        messages: list[Received] = []
        try:
            async with within(self.harness.patience_s, "reading"):
                while len(messages) < count:
                    fetched = await self.fetch(key, room)
                    messages += good(fetched).messages
                    if fetched.finished:
                        break
                    await asyncio.sleep(0)
        except BrokenPromiseError as error:
            got = self.numbers(messages)
            raise BrokenPromiseError(f"{count} messages were there, only {got} came") from error
        return messages

    async def first_after(self, after: Position, count: int = 1) -> list[int]:
        """The numbers of the first messages after a position, for a task that starts there."""
        fresh = self.key(0, f"fresh/{next(self._fresh)}")
        await self.seek(fresh, after)
        numbers = self.numbers(await self.take(fresh, count))
        await self.consumer.revoke([fresh])
        return numbers

    async def read_to_end(self, key: TaskPartition, room: Room = WIDE) -> list[Fetched]:
        """Read until the partition is finished; gives every fetch."""
        fetches: list[Fetched] = []
        async with within(self.harness.patience_s, f"reading {key.partition} to its end"):
            while not (fetches and fetches[-1].finished):
                fetches.append(good(await self.fetch(key, room)))
                await asyncio.sleep(0)
        return fetches

    async def quiet(self, *keys: TaskPartition) -> list[Mapping[TaskPartition, Fetched]]:
        """Poll what is not finished for a short while and give all that was said."""
        polls: list[Mapping[TaskPartition, Fetched]] = []
        wanted = dict.fromkeys((key for key in keys if key not in self._finished), WIDE)
        if not wanted:
            return polls
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.harness.quiet_s):
                while True:
                    polls.append(await self.consumer.poll(wanted))
                    await asyncio.sleep(0)
        return polls

    def numbers(self, messages: Iterable[Received]) -> list[int]:
        """The numbers of messages, as ``put`` was given them."""
        return [self.harness.number(message.raw_value) for message in messages]


def good(fetched: Fetched) -> Fetched:
    """The fetch itself; its error is raised where it has one."""
    if fetched.error is not None:
        raise fetched.error
    return fetched


def offset(position: Position) -> Offset:
    """The position as an offset; fails the check for END."""
    if position is END:
        raise BrokenPromiseError("the position is END before the partition has ended")
    return position


@contextlib.asynccontextmanager
async def reading(harness: ConnectorHarness) -> AsyncGenerator[Reading]:
    """Open what reads the source."""
    async with harness.admin() as admin, harness.consumer() as consumer:
        found = sorted(await admin.partitions(harness.source.name), key=natural_order)
        expect(found, "the source has no partition")
        yield Reading(harness, admin, consumer, found)


class Writing:
    """One open producer for the target."""

    def __init__(self, harness: ConnectorHarness, producer: Producer) -> None:
        self.harness = harness
        self.producer = producer

    async def write(self, batch: Iterable[Outgoing], inside: Transaction | None = None) -> Failures:
        """Write one batch as the outbox does, and wait until it is settled."""
        messages = list(batch)
        failures: dict[int, Failure] = {}
        async with within(self.harness.patience_s, "settling a write"):
            for indexes in self._requests(messages):
                request = [messages[index] for index in indexes]
                failed = await (await self.producer.write(request, inside))
                failures |= {indexes[place]: failure for place, failure in failed.items()}
        return failures

    def _requests(self, messages: Sequence[Outgoing]) -> list[list[int]]:
        """The indexes of each request: where messages fail alone, one of a lane in each."""
        if self.producer.requests is not Requests.BY_MESSAGE:
            return [list(range(len(messages)))] if messages else []
        requests: list[list[int]] = []
        before: Counter[Hashable] = Counter()
        for index, message in enumerate(messages):
            lane = self.producer.lane(message)
            if before[lane] == len(requests):
                requests.append([])
            requests[before[lane]].append(index)
            before[lane] += 1
        return requests

    async def put(self, numbers: Iterable[int], inside: Transaction | None = None) -> None:
        """Write messages of these numbers, none of which may fail."""
        failures = await self.write(map(self.harness.message, numbers), inside)
        expect(not failures, f"nothing was wrong, but {dict(failures)} failed")

    async def publish(self) -> None:
        """Stage and finish what was written, where the output needs that to show it."""
        if isinstance(self.producer, TwoPhaseProducer):
            for token in await staged(self.producer):
                await self.producer.finish(token)

    async def arrived(self) -> list[int]:
        """Publish; then the numbers that a reader of the target would see now, sorted."""
        await self.publish()
        return await arrived(self.harness)


async def cancelled(
    call: Coroutine[Any, Any, T], harness: ConnectorHarness, amount: int
) -> T | None:
    """Begin a call and cancel it after some work; what it gave where it was faster than that."""
    child = asyncio.ensure_future(call)
    await harness.let_work(amount)
    child.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        return await child
    return None


async def arrived(harness: ConnectorHarness) -> list[int]:
    """The numbers that a reader of the target would see now, sorted."""
    seen = await harness.arrived()
    return sorted(harness.number(m.value) for messages in seen.values() for m in messages)


async def staged(producer: TwoPhaseProducer) -> list[Token]:
    """Stage what was written; the tokens of all outputs."""
    return [token for tokens in (await producer.stage()).values() for token in tokens]


@contextlib.asynccontextmanager
async def writing(harness: ConnectorHarness, claim: Claim | None = None) -> AsyncGenerator[Writing]:
    """Open what writes the target, as after a checkpoint without tokens."""
    async with harness.producer(claim or WRITER) as producer:
        if isinstance(producer, TwoPhaseProducer):
            await producer.recover(claim or WRITER, {})
        yield Writing(harness, producer)
