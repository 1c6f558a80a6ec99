"""As a job: memory to memory through an async handler."""

from __future__ import annotations

import json
import sys

from benchmarks.jobs import running
from benchmarks.orders import Order, Priced, priced, raw_orders
from samza_py import Job, Message
from samza_py.connectors.memory import Memory

memory = Memory()
orders = memory.stream("orders", key=str, value=Order)
results = memory.stream("priced", key=str, value=Priced)
job: Job[None] = Job("memory-map", block_warning="1000s")


@job.task(orders, to=results)
async def price(order: Message[str, Order]) -> Priced:
    """The user's function."""
    return priced(order.value)


def main(count: int) -> None:
    """Measure the job alone."""
    for key, value in raw_orders(count):
        memory.put_raw(orders, key, value)
    memory.close(orders)
    watch = running.run(job, memory.checkpoints())
    if (found := len(memory.read_raw(results))) != count:
        raise SystemExit(f"{found} of {count} came out")
    print(json.dumps(watch.figures(count)))


if __name__ == "__main__":
    main(int(sys.argv[1]))
