"""What a record means: four kinds, each a msgpack array that starts with its kind.

A commit carries checkpoint and changes together: they are one record, so there is never one
without the other. The checkpoint inside has a version of its own (`samza_py.checkpoint_format`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

import msgspec

from samza_py.checkpoint import Change


class Claimed(msgspec.Struct, array_like=True, frozen=True, tag="claim"):
    """A task has a new owner."""

    task: str
    epoch: int


class Committed(msgspec.Struct, array_like=True, frozen=True, tag="commit"):
    """A task's newest checkpoint, and what it changed in its stores.

    Attributes:
        task: the task's name.
        epoch: of the claim it was written under.
        checkpoint: as `encode_checkpoint` gave it.
        stores: the stores the checkpoint has a marker for; the entries of others are forgotten.
        changes: encoded entries by store name, each a list of changes not looked at here: most
            readers want to know only that there are some.
    """

    task: str
    epoch: int
    checkpoint: bytes
    stores: list[str]
    changes: dict[str, msgspec.Raw]


class Entries(msgspec.Struct, array_like=True, frozen=True, tag="entries"):
    """Entries of a store that a compaction found to be live; the task's commit follows."""

    task: str
    store: str
    entries: msgspec.Raw


class Compacted(msgspec.Struct, array_like=True, frozen=True, tag="compacted"):
    """The end of what a compaction wrote; the file's live content was this large then."""


Record: TypeAlias = Claimed | Committed | Entries | Compacted

_encoder: Final = msgspec.msgpack.Encoder()
_record_decoder: Final[msgspec.msgpack.Decoder[Record]] = msgspec.msgpack.Decoder(Record)
_changes_decoder: Final = msgspec.msgpack.Decoder(list[tuple[bytes, bytes | None]])


def encode_record(record: Record) -> bytes:
    """The payload of a record."""
    return _encoder.encode(record)


def decode_record(payload: bytes) -> Record:
    """Read a record; its changes stay encoded.

    Raises:
        msgspec.DecodeError: it is none.
    """
    return _record_decoder.decode(payload)


def encode_changes(changes: Sequence[Change]) -> msgspec.Raw:
    """The changes of one store, as they stand inside a record."""
    return msgspec.Raw(_encoder.encode(changes))


def changes_of(record: Record, store: str) -> Sequence[Change]:
    """What a record says of one store's entries.

    Raises:
        msgspec.DecodeError: they are no changes.
    """
    if isinstance(record, Committed) and store in record.changes:
        return _changes_decoder.decode(record.changes[store])
    if isinstance(record, Entries) and store == record.store:
        return _changes_decoder.decode(record.entries)
    return ()
