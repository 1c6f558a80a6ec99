"""Which Pythons the project claims to run on, and where this machine has them."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def claimed() -> list[str]:
    """Read the versions that the classifiers claim, such as `3.12`, oldest first."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pattern = re.compile(r"Programming Language :: Python :: (3\.\d+)$")
    found = [match[1] for line in project["classifiers"] if (match := pattern.match(line))]
    return sorted(found, key=lambda version: int(version.split(".")[1]))


def find(version: str) -> Path | None:
    """Find an interpreter of one version: on PATH first, then among pyenv's."""
    name = f"python{version}"
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    on_path = shutil.which(name)
    candidates = [Path(on_path)] if on_path else []
    candidates += sorted(pyenv.glob(f"{version}.*/bin/{name}"), reverse=True)
    # A shim may be on PATH and start nothing: each candidate is run, not just found.
    return next((path for path in candidates if starts(path, version)), None)


def starts(python: Path, version: str) -> bool:
    """Say whether an interpreter starts, is of that version and can make environments."""
    probe = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([python, "-c", probe], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return done.returncode == 0 and done.stdout.strip() == version


def how_to_install(version: str) -> str:
    """Name the commands that bring one version."""
    return f"pyenv install {version}, or: sudo apt-get install python{version} python{version}-venv"
