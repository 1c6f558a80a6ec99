"""Wrote the files in `written/` that are named `files`: all that `files` puts into a checkpoint.

    python -m tests.compat.write_files FOLDER

Offsets, lineages and a token, as the connector gives them for what lies in `inputs/`, in the local
log of a job that was stopped in the middle. The number in the name is the version of the lineage.
The bytes in the repository are what counts, those in `inputs/` too.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from samza_py.checkpoint import Checkpoint, Claim, Grant, InputProgress, Run
from samza_py.connectors.files import FileInput, FileOutput, Files
from samza_py.connectors.files.listing import VERSION
from samza_py.connectors.local import LocalCheckpoints
from samza_py.message import END, Outgoing, Partition
from samza_py.producer import TwoPhaseProducer
from samza_py.seam import use_seam
from tests.compat.write_version_1 import Fixed
from tests.connectors.files.reading import partitions_of, read_on

INPUTS = Path(__file__).parent / "inputs"
JOB, TASK = "copying", "copy/0"
NAME = f"files.v{VERSION}.log"

STAGED = b'"staged"\n'


def declared(root: Path) -> tuple[Mapping[str, FileInput[Any]], FileOutput[Any]]:
    """One input of each kind that has offsets or a lineage of its own, and an output."""
    files = Files(root=str(root))
    inputs: dict[str, FileInput[Any]] = {
        "letters": files.text("letters", "letters", max_partitions=1),
        "flights": files.csv("flights", "flights.csv", value=dict[str, str]),
        "archive": files.text("archive", "*.zip", max_partitions=1),
        "counts": files.jsonl("counts", "counts.jsonl", value=int),
    }
    return inputs, files.jsonl_output("out", "out", value=str)


LEFT: list[Any] = [
    *("e", "f", "g"),
    *({"number": f"UA{n:04}", "to": "IAH"} for n in (*range(901, 910), *range(920, 1000))),
    "four",
]
"""What the kept checkpoint leaves to be read."""


async def progress() -> dict[Partition, InputProgress]:
    """In the middle of a file, of a packed one and of a zip's member, and at an end."""
    found: dict[Partition, InputProgress] = {}
    for name, stream in declared(INPUTS)[0].items():
        ((partition, lineage),) = (await partitions_of(stream)).items()
        offsets = [message.offset for message in await read_on(stream)]
        if name == "letters":
            found[partition] = InputProgress(offsets[3], lineage)
        elif name == "flights":
            runs = (Run(offsets[910], offsets[919]),)
            found[partition] = InputProgress(offsets[900], lineage, runs)
        elif name == "archive":
            found[partition] = InputProgress(offsets[2], lineage)
        else:
            found[partition] = InputProgress(END, lineage)
    return found


async def write_log(path: Path) -> None:
    """The log of a job that has staged a part and not finished it."""
    with tempfile.TemporaryDirectory() as root:
        async with LocalCheckpoints(path).store(JOB) as store:
            claim, _ = await store.open(Grant(TASK))
            _, out = declared(Path(root))
            producer = out.system.producer({"out": out}, Claim(TASK, claim.epoch, job=JOB))
            assert isinstance(producer, TwoPhaseProducer)
            async with producer:
                await producer.write([Outgoing("out", None, STAGED.strip())])
                tokens = tuple((await producer.stage())["out"])
            checkpoint = Checkpoint(claim.epoch, 1, await progress(), {"files.out": tokens})
            await store.write(claim, checkpoint)


def write(folder: Path) -> None:
    """Write all files."""
    with use_seam(Fixed()):
        asyncio.run(write_log(folder / NAME))
    (folder / f"{NAME}.lock").unlink()


if __name__ == "__main__":
    write(Path(sys.argv[1]))
