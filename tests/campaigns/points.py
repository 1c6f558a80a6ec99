"""The named points of the source, found in the source: a new one is in the campaign by itself."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
JOB = Path(__file__).resolve().parent / "jobs" / "counting.py"
_CALL = re.compile(r"\breached\((?P<argument>[^)]*)\)")
_LITERAL = re.compile(r'"([a-z_.]+)"')

OUT_OF_REACH = {
    "commit.in_transaction": "needs a system with transactions: the simulator kills there",
}
"""Points that no job over files comes to, and who else kills there."""


def sources() -> list[Path]:
    """Every file that may have a point."""
    folders = (ROOT / "runtime", ROOT / "connectors", ROOT / "samza_py")
    found = {path.resolve() for folder in folders for path in folder.rglob("*.py")}
    return sorted(found - {ROOT / "samza_py" / "seam.py"})


def points_in(path: Path) -> list[str]:
    """The points of one file.

    Raises:
        ValueError: one has no literal name, so that nobody could list it.
    """
    found: list[str] = []
    for call in _CALL.finditer(path.read_text()):
        literal = _LITERAL.fullmatch(call["argument"].strip())
        if literal is None:
            raise ValueError(f"{path}: {call[0]} does not name its point")
        found.append(literal[1])
    return found


def named_points() -> list[str]:
    """The points that a job over files can be killed at: the engine's, and those of user code."""
    found = {point for path in [*sources(), JOB] for point in points_in(path)}
    return sorted(found - OUT_OF_REACH.keys())
