"""What a user installs with samza-py is free to use beside any code: permissive licences alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.message import Message
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "dev" / "locks" / "run.txt"

PERMISSIVE = {"Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "PSF-2.0"}

#: How licences are written where a package has no SPDX expression yet.
SAME = {
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "bsd license": "BSD-3-Clause",
    "mit license": "MIT",
    "python software foundation license": "PSF-2.0",
}

pytestmark = pytest.mark.tooling


def required(name: str = "samza-py", extras: frozenset[str] = frozenset({"all"})) -> Iterator[str]:
    """Everything that `pip install samza-py[all]` brings here, by canonical name."""
    for line in distribution(name).requires or ():
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield canonicalize_name(requirement.name)
            yield from required(requirement.name, frozenset(requirement.extras))


def licences(metadata: Message) -> set[str]:
    """The licences of a package, as SPDX names them; all of them, whether joined by AND or OR."""
    said = metadata["License-Expression"]
    if said is None:
        classifiers: list[str] = metadata.get_all("Classifier", [])
        named = [c.rpartition(" :: ")[2] for c in classifiers if c.startswith("License :: OSI")]
        said = " AND ".join(named) or str(metadata["License"])
    parts = [part.strip(" ()") for part in re.split(r"\bAND\b|\bOR\b", said)]
    return {SAME.get(part.lower(), part) for part in parts}


DEPENDENCIES = sorted({*required()} - {"samza-py"})


def test_the_dependencies_are_those_of_the_lock() -> None:
    locked = {canonicalize_name(n) for n in re.findall(r"^([\w.-]+)==", LOCK.read_text(), re.M)}
    assert {"pydantic", "pydantic-core", "msgspec", "fsspec", "rich", "uvloop"} <= {*DEPENDENCIES}
    assert {*DEPENDENCIES} <= locked


@pytest.mark.parametrize("name", DEPENDENCIES)
def test_a_dependency_has_a_permissive_licence(name: str) -> None:
    metadata: Any = distribution(name).metadata
    found = licences(metadata)
    assert found <= PERMISSIVE, f"{name} is under {found}: not on the list of permissive ones"


@pytest.mark.parametrize(
    ("header", "value", "fine"),
    [
        ("License-Expression", "MIT OR Apache-2.0", True),
        ("License-Expression", "MIT AND GPL-3.0-only", False),
        ("Classifier", "License :: OSI Approved :: BSD License", True),
        ("Classifier", "License :: OSI Approved :: GNU General Public License v3 (GPLv3)", False),
        ("License", "Business Source License 1.1", False),
        ("Name", "says nothing", False),
    ],
)
def test_a_licence_is_read_however_it_is_said(header: str, value: str, fine: bool) -> None:
    metadata = Message()
    metadata[header] = value
    assert (licences(metadata) <= PERMISSIVE) is fine
