"""Writes numbered records to a topic of a campaign, at a rate or as quickly as it goes.

    python -m tests.campaigns.kafka_load BROKERS TOPIC FIRST PER_S LANES

As a program it goes on until it is stopped by SIGTERM, and waits for every acknowledgement.

A record says which one it is, and its offset is its number within its partition. The numbers of a
partition go round so many lanes, each with a key of its own. Two lanes, where there are so many,
are for the dead letters of a job that looks at the amount: one cannot be decoded there, the other
is refused.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from collections.abc import Iterable
from itertools import count, takewhile
from typing import Any

from tests.services.kafka_clients import producer, started
from tests.services.kafka_listeners import PLAINTEXT, Kafka

PARTITIONS = 4
UNDECODABLE, REFUSED = 7, 57
AT_ONCE = 50
IN_FLIGHT = 5_000


def record(partition: int, number: int, lanes: int) -> tuple[bytes, bytes]:
    """The key and the value of a record."""
    lane = number % lanes
    value: dict[str, Any] = {"partition": partition, "number": number}
    if lane in (UNDECODABLE, REFUSED):
        value |= {"amount": "no number" if lane == UNDECODABLE else -1, "dead": True}
    return b"%d-%d" % (partition, lane), json.dumps(value).encode()


async def write(
    brokers: Kafka, topic: str, numbers: Iterable[int], *, per_s: float = 0, lanes: int = 1
) -> None:
    """Write records, spread over the partitions, and wait until all are acknowledged.

    Args:
        brokers: the cluster.
        topic: where they go.
        numbers: counted over all partitions.
        per_s: how many a second; 0 for as many as it takes. Time that was lost is not made up for.
        lanes: of each partition.
    """
    async with started(producer(brokers, enable_idempotence=True)) as writer:
        sent: list[Any] = []
        due = time.monotonic()
        for number in numbers:
            partition, place = number % PARTITIONS, number // PARTITIONS
            key, value = record(partition, place, lanes)
            sent.append(await writer.send(topic, value, key=key, partition=partition))
            if len(sent) == IN_FLIGHT:
                await asyncio.gather(*sent)
                sent.clear()
            if per_s and number % AT_ONCE == 0:
                due = max(due + AT_ONCE / per_s, time.monotonic())
                await asyncio.sleep(due - time.monotonic())
        await asyncio.gather(*sent)


async def main() -> None:
    """Write until SIGTERM comes."""
    address, topic, first, per_s, lanes = sys.argv[1:]
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    numbers = takewhile(lambda _: not over.is_set(), count(int(first)))
    brokers = Kafka({PLAINTEXT.name: address})
    await write(brokers, topic, numbers, per_s=float(per_s), lanes=int(lanes))


if __name__ == "__main__":
    asyncio.run(main())
