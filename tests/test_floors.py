"""Imports go downwards only; an import planted against that is found."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
LATE = ["pydantic", "fsspec", "rich", "uvloop", "yaml", "cramjam"]
"""What the face must not load: each costs a newcomer's first import more than the face itself."""

pytestmark = pytest.mark.tooling


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on the copy of the project in a folder, seen before the checkout's own."""
    program = f"import sys; sys.path.insert(0, {str(folder)!r}); "
    program += "from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run(
        [sys.executable, "-c", program, "--no-logo", "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the code and its contracts, links kept, to plant imports in."""
    skipped = shutil.ignore_patterns("__pycache__")
    for folder in ("samza_py", "connectors", "runtime"):
        shutil.copytree(ROOT / folder, tmp_path / folder, symlinks=True, ignore=skipped)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def plant(copy: Path, module: str, statement: str) -> None:
    """Add one import to a module of the copy, making the module where there is none."""
    path = copy / module
    path.parent.mkdir(exist_ok=True)
    if path.name != "__init__.py" and not (path.parent / "__init__.py").exists():
        (path.parent / "__init__.py").write_text("")
    before = path.read_text() if path.exists() else ""
    path.write_text(f"{before}\n{statement}\n")


def test_imports_go_downwards_only(copy: Path) -> None:
    result = lint_imports(copy)
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("module", "statement", "found"),
    [
        pytest.param(
            "samza_py/errors.py",
            "import samza_py.task",
            "samza_py.errors -> samza_py.task",
            id="upwards from the lowest floor",
        ),
        pytest.param(
            "samza_py/system.py",
            "from samza_py.job import Job",
            "samza_py.system -> samza_py.job",
            id="from the protocol to the job",
        ),
        pytest.param(
            "runtime/planted.py",
            "import samza_py.connectors",
            "samza_py.runtime.planted -> samza_py.connectors",
            id="through the link, from the runtime to the connectors",
        ),
        pytest.param(
            "connectors/planted.py",
            "import samza_py.runtime",
            "samza_py.connectors.planted -> samza_py.runtime",
            id="through the link, from a connector to the runtime",
        ),
        pytest.param(
            "connectors/planted/__init__.py",
            "import samza_py.connectors.other",
            "samza_py.connectors.planted -> samza_py.connectors.other",
            id="from one connector to another",
        ),
        pytest.param(
            "runtime/planted.py",
            "from samza_py import __version__",
            "samza_py.runtime.planted -> samza_py",
            id="from inside to the face",
        ),
        pytest.param(
            "samza_py/planted.py",
            "import samza_py.errors",
            "samza_py.planted",
            id="a module without a floor",
        ),
    ],
)
def test_a_planted_import_is_found(copy: Path, module: str, statement: str, found: str) -> None:
    plant(copy, "connectors/other/__init__.py", "")
    plant(copy, module, statement)
    result = lint_imports(copy)
    assert result.returncode == 1, result.stdout
    assert found in result.stdout


def test_the_face_stays_light() -> None:
    program = "import sys, samza_py; print(*[name for name in sys.argv[1:] if name in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", program, *LATE], capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == []
