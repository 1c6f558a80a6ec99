"""An entry of the cache is whole or not there, whoever fills it, and whoever dies meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.services.caching import VARIABLE, cache_folder, filled

ROOT = Path(__file__).resolve().parents[2]

FILLING = """
import sys, time
from pathlib import Path
from tests.services.caching import filled

def fill(folder):
    (folder / "first").touch()
    with open(sys.argv[2], "a") as told:
        told.write("filled\\n")
    time.sleep(0.2)
    (folder / "second").touch()

entry = filled("entry", fill, root=Path(sys.argv[1]))
assert sorted(path.name for path in entry.iterdir()) == ["first", "second"]
"""


def test_an_entry_is_filled_once(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        (folder / "content").write_text("1")

    def never(folder: Path) -> None:
        raise AssertionError(folder)

    entry = filled("entry", fill, root=tmp_path)
    assert filled("entry", never, root=tmp_path) == entry
    assert (entry / "content").read_text() == "1"


def test_what_failed_is_not_there_and_is_filled_anew(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise OSError("the network has gone")

    def fill(folder: Path) -> None:
        (folder / "whole").touch()

    with pytest.raises(OSError, match="the network has gone"):
        filled("entry", fail, root=tmp_path)
    assert not (tmp_path / "entry").exists()
    entry = filled("entry", fill, root=tmp_path)
    assert [path.name for path in entry.iterdir()] == ["whole"]


def test_processes_wait_for_the_one_that_fills(tmp_path: Path) -> None:
    told = tmp_path / "told"
    command = [sys.executable, "-c", FILLING, str(tmp_path / "cache"), str(told)]
    running = [subprocess.Popen(command, cwd=ROOT) for _ in range(4)]
    assert [process.wait() for process in running] == [0, 0, 0, 0]
    assert told.read_text() == "filled\n"


def test_the_cache_is_where_the_user_keeps_caches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "samza-py" / "services"
    monkeypatch.setenv(VARIABLE, str(tmp_path / "chosen"))
    assert cache_folder() == tmp_path / "chosen"
    monkeypatch.delenv(VARIABLE)
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", os.fspath(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home" / ".cache" / "samza-py" / "services"
