"""An open file and what it holds; frames are added at its end."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from samza_py.connectors.local import disk
from samza_py.connectors.local.framing import Header, Place, pack_frame, pack_header
from samza_py.connectors.local.index import Index
from samza_py.connectors.local.records import Record
from samza_py.connectors.local.view import View


@dataclass(slots=True)
class OpenFile:
    """A file whose records are known.

    Attributes:
        path: its name.
        fd: open for reading and writing; whoever has the file closes it.
        header: what it says of itself.
        index: where its records are.
        end: where the next frame goes.
    """

    path: Path
    fd: int
    header: Header
    index: Index
    end: int

    def write(self, payloads: Sequence[bytes]) -> tuple[list[Place], int]:
        """Write one frame behind the last one, without waiting for the disk.

        It counts only after ``take``; until then the next ``write`` goes to the same place.

        Returns:
            The records' places, and where the frame ends.

        Raises:
            OSError: a part of it may have been written.
        """
        frame, places = pack_frame(payloads, self.end, self.header.seed)
        disk.write_all(self.fd, frame, self.end)
        return places, self.end + len(frame)

    def take(self, records: Sequence[Record], places: Sequence[Place], end: int) -> None:
        """Let a frame count that was written."""
        for record, place in zip(records, places, strict=True):
            self.index.take(record, place)
        self.end = end

    def cut(self) -> None:
        """Remove what stands behind the last frame that counts, for good.

        Raises:
            OSError: it may still be there.
        """
        os.ftruncate(self.fd, self.end)
        disk.sync(self.fd)

    def epoch(self, task: str) -> int:
        """Of the task's newest claim; the header's floor where there is none."""
        known = self.index.tasks.get(task)
        return max(known.epoch if known else 0, self.header.floor)

    def view(self) -> View:
        """A view of it as it is now; with a descriptor of its own."""
        return View(self.path, os.dup(self.fd), self.header.seed)


def create(path: Path, header: Header) -> OpenFile:
    """A new file with a header and no frames, in place of one that is there; not yet on the disk.

    Raises:
        OSError: nothing is left of it.
    """
    fd = disk.open_private(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        start = pack_header(header)
        disk.write_all(fd, start, 0)
    except BaseException:
        os.close(fd)
        path.unlink(missing_ok=True)
        raise
    return OpenFile(path, fd, header, Index(), len(start))
