"""Starts a campaign's job as a user would, and keeps what each start said."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
KILLED = -signal.SIGKILL
WARNINGS = ("warning", "error")


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """That of a process of a campaign: nothing of ours left over, this checkout's package."""
    clean = {
        k: v for k, v in os.environ.items() if not k.startswith(("SAMZA_", "CAMPAIGN_", "COV"))
    }
    return {**clean, "PYTHONPATH": str(ROOT), **extra}


@dataclass
class Starts:
    """All starts of one job.

    Attributes:
        folder: of their logs.
        job: the file of the job, in `jobs/`.
        settings: for the job, as environment.
        starts: how many there were.
        history: what was done to it, in order.
        processes: of all starts.
    """

    folder: Path
    job: str = field(default="", kw_only=True)
    settings: dict[str, str] = field(default_factory=dict[str, str], kw_only=True)
    starts: int = field(default=0, kw_only=True)
    history: list[str] = field(default_factory=list[str], kw_only=True)
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list[Any], kw_only=True)

    def launch(
        self, settings: Mapping[str, str], arguments: tuple[str, ...] = ()
    ) -> subprocess.Popen[bytes]:
        """Start the job; its log goes to a file of this start.

        Args:
            settings: below those of the job.
            arguments: for `samza-py run`.
        """
        self.starts += 1
        command = [sys.executable, str(HERE / "failpoint.py"), "run", "--progress", "none"]
        with self.log_file(self.starts).open("wb") as log:
            process = subprocess.Popen(
                [*command, *arguments, str(HERE / "jobs" / self.job)],
                env=environment({**settings, **self.settings}),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.processes.append(process)
        return process

    def end(self) -> None:
        """Kill what a failed test has left running."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()

    def log_file(self, start: int) -> Path:
        """Where a start's log is."""
        return self.folder / f"log-{start:03d}.txt"

    def log(self) -> str:
        """What the last start said."""
        return self.log_file(self.starts).read_text(errors="replace")

    def warnings(self) -> list[str]:
        """The warnings and errors of the last start."""
        return [one for one in self.log().splitlines() if one[9:17].strip() in WARNINGS]

    def story(self) -> str:
        """What was done to it, and what the last start said, for a failure."""
        log = self.log() if self.starts else ""
        shown = log if len(log) < 8000 else f"{log[:3000]}\n...\n{log[-5000:]}"
        return f"{self.job} in {self.folder}: {'; '.join(self.history)}\n{shown}"
