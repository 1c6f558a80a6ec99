"""The face as type checkers see it: right use passes, each wrong use is an error in both."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
MUST_FAIL = sorted((HERE / "must_fail").glob("*.py"))

pytestmark = [pytest.mark.tooling, pytest.mark.timeout(300)]


def _mypy(*paths: Path) -> dict[str, list[str]]:
    """The errors of mypy by the name of the file."""
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--no-error-summary",
        "--exclude",
        "^$",
        *map(str, paths),
    ]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    found: dict[str, list[str]] = {}
    for path, error in re.findall(r"^(.+?):\d+: error: (.*)$", ran.stdout, re.MULTILINE):
        found.setdefault(Path(path).name, []).append(error)
    assert ran.returncode in (0, 1), ran.stderr or ran.stdout
    return found


def _pyright(folder: Path, *paths: Path) -> dict[str, list[str]]:
    """The errors of pyright by the name of the file: of copies, as it passes over excluded ones."""
    for path in paths:
        shutil.copy(path, folder / path.name)
    settings = {
        "include": ["."],
        "extraPaths": [str(ROOT)],
        "typeCheckingMode": "strict",
        "pythonVersion": "3.11",
        # All of them begin alike, so each imports more than it uses.
        "reportUnusedImport": "none",
    }
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable]
    ran = subprocess.run(
        [*command, "-p", str(folder)], cwd=folder, capture_output=True, text=True, check=False
    )
    assert ran.returncode in (0, 1), ran.stderr or ran.stdout
    said = json.loads(ran.stdout)
    assert said["summary"]["filesAnalyzed"] == len(paths)
    found: dict[str, list[str]] = {}
    for one in said["generalDiagnostics"]:
        if one["severity"] == "error":
            found.setdefault(Path(one["file"]).name, []).append(one["message"])
    return found


@pytest.fixture(scope="module")
def by_mypy() -> dict[str, list[str]]:
    return _mypy(*MUST_FAIL)


@pytest.fixture(scope="module")
def by_pyright(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    return _pyright(tmp_path_factory.mktemp("must-fail"), *MUST_FAIL)


def test_right_use_passes_in_mypy() -> None:
    assert _mypy(HERE / "handlers.py") == {}


def test_right_use_passes_in_pyright(tmp_path: Path) -> None:
    assert _pyright(tmp_path, HERE / "handlers.py") == {}


@pytest.mark.parametrize("path", MUST_FAIL, ids=lambda path: path.stem)
def test_wrong_use_is_an_error_in_mypy(path: Path, by_mypy: dict[str, list[str]]) -> None:
    assert by_mypy.get(path.name), f"mypy takes {path.name}"


@pytest.mark.parametrize("path", MUST_FAIL, ids=lambda path: path.stem)
def test_wrong_use_is_an_error_in_pyright(path: Path, by_pyright: dict[str, list[str]]) -> None:
    assert by_pyright.get(path.name), f"pyright takes {path.name}"
