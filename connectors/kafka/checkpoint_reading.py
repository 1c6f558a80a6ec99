"""Reads a partition of the checkpoint topic into its history, in the memory of what is alive."""

from __future__ import annotations

from samza_py.checkpoint import Checkpoint
from samza_py.checkpoint_format import decode_checkpoint
from samza_py.connectors.kafka.checkpoint_history import History
from samza_py.connectors.kafka.checkpoint_log import TopicLog
from samza_py.connectors.kafka.checkpoint_records import (
    VERSION,
    Entry,
    Record,
    decode,
    encode,
    kind_of,
)


async def catch_up(history: History, log: TopicLog, partition: int, end: int) -> None:
    """Read on to an offset at least, from where a history has come to.

    While we read, compaction may take away what stands ahead of us, on account of deletions that
    are appended behind ``end``; without those, what is left would look as if it counted. So where
    offsets are missing we read on to the new end, until a stretch is whole: all deletions that
    had an effect on what we saw had been appended by the time it was read.

    What is deleted within the stretch is not kept until its end: a log that was not compacted for
    long has a hundred times as many records as live ones.
    """
    position, found = history.position, dict[bytes, Record]()
    while position < end:
        count = 0
        async for records in log.read(partition, position, end):
            count += len(records)
            for record in records:
                _keep(found, _light(record, history), history)
        whole = count == end - position
        position = end
        if not whole:
            end = await log.end(partition)
    if position > history.position:
        history.apply(list(found.values()), position)


def _keep(found: dict[bytes, Record], record: Record, history: History) -> None:
    """Add a record to those of a stretch, by key, without those that are deleted by it."""
    known = found.get(record.key)
    if record.value is not None:
        found[record.key] = record
    elif known is not None and known.value is not None:
        del found[record.key]
    elif history.position:  # What stood before the stretch; before the first one nothing did.
        found[record.key] = record


def _light(record: Record, history: History) -> Record:
    """Without the value of an entry, which only a restore needs."""
    if kind_of(record.key) != b"entry" or record.value is None:
        return record
    if not history.tracks:
        return record._replace(value=b"")
    entry = decode(record.value, Entry, history.place(record.offset))
    if entry.value is None:
        return record
    return record._replace(value=encode(Entry(VERSION, entry.store, entry.key, b"")))


def newest(history: History) -> Checkpoint | None:
    """The checkpoint that counts.

    Raises:
        CorruptCheckpointError: it is damaged; says where.
    """
    if history.commit is None:
        return None
    return decode_checkpoint(history.commit.checkpoint, history.place(history.commit_at))
