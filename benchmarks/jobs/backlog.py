"""As a job: a backlog of orders in a file, worked off into part files."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.jobs import running
from benchmarks.orders import Order, Priced, priced
from samza_py import Job, Message
from samza_py.connectors.files import Files
from samza_py.connectors.local import LocalCheckpoints

WRITE = "import sys; from pathlib import Path; from benchmarks.orders import written_orders; "


def main(count: int) -> None:
    """Measure the largest resident set."""
    with tempfile.TemporaryDirectory() as folder:
        # In a process of its own: what it takes to make the backlog is not the job's memory.
        write = f"{WRITE}written_orders(Path({folder!r}), {count})"
        subprocess.run([sys.executable, "-c", write], check=True)
        files = Files(root=folder)
        orders = files.jsonl("orders", "orders.jsonl", value=Order)
        results = files.jsonl_output("priced", "priced", value=Priced)
        job: Job[None] = Job("backlog")

        @job.task(orders, to=results)
        async def price(order: Message[None, Order]) -> Priced:
            return priced(order.value)

        watch = running.run(job, LocalCheckpoints(Path(folder) / "checkpoints.log"))
        lines = sum(
            part.read_bytes().count(b"\n") for part in (Path(folder) / "priced").glob("part-*")
        )
    if lines != count:
        raise SystemExit(f"{lines} of {count} came out")
    print(json.dumps(watch.figures(count)))


if __name__ == "__main__":
    main(int(sys.argv[1]))
