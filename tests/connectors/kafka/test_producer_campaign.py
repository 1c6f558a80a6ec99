"""A broker dies again and again under a producer that meets refusals, for as long as one likes.

What the outbox does is done here: what failed is written again, before anything else.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import Sequence

import pytest

from samza_py.connectors.kafka.producer import KafkaProducer
from samza_py.errors import UnavailableError
from samza_py.message import Outgoing
from samza_py.producer import Failures, Rejected, Unknown
from tests.connectors.kafka.producing import arrived, message, producing, put
from tests.services.kafka import Cluster, Node
from tests.services.kafka_clients import new_topic

HOUR_MS = 3_600_000
PARTITIONS = 3
KEYS = 20


class Writer:
    """Writes numbered messages as an outbox does, and keeps what it was told."""

    def __init__(self, producer: KafkaProducer, chance: random.Random) -> None:
        self.written = 0
        self.rejected: set[int] = set()
        self.unknown: set[int] = set()
        self._producer = producer
        self._chance = chance

    def batch(self) -> list[Outgoing]:
        """New messages; one in a hundred has a time that no broker believes."""
        made: list[Outgoing] = []
        for _ in range(self._chance.randrange(1, 200)):
            late = self._chance.random() < 0.01
            now_ms = int(time.time() * 1000)
            key = b"key %d" % self._chance.randrange(KEYS)
            text = b"%d late" % self.written if late else b"%d" % self.written
            made.append(message(text, key, timestamp_ms=now_ms + 2 * HOUR_MS * late))
            self.written += 1
        return made

    async def run(self, until: float) -> None:
        """Write until then, and settle the last batch."""
        while time.monotonic() < until:
            batch: Sequence[Outgoing] = self.batch()
            while batch:
                batch = self._left(batch, await self._put(batch))

    async def _put(self, batch: Sequence[Outgoing]) -> Failures:
        while True:
            try:
                return await put(self._producer, batch)
            except UnavailableError:
                await asyncio.sleep(0.1)

    def _left(self, batch: Sequence[Outgoing], failures: Failures) -> list[Outgoing]:
        for index, failure in failures.items():
            if isinstance(failure, Rejected):
                assert b"late" in batch[index].value, failure
                self.rejected.add(_number(batch[index].value))
            elif isinstance(failure, Unknown):
                self.unknown.add(_number(batch[index].value))
        left = {index for index, one in failures.items() if not isinstance(one, Rejected)}
        return [one for index, one in enumerate(batch) if index in left]


@pytest.mark.campaign
@pytest.mark.service
async def test_nothing_is_lost_or_passed(own_kafka: Cluster, seconds: float, seed: int) -> None:
    kafka, chance = own_kafka.address, random.Random(seed)
    topic = await new_topic(kafka, partitions=PARTITIONS)
    # Some outages are longer than the deadline, most are not.
    async with producing(kafka, topic, delivery_timeout_s=2.0) as producer:
        writer, until = Writer(producer, chance), time.monotonic() + seconds
        writing = asyncio.ensure_future(writer.run(until))
        while time.monotonic() < until and not writing.done():
            await _outage(own_kafka.node(1), chance)
        await writing
    found: dict[bytes | None, list[int]] = defaultdict(list)
    for one in await arrived(kafka, topic):
        found[one.key].append(_number(one.value))
    counted = Counter(number for numbers in found.values() for number in numbers)
    assert counted.keys() == set(range(writer.written)) - writer.rejected
    assert {number for number, count in counted.items() if count > 1} <= writer.unknown
    for numbers in found.values():
        first = list(dict.fromkeys(numbers))
        assert first == sorted(first), "one has passed another"


async def _outage(node: Node, chance: random.Random) -> None:
    await asyncio.sleep(chance.uniform(0.2, 1.5))
    if chance.random() < 0.3:
        node.pause()
        await asyncio.sleep(chance.choice([0.1, 1.0, 3.0]))
        node.resume()
        return
    await asyncio.to_thread(chance.choice([node.kill, node.stop]))
    await asyncio.sleep(chance.choice([0.0, 0.5, 2.5]))
    await asyncio.to_thread(node.restart)


def _number(value: bytes | None) -> int:
    return int((value or b"").split()[0])
