"""Runs the tutorial from top to bottom: its files are written, its commands run and read."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(?P<kind>\w+)(?: file=(?P<file>\S+))?\n(?P<text>.*?)^```$", re.M | re.S)
COMMAND_TIMEOUT_S = 60


@dataclass(frozen=True)
class Command:
    """A command of a console block, and what the tutorial says it prints."""

    line: str
    expected: list[str]


def commands(text: str) -> Iterator[Command]:
    """The commands of a console block; ``...`` in an expected line stands for anything."""
    line: str | None = None
    expected: list[str] = []
    for row in text.splitlines():
        if row.startswith("$ "):
            if line is not None:
                yield Command(line, expected)
            line, expected = row[2:], []
        else:
            expected.append(row)
    if line is not None:
        yield Command(line, expected)


def run(command: Command, folder: Path) -> str:
    """Run a command as the reader would, in the tutorial's folder; give what it prints."""
    bin_folder = str(Path(sys.executable).parent)
    env = {**os.environ, "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        command.line,
        shell=True,
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
        check=False,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, f"$ {command.line}\nended with {done.returncode}:\n{output}"
    return output


def shows(output: str, expected: str) -> bool:
    """Whether some line of the output is the expected one."""
    parts = [re.escape(part) for part in expected.split("...")]
    return re.search(".*".join(parts), output, re.S) is not None


@pytest.mark.timeout(300)
def test_the_tutorial_runs_from_top_to_bottom(tmp_path: Path) -> None:
    ran = 0
    for block in BLOCK.finditer(TUTORIAL.read_text()):
        if block["file"] is not None:
            path = tmp_path / block["file"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block["text"])
        elif block["kind"] == "console":
            for command in commands(block["text"]):
                output = run(command, tmp_path)
                for expected in command.expected:
                    assert shows(output, expected), (
                        f"$ {command.line}\ndoes not show:\n{expected}\nbut:\n{output}"
                    )
                ran += 1
    assert ran > 5, "the tutorial's blocks were not found"
