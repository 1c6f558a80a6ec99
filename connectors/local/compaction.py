"""Writing the live content of a file anew, a little with every commit.

Rejected: a thread of its own beside the commits. It would share the interpreter with the event loop
for as long as it runs, and two writers of one file need care at every line. A slice of a few
milliseconds after a commit needs neither. The new file has another name until it is whole and on
the disk; a crash before that leaves the old file as it was, and a leftover that the next start
removes.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from samza_py.checkpoint import Change
from samza_py.connectors.local import disk
from samza_py.connectors.local.file import OpenFile, create
from samza_py.connectors.local.framing import DamagedError, FrameReader, Place, damaged
from samza_py.connectors.local.index import Places
from samza_py.connectors.local.records import (
    Claimed,
    Committed,
    Compacted,
    Entries,
    Record,
    decode_record,
    encode_changes,
    encode_record,
)
from samza_py.seam import seam

CHUNK_BYTES: Final = 256 << 10


class _Task(NamedTuple):
    name: str
    epoch: int
    commit: Place | None
    stores: dict[str, Places]


def name_beside(path: Path) -> Path:
    """The name of the new file until it is whole."""
    return path.with_name(path.name + ".compacting")


class Compaction:
    """One compaction of a file, from its beginning to a whole new file.

    Args:
        source: the file, to which frames are added meanwhile; it is never changed from here.

    Raises:
        OSError: the new file cannot be created.
    """

    def __init__(self, source: OpenFile) -> None:
        self._source = source
        self._limit = source.end
        self._tasks = [
            _Task(name, task.epoch, task.commit, {s: p.copy() for s, p in task.stores.items()})
            for name, task in source.index.tasks.items()
        ]
        self._view = source.view()
        try:
            self._target = create(name_beside(source.path), source.header)
        except BaseException:
            self._view.close()
            raise
        self._steps = self._run()

    def advance(self, budget: float) -> OpenFile | None:
        """Work on until about this many bytes are read.

        Returns:
            The new file, on the disk and holding all that the old one does, once it is whole. No
            frame may be added to the old one from then on. None until then.

        Raises:
            CorruptCheckpointError: the old file's bytes have changed since they were written.
            OSError: the new file cannot be written, or the old one not read.
        """
        for size in self._steps:
            budget -= size
            if budget <= 0:
                return None
        self._view.close()
        return self._target

    def abandon(self) -> None:
        """Remove what there is of the new file."""
        self._steps.close()
        self._view.close()
        os.close(self._target.fd)
        with suppress(OSError):
            self._target.path.unlink(missing_ok=True)

    def _run(self) -> Generator[int, None, None]:
        seam().reached("local.compact.begun")
        for task in self._tasks:
            yield from self._copy_task(task)
        self._add([Compacted()])
        seam().reached("local.compact.copied")
        # The bulk goes to the disk here, so that the last step, which commits wait for, is short.
        disk.sync(self._target.fd)
        yield self._target.end
        yield from self._copy_tail()
        seam().reached("local.compact.whole")
        disk.sync(self._target.fd)
        seam().reached("local.compact.synced")

    def _copy_task(self, task: _Task) -> Iterator[int]:
        for store, places in task.stores.items():
            yield from self._copy_entries(task.name, store, places)
        records: list[Record] = []
        if task.commit is not None:
            commit = self._view.record(task.commit)
            if not isinstance(commit, Committed):
                raise damaged(self._source.path, task.commit.offset, "a commit should stand here")
            records.append(
                Committed(commit.task, commit.epoch, commit.checkpoint, commit.stores, {})
            )
            yield task.commit.size
        # After the commit: a claim newer than it must stay the newest.
        self._add([*records, Claimed(task.name, task.epoch)])

    def _copy_entries(self, task: str, store: str, places: Places) -> Iterator[int]:
        """Two passes, so that the keys of one store are in memory and never its values."""
        newest: dict[bytes, int] = {}
        for place in places:
            for key, _ in self._view.changes(place, store):
                newest[key] = place.offset
            yield place.size
        live: list[Change] = []
        size = 0
        for place in places:
            for key, value in dict(self._view.changes(place, store)).items():
                if value is not None and newest[key] == place.offset:
                    live.append((key, value))
                    size += len(key) + len(value)
                if size >= CHUNK_BYTES:
                    self._add([Entries(task, store, encode_changes(live))])
                    live, size = [], 0
            yield place.size
        if live:
            self._add([Entries(task, store, encode_changes(live))])

    def _copy_tail(self) -> Iterator[int]:
        """Copy what was added meanwhile, until there is no more.

        Nothing is yielded between the last look at the old file's end and the caller's exchange.
        """
        at = self._limit
        while at < self._source.end:
            reader = FrameReader(self._source.fd, self._source.end, self._source.header.seed)
            try:
                for frame in reader.frames(at):
                    payloads = [payload for _, payload in frame.records]
                    self._add([decode_record(payload) for payload in payloads], payloads)
                    size, at = frame.end - at, frame.end
                    yield size
            except DamagedError as error:
                raise damaged(self._source.path, error.offset, error.why) from error

    def _add(self, records: list[Record], payloads: list[bytes] | None = None) -> None:
        encoded = payloads or [encode_record(record) for record in records]
        places, end = self._target.write(encoded)
        self._target.take(records, places, end)
