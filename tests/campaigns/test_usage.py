"""What grows is seen, and what only moves is not."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.campaigns.driving import chance_of
from tests.campaigns.usage import Usage, complaints, shown, slope_of, usage_of

SOAK_S, SHORT_S = 900, 45
CALM = Usage(at_s=0, rss_mb=60, files=20, threads=3, processes=0, children=69, handled=0)


def samples(change: Callable[[Usage], Usage], seconds: int = SOAK_S) -> list[Usage]:
    """A sample a second; memory moves by half a megabyte around what the change makes of it."""
    chance = chance_of(1, "usage")
    found = [change(replace(CALM, at_s=float(at))) for at in range(seconds)]
    return [replace(one, rss_mb=one.rss_mb + chance.uniform(-0.5, 0.5)) for one in found]


def calm(one: Usage) -> Usage:
    """As it was."""
    return one


def warming(one: Usage) -> Usage:
    """Ten megabytes in the first minute: caches, and the allocator's peak."""
    return replace(one, rss_mb=one.rss_mb + min(one.at_s, 60) / 6)


def peaking(one: Usage) -> Usage:
    """A broker is away for a few seconds, three times: buffers fill up, connections end."""
    away = one.at_s % 300 > 290
    return replace(one, rss_mb=one.rss_mb + 20 * away, files=one.files - 6 * away)


def leaking_slowly(one: Usage) -> Usage:
    """1.5 MB a minute."""
    return replace(one, rss_mb=one.rss_mb + one.at_s / 40)


def leaking_at_outages(one: Usage) -> Usage:
    """A file at each outage, of which there are three."""
    return replace(peaking(one), files=one.files + int((one.at_s + 150) // 300))


@pytest.mark.parametrize("change", [calm, warming, peaking])
def test_what_only_moves_does_not_grow(change: Callable[[Usage], Usage]) -> None:
    assert complaints(samples(change)) == []


def test_memory_that_grows_slowly_is_seen() -> None:
    found = samples(leaking_slowly)
    assert slope_of(found).middle == pytest.approx(1.5, abs=0.1)
    (said,) = complaints(found)
    assert said.startswith("memory grows by +1.5")


def test_a_peak_at_the_end_hides_no_growth_and_makes_none() -> None:
    def ending(one: Usage) -> Usage:
        return replace(one, rss_mb=one.rss_mb - 15 * (one.at_s > 0.95 * SOAK_S))

    assert complaints(samples(ending)) == []
    assert complaints(samples(lambda one: ending(leaking_slowly(one)))) != []


def test_a_file_left_open_at_each_outage_is_seen() -> None:
    assert complaints(samples(leaking_at_outages)) == ["files grew from 21 to 23"]


@pytest.mark.parametrize("name", ["files", "threads", "processes", "children"])
def test_whatever_is_counted_and_grows_is_seen(name: str) -> None:
    def leaking(one: Usage) -> Usage:
        now: int = getattr(one, name)
        return replace(one, **{name: now + int(one.at_s // 60)})

    (said,) = complaints(samples(leaking))
    assert said.startswith(f"{name} grew from ")


def test_a_run_of_seconds_may_move_and_not_leak() -> None:
    def leaking(one: Usage) -> Usage:
        return replace(one, rss_mb=one.rss_mb + one.at_s / 5)

    assert complaints(samples(warming, SHORT_S)) != []  # its warm-up is longer than the run
    assert complaints(samples(calm, SHORT_S)) == []
    assert complaints(samples(leaking, SHORT_S)) != []


def test_the_figures_are_a_line_with_their_spread() -> None:
    said = shown(samples(peaking))
    assert said.startswith("memory 59.5 to 80.5 MB, ")
    assert "files 20 (14 to 20), threads 3, processes 0, children 69" in said


def test_a_process_is_looked_at_from_outside(tmp_path: Path) -> None:
    said = tmp_path / "vitals"
    said.touch()
    before = usage_of(os.getpid(), time.monotonic(), said)
    said.write_text("       7          400")
    with said.open():
        after = usage_of(os.getpid(), time.monotonic(), said)
    assert after.files == before.files + 1
    assert (before.children, before.handled) == (0, 0)
    assert (after.children, after.handled) == (7, 400)
    assert after.rss_mb > 1
