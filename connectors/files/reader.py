"""The files of one partition, read one after another from a position on."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from samza_py.connectors.files.compression import Part, compression_of, parts_of
from samza_py.connectors.files.declared import FileInput
from samza_py.connectors.files.failures import DamagedError, reading
from samza_py.connectors.files.offsets import (
    START,
    WHOLE_FILE,
    Place,
    place_of,
    prefix_of,
    size_in,
    stamp_of,
)
from samza_py.connectors.files.paths import shown
from samza_py.connectors.files.records import Bad, RecordReader, Records
from samza_py.connectors.files.storage import Entry, Storage
from samza_py.errors import PositionLostError
from samza_py.message import Offset


@dataclass(slots=True)
class Batch:
    """Records that were read together, all of one part of one file.

    Attributes:
        values: the records, a ``Bad`` for one that could not be read.
        ends: the last number of each record's offset.
        prefix: what stands in front of it.
        after: the position behind the batch.
        left: how many stored bytes of the partition are behind it.
        bad: whether there is a ``Bad`` among the values.
        plain: ``ends`` count bytes of the stored file.
        finished: nothing is behind it.
    """

    values: list[Any] = field(default_factory=list[Any])
    ends: list[int] = field(default_factory=list[int])
    prefix: str = ""
    after: Offset = START
    left: int = 0
    bad: bool = False
    plain: bool = False
    finished: bool = False


class PartitionReader:
    """Reads on from a position. Blocking: its methods run in a thread, one at a time.

    After an error it is of no more use.

    Args:
        storage: where the files are.
        stream: the input, which says how to read them.
        files: those of the partition, in order.
        after: the position to read after.

    Raises:
        PositionLostError: the position names a file that is not among them.
        CorruptCheckpointError: the position is not one of files.
    """

    def __init__(
        self, storage: Storage, stream: FileInput[Any], files: Sequence[Entry], after: Offset
    ) -> None:
        place = place_of(after)
        self._storage = storage
        self._stream = stream
        self._after = after
        self._files = deque(entry for entry in files if entry.name >= place.name)
        self._behind = sum(entry.size for entry in self._files)
        self._resumed: Place | None = place if place.name else None
        self._file: FileReader | None = None
        if place.name and (not self._files or self._files[0].name != place.name):
            raise PositionLostError(f"{stream}: {shown(place.name)} of the position is gone")

    def read(self) -> Batch:
        """The next records, or a finished batch at the end.

        Raises:
            PositionLostError: a file is gone or is not the one that was read before.
            ConnectorError: a file may not be read, or unpacks to more than is allowed.
            UnavailableError: the file system did not answer.
        """
        while True:
            if self._file is None:
                if not self._files:
                    return Batch(after=self._after, finished=True)
                entry, resumed = self._files.popleft(), self._resumed
                self._behind -= entry.size
                self._resumed = None
                self._file = FileReader(self._storage, self._stream, entry.name, resumed)
            batch = self._file.read()
            if batch is not None:
                self._after = batch.after
                batch.left += self._behind
                return batch
            self.close()

    def close(self) -> None:
        """Close what is open. Idempotent."""
        file, self._file = self._file, None
        if file is not None:
            file.close()


class FileReader:
    """Reads one file, part by part.

    Args:
        storage: where it is.
        stream: the input it belongs to.
        name: the file, relative to the root.
        resumed: the position in it to read after; None for its start.

    Raises:
        PositionLostError: it is gone, or is not the file of the position.
        ConnectorError: it may not be read.
        UnavailableError: the file system did not answer.
    """

    def __init__(
        self, storage: Storage, stream: FileInput[Any], name: str, resumed: Place | None
    ) -> None:
        self._storage = storage
        self._stream = stream
        self._name = name
        self._numbers = resumed.numbers if resumed else ()
        self._records: RecordReader | None = None
        self._plain = False
        with reading(name):
            self._spare: BinaryIO | None = storage.open(name)
            self._size = self._spare.seek(0, 2)
            stamp = stamp_of(self._spare, self._size)
        if resumed and resumed.stamp != stamp:
            self.close()
            raise PositionLostError(self._difference(size_in(resumed.stamp)))
        self._stamp = stamp
        self._prefix = prefix_of(name, stamp)
        kind = compression_of(name, stream.compression)
        self._parts: Iterator[Part] = iter(())
        if self._numbers != (WHOLE_FILE,):
            self._parts = parts_of(self._opened, self._size, kind, stream.max_decompressed_bytes)

    def read(self) -> Batch | None:
        """The next records; None at the end of the file.

        Raises:
            PositionLostError: it is gone or shrank.
            ConnectorError: it unpacks to more than is allowed.
            UnavailableError: the file system did not answer.
        """
        with reading(self._name):
            try:
                return self._read()
            except DamagedError as error:
                raw = error.raw or (self._records.leftover if self._records else b"")
                self.close()
                bad = Bad(raw, f"{shown(self._name)}: {error}")
                after = Offset(f"{self._prefix}{WHOLE_FILE}")
                return Batch([bad], [WHOLE_FILE], self._prefix, after, bad=True)

    def close(self) -> None:
        """Close what is open. Idempotent."""
        records, self._records = self._records, None
        spare, self._spare = self._spare, None
        if records is not None:
            records.close()
        if spare is not None:
            spare.close()

    def _read(self) -> Batch | None:
        while True:
            records = self._records or self._next_part()
            if records is None:
                return None
            found = records.read()
            if found is not None:
                return self._batch(records, found)
            self.close()

    def _next_part(self) -> RecordReader | None:
        for part in self._parts:
            self._prefix = prefix_of(self._name, self._stamp, *part.outer)
            self._plain = part.plain
            position = self._position_in(part)
            if position is not None:
                limit = self._stream.max_record_bytes
                self._records = self._stream.format.reader(part.opened, position, limit)
                return self._records
        return None

    def _position_in(self, part: Part) -> int | None:
        """Where to start in a part; None where it lies wholly in front of the position."""
        if not self._numbers or part.outer > self._numbers[:-1]:
            return 0
        position = self._numbers[-1]
        behind = part.outer < self._numbers[:-1] or position >= WHOLE_FILE
        return None if behind else position

    def _batch(self, records: RecordReader, found: Records) -> Batch:
        after = Offset(f"{self._prefix}{records.position}")
        taken = records.position if self._plain else min(records.source.taken, self._size)
        left = self._size - taken
        return Batch(found.values, found.ends, self._prefix, after, left, found.bad, self._plain)

    def _opened(self) -> BinaryIO:
        """The file at its start: the handle that was used for the stamp, and then new ones."""
        spare, self._spare = self._spare, None
        return spare or self._storage.open(self._name)

    def _difference(self, before: int) -> str:
        name, now = shown(self._name), self._size
        if now < before:
            return f"{name} shrank from {before} to {now} bytes since the checkpoint"
        if now > before:
            return f"{name} grew from {before} to {now} bytes since the checkpoint"
        return f"{name} has other content than at the checkpoint"
