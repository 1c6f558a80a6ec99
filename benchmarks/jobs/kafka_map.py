"""As a job: a topic to a topic through an async handler, at least once, a commit a second."""

from __future__ import annotations

import asyncio
import json
import sys

from benchmarks.brokers import count_of
from benchmarks.jobs import running
from benchmarks.orders import Order, Priced, priced
from samza_py import Job, Message
from samza_py.connectors.kafka import Kafka


def main(address: str, source: str, target: str, count: int) -> None:
    """Measure the job alone, from its first message to its last commit."""
    kafka = Kafka(address)
    orders = kafka.topic("orders", physical=source, key=bytes, value=Order)
    results = kafka.topic("priced", physical=target, key=bytes, value=Priced)
    job: Job[None] = Job(f"map-{target}", block_warning="1000s")

    @job.task(orders, to=results)
    async def price(order: Message[bytes, Order]) -> Priced:
        return priced(order.value)

    watch = asyncio.run(running.run_until(job, kafka.checkpoints(), count))
    found = asyncio.run(count_of(address, target))
    if found != count:
        raise SystemExit(f"{found} of {count} came out")
    print(json.dumps(watch.figures(count)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
