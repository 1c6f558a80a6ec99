"""As a job: 16 partitions in which nothing happens."""

from __future__ import annotations

import asyncio
import json
import sys
import time

from benchmarks.jobs import running
from samza_py import Job, Message
from samza_py.connectors.memory import Memory
from samza_py.runtime.container import Container

SETTLE_S = 2.0


async def idle(seconds: float) -> float:
    """CPU seconds that an idle container uses in so many seconds."""
    memory = Memory()
    quiet = memory.stream("quiet", partitions=16)
    out = memory.stream("out", partitions=16)
    job: Job[None] = Job("idle")

    @job.task(quiet, to=out)
    async def copy(message: Message[bytes, bytes]) -> bytes:
        return message.value

    container = Container(running.resolved(job, memory.checkpoints()))
    child = asyncio.create_task(container.run())
    await asyncio.sleep(SETTLE_S)
    began = time.process_time()
    await asyncio.sleep(seconds)
    cpu_s = time.process_time() - began
    container.request_stop()
    await child
    return cpu_s


if __name__ == "__main__":
    print(json.dumps({"cpu_s": asyncio.run(idle(float(sys.argv[1])))}))
