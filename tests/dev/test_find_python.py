"""`dev/find_python.sh` takes a Python that works, and says how to get one where there is none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "dev" / "find_python.sh"

# What stands on PATH instead of a real program; each is asked with `-c CODE`.
GOOD = f'exec "{sys.executable}" "$@"'
OLD = "exit 1"
SHIM = 'echo "shim: command not found" >&2; exit 127'
NO_VENV = f'case "$2" in *ensurepip*) exit 1;; esac; exec "{sys.executable}" "$@"'
APT = "exit 0"

pytestmark = pytest.mark.tooling


def found(folder: Path, asked_for: str = "", **programs: str) -> subprocess.CompletedProcess[str]:
    """Run the script where nothing but these programs is on PATH."""
    for name, body in programs.items():
        program = folder / name.replace("_", ".").replace("apt.get", "apt-get")
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)
    environment = {"PATH": str(folder), **({"PYTHON": asked_for} if asked_for else {})}
    return subprocess.run(
        ["/bin/sh", SCRIPT], env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("other", [OLD, SHIM, NO_VENV])
def test_what_does_not_work_is_passed_over(tmp_path: Path, other: str) -> None:
    done = found(tmp_path, python3=other, python3_12=GOOD)
    assert (done.returncode, done.stdout) == (0, f"{tmp_path}/python3.12\n")
    assert done.stderr == ""


def test_the_one_that_is_asked_for_comes_first(tmp_path: Path) -> None:
    done = found(tmp_path, asked_for=f"{tmp_path}/mine", mine=GOOD, python3=GOOD)
    assert done.stdout == f"{tmp_path}/mine\n"


@pytest.mark.parametrize("programs", [{}, {"python3": OLD}, {"python3": SHIM, "python": OLD}])
def test_without_a_recent_python_the_command_that_installs_one_is_told(
    tmp_path: Path, programs: dict[str, str]
) -> None:
    done = found(tmp_path, **programs, apt_get=APT)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "Python 3.11 or newer is needed and was not found. Install it with: sudo apt-get install "
        "python3 python3-venv\n"
    )


def test_a_python_without_venv_is_told_as_that(tmp_path: Path) -> None:
    done = found(tmp_path, python3=NO_VENV, apt_get=APT)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert done.returncode == 1
    assert done.stderr == (
        f"Python {version} is here, its venv module is not. Install it with: sudo apt-get install "
        f"python{version}-venv\n"
    )


@pytest.mark.parametrize(("manager", "told"), [("dnf", "sudo dnf install"), ("brew", "brew inst")])
def test_other_package_managers_are_known(tmp_path: Path, manager: str, told: str) -> None:
    assert told in found(tmp_path, **{manager: APT}).stderr


def test_without_a_package_manager_the_packages_are_named(tmp_path: Path) -> None:
    assert "the package manager of this system (python3 python3-venv)" in found(tmp_path).stderr
