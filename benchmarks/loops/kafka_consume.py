"""By hand: read a topic in batches and look at each message."""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from typing import Any

from benchmarks.brokers import AIOKAFKA, read_from_start
from benchmarks.pace import Stopwatch


async def handler(record: Any) -> None:
    """The user's function."""


async def run(address: str, source: str, count: int) -> Stopwatch:
    """The loop, over so many messages."""
    consumer = AIOKAFKA.AIOKafkaConsumer(bootstrap_servers=address)
    await consumer.start()
    read_from_start(consumer, source)
    gc.collect()
    gc.freeze()
    watch = Stopwatch()
    done = 0
    while done < count:
        for records in (await consumer.getmany(timeout_ms=500)).values():
            for record in records:
                await handler(record)
            done += len(records)
    watch.stop()
    await consumer.stop()
    return watch


def main(address: str, source: str, count: int) -> None:
    """Measure the loop alone."""
    print(json.dumps(asyncio.run(run(address, source, count)).figures(count)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
