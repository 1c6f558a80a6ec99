"""The Java that is found starts, is recent enough, and is the one that was chosen."""

from __future__ import annotations

from pathlib import Path

import pytest

from dev import doctor, java

pytestmark = pytest.mark.tooling


def make_java(home: Path, version: str) -> Path:
    program = home / "bin" / "java"
    program.parent.mkdir(parents=True)
    said = f"    java.home = {home}\n    java.version = {version}\n"
    program.write_text(f"#!/bin/sh\ncat >&2 <<END\nProperty settings:\n{said}END\n")
    program.chmod(0o755)
    return home


@pytest.fixture(autouse=True)
def nothing_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin")
    monkeypatch.setattr(java, "FOLDERS", (tmp_path / "kept",))
    monkeypatch.setattr("shutil.which", on_path(tmp_path))


def on_path(folder: Path) -> object:
    def which(name: str) -> str | None:
        program = folder / "bin" / name
        return str(program) if program.exists() else None

    return which


def test_the_chosen_one_goes_before_a_newer_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_java(tmp_path / "kept" / "25", "25.0.1")
    chosen = make_java(tmp_path / "chosen", "17.0.15")
    monkeypatch.setenv("JAVA_HOME", str(chosen))
    found = java.find()
    assert found is not None
    assert found == java.Java(chosen, "17.0.15")
    assert found.program == chosen / "bin" / "java"


def test_one_that_is_too_old_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(make_java(tmp_path / "chosen", "11.0.2")))
    kept = make_java(tmp_path / "kept" / "17", "17.0.15")
    newest = make_java(tmp_path / "kept" / "25", "25")
    assert java.find() == java.Java(newest, "25")
    assert java.find(26) is None
    assert java.ask(kept / "bin" / "java") == java.Java(kept, "17.0.15")


def test_one_that_starts_nothing_is_not_there(tmp_path: Path) -> None:
    make_java(tmp_path, "17.0.15")
    shim = tmp_path / "bin" / "java"
    shim.write_text("#!/bin/sh\nexit 127\n")
    assert java.find() is None
    assert java.ask(tmp_path / "nowhere") is None


def test_doctor_says_how_to_install_both() -> None:
    missing = [finding for finding in doctor.look_at_java() if not finding.seen]
    assert [finding.what for finding in missing] == ["Java 17 or newer", "Maven"]
    for finding in missing:
        assert finding.required
        assert finding.cure.startswith("sudo apt-get install default-jdk-headless maven")
