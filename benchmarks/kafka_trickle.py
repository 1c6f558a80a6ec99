"""A thousand messages a second through Kafka: CPU and latency of both profiles and of a plain loop.

The driver writes a message a millisecond and reads what comes out; the latency is from its write to
its read. What that takes with nothing between is printed beside it.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from statistics import quantiles
from typing import Any

from benchmarks.brokers import AIOKAFKA, PARTITIONS, broker, new_topics, read_from_start
from benchmarks.measuring import Bar, middle, say

ROUNDS = 3
MESSAGES = 8_000
PER_S = 1_000
PATIENCE_S = 60

Found = dict[str, float]


def main() -> bool:
    """Measure in rounds; whether all bars hold."""
    rounds: list[dict[str, Found]] = []
    with broker() as address:
        for number in range(ROUNDS):
            found = {name: _measured(address, command) for name, command in _CONTENDERS.items()}
            rounds.append(found)
            for name, one in found.items():
                figures = ", ".join(f"{key} {value:.3g}" for key, value in one.items())
                print(f"  round {number}: {name}: {figures}", flush=True)

    def column(name: str, figure: str) -> list[float]:
        return [found[name][figure] for found in rounds]

    loop_us, loop_ms = middle(column("loop", "us")), middle(column("loop", "p50_ms"))
    driver = f"{middle(column('driver', 'p50_ms')):.2f} ms, p99 {_p99(rounds, 'driver')}"
    held = say(
        "kafka_trickle_cpu", column("default", "us"), "us", Bar(200), f"plain loop {loop_us:.0f} us"
    )
    pairs = zip(column("low_latency", "p50_ms"), column("loop", "p50_ms"), strict=True)
    print(f"  p99: low_latency {_p99(rounds, 'low_latency')}, loop {_p99(rounds, 'loop')}")
    detail = f"loop {loop_ms:.2f} ms, the driver alone {driver}"
    return say("kafka_trickle_p50", [a / b for a, b in pairs], "x", Bar(1.5), detail) and held


def _p99(rounds: Sequence[dict[str, Found]], name: str) -> str:
    return f"{middle([found[name]['p99_ms'] for found in rounds]):.2f} ms"


_CONTENDERS: dict[str, list[str]] = {
    "driver": [],
    "loop": ["benchmarks.loops.kafka_trickle"],
    "default": ["benchmarks.jobs.kafka_trickle", "default"],
    "low_latency": ["benchmarks.jobs.kafka_trickle", "low_latency"],
}


def _measured(address: str, command: list[str]) -> Found:
    return asyncio.run(asyncio.wait_for(_drive(address, command), PATIENCE_S))


async def _drive(address: str, command: list[str]) -> Found:
    source, target = await asyncio.to_thread(new_topics, address, orders=0, outputs=1)
    contender = None
    if command:
        module, *flags = command
        contender = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, address, source, target, str(MESSAGES), *flags),
            stdout=asyncio.subprocess.PIPE,
        )
        assert contender.stdout is not None
        await contender.stdout.readline()  # it is ready
    else:
        target = source
    reading = asyncio.ensure_future(_read(address, target))
    await asyncio.sleep(0.5)
    await _write(address, source)
    latencies = await reading
    cuts = quantiles(latencies, n=100)
    found = {"p50_ms": cuts[49] * 1000, "p99_ms": cuts[98] * 1000}
    if contender is not None:
        said, _ = await contender.communicate()
        found |= json.loads(said.decode().strip().splitlines()[-1])
    return found


async def _write(address: str, topic: str) -> None:
    producer = AIOKAFKA.AIOKafkaProducer(bootstrap_servers=address)
    await producer.start()
    began = time.monotonic()
    for number in range(MESSAGES):
        await asyncio.sleep(max(0, began + number / PER_S - time.monotonic()))
        value = repr(time.monotonic()).encode().ljust(200)
        await producer.send(topic, value, partition=number % PARTITIONS)
    await producer.stop()


async def _read(address: str, topic: str) -> list[float]:
    consumer: Any = AIOKAFKA.AIOKafkaConsumer(bootstrap_servers=address)
    await consumer.start()
    read_from_start(consumer, topic)
    found: list[float] = []
    while len(found) < MESSAGES:
        for records in (await consumer.getmany(timeout_ms=500)).values():
            now = time.monotonic()
            found += [now - float(record.value) for record in records]
    await consumer.stop()
    return found


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
