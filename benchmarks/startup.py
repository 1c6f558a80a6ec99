"""What it costs to begin: importing the package, and asking the command line for help."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence

from benchmarks.measuring import PAIRS, Bar, middle, say


def cpu_ms(command: Sequence[str]) -> float:
    """CPU of a whole process, in milliseconds."""
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed")
    return (usage.ru_utime + usage.ru_stime) * 1000


def main() -> bool:
    """Measure in pairs; whether both bars hold."""
    python = sys.executable
    bare: list[float] = []
    face: list[float] = []
    asked: list[float] = []
    for number in range(PAIRS + 1):
        one = cpu_ms([python, "-c", "pass"])
        two = cpu_ms([python, "-c", "import samza_py"])
        three = cpu_ms([python, "-m", "samza_py", "--help"])
        if number:  # the first round fills the byte code and disk caches
            bare.append(one)
            face.append(two - one)
            asked.append(three)
    detail = f"bare interpreter {middle(bare):.0f} ms"
    held = say("import", face, "ms CPU", Bar(150), detail)
    return say("help", asked, "ms CPU", Bar(250), detail) and held


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
