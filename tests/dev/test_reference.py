"""`make reference` writes a page for every public module, with every public name on it."""

from __future__ import annotations

import importlib
import inspect
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED_PUBLIC = re.compile(r"\*\*The protocol\*\* \((.*?)\)", re.S)

pytestmark = [pytest.mark.tooling, pytest.mark.timeout(180)]


def public_modules() -> list[str]:
    """What docs/stability.md calls public: the face, the kit, the connectors, the protocol."""
    connectors = [p.parent.name for p in (ROOT / "connectors").glob("*/__init__.py")]
    text = (ROOT / "docs" / "stability.md").read_text()
    found = NAMED_PUBLIC.search(text)
    assert found is not None
    protocol = [name.rpartition(".")[2] for name in re.findall(r"`([\w.]+)`", found[1])]
    assert len(protocol) > 5
    return [
        "samza_py",
        "samza_py.testing",
        *(f"samza_py.connectors.{name}" for name in connectors),
        *(f"samza_py.{name}" for name in protocol),
    ]


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reference")
    done = subprocess.run(
        ["make", "reference", f"REFERENCE_FOLDER={folder}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Warn" not in done.stdout + done.stderr
    return folder


@pytest.mark.parametrize("module", public_modules())
def test_there_is_a_page_with_every_public_name(reference: Path, module: str) -> None:
    page = (reference / f"{module.replace('.', '/')}.html").read_text()
    found = importlib.import_module(module)
    names = getattr(found, "__all__", None) or [
        name
        for name, value in vars(found).items()
        if inspect.isclass(value) and not name.startswith("_") and value.__module__ == module
    ]
    assert names
    missing = [n for n in names if not n.startswith("__") and f'id="{n}"' not in page]
    assert missing == []


def test_what_is_private_has_no_page(reference: Path) -> None:
    pages = {str(path.relative_to(reference)) for path in reference.rglob("*.html")}
    assert not [p for p in pages if re.search(r"runtime|/cli|connectors/\w+/", p)]
    assert "index.html" in pages
