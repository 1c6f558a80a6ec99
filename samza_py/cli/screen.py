"""A few lines at the bottom of a terminal that are drawn anew, with everything else above them."""

from __future__ import annotations

import importlib.util
import io
import os
import shutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, TextIO, TypeAlias

Line: TypeAlias = Sequence[tuple[str, str]]
"""Pieces of text with their style: ``bold``, ``dim``, ``red``, ``green``, ``yellow``, ``cyan``."""

_ANSI = {"bold": 1, "dim": 2, "red": 31, "green": 32, "yellow": 33, "cyan": 36}


class Screen(ABC):
    """Owns the end of the terminal from ``open`` to ``close``."""

    def open(self) -> None:
        """Begin: what is printed from now on goes above the lines."""

    @abstractmethod
    def show(self, lines: Sequence[Line]) -> None:
        """Draw these lines in the place of the earlier ones."""

    @abstractmethod
    def above(self, text: str) -> None:
        """Print a finished line above them."""

    @abstractmethod
    def close(self) -> None:
        """Leave the last lines standing and give the terminal back."""


def can_draw(stream: TextIO) -> bool:
    """Whether lines can be drawn anew there."""
    return stream.isatty() and os.environ.get("TERM", "") not in ("", "dumb")


def in_colour(stream: TextIO) -> bool:
    """Whether colours are wanted there: on a terminal, unless ``NO_COLOR`` is set."""
    return can_draw(stream) and not os.environ.get("NO_COLOR")


def styled(line: Line, *, colour: bool, width: int | None = None) -> str:
    """A line with its styles as escape sequences, cut to a width."""
    parts: list[str] = []
    left = width if width is not None else sys.maxsize
    for text, style in line:
        piece = text[:left]
        left -= len(piece)
        code = _ANSI.get(style)
        parts.append(f"\x1b[{code}m{piece}\x1b[0m" if colour and code and piece else piece)
    return "".join(parts)


def open_screen() -> Screen:
    """The best screen that can be had here: rich where it is installed, else escape sequences."""
    if importlib.util.find_spec("rich") is None:
        return PlainScreen(sys.stderr)
    return RichScreen()


class PlainScreen(Screen):
    """Escape sequences that every terminal knows, and nothing to install."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._colour = in_colour(stream)
        self._lines: Sequence[Line] = ()
        self._drawn = 0
        self._stdout: TextIO | None = None

    def open(self) -> None:
        """Send what the job itself prints above the lines, where both go to the terminal."""
        if sys.stdout.isatty():
            self._stdout = sys.stdout
            sys.stdout = _Redirected(self)

    def show(self, lines: Sequence[Line]) -> None:
        """Draw in place of the earlier ones."""
        self._lines = lines
        self._stream.write(self._erase() + self._draw())
        self._stream.flush()

    def above(self, text: str) -> None:
        """Print above, then draw the lines again."""
        self._stream.write(f"{self._erase()}{text}\n{self._draw()}")
        self._stream.flush()

    def close(self) -> None:
        """Leave the lines standing."""
        if self._stdout is not None:
            sys.stdout.flush()
            sys.stdout = self._stdout
            self._stdout = None
        self._lines, self._drawn = (), 0

    def _erase(self) -> str:
        return f"\x1b[{self._drawn}F\x1b[J" if self._drawn else ""

    def _draw(self) -> str:
        # A line that wraps would be two, and too few would be erased.
        width = shutil.get_terminal_size().columns - 1
        self._drawn = len(self._lines)
        return "".join(f"{styled(li, colour=self._colour, width=width)}\n" for li in self._lines)


class _Redirected(io.TextIOBase):
    """Standard output while lines are drawn: whole lines go above them."""

    def __init__(self, screen: PlainScreen) -> None:
        self._screen = screen
        self._rest = ""

    def write(self, text: str, /) -> int:
        *whole, self._rest = (self._rest + text).split("\n")
        for line in whole:
            self._screen.above(line)
        return len(text)

    def flush(self) -> None:
        return None

    def isatty(self) -> bool:
        return True

    def close(self) -> None:
        if self._rest:
            self._screen.above(self._rest)
            self._rest = ""


class RichScreen(Screen):
    """The same with rich, which knows more terminals and wide characters."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            redirect_stdout=sys.stdout.isatty(),
            redirect_stderr=True,
            vertical_overflow="crop",
        )

    def open(self) -> None:
        """Take the terminal."""
        self._live.start()

    def show(self, lines: Sequence[Line]) -> None:
        """Draw in place of the earlier ones."""
        self._live.update(self._text(lines), refresh=True)

    def above(self, text: str) -> None:
        """Print above."""
        from rich.text import Text

        self._console.print(Text(text), soft_wrap=True)

    def close(self) -> None:
        """Leave the lines standing."""
        self._live.stop()

    @staticmethod
    def _text(lines: Sequence[Line]) -> Any:
        from rich.text import Text

        body = Text(no_wrap=True, overflow="ellipsis")
        for number, line in enumerate(lines):
            body.append("\n" if number else "")
            for piece, style in line:
                body.append(piece, style=style or None)
        return body
