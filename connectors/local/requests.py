"""What a task asks of the file, and how it went; many requests become one frame."""

from __future__ import annotations

from abc import ABC, abstractmethod

from samza_py.connectors.local.records import Claimed, Committed, encode_record
from samza_py.errors import CheckpointError, FencedError


class Request(ABC):
    """One record to add.

    Attributes:
        task: the task it is for.
        settled: it is known how it went.
        withdrawn: whoever asked is gone; it need not be written any more.
    """

    def __init__(self, task: str) -> None:
        self.task = task
        self.settled = False
        self.withdrawn = False
        self._failure: tuple[type[CheckpointError], str] | None = None

    @abstractmethod
    def record(self, epoch: int) -> tuple[Claimed | Committed, bytes]:
        """The record to write and its bytes, while the task's newest claim has this epoch.

        Raises:
            FencedError: there is nothing to write, since a newer claim exists.
        """

    @property
    @abstractmethod
    def size(self) -> int:
        """Its bytes in the file, roughly."""

    def fail(self, kind: type[CheckpointError], why: str) -> None:
        """Settle it: it was not written, or nobody knows."""
        self._failure = (kind, why)
        self.settled = True

    def result(self) -> None:
        """Raise what it failed with, an error of its own for each request."""
        if self._failure is not None:
            kind, why = self._failure
            raise kind(why)


class ClaimRequest(Request):
    """A new claim of a task.

    Attributes:
        epoch: what it was given.
    """

    def __init__(self, task: str) -> None:
        super().__init__(task)
        self.epoch = 0

    def record(self, epoch: int) -> tuple[Claimed | Committed, bytes]:
        """A claim with the next epoch."""
        self.epoch = epoch + 1
        claimed = Claimed(self.task, self.epoch)
        return claimed, encode_record(claimed)

    @property
    def size(self) -> int:
        """A few bytes more than the task's name."""
        return len(self.task) + 32


class CommitRequest(Request):
    """A commit of a task, encoded when it was asked for."""

    def __init__(self, commit: Committed) -> None:
        super().__init__(commit.task)
        self._commit = commit
        self._payload = encode_record(commit)

    def record(self, epoch: int) -> tuple[Claimed | Committed, bytes]:
        """The commit, where its claim is the newest one."""
        if self._commit.epoch != epoch:
            raise FencedError(fenced(self.task, self._commit.epoch, epoch))
        return self._commit, self._payload

    @property
    def size(self) -> int:
        """The commit's bytes."""
        return len(self._payload)


def fenced(task: str, epoch: int, newest: int) -> str:
    """Why a claim may write no more."""
    return f"task {task} was claimed anew: epoch {epoch} is no longer its newest, {newest} is"
