"""Tells from topics alone whether a job between them was right. A program of its own.

    python -I kafka_checker.py BROKERS SOURCE TARGET [--repeats=N] [--lanes=N] [--dead=TOPIC]

It imports nothing of the project. Each record says its partition and number. Every one of the
source must be in the target, or in the topic of the dead letters where there is one and the record
says that it is for there. One may be there again only as far as `--repeats` allows. The numbers of
a partition go round so many lanes, one by default, and each lane keeps its order; 0 is for any
order. A record that says the count of its lane must be right.
"""

from __future__ import annotations

import asyncio
import json
import sys
from argparse import ArgumentParser
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator
from importlib import import_module
from typing import Any

AIOKAFKA: Any = import_module("aiokafka")
Record = dict[str, Any]
MOST = 255


class Tally:
    """How often each record was seen: a byte each, as a soak has millions of them."""

    def __init__(self) -> None:
        self._seen: defaultdict[int, bytearray] = defaultdict(bytearray)

    def add(self, partition: int, number: int) -> int:
        """See one; how often it was seen before."""
        seen = self._seen[partition]
        if number >= len(seen):
            seen.extend(bytes(number + 1 - len(seen)))
        before = seen[number]
        seen[number] = min(before + 1, MOST)
        return before

    def has(self, partition: int, number: int) -> bool:
        """Whether one was seen."""
        seen = self._seen[partition]
        return 0 <= number < len(seen) and seen[number] > 0

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """All that were seen, once each."""
        for partition, seen in self._seen.items():
            yield from ((partition, number) for number, count in enumerate(seen) if count)


async def all_of(brokers: str, topic: str) -> AsyncIterator[Record]:
    """The values of a topic, in the order of each partition."""
    consumer = AIOKAFKA.AIOKafkaConsumer(
        topic, bootstrap_servers=brokers, auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    try:
        ends: dict[Any, int] = await consumer.end_offsets(list(consumer.assignment()))
        while any([await consumer.position(one) < end for one, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    yield json.loads(record.value)
    finally:
        await consumer.stop()


async def asked_of(records: AsyncIterator[Record], *, apart: bool) -> tuple[Tally, Tally]:
    """What has to be in the target, and among the dead letters, if those are looked at apart."""
    asked, dead = Tally(), Tally()
    async for record in records:
        tally = dead if apart and record.get("dead") else asked
        tally.add(record["partition"], record["number"])
    return asked, dead


async def compare(asked: Tally, records: AsyncIterator[Record], lanes: int) -> Counter[str]:
    """What is lost, there again, never asked for, came too early or has a wrong count."""
    report: Counter[str] = Counter()
    came = Tally()
    async for record in records:
        partition, number = record["partition"], record["number"]
        if not asked.has(partition, number):
            report["unknown"] += 1
            continue
        before = partition, number - lanes
        report["disordered"] += bool(lanes) and asked.has(*before) and not came.has(*before)
        report["doubled"] += came.add(partition, number) > 0
        if "count" in record:
            report["wrong"] += record["count"] != number // lanes + 1
    for place in asked:
        report["records"] += 1
        report["lost"] += not came.has(*place)
    return report


async def main() -> int:
    """Read the topics and compare."""
    parser = ArgumentParser(description=__doc__)
    for name in ("brokers", "source", "target", "--dead"):
        parser.add_argument(name)
    parser.add_argument("--repeats", type=int, default=0)
    parser.add_argument("--lanes", type=int, default=1)
    given = parser.parse_args()
    asked, dead = await asked_of(all_of(given.brokers, given.source), apart=bool(given.dead))
    report = await compare(asked, all_of(given.brokers, given.target), given.lanes)
    if given.dead:
        report.update(await compare(dead, all_of(given.brokers, given.dead), given.lanes))
    names = ("records", "lost", "doubled", "unknown", "disordered", "wrong")
    print(json.dumps({name: report[name] for name in names}))
    wrong = report["lost"] + report["unknown"] + report["disordered"] + report["wrong"]
    return int(bool(wrong) or report["doubled"] > given.repeats)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
