"""The checker of the flights sees what is lost, what is doubled, and what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.examples.small_year import SmallYear, small_year, write_data, write_outputs

CHECKER = Path(__file__).parents[2] / "examples" / "flights_checker.py"


def checked(data: Path, work: Path) -> tuple[int, str]:
    """The checker's exit code and its last line."""
    command = [sys.executable, "-I", str(CHECKER), str(data), str(work)]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ended.stderr == ""
    return ended.returncode, ended.stdout.splitlines()[-1]


def spoiled(year: SmallYear, folder: Path, spoil: Callable[[Path], None]) -> tuple[int, str]:
    """The same after something was done to a right output."""
    data = write_data(year, folder / "data")
    work = write_outputs(year, folder / "work")
    spoil(work)
    return checked(data, work)


def leave(work: Path) -> None:
    pass


def remove_a_line(work: Path) -> None:
    part = work / "delays" / "part-1.jsonl"
    part.write_text("".join(part.read_text().splitlines(keepends=True)[:-1]))


def double_a_line(work: Path) -> None:
    part = work / "cancelled" / "part-0.jsonl"
    (part.parent / "part-9.jsonl").write_text(part.read_text().splitlines(keepends=True)[0])


def double_a_dead_letter(work: Path) -> None:
    part = work / "incomplete" / "part-0.jsonl"
    (part.parent / "part-9.jsonl").write_text(part.read_text().splitlines(keepends=True)[0])


def remove_a_part(work: Path) -> None:
    (work / "incomplete" / "part-0.jsonl").unlink()


def change_the_weather(work: Path) -> None:
    part = work / "delays" / "part-0.jsonl"
    lines = part.read_text().splitlines()
    first = json.loads(lines[0])
    first["weather"]["temp"] = -40.0
    part.write_text("\n".join([json.dumps(first), *lines[1:]]) + "\n")


def test_what_is_right_passes_and_the_closing_line_counts_it(tmp_path: Path) -> None:
    year = small_year(500)
    dead = len(year.lines["incomplete"])
    closing = f"demo flights: in 500, out {500 - dead}, dead {dead}, lost 0, doubled 0"
    assert spoiled(year, tmp_path, leave) == (0, closing)


@pytest.mark.parametrize(
    ("spoil", "verdict"),
    [
        (remove_a_line, "lost 1, doubled 0"),
        (double_a_line, "lost 0, doubled 1"),
        (double_a_dead_letter, "lost 0, doubled 1"),
        (change_the_weather, "lost 1, doubled 0"),
    ],
)
def test_what_is_planted_is_found(
    spoil: Callable[[Path], None], verdict: str, tmp_path: Path
) -> None:
    code, closing = spoiled(small_year(500), tmp_path, spoil)
    assert code == 1
    assert closing.endswith(verdict)


def test_a_part_that_is_gone_is_as_many_lost_flights_as_it_had_lines(tmp_path: Path) -> None:
    year = small_year(500)
    code, closing = spoiled(year, tmp_path, remove_a_part)
    assert code == 1
    assert closing.endswith(f"lost {len(year.lines['incomplete']) // 2}, doubled 0")


def test_a_job_that_wrote_nothing_does_not_pass(tmp_path: Path) -> None:
    data = write_data(small_year(1), tmp_path / "data")
    closing = "demo flights: in 1, out 0, dead 0, lost 1, doubled 0"
    assert checked(data, tmp_path) == (1, closing)
