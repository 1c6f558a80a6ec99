"""What a test gives a job to read: values, records, and stored bytes that no serde has made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import msgspec

from samza_py.errors import ConfigError
from samza_py.job import Job
from samza_py.message import Headers, Outgoing, Record
from samza_py.system import Input


@dataclass(frozen=True, slots=True)
class RawRecord:
    """A message as it is stored, also one that the stream's serde cannot read.

    Attributes:
        value: its bytes; None for a tombstone.
        key: the key's bytes.
        headers: names and bytes.
        timestamp_ms: event time, -1 for none.
        partition: the partition's id; chosen by the key where it is None.
    """

    value: bytes | None
    key: bytes | None = None
    headers: Headers = ()
    timestamp_ms: int = -1
    partition: str | None = None


def refuse_other_types(job: object, inputs: object) -> None:
    """Say what a run takes where something else was given: a test may have no type checker.

    Raises:
        ConfigError: no job, no mapping, no stream in it, or no several items.
    """
    if not isinstance(job, Job):
        why = "is no Job; pass the object of the job file: `from orders import job`"
        raise ConfigError("job", why, job)
    if not isinstance(inputs, Mapping):
        why = f"takes {{stream: [value, ...]}}, {{}} where all are empty; not {inputs!r}"
        raise ConfigError("inputs", why)
    given = cast("Mapping[object, object]", inputs)
    for stream, items in given.items():
        if not isinstance(stream, Input):
            why = f"{stream!r} is no input; pass the stream object of the job"
            raise ConfigError("inputs", why)
        if not isinstance(items, Iterable) or isinstance(items, str | bytes | Mapping):
            why = f"takes several items: write [item] for a single one, not {items!r}"
            raise ConfigError(f"inputs of {stream}", why)


def encoded(stream: Input[Any, Any], items: Iterable[Any]) -> list[Outgoing]:
    """The messages for these items, encoded by the stream's own serdes.

    Args:
        stream: the input.
        items: values, ``Record(value, key=...)``, ``RawRecord(bytes)``, or None for a tombstone.

    Raises:
        ConfigError: a value or key does not fit the stream; says which.
    """
    return [_encoded(stream, index, item) for index, item in enumerate(items)]


def _encoded(stream: Input[Any, Any], index: int, item: Any) -> Outgoing:
    if isinstance(item, RawRecord):
        return Outgoing(
            stream.name,
            item.key,
            item.value,
            item.timestamp_ms,
            headers=item.headers,
            partition=item.partition,
        )
    is_record = isinstance(item, Record)
    record: Record[Any, Any] = cast("Any", item) if is_record else Record(item)
    no_key = record.key is msgspec.UNSET or record.key is None
    try:
        key = None if no_key else stream.key_serde.encoder()(record.key)
        value = None if record.value is None else stream.value_serde.encoder()(record.value)
    except Exception as error:
        why = f"does not fit the stream: {error}; RawRecord(bytes) puts any bytes"
        raise ConfigError(f"inputs of {stream}, item {index}", why, item) from error
    time = -1 if record.timestamp_ms is None else record.timestamp_ms
    return Outgoing(
        stream.name, key, value, time, headers=record.headers, partition=record.partition
    )
