"""How the progress of a run is shown: drawn on a terminal, or as lines of the log."""

from __future__ import annotations

import logging
import shutil
import sys
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

from samza_py.cli.amounts import count, duration, rate
from samza_py.cli.logs import write_line
from samza_py.cli.progress import (
    Progress,
    Snapshot,
    closing_line,
    eta_text,
    fields,
    lag_text,
    progress_line,
)
from samza_py.cli.screen import Line, Screen, can_draw, open_screen
from samza_py.runtime.statistics import ContainerStatistics

logger = logging.getLogger("samza_py.progress")

LINE_EVERY_S = 10.0

Mode = Literal["auto", "live", "lines", "none"]


class Display:
    """Shows one run. Made before logging is configured, since lines of the log go above it."""

    #: Seconds between two calls of ``tick``.
    every_s = 1.0

    def __init__(self) -> None:
        self.progress = Progress()
        self._said_at = 0.0

    def write(self, line: str) -> None:
        """Put a finished line where it can be seen."""
        write_line(line)

    def open(self) -> None:
        """Begin to show."""

    def tick(self, now: ContainerStatistics) -> None:
        """Take in the counters of this moment; show them where it is time to."""
        snapshot = self.progress.add(now)
        if snapshot.running_s - self._said_at >= LINE_EVERY_S:
            self._said_at = snapshot.running_s
            logger.info("%s", progress_line(snapshot), extra=fields(snapshot))

    def close(self, now: ContainerStatistics, outcome: str) -> None:
        """Show the end of the run."""
        last = self.progress.add(now)
        logger.info("%s", closing_line(last, outcome), extra=fields(last))


class Silent(Display):
    """Shows nothing while the job runs, and one line when it has ended."""

    def tick(self, now: ContainerStatistics) -> None:
        """Nothing."""


class Live(Display):
    """Draws the state of the run at the end of the terminal, four times a second."""

    every_s = 0.25

    def __init__(self, job: str, screen: Screen) -> None:
        super().__init__()
        self._job = job
        self._screen = screen
        self._open = False

    def write(self, line: str) -> None:
        """Print above the drawing."""
        if self._open:
            self._screen.above(line)
        else:
            write_line(line)

    def open(self) -> None:
        """Take the terminal."""
        self._screen.open()
        self._open = True

    def tick(self, now: ContainerStatistics) -> None:
        """Draw the counters of this moment."""
        self._draw(now)

    def close(self, now: ContainerStatistics, outcome: str) -> None:
        """Draw the last state, give the terminal back, and say how it ended."""
        self._draw(now)
        self._open = False
        self._screen.close()
        super().close(now, outcome)

    def _draw(self, now: ContainerStatistics) -> None:
        width = shutil.get_terminal_size().columns - 1
        self._screen.show(drawn(self._job, self.progress.add(now), width))


def display(mode: Mode, job: str, *, as_json: bool) -> Display:
    """The display that a mode means here."""
    if mode == "none":
        return Silent()
    drawable = can_draw(sys.stderr) and not as_json
    if mode == "live" or (mode == "auto" and drawable):
        return Live(job, open_screen())
    return Display()


def repeat(call_later: Callable[..., Any], shown: Display, read: Callable[[], Any]) -> None:
    """Have the display tick as long as the loop runs."""

    def tick() -> None:
        shown.tick(read())
        call_later(shown.every_s, tick)

    call_later(shown.every_s, tick)


# The drawing ---------------------------------------------------------------------------------

_BAR = 30


_Field: TypeAlias = tuple[int, Line]
"""A part of a line that is shown whole or not at all, and its rank: the highest goes first."""


def drawn(job: str, now: Snapshot, width: int = sys.maxsize) -> list[Line]:
    """The lines that are drawn on a terminal, without the fields that have no room in a width."""
    total = now.total
    dead, skipped, retries = (
        _pair("dead letters", count(total.dead), "red" if total.dead else ""),
        _pair("skipped", count(total.skipped), "yellow" if total.skipped else ""),
        _pair("retries", count(total.retries), "yellow" if total.retries else ""),
    )
    lines = [
        _fitted(width, (0, [(job, "bold"), ("  ", "")]), *_bar(now)),
        _fitted(
            width,
            (0, _pair("in", f"{count(total.received):>12}")),
            (0, [(f"{rate(now.in_rate):>12}   ", "cyan")]),
            (1, dead),
            (2, skipped),
            (3, retries),
        ),
        _fitted(
            width,
            (0, _pair("out", f"{count(total.sent):>11}")),
            (0, [(f"{rate(now.out_rate):>12}   ", "cyan")]),
            (1, _pair("buffered", count(now.buffered))),
            (2, _pair("unsettled", count(now.unsettled))),
            (4, _pair("tasks", count(now.tasks))),
            (3, _pair("commits", count(total.commits))),
        ),
    ]
    lines.extend([("! ", "yellow"), (cause, "yellow")] for cause in now.stalled[:3])
    return lines


def _bar(now: Snapshot) -> list[_Field]:
    running = (3, _pair("running", duration(now.running_s)))
    if now.done_share is None:
        return [(0, _pair("lag", lag_text(now))), running]
    done = int(now.done_share * _BAR)
    return [
        (2, [("━" * done, "green"), ("─" * (_BAR - done), "dim"), (" ", "")]),
        (0, [(f"{now.done_share:4.0%}   ", "")]),
        (0, _pair("left", lag_text(now))),
        (1, _pair("ETA", eta_text(now))),
        running,
    ]


def _fitted(width: int, *fields: _Field) -> Line:
    """The fields side by side; those of the highest rank are left out until they fit."""
    kept = list(fields)
    while len(kept) > 1 and _width(kept) > width:
        kept.remove(max(kept, key=lambda field: field[0]))
    return [piece for _, line in kept for piece in line]


def _width(fields: Sequence[_Field]) -> int:
    return len("".join(text for _, line in fields for text, _ in line).rstrip())


def _pair(name: str, value: str, style: str = "") -> Line:
    return [(f"{name} ", "dim"), (value, style), ("   ", "")]
