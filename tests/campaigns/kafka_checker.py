"""Tells from two topics alone whether a job between them was right. A program of its own.

    python -I kafka_checker.py BROKERS SOURCE TARGET [--repeats=N] [--any-order]

It imports nothing of the project. Each record says its partition and number. Every one of the
source must be in the target; one may be there again only as far as `--repeats` allows, and a number
of a partition must not come before the one in front of it has come.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from importlib import import_module
from typing import Any

AIOKAFKA: Any = import_module("aiokafka")
Place = tuple[int, int]


async def all_of(brokers: str, topic: str) -> list[Any]:
    """The values of a topic, partition by partition."""
    consumer = AIOKAFKA.AIOKafkaConsumer(
        topic, bootstrap_servers=brokers, auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    try:
        ends: dict[Any, int] = await consumer.end_offsets(list(consumer.assignment()))
        found: dict[Any, list[Any]] = {partition: [] for partition in ends}
        while any([await consumer.position(one) < end for one, end in ends.items()]):
            for partition, records in (await consumer.getmany(timeout_ms=200)).items():
                found[partition] += [json.loads(record.value) for record in records]
    finally:
        await consumer.stop()
    return [record for records in found.values() for record in records]


def check(wanted: list[Any], found: list[Any], *, any_order: bool) -> dict[str, int]:
    """What is lost, there again, never asked for, or came too early."""
    asked = Counter((one["partition"], one["number"]) for one in wanted)
    came: Counter[Place] = Counter()
    early = 0
    for record in found:
        place = record["partition"], record["number"]
        before = place[0], place[1] - 1
        early += before in asked and before not in came
        came[place] += 1
    return {
        "records": len(asked),
        "lost": sum((asked - came).values()),
        "doubled": sum(came.values()) - len(came),
        "unknown": sum(n for place, n in came.items() if place not in asked),
        "disordered": 0 if any_order else early,
    }


async def main() -> int:
    """Read both topics and compare."""
    brokers, source, target, *flags = sys.argv[1:]
    wanted, found = await all_of(brokers, source), await all_of(brokers, target)
    report = check(wanted, found, any_order="--any-order" in flags)
    print(json.dumps(report))
    repeats = max([int(f.partition("=")[2]) for f in flags if f.startswith("--repeats=")] or [0])
    wrong = report["lost"] + report["unknown"] + report["disordered"]
    return int(bool(wrong) or report["doubled"] > repeats)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
