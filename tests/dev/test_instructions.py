"""The gate on instructions: what it lets through, and that it says so where it cannot count."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from benchmarks import instructions


def found(program: str) -> str:
    return f"/usr/bin/{program}"


def missing_program(program: str) -> None:
    return None


def nothing(messages: int, how: str) -> int:
    return 0


@pytest.fixture(autouse=True)
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "instructions.json"
    path.write_text(json.dumps({instructions.build(): 1000.0}))
    monkeypatch.setattr(instructions, "RECORD", path)
    monkeypatch.setattr(shutil, "which", found)
    monkeypatch.setattr(instructions, "counted", nothing)
    monkeypatch.setattr(sys, "argv", ["instructions"])
    return path


@pytest.mark.parametrize(("counted", "holds"), [(1000.0, True), (1004.9, True), (1006.0, False)])
def test_more_than_half_a_percent_above_the_record_fails(
    counted: float, holds: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instructions, "per_message", lambda: counted)
    assert instructions.main() is holds


def test_a_record_is_made_on_purpose_alone(record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instructions, "per_message", lambda: 900.0)
    assert instructions.main()
    assert json.loads(record.read_text()) == {instructions.build(): 1000.0}
    monkeypatch.setattr(sys, "argv", ["instructions", "--record"])
    assert instructions.main()
    assert json.loads(record.read_text()) == {instructions.build(): 900.0}


@pytest.mark.parametrize("missing", ["valgrind", "record"])
def test_what_cannot_be_counted_or_compared_is_said(
    missing: str,
    record: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(instructions, "per_message", lambda: 9000.0)
    if missing == "valgrind":
        monkeypatch.setattr(shutil, "which", missing_program)
    else:
        record.write_text("{}")
    assert instructions.main()
    said = capsys.readouterr().out
    assert ("were NOT counted" in said) or ("nothing is recorded" in said)
