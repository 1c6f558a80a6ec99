"""A topic as a log that is appended to and read: what checkpoints need of Kafka, and no more.

An append goes out exactly once. Where its answer is lost, or says that the leader has changed, it
may stand in the log or still come to stand there: the caller has to find out, not this module.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Final

from samza_py.connectors.kafka.brokers import LATEST, Brokers, failed
from samza_py.connectors.kafka.checkpoint_records import Record
from samza_py.connectors.kafka.library import library
from samza_py.connectors.kafka.offsets import UNCOMMITTED, At, offsets
from samza_py.connectors.kafka.topic_ids import topics_there
from samza_py.errors import CheckpointError, RejectedError, UnavailableError

CODECS: Final = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}

_ALL_REPLICAS: Final = -1
_WAIT_MS: Final = 100
#: Decoded, records take some fifteen times as much; all tasks of a container may read at once.
_FETCH_BYTES: Final = 1 << 18
_FORMAT: Final = 2
_ONE_BATCH: Final = (1 << 31) - 1
#: A broker refuses a time that is an hour ahead of its own: no clock of ours has a say here.
_NO_TIME: Final = -1
#: A broker that has not heard of a new partition has not appended anything. An answer that the
#: leader has changed can come after it has: then nothing is known.
_NOT_APPENDED: Final = ("UnknownTopicOrPartitionError",)

Records = Sequence[tuple[bytes, bytes | None]]
"""Keys and values to append; a value that is None deletes."""


class TopicLog:
    """One topic.

    Args:
        brokers: of its cluster.
        topic: its name.
    """

    def __init__(self, brokers: Brokers, topic: str) -> None:
        self.topic = topic
        self.limit = brokers.cluster.max_request_bytes
        self._brokers = brokers
        self._leaders: dict[int, int] = {}

    def place(self, partition: int) -> str:
        """A partition, for people."""
        return f"{self.topic}[{partition}] of {self._brokers.cluster.at}"

    async def append(self, partition: int, records: Records) -> int:
        """Append records as one batch, which is there as a whole or not at all.

        Returns:
            The offset of the first; all replicas in sync have it.

        Raises:
            RejectedError: too large; it was not appended and never will be.
            UnavailableError: it is not known whether it was, or will be.
            ConnectorError: the broker refuses.
        """
        batch = self._encoded(partition, records)
        milliseconds = int(self._brokers.cluster.request_timeout_s * 1000)
        make = library("aiokafka.protocol.produce").ProduceRequest
        request = make(None, _ALL_REPLICAS, milliseconds, [(self.topic, [(partition, batch)])])

        async def ask() -> int:
            answer = await self._ask(partition, request)
            ((_, ((_, code, offset, *_),)),) = answer.topics
            failed(code)
            first: int = offset
            return first

        what = f"writing to {self.topic}[{partition}]"
        return await self._brokers.answered(
            what, partial(self._forgetting, partition, ask), _NOT_APPENDED
        )

    async def end(self, partition: int) -> int:
        """Where it ends now: everything acknowledged before this call stands before it."""
        at = (self.topic, partition)
        ask = partial(offsets, self._brokers, [at], LATEST, UNCOMMITTED)
        return (await self._brokers.answered(f"looking at {self.topic}[{partition}]", ask))[at]

    async def ends(self, partitions: Collection[int]) -> Mapping[int, int]:
        """The same of many at once, without those that are not there yet."""

        async def ask() -> Mapping[At, int]:
            found = (await topics_there(self._brokers, [self.topic])).get(self.topic)
            there = () if found is None else found.leaders
            wanted = [(self.topic, one) for one in partitions if one in there]
            return await offsets(self._brokers, wanted, LATEST, UNCOMMITTED)

        told = await self._brokers.answered(f"looking at topic {self.topic}", ask)
        return {partition: end for (_, partition), end in told.items()}

    async def read(
        self, partition: int, start: int, end: int
    ) -> AsyncGenerator[Sequence[Record], None]:
        """The records from one offset to before another, batch by batch.

        Raises:
            CheckpointError: the log does not go from ``start`` to ``end``.
            UnavailableError: no answer, or no progress, within the request timeout.
        """
        position, loop = start, asyncio.get_running_loop()
        patience_s = self._brokers.cluster.request_timeout_s
        until = loop.time() + patience_s
        what = f"reading {self.topic}[{partition}]"
        while position < end:
            ask = partial(self._fetch, partition, position)
            try:
                known, found, reached = await self._brokers.answered(
                    what, partial(self._forgetting, partition, ask)
                )
            except UnavailableError as error:
                if type(error.__cause__).__name__ != "OffsetOutOfRangeError":
                    raise
                raise CheckpointError(
                    f"reading {self.place(partition)}: offset {position} is not there; the "
                    "topic was deleted and made again, or records were deleted"
                ) from error
            if reached > position:
                position, until = reached, loop.time() + patience_s
                yield [record for record in found if start <= record.offset < end]
            elif known >= end:
                return  # Compaction has left nothing more before the end.
            elif loop.time() > until:
                raise UnavailableError(
                    f"reading {self.place(partition)}: it goes up to {known}, but {end} was "
                    "acknowledged"
                )

    async def _fetch(self, partition: int, position: int) -> tuple[int, list[Record], int]:
        """The end as the leader knows it, some records, and the position behind them."""
        make = library("aiokafka.protocol.fetch").FetchRequest
        wanted = [(self.topic, [(partition, position, _FETCH_BYTES)])]
        answer = await self._ask(partition, make(_WAIT_MS, 1, _FETCH_BYTES, UNCOMMITTED, wanted))
        failed(getattr(answer, "error_code", 0))
        found: list[Record] = []
        ((_, ((_, code, known, *_, data),)),) = answer.topics
        failed(code)
        reached = position
        batches = library("aiokafka.record.memory_records").MemoryRecords(data or b"")
        while (batch := batches.next_batch()) is not None:
            found += [_record(one) for one in batch if one.offset >= reached]
            reached = max(reached, batch.next_offset)
        return known, found, reached

    async def _ask(self, partition: int, request: Any) -> Any:
        if partition not in self._leaders:
            found = (await topics_there(self._brokers, [self.topic])).get(self.topic)
            leaders = {} if found is None else dict(found.leaders)
            if leaders.get(partition, -1) < 0:
                error = library("aiokafka.errors").LeaderNotAvailableError
                raise error(f"{self.topic}[{partition}] has no leader")
            self._leaders = leaders
        return await self._brokers.ask(request, self._leaders[partition])

    async def _forgetting(self, partition: int, ask: Any) -> Any:
        """Look for the leader anew after any error."""
        try:
            return await ask()
        except BaseException:
            self._leaders.pop(partition, None)
            raise

    def _encoded(self, partition: int, records: Records) -> bytes:
        codec = CODECS[self._brokers.cluster.compression]
        make = library("aiokafka.record.default_records").DefaultRecordBatchBuilder
        builder = make(
            magic=_FORMAT,
            compression_type=codec,
            is_transactional=0,
            producer_id=-1,
            producer_epoch=-1,
            base_sequence=-1,
            batch_size=_ONE_BATCH,
        )
        for number, (key, value) in enumerate(records):
            builder.append(number, _NO_TIME, key, value, [])
        batch = bytes(builder.build())
        if len(batch) > self.limit:
            raise RejectedError(
                f"{len(batch)} bytes for {self.place(partition)} are more than its "
                f"max.message.bytes={self.limit} allows in one batch"
            )
        return batch


def _record(one: Any) -> Record:
    return Record(one.offset, one.key or b"", one.value)
