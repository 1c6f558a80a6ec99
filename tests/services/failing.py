"""How a service says that it cannot be had: a failure of the test, never a skip."""

from __future__ import annotations

from pathlib import Path

TAIL_LINES = 30


class ServiceError(Exception):
    """A server is not there, does not start, or does not do in time what it was asked for."""


def tail(log: Path, lines: int = TAIL_LINES) -> str:
    """The last lines of a server's log, with where the rest of it is."""
    try:
        said = log.read_text(errors="replace").splitlines()[-lines:]
    except FileNotFoundError:
        said = ["(there is no log)"]
    return "\n".join([f"the end of {log}:", *(f"  {line}" for line in said)])
