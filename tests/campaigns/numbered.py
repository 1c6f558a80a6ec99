"""Writes the input of a campaign: records that say themselves who they are.

Every record carries its own partition and number, so that a checker can tell what is lost, doubled
or out of order from input and output alone. Some fail in the handler for ever, some once, some
cannot be decoded at all.
"""

from __future__ import annotations

import gzip
import json
import random
import zipfile
from dataclasses import dataclass
from pathlib import Path

KEYS = 20
"""How many keys the state is kept for."""

POISON = -1
"""The amount for which the handler always raises."""

FORMATS = ("jsonl", "jsonl.gz", "jsonl.zip")


@dataclass(frozen=True)
class Load:
    """How much there is to read.

    Attributes:
        files: each is one numbered partition of the checker's.
        records: in each file, broken lines included.
        poison: one record in so many fails for ever; 0 for none.
        broken: one line in so many is no JSON; 0 for none.
        first_has: which part of all records the first file gets, where the load is skewed.
    """

    files: int = 8
    records: int = 150
    poison: int = 83
    broken: int = 101
    first_has: float | None = None


def write_input(folder: Path, load: Load, seed: int) -> int:
    """Write the files; how many lines they hold."""
    folder.mkdir(parents=True, exist_ok=True)
    chance = random.Random(seed)
    total = 0
    for partition in range(load.files):
        lines = [
            _line(partition, number, load, chance) for number in range(_share(load, partition))
        ]
        _write(folder / f"in-{partition:02d}", FORMATS[partition % len(FORMATS)], lines)
        total += len(lines)
    return total


def _share(load: Load, partition: int) -> int:
    if load.first_has is None or load.files == 1:
        return load.records
    whole = load.records * load.files
    first = int(whole * load.first_has)
    return first if partition == 0 else (whole - first) // (load.files - 1)


def _line(partition: int, number: int, load: Load, chance: random.Random) -> str:
    place = f'"partition": {partition}, "number": {number}'
    if load.broken and chance.randrange(load.broken) == 0:
        return f'{{{place}, "key": broken'
    poison = load.poison and chance.randrange(load.poison) == 0
    amount = POISON if poison else chance.randrange(100)
    key = f"k{chance.randrange(KEYS):02d}"
    return json.dumps({"partition": partition, "number": number, "key": key, "amount": amount})


def _write(path: Path, suffix: str, lines: list[str]) -> None:
    data = "".join(f"{line}\n" for line in lines).encode()
    target = path.with_name(f"{path.name}.{suffix}")
    if suffix == "jsonl.gz":
        target.write_bytes(gzip.compress(data, mtime=0))
    elif suffix == "jsonl.zip":
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(f"{path.name}.jsonl", data)
    else:
        target.write_bytes(data)
