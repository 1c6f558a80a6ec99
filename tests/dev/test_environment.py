"""The environment is made once; a second call finds it up to date and asks nobody."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dev import environment

ROOT = Path(__file__).parents[2]
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_INDEX_URL": "http://127.0.0.1:9", "http_proxy": "127.0.0.1:9"}

pytestmark = [pytest.mark.tooling, pytest.mark.timeout(120)]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What pip would have been called for; the locks are copies that may be changed."""
    locks = tmp_path / "locks"
    shutil.copytree(environment.LOCKS, locks)
    monkeypatch.setattr(environment, "LOCKS", locks)
    asked: list[str] = []

    def pip_install(venv: Path, arguments: list[str], total: int) -> None:
        assert total > 0
        asked.append(Path(arguments[-1]).name)

    monkeypatch.setattr(environment, "pip_install", pip_install)
    return asked


def bring(venv: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `make demo` calls first."""
    monkeypatch.setattr(sys, "argv", ["environment", "--venv", str(venv), "run", "demo"])
    environment.main()


def test_a_second_call_takes_no_time_and_no_network(
    tmp_path: Path, installed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    venv = tmp_path / "venv"
    bring(venv, monkeypatch)
    assert installed == ["run.txt", ROOT.name, "demo.txt"]
    started = time.monotonic()
    # The real one: had it anything to install, it would fail without an index.
    done = subprocess.run(
        [sys.executable, "-m", "dev.environment", "--venv", str(venv), "run", "demo"],
        cwd=ROOT,
        env=OFFLINE,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert time.monotonic() - started < 2


def test_a_changed_lock_alone_is_installed_anew(
    tmp_path: Path, installed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    venv = tmp_path / "venv"
    bring(venv, monkeypatch)
    installed.clear()
    with (environment.LOCKS / "demo.txt").open("a") as lock:
        lock.write("more==1\n")
    bring(venv, monkeypatch)
    assert installed == ["demo.txt"]


def test_a_broken_environment_is_made_again(
    tmp_path: Path, installed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    venv = tmp_path / "venv"
    bring(venv, monkeypatch)
    installed.clear()
    (venv / "bin" / "python").unlink()
    (venv / "bin" / "python").symlink_to("/nowhere/python")
    bring(venv, monkeypatch)
    assert environment.usable(venv)
    assert installed == ["run.txt", ROOT.name, "demo.txt"]


def test_what_pip_says_is_shown_where_it_fails(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    venv = tmp_path / "venv"
    environment.make(venv)
    with pytest.raises(SystemExit, match="pip could not install"):
        environment.pip_install(venv, ["--no-index", "no-such-package-anywhere"], 1)
    assert "no-such-package-anywhere" in capfd.readouterr().err
