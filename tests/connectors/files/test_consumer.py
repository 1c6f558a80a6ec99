"""What the consumer promises: room, cancellation, seeks, several tasks, failures of one."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from samza_py.checkpoint import Claim
from samza_py.connectors.files import FileInput, Files
from samza_py.connectors.files.offsets import START
from samza_py.connectors.files.paths import bucket_of
from samza_py.connectors.files.records import Records
from samza_py.connectors.files.rows import RowCutter
from samza_py.connectors.files.sources import Plain
from samza_py.consumer import Consumer, Fetched, Room
from samza_py.errors import ConnectorError, PositionLostError
from samza_py.message import END, Partition, Received, TaskPartition
from tests.connectors.files.reading import (
    CLAIM,
    ROOM,
    consumer_of,
    drained,
    key_of,
    read_on,
    values,
)

COUNT = 3000


@pytest.fixture
def stream(tmp_path: Path) -> FileInput[str]:
    """A file of numbered lines."""
    (tmp_path / "a.txt").write_text("".join(f"{n}\n" for n in range(COUNT)))
    return Files(root=str(tmp_path)).text("input", "a.txt")


async def fetch(consumer: Consumer, key: TaskPartition, room: Room = ROOM) -> Fetched:
    """The next fetch that says something."""
    while True:
        found = await consumer.poll({key: room})
        if key in found:
            return found[key]


def numbers(messages: list[Received]) -> list[int]:
    return [int(m.raw_value) for m in messages]


async def test_a_poll_gives_no_more_than_there_is_room_for(stream: FileInput[str]) -> None:
    key = key_of(stream)
    async with consumer_of(stream) as consumer:
        await consumer.assign(CLAIM, {key: START})
        for most in (1, 2, 7):
            assert len((await fetch(consumer, key, Room(most, 1 << 20))).messages) <= most
        # Lines of two bytes: the one that passes the room is the last.
        assert len((await fetch(consumer, key, Room(1000, 1))).messages) == 1
        found = await drained(consumer, key)
    assert numbers(found)[-1] == COUNT - 1


async def test_a_poll_stops_behind_the_record_that_passes_its_room(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes((b"x" * 9_999 + b"\n") * 10)
    stream = Files(root=str(tmp_path)).text("input", "a.txt")
    key = key_of(stream)
    async with consumer_of(stream) as consumer:
        await consumer.assign(CLAIM, {key: START})
        assert len((await fetch(consumer, key, Room(1000, 35_000))).messages) == 4
        assert len((await fetch(consumer, key, Room(1000, 30_000))).messages) == 3
        assert len((await fetch(consumer, key, Room(1000, 30_001))).messages) == 3


async def test_a_cancelled_poll_has_taken_nothing(stream: FileInput[str]) -> None:
    key = key_of(stream)
    found: list[Received] = []
    async with consumer_of(stream) as consumer:
        await consumer.assign(CLAIM, {key: START})
        turns = 0
        while True:
            poll = asyncio.create_task(consumer.poll({key: Room(50, 1 << 20)}))
            for _ in range(turns % 5):
                await asyncio.sleep(0)
            turns += 1
            poll.cancel()
            try:
                fetched = (await poll).get(key)
            except asyncio.CancelledError:
                fetched = (await consumer.poll({key: Room(50, 1 << 20)})).get(key)
            if fetched is not None:
                found += fetched.messages
                if fetched.finished:
                    break
    assert numbers(found) == list(range(COUNT))


async def test_assigning_again_is_a_seek(stream: FileInput[str]) -> None:
    key = key_of(stream)
    async with consumer_of(stream) as consumer:
        await consumer.assign(CLAIM, {key: START})
        first = await fetch(consumer, key, Room(100, 1 << 20))
        offset = first.messages[49].offset
        await fetch(consumer, key)
        await consumer.assign(CLAIM, {key: offset})
        assert numbers(await drained(consumer, key)) == list(range(50, COUNT))


async def test_a_seek_during_a_poll_drops_what_the_older_read_brings(
    stream: FileInput[str],
) -> None:
    key = key_of(stream)
    offset = (await read_on(stream))[COUNT - 2].offset
    async with consumer_of(stream) as consumer:
        await consumer.assign(CLAIM, {key: START})
        poll = asyncio.create_task(consumer.poll({key: ROOM}))
        await asyncio.sleep(0)
        await consumer.assign(CLAIM, {key: offset})
        found = list((await poll)[key].messages) if key in await poll else []
        found += await drained(consumer, key)
    assert numbers(found) == [COUNT - 1]


async def test_tasks_read_the_same_partition_on_their_own(stream: FileInput[str]) -> None:
    one = key_of(stream)
    other = TaskPartition("other/0", one.partition)
    middle = (await read_on(stream))[999].offset
    async with consumer_of(stream) as consumer:
        await consumer.assign(CLAIM, {one: START})
        await consumer.assign(Claim("other/0", 3), {other: middle})
        first = await fetch(consumer, one, Room(10, 1 << 20))
        assert numbers(await drained(consumer, other)) == list(range(1000, COUNT))
        rest = await drained(consumer, one)
    assert numbers([*first.messages, *rest]) == list(range(COUNT))


async def test_a_revoked_partition_is_forgotten_and_its_file_closed(
    stream: FileInput[str], tmp_path: Path
) -> None:
    key = key_of(stream)
    async with consumer_of(stream) as consumer:
        await consumer.assign(CLAIM, {key: START})
        await fetch(consumer, key, Room(1, 1))
        await consumer.revoke([key, TaskPartition("unknown", key.partition)])
        assert await consumer.poll({key: ROOM}) == {}
    held = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if _there(fd)]
    assert not [path for path in held if str(tmp_path) in path]


def _there(fd: str) -> bool:
    return os.path.lexists(f"/proc/self/fd/{fd}")


async def test_a_partition_left_out_stays_unread(tmp_path: Path) -> None:
    for name in "abcdefgh":
        (tmp_path / name).write_text("1\n2\n")
    stream = Files(root=str(tmp_path)).text("input", ".", max_partitions=2)
    one, other = key_of(stream, "0"), key_of(stream, "1")
    async with consumer_of(stream) as consumer:
        await consumer.assign(CLAIM, {one: START, other: START})
        found = numbers(await drained(consumer, one))
        found += numbers(await drained(consumer, other))
    assert found == [1, 2] * 8


async def test_one_partition_fails_alone_and_goes_on_when_assigned_again(tmp_path: Path) -> None:
    for name in "abcdefgh":
        (tmp_path / name).write_text("1\n2\n")
    stream = Files(root=str(tmp_path)).text("input", ".", max_partitions=2)
    lost = sorted(n for n in "abcdefgh" if _bucket(n) == 0)[-1]
    one, other = key_of(stream, "0"), key_of(stream, "1")
    async with consumer_of(stream) as consumer:
        await consumer.assign(CLAIM, {one: START, other: START})
        (tmp_path / lost).unlink()
        before: list[Received] = []
        while True:
            fetched = await fetch(consumer, one, Room(1, 1))
            before += fetched.messages
            if fetched.error is not None:
                break
        assert isinstance(fetched.error, PositionLostError)
        assert fetched.position == before[-1].offset
        assert numbers(await drained(consumer, other))
        (tmp_path / lost).write_text("1\n2\n")
        await consumer.assign(CLAIM, {one: fetched.position})
        after = await drained(consumer, one)
    assert numbers([*before, *after]) == [1, 2] * (len(before) // 2 + 1)


def _bucket(name: str) -> int:
    return bucket_of(name, 2)


async def test_remaining_counts_bytes_down_to_none(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_bytes(b"0\n1\n2\n\n")
    stream = Files(root=str(tmp_path)).text("input", ".", max_partitions=1)
    key = key_of(stream)
    left: list[int | None] = []
    async with consumer_of(stream) as consumer:
        assert consumer.remaining_unit == "bytes"
        await consumer.assign(CLAIM, {key: START})
        while True:
            fetched = await fetch(consumer, key, Room(1, 1))
            left.append(fetched.remaining)
            if fetched.finished:
                break
    assert left == [12, 10, 8, 7, 5, 3, 1, 0, 0]


async def test_the_end_comes_alone_behind_the_last_message(stream: FileInput[str]) -> None:
    key = key_of(stream)
    fetches: list[Fetched] = []
    async with consumer_of(stream) as consumer:
        await consumer.assign(CLAIM, {key: START})
        while not fetches or not fetches[-1].finished:
            fetches.append(await fetch(consumer, key))
        assert await consumer.poll({key: ROOM}) == {}  # told once
    assert [f.at_head for f in fetches] == [False] * (len(fetches) - 1) + [True]
    assert fetches[-1].position is END
    assert not fetches[-1].messages


async def test_the_position_moves_over_blank_lines(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"1\n" + b"\n" * 5)
    stream = Files(root=str(tmp_path)).jsonl("input", "a", value=int)
    key = key_of(stream)
    async with consumer_of(stream) as consumer:
        await consumer.assign(CLAIM, {key: START})
        fetched = await fetch(consumer, key)
    assert str(fetched.position).endswith(":7")
    assert await read_on(stream, fetched.position) == []


async def test_a_partition_that_is_not_there_fails_by_name(stream: FileInput[str]) -> None:
    key = TaskPartition(CLAIM.task, Partition("files", "input", "7"))
    async with consumer_of(stream) as consumer:
        await consumer.assign(CLAIM, {key: START})
        with pytest.raises(PositionLostError, match=r"files\.input\[7\]"):
            await drained(consumer, key)


async def test_an_error_that_is_not_ours_does_not_leave_a_partition_standing(
    stream: FileInput[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: object) -> object:
        raise ZeroDivisionError("a mistake")

    monkeypatch.setattr("samza_py.connectors.files.reader.PartitionReader.read", broken)
    key = key_of(stream)
    async with consumer_of(stream) as consumer:
        await consumer.assign(CLAIM, {key: START})
        with pytest.raises(ConnectorError, match="a mistake"):
            await drained(consumer, key)


async def test_what_takes_long_to_cut_is_cut_in_a_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_bytes(b'k,v\n1,"' + (b"x" * 99 + b"\n") * 80_000 + b'"\n2,b\n')
    on_the_loop: list[int] = []
    cut = RowCutter.cut

    def watched(self: RowCutter, block: bytes, *, final: bool) -> Records:
        if threading.current_thread() is threading.main_thread():
            on_the_loop.append(len(block))
        return cut(self, block, final=final)

    monkeypatch.setattr(RowCutter, "cut", watched)
    stream: FileInput[Any] = Files(root=str(tmp_path)).csv("input", "a.csv", value=dict[str, str])

    assert [row["k"] for row in values(await read_on(stream))] == ["1", "2"]
    assert max(on_the_loop) <= 1 << 17


async def test_no_more_than_two_pieces_are_held_of_a_partition_without_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_bytes(b"x" * 9 + b"\n" + b"y\n" * 100_000)
    monkeypatch.setattr("samza_py.connectors.files.reader.CHUNK_BYTES", 1000)
    stream = Files(root=str(tmp_path)).text("input", "a.txt")
    reads: list[int] = []
    read = Plain.read

    def counted(self: Plain, size: int) -> bytes:
        reads.append(size)
        return read(self, size)

    monkeypatch.setattr(Plain, "read", counted)
    key = key_of(stream)
    async with consumer_of(stream) as consumer:
        await consumer.assign(CLAIM, {key: START})
        await fetch(consumer, key, Room(1, 1))
        for _ in range(200):
            await consumer.poll({key: Room(1, 1)})
        assert len(reads) <= 4
