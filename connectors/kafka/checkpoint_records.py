"""What stands in a topic of checkpoints: the records of version 1.

The key says what a record is and, for what a commit wrote, under which claim (its *term*):

    task/UUID                     partition 0: a name of a task
    claim/UUID                    somebody takes the task over
    commit/TERM/SEQUENCE          a checkpoint
    entry/TERM/SEQUENCE/INDEX     one changed entry of a store, beside that checkpoint

No key is written twice but to delete its record, so that compaction never drops one record in
favour of another: what a fenced owner still writes cannot take a good record away.

A value is a msgpack array that begins with the format version. The checkpoint inside has a version
of its own (``samza_py.checkpoint_format``).
"""

from __future__ import annotations

import uuid
from typing import Final, NamedTuple, TypeVar

import msgspec

from samza_py.errors import CorruptCheckpointError

VERSION: Final = 1


class Record(NamedTuple):
    """One record as it was read.

    Attributes:
        offset: where.
        key: see the module.
        value: None deletes the record of this key.
    """

    offset: int
    key: bytes
    value: bytes | None


class Named(msgspec.Struct, array_like=True, frozen=True):
    """A task of a job. The first record of a name counts; its place gives the partition."""

    version: int
    job: str
    task: str


class Claimed(msgspec.Struct, array_like=True, frozen=True):
    """Somebody takes over a task.

    Attributes:
        version: of the format.
        task: its name, for people.
        seen: the term that was in force as far as the claimer knew; -1 where none was.
    """

    version: int
    task: str
    seen: int


class Committed(msgspec.Struct, array_like=True, frozen=True):
    """A checkpoint.

    Attributes:
        version: of the format.
        epoch: of the claim as the runtime knows it.
        number: of the commit.
        stores: those that have a marker; the entries of all others are forgotten.
        checkpoint: as ``encode_checkpoint`` gave it.
    """

    version: int
    epoch: int
    number: int
    stores: list[str]
    checkpoint: bytes


class Entry(msgspec.Struct, array_like=True, frozen=True):
    """A changed entry of a store; without a value it was deleted."""

    version: int
    store: str
    key: bytes
    value: bytes | None


class _Versioned(msgspec.Struct, array_like=True):
    version: int


S = TypeVar("S", Named, Claimed, Committed, Entry)

encode: Final = msgspec.msgpack.Encoder().encode


def new_key(kind: str) -> bytes:
    """A key that nobody else has made."""
    return f"{kind}/{uuid.uuid4().hex}".encode()


def commit_key(term: int, sequence: int) -> bytes:
    """The key of a checkpoint."""
    return b"commit/%d/%d" % (term, sequence)


def entry_key(term: int, sequence: int, index: int) -> bytes:
    """The key of an entry beside that checkpoint."""
    return b"entry/%d/%d/%d" % (term, sequence, index)


def kind_of(key: bytes) -> bytes:
    """The first word of a key."""
    return key.partition(b"/")[0]


def term_of(key: bytes, where: str) -> int:
    """The term that stands in the key of a checkpoint or an entry.

    Raises:
        CorruptCheckpointError: none stands there.
    """
    try:
        return int(key.split(b"/")[1])
    except (IndexError, ValueError):
        raise _damaged(where, f"its key is {key[:80]!r}") from None


def decode(value: bytes, kind: type[S], where: str) -> S:
    """Read a value.

    Args:
        value: as it was stored.
        kind: what it has to be.
        where: topic, partition and offset, for the message.

    Raises:
        CorruptCheckpointError: it is damaged, or was written by a newer samza-py.
    """
    try:
        version = msgspec.msgpack.decode(value, type=_Versioned).version
        if version == VERSION:
            return msgspec.msgpack.decode(value, type=kind)
    except msgspec.DecodeError as error:
        raise _damaged(where, str(error)) from error
    raise CorruptCheckpointError(
        f"the checkpoint record at {where} has format version {version}, this samza-py reads up to "
        f"{VERSION}: run a newer samza-py, or start over with another topic"
    )


def unknown(key: bytes, where: str) -> CorruptCheckpointError:
    """The error for a record of a kind that is not known here."""
    return _damaged(where, f"its key is {key[:80]!r}")


def _damaged(where: str, why: str) -> CorruptCheckpointError:
    return CorruptCheckpointError(
        f"the checkpoint record at {where} is damaged or none of samza-py's ({why}): let the job "
        "keep its checkpoints in another topic, which reads its inputs from their configured start"
    )
