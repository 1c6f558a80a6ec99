"""The public names: complete, sorted, documented, and changed only on purpose."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys

import pytest

import samza_py

PUBLIC = tuple(
    """
AtOffset AtTime BatchFailed CheckpointError ConfigError ConnectorError ContextClosedError DeadLetter
ErrorPolicy Fail Input Job Json KeyValueStore Limit Message Newest Oldest Output Partition
PositionLostError Raw Record Retry Row SamzaError Secret Serde SerdeError Skip Store StoreError
Stream StreamTask System TaskContext TaskFailedError Text __version__
""".split()  # noqa: SIM905  (a list of them would be forty lines)
)
"""Frozen: a name is added here on purpose, and taken away only with a new major version."""

HEAVY = ("pydantic", "pydantic_settings", "fsspec", "aiohttp", "rich", "prometheus_client", "yaml")


def test_the_names_of_the_face_are_these() -> None:
    assert sorted(samza_py.__all__) == sorted(PUBLIC)


def test_all_is_sorted_and_complete() -> None:
    names = samza_py.__all__
    assert list(names) == sorted(names)
    imported = {
        name
        for name, value in vars(samza_py).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    assert imported | {"__version__"} == set(names)


@pytest.mark.parametrize(
    "name", [name for name in PUBLIC if name not in ("__version__", "ErrorPolicy")]
)
def test_every_public_name_says_what_it_is(name: str) -> None:
    assert inspect.getdoc(getattr(samza_py, name)), f"{name} has no docstring"


@pytest.mark.parametrize(
    "module",
    ["samza_py.testing", "samza_py.connectors.memory"],
)
def test_what_other_public_modules_name_is_there(module: str) -> None:
    found = importlib.import_module(module)
    for name in getattr(found, "__all__", ()):
        assert hasattr(found, name)


def test_importing_the_face_is_light() -> None:
    code = f"import sys, samza_py; print(*[m for m in {HEAVY!r} if m in sys.modules])"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert loaded.stdout.split() == []
