"""Instructions a message on the memory path, counted by callgrind: the gate against regressions.

    python -m benchmarks.instructions             compare with what is recorded
    python -m benchmarks.instructions --record    record on purpose, with the reason in the commit

A count repeats exactly where seconds do not. It belongs to one build of the interpreter and of the
C extensions, so it is recorded by those. On another build there is nothing to compare with, and
without valgrind nothing to count with: both are said, and fail nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from importlib import metadata
from pathlib import Path

TOLERANCE = 0.005
FEW, MANY = 2000, 6000
RECORD = Path(__file__).parent / "instructions.json"


def build() -> str:
    """Names the interpreter and the extensions whose instructions are counted."""
    parts = [
        platform.python_version(),
        platform.machine(),
        sysconfig.get_config_var("CONFIG_ARGS") or "",
        platform.python_build()[1],
        platform.python_compiler(),
        metadata.version("msgspec"),
    ]
    return f"{parts[0]}-{hashlib.sha256('|'.join(parts).encode()).hexdigest()[:12]}"


def counted(messages: int, how: str) -> int:
    """Instructions of a whole process.

    Raises:
        RuntimeError: the run failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [
            "valgrind",
            "--tool=callgrind",
            f"--callgrind-out-file={folder}/out",
            sys.executable,
            *("-m", "benchmarks.jobs.counted", str(messages), how),
        ]
        env = {**os.environ, "PYTHONHASHSEED": "0"}
        done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode != 0 or found is None:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return int(found[1])


def per_message() -> float:
    """Instructions that one more message costs, less what it costs to set it up."""
    run = counted(MANY, "run") - counted(FEW, "run")
    setup = counted(MANY, "set up") - counted(FEW, "set up")
    return (run - setup) / (MANY - FEW)


def main() -> bool:
    """Compare with the record; whether the bar holds."""
    if shutil.which("valgrind") is None:
        print("!! instructions were NOT counted: valgrind is missing (apt-get install valgrind)")
        return True
    recorded: dict[str, float] = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    counted(FEW, "set up")  # byte code is compiled once, and not in what is counted
    value = per_message()
    name = build()
    if "--record" in sys.argv:
        recorded[name] = round(value, 1)
        RECORD.write_text(json.dumps(recorded, indent=2, sort_keys=True) + "\n")
        print(f"recorded {value:.1f} for {name}")
    if name not in recorded:
        print(f"bench instructions {value:.0f} a message: nothing is recorded for {name}")
        return True
    limit = recorded[name] * (1 + TOLERANCE)
    holds = value <= limit
    print(
        f"bench instructions {value:.1f} instructions a message ({value:.1f}-{value:.1f}, 1) "
        f"bar <={limit:.1f}: {'holds' if holds else 'falls short'}"
    )
    if value < recorded[name] * (1 - TOLERANCE):
        print("  better than what is recorded: record it with --record, so that it stays")
    return holds


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
