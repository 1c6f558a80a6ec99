"""The rule by which records count, case by case, and after compaction has taken some away."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import cast

import pytest

from samza_py.checkpoint import Checkpoint
from samza_py.checkpoint_format import encode_checkpoint
from samza_py.connectors.kafka.checkpoint_history import History
from samza_py.connectors.kafka.checkpoint_log import TopicLog
from samza_py.connectors.kafka.checkpoint_reading import catch_up
from samza_py.connectors.kafka.checkpoint_records import (
    VERSION,
    Claimed,
    Committed,
    Entry,
    Record,
    commit_key,
    encode,
    entry_key,
)
from samza_py.errors import CheckpointError, CorruptCheckpointError


def claim(offset: int, seen: int) -> Record:
    return Record(offset, b"claim/%d" % offset, encode(Claimed(VERSION, "task", seen)))


def commit(
    offset: int, term: int, number: int, *, epoch: int | None = None, stores: str = "s"
) -> Record:
    epoch = term if epoch is None else epoch
    data = encode_checkpoint(Checkpoint(epoch, number, stores=dict.fromkeys(stores, "m")))
    stored = Committed(VERSION, epoch, number, list(stores), data)
    return Record(offset, commit_key(term, number), encode(stored))


def entry(offset: int, term: int, number: int, key: bytes, value: bytes | None = b"v") -> Record:
    stored = Entry(VERSION, "s", key, value)
    return Record(offset, entry_key(term, number, 0), encode(stored))


def deletion(offset: int, of: Record) -> Record:
    return Record(offset, of.key, None)


def history(*records: Record, end: int = 1000) -> History:
    made = History("topic[1]", "task", entries=True)
    made.apply(records, end)
    return made


def number_in(found: History) -> int:
    return 0 if found.commit is None else found.commit.number


def test_the_newest_claims_commits_count() -> None:
    found = history(claim(0, -1), commit(1, 0, 1), claim(2, 0), commit(3, 0, 2), commit(4, 2, 5))
    assert (found.term, number_in(found)) == (2, 5)
    assert list(found.dead) == [b"claim/0", b"commit/0/2", b"commit/0/1"]


def test_of_two_claims_by_the_same_knowledge_the_first_counts() -> None:
    found = history(claim(0, -1), claim(1, 0), claim(2, 0), commit(3, 1, 2), commit(4, 0, 3))
    assert (found.term, found.claim, number_in(found)) == (1, b"claim/1", 2)


def test_a_claim_that_comes_late_changes_nothing() -> None:
    found = history(claim(0, -1), claim(1, 0), claim(2, 1), claim(3, 0), commit(4, 2, 1))
    assert (found.term, number_in(found)) == (2, 1)


def test_a_term_is_known_by_what_was_written_under_it() -> None:
    # The claims 0 and 5 are gone; 5 is known by commit 6, so that 7, of 0, does not count.
    found = history(commit(6, 5, 2), commit(7, 0, 9), claim(8, 5))
    assert (found.term, number_in(found)) == (8, 2)
    assert history(commit(6, 5, 2), claim(8, 0)).term == 5


def test_what_is_deleted_does_not_count_although_its_judge_is_gone() -> None:
    # Claim 4 showed that 5 does not count; compaction took the claim, and has yet to take 5.
    late = commit(5, 0, 3)
    whole = history(claim(0, -1), commit(1, 0, 2), claim(4, 0), late, claim(6, 4))
    left = history(commit(1, 0, 2), late, claim(6, 4), deletion(8, late))
    assert number_in(whole) == number_in(left) == 2


def test_entries_are_replaced_deleted_and_forgotten() -> None:
    first, second, gone = entry(2, 0, 1, b"a"), entry(4, 0, 2, b"a"), entry(6, 0, 3, b"a", None)
    found = history(claim(0, -1), commit(1, 0, 1), first, commit(3, 0, 2), second)
    assert found.entries == {"s": {b"a": second.key}}
    found.apply([commit(5, 0, 3), gone], 7)
    assert found.entries == {"s": {}}
    assert list(found.dead)[-2:] == [second.key, gone.key]
    third = entry(8, 0, 4, b"a")
    found.apply([commit(7, 0, 4), third, commit(9, 0, 5, stores="")], 10)
    assert not found.entries
    assert list(found.dead)[-2:] == [third.key, commit(7, 0, 4).key]


def test_another_owner_may_delete_what_was_live_here() -> None:
    # Between the two readings the entry was deleted, and compaction took what said so.
    kept, gone = entry(2, 0, 1, b"a"), entry(3, 0, 2, b"b")
    found = history(claim(0, -1), commit(1, 0, 1), kept, gone, end=4)
    found.apply([claim(4, 0), commit(9, 4, 3), deletion(10, gone)], 11)
    assert found.entries == {"s": {b"a": kept.key}}


def test_a_run_that_counts_from_the_beginning_has_started_over() -> None:
    old, new = entry(2, 0, 2, b"a"), entry(5, 3, 1, b"b")
    found = history(claim(0, -1), commit(1, 0, 2), old, claim(3, 0), commit(4, 3, 1), new)
    assert found.entries == {"s": {b"b": new.key}}
    assert old.key in found.dead


def test_what_cannot_be_read_is_said_with_its_place() -> None:
    for record in (
        Record(7, b"claim/x", b"spoilt"),
        Record(7, b"commit/0/1", b"\xc1"),
        Record(7, b"commit/x/1", b""),
        Record(7, b"something", b""),
        Record(7, b"", b""),
    ):
        with pytest.raises(CorruptCheckpointError, match=r"topic\[1\] offset 7"):
            history(record)
    with pytest.raises(CorruptCheckpointError, match=r"version 9, .* newer samza-py"):
        history(Record(7, b"claim/x", encode(Claimed(9, "task", 0))))


class Compacting:
    """A log that compaction visits after the first stretch has been read."""

    def __init__(self, before: Sequence[Record], behind: Sequence[Record]) -> None:
        self.first, self.more = before, behind

    async def end(self, partition: int) -> int:
        return 20

    async def read(
        self, partition: int, start: int, end: int
    ) -> AsyncGenerator[Sequence[Record], None]:
        yield [one for one in (*self.first, *self.more) if start <= one.offset < end]


async def test_where_offsets_are_missing_the_deletions_behind_are_read_too() -> None:
    late = commit(5, 0, 3)
    log = Compacting((commit(1, 0, 2), late), (claim(6, 4), deletion(8, late)))
    found = History("topic[1]", "task", entries=True)
    await catch_up(found, cast("TopicLog", log), 1, 6)
    assert (found.position, number_in(found)) == (20, 2)


async def test_a_stretch_that_is_whole_is_enough() -> None:
    log = Compacting((claim(0, -1), commit(1, 0, 2)), (commit(2, 0, 3),))
    found = History("topic[1]", "task", entries=True)
    await catch_up(found, cast("TopicLog", log), 1, 2)
    assert (found.position, number_in(found)) == (2, 2)


@pytest.mark.parametrize("tracks", [True, False])
async def test_what_is_deleted_on_the_way_is_not_kept_until_the_end(
    tracks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [claim(0, -1), commit(1, 0, 1)]
    for number in range(2, 1000):  # each commit deletes the one before it
        offset = len(records)
        records += [commit(offset, 0, number), deletion(offset + 1, records[-1 - (number > 2)])]
    kept: list[int] = []
    apply = History.apply

    def counted(self: History, records: Sequence[Record], position: int) -> None:
        kept.append(len(records))
        apply(self, records, position)

    monkeypatch.setattr(History, "apply", counted)
    found = History("topic[1]", "task", entries=tracks)
    log = cast("TopicLog", Compacting(records, ()))
    await catch_up(found, log, 1, len(records))
    assert (found.position, number_in(found), kept) == (len(records), 999, [2])


async def test_what_stood_before_a_stretch_is_deleted_by_it() -> None:
    records = [claim(0, -1), entry(1, 0, 1, b"a"), commit(2, 0, 1)]
    records += [deletion(3, records[1]), deletion(4, records[1])]
    found = History("topic[1]", "task", entries=True)
    log = cast("TopicLog", Compacting(records, ()))
    await catch_up(found, log, 1, 3)
    assert found.entries == {"s": {b"a": records[1].key}}
    await catch_up(found, log, 1, 5)
    assert found.entries == {"s": {}}


def test_a_partition_of_another_task_is_not_read_as_ones_own() -> None:
    """A topic that was deleted and made anew under a running container shares out anew."""
    found = History("topic[1]", "other", entries=False)
    with pytest.raises(CheckpointError, match=r"topic\[1\] offset 7: claimed for task task, and"):
        found.apply([claim(7, -1)], 8)
