"""Everything that the README shows runs as it stands, and all that it links to is there."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.M | re.S)
COMMANDS = re.findall(r"`(samza-py \w+ job\.py)`", README)
ORDERS = '{"sku": "apple", "count": 3}\n{"sku": "durian", "count": 1}\n'


def run(
    command: list[str], folder: Path, more: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command as a user would, whose `samza-py` is that of this environment."""
    programs = f"{Path(sys.executable).parent}{os.pathsep}/usr/bin{os.pathsep}/bin"
    return subprocess.run(
        command,
        cwd=folder,
        env={"XDG_STATE_HOME": str(folder / "state"), "PATH": programs, **(more or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_every_block_is_of_a_kind_that_is_run_here() -> None:
    assert [kind for kind, _ in BLOCKS] == ["console", "python"]


@pytest.mark.parametrize("command", [["samza-py", "run", "orders.py"], ["python", "orders.py"]])
def test_the_first_job_runs_as_it_stands(tmp_path: Path, command: list[str]) -> None:
    (job,) = [text for kind, text in BLOCKS if kind == "python"]
    assert "samza-py run orders.py" in job
    (tmp_path / "orders.py").write_text(job)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "orders.jsonl").write_text(ORDERS)
    done = run(command, tmp_path)
    assert done.returncode == 0, done.stderr
    assert lines_of(tmp_path / "data" / "priced") == ['{"sku":"apple","cents":120}']
    dead = lines_of(tmp_path / "data" / "failed")
    assert len(dead) == 1
    assert "durian" in dead[0]


def test_the_job_that_new_writes_is_checked_as_the_text_says(tmp_path: Path) -> None:
    assert sorted(COMMANDS) == ["samza-py check job.py", "samza-py new job.py"]
    said = ""
    for command in sorted(COMMANDS, reverse=True):
        done = run(command.split(), tmp_path)
        assert done.returncode == 0, done.stderr
        said += done.stdout
    assert "nothing stands in its way" in said


@pytest.mark.tooling
def test_every_make_target_is_one() -> None:
    (console,) = [text for kind, text in BLOCKS if kind == "console"]
    named = set(re.findall(r"(?:^\$ |`)make ([a-z-]+)", console + README, re.M))
    assert named >= {"demo", "test", "doctor"}
    for target in named:
        done = run(["make", "--dry-run", target], ROOT, {"PYTHON": sys.executable})
        assert done.returncode == 0, done.stderr


def test_the_table_of_extras_has_all_of_them() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    section = README.partition("## Install\n")[2].partition("\n## ")[0]
    told = re.findall(r"^\| `(\w+)` \|", section, re.M)
    assert sorted(told) == sorted(project["optional-dependencies"])


def test_every_link_of_a_page_leads_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
    assert len(pages) > 10
    for page in pages:
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
            assert "://" in link or (page.parent / link).exists(), f"{page.name} links to {link}"


def lines_of(folder: Path) -> list[str]:
    """The lines of all part files of an output."""
    return [line for part in folder.glob("part-*") for line in part.read_text().splitlines()]
