"""Starts that are none are refused where they are written."""

from typing import Any

import pytest

from samza_py import AtOffset, AtTime, ConfigError


@pytest.mark.parametrize("given", ["yesterday", 1.5, None, True])
def test_a_time_is_whole_milliseconds(given: Any) -> None:
    with pytest.raises(ConfigError, match=r"AtTime.*takes whole milliseconds since 1970"):
        AtTime(given)


@pytest.mark.parametrize("given", [{0: "4"}, {"0": 4}, ["4"], "4", None])
def test_offsets_are_texts_by_the_texts_of_partitions(given: Any) -> None:
    with pytest.raises(ConfigError, match=r'AtOffset.*takes (texts|a mapping).*\{"0": "41"\}'):
        AtOffset(given)


def test_what_is_right_is_taken() -> None:
    assert AtTime(-1).timestamp_ms == -1
    assert AtOffset({"0": "41"}).after == {"0": "41"}
