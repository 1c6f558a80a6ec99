"""Producers that break one promise each."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Generator, Hashable, Sequence
from itertools import count
from typing import Any

import msgspec

from samza_py.errors import ConnectorError
from samza_py.message import Outgoing
from samza_py.producer import Failures, Promise, Receipt, Rejected, Retry
from samza_py.testing import Capability
from samza_py.transaction import Transaction
from tests.conformance.memory_harness import ABILITIES
from tests.conformance.saboteurs.around import Impatient, ProducerAround, breaks


@breaks("what_is_settled_has_arrived")
class LosesTheEnd(ProducerAround):
    """The last message of the second write is settled, and never written."""

    writes = 0

    async def settled(self, batch: Sequence[Outgoing], within: Transaction | None) -> Failures:
        self.writes += 1
        kept = batch[:-1] if (self.writes, len(batch)) == (2, 3) else batch
        return await super().settled(kept, within)


@breaks("what_is_settled_outlives_the_producer")
class ForgetsWhenItCloses(ProducerAround):
    """What was written in one write goes with the producer."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.sizes: list[int] = []

    async def settled(self, batch: Sequence[Outgoing], within: Transaction | None) -> Failures:
        self.sizes.append(len(batch))
        return await super().settled(batch, within)

    async def aclose(self) -> None:
        await super().aclose()
        if self.sizes == [3]:
            for log in self.harness.system.broker.topic("orders-v2").logs.values():
                log.hide(0, log.end)


@breaks("a_lane_keeps_its_order")
class TurnsBatchesAround(ProducerAround):
    async def settled(self, batch: Sequence[Outgoing], within: Transaction | None) -> Failures:
        turned = list(batch)[::-1] if len(batch) >= 10 else batch
        return await super().settled(turned, within)


class _Held(Receipt):
    """Writes only when somebody asks."""

    def __init__(self, producer: HoldsBack, batch: Sequence[Outgoing]) -> None:
        self.producer = producer
        self.batch = batch

    def __await__(self) -> Generator[Any, None, Failures]:
        return self.producer.release(self).__await__()


@breaks("writes_ahead_keep_the_order")
class HoldsBack(ProducerAround):
    """Of two writes at once, the second one is sent first."""

    held: _Held | None = None

    async def write(self, batch: Sequence[Outgoing], within: Transaction | None = None) -> Receipt:
        if self.held is None and len(batch) == 2:
            self.held = _Held(self, batch)
            return self.held
        return await super().write(batch, within)

    async def release(self, held: _Held) -> Failures:
        """Write what was held back."""
        if self.held is held:
            self.held = None
        return await self.settled(held.batch, None)

    async def aclose(self) -> None:
        if self.held is not None:
            await self.release(self.held)
        await super().aclose()

    async def flush(self) -> None:
        """Leaves it held: the receipts are awaited next."""


@breaks("a_lane_is_a_pure_function")
class CountsLanes(ProducerAround):
    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.next = count()

    def lane(self, message: Outgoing) -> Hashable:
        return next(self.next)


@breaks("a_full_batch_is_taken")
class TakesLessThanItsLimit(ProducerAround):
    async def settled(self, batch: Sequence[Outgoing], within: Transaction | None) -> Failures:
        if len(batch) > 100:
            raise ConnectorError("more than 100 messages")
        return await super().settled(batch, within)


@breaks("a_message_over_the_limit_is_settled")
class BreaksOverALargeMessage(ProducerAround):
    async def settled(self, batch: Sequence[Outgoing], within: Transaction | None) -> Failures:
        if len(batch) == 1 and batch[0].size > self.limits.bytes:
            raise ConnectorError("a message over the limit")
        return await super().settled(batch, within)


@breaks("flushing_sends_what_is_held_back")
class CannotFlush(ProducerAround):
    async def flush(self) -> None:
        raise ConnectorError("no flush")


class _Slow(Receipt):
    """Writes while it is awaited, and not where that is cancelled."""

    def __init__(self, producer: WritesInTheReceipt, batch: Sequence[Outgoing]) -> None:
        self.producer = producer
        self.batch = batch

    def __await__(self) -> Generator[Any, None, Failures]:
        return self.producer.later(self.batch).__await__()


@breaks("a_cancelled_wait_changes_nothing")
class WritesInTheReceipt(ProducerAround):
    async def write(self, batch: Sequence[Outgoing], within: Transaction | None = None) -> Receipt:
        return _Slow(self, batch)

    async def later(self, batch: Sequence[Outgoing]) -> Failures:
        """Write, a little later."""
        await asyncio.sleep(0)
        return await self.settled(batch, None)


@breaks("a_cancelled_write_leaves_the_producer_whole")
class KeepsItsLock(ProducerAround):
    """A cancelled write keeps the lock, and every later one waits for it."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.lock = asyncio.Lock()

    async def settled(self, batch: Sequence[Outgoing], within: Transaction | None) -> Failures:
        await self.lock.acquire()
        await asyncio.sleep(0)
        failures = await super().settled(batch, within)
        self.lock.release()
        return failures


@breaks("a_rejected_message_is_named_by_its_index")
class CountsFromBehind(ProducerAround):
    """A failure is named by another index than the message's."""

    async def settled(self, batch: Sequence[Outgoing], within: Transaction | None) -> Failures:
        failures = await super().settled(batch, within)
        rejected = [i for i, failure in failures.items() if isinstance(failure, Rejected)]
        return {i - 1: failures[i] for i in rejected} if rejected and len(batch) > 1 else failures


@breaks("what_failed_is_not_written")
class WritesTheRejected(ProducerAround):
    """A message that is rejected is written all the same, cut to fit."""

    async def settled(self, batch: Sequence[Outgoing], within: Transaction | None) -> Failures:
        failures = await super().settled(batch, within)
        for index, failure in failures.items():
            if isinstance(failure, Rejected):
                number = self.harness.number(batch[index].value)
                await super().settled([self.harness.message(number)], within)
        return failures


@breaks("a_write_that_failed_can_be_written_again")
class RetriesByItself(ProducerAround):
    """What it says to be sent again it also sends again itself."""

    def __init__(self, *parts: Any) -> None:
        super().__init__(*parts)
        self.again: list[Outgoing] = []

    async def settled(self, batch: Sequence[Outgoing], within: Transaction | None) -> Failures:
        failures = await super().settled(batch, within)
        again, self.again = self.again, [batch[i] for i, f in failures.items() if type(f) is Retry]
        if again and not failures:
            await super().settled(again, within)
        return failures


@breaks("nothing_is_written_as_nothing")
class NoKeyIsEmpty(ProducerAround):
    async def settled(self, batch: Sequence[Outgoing], within: Transaction | None) -> Failures:
        keyed = [msgspec.structs.replace(m, key=m.key or b"") for m in batch]
        return await super().settled(keyed, within)


@breaks("a_message_arrives_as_it_was")
class DropsHeaders(ProducerAround):
    async def settled(self, batch: Sequence[Outgoing], within: Transaction | None) -> Failures:
        bare = [msgspec.structs.replace(message, headers=()) for message in batch]
        return await super().settled(bare, within)


@breaks("a_chosen_partition_is_kept")
class ChoosesItself(ProducerAround):
    async def settled(self, batch: Sequence[Outgoing], within: Transaction | None) -> Failures:
        free = [msgspec.structs.replace(message, partition=None) for message in batch]
        return await super().settled(free, within)


class IdempotentMemory(Impatient):
    """The memory system, which knows what is sent again."""

    capabilities: Collection[Capability] = ABILITIES | {Capability.IDEMPOTENT}
    promise = Promise.IDEMPOTENT


@breaks("a_message_sent_again_is_there_once", base=IdempotentMemory)
class ForgetsTheSource(ProducerAround):
    """Every message is a new one to it."""

    async def settled(self, batch: Sequence[Outgoing], within: Transaction | None) -> Failures:
        nameless = [msgspec.structs.replace(message, source=None) for message in batch]
        return await super().settled(nameless, within)
