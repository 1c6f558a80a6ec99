"""Where a person finds a record that failed: the file, and the line in it.

An offset says which byte a record ends at, which costs nothing to keep and nobody can look up. The
line is counted when a record has failed and at no other time, in a thread, by reading the file
once more; a failure near the last one is answered from what was read for that.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import Any, Final

from samza_py.connectors.files.compression import compression_of, parts_of
from samza_py.connectors.files.declared import FileInput
from samza_py.connectors.files.failures import DamagedError
from samza_py.connectors.files.offsets import WHOLE_FILE, Place, stamp_of
from samza_py.connectors.files.paths import shown
from samza_py.connectors.files.sources import Source
from samza_py.connectors.files.storage import Storage
from samza_py.errors import SamzaError

_PIECE_BYTES: Final = 1 << 17
_MOST_BYTES: Final = 1 << 28
"""How much is read to find one line: about a second's work. Past that the byte is told."""


@dataclass(frozen=True, slots=True)
class _Window:
    """Some content, and how many lines end in front of it.

    Attributes:
        place: the record that it was read for; says the file, the member, and its stamp.
        start: the byte of the content where it begins.
        lines: the line feeds in front of that.
        data: the content.
    """

    place: Place
    start: int = 0
    lines: int = 0
    data: bytes = b""

    @property
    def end(self) -> int:
        return self.start + len(self.data)

    def holds(self, place: Place) -> bool:
        """Whether the end of a record lies in it."""
        return self.reaches(place) and place.numbers[-1] <= self.end

    def reaches(self, place: Place) -> bool:
        """Whether the end of a record lies in it or behind it, in the same content."""
        mine = (self.place.name, self.place.stamp, self.place.numbers[:-1])
        its = (place.name, place.stamp, place.numbers[:-1])
        return mine == its and place.numbers[-1] > self.start

    def line(self, byte: int) -> int:
        """The line that a record which ends at a byte ends in, its own line feed not counted."""
        return self.lines + self.data.count(b"\n", 0, byte - 1 - self.start) + 1

    def moved(self, data: bytes) -> _Window:
        """The window with more content; what came before its last piece is let go."""
        kept = self.data[-_PIECE_BYTES:]
        gone = len(self.data) - len(kept)
        lines = self.lines + self.data.count(b"\n", 0, gone)
        return _Window(self.place, self.start + gone, lines, kept + data)


class LineFinder:
    """Finds the lines of one partition's records. Holds one file open at most.

    Args:
        storage: where the files are.
        stream: the input, which says how they are packed.
        root: as the user wrote it.
    """

    def __init__(self, storage: Storage, stream: FileInput[Any], root: str) -> None:
        self._storage = storage
        self._stream = stream
        self._root = root
        self._lock = Lock()
        self._source: Source | None = None
        self._window: _Window | None = None

    def known(self, place: Place) -> str | None:
        """The place of a record in words, where it is known without reading anything."""
        byte, window = place.numbers[-1], self._window
        if byte >= WHOLE_FILE:
            return self._file(place)
        if window is not None and window.holds(place):
            return f"{self._file(place)} line {window.line(byte)}"
        return None

    def find(self, place: Place) -> str:
        """The place of a record in words. Blocking: called in a thread."""
        with self._lock:
            try:
                self._look(place)
            except (SamzaError, DamagedError, OSError):
                self._forget()  # who cannot read the file here is told so by its reader
        return self.known(place) or f"{self._file(place)}, up to byte {place.numbers[-1]}"

    def close(self) -> None:
        """Close what is open. Blocking, idempotent."""
        with self._lock:
            self._forget()

    def _look(self, place: Place) -> None:
        window = self._window
        if window is None or not window.reaches(place) or self._source is None:
            self._forget()
            self._source = self._opened(place)
            window = _Window(place)
        source, byte = self._source, place.numbers[-1]
        if source is None or byte - window.end > _MOST_BYTES:
            return
        while window.end < byte:
            data = source.read(_PIECE_BYTES)
            if not data:
                break
            window = window.moved(data)
        self._window = window

    def _opened(self, place: Place) -> Source | None:
        """The content that a record lies in; None where the file is another one by now."""
        with self._storage.open(place.name) as file:
            size = file.seek(0, 2)
            if stamp_of(file, size) != place.stamp:
                return None
        kind = compression_of(place.name, self._stream.compression)
        most = self._stream.max_decompressed_bytes
        parts = parts_of(lambda: self._storage.open(place.name), size, kind, most)
        return next((p.opened() for p in parts if p.outer == place.numbers[:-1]), None)

    def _file(self, place: Place) -> str:
        path = place.name if self._root in ("", ".") else f"{self._root.rstrip('/')}/{place.name}"
        member = "".join(f" member {number + 1}" for number in place.numbers[:-1])
        return f"{shown(path)}{member}"

    def _forget(self) -> None:
        source, self._source = self._source, None
        self._window = None
        if source is not None:
            source.close()
