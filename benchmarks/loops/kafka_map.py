"""By hand: the quickest loop over aiokafka with the same guarantee, or one that waits for acks.

Read in batches, decode, await a handler, encode, write by partition in batches; commit the
positions in the group once a second, when all that was read by then is written.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from typing import Any

import msgspec

from benchmarks.brokers import AIOKAFKA, BATCH_BYTES, count_of, read_from_start
from benchmarks.orders import Order, Priced, priced, priced_dict
from benchmarks.pace import Stopwatch

COMMIT_S = 1.0
IN_FLIGHT = 8


class Read:
    """What the handler gets."""

    __slots__ = ("key", "value")

    key: bytes
    value: Any


async def handler(message: Read) -> Priced:
    """The user's function."""
    return priced(message.value)


async def handler_of_dicts(message: Read) -> dict[str, Any]:
    """The same where values are dicts."""
    return priced_dict(message.value)


class Writer:
    """Batches by partition; the key's partition is the one it was read from."""

    def __init__(self, producer: Any, topic: str) -> None:
        self._producer = producer
        self._topic = topic
        self._builders: dict[int, Any] = {}
        self.acks: list[Any] = []

    async def write(self, partition: int, key: bytes, value: bytes) -> None:
        """Add one; sends what is full."""
        builder = self._builders.get(partition)
        if builder is None:
            builder = self._builders[partition] = self._producer.create_batch()
        if builder.append(key=key, value=value, timestamp=None) is None:
            await self.send(partition)
            builder = self._builders[partition] = self._producer.create_batch()
            builder.append(key=key, value=value, timestamp=None)

    async def send(self, partition: int) -> None:
        """Send what a partition has."""
        builder = self._builders.pop(partition)
        self.acks.append(await self._producer.send_batch(builder, self._topic, partition=partition))

    async def flush(self) -> None:
        """Send everything, and wait until it is written."""
        for partition in list(self._builders):
            await self.send(partition)
        acks, self.acks = self.acks, []
        await asyncio.gather(*acks)


async def run(
    address: str, source: str, target: str, count: int, *, pipelined: bool, dicts: bool
) -> Stopwatch:
    """The loop, over so many messages."""
    consumer = AIOKAFKA.AIOKafkaConsumer(
        bootstrap_servers=address, group_id=f"{target}-loop", enable_auto_commit=False
    )
    producer = AIOKAFKA.AIOKafkaProducer(
        bootstrap_servers=address, enable_idempotence=True, max_batch_size=BATCH_BYTES
    )
    await consumer.start()
    await producer.start()
    read_from_start(consumer, source)
    decoder: Any = msgspec.json.Decoder() if dicts else msgspec.json.Decoder(Order)
    decode, encode = decoder.decode, msgspec.json.Encoder().encode
    call: Any = handler_of_dicts if dicts else handler
    writer = Writer(producer, target)
    gc.collect()
    gc.freeze()
    watch = Stopwatch()
    done, committed = 0, time.monotonic()
    while done < count:
        # A loop that waits takes as many as Java's client does by default (max.poll.records).
        most = None if pipelined else 500
        fetched = await consumer.getmany(timeout_ms=500, max_records=most)
        for partition, records in fetched.items():
            number = partition.partition
            for record in records:
                message = Read()
                message.key, message.value = record.key, decode(record.value)
                await writer.write(number, message.key, encode(await call(message)))
            done += len(records)
        now = time.monotonic()
        if not pipelined or now - committed > COMMIT_S or done >= count:
            await writer.flush()
            committed = now
            await consumer.commit()
        elif len(writer.acks) > IN_FLIGHT:
            await writer.acks.pop(0)
    watch.stop()
    await consumer.stop()
    await producer.stop()
    return watch


def main(address: str, source: str, target: str, count: int, how: str) -> None:
    """Measure the loop alone."""
    pipelined, dicts = how != "waiting", how == "dicts"
    watch = asyncio.run(run(address, source, target, count, pipelined=pipelined, dicts=dicts))
    found = asyncio.run(count_of(address, target))
    if found != count:
        raise SystemExit(f"{found} of {count} came out")
    print(json.dumps(watch.figures(count)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5])
