"""What differs between two lineages of an input, in the words of whoever declared it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_LINEAGE: Final = re.compile(
    r"files/1 (?P<format>.*) (?P<compression>infer|none|gzip|zstd|zip) (?P<path>.*)"
    r" in (?P<partitions>\d+) partitions: (?P<files>.*), [0-9a-f]{16}",
    re.DOTALL,
)
_FILE: Final = re.compile(r"(.+?) \((\d+) bytes\)(?:, |$)", re.DOTALL)
_MANY: Final = re.compile(r"\d+ files, \d+ bytes")


def what_changed(before: str, now: str) -> str:
    """Name the declared thing that is another one, or the files that are.

    Args:
        before: a lineage as ``lineage_of`` makes it.
        now: another.
    """
    old, new = _LINEAGE.fullmatch(before), _LINEAGE.fullmatch(now)
    if old is None or new is None:
        return f"it had lineage {before}, now it is {now}"
    declared = [
        f"{what} was {old[name]} and is {new[name]}"
        for name, what in (
            ("format", "the format"),
            ("compression", "compression"),
            ("path", "the path"),
            ("partitions", "max_partitions"),
        )
        if old[name] != new[name]
    ]
    if declared:
        return "its declaration: " + ", ".join(declared)
    return "its set of files: " + ", ".join(_files(old["files"], new["files"]))


def _files(old: str, new: str) -> Iterator[str]:
    if _MANY.fullmatch(old) or _MANY.fullmatch(new) or old == new:
        yield f"it was {old} and is {new}" if old != new else "files have other names or sizes"
        return
    before, now = dict(_FILE.findall(old)), dict(_FILE.findall(new))
    for name in sorted({*before, *now}):
        if name not in now:
            yield f"{name} is gone"
        elif name not in before:
            yield f"{name} is new"
        elif before[name] != now[name]:
            yield f"{name} had {before[name]} bytes and has {now[name]}"
