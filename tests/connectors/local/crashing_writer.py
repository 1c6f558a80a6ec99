"""Commits for three tasks at once until it kills itself at a named point, or has done its share.

    python crashing_writer.py FILE COMMITS POINT HIT

Says ``TASK NUMBER`` for each commit that was acknowledged.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from samza_py.checkpoint import CheckpointStore, Grant
from samza_py.connectors.local import LocalCheckpoints, log
from samza_py.seam import Seam, use_seam
from tests.connectors.local.workload import JOB, commit

TASKS: tuple[str, ...] = ("price/0", "price/1", "price/2")


class Killing(Seam):
    """Kills the process at a point."""

    def __init__(self, point: str, hit: int) -> None:
        super().__init__()
        self.point = point
        self.left = hit

    def reached(self, point: str) -> None:
        """Count the point down."""
        if point == self.point:
            self.left -= 1
            if self.left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)


async def work(store: CheckpointStore, task: str, commits: int) -> None:
    """Go on where the task's checkpoint is."""
    claim, found = await store.open(Grant(task))
    number = found.number if found else 0
    for each in range(number + 1, number + commits + 1):
        await commit(store, claim, each)
        print(task, each, flush=True)


async def main(path: str, commits: int) -> None:
    """Run all tasks."""
    async with LocalCheckpoints(path, compact_above="16KiB").store(JOB) as store:
        await asyncio.gather(*(work(store, task, commits) for task in TASKS))


if __name__ == "__main__":
    file, count, where, nth = sys.argv[1:]
    log.SLICE_BYTES = 1  # a compaction takes many commits
    with use_seam(Killing(where, int(nth))):
        asyncio.run(main(file, int(count)))
