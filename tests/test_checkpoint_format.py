"""The stored form of a checkpoint: everything comes back, and damage is never an empty start."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samza_py.checkpoint import Checkpoint, InputProgress, Run, Token
from samza_py.checkpoint_format import VERSION, decode_checkpoint, encode_checkpoint
from samza_py.errors import CorruptCheckpointError
from samza_py.message import END, Offset, Partition

texts = st.text(st.characters(codec="utf-8"), max_size=8)
offsets = texts.map(Offset)
partitions = st.builds(Partition, texts, texts, texts)
progress = st.builds(
    InputProgress,
    st.one_of(offsets, st.just(END)),
    texts,
    st.lists(st.builds(Run, offsets, offsets), max_size=4).map(tuple),
)
json_values: Any = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 53), 1 << 53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
checkpoints = st.builds(
    Checkpoint,
    st.integers(0, 1 << 62),
    st.integers(0, 1 << 62),
    st.dictionaries(partitions, progress, max_size=4),
    st.dictionaries(texts, st.lists(texts.map(Token), max_size=3).map(tuple), max_size=3),
    st.dictionaries(texts, texts, max_size=3),
    st.dictionaries(texts, json_values, max_size=3),
)


@given(checkpoints)
def test_everything_comes_back(checkpoint: Checkpoint) -> None:
    assert decode_checkpoint(encode_checkpoint(checkpoint), "here") == checkpoint


@given(checkpoints, st.data())
def test_cut_bytes_are_corrupt_and_say_where(checkpoint: Checkpoint, data: st.DataObject) -> None:
    whole = encode_checkpoint(checkpoint)
    cut = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(CorruptCheckpointError, match="the checkpoint at line 7 is damaged"):
        decode_checkpoint(cut, "line 7")


def test_a_newer_version_is_refused_and_says_what_to_run() -> None:
    stored = json.loads(encode_checkpoint(Checkpoint(1)))
    stored["version"] = VERSION + 1
    with pytest.raises(CorruptCheckpointError, match=f"has format version {VERSION + 1}"):
        decode_checkpoint(json.dumps(stored).encode(), "here")


@pytest.mark.parametrize("data", [b"", b"null", b"[]", b"{}", b'{"version":"1"}', b'{"version":1}'])
def test_what_is_no_checkpoint_is_corrupt(data: bytes) -> None:
    with pytest.raises(CorruptCheckpointError):
        decode_checkpoint(data, "here")
