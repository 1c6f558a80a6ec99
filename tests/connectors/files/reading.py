"""Reading an input as the runtime does, without a runtime."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cramjam import zstd

from samza_py.checkpoint import Claim
from samza_py.connectors.files import FileInput, Files
from samza_py.connectors.files.offsets import START
from samza_py.consumer import Consumer, Room
from samza_py.message import END, Message, Partition, Position, Received, TaskPartition

CLAIM = Claim("reader/0", 1)
ROOM = Room(1000, 1 << 20)
SUFFIXES = {"none": "", "gzip": ".gz", "zstd": ".zst", "zip": ".zip"}


def text(root: Path | str, path: str, **settings: Any) -> FileInput[str]:
    """An input of text lines."""
    return Files(root=str(root)).text("input", path, **settings)


def fill(root: Path, *names: str) -> None:
    """Files that hold their own name."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name + "\n")


def packed(content: bytes, compression: str) -> bytes:
    """The content as a file of this compression has it."""
    if compression == "gzip":
        half = len(content) // 2  # two members, as `cat a.gz b.gz` makes
        return gzip.compress(content[:half]) + gzip.compress(content[half:])
    if compression == "zstd":
        half = len(content) // 2
        return bytes(zstd.compress(content[:half])) + bytes(zstd.compress(content[half:]))
    if compression == "zip":
        return zipped({"content": content})
    return content


def zipped(members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip with these members."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return file.getvalue()


def key_of(stream: FileInput[Any], partition: str = "0") -> TaskPartition:
    return TaskPartition(CLAIM.task, Partition(stream.system.name, stream.name, partition))


def consumer_of(stream: FileInput[Any]) -> Consumer:
    return stream.system.consumer({stream.name: stream})


async def partitions_of(stream: FileInput[Any]) -> Mapping[Partition, str]:
    """The partitions of an input and their lineages."""
    async with stream.system.admin({stream.name: stream}) as admin:
        found = await admin.partitions(stream.name)
    return {partition: info.lineage for partition, info in found.items()}


async def read_on(
    stream: FileInput[Any],
    after: Position = START,
    partition: str = "0",
    room: Room = ROOM,
) -> list[Received]:
    """All that one partition has behind a position; raises what it fails with."""
    key = key_of(stream, partition)
    async with consumer_of(stream) as consumer:
        await consumer.assign(CLAIM, {key: after})
        return await drained(consumer, key, room)


async def drained(consumer: Consumer, key: TaskPartition, room: Room = ROOM) -> list[Received]:
    """What an assigned partition has until it is finished."""
    messages: list[Received] = []
    while True:
        fetched = (await consumer.poll({key: room})).get(key)
        if fetched is None:
            continue
        messages += fetched.messages
        if fetched.error is not None:
            raise fetched.error
        if fetched.finished:
            assert fetched.position is END
            return messages


async def read_all(stream: FileInput[Any]) -> list[Received]:
    """All partitions of an input, one after another."""
    found: list[Received] = []
    for partition in await partitions_of(stream):
        found += await read_on(stream, partition=partition.id)
    return found


def values(messages: Sequence[Received]) -> list[Any]:
    """The raw values, with the reason in place of what could not be read."""
    return [m.raw_value if isinstance(m, Message) else str(m.error) for m in messages]
