"""The memory path on an injected clock, so that the same instructions run every time.

Slices, commits and yields depend on the loop's clock; here it moves by a microsecond each time it
is asked, whatever the machine does meanwhile.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from benchmarks.jobs import memory_map, running
from benchmarks.orders import raw_orders
from samza_py.runtime.container import Container
from samza_py.seam import Seam, use_seam

TICK_S = 1e-6


class CountedSeam(Seam):
    """No thread watches the loop, and the wall clock stands still."""

    watches_loop = False

    def now_ms(self) -> int:
        """Always the same."""
        return 1_700_000_000_000


class CountedLoop(asyncio.SelectorEventLoop):
    """A loop whose clock counts how often it was asked."""

    _asked = 0

    def time(self) -> float:
        """A microsecond later than the last time."""
        self._asked += 1
        return self._asked * TICK_S


async def run(container: Container) -> None:
    """Run it."""
    await container.run()


def main(count: int, how: str) -> None:
    """Set everything up for so many messages, and run the job or leave it."""
    memory, job = memory_map.memory, memory_map.job
    for key, value in raw_orders(count):
        memory.put_raw(memory_map.orders, key, value)
    memory.close(memory_map.orders)
    if how != "run":
        return
    resolved: Any = running.resolved(job, memory.checkpoints())
    loop = CountedLoop()
    with use_seam(CountedSeam()):
        loop.run_until_complete(run(Container(resolved)))
    loop.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
