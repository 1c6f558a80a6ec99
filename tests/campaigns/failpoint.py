"""Runs the command line in this process and kills it with SIGKILL at a named point.

    CAMPAIGN_KILL=commit.staged:2 CAMPAIGN_HITS=hits.json python failpoint.py run job.py

`CAMPAIGN_FILE_LIMIT` is the size in bytes that no file of the process may exceed: a write behind it
fails, as on a full disk. `CAMPAIGN_USED` names a file that is told the most memory it ever had.

Nothing of this is in the package: it puts a seam of its own in the place of the real one. What it
leaves, where the process ends by itself, is how often each point was reached.
"""

from __future__ import annotations

import atexit
import json
import os
import resource
import signal
import sys
import threading
from collections import Counter
from pathlib import Path

from samza_py.cli import main
from samza_py.seam import Seam, use_seam


class KillingSeam(Seam):
    """The real world, until a point is reached for the wanted time.

    Args:
        point: which; empty for none.
        hit: for which time, from 1.
    """

    def __init__(self, point: str, hit: int) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self._point = point
        self._hit = hit
        self._turn = threading.Lock()

    def reached(self, point: str) -> None:
        """Count it; end here if it is the one. Called on the loop and in threads."""
        with self._turn:
            self.counts[point] += 1
            if point == self._point and self.counts[point] == self._hit:
                os.kill(os.getpid(), signal.SIGKILL)


def most_memory() -> int:
    """The most memory that this process ever had, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def run() -> int:
    """Run the command line with the points that the environment names."""
    point, _, hit = os.environ.get("CAMPAIGN_KILL", "").partition(":")
    killing = KillingSeam(point, int(hit or 1))
    limit = int(os.environ.get("CAMPAIGN_FILE_LIMIT", "0"))
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    used = os.environ.get("CAMPAIGN_USED")
    if used:
        atexit.register(lambda: Path(used).write_text(str(most_memory())))
    hits = os.environ.get("CAMPAIGN_HITS")
    if hits:
        atexit.register(lambda: Path(hits).write_text(json.dumps(killing.counts)))
    with use_seam(killing):
        return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(run())
