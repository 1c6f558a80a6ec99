"""A file as it was at one moment, whatever is appended to it or put in its place since."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from samza_py.checkpoint import Change, Checkpoint
from samza_py.checkpoint_format import decode_checkpoint
from samza_py.connectors.local import disk
from samza_py.connectors.local.framing import Place, damaged, read_record
from samza_py.connectors.local.records import Committed, Record, changes_of, decode_record

BATCH_CHANGES: Final = 1000
BATCH_BYTES: Final = 256 << 10


class View:
    """Reads records of a file by their places; usable until it is closed.

    Args:
        path: for messages.
        fd: an open descriptor of the file; closed with the view.
        seed: the file header's.
    """

    def __init__(self, path: Path, fd: int, seed: int) -> None:
        self._path = path
        self._fd = fd
        self._seed = seed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the descriptor. Idempotent."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        # A caller that is cancelled while its thread makes a view never gets to see it.
        self.close()

    def record(self, place: Place) -> Record:
        """The record at a place.

        Raises:
            CorruptCheckpointError: its bytes are others than when it was written or scanned.
        """
        payload = read_record(self._fd, place, self._seed)
        try:
            if payload is not None:
                return decode_record(payload)
        except msgspec.DecodeError:
            pass
        raise damaged(self._path, place.offset, "a record has changed since the file was opened")

    def checkpoint(self, place: Place) -> Checkpoint:
        """The checkpoint of the commit at a place.

        Raises:
            CorruptCheckpointError: it is damaged, or of a newer version.
        """
        record = self.record(place)
        if not isinstance(record, Committed):
            raise damaged(self._path, place.offset, "a commit should stand here")
        return decode_checkpoint(record.checkpoint, f"{self._path} byte {place.offset}")

    def changes(self, place: Place, store: str) -> Sequence[Change]:
        """What the record at a place says of a store.

        Raises:
            CorruptCheckpointError: it is damaged.
        """
        try:
            return changes_of(self.record(place), store)
        except msgspec.DecodeError as error:
            raise damaged(self._path, place.offset, f"changes cannot be read: {error}") from error


class Restoring:
    """A store's entries, read back a batch at a time, in threads.

    Args:
        view: closed with this.
        path: for messages.
        places: the records that hold them, oldest first.
        store: the store's name.
    """

    def __init__(self, view: View, path: Path, places: Iterator[Place], store: str) -> None:
        self._view = view
        self._path = path
        self._places = places
        self._store = store
        self._left: Sequence[Change] = ()
        self._reading = threading.Lock()
        self._closing = False

    def next_batch(self) -> Sequence[Change]:
        """The next entries; empty at the end, and after ``close``. Blocks.

        Raises:
            CorruptCheckpointError: a record is damaged.
            CheckpointError: the file cannot be read.
        """
        try:
            with self._reading:
                return () if self._closing else self._read()
        except OSError as error:
            raise disk.failed("read", self._path, error) from error
        finally:
            if self._closing:
                self.close()

    def close(self) -> None:
        """Free the file, once no thread reads it any more. Idempotent, does not block.

        A cancelled reader's thread runs on: a descriptor closed under it could be another file's
        by the time it reads.
        """
        self._closing = True
        if self._reading.acquire(blocking=False):
            try:
                self._view.close()
            finally:
                self._reading.release()

    def _read(self) -> Sequence[Change]:
        batch = list(self._left[:BATCH_CHANGES])
        self._left = self._left[BATCH_CHANGES:]
        read = 0
        while len(batch) < BATCH_CHANGES and (not batch or read < BATCH_BYTES):
            place = next(self._places, None)
            if place is None:
                break
            changes = self._view.changes(place, self._store)
            room = BATCH_CHANGES - len(batch)
            batch += changes[:room]
            self._left = changes[room:]
            read += place.size
        return batch
