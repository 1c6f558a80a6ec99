"""Starts the campaign's job as a user would, kills it, starts it again, and has it checked."""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.campaigns.launching import HERE, KILLED, Starts
from tests.campaigns.numbered import Load, write_input

DEADLINE_S = 100.0
VARIANTS = ("serial", "concurrent", "spread", "batch")


@dataclass
class Counting(Starts):
    """One run of the counting job over all its deaths, with input, output and state in its folder.

    Attributes:
        variant: how the job runs.
        seed: what its input is drawn from.
        load: how much of it.
        lasting_s: about how long the handlers take for all of it, by their waits.
        ordered: whether records of a partition are to come out in their order.
        repeats: how many records may be there twice: none, unless it is at least once.
    """

    variant: str = "serial"
    seed: int = 1
    load: Load = field(default_factory=Load)
    lasting_s: float = 0.4
    kills: int = 0
    ordered: bool = True
    repeats: int = 0
    job: str = field(default="counting.py", kw_only=True)

    def __post_init__(self) -> None:
        self.lines = write_input(self.folder / "in", self.load, self.seed)
        # Calls that wait: one record in ten, four partitions at once; one batch of forty.
        waits = self.lines / (10 if self.variant == "serial" else 40)
        every = 1 if self.variant == "batch" else 10
        pause = {"PAUSE_EVERY": str(every), "PAUSE_S": f"{self.lasting_s / waits:.6f}"}
        self.settings = {**{f"CAMPAIGN_{k}": v for k, v in pause.items()}, **self.settings}

    @property
    def checkpoints(self) -> Path:
        """The file of the job's checkpoints."""
        return self.folder / "state" / "checkpoints.log"

    @property
    def hits(self) -> dict[str, int]:
        """How often each point was reached in the last run that ended by itself."""
        found: dict[str, int] = json.loads((self.folder / "hits.json").read_text())
        return found

    @property
    def most_memory(self) -> int:
        """The most memory that the last run had which ended by itself, in bytes."""
        return int((self.folder / "used.txt").read_text())

    def start(self, kill: str = "", arguments: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        """Start the job; its log goes to a file of this start."""
        own = {
            "CAMPAIGN_FOLDER": str(self.folder),
            "CAMPAIGN_VARIANT": self.variant,
            "CAMPAIGN_HITS": str(self.folder / "hits.json"),
            "CAMPAIGN_USED": str(self.folder / "used.txt"),
            "CAMPAIGN_KILL": kill,
        }
        return self.launch(own, arguments)

    def run(self, kill: str = "", arguments: tuple[str, ...] = ()) -> int:
        """Start it and wait for its end; its exit code, negative for a signal."""
        return self.ended(self.start(kill, arguments), kill or "to the end")

    def ended(self, process: subprocess.Popen[bytes], what: str) -> int:
        """Wait for the end of a process that was started here."""
        try:
            code = process.wait(DEADLINE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"it did not end: {self.story()}") from None
        self.kills += code == KILLED
        self.history.append(f"{what} -> {code}")
        return code

    def kill_after(self, wait_s: float) -> int:
        """Start it and kill it after a while, wherever it is then; its exit code."""
        process = self.start()
        try:
            process.wait(wait_s)
        except subprocess.TimeoutExpired:
            process.kill()
        return self.ended(process, f"killed after {wait_s:.2f} s")

    def finish(self, *, twice: bool = True) -> None:
        """Run it to its end, and once more: a finished job that is started again adds nothing."""
        for _ in range(2 if twice else 1):
            code = self.run()
            assert code == 0, self.story()

    def begin_again(self) -> None:
        """Forget what was done, and keep the input."""
        for name in ("out", "state"):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def tear_checkpoints(self) -> None:
        """Leave what a power cut leaves of a write that nobody was told of."""
        if self.checkpoints.exists():
            with self.checkpoints.open("ab") as file:
                file.write(b"\x40\x00\x00\x00torn")
            self.history.append("torn")

    def parts(self) -> int:
        """How many finished part files there are."""
        return sum(1 for _ in (self.folder / "out").rglob("part-*.jsonl"))

    def tidy(self) -> None:
        """Remove everything of a run that was right."""
        shutil.rmtree(self.folder)

    def check(self) -> dict[str, int]:
        """Have the checker compare input and output; fails the test where anything is wrong."""
        flags = [f"--repeats={self.repeats}"]
        flags += ["--any-order"] * (not self.ordered)
        flags += ["--records-only"] * (self.job != "counting.py")
        done = subprocess.run(
            [sys.executable, "-I", str(HERE / "checker.py"), str(self.folder), *flags],
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE_S,
        )
        assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{self.story()}"
        report: dict[str, int] = json.loads(done.stdout)
        return report

    def story(self) -> str:
        """What was done to it, and what the last start said, for a failure."""
        return f"{self.variant}, seed {self.seed}, {super().story()}"


@dataclass
class Budget:
    """How long a campaign goes on with further rounds; at least one is always run.

    Attributes:
        seconds: in all.
    """

    seconds: float
    rounds: int = 0

    def __post_init__(self) -> None:
        self._until = time.monotonic() + self.seconds

    def another(self) -> bool:
        """Whether there is time for another round."""
        self.rounds += 1
        return self.rounds == 1 or not self.over()

    def over(self) -> bool:
        """Whether the time is used up."""
        return time.monotonic() >= self._until


def chance_of(seed: int, *what: object) -> random.Random:
    """Chance for one test, the same whatever other tests ran before it."""
    return random.Random(f"{seed}/{'/'.join(map(str, what))}")
