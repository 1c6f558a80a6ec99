"""What a file costs in memory: places of records, never its keys and values."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

MEASURED = """
import asyncio, resource, sys
from samza_py.checkpoint import Checkpoint, Grant
from samza_py.connectors.local import LocalCheckpoints
from tests.connectors.local.workload import JOB

def peak():
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size if sys.platform == "darwin" else size << 10

async def write(path):
    async with LocalCheckpoints(path).store(JOB) as store:
        claim, _ = await store.open(Grant("price/0"))
        for number in range(100):
            changes = [(b"%d" % (number * 3000 + n), b"x" * 100) for n in range(3000)]
            checkpoint = Checkpoint(claim.epoch, number, stores={"counts": str(number)})
            await store.write(claim, checkpoint, {"counts": changes})

async def read(path):
    async with LocalCheckpoints(path).store(JOB) as store:
        before = peak()
        claim, found = await store.open(Grant("price/0"))
        entries = 0
        async for batch in store.restore(claim, "counts", "99"):
            entries += len(batch)
        print(entries, peak() - before)

asyncio.run(globals()[sys.argv[1]](sys.argv[2]))
"""


def run(what: str, path: Path) -> str:
    return subprocess.run(
        [sys.executable, "-c", MEASURED, what, str(path)],
        capture_output=True,
        text=True,
        timeout=50,
        check=True,
        cwd=Path(__file__).parents[3],
    ).stdout


def test_opening_and_restoring_hold_a_small_part_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.log"
    run("write", path)
    assert path.stat().st_size > 30 << 20
    entries, grown = map(int, run("read", path).split())
    assert entries == 300_000
    assert grown < 12 << 20
