"""A part file while it is written, under its hidden name."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import BinaryIO, Final

from samza_py.connectors.files.failures import writing
from samza_py.connectors.files.storage import Storage
from samza_py.errors import ConnectorError
from samza_py.seam import seam

_WRITE_BYTES: Final = 1 << 16
"""How much is gathered before a thread writes it."""


class StagedPart:
    """One staged file while it is written.

    The loop gathers lines, threads write them out. A thread whose call was cancelled runs on, so
    that two may be here at once: whichever has the turn writes what was gathered first. What goes
    wrong once is wrong for good, or a part with a hole would be finished.

    Args:
        storage: where it lies.
        staged: its hidden name.
        final: the name it gets when it is finished.
    """

    def __init__(self, storage: Storage, staged: str, final: str) -> None:
        self.staged = staged
        self.final = final
        self._storage = storage
        self._gathered: list[bytes] = []
        self._size = 0
        self._waiting: deque[bytes] = deque()
        self._file: BinaryIO | None = None
        self._failure: ConnectorError | None = None
        self._turn = threading.Lock()

    def add(self, lines: bytes) -> bool:
        """Gather lines; gives whether it is time to write."""
        self._gathered.append(lines)
        self._size += len(lines)
        if self._size < _WRITE_BYTES:
            return False
        self.hand_over()
        return True

    def hand_over(self) -> None:
        """Give what was gathered to the next thread that comes."""
        if self._gathered:
            self._waiting.append(b"".join(self._gathered))
            self._gathered, self._size = [], 0

    def write(self) -> None:
        """Write what was handed over. Runs in a thread.

        Raises:
            ConnectorError: it could not be written, now or earlier.
        """
        with self._turn, self._remembering():
            self._write()

    def seal(self) -> None:
        """Write the rest and make all of it durable under its staged name. Runs in a thread.

        Raises:
            ConnectorError: it could not be written, now or earlier.
        """
        with self._turn, self._remembering():
            file = self._write()
            seam().reached("files.stage.before_sync")
            self._storage.seal(file, self.staged)
            seam().reached("files.stage.synced")

    def close(self) -> None:
        """Close it as it is. Runs in a thread."""
        with self._turn:
            file, self._file = self._file, None
            if file is not None:
                # What the disk says of a part that is given up has no consequence.
                with suppress(OSError):
                    file.close()

    def _write(self) -> BinaryIO:
        file = self._file
        if file is None:
            seam().reached("files.write.before_create")
            file = self._file = self._storage.create(self.staged)
        while self._waiting:
            rest = memoryview(self._waiting.popleft())
            while rest:
                rest = rest[file.write(rest) :]
            seam().reached("files.write.written")
        return file

    @contextmanager
    def _remembering(self) -> Generator[None]:
        if self._failure is not None:
            raise self._failure
        try:
            with writing(self.staged, self._storage.free_bytes):
                yield
        except ConnectorError as error:
            self._failure = error
            raise
