"""Where the newest records of each task are: what is kept in memory of a file.

Positions of records only, never keys or values: a job whose state fills the memory does not have
it there twice. Restoring a store reads its records again, in order.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field

from samza_py.connectors.local.framing import Place
from samza_py.connectors.local.records import Claimed, Committed, Compacted, Entries, Record


class Places:
    """The places of a store's records, in the order of the file; 16 bytes each."""

    def __init__(self) -> None:
        self._flat = array("Q")

    def __len__(self) -> int:
        return len(self._flat) // 2

    def __iter__(self) -> Iterator[Place]:
        """Those there are now; places added meanwhile are not seen."""
        return map(Place, self._flat[::2], self._flat[1::2])

    def copy(self) -> Places:
        """Those there are now."""
        other = Places()
        other._flat = self._flat[:]
        return other

    def add(self, place: Place) -> None:
        """Add the place of a later record."""
        self._flat.extend(place)


@dataclass(slots=True)
class TaskRecords:
    """What the file holds of one task.

    Attributes:
        epoch: of its newest claim.
        commit: its newest commit.
        stores: the records with entries of each store that the commit has a marker for.
    """

    epoch: int = 0
    commit: Place | None = None
    stores: dict[str, Places] = field(default_factory=dict[str, Places])


class Index:
    """What a file holds, record by record as they are read or written.

    Attributes:
        tasks: by name, in the order of their first record.
        compacted_at: where what the last compaction wrote ends; 0 where there was none.
    """

    def __init__(self) -> None:
        self.tasks: dict[str, TaskRecords] = {}
        self.compacted_at = 0

    def take(self, record: Record, place: Place) -> None:
        """Take account of the next record."""
        if isinstance(record, Compacted):
            self.compacted_at = place.offset + place.size
            return
        task = self.tasks.setdefault(record.task, TaskRecords())
        if isinstance(record, Claimed):
            task.epoch = record.epoch
        elif isinstance(record, Entries):
            task.stores.setdefault(record.store, Places()).add(place)
        else:
            self._take_commit(task, record, place)

    def _take_commit(self, task: TaskRecords, record: Committed, place: Place) -> None:
        task.commit = place
        for name in task.stores.keys() - set(record.stores):
            del task.stores[name]
        for name in record.changes:
            task.stores.setdefault(name, Places()).add(place)

    def places(self, task: str, store: str) -> Iterator[Place]:
        """The records with entries of a store as of now, oldest first."""
        known = self.tasks.get(task)
        return iter(known.stores.get(store, Places()) if known else ())
