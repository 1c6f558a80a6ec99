"""Answers the runtime's questions about files while it starts."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from samza_py.admin import Admin, AtOffset, Bounds, Newest, Oldest, PartitionInfo, StartAt
from samza_py.connectors.files.declared import FileInput
from samza_py.connectors.files.failures import writing
from samza_py.connectors.files.listing import Listing, lineage_of, list_files, stamps_of
from samza_py.connectors.files.offsets import START, compare_offsets, place_of
from samza_py.connectors.files.paths import shown
from samza_py.connectors.files.storage import Entry, Storage, storage_at
from samza_py.connectors.files.whereabouts import LineFinder
from samza_py.errors import ConnectorError, CorruptCheckpointError, PositionLostError
from samza_py.message import END, Offset, Partition, Position
from samza_py.seam import seam
from samza_py.system import AnyStream

logger = logging.getLogger(__name__)

_STAMPED_AT_ONCE: Final = 256
"""How many files one call in a thread looks into: who cancels a start waits for one such call."""


class FileAdmin(Admin):
    """The streams of one ``Files``.

    Args:
        system: its name.
        root: its root.
        streams: the job's streams of it, by name.
    """

    def __init__(self, system: str, root: str, streams: Mapping[str, AnyStream]) -> None:
        self._system = system
        self._root = root
        self._streams = streams
        self._storage: Storage | None = None
        self._finders: dict[Partition, LineFinder] = {}

    async def aopen(self) -> None:
        """Find the root."""
        self._storage = await seam().in_thread(storage_at, self._root)

    async def aclose(self) -> None:
        """Close the files that were opened to find lines in them."""
        for finder in self._finders.values():
            await seam().in_thread(finder.close)

    async def partitions(self, stream: str) -> Mapping[Partition, PartitionInfo]:
        """The partitions of an input. An output is one, as its parts are nobody's to choose."""
        declared = self._streams[stream]
        if not isinstance(declared, FileInput):
            return {Partition(self._system, stream, "0"): PartitionInfo()}
        listing = await self._list(declared)
        if not any(listing.values()):
            logger.warning("%s: there are no files at %s", declared, shown(declared.physical))
        return {
            Partition(self._system, stream, number): PartitionInfo(
                lineage_of(declared, files, await self._stamps(files), len(listing))
            )
            for number, files in listing.items()
        }

    async def bounds(self, partitions: Collection[Partition]) -> Mapping[Partition, Bounds]:
        """From the first record to the end, as files are read to their end and no further."""
        return {partition: Bounds(START, END) for partition in partitions}

    async def start_position(self, partition: Partition, start: StartAt) -> Position:
        """Resolve the oldest, the newest or an offset; files know no times."""
        if isinstance(start, Oldest):
            return START
        if isinstance(start, Newest):
            return END
        if isinstance(start, AtOffset):
            return await self._at_offset(partition, start)
        raise ConnectorError(
            f"{partition} cannot start at a time: records in files have none; "
            "start at the oldest, the newest or an offset"
        )

    def compare(self, first: Offset, second: Offset) -> int:
        """By file name, then by place in the file."""
        return compare_offsets(first, second)

    async def place_of(self, partition: Partition, offset: Offset) -> str | None:
        """The file and the line that a record ends in; the byte where that is too far off."""
        finder = self._finders.get(partition)
        if finder is None:
            declared = self._streams[partition.stream]
            assert isinstance(declared, FileInput)
            finder = LineFinder(self._opened, declared, self._root)
            self._finders[partition] = finder
        place = place_of(offset)
        return finder.known(place) or await seam().in_thread(finder.find, place)

    async def create(self, streams: Collection[str]) -> Sequence[str]:
        """Make the folders of outputs. Inputs are not made: a missing one is a mistake."""
        made: list[str] = []
        for name in streams:
            declared = self._streams[name]
            if isinstance(declared, FileInput):
                continue
            if await seam().in_thread(self._make_folder, declared.physical):
                made.append(name)
        return made

    async def _list(self, declared: FileInput[Any]) -> Listing:
        return await seam().in_thread(list_files, self._opened, declared)

    async def _stamps(self, files: Sequence[Entry]) -> list[str]:
        stamps: list[str] = []
        for first in range(0, len(files), _STAMPED_AT_ONCE):
            some = files[first : first + _STAMPED_AT_ONCE]
            stamps += await seam().in_thread(stamps_of, self._opened, some)
        return stamps

    async def _at_offset(self, partition: Partition, start: AtOffset) -> Position:
        wanted = start.after.get(partition.id)
        if wanted is None:
            return START
        declared = self._streams[partition.stream]
        assert isinstance(declared, FileInput)
        listing = await self._list(declared)
        try:
            name = place_of(wanted).name
        except CorruptCheckpointError as error:
            raise PositionLostError(f"{partition}: {error}") from error
        if name and name not in {entry.name for entry in listing.get(partition.id, ())}:
            raise PositionLostError(f"{partition}: there is no {shown(name)} in it")
        return Offset(wanted)

    def _make_folder(self, path: str) -> bool:
        storage = self._opened
        with writing(path, storage.free_bytes):
            if storage.kind(path) == "directory":
                return False
            storage.make_folder(path)
            return True

    @property
    def _opened(self) -> Storage:
        if self._storage is None:
            raise ConnectorError(f"the admin of {self._system} is not open")
        return self._storage
