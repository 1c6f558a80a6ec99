"""Which records of a task's partition count: the one rule by which owners are fenced. Pure.

The *term* of a partition is the offset of the newest claim in it that counts.

- A claim says which term its writer had seen. It counts unless a newer one is in force: of two
  that claim at once the first in the log wins, and one that arrives late changes nothing.
- A checkpoint, or an entry of a store, says under which term it was written. It counts unless a
  newer term is in force: what a fenced owner still writes stands in the log and has no effect.

All readers see the log in the same order, so all agree. A term in force is known from its claim
or, after compaction, from any record that was written under it.

Whatever does not count, or no longer, is *dead*, in the order in which it became so. The owner
deletes it in that order, beside a later commit, and never before what replaced it is known to
count. That order matters: a record that does not count goes before the claim that shows it, an
entry before the deletion or the checkpoint that removed it.
"""

from __future__ import annotations

from collections.abc import Sequence

from samza_py.connectors.kafka.checkpoint_records import (
    Claimed,
    Committed,
    Entry,
    Record,
    decode,
    kind_of,
    term_of,
    unknown,
)
from samza_py.errors import CheckpointError

Entries = dict[bytes, bytes]
"""The key of the record that is an entry, by the key in the store."""


class History:
    """What a partition has come to.

    Args:
        where: its name, for errors: ``topic[3]``.
        task: whose it is.
        entries: whether entries of stores, and what is dead, are kept track of; an owner does.

    Attributes:
        tracks: what was given for ``entries``.
        position: the next offset to read.
        term: in force; -1 where nobody has ever claimed.
        claim: the key of its claim, where that is still there.
        commit: the newest checkpoint that counts.
        commit_at: its offset.
        entries: those that are live, by store.
        dead: keys of records that can be deleted, the oldest first.
        counted: whether the checkpoint that ``expect`` was told of has been found to count.
    """

    def __init__(self, where: str, task: str, *, entries: bool) -> None:
        self.position = 0
        self.term = -1
        self.claim: bytes | None = None
        self.commit: Committed | None = None
        self.commit_at = -1
        self.entries: dict[str, Entries] = {}
        self.dead: dict[bytes, None] = {}
        self.counted = False
        self._expected = b""
        self._where = where
        self._task = task
        self.tracks = entries
        self._commit_key: bytes | None = None

    def apply(self, records: Sequence[Record], position: int) -> None:
        """Take in records, in order, up to a position.

        If compaction has left gaps in them, they have to go far enough to have the deletions that
        it went by: such a deletion may be all that is left to show that a record does not count.

        Raises:
            CorruptCheckpointError: one cannot be read.
            CheckpointError: the partition is another task's.
        """
        deleted = {record.key for record in records if record.value is None}
        foreign = {key for key in deleted if self.dead.pop(key, key) is not None}
        if foreign and self.entries:  # Deleted by another owner, which knew that they are dead.
            self.entries = {store: _less(old, foreign) for store, old in self.entries.items()}
        for record in records:
            if record.key not in deleted:
                self._take(record)
        self.position = position

    def expect(self, key: bytes) -> None:
        """See in ``counted`` whether the checkpoint of this key counts, once it is read."""
        self._expected, self.counted = key, False

    def place(self, offset: int) -> str:
        """An offset here, for people."""
        return f"{self._where} offset {offset}"

    def _take(self, record: Record) -> None:
        where, kind = self.place(record.offset), kind_of(record.key)
        assert record.value is not None
        if kind == b"claim":
            self._claimed(record, decode(record.value, Claimed, where))
            return
        if kind not in (b"commit", b"entry"):
            raise unknown(record.key, where)
        term = term_of(record.key, where)
        if term < self.term:
            self._dies(record.key)
            return
        self.term = term
        if kind == b"commit":
            self._committed(record, decode(record.value, Committed, where))
        elif self.tracks:
            self._changed(record.key, decode(record.value, Entry, where))

    def _claimed(self, record: Record, claim: Claimed) -> None:
        if claim.seen < self.term:
            self._dies(record.key)
            return
        if claim.task != self._task:
            raise CheckpointError(
                f"{self.place(record.offset)}: claimed for task {claim.task}, and read for "
                f"{self._task}; was the topic deleted and made again under the job? Start it anew"
            )
        if self.claim is not None:
            self._dies(self.claim)
        self.term, self.claim = record.offset, record.key

    def _committed(self, record: Record, commit: Committed) -> None:
        last = self.commit
        # A later owner that counts from the beginning has not gone on from what is here.
        anew = last is not None and commit.epoch > last.epoch and commit.number <= last.number
        kept = () if anew else commit.stores
        for store in self.entries.keys() - set(kept):
            for key in self.entries.pop(store).values():
                self._dies(key)
        if self._commit_key is not None:
            self._dies(self._commit_key)
        self.commit, self.commit_at, self._commit_key = commit, record.offset, record.key
        self.counted = self.counted or record.key == self._expected

    def _changed(self, key: bytes, entry: Entry) -> None:
        entries = self.entries.setdefault(entry.store, {})
        replaced = entries.pop(entry.key, None)
        if replaced is not None:
            self._dies(replaced)
        if entry.value is None:
            self._dies(key)
        else:
            entries[entry.key] = key

    def _dies(self, key: bytes) -> None:
        if self.tracks:
            self.dead[key] = None


def _less(entries: Entries, deleted: set[bytes]) -> Entries:
    return {name: key for name, key in entries.items() if key not in deleted}
