"""Offsets, and the positions that the runtime keeps: which message was read last.

Kafka says which message comes *next*, the runtime says which was the *last*: a position is the
text of the offset before. Before the first message of a log that begins at 0 stands ``-1``. The
offset before need not be one of a message: markers of transactions and what was compacted away
leave gaps, so an end is always judged by position.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Final

from samza_py.connectors.kafka.brokers import Brokers, failed
from samza_py.connectors.kafka.library import library
from samza_py.connectors.kafka.topic_ids import TopicFound, topics_there
from samza_py.errors import ConnectorError, CorruptCheckpointError
from samza_py.message import Offset

_NUMBER: Final = re.compile(r"-1|0|[1-9][0-9]{0,18}")

UNCOMMITTED: Final = 0
COMMITTED: Final = 1
"""Isolation levels: with ``COMMITTED`` a log ends where the first open transaction begins."""

At = tuple[str, int]
"""A topic and a number of a partition."""


def parsed(text: str) -> int:
    """The number of an offset or a position.

    Raises:
        CorruptCheckpointError: it is none of Kafka's.
    """
    if _NUMBER.fullmatch(text) is None:
        raise CorruptCheckpointError(f"{text[:80]!r} is no offset of a Kafka topic")
    return int(text)


def before(next_offset: int) -> Offset:
    """The position from which this is the next message."""
    return Offset(str(next_offset - 1))


def by_leader(
    found: Mapping[str, TopicFound], wanted: Collection[At]
) -> Mapping[int, Mapping[str, list[int]]]:
    """Who leads these partitions: topics and partitions by the number of the broker.

    Raises:
        ConnectorError: one of them is not there.
    """
    shared: dict[int, dict[str, list[int]]] = {}
    for topic, partition in wanted:
        if topic not in found:
            raise ConnectorError(missing(topic))
        leader = found[topic].leaders.get(partition)
        if leader is None:
            has = len(found[topic].leaders)
            raise ConnectorError(f"topic {topic} has no partition {partition}, it has {has}")
        shared.setdefault(leader, {}).setdefault(topic, []).append(partition)
    return shared


def missing(topic: str) -> str:
    """What to say of a topic that is not there."""
    return (
        f"topic {topic} does not exist: create it, or declare it with partitions= to have it made"
    )


async def offsets(
    brokers: Brokers, wanted: Collection[At], timestamp: int, isolation: int = COMMITTED
) -> Mapping[At, int]:
    """The next offsets at a time. To be called inside ``Brokers.answered``.

    Args:
        brokers: whom to ask.
        wanted: partitions.
        timestamp: ``EARLIEST``, ``LATEST``, or milliseconds since 1970.
        isolation: whether what stands in open transactions is seen.

    Returns:
        The offset of the first message of that time or later; ``NO_OFFSET`` where there is none.

    Raises:
        KafkaError: of aiokafka.
        ConnectorError: a topic or a partition is not there.
    """
    make = library("aiokafka.protocol.offset").OffsetRequest
    found = await topics_there(brokers, {topic for topic, _ in wanted})
    told: dict[At, int] = {}
    for leader, topics in by_leader(found, wanted).items():
        asked = [
            (topic, [(one, timestamp) for one in numbers]) for topic, numbers in topics.items()
        ]
        answer = await brokers.ask(make(-1, isolation, asked), leader)
        for topic, partitions in answer.topics:
            for partition, code, _, offset, *_ in partitions:
                failed(code, f"{topic}[{partition}]")
                told[topic, partition] = offset
    return told
