"""The content of one partition's files, read piece after piece from a position on.

This is the part of reading that waits for disks and unpacks. Cutting the pieces into records is
``cutting.py``; both meet in the consumer's cursors.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from samza_py.connectors.files.compression import Part, compression_of, parts_of
from samza_py.connectors.files.declared import FileInput
from samza_py.connectors.files.failures import DamagedError, reading
from samza_py.connectors.files.offsets import (
    WHOLE_FILE,
    Place,
    place_of,
    prefix_of,
    size_in,
    stamp_of,
)
from samza_py.connectors.files.paths import shown
from samza_py.connectors.files.records import Cutter
from samza_py.connectors.files.sources import CHUNK_BYTES, Source
from samza_py.connectors.files.storage import Entry, Storage
from samza_py.errors import PositionLostError
from samza_py.message import Offset


@dataclass(frozen=True, slots=True)
class OpenedPart:
    """A file or a member of one, ready to be cut.

    Attributes:
        prefix: what its offsets start with.
        cutter: cuts its pieces; None where none will come, because it cannot be read.
        plain: its positions are bytes of the stored file.
    """

    prefix: str
    cutter: Cutter | None
    plain: bool


@dataclass(slots=True)
class Piece:
    """Some content of one part.

    Attributes:
        data: the content; may be empty.
        part: the part that begins with this piece; None where the last one goes on.
        final: the part ends here.
        left: how many stored bytes are behind the piece; for a plain part, behind its start.
        damage: why nothing more of the file can be read.
        raw: the bytes at fault, where damage was found while opening.
        finished: the partition ends here; there is nothing else in this piece.
    """

    data: bytes | bytearray = b""
    part: OpenedPart | None = None
    final: bool = False
    left: int = 0
    damage: str = ""
    raw: bytes = b""
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
        self._files = deque(entry for entry in files if entry.name >= place.name)
        self._behind = sum(entry.size for entry in self._files)
        self._resumed: Place | None = place if place.name else None
        self._file: FileReader | None = None
        if place.name and (not self._files or self._files[0].name != place.name):
            raise PositionLostError(f"{stream}: {shown(place.name)} of the position is gone")

    def read(self) -> Piece:
        """The next piece, or a finished one at the end.

        Raises:
            PositionLostError: a file is gone or is not the one that was read before.
            ConnectorError: a file may not be read, or unpacks to more than is allowed.
            UnavailableError: the file system did not answer.
        """
        while True:
            if self._file is None:
                if not self._files:
                    return Piece(finished=True)
                entry, resumed = self._files.popleft(), self._resumed
                self._behind -= entry.size
                self._resumed = None
                self._file = FileReader(self._storage, self._stream, entry.name, resumed)
            piece = self._file.read()
            if piece is not None:
                piece.left += self._behind
                return piece
            self.close()

    def read_cached(self) -> Piece | None:
        """The next piece where no disk has to be waited for; None where ``read`` has to be called.

        The one method that may be called on the loop, while no other one runs in a thread.
        """
        piece = self._file.read_cached() if self._file is not None else None
        if piece is not None:
            piece.left += self._behind
        return piece

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
        self._source: Source | None = None
        self._plain = False
        with reading(name):
            self._spare: BinaryIO | None = storage.open(name)
            self._size = self._spare.seek(0, 2)
            self._stamp = stamp_of(self._spare, self._size)
        if resumed and resumed.stamp != self._stamp:
            self.close()
            raise PositionLostError(self._difference(size_in(resumed.stamp)))
        self._prefix = prefix_of(name, self._stamp)
        kind = compression_of(name, stream.compression)
        self._parts: Iterator[Part] = iter(())
        if self._numbers != (WHOLE_FILE,):
            self._parts = parts_of(self._opened, self._size, kind, stream.max_decompressed_bytes)

    def read(self) -> Piece | None:
        """The next piece; None at the end of the file.

        Raises:
            PositionLostError: it is gone or shrank.
            ConnectorError: it unpacks to more than is allowed.
            UnavailableError: the file system did not answer.
        """
        with reading(self._name):
            begun = self._source is not None
            try:
                if self._source is None:
                    return self._next_part()
                return self._go_on(self._source)
            except DamagedError as error:
                self.close()
                part = None if begun else OpenedPart(self._prefix, None, plain=False)
                damage = f"{shown(self._name)}: {error}"
                return Piece(part=part, final=True, damage=damage, raw=error.raw)

    def read_cached(self) -> Piece | None:
        """The next piece where no disk has to be waited for; see ``PartitionReader``."""
        source = self._source
        data = source.read_cached() if source is not None else b""
        return self._piece(source, data, final=source.ended) if source and data else None

    def close(self) -> None:
        """Close what is open. Idempotent."""
        source, self._source = self._source, None
        spare, self._spare = self._spare, None
        if source is not None:
            source.close()
        if spare is not None:
            spare.close()

    def _next_part(self) -> Piece | None:
        for part in self._parts:
            self._prefix = prefix_of(self._name, self._stamp, *part.outer)
            position = self._position_in(part)
            if position is not None:
                source = self._source = part.opened()
                self._plain = part.plain
                limit = self._stream.max_record_bytes
                cutter, data = self._stream.format.cutter(source, position, limit)
                opened = OpenedPart(self._prefix, cutter, part.plain)
                # What damage there is comes with a piece of its own, behind this one.
                if not data and part.plain:
                    data = source.read(CHUNK_BYTES)
                return self._piece(source, data, opened, final=source.ended)
        return None

    def _go_on(self, source: Source) -> Piece:
        data = source.read(CHUNK_BYTES)
        return self._piece(source, data, final=not data or source.ended)

    def _piece(
        self,
        source: Source,
        data: bytes | bytearray,
        part: OpenedPart | None = None,
        *,
        final: bool,
    ) -> Piece:
        left = self._left(source)
        if final:
            self.close()
        return Piece(data, part, final, left)

    def _position_in(self, part: Part) -> int | None:
        """Where to start in a part; None where it lies wholly in front of the position."""
        if not self._numbers or part.outer > self._numbers[:-1]:
            return 0
        position = self._numbers[-1]
        behind = part.outer < self._numbers[:-1] or position >= WHOLE_FILE
        return None if behind else position

    def _left(self, source: Source) -> int:
        return self._size if self._plain else max(0, self._size - source.taken)

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
