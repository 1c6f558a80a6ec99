"""Positions are kept over restarts, and one that no longer fits is refused by name."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from samza_py.connectors.files import Files
from samza_py.connectors.files.offsets import START, compare_offsets, place_of, prefix_of
from samza_py.errors import CorruptCheckpointError, PositionLostError
from samza_py.message import END, Offset
from tests.connectors.files.reading import (
    CLAIM,
    consumer_of,
    drained,
    key_of,
    read_on,
    values,
    zipped,
)


async def test_an_offset_says_file_and_byte(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"one\ntwo\n")
    (tmp_path / "a.zip").write_bytes(zipped({"skipped/": b"", "x": b"one\n"}))
    files = Files(root=str(tmp_path))

    messages = await read_on(files.text("input", "a.txt"))
    packed = await read_on(files.text("input", "a.zip"))

    assert [place_of(m.offset)[:2] for m in messages] == [("a.txt", (4,)), ("a.txt", (8,))]
    assert place_of(packed[0].offset)[:2] == ("a.zip", (1, 4))


async def test_a_position_is_good_below_another_root(tmp_path: Path) -> None:
    for root in ("old", "new"):
        (tmp_path / root).mkdir()
        (tmp_path / root / "a.txt").write_bytes(b"one\ntwo\n")
    messages = await read_on(Files(root=str(tmp_path / "old")).text("input", "a.txt"))

    moved = Files(root=str(tmp_path / "new")).text("input", "a.txt")

    assert values(await read_on(moved, messages[0].offset)) == [b"two"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"one\n", r"a\.txt shrank from 14 to 4 bytes since the checkpoint"),
        (b"one\ntwo\nthree\nfour\n", r"a\.txt grew from 14 to 19 bytes"),
        (b"ONE\ntwo\nthree\n", r"a\.txt has other content than at the checkpoint"),
        (b"one\ntwo\nTHREE\n", r"a\.txt has other content than at the checkpoint"),
        (None, r"a\.txt of the position is gone"),
    ],
)
async def test_a_file_that_changed_since_is_refused_by_name(
    content: bytes | None, told: str, tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    path = tmp_path / "in/a.txt"
    path.write_bytes(b"one\ntwo\nthree\n")
    stream = Files(root=str(tmp_path)).text("input", "in", max_partitions=1)
    messages = await read_on(stream)

    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)

    with pytest.raises(PositionLostError, match=told):
        await read_on(stream, messages[0].offset)


async def test_a_change_at_the_end_of_a_large_file_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"line\n" * 100_000)
    stream = Files(root=str(tmp_path)).text("input", "a.txt")
    messages = await read_on(stream)
    path.write_bytes(b"line\n" * 99_999 + b"last\n")

    with pytest.raises(PositionLostError, match="other content"):
        await read_on(stream, messages[0].offset)


async def test_a_file_that_goes_while_it_waits_its_turn_is_an_error(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"x\n")
    stream = Files(root=str(tmp_path)).text("input", ".", max_partitions=1)
    async with consumer_of(stream) as consumer:
        await consumer.assign(CLAIM, {key_of(stream): START})
        (tmp_path / "b").unlink()
        with pytest.raises(PositionLostError, match="b is gone since the files were listed"):
            await drained(consumer, key_of(stream))


async def test_end_has_nothing_behind_it(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"one\n")

    assert await read_on(Files(root=str(tmp_path)).text("input", "a.txt"), END) == []


async def test_a_position_in_a_finished_part_goes_on_with_the_next(tmp_path: Path) -> None:
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"one\n"))
    (tmp_path / "b.gz").write_bytes(gzip.compress(b"two\n"))
    stream = Files(root=str(tmp_path)).text("input", ".", max_partitions=1)
    messages = await read_on(stream)

    assert values(await read_on(stream, messages[0].offset)) == [b"two"]
    assert await read_on(stream, messages[1].offset) == []


async def test_a_position_that_is_none_is_a_corrupt_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"one\n")
    with pytest.raises(CorruptCheckpointError, match="not an offset of files"):
        await read_on(Files(root=str(tmp_path)).text("input", "a.txt"), Offset("881"))


def test_offsets_are_ordered_by_file_and_then_by_place() -> None:
    ordered = [
        "start",
        "a#1.00000000:5",
        "a#1.00000000:40",
        "a.b#1.00000000:0",
        "b#1.00000000:0:7",
        "b#1.00000000:1:2",
        "b#1.00000000:10:1",
        "c%0Ad#1.00000000:1",
    ]
    for index, first in enumerate(ordered):
        for other, second in enumerate(ordered):
            assert compare_offsets(first, second) == (index > other) - (index < other)


@pytest.mark.parametrize("name", ["a", "a#b:1", "100%", "x\n\ty", "\udcff", "é", "a%0Ab"])
def test_a_name_comes_back_out_of_an_offset(name: str) -> None:
    offset = f"{prefix_of(name, '1f.00aa00bb', 3)}77"
    assert place_of(offset) == (name, (3, 77), "1f.00aa00bb")


@pytest.mark.parametrize(
    "wrong",
    ["", "a", "#1.00000000:1", "a#1.0:1", "a#1.00000000:", "a#1.00000000:-1", "a#1.00000000:x"],
)
def test_what_is_no_offset_is_refused(wrong: str) -> None:
    with pytest.raises(CorruptCheckpointError):
        place_of(wrong)
