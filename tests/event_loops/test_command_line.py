"""The command runs a job on the loop that it was told to, and without uvloop on the other one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

JOB = """
import asyncio, os
from samza_py import Job, Message
from samza_py.connectors.files import Files
from samza_py.connectors.local import LocalCheckpoints

files = Files(root=".")
numbers = files.jsonl("numbers", "in.jsonl", value=int)
doubled = files.jsonl_output("doubled", "out", value=int)
job = Job("doubling", guarantee="exactly_once", checkpoints=LocalCheckpoints("checkpoints.log"))

@job.task(numbers, to=doubled)
async def double(number: Message[str, int]) -> int:
    if number.value == 250:
        print(type(asyncio.get_running_loop()).__module__, flush=True)
        while not os.path.exists("go"):
            await asyncio.sleep(0.01)
    return number.value * 2
"""
COUNT = 500
WITHOUT_UVLOOP = "raise ModuleNotFoundError(\"No module named 'uvloop'\", name='uvloop')\n"


@pytest.fixture(params=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> str:
    """A loop that is installed."""
    name: str = request.param
    pytest.importorskip(name)
    return name


def given(folder: Path, *, goes: bool = True) -> None:
    """A job and its input; half-way it waits until it may go on."""
    if goes:
        (folder / "go").touch()
    (folder / "doubling.py").write_text(JOB)
    (folder / "in.jsonl").write_text("".join(f"{n}\n" for n in range(COUNT)))


def started(folder: Path, *arguments: str, path: Path | None = None) -> subprocess.Popen[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("SAMZA_")}
    if path is not None:
        clean["PYTHONPATH"] = os.pathsep.join((str(path), *sys.path))
    return subprocess.Popen(
        [sys.executable, "-m", "samza_py", "run", "doubling.py", *arguments],
        cwd=folder,
        env=clean,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What it printed and logged, once it has ended well."""
    with process:
        printed, log = process.communicate(timeout=50)
    assert process.returncode == 0, log
    return printed.strip(), log


def written(folder: Path) -> list[int]:
    lines = (path.read_text().split() for path in (folder / "out").glob("*.jsonl"))
    return sorted(json.loads(line) for some in lines for line in some)


def test_a_file_job_runs_on_the_loop_that_was_asked_for(tmp_path: Path, loop: str) -> None:
    given(tmp_path)
    printed, _ = ended(started(tmp_path, "--loop", loop))
    assert printed.partition(".")[0] == loop
    assert written(tmp_path) == [n * 2 for n in range(COUNT)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_job_that_a_signal_has_stopped_goes_on_where_it_was(
    tmp_path: Path, loop: str, number: signal.Signals
) -> None:
    given(tmp_path, goes=False)
    first = started(tmp_path, "--loop", loop)
    assert first.stdout is not None
    assert first.stderr is not None
    assert first.stdout.readline().startswith(loop)
    first.send_signal(number)
    assert any("stopping in good order" in line for line in first.stderr)
    (tmp_path / "go").touch()
    ended(first)
    assert written(tmp_path) == [n * 2 for n in range(251)]
    ended(started(tmp_path, "--loop", loop))
    assert written(tmp_path) == [n * 2 for n in range(COUNT)]


def test_uvloop_is_taken_where_it_is_installed(tmp_path: Path) -> None:
    pytest.importorskip("uvloop")
    given(tmp_path)
    assert ended(started(tmp_path))[0] == "uvloop"


def test_without_uvloop_a_job_runs_on_the_standard_librarys_loop(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    missing.mkdir()
    (missing / "uvloop.py").write_text(WITHOUT_UVLOOP)
    given(tmp_path)
    printed, _ = ended(started(tmp_path, path=missing))
    assert printed.startswith("asyncio.")
    assert written(tmp_path) == [n * 2 for n in range(COUNT)]
    refused = started(tmp_path, "--loop", "uvloop", path=missing)
    with refused:
        _, log = refused.communicate(timeout=50)
    assert refused.returncode == 2
    assert 'pip install "samza-py[uvloop]"' in log
