"""One client of aiokafka that reads some partitions, each from its own position.

The client fetches ahead by itself, one answer a partition. What it has is drained at once into the
seats below: a partition that stays undrained there holds up all others of its broker for 100 ms.
Backpressure is a pause, made in the same breath as the draining: a partition whose seat holds
messages that nobody had room for is not fetched again. (One that is paused with an answer on its
way would throw that away.) So what is held below the runtime's own buffers is bounded by one answer
a partition in the seats, and one on its way for those that are read.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from samza_py.connectors.kafka.answers import Answers
from samza_py.connectors.kafka.cluster import Cluster
from samza_py.connectors.kafka.failures import death, died_of, refused, translated
from samza_py.connectors.kafka.library import library
from samza_py.connectors.kafka.offsets import missing
from samza_py.connectors.kafka.seat import Seat
from samza_py.errors import ConnectorError, PositionLostError, UnavailableError

logger = logging.getLogger(__name__)

WAIT_S: Final = 0.5
"""How long a fill waits for messages: so long may a marker at the end of a log go unnoticed."""

SILENT_S: Final = 10.0
"""A broker answers a fetch within ``fetch_wait``, also with nothing. After so long it is away."""

LIVELY_S: Final = 2.0
"""What an answer may take longer than ``fetch_wait`` from a broker that lives."""

LIVED_S: Final = 60.0
"""A client that lived so long before it died was of use, though there was nothing to read."""


class Reader:
    """A client and its seats. A topic's partition has one seat in it at most.

    Args:
        cluster: where to read.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._client: Any = None
        self._seats: dict[Any, Seat] = {}
        self._assigned: set[Any] = set()
        self._listened = 0.0
        # Whether the client has read something, or lived for a while: else it was made in vain.
        self._worth = True
        self._renewed = 0.0

    async def aopen(self) -> None:
        """Connect. Raises ``UnavailableError`` or ``ConnectorError``."""
        self._client = await self._connected()

    async def _connected(self) -> Any:
        cluster = self._cluster
        client = await cluster.started(
            "AIOKafkaConsumer",
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            fetch_min_bytes=cluster.fetch_min_bytes,
            fetch_max_wait_ms=int(cluster.fetch_wait_s * 1000),
            max_partition_fetch_bytes=cluster.max_fetch_bytes,
        )
        fetcher = client._fetcher
        if type(getattr(fetcher, "_records", None)) is OrderedDict:
            fetcher._records = Answers(self._seats)
        return client

    async def _renew(self) -> None:
        """The library fetches no more, by an error of its own: read on by another client."""
        if self._worth:  # else its death was raised
            why = died_of(self._client._fetcher.error_future)
            logger.warning(
                "the client that reads from %s has died and is made anew: %r", self._cluster.at, why
            )
        made = await self._connected()
        dead, self._client = self._client, made
        self._worth, self._renewed = False, asyncio.get_running_loop().time()
        self._assign()
        await self._cluster.stopped(dead)

    def _refuse_death(self) -> None:
        """Raise where the client has died as the one before it, of no use: the next one would, too.

        Then whoever polls waits longer from try to try, and says that reading fails.
        """
        fetching = self._client._fetcher.error_future
        if fetching.done() and not self._worth:
            error = died_of(fetching)
            raise death(error, f"reading from {self._cluster.at}") from error

    async def aclose(self) -> None:
        """Disconnect, within a bound."""
        client, self._client = self._client, None
        if client is not None:
            await self._cluster.stopped(client)

    def has(self, topic: Any) -> bool:
        """Whether a partition, as the library calls it, has a seat here."""
        return topic in self._seats

    def place(self, seat: Seat) -> None:
        """Give a partition a seat, in place of the one that it may have; then call ``read_on``."""
        old = self._seats.get(seat.topic)
        seat.paused = old is not None and old.paused
        self._seats[seat.topic] = seat

    def read_on(self, seats: Collection[Seat]) -> None:
        """Read these, which have been placed, from where they stand."""
        if self._assigned.issuperset(self._seats):
            for seat in seats:
                self._client.seek(seat.topic, seat.next)
            self.pause()
        else:
            self._assign()

    def drop(self, topics: Collection[Any]) -> None:
        """Read these partitions no more."""
        for topic in topics:
            self._seats.pop(topic, None)
        if not self._assigned.isdisjoint(topics):
            self._assign()

    def _assign(self) -> None:
        self._assigned = set(self._seats)
        if not self._seats:
            self._client.unsubscribe()
            return
        self._client.assign(list(self._seats))
        # An assignment forgets every position, also of the partitions that stay.
        for seat in self._seats.values():
            self._client.seek(seat.topic, seat.next)
            seat.paused = False
        self.pause()

    def pause(self) -> None:
        """Fetch those that are used up, and no others. Called before anything else can run."""
        for topic, seat in self._seats.items():
            wanted = seat.failed or not seat.empty
            if wanted != seat.paused:
                (self._client.pause if wanted else self._client.resume)(topic)
                seat.paused = wanted

    async def fill(self) -> None:
        """Wait, for ``WAIT_S`` at most, until something was drained into the seats.

        Cancelled, it has drained nothing, or all of it. Whoever calls it takes what was drained and
        calls ``pause``, without another await between.

        Raises:
            UnavailableError: no broker has answered for ``SILENT_S``. Where some have, the
                partitions of the others fail alone. Or one client after the other dies.
            ConnectorError: the client is of no more use.
        """
        if not self._seats:
            await asyncio.sleep(WAIT_S)
            return
        if self._client._fetcher.error_future.done():
            await self._renew()
        fetcher = self._client._fetcher
        try:
            drained = await self._client.getmany(timeout_ms=int(WAIT_S * 1000))
        except asyncio.CancelledError:
            # The library keeps what we waited for until the next answer, which may never come.
            for waiter in list(fetcher._fetch_waiters):
                waiter.cancel()
            raise
        except Exception as error:
            await self._failed(error)
            return
        await self._keep(drained)
        lived_s = asyncio.get_running_loop().time() - self._renewed
        self._worth = self._worth or bool(drained) or lived_s > LIVED_S
        self._refuse_death()
        self._refuse_silence()

    async def _keep(self, drained: Mapping[Any, Sequence[Any]]) -> None:
        for topic, records in drained.items():
            seat = self._seats.get(topic)
            if seat is not None:
                seat.keep(records)
        client = self._client
        for topic, seat in list(self._seats.items()):
            # Judged by position: markers and compacted records have no message.
            head = client.last_stable_offset(topic)
            head = client.highwater(topic) if head in (None, -1) else head
            seat.seen(await client.position(topic), head)

    async def _failed(self, error: Exception) -> None:
        """Give an error to the partition that it belongs to.

        The library may have read on past what it had not handed out when the error came (a damaged
        batch): every partition is read again from where it was drained.
        """
        for seat in self._seats.values():
            self._client.seek(seat.topic, seat.next)
        at_fault = [seat for seat in self._seats.values() if _concerns(error, seat)]
        if not at_fault:
            raise translated(error, f"reading from {self._cluster.at}") from error
        for seat in at_fault:
            seat.fail(_failure(error, seat, None))
        self.pause()  # before the library asks for them again
        oldest = await self._oldest([seat.topic for seat in at_fault])
        for seat in at_fault:
            seat.fail(_failure(error, seat, oldest.get(seat.topic)))

    async def _oldest(self, topics: list[Any]) -> Mapping[Any, int]:
        """The first offset that each partition still has, as far as the brokers say it in time."""
        found: Mapping[Any, int] = {}
        with contextlib.suppress(Exception):
            async with asyncio.timeout(self._cluster.request_timeout_s):
                found = await self._client.beginning_offsets(topics)
        return found

    def _refuse_silence(self) -> None:
        """Fail the partitions whose brokers do not answer, or raise where none of them does."""
        now = asyncio.get_running_loop().time()
        waited_s = min(now - self._listened, 2 * WAIT_S)  # more is a loop that was held up
        self._listened = now
        for topic, seat in self._seats.items():
            seat.hear(self._client.last_poll_timestamp(topic), waited_s)
        longest_s = SILENT_S + self._cluster.fetch_wait_s
        read = [seat for seat in self._seats.values() if not seat.failed]
        silent = [seat for seat in read if seat.silent_s > longest_s]
        self._refuse_deleted(silent)
        read, silent = ([seat for seat in some if not seat.failed] for some in (read, silent))
        # Where one that is being read was answered just now, its broker lives. Else all are away:
        # the others fall silent a moment later, as their last answers came a moment later.
        lively_s = min(longest_s, self._cluster.fetch_wait_s + LIVELY_S)
        lively = any(not seat.paused and seat.silent_s <= lively_s for seat in read)
        if silent and not lively:
            silent_s = min(seat.silent_s for seat in silent)
            raise UnavailableError(f"{self._cluster.at} has not answered for {silent_s:.0f} s")
        for seat in silent:
            why = f"the broker that leads it has not answered for {seat.silent_s:.0f} s"
            seat.fail(UnavailableError(f"{seat.partition}: {why}"))

    def _refuse_deleted(self, silent: Collection[Seat]) -> None:
        """Fail those whose topics are gone: the brokers answer, with that alone.

        The library forgets a topic only when a broker has said so, and asks again all the time.
        """
        for seat in silent:
            if self._client.partitions_for_topic(seat.topic.topic) is None:
                seat.fail(ConnectorError(f"{seat.partition}: {missing(seat.topic.topic)}"))


def _concerns(error: Exception, seat: Seat) -> bool:
    kind, said = type(error).__name__, error.args[0] if error.args else None
    if kind == "OffsetOutOfRangeError":
        return isinstance(said, dict) and seat.topic in said
    return kind == "TopicAuthorizationFailedError" and said == seat.topic.topic


def _failure(
    error: Exception, seat: Seat, oldest: int | None
) -> ConnectorError | PositionLostError:
    if type(error).__name__ == "OffsetOutOfRangeError":
        there = "" if oldest is None else f" (the oldest is {oldest})"
        return PositionLostError(
            f"{seat.partition}: reading should go on at offset {seat.next}, which is not there"
            f"{there}: deleted by the topic's retention, or the topic was made anew; start over "
            "with --ignore-checkpoint"
        )
    return refused(error, f"reading {seat.partition}")


def topic_partition(topic: str, number: int) -> Any:
    """A partition as the library calls it."""
    return library().TopicPartition(topic, number)
