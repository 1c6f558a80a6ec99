"""As a job: a call of 10 ms for each message, with ``max_concurrency``, ordered by key."""

from __future__ import annotations

import asyncio
import json
import sys

from benchmarks.jobs import running
from benchmarks.orders import Order, Priced, priced, raw_orders
from samza_py import Job, Message
from samza_py.connectors.memory import Memory

CALL_S = 0.01


def main(concurrency: int, count: int) -> None:
    """Measure the job alone."""
    memory = Memory()
    orders = memory.stream("orders", key=str, value=Order)
    results = memory.stream("priced", key=str, value=Priced)
    job: Job[None] = Job("awaited-calls", block_warning="1000s")

    @job.task(orders, to=results, max_concurrency=concurrency)
    async def price(order: Message[str, Order]) -> Priced:
        await asyncio.sleep(CALL_S)
        return priced(order.value)

    for key, value in raw_orders(count):
        memory.put_raw(orders, key, value)
    memory.close(orders)
    watch = running.run(job, memory.checkpoints())
    if (found := len(memory.read_raw(results))) != count:
        raise SystemExit(f"{found} of {count} came out")
    print(json.dumps(watch.figures(count)))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
