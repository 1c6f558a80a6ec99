"""What all memory producers share: who gets which message, what fails how, and what follows."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections import Counter
from collections.abc import Collection, Generator, Hashable, Mapping, Sequence
from typing import Any

from samza_py.connectors.memory.broker import Fault, Link
from samza_py.connectors.memory.log import Log
from samza_py.connectors.memory.topic import Topic
from samza_py.errors import ConnectorError, RejectedError, UnavailableError
from samza_py.message import Outgoing
from samza_py.producer import (
    Failure,
    Failures,
    Limits,
    Producer,
    Receipt,
    Rejected,
    Requests,
    Retry,
    Settled,
    Unknown,
)
from samza_py.transaction import Transaction


class WritingProducer(Producer):
    """What all memory producers share: who gets which message, and what fails how.

    Args:
        link: the line to the broker.
        physical: the broker's name of each output, by logical name.
        requests: how requests overlap and fail.
        limits: what one write may hold.
    """

    def __init__(
        self,
        link: Link,
        physical: Mapping[str, str],
        requests: Requests,
        limits: Limits,
    ) -> None:
        self.requests = requests
        self.limits = limits
        self._link = link
        self._physical = physical
        self._topics: dict[str, Topic] = {}
        self._blocked: Counter[Hashable] = Counter()
        self._unsettled: Counter[Hashable] = Counter()
        #: Counts the tellings of failures; and the last one of each lane.
        self._tellings = 0
        self._told: dict[Hashable, int] = {}
        self._broken: ConnectorError | None = None

    async def aopen(self) -> None:
        """Reach the broker."""
        await self._link.before("open")

    def lane(self, message: Outgoing) -> Hashable:
        """The output and the partition; messages without a key share a lane in each output."""
        return message.stream, self._topic(message.stream).lane(message)

    async def write(self, batch: Sequence[Outgoing], within: Transaction | None = None) -> Receipt:
        """Write a batch; see ``Producer.write``.

        Raises:
            UnavailableError: nothing was accepted.
            FencedError: ``within`` belongs to a claim that is no longer the newest.
            ConnectorError: the producer is broken, or was asked for what it does not promise.
        """
        begun = self._tellings
        await self._link.before("write")
        if self._broken is not None:
            raise ConnectorError("memory: this producer is broken") from self._broken
        if len(batch) > self.limits.messages:
            limit = self.limits.messages
            raise ConnectorError(f"memory: {len(batch)} messages in a write, the limit is {limit}")
        several = len(self._physical) > 1
        # Not a set: whatever is told of a write must not depend on how text is hashed.
        some = batch if several else batch[:1]
        streams = list(dict.fromkeys([message.stream for message in some]))
        self._check(streams, within)
        held = self._blocked or self._told
        counted = self._link.watched or held or self.requests is Requests.BY_MESSAGE
        lanes = self._lanes(batch) if counted else ()
        failures = self._accept(batch, streams, lanes, within, begun)
        if not counted:
            return Settled(failures)
        receipt = _Receipt(self, lanes, failures)
        try:
            await self._link.after("write")
        except UnavailableError as error:
            receipt.lost = error
        except asyncio.CancelledError:
            receipt.release()
            raise
        return receipt

    async def flush(self) -> None:
        """Does nothing but pass by the faults: no message is ever held back."""
        await self._link.before("flush")

    @abstractmethod
    def _put(self, log: Log, messages: Sequence[Outgoing], within: Transaction | None) -> None:
        """Write messages of one output to one partition; all checks are done."""

    def _check(self, streams: Collection[str], within: Transaction | None) -> None:
        """Refuse a whole write for what it asks of these outputs. Nothing to refuse by default."""

    def _topic(self, stream: str) -> Topic:
        topic = self._topics.get(stream)
        if topic is None:
            topic = self._topics[stream] = self._link.broker.topic(self._physical[stream])
        return topic

    def _lanes(self, batch: Sequence[Outgoing]) -> list[Hashable]:
        """The lanes of a batch, kept as long as the batch is unsettled."""
        lanes = [self.lane(message) for message in batch]
        if self.requests is Requests.BY_MESSAGE:
            seen = {lane for lane in self._unsettled if self._unsettled[lane] > 0}
            for lane in lanes:
                if lane in seen:
                    raise ConnectorError(f"memory: two unsettled messages of lane {lane} at once")
                seen.add(lane)
        self._unsettled.update(lanes)
        return lanes

    def _accept(
        self,
        batch: Sequence[Outgoing],
        streams: Collection[str],
        lanes: Sequence[Hashable],
        within: Transaction | None,
        begun: int,
    ) -> Failures:
        """Decide on each message and write those that go through, in one synchronous step."""
        faults = self._link.broker.faults
        if faults is None and not (self._blocked or self._told):
            fates: dict[int, Fault] = {}
            written = batch
        else:
            struck: Mapping[int, Fault] = {}
            if faults is not None:
                struck = faults.messages(self._link.client, batch)
            fates = self._fates(struck, lanes, begun)
            written = [m for i, m in enumerate(batch) if i not in fates or fates[i].written]
        groups, rejected = self._spread(written, streams)
        if rejected:
            index = {id(message): i for i, message in enumerate(batch)}
            fates |= {index[id(message)]: Fault(Rejected(error)) for message, error in rejected}
        if self.requests is Requests.WHOLE and any(not fate.written for fate in fates.values()):
            spared = Fault(Retry(UnavailableError("memory: another message failed the request")))
            return {i: fates.get(i, spared).failure for i in range(len(batch))}
        for log, messages in groups:
            self._put(log, messages, within)
        return {i: fate.failure for i, fate in fates.items()}

    def _spread(
        self, batch: Sequence[Outgoing], streams: Collection[str]
    ) -> tuple[list[tuple[Log, Sequence[Outgoing]]], list[tuple[Outgoing, RejectedError]]]:
        groups: list[tuple[Log, Sequence[Outgoing]]] = []
        rejected: list[tuple[Outgoing, RejectedError]] = []
        for stream in streams:
            part = batch if len(streams) == 1 else [m for m in batch if m.stream == stream]
            if part:
                found, refused = self._topic(stream).spread(part)
                groups += found.items()
                rejected += refused
        return groups, rejected

    def _fates(
        self, struck: Mapping[int, Fault], lanes: Sequence[Hashable], begun: int
    ) -> dict[int, Fault]:
        """What the faults of a batch, and of what went before it, mean for its messages."""
        fates = dict(struck)
        if self.requests is Requests.WHOLE and struck:
            lost = [fate for fate in struck.values() if fate.written]
            if lost:
                rejected = {i: f for i, f in struck.items() if isinstance(f.failure, Rejected)}
                return dict.fromkeys(range(len(lanes)), lost[0]) | rejected
        if self.requests is Requests.ORDERED:
            failed: set[Hashable] = set()
            for i, lane in enumerate(lanes):
                # Whoever called this write had not heard of a failure that was told since.
                unheard = self._told.get(lane, 0) > begun
                if lane in failed or self._blocked[lane] or unheard:
                    before = UnavailableError(f"memory: lane {lane} has failed before")
                    fates[i] = Fault(Retry(before))
                elif i in struck and not isinstance(struck[i].failure, Rejected):
                    failed.add(lane)
            self._blocked.update(lanes[i] for i, fate in fates.items() if _holds(fate.failure))
        return fates

    def settle(self, lanes: Sequence[Hashable], failures: Failures) -> None:
        """Hear that the failures of a batch were told, so that its lanes may be written again."""
        self._unsettled.subtract(lanes)
        self._unsettled += Counter()
        if self.requests is Requests.ORDERED:
            told = [lanes[i] for i, failure in failures.items() if _holds(failure)]
            self._blocked.subtract(told)
            self._blocked += Counter()
            self._tellings += 1
            self._told.update(dict.fromkeys(told, self._tellings))

    def break_by(self, error: ConnectorError) -> ConnectorError:
        """Break for good, since the order of what follows can no longer be kept."""
        self._broken = error
        return error


def _holds(failure: Failure) -> bool:
    """Whether a failure holds up the later messages of its lane."""
    return not isinstance(failure, Rejected)


class _Receipt(Receipt):
    """A receipt of a producer that something may happen to, or that counts unsettled lanes."""

    __slots__ = ("_failures", "_held", "_lanes", "_producer", "lost")

    def __init__(
        self, producer: WritingProducer, lanes: Sequence[Hashable], failures: Failures
    ) -> None:
        self._producer = producer
        self._lanes = lanes
        self._failures = failures
        self._held = True
        self.lost: UnavailableError | None = None

    def __del__(self) -> None:
        # Whoever cancels a write may never see its receipt; its lanes must not stay taken.
        self.release()

    def release(self) -> None:
        """Let the lanes of the batch be written again."""
        if self._held:
            self._held = False
            self._producer.settle(self._lanes, self._failures)

    def __await__(self) -> Generator[Any, None, Failures]:
        """Give the failures once the line has carried them."""
        return self._settle().__await__()

    async def _settle(self) -> Failures:
        producer = self._producer
        try:
            if self.lost is None:
                await producer._link.after("receipt")
        except UnavailableError as error:
            self.lost = error
        finally:
            self.release()
        if producer.requests is Requests.ORDERED and (self.lost or producer._broken):
            raise producer.break_by(producer._broken or self.lost or UnavailableError("memory"))
        if self.lost is not None:
            return dict.fromkeys(range(len(self._lanes)), Unknown(self.lost))
        return self._failures
