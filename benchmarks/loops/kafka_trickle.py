"""By hand: pass each message on as it comes; commit the positions once a second."""

from __future__ import annotations

import asyncio
import json
import sys
import time

from benchmarks.brokers import AIOKAFKA, read_from_start
from benchmarks.pace import Stopwatch


async def run(address: str, source: str, target: str, count: int) -> Stopwatch:
    """The loop, over so many messages."""
    consumer = AIOKAFKA.AIOKafkaConsumer(
        bootstrap_servers=address, group_id=f"{target}-loop", enable_auto_commit=False
    )
    producer = AIOKAFKA.AIOKafkaProducer(bootstrap_servers=address, enable_idempotence=True)
    await consumer.start()
    await producer.start()
    read_from_start(consumer, source)
    print("ready", flush=True)
    watch = Stopwatch()
    done, committed = 0, time.monotonic()
    while done < count:
        for partition, records in (await consumer.getmany(timeout_ms=500)).items():
            for record in records:
                await producer.send(
                    target, record.value, key=record.key, partition=partition.partition
                )
            done += len(records)
        if time.monotonic() - committed > 1 or done >= count:
            await producer.flush()
            await consumer.commit()
            committed = time.monotonic()
    watch.stop()
    await consumer.stop()
    await producer.stop()
    return watch


def main(address: str, source: str, target: str, count: int) -> None:
    """Measure the loop alone."""
    print(json.dumps(asyncio.run(run(address, source, target, count)).figures(count)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
