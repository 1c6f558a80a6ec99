"""As a job: a file of JSON lines to memory through an async handler."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from benchmarks.jobs import running
from benchmarks.orders import Order, Priced, priced, written_orders
from samza_py import Job, Message
from samza_py.connectors.files import Files
from samza_py.connectors.memory import Memory


def main(count: int) -> None:
    """Measure the job alone."""
    memory = Memory()
    results = memory.stream("priced", value=Priced)
    with tempfile.TemporaryDirectory() as folder:
        files = Files(root=folder)
        orders = files.jsonl("orders", written_orders(Path(folder), count).name, value=Order)
        job: Job[None] = Job("files-map", block_warning="1000s")

        @job.task(orders, to=results)
        async def price(order: Message[None, Order]) -> Priced:
            return priced(order.value)

        watch = running.run(job, memory.checkpoints())
    if (found := len(memory.read_raw(results))) != count:
        raise SystemExit(f"{found} of {count} came out")
    print(json.dumps(watch.figures(count)))


if __name__ == "__main__":
    main(int(sys.argv[1]))
