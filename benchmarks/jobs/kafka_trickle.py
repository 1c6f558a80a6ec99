"""As a job: pass each message on as it comes, with one of the profiles."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from benchmarks.jobs import running
from samza_py import Job, Message
from samza_py.connectors.kafka import Kafka


def main(address: str, source: str, target: str, count: int, profile: Any) -> None:
    """Measure the job alone."""
    kafka = Kafka(address)
    orders = kafka.topic("orders", physical=source)
    passed = kafka.topic("passed", physical=target)
    job: Job[None] = Job(f"trickle-{target}", block_warning="1000s", profile=profile)

    @job.task(orders, to=passed)
    async def go_on(order: Message[bytes, bytes]) -> bytes:
        return order.value

    watch = asyncio.run(running.run_until(job, kafka.checkpoints(), count, say_ready=True))
    print(json.dumps(watch.figures(count)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5])
