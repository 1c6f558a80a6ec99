"""As a job: a topic to a topic through an async handler, at least once, a commit a second."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from benchmarks.brokers import count_of
from benchmarks.jobs import running
from benchmarks.orders import Order, Priced, priced, priced_dict
from samza_py import Job, Message
from samza_py.connectors.kafka import Kafka


def of_structs(kafka: Kafka, job: Job[None], source: str, target: str) -> None:
    """Declare the task over a struct."""
    orders = kafka.topic("orders", physical=source, key=bytes, value=Order)
    results = kafka.topic("priced", physical=target, key=bytes, value=Priced)

    @job.task(orders, to=results)
    async def price(order: Message[bytes, Order]) -> Priced:
        return priced(order.value)


def of_dicts(kafka: Kafka, job: Job[None], source: str, target: str) -> None:
    """Declare the task over plain JSON."""
    orders = kafka.topic("orders", physical=source, key=bytes, value=dict[str, Any])
    results = kafka.topic("priced", physical=target, key=bytes, value=dict[str, Any])

    @job.task(orders, to=results)
    async def price(order: Message[bytes, dict[str, Any]]) -> dict[str, Any]:
        return priced_dict(order.value)


def main(address: str, source: str, target: str, count: int, how: str = "structs") -> None:
    """Measure the job alone, from its first message to its last commit."""
    kafka = Kafka(address)
    job: Job[None] = Job(f"map-{target}", block_warning="1000s")
    declare = of_dicts if how == "dicts" else of_structs
    declare(kafka, job, source, target)
    watch = asyncio.run(running.run_until(job, kafka.checkpoints(), count))
    found = asyncio.run(count_of(address, target))
    if found != count:
        raise SystemExit(f"{found} of {count} came out")
    print(json.dumps(watch.figures(count)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), *sys.argv[5:])
