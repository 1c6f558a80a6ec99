"""The demo around the job in ``flights.py``: prepares, runs it as its own process, has it counted.

    python -m examples.flights [--crash] [--rows N] [--seed S] [--work FOLDER]

The job runs through the command line as any other would, and shows its own progress. With
``--crash`` it is killed with SIGKILL at random moments and started again. What came out is counted
by ``flights_checker.py``, a process of its own that shares no code with the job.
"""

from __future__ import annotations

import argparse
import csv
import fcntl
import io
import os
import random
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from examples.flights_enriching import WORK, build_database, data_folder

HERE = Path(__file__).parent
ROOT = HERE.parent
CRASH_WORK = WORK.with_name(f"{WORK.name}-crash")
"""Where the demo with ``--crash`` writes, so that it may run beside the one without."""

TABLES = ("weather.csv", "planes.csv", "airlines.csv")
WRITTEN = ("delays", "cancelled", "incomplete", "input")
"""The folders that the demo and its job write, and that the next demo removes."""

KILLS = 3
LONGEST_LIFE_S = 1.5
"""A process is killed at most this long after it has shown its first new result."""

LOOK_EVERY_S = 0.01


def say(text: str) -> None:
    """One line for whoever watches."""
    print(text, flush=True)


# Preparing --------------------------------------------------------------------------------------


@contextmanager
def alone_in(work: Path) -> Generator[Path]:
    """Keep other demos out of a folder for the block; ends this one where another is in it."""
    work.mkdir(parents=True, exist_ok=True)
    with (work / "demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"another demo is at work in {shown(work)}: wait for it, or use --work")
        yield work


def prepare(data: Path, work: Path) -> None:
    """Remove what the last demo left, and build the look-up database."""
    for name in WRITTEN:
        shutil.rmtree(work / name, ignore_errors=True)
    for file in work.glob("checkpoints.log*"):
        file.unlink()
    began = time.monotonic()
    database = work / "lookup.sqlite"
    database.unlink(missing_ok=True)
    build_database(database, data)
    took = time.monotonic() - began
    say(f"loaded weather and planes into {shown(database)} in {took:.1f} s")


def shortened(data: Path, rows: int, work: Path) -> Path:
    """A folder with the first rows of the flights alone, zipped as they were."""
    folder = work / "input"
    folder.mkdir(parents=True)
    for name in TABLES:
        shutil.copyfile(data / name, folder / name)
    name = "flights.csv.zip"
    with zipfile.ZipFile(data / name) as whole, whole.open(whole.namelist()[0]) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        kept = io.StringIO(newline="")
        csv.writer(kept, lineterminator="\n").writerows(islice(csv.reader(text), rows + 1))
    with zipfile.ZipFile(folder / name, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("flights.csv", kept.getvalue())
    return folder


def shown(path: Path) -> str:
    """A path as one would type it in the checkout."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


# Running ----------------------------------------------------------------------------------------


class JobProcess:
    """The job as a process, and when it showed its first new result.

    Args:
        data: the folder with the flights.
        work: where it writes.
    """

    def __init__(self, data: Path, work: Path) -> None:
        self._delays = work / "delays"
        self._before = self._results()
        self.started = time.monotonic()
        self.first_result_s: float | None = None
        command = [sys.executable, "-m", "samza_py", "run", str(HERE / "flights.py")]
        environment = {**os.environ, "FLIGHTS_DATA": str(data), "FLIGHTS_WORK": str(work)}
        self._process = subprocess.Popen(command, env=environment)

    def wait(self, life_s: float | None = None) -> int | None:
        """Wait for its end, or kill it some time after its first new result.

        Args:
            life_s: how long it lives on from there; None lets it come to its end.

        Returns:
            Its exit code; None where it was killed.
        """
        try:
            while self._process.poll() is None:
                now = time.monotonic() - self.started
                if self.first_result_s is None and self._results() > self._before:
                    self.first_result_s = now
                since = self.first_result_s
                if life_s is not None and since is not None and now >= since + life_s:
                    self._process.kill()
                    self._process.wait()
                    return None
                time.sleep(LOOK_EVERY_S)
        except KeyboardInterrupt:
            self._process.wait()  # it has had the same Ctrl-C, and stops in good order
            raise
        return self._process.returncode

    def _results(self) -> int:
        return sum(1 for _ in self._delays.glob("part-*.jsonl"))


def run_to_the_end(data: Path, work: Path) -> float:
    """Run the job once; the seconds to its first result."""
    job = JobProcess(data, work)
    stop_unless_finished(job.wait())
    return job.first_result_s or time.monotonic() - job.started


def run_with_kills(data: Path, work: Path, seed: int) -> int:
    """Run the job, killed at random moments and started again; how often it was killed."""
    chance = random.Random(seed)
    for kills in range(KILLS):
        job = JobProcess(data, work)
        code = job.wait(chance.uniform(0, LONGEST_LIFE_S))
        if code is not None:
            stop_unless_finished(code)
            return kills
        lived = time.monotonic() - job.started
        say(f"\nkill -9 after {lived:.1f} s ({kills + 1} of {KILLS}); starting it again")
    stop_unless_finished(JobProcess(data, work).wait())
    return KILLS


def stop_unless_finished(code: int | None) -> None:
    """End the demo where the job has failed; it has said why."""
    if code != 0:
        sys.exit(f"the job ended with exit code {code}")


# The demo ---------------------------------------------------------------------------------------


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="python -m examples.flights", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--crash", action="store_true", help="kill -9 on the way")
    parser.add_argument("--rows", type=int, help="only the first rows of the year")
    parser.add_argument("--seed", type=int, default=1, help="what the moments are drawn from")
    parser.add_argument("--work", type=Path, help=f"default: {shown(WORK)}, or {shown(CRASH_WORK)}")
    asked = parser.parse_args(arguments)
    if asked.work is None:
        asked.work = CRASH_WORK if asked.crash else WORK
    return asked


def main(arguments: Sequence[str] | None = None) -> int:
    """Prepare, run, count.

    Returns:
        0 where every flight came out exactly once.
    """
    asked = parsed(arguments)
    with alone_in(asked.work.absolute()) as work:
        return run_demo(asked, data_folder(), work)


def run_demo(asked: argparse.Namespace, data: Path, work: Path) -> int:
    """Prepare, run, count, in a folder that is this demo's alone; as ``main``."""
    prepare(data, work)
    if asked.rows is not None:
        data = shortened(data, asked.rows, work)
        say(f"took the first {asked.rows:,} flights")
    say(f"running: samza-py run {shown(HERE / 'flights.py')}\n")
    began = time.monotonic()
    name = "flights"
    if asked.crash:
        name = "flights-crash"
        kills = run_with_kills(data, work, asked.seed)
        if kills == 0:
            sys.exit("the job was through before it could be killed: nothing was shown")
        outcome = f"killed {kills} times"
    else:
        outcome = f"its first result was there after {run_to_the_end(data, work):.1f} s"
    took = time.monotonic() - began
    say(f"\n{outcome}; results are in {shown(work)}")
    say("counting: examples/flights_checker.py, which shares no code with samza-py")
    checker = [sys.executable, "-I", str(HERE / "flights_checker.py"), str(data), str(work)]
    return subprocess.run(
        [*checker, "--name", name, "--seconds", f"{took:.2f}"], check=False
    ).returncode
