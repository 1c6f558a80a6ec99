"""What the runtime asks a cluster about its topics."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from samza_py.admin import (
    Admin,
    AtOffset,
    AtTime,
    Bounds,
    Newest,
    PartitionInfo,
    Planned,
    StartAt,
)
from samza_py.connectors.kafka.brokers import EARLIEST, LATEST, NO_OFFSET, Brokers, failed
from samza_py.connectors.kafka.cluster import Cluster
from samza_py.connectors.kafka.creating import create_all, plan
from samza_py.connectors.kafka.library import library
from samza_py.connectors.kafka.offsets import At, before, by_leader, missing, offsets, parsed
from samza_py.connectors.kafka.topic_ids import topics_there
from samza_py.errors import ConnectorError, CorruptCheckpointError, PositionLostError
from samza_py.message import Offset, Partition, Position
from samza_py.system import AnyStream


class KafkaAdmin(Admin):
    """Asks the brokers; nothing is remembered. Every call ends within the request timeout.

    All calls raise ``UnavailableError`` where no broker answers in time, and ``ConnectorError``
    where one refuses. Cancelling one has no effect but that its answer is lost.

    Args:
        cluster: where the brokers are.
        streams: the declared topics, by logical name.
    """

    def __init__(self, cluster: Cluster, streams: Mapping[str, AnyStream]) -> None:
        self._brokers = Brokers(cluster)
        self._cluster = cluster
        self._streams = streams

    async def aopen(self) -> None:
        """Connect; see ``Cluster.started`` for what it raises."""
        await self._brokers.start()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._brokers.stop()

    async def partitions(self, stream: str) -> Mapping[Partition, PartitionInfo]:
        """All partitions of a topic; their lineage is its id, empty from brokers before 2.8.

        Raises:
            ConnectorError: the topic does not exist.
            UnavailableError: try again.
        """
        topic = self._streams[stream].physical
        what = f"looking at topic {topic}"
        found = await self._brokers.answered(what, lambda: topics_there(self._brokers, [topic]))
        if topic not in found:
            raise ConnectorError(f"{self._cluster.at}: {missing(topic)}")
        info = PartitionInfo(found[topic].id)
        numbers = sorted(found[topic].leaders)
        return {Partition(self._cluster.name, stream, str(number)): info for number in numbers}

    async def bounds(self, partitions: Collection[Partition]) -> Mapping[Partition, Bounds]:
        """Where these begin and end now. What stands in open transactions is yet to come."""
        places = {partition: self._at(partition) for partition in partitions}
        wanted = set(places.values())
        first = await self._offsets(wanted, EARLIEST)
        last = await self._offsets(wanted, LATEST)
        return {one: Bounds(before(first[at]), before(last[at])) for one, at in places.items()}

    async def start_position(self, partition: Partition, start: StartAt) -> Position:
        """Resolve any kind of start; a time behind all messages is the newest position.

        Raises:
            PositionLostError: an ``AtOffset`` that is not there.
        """
        at = self._at(partition)
        if isinstance(start, Newest):
            return before(await self._offset(at, LATEST))
        if isinstance(start, AtTime):
            # Below 0 a time would be read as a word of the protocol.
            found = await self._offset(at, max(0, start.timestamp_ms))
            return before(await self._offset(at, LATEST) if found == NO_OFFSET else found)
        if isinstance(start, AtOffset) and partition.id in start.after:
            return await self._existing(partition, start.after[partition.id])
        return before(await self._offset(at, EARLIEST))

    def compare(self, first: Offset, second: Offset) -> int:
        """By their numbers.

        Raises:
            CorruptCheckpointError: one is no number.
        """
        return parsed(first) - parsed(second)

    async def create(self, streams: Collection[str]) -> Sequence[str]:
        """Make the missing topics that were declared with ``partitions=``.

        Raises:
            ConnectorError: one is missing and was declared without, or exists and differs; says
                everything that is wrong, and nothing was made then.
        """
        return await create_all(self._brokers, [self._streams[name] for name in streams])

    async def plan(self, streams: Collection[str]) -> Sequence[Planned]:
        """What ``create`` would make, and what differs from what is declared."""
        changes = await plan(self._brokers, [self._streams[name] for name in streams])
        return [Planned(one.stream, one.text, one.creation is not None) for one in changes]

    async def trim(self, up_to: Mapping[Partition, Offset]) -> None:
        """Let the brokers delete the records up to these offsets (KIP-107)."""
        places = {self._at(partition): parsed(offset) + 1 for partition, offset in up_to.items()}
        make = library("aiokafka.protocol.admin").DeleteRecordsRequest
        milliseconds = int(self._cluster.request_timeout_s * 1000)

        async def ask() -> None:
            found = await topics_there(self._brokers, {topic for topic, _ in places})
            for leader, topics in by_leader(found, places).items():
                asked = [(t, [(p, places[t, p]) for p in numbers]) for t, numbers in topics.items()]
                answer = await self._brokers.ask(make(asked, milliseconds), leader)
                for topic, partitions, *_ in answer.topics:
                    for one in partitions:
                        failed(one[2], f"{topic}[{one[0]}]")

        await self._brokers.answered("deleting records", ask)

    def _at(self, partition: Partition) -> At:
        try:
            return self._streams[partition.stream].physical, parsed(partition.id)
        except CorruptCheckpointError:
            raise ConnectorError(f"{partition}: a topic has no such partition") from None

    async def _offsets(self, wanted: Collection[At], timestamp: int) -> Mapping[At, int]:
        what = f"reading the bounds of {', '.join(sorted({topic for topic, _ in wanted}))}"
        return await self._brokers.answered(what, lambda: offsets(self._brokers, wanted, timestamp))

    async def _offset(self, at: At, timestamp: int) -> int:
        return (await self._offsets([at], timestamp))[at]

    async def _existing(self, partition: Partition, wanted: str) -> Position:
        at = self._at(partition)
        oldest, newest = await self._offset(at, EARLIEST), await self._offset(at, LATEST)
        try:
            there = oldest - 1 <= parsed(wanted) < newest
        except CorruptCheckpointError as error:
            raise PositionLostError(f"{partition}: {error}") from error
        if not there:
            raise PositionLostError(
                f"{partition}: the start {wanted} is not between {oldest - 1} and {newest - 1}"
            )
        return Offset(wanted)
