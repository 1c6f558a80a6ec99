"""The value a job file names, and the store it makes for a run."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

from samza_py.checkpoint import (
    Change,
    Changes,
    Checkpoint,
    Checkpoints,
    CheckpointStore,
    Claim,
    Grant,
)
from samza_py.checkpoint_format import encode_checkpoint
from samza_py.connectors.local import disk
from samza_py.connectors.local.log import CheckpointLog
from samza_py.connectors.local.records import Committed, encode_changes
from samza_py.connectors.local.requests import ClaimRequest, CommitRequest, Request
from samza_py.connectors.local.scan import read_checkpoints
from samza_py.errors import CheckpointError, ConfigError
from samza_py.seam import seam
from samza_py.transaction import Transaction
from samza_py.values import Size, shown_size, size_in_bytes

MAX_COMMIT_BYTES: Final = 1 << 30


class LocalCheckpoints(Checkpoints):
    """Checkpoints and changelogs of a job in one file of this machine. For one container.

    Args:
        path: the file; its folder is made where it is missing. A relative path starts at the
            working folder of now, ``~`` is the user's home. Left out, it is
            ``samza-py/JOB/checkpoints.log`` in the user's state folder, which is
            ``$XDG_STATE_HOME`` or ``~/.local/state``.
        compact_above: the file is written anew, with its live content alone, once it is larger
            than this and than four times what was live the last time.

    Raises:
        ConfigError: a setting is wrong.
    """

    shared = False
    durable = True
    sets_aside = True

    def __init__(
        self, path: str | os.PathLike[str] | None = None, *, compact_above: Size = "64MiB"
    ) -> None:
        self._path = None if path is None else _absolute(os.fspath(path))
        self._compact_bytes = size_in_bytes(compact_above, "LocalCheckpoints.compact_above")

    def path_of(self, job: str) -> Path:
        """The file of the job of this name.

        Raises:
            ConfigError: the user has no home folder, so that a path must be given.
        """
        if self._path is not None:
            return self._path
        state = os.environ.get("XDG_STATE_HOME", "")
        if not os.path.isabs(state):
            state = str(_home("~/.local/state"))
        return Path(state, "samza-py", job, "checkpoints.log")

    def store(self, job: str) -> LocalCheckpointStore:
        """A new, unopened store for the job of this name."""
        return LocalCheckpointStore(self.path_of(job), job, self._compact_bytes)

    def location(self, job: str) -> str:
        """The file of the job of this name. Raises what ``path_of`` raises."""
        return str(self.path_of(job))

    def set_aside(self, job: str) -> str | None:
        """Rename the job's file, so that its next run starts over; nothing is deleted.

        Raises:
            CheckpointError: a run is using it, or it cannot be renamed.
        """
        path = self.path_of(job)
        if not disk.is_there(path):
            return None
        try:
            lock = disk.lock(path)
            try:
                return str(disk.rename_aside(path))
            finally:
                os.close(lock)
        except OSError as error:
            raise disk.failed("set aside", path, error) from error

    def __repr__(self) -> str:
        return f"<LocalCheckpoints {self._path or 'in the state folder'}>"


class LocalCheckpointStore(CheckpointStore):
    """The store of one run. Made by ``LocalCheckpoints.store``.

    The file is locked, made or read by the first ``open`` of a task, not before: ``read`` alone
    looks at a file that a running job uses.

    Args:
        path: of the file.
        job: the job's name.
        compact_bytes: below this size the file is never compacted.
    """

    def __init__(self, path: Path, job: str, compact_bytes: int) -> None:
        self._path = path
        self._job = job
        self._log = CheckpointLog(path, job, compact_bytes)
        self._asked: deque[Request] = deque()
        self._turn = asyncio.Lock()

    async def aopen(self) -> None:
        """See that the path can be a file of checkpoints.

        Raises:
            CheckpointError: something else has this name.
        """
        await seam().in_thread(disk.is_there, self._path)

    async def aclose(self) -> None:
        """Close the file after what is being written, and let another process have it."""
        await seam().in_thread(self._log.close)

    async def open(self, grant: Grant) -> tuple[Claim, Checkpoint | None]:
        """Claim a task, on the disk, then read its checkpoint. See ``CheckpointStore.open``."""
        if not self._log.is_open:
            async with self._turn:
                await seam().in_thread(self._log.open)
        request = ClaimRequest(grant.task)
        await self._settled(request)
        newest = await seam().in_thread(self._log.checkpoints, [grant.task])
        return Claim(grant.task, request.epoch, job=self._job), newest.get(grant.task)

    async def write(
        self,
        claim: Claim,
        checkpoint: Checkpoint,
        changes: Changes | None = None,
        within: Transaction | None = None,
    ) -> None:
        """Store checkpoint and changes as one record. See ``CheckpointStore.write``.

        Writes that wait for each other share one fsync. A write that is cancelled may still be
        done; nothing is torn by it.

        Raises:
            FencedError: a newer claim exists; nothing has taken effect.
            CheckpointError: it was not written (disk full, no permission, too large), is not
                consistent in itself, or the file can no longer be trusted by this process.
        """
        if within is not None:
            raise CheckpointError(f"{self._path} takes part in no transaction")
        await self._settled(CommitRequest(self._commit(claim, checkpoint, changes or {})))

    async def restore(
        self, claim: Claim, store: str, marker: str
    ) -> AsyncGenerator[Sequence[Change], None]:
        """Read back a store's entries in batches. See ``CheckpointStore.restore``.

        Only the newest checkpoint's marker can be restored; the file forgets older entries.
        """
        restoring = await seam().in_thread(
            self._log.restoring, claim.task, claim.epoch, store, marker
        )
        try:
            while batch := await seam().in_thread(restoring.next_batch):
                yield batch
        finally:
            restoring.close()

    async def read(self, tasks: Collection[str] | None = None) -> Mapping[str, Checkpoint]:
        """The newest checkpoints, also of a file that a running job uses."""
        if self._log.is_open:
            return await seam().in_thread(self._log.checkpoints, tasks)
        return await seam().in_thread(read_checkpoints, self._path, self._job, tasks)

    async def _settled(self, request: Request) -> None:
        """Have a request written, together with all that are waiting when its turn comes.

        The queue is emptied inside the thread. A caller that is cancelled with its thread not yet
        started would otherwise take the requests of the others along.
        """
        self._asked.append(request)
        try:
            async with self._turn:
                if not request.settled:
                    await seam().in_thread(self._log.settle, self._asked)
        finally:
            request.withdrawn = True
        request.result()

    def _commit(self, claim: Claim, checkpoint: Checkpoint, changes: Changes) -> Committed:
        if checkpoint.epoch != claim.epoch:
            raise CheckpointError(
                f"a checkpoint of epoch {checkpoint.epoch} is written for task {claim.task} under "
                f"a claim of epoch {claim.epoch}"
            )
        changed = {name: encode_changes(list(some)) for name, some in changes.items() if some}
        unmarked = changed.keys() - checkpoint.stores.keys()
        if unmarked:
            raise CheckpointError(
                f"the checkpoint of task {claim.task} has no marker for its changed stores "
                f"{', '.join(sorted(unmarked))}: they could not be restored"
            )
        encoded = encode_checkpoint(checkpoint)
        size = len(encoded) + sum(len(memoryview(raw)) for raw in changed.values())
        if size > MAX_COMMIT_BYTES:
            raise CheckpointError(
                f"a commit of task {claim.task} is {shown_size(size)}, one of at most "
                f"{shown_size(MAX_COMMIT_BYTES)} can be written: commit more often"
            )
        return Committed(claim.task, claim.epoch, encoded, list(checkpoint.stores), changed)


def _absolute(path: str) -> Path:
    if not path or "\0" in path or path.endswith(os.sep):
        raise ConfigError("LocalCheckpoints.path", "must name a file", path)
    expanded = str(_home(path)) if path.startswith("~") else path
    return Path(
        os.path.normpath(expanded) if os.path.isabs(expanded) else os.path.abspath(expanded)
    )


def _home(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        why = "this user has no home folder: name a file with an absolute path"
        raise ConfigError("LocalCheckpoints.path", why, path) from error
