"""The checker sees every kind of fault that it is there for, and none where there is none."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

CHECKER = Path(__file__).with_name("checker.py")
GOOD = {
    "in/a.jsonl": [
        '{"partition": 0, "number": 0, "key": "k", "amount": 5}',
        '{"partition": 0, "number": 1, "key": "k", "amount": 95}',
        '{"partition": 0, "number": 2, "key": "k", "amount": -1}',
        '{"partition": 0, "number": 3, "key": broken',
    ],
    "out/counted/part-counting.count.all-00000001-000001-00.jsonl": [
        '{"partition": 0, "number": 0, "key": "k", "count": 1, "total": 5}',
        '{"partition": 0, "number": 1, "key": "k", "count": 2, "total": 100}',
    ],
    "out/large/part-counting.count.all-00000001-000002-00.jsonl": ['{"partition": 0, "number": 1}'],
    "out/dead/part-counting.count.all-00000001-000003-00.jsonl": [
        '{"partition": 0, "number": 2, "key": "k", "amount": -1}',
        '{"partition": 0, "number": 3, "key": broken',
    ],
    "out/timers/part-counting.count.all-00000001-000004-00.jsonl": ['"0-0"'],
    "out/totals/part-counting.count.all-00000001-000005-00.jsonl": [
        '{"key": "k", "count": 2, "total": 100}'
    ],
}

Files = dict[str, list[str]]


def part(files: Files, output: str) -> list[str]:
    """The lines of the one part of an output."""
    return next(lines for name, lines in files.items() if f"out/{output}/" in name)


def change(output: str, to: Callable[[list[str]], list[str]]) -> Callable[[Files], None]:
    """A change of one output's lines."""

    def made(files: Files) -> None:
        lines = part(files, output)
        lines[:] = to(list(lines))

    return made


def swapped(lines: list[str]) -> list[str]:
    return lines[::-1]


def another_file(files: Files) -> None:
    """A part is there twice, as after a start that did not know it was finished."""
    name = "out/large/part-counting.count.all-00000002-000001-00.jsonl"
    files[name] = list(part(files, "large"))


FAULTS: dict[str, tuple[Callable[[Files], None], str]] = {
    "a record is lost": (change("counted", lambda lines: lines[:1]), "records_lost"),
    "a record is there twice": (
        change("counted", lambda lines: [*lines, lines[-1]]),
        "records_doubled",
    ),
    "records are out of order": (change("counted", swapped), "disordered"),
    "a record was never asked for": (
        change("counted", lambda lines: [*lines, lines[0].replace('"number": 0', '"number": 9')]),
        "records_unknown",
    ),
    "a count has a gap": (
        change("counted", lambda lines: [lines[0], lines[1].replace('"count": 2', '"count": 3')]),
        "state_wrong",
    ),
    "a running sum is wrong": (
        change("counted", lambda lines: [lines[0], lines[1].replace("100", "95")]),
        "state_wrong",
    ),
    "the last total is wrong": (
        change("totals", lambda lines: [lines[0].replace("100", "99")]),
        "state_wrong",
    ),
    "the end came twice": (change("totals", lambda lines: lines * 2), "totals_doubled"),
    "a large record is lost": (change("large", lambda _: []), "large_lost"),
    "a part is there twice": (another_file, "large_doubled"),
    "a dead letter is lost": (change("dead", lambda lines: lines[1:]), "dead_lost"),
    "a dead letter is there twice": (change("dead", lambda lines: lines * 2), "dead_doubled"),
    "a dead letter was changed": (
        change("dead", lambda lines: [f"{lines[0]} ", lines[1]]),
        "dead_unknown",
    ),
    "a timer ran twice": (change("timers", lambda lines: lines * 2), "timers_doubled"),
}


def checked(folder: Path, files: Files, *arguments: str) -> tuple[int, dict[str, int]]:
    """Write the files and run the checker over them."""
    for name, lines in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{line}\n" for line in lines))
    done = subprocess.run(
        [sys.executable, "-I", str(CHECKER), str(folder), *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def good() -> Files:
    """Input, and everything that is to come of it."""
    return {name: list(lines) for name, lines in GOOD.items()}


def test_what_is_right_has_no_faults(tmp_path: Path) -> None:
    code, report = checked(tmp_path, good())
    assert (code, report["faults"], report["records"]) == (0, 0, 2)


def test_hidden_parts_are_not_looked_at(tmp_path: Path) -> None:
    files = good()
    files["out/counted/.staged/part-x-00000001-000001-00.jsonl"] = ["half"]
    assert checked(tmp_path, files)[0] == 0


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_seen_and_called_by_its_name(tmp_path: Path, fault: str) -> None:
    breaks, counted_as = FAULTS[fault]
    files = good()
    breaks(files)
    code, report = checked(tmp_path, files)
    assert code == 1
    assert report[counted_as] >= 1, report


def test_order_is_not_asked_for_where_none_was_promised(tmp_path: Path) -> None:
    files = good()
    part(files, "counted")[:] = [
        '{"partition": 0, "number": 1, "key": "k", "count": 1, "total": 95}',
        '{"partition": 0, "number": 0, "key": "k", "count": 2, "total": 100}',
    ]
    assert checked(tmp_path / "strict", files)[0] == 1
    assert checked(tmp_path / "lenient", files, "--any-order")[0] == 0


def test_a_finished_part_that_is_torn_is_an_error_of_its_own(tmp_path: Path) -> None:
    files = good()
    checked(tmp_path, files)
    next((tmp_path / "out" / "counted").glob("part-*")).write_text('{"partition": 0, "num')
    done = subprocess.run(
        [sys.executable, "-I", str(CHECKER), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "ends in the middle of a line" in done.stderr


def test_it_imports_nothing_of_the_project() -> None:
    lines = CHECKER.read_text().splitlines()
    imports = [line for line in lines if line.startswith(("import ", "from "))]
    assert imports
    assert not [line for line in imports if "samza" in line or "tests" in line]
