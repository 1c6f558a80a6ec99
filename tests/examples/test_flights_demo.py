"""The demo of the flights, as somebody would run it, on a small year."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.examples.small_year import SmallYear, small_year, write_data

ROOT = Path(__file__).parents[2]


def demo(year: SmallYear, folder: Path, *flags: str) -> tuple[int, str]:
    """The exit code of a demo, and all it said."""
    data = folder / "data"
    if not data.exists():
        write_data(year, data)
    ended = subprocess.run(
        [sys.executable, "-m", "examples.flights", "--work", str(folder / "work"), *flags],
        cwd=ROOT,
        env={**os.environ, "FLIGHTS_DATA": str(data), "SAMZA_JOB__COMMIT_INTERVAL": "100ms"},
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return ended.returncode, ended.stdout


def closing_line(year: SmallYear, name: str, rows: int) -> str:
    flying = year.rows[:rows]
    dead = sum(row["dep_time"] != "NA" and row["arr_delay"] == "NA" for row in flying)
    return f"demo {name}: in {rows}, out {rows - dead}, dead {dead}, lost 0, doubled 0"


@pytest.mark.timeout(180)
def test_the_demo_brings_every_flight_out_once_and_can_be_run_again(tmp_path: Path) -> None:
    year = small_year(3000)
    code, said = demo(year, tmp_path)
    assert code == 0, said
    assert said.splitlines()[-1] == closing_line(year, "flights", 3000)
    code, said = demo(year, tmp_path, "--rows", "2000")
    assert code == 0, said
    assert said.splitlines()[-1] == closing_line(year, "flights", 2000)


@pytest.mark.campaign
def test_kills_on_the_way_lose_no_flight_and_double_none(
    tmp_path: Path, seconds: float, seed: int
) -> None:
    year = small_year(80_000)
    end = time.monotonic() + seconds
    while True:
        code, said = demo(year, tmp_path, "--crash", "--seed", str(seed))
        assert code == 0, f"seed {seed}\n{said}"
        assert said.splitlines()[-1] == closing_line(year, "flights-crash", 80_000)
        seed += 1
        if time.monotonic() > end:
            return


@pytest.mark.timeout(180)
def test_a_job_that_fails_fails_the_demo(tmp_path: Path) -> None:
    year = small_year(10)
    data = write_data(year, tmp_path / "data")
    (data / "flights.csv.zip").unlink()
    code, said = demo(year, tmp_path)
    assert code == 1
    assert said.splitlines()[-1].startswith("the job ended with exit code")


def test_a_second_demo_in_the_same_folder_is_refused_and_touches_nothing(tmp_path: Path) -> None:
    results = tmp_path / "work" / "delays"
    results.mkdir(parents=True)
    with (tmp_path / "work" / "demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, said = demo(small_year(10), tmp_path)
    assert code == 1
    assert f"another demo is at work in {tmp_path / 'work'}: wait for it" in said
    assert results.exists()


def test_the_demo_with_kills_writes_beside_the_one_without(tmp_path: Path) -> None:
    # In a process of its own: the example looks for its data when it is imported.
    write_data(small_year(10), tmp_path / "data")
    ask = """
from examples.flights_demo import parsed
print(parsed([]).work, parsed(["--crash"]).work, parsed(["--crash", "--work", "here"]).work)
"""
    said = subprocess.run(
        [sys.executable, "-c", ask],
        cwd=ROOT,
        env={**os.environ, "FLIGHTS_DATA": str(tmp_path / "data")},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    plain, crash, chosen = said.split()
    assert plain != crash
    assert chosen == "here"
