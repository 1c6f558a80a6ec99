"""Wrote the files in `written/` that are named `v1`, with format version 1 of checkpoint and log.

    python -m tests.compat.write_version_1 FOLDER

The bytes in the repository are what counts: they stay as they are when the code goes on. While
version 1 is the newest, a test holds this program to them.
"""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

from samza_py.checkpoint import Checkpoint, CheckpointStore, Claim, Grant, InputProgress, Run, Token
from samza_py.checkpoint_format import encode_checkpoint
from samza_py.connectors.local import LocalCheckpoints
from samza_py.message import END, Offset, Partition
from samza_py.seam import Seam, use_seam

JOB = "pricing"
FULL, IDLE, BUSY = "price/0", "price/idle", "totals/3"
CHECKPOINT, LOG, COMPACTED = "checkpoint.v1.json", "local.v1.log", "local-compacted.v1.log"


class Fixed(Seam):
    """The same clock and the same chance every time."""

    def __init__(self) -> None:
        super().__init__()
        self.random = random.Random(1)

    def now_ms(self) -> int:
        return 1_700_000_000_000


def full(epoch: int, number: int) -> Checkpoint:
    """A checkpoint with something in every field."""
    runs = (Run(Offset("882"), Offset("890")), Run(Offset("895"), Offset("895")))
    return Checkpoint(
        epoch,
        number,
        {
            Partition("kafka", "orders", "3"): InputProgress(Offset("881"), "topic-id-1", runs),
            Partition("kinesis", "clicks", "shardId-0"): InputProgress(END, "arn-1"),
            Partition("files", "flights", "0"): InputProgress(Offset("a.csv:100"), ""),
        },
        {"files.out": (Token('{"staged":"part-0"}'), Token("ümläut"))},
        {"counts": str(number), "seen": "1"},
        {"timers": {"daily": 1_700_000_000_000}, "straight": [["kafka", "orders", "3", "896"]]},
    )


async def commit(store: CheckpointStore, claim: Claim, number: int) -> None:
    """One commit with changes that overwrite and delete."""
    changes = {"counts": [(b"k%d" % (number % 5), b"v%d" % number), (b"gone", None)]}
    if number == 1:
        changes |= {"seen": [(b"\x00\xff", b"")]}
        changes["counts"][1] = (b"gone", b"soon")
    await store.write(claim, full(claim.epoch, number), changes)


async def write_log(path: Path, compact_above: str) -> None:
    """A file with three tasks, two owners of one of them, and one that never committed."""
    async with LocalCheckpoints(path, compact_above=compact_above).store(JOB) as store:
        await store.open(Grant(IDLE))
        for first in (1, 5):
            claim, _ = await store.open(Grant(FULL))
            for number in range(first, first + 4):
                await commit(store, claim, number)
        busy, _ = await store.open(Grant(BUSY))
        for number in range(1, 4):
            await store.write(busy, Checkpoint(busy.epoch, number))


def write(folder: Path) -> None:
    """Write all files."""
    (folder / CHECKPOINT).write_bytes(encode_checkpoint(full(7, 12)))
    for name, above in ((LOG, "64MiB"), (COMPACTED, "1KiB")):
        with use_seam(Fixed()):
            asyncio.run(write_log(folder / name, above))
        (folder / f"{name}.lock").unlink()


if __name__ == "__main__":
    write(Path(sys.argv[1]))
