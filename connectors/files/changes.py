"""What differs between two lineages of an input, in the words of whoever declared it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

_LINEAGE: Final = re.compile(
    r"files/[12] (?P<format>.*) (?P<compression>infer|none|gzip|zstd|zip) (?P<path>.*)"
    r" in (?P<partitions>\d+) partitions: (?P<files>.*),"
    r" (?P<names>[0-9a-f]{16})(?:\.(?P<contents>[0-9a-f]{16}))?",
    re.DOTALL,
)
_FILE: Final = re.compile(r"(.+?) \((\d+) bytes(?:, ([0-9a-f]{8}))?\)(?:, |$)", re.DOTALL)
_MANY: Final = re.compile(r"\d+ files, \d+ bytes")


def what_changed(before: str, now: str) -> str:
    """Name the declared thing that is another one, or the files that are.

    Args:
        before: a lineage as ``lineage_of`` makes it, or made it in an earlier version.
        now: another.

    Returns:
        Empty where nothing has changed, as far as both tell: version 1 knew no contents.
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
    if old["names"] != new["names"]:
        told = list(_files(old["files"], new["files"])) or ["files have other names or sizes"]
        return "its set of files: " + ", ".join(told)
    if None not in (old["contents"], new["contents"]) and old["contents"] != new["contents"]:
        told = list(_files(old["files"], new["files"])) or ["one or more have other content"]
        return "its files: " + ", ".join(told)
    return ""


def _files(old: str, new: str) -> Iterator[str]:
    """What differs, as far as the two name their files or count them."""
    if _MANY.fullmatch(old) or _MANY.fullmatch(new):
        if old != new:
            yield f"it was {old} and is {new}"
        return
    before, now = ({f[1]: f for f in _FILE.finditer(listed)} for listed in (old, new))
    for name in sorted({*before, *now}):
        if name not in now:
            yield f"{name} is gone"
        elif name not in before:
            yield f"{name} is new"
        elif before[name][2] != now[name][2]:
            yield f"{name} had {before[name][2]} bytes and has {now[name][2]}"
        elif before[name][3] and before[name][3] != now[name][3]:
            yield f"{name} has other content"
