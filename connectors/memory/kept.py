"""What a broker keeps for one job: encoded checkpoints, and the changelogs of its stores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from samza_py.checkpoint import Change, Changes
from samza_py.errors import CheckpointError

#: A changelog keeps its last commits apart, so that a store can be read as of any of them.
_COMMITS_APART: Final = 64
_BATCH: Final = 1000


class Changelog:
    """The entries of one store of one task: those of old commits together, new ones one by one."""

    def __init__(self) -> None:
        self._entries: dict[bytes, bytes] = {}
        self._entries_marker = ""
        self._commits: list[tuple[str, Sequence[Change]]] = []

    @property
    def marker(self) -> str:
        """The marker of the newest commit; empty where there is none."""
        return self._commits[-1][0] if self._commits else self._entries_marker

    def append(self, marker: str, changes: Sequence[Change]) -> None:
        """Add a commit, and put the older ones together when there are many."""
        self._commits.append((marker, changes))
        if len(self._commits) >= 2 * _COMMITS_APART:
            for old, old_changes in self._commits[:_COMMITS_APART]:
                self._entries_marker = old
                for key, value in old_changes:
                    if value is None:
                        self._entries.pop(key, None)
                    else:
                        self._entries[key] = value
            del self._commits[:_COMMITS_APART]

    def until(self, marker: str) -> Iterator[Sequence[Change]]:
        """All entries as of the commit with this marker, in batches, later ones last.

        Raises:
            CheckpointError: no commit that is still kept apart has this marker.
        """
        markers = [self._entries_marker, *(name for name, _ in self._commits)]
        if marker not in markers:
            raise CheckpointError(
                f"the changelog has no commit with marker {marker!r}; it reaches from "
                f"{markers[0]!r} to {markers[-1]!r}"
            )
        # The last commit of that marker: one without changes repeats the marker before it.
        count = len(markers) - 1 - markers[::-1].index(marker)
        entries: list[Change] = list(self._entries.items())
        for _, changes in self._commits[:count]:
            entries += changes
        for at in range(0, len(entries), _BATCH):
            yield entries[at : at + _BATCH]


class Kept:
    """Everything that is kept for a job.

    Attributes:
        checkpoints: the newest checkpoint of each task, encoded.
        changelogs: by task and store.
        released: the epochs that gave their tasks up.
    """

    def __init__(self) -> None:
        self.checkpoints: dict[str, bytes] = {}
        self.changelogs: dict[tuple[str, str], Changelog] = {}
        self.released: dict[str, int] = {}

    def apply(
        self, task: str, checkpoint: bytes, markers: Mapping[str, str], changes: Changes
    ) -> None:
        """Let a checkpoint and the changes beside it take effect.

        A store that it has no marker for was taken out of the job: its entries are forgotten.
        """
        self.checkpoints[task] = checkpoint
        for owner, store in list(self.changelogs):
            if owner == task and store not in markers:
                del self.changelogs[owner, store]
        for store in {*markers, *changes}:
            marker = markers.get(store, "")
            log = self.changelogs.setdefault((task, store), Changelog())
            if store in changes or marker != log.marker:
                log.append(marker, changes.get(store, ()))
