"""What is missing is named with the command that installs it; what came wrong is not used."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dev import java
from tests.services import kafka_installation
from tests.services.caching import VARIABLE
from tests.services.failing import ServiceError
from tests.services.jvm import needed_java
from tests.services.maven import Jars, fetch

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def jars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Jars:
    """Jars whose list of hashes lies in a folder of the test."""
    listed = tmp_path / "list.sha256"
    monkeypatch.setattr(Jars, "hashes", listed)
    listed.write_text(f"{hashlib.sha256(b'1').hexdigest()}  one.jar\n")
    return Jars("some-1", ("group:some:1",))


def some_java(at_least: int = java.OLDEST) -> java.Java:
    """Find one that is recent enough and is never started."""
    return java.Java(Path("nowhere"), f"{at_least}.0.1")


def nothing(*asked: object) -> None:
    """Find nothing."""


def test_without_a_java_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java, "find", nothing)
    with pytest.raises(ServiceError, match=r"^Java 17 or newer is needed. Install it with: .+$"):
        needed_java()


def test_without_maven_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(java, "find", some_java)
    monkeypatch.setattr(java, "find_maven", nothing)
    with pytest.raises(ServiceError, match=r"^Maven is needed. Install it with: .+ maven$"):
        fetch(kafka_installation.JARS, tmp_path)


def test_what_maven_said_is_told_when_it_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    maven = tmp_path / "mvn"
    maven.write_text("#!/bin/sh\necho '[ERROR] no route to host'\nexit 1\n")
    maven.chmod(0o755)
    monkeypatch.setattr(java, "find", some_java)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(ServiceError, match=r"could not fetch kafka-.*\n\[ERROR\] no route to host"):
        fetch(kafka_installation.JARS, tmp_path / "jars")


@pytest.mark.parametrize(
    ("came", "wrong"),
    [
        ({"one.jar": b"2"}, "one.jar"),
        ({"one.jar": b"1", "two.jar": b"2"}, "two.jar"),
        ({}, "one.jar"),
    ],
)
def test_other_jars_than_those_listed_are_refused(
    jars: Jars, tmp_path: Path, came: dict[str, bytes], wrong: str
) -> None:
    for name, content in came.items():
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ServiceError, match=f"^not what list.sha256 lists: {wrong}$"):
        jars.verify(tmp_path)


def test_the_listed_jars_are_taken(jars: Jars, tmp_path: Path) -> None:
    (tmp_path / "one.jar").write_bytes(b"1")
    jars.verify(tmp_path)


def test_an_entry_of_the_cache_changes_with_its_list(jars: Jars) -> None:
    before = jars.fingerprint()
    jars.hashes.write_text("")
    assert jars.fingerprint() != before


@pytest.mark.tooling
def test_fetching_ends_with_one_line_where_something_is_missing(tmp_path: Path) -> None:
    """Nothing is on PATH; where the system keeps a Java elsewhere, it is Maven that is missing."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.services"],
        cwd=ROOT,
        env={"PATH": str(tmp_path), VARIABLE: str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert " is needed. Install it with: " in line
