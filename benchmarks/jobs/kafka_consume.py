"""As a job: a topic that is read and looked at."""

from __future__ import annotations

import asyncio
import json
import sys

from benchmarks.jobs import running
from samza_py import Job, Message
from samza_py.connectors.kafka import Kafka


def main(address: str, source: str, count: int) -> None:
    """Measure the job alone, from its first message to its last commit."""
    kafka = Kafka(address)
    orders = kafka.topic("orders", physical=source)
    job: Job[None] = Job(f"consume-{source}", block_warning="1000s")

    @job.task(orders)
    async def look(order: Message[bytes, bytes]) -> None: ...

    watch = asyncio.run(running.run_until(job, kafka.checkpoints(), count))
    print(json.dumps(watch.figures(count)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
