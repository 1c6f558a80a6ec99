"""The open file of a job: claims and commits are added at its end, and read back.

Synchronous, called in threads, one caller at a time by its own lock. Many commits asked for at
once become one frame: one write, one fsync.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from samza_py.checkpoint import Checkpoint
from samza_py.connectors.local import disk
from samza_py.connectors.local.compaction import Compaction
from samza_py.connectors.local.file import OpenFile
from samza_py.connectors.local.framing import Place
from samza_py.connectors.local.opening import open_or_create
from samza_py.connectors.local.records import Record
from samza_py.connectors.local.requests import Request, fenced
from samza_py.connectors.local.scan import checkpoints_of
from samza_py.connectors.local.view import Restoring
from samza_py.errors import CheckpointError, CorruptCheckpointError, FencedError
from samza_py.seam import seam

logger = logging.getLogger(__name__)

FRAME_BYTES: Final = 64 << 20
SLICE_BYTES = 1 << 20  # tests make it small
GROWTH: Final = 4


class CheckpointLog:
    """One job's file, for the one process that has its lock.

    Args:
        path: of the file.
        job: the job's name.
        compact_bytes: below this size the file is never compacted.
    """

    def __init__(self, path: Path, job: str, compact_bytes: int) -> None:
        self._path = path
        self._job = job
        self._compact_bytes = compact_bytes
        self._compact_above = compact_bytes
        self._mutex = threading.Lock()
        self._lock_fd = -1
        self._file: OpenFile | None = None
        self._lost: str | None = None
        self._closed = False
        self._compaction: Compaction | None = None

    @property
    def is_open(self) -> bool:
        """Whether claims and commits can be added."""
        return self._file is not None

    def open(self) -> None:
        """Lock the file, create it where it is not there, read it. Does nothing when it is open.

        Raises:
            CorruptCheckpointError: it is damaged before its last frame, or of a newer version.
            CheckpointError: another process has it, or the operating system refuses.
        """
        with self._mutex:
            if self._file is not None:
                return
            if self._closed:  # the thread of an `open` that was cancelled comes late
                raise CheckpointError(f"{self._path} is closed")
            try:
                disk.make_folder(self._path)
                self._lock_fd = disk.lock(self._path)
                self._file = open_or_create(self._path, self._job)
                self._compact_on(float("inf"))
            except OSError as error:
                self._close()
                raise disk.failed("open", self._path, error) from error
            except BaseException:
                self._close()
                raise

    def close(self) -> None:
        """Close the file and give its lock back, after what is being written. Idempotent."""
        with self._mutex:
            self._closed = True
            self._close()

    def settle(self, asked: deque[Request]) -> None:
        """Write all that is asked for, as few frames as possible, and say to each how it went.

        Every request taken from the queue is settled on return, also where this raises.
        """
        with self._mutex:
            while asked:
                before = self._file.end if self._file else 0
                group = _group(asked)
                try:
                    self._append(group)
                finally:
                    for request in group:
                        if not request.settled:
                            request.fail(CheckpointError, self._lost or "it was broken off")
                if self._file is not None and self._lost is None:
                    self._compact_on(max(SLICE_BYTES, 8 * (self._file.end - before)))

    def restoring(self, task: str, epoch: int, store: str, marker: str) -> Restoring:
        """What a store's entries are read back from; close it after use.

        Raises:
            FencedError: the task has a newer owner.
            CheckpointError: the newest checkpoint has another marker for it.
        """
        with self._mutex:
            file = self._usable()
            newest = file.epoch(task)
            if newest != epoch:
                raise FencedError(fenced(task, epoch, newest))
            view = file.view()
            try:
                kept = checkpoints_of(file.index, view, [task]).get(task)
                held = kept.stores.get(store, "") if kept is not None else ""
                if held != marker:
                    raise CheckpointError(
                        f"{self._path} has store {store} of task {task} as of marker {held!r} "
                        f"alone, not as of {marker!r}"
                    )
            except BaseException:
                view.close()
                raise
            return Restoring(view, self._path, file.index.places(task, store), store)

    def checkpoints(self, tasks: Collection[str] | None) -> Mapping[str, Checkpoint]:
        """The newest checkpoints of these tasks (None: of all).

        Raises:
            CorruptCheckpointError: one is damaged, or of a newer version.
            CheckpointError: the file is closed, or cannot be read.
        """
        with self._mutex, self._usable().view() as view:
            return checkpoints_of(self._usable().index, view, tasks)

    def _usable(self) -> OpenFile:
        if self._file is None:
            raise CheckpointError(f"{self._path} is not open")
        return self._file

    def _append(self, group: list[Request]) -> None:
        file, why = self._file, self._why_not()
        if file is None or why is not None:
            for request in group:
                request.fail(CheckpointError, why or f"{self._path} is not open")
            return
        admitted = _admitted(file, group)
        if not admitted:
            return
        try:
            places, end = self._on_disk(file, [payload for _, _, payload in admitted])
        except OSError as error:
            why = str(disk.failed("write", self._path, error))
            for request, _, _ in admitted:
                request.fail(CheckpointError, why)
            return
        file.take([record for _, record, _ in admitted], places, end)
        for request, _, _ in admitted:
            request.settled = True

    def _why_not(self) -> str | None:
        """Why nothing may be written; None where it may."""
        file = self._file
        if self._lost is not None or file is None:
            return self._lost
        if not disk.leads_to(self._path, file.fd):
            self._lost = (
                f"{self._path} was moved or removed while it was in use: what is written to it "
                "would not be found again"
            )
        lock = disk.lock_of(self._path)
        if not disk.leads_to(lock, self._lock_fd):
            self._lost = f"{lock} was removed while it was in use: another process may be writing"
        return self._lost

    def _on_disk(self, file: OpenFile, payloads: list[bytes]) -> tuple[list[Place], int]:
        try:
            seam().reached("local.write")
            written = file.write(payloads)
            seam().reached("local.written")
        except OSError:
            self._cut(file)
            raise
        except BaseException:
            self._lost = f"{self._path} was left in the middle of a write"
            raise
        try:
            disk.sync(file.fd)
        except BaseException as error:
            # The kernel may have dropped the pages and call the next fsync a success.
            self._lost = (
                f"{self._path} could not be brought to the disk earlier ({error}): it is not "
                "written to any more by this process"
            )
            self._cut(file)
            raise
        try:
            seam().reached("local.synced")
        except BaseException:
            self._lost = f"{self._path} was left right after a write"
            raise
        return written

    def _cut(self, file: OpenFile) -> None:
        try:
            file.cut()
        except OSError as error:
            self._lost = f"{self._path} could not be cut back after a failed write ({error})"

    def _compact_on(self, budget: float) -> None:
        """Go on with a compaction, or begin one where it is due.

        A disk that is too full for a second file ends the compaction and not the job.
        """
        file = self._usable()
        try:
            if self._compaction is None:
                if file.end < max(self._compact_above, GROWTH * file.index.compacted_at):
                    return
                self._compaction = Compaction(file)
            whole = self._compaction.advance(budget)
            if whole is not None:
                self._exchange(file, whole)
        except OSError as error:
            self._end_compaction()
            self._compact_above = 2 * file.end
            logger.warning("%s", disk.failed("compact", self._path, error))
        except CorruptCheckpointError as error:
            self._end_compaction()
            self._lost = str(error)
        except BaseException:
            self._lost = f"{self._path} was left in the middle of a compaction"
            raise

    def _exchange(self, old: OpenFile, new: OpenFile) -> None:
        os.rename(new.path, self._path)
        seam().reached("local.compact.renamed")
        new.path = self._path
        self._file, self._compaction = new, None
        os.close(old.fd)
        self._compact_above = self._compact_bytes
        try:
            disk.sync_folder(self._path)
        except OSError as error:
            # After a power cut the old file could be back, without what is written from here on.
            self._lost = str(disk.failed("compact", self._path, error))
        seam().reached("local.compact.done")

    def _end_compaction(self) -> None:
        if self._compaction is not None:
            self._compaction.abandon()
            self._compaction = None

    def _close(self) -> None:
        self._end_compaction()
        if self._file is not None:
            os.close(self._file.fd)
            self._file = None
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1


def _admitted(file: OpenFile, group: list[Request]) -> list[tuple[Request, Record, bytes]]:
    """The requests of the newest claims, with their records; the others are told that they fail."""
    admitted: list[tuple[Request, Record, bytes]] = []
    epochs: dict[str, int] = {}
    for request in group:
        newest = epochs.get(request.task) or file.epoch(request.task)
        try:
            record, payload = request.record(newest)
        except FencedError as error:
            request.fail(FencedError, str(error))
            continue
        epochs[request.task] = record.epoch
        admitted.append((request, record, payload))
    return admitted


def _group(asked: deque[Request]) -> list[Request]:
    """The next requests, as many as belong into one frame."""
    group: list[Request] = []
    size = 0
    while asked and size < FRAME_BYTES:
        request = asked.popleft()
        if not request.withdrawn:
            group.append(request)
            size += request.size
    return group
