"""Durations and sizes as people write them, and secrets that nothing prints."""

from __future__ import annotations

import pickle
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samza_py.errors import ConfigError
from samza_py.values import HIDDEN, Secret, seconds, shown_size, size_in_bytes


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (0, 0.0),
        (1.5, 1.5),
        ("200ms", 0.2),
        ("5s", 5.0),
        (" 5 s ", 5.0),
        ("1.5m", 90.0),
        ("2h", 7200.0),
        ("1d", 86400.0),
        ("3", 3.0),
        ("10us", 1e-5),
        ("5S", 5.0),
        (timedelta(minutes=1), 60.0),
    ],
)
def test_a_duration_is_seconds(written: Any, meant: float) -> None:
    assert seconds(written, "key") == pytest.approx(meant)


@pytest.mark.parametrize(
    "written",
    ["soon", "", "5 parsecs", "-1s", "1e3s", -1, True, float("inf"), float("nan"), [], {}, None],
)
def test_what_is_no_duration_is_refused_with_its_key(written: Any) -> None:
    with pytest.raises(ConfigError) as refused:
        seconds(written, "task price.timeout")
    assert refused.value.key == "task price.timeout"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (1, 1),
        ("64KiB", 65536),
        ("1 MiB", 1 << 20),
        ("1.5KiB", 1536),
        ("10MB", 10_000_000),
        ("2GiB", 2 << 30),
        ("100", 100),
        ("5b", 5),
    ],
)
def test_a_size_is_bytes(written: Any, meant: int) -> None:
    assert size_in_bytes(written, "key") == meant


@pytest.mark.parametrize("written", [0, -5, "0", "big", "5 KiBs", True, False, None, 1.5, []])
def test_what_is_no_size_is_refused_with_its_key(written: Any) -> None:
    with pytest.raises(ConfigError, match=r"^job\.max_outbox_bytes"):
        size_in_bytes(written, "job.max_outbox_bytes")


@given(st.integers(1, 1 << 50))
def test_a_size_is_shown_in_the_unit_that_fits(size: int) -> None:
    number, unit = shown_size(size).split()
    assert unit in ("B", "KiB", "MiB", "GiB")
    assert unit == "GiB" or float(number) <= 1024


def test_a_secret_is_shown_by_nothing_and_given_by_reveal() -> None:
    secret = Secret("hunter2")
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r}", repr([secret])]
    assert all("hunter2" not in text and HIDDEN in text for text in shown)
    assert secret.reveal() == "hunter2"


def test_secrets_compare_by_what_they_hide() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b")}) == 2
    assert pickle.loads(pickle.dumps(Secret("a"))) == Secret("a")
