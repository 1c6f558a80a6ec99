"""The stored form of a checkpoint: JSON with a version, the same in every checkpoint store.

Version 1 is the first. A later version gets a decoder of its own beside this one; what each
version wrote is kept in ``tests/compat`` and must be readable for ever.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from samza_py.checkpoint import Checkpoint, InputProgress, Run, Token
from samza_py.errors import CorruptCheckpointError
from samza_py.message import END, Offset, Partition

VERSION: Final = 1


class _Input(msgspec.Struct, omit_defaults=True):
    system: str
    stream: str
    partition: str
    after: str | None = None  # None is END
    lineage: str = ""
    done: list[tuple[str, str]] = []


class _Stored(msgspec.Struct, omit_defaults=True):
    version: int
    epoch: int
    number: int
    inputs: list[_Input] = []
    outputs: dict[str, list[str]] = {}
    stores: dict[str, str] = {}
    control: dict[str, Any] = {}


class _Versioned(msgspec.Struct):
    version: int


def encode_checkpoint(checkpoint: Checkpoint) -> bytes:
    """The bytes to store for a checkpoint, in the newest version."""
    inputs = [
        _Input(
            partition.system,
            partition.stream,
            partition.id,
            None if progress.after is END else progress.after,
            progress.lineage,
            [(run.first, run.last) for run in progress.done],
        )
        for partition, progress in checkpoint.inputs.items()
    ]
    outputs = {
        name: [str(token) for token in tokens] for name, tokens in checkpoint.outputs.items()
    }
    return msgspec.json.encode(
        _Stored(
            VERSION,
            checkpoint.epoch,
            checkpoint.number,
            inputs,
            outputs,
            dict(checkpoint.stores),
            dict(checkpoint.control),
        )
    )


def decode_checkpoint(data: bytes, where: str) -> Checkpoint:
    """Read a stored checkpoint of any version known here.

    Args:
        data: as it was stored.
        where: its place, for the message: a path and byte offset, or a topic and offset.

    Raises:
        CorruptCheckpointError: it is damaged, or was written by a newer samza-py.
    """
    try:
        version = msgspec.json.decode(data, type=_Versioned).version
        if version != VERSION:
            raise CorruptCheckpointError(
                f"the checkpoint at {where} has format version {version}, this samza-py reads up "
                f"to {VERSION}: run a newer samza-py, or start over with --ignore-checkpoint"
            )
        stored = msgspec.json.decode(data, type=_Stored)
    except msgspec.DecodeError as error:
        raise CorruptCheckpointError(
            f"the checkpoint at {where} is damaged ({error}); restore it from a copy, or start "
            "over with --ignore-checkpoint, which reads the inputs from their configured start"
        ) from error
    return Checkpoint(
        stored.epoch,
        stored.number,
        {Partition(i.system, i.stream, i.partition): _progress(i) for i in stored.inputs},
        {name: tuple(Token(t) for t in tokens) for name, tokens in stored.outputs.items()},
        stored.stores,
        stored.control,
    )


def _progress(stored: _Input) -> InputProgress:
    done = tuple(Run(Offset(first), Offset(last)) for first, last in stored.done)
    after = END if stored.after is None else Offset(stored.after)
    return InputProgress(after, stored.lineage, done)
