"""What the source must not hold, and what must stand beside it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "jsonpickle"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
FORBIDDEN_METHODS = {
    ("yaml", "load"),
    ("yaml", "unsafe_load"),
    ("yaml", "full_load"),
    ("os", "system"),
    ("os", "popen"),
    ("tempfile", "mktemp"),
}


def trees() -> Iterator[tuple[Path, ast.Module]]:
    """Every file of the package."""
    for folder in ("samza_py", "connectors", "runtime"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path, ast.parse(path.read_text(), str(path))


def found_in(tree: ast.Module) -> Iterator[str]:
    """Forbidden things in one file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name.partition(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [(node.module or "").partition(".")[0]]
        elif isinstance(node, ast.Call):
            yield from (f"line {node.lineno}: {what}" for what in found_in_call(node))
            continue
        else:
            continue
        yield from (f"line {node.lineno}: {name}" for name in names if name in FORBIDDEN_MODULES)


def found_in_call(node: ast.Call) -> Iterator[str]:
    """What of a call is forbidden."""
    function = node.func
    if isinstance(function, ast.Name) and function.id in FORBIDDEN_CALLS:
        yield f"{function.id}()"
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
        called = (function.value.id, function.attr)
        if called in FORBIDDEN_METHODS:
            yield f"{'.'.join(called)}()"
    for keyword in node.keywords:
        if keyword.arg == "shell" and getattr(keyword.value, "value", False):
            yield "shell=True"


def test_nothing_unpickles_or_evaluates() -> None:
    found = {str(path.relative_to(ROOT)): list(found_in(tree)) for path, tree in trees()}
    assert len(found) > 80
    assert {path: lines for path, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "from marshal import loads",
        "eval('1')",
        "import yaml; yaml.load(x)",
        "run(x, shell=True)",
    ],
)
def test_the_search_finds_what_it_looks_for(line: str) -> None:
    assert list(found_in(ast.parse(line)))


@pytest.mark.tooling
def test_the_linters_security_rules_are_on_for_the_package() -> None:
    """Not only on: each of these finds its hole in a file of the package's name."""
    bad = "import pickle\nimport yaml\n\npickle.loads(b'')\nyaml.load('')\neval('1')\n"
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--stdin-filename", "runtime/bad.py", "-"],
        input=bad,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    for rule in ("S301", "S307", "S506"):
        assert rule in done.stdout, done.stdout + done.stderr


def test_every_locked_requirement_has_a_hash() -> None:
    locks = sorted((ROOT / "dev" / "locks").glob("*.txt"))
    assert {path.stem for path in locks} >= {"run", "test", "dev", "audit"}
    for path in locks:
        text = re.sub(r"\\\n", " ", path.read_text())
        lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
        assert lines, path
        for line in lines:
            if line.startswith(("-", " ")):
                continue
            assert re.match(r"[A-Za-z0-9._\[\],-]+==\S+", line), (
                f"{path}: {line[:60]} is not pinned"
            )
            assert "--hash=sha256:" in line, f"{path}: {line[:60]} has no hash"


def test_the_threat_model_says_who_may_write_where() -> None:
    text = (ROOT / "SECURITY.md").read_text()
    assert "job file is trusted code" in text.lower()
    for who in ("input stream", "settings", "state directory", "checkpoints", "job file"):
        assert who in text, f"SECURITY.md says nothing about who may write to {who}"
    for what in ("pickle", "control characters", "symlink|links", "huge", "world-writable"):
        assert re.search(what, text), f"SECURITY.md says nothing about {what}"
