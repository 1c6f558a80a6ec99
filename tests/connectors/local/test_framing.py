"""Whatever happens to the bytes: a prefix of the commits is read, or the damage is said."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samza_py.connectors.local.framing import (
    FRAME_MAGIC,
    DamagedError,
    Frame,
    FrameReader,
    Header,
    pack_frame,
    pack_header,
    read_header,
    read_record,
)
from samza_py.errors import CorruptCheckpointError

payloads = st.lists(st.binary(max_size=60), min_size=1, max_size=4)
groups = st.lists(payloads, min_size=1, max_size=6)
seeds = st.integers(0, 2**32 - 1)


@contextmanager
def file_of(data: bytes) -> Generator[int, None, None]:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        yield file.fileno()


def built(groups: Sequence[Sequence[bytes]], seed: int) -> tuple[bytes, list[int]]:
    """A whole file, and where each frame starts; the last number is its size."""
    data = pack_header(Header("shop", seed, 7))
    starts = [len(data)]
    for group in groups:
        data += pack_frame(group, len(data), seed)[0]
        starts.append(len(data))
    return data, starts


def read(data: bytes) -> tuple[list[list[bytes]], DamagedError | None]:
    """The records of each frame up to the end or the first damage."""
    frames: list[Frame] = []
    with file_of(data) as fd:
        header, start = read_header(fd, "here")
        try:
            frames.extend(FrameReader(fd, len(data), header.seed).frames(start))
        except DamagedError as error:
            return [[payload for _, payload in f.records] for f in frames], error
    return [[payload for _, payload in f.records] for f in frames], None


@settings(deadline=None)
@given(groups, seeds)
def test_what_was_written_is_read(groups: list[list[bytes]], seed: int) -> None:
    data, _ = built(groups, seed)
    assert read(data) == (groups, None)


@settings(deadline=None)
@given(groups, seeds)
def test_a_record_is_found_again_by_its_place(groups: list[list[bytes]], seed: int) -> None:
    data, starts = built(groups, seed)
    with file_of(data) as fd:
        for frame in FrameReader(fd, len(data), seed).frames(starts[0]):
            for place, payload in frame.records:
                assert read_record(fd, place, seed) == payload


@settings(deadline=None)
@given(groups, seeds, st.data())
def test_a_file_cut_anywhere_holds_its_whole_frames(
    groups: list[list[bytes]], seed: int, data: st.DataObject
) -> None:
    whole, starts = built(groups, seed)
    cut = data.draw(st.integers(starts[0], len(whole)))
    kept = sum(end <= cut for end in starts[1:])
    found, damage = read(whole[:cut])
    assert found == groups[:kept]
    assert (damage is None) == (cut in starts)
    assert damage is None or damage.last


@settings(deadline=None)
@given(groups, seeds, st.data())
def test_a_last_frame_that_is_partly_zeros_is_one_cut_short(
    groups: list[list[bytes]], seed: int, data: st.DataObject
) -> None:
    whole, starts = built(groups, seed)
    first = data.draw(st.integers(starts[-2], len(whole) - 1))
    zeroed = whole[:first] + bytes(len(whole) - first)
    found, damage = read(zeroed)
    assert found == (groups if zeroed == whole else groups[:-1])
    assert damage is None or damage.last


@settings(deadline=None)
@given(groups, seeds, st.binary(max_size=200))
def test_any_bytes_at_the_end_are_one_write_cut_short(
    groups: list[list[bytes]], seed: int, rest: bytes
) -> None:
    whole, _ = built(groups, seed)
    found, damage = read(whole + rest)
    assert found == groups
    assert (damage is None) == (not rest)
    assert damage is None or damage.last


@settings(max_examples=300, deadline=None)
@given(groups, seeds, st.data(), st.integers(1, 255))
def test_a_flipped_byte_before_the_last_frame_is_found(
    groups: list[list[bytes]], seed: int, data: st.DataObject, flip: int
) -> None:
    whole, starts = built(groups, seed)
    at = data.draw(st.integers(0, starts[-2] - 1))
    spoilt = bytearray(whole)
    spoilt[at] ^= flip
    try:
        found, damage = read(bytes(spoilt))
    except CorruptCheckpointError:
        assert at < starts[0]
        return
    frame = sum(start <= at for start in starts) - 1
    assert found == groups[:frame]
    assert damage is not None
    assert not damage.last
    assert damage.offset == starts[frame]


def test_every_flipped_bit_before_the_last_frame_is_found() -> None:
    whole, starts = built([[b"one"], [b"two", b"", FRAME_MAGIC * 3], [b"last"]], 77)
    for at in range(starts[-2]):
        for bit in range(8):
            spoilt = bytearray(whole)
            spoilt[at] ^= 1 << bit
            try:
                _, damage = read(bytes(spoilt))
            except CorruptCheckpointError:
                continue
            assert damage is not None, (at, bit)
            assert not damage.last, (at, bit)


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_bytes_that_are_no_such_file_are_refused(data: bytes) -> None:
    with file_of(data) as fd, pytest.raises(CorruptCheckpointError):
        read_header(fd, "here")


@settings(deadline=None)
@given(groups, seeds)
def test_a_frame_moved_to_another_place_is_no_frame(groups: list[list[bytes]], seed: int) -> None:
    whole, starts = built([[b"first"], *groups], seed)
    without = whole[: starts[0]] + whole[starts[1] :]
    found, damage = read(without)
    assert (found, damage is not None) == ([], True)


def test_a_damaged_frame_far_from_the_last_one_is_found_across_search_blocks() -> None:
    big = os.urandom(3 << 20)
    whole, starts = built([[big], [b"last"]], 5)
    spoilt = bytearray(whole)
    spoilt[starts[0] + 4] ^= 1
    found, damage = read(bytes(spoilt))
    assert (found, damage is not None and damage.last) == ([], False)


def test_a_newer_version_is_named() -> None:
    newer = bytearray(pack_header(Header("shop", 1, 1)))
    newer[8] = 9
    with file_of(bytes(newer)) as fd, pytest.raises(CorruptCheckpointError, match="version 9"):
        read_header(fd, Path("/somewhere/checkpoints.log"))
