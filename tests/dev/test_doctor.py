"""`make doctor` says what is here, what is missing and how to get it; and fails where it must."""

from __future__ import annotations

import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dev import doctor, pythons

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.tooling


def missing(look: Callable[[], Any]) -> dict[str, doctor.Finding]:
    return {finding.what: finding for finding in look() if not finding.seen}


def test_every_line_is_good_or_says_how_to_get_what_is_missing() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dev.doctor"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) > 10
    for line in lines:
        mark, _, rest = line.partition("  ")
        assert mark in ("ok", "none")
        assert mark == "ok" or "get it: " in rest, line


def test_a_program_that_is_needed_ends_it_with_an_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SystemExit, match="see the lines marked MISS"):
        doctor.main()
    out = capsys.readouterr().out
    assert "MISS  git" in out
    assert "get it: sudo apt-get install git" in out
    assert "none  uv" in out


def test_links_that_came_as_files_name_the_setting_that_mends_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "ROOT", tmp_path)
    found = missing(doctor.look_at_checkout)
    assert found["link samza_py/runtime"].required
    assert "git config core.symlinks true" in found["link samza_py/runtime"].cure
    assert found["pytest in .venv"].cure == "make test installs it"


def test_small_limits_are_named_with_what_they_should_be(monkeypatch: pytest.MonkeyPatch) -> None:
    def limits(which: int) -> tuple[int, int]:
        return (256, 4096)

    def disk(path: Path) -> SimpleNamespace:
        return SimpleNamespace(free=1)

    monkeypatch.setattr(resource, "getrlimit", limits)
    monkeypatch.setattr(shutil, "disk_usage", disk)
    found = missing(doctor.look_at_machine)
    assert found["open files"].cure == "ulimit -n 1024"
    assert found["free disk"].required


def test_a_python_that_starts_nothing_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shim = tmp_path / "python3.11"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    assert pythons.find("3.11") is None
    assert "sudo apt-get install python3.11" in missing(doctor.look_at_python)["Python 3.11"].cure
