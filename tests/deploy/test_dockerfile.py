"""The Dockerfile holds what docs/deploy.md says of the image; `test_image.py` builds it."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
Instruction = tuple[str, str]


def instructions() -> Iterator[Instruction]:
    """Every instruction with what follows it, continued lines joined."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    text = "\n".join(line for line in lines if line and not line.startswith("#"))
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        name, _, rest = line.partition(" ")
        yield name, rest


def stages() -> list[list[Instruction]]:
    """What stands before the first stage, then each stage."""
    found: list[list[Instruction]] = [[]]
    for instruction in instructions():
        if instruction[0] == "FROM":
            found.append([])
        found[-1].append(instruction)
    return found


HEAD, BUILD, FINAL = stages()


def arguments(stage: list[Instruction]) -> dict[str, str]:
    pairs = (rest.partition("=") for name, rest in stage if name == "ARG")
    return {name: default for name, _, default in pairs}


def only(name: str, stage: list[Instruction]) -> str:
    """The one instruction of this name."""
    (found,) = [rest for given, rest in stage if given == name]
    return found


def test_both_stages_stand_on_the_base_that_is_asked_for() -> None:
    assert arguments(HEAD) == {"BASE": "python:3.11-slim-bookworm"}
    assert [only("FROM", stage).split()[0] for stage in (BUILD, FINAL)] == ["${BASE}"] * 2


def test_the_extras_are_extras_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = set(arguments(BUILD)["EXTRAS"].split(","))
    assert extras == {"kafka", "monitoring", "uvloop"} <= set(project["optional-dependencies"])


def test_nothing_is_installed_but_what_the_lock_has() -> None:
    calls = [
        call
        for name, rest in BUILD
        if name == "RUN"
        for call in rest.split("&&")
        if "bin/pip " in call
    ]
    assert len(calls) == 3
    for call in calls:
        assert "--require-hashes" in call or "--no-index" in call, call


def test_the_final_stage_installs_nothing_and_takes_the_environment_alone() -> None:
    text = " ".join(rest for name, rest in FINAL if name == "RUN")
    assert not re.search(r"pip|apt-get|venv", text)
    copied = [rest for name, rest in FINAL if name == "COPY"]
    assert copied == [
        "--from=build /opt/samza-py /opt/samza-py",
        "deploy/healthcheck.py /opt/samza-py/",
    ]


def test_it_runs_as_a_user_that_is_not_root_and_by_number() -> None:
    assert only("USER", FINAL) == "10001:10001"
    after = [name for name, _ in FINAL[FINAL.index(("USER", "10001:10001")) :]]
    assert "RUN" not in after
    assert "COPY" not in after


def test_it_starts_the_command_and_asks_the_job_whether_it_lives() -> None:
    assert json.loads(only("ENTRYPOINT", FINAL)) == ["samza-py"]
    check = only("HEALTHCHECK", FINAL)
    command = json.loads(check.partition("CMD ")[2])
    assert command[1] == "/opt/samza-py/healthcheck.py"
    assert "--timeout=5s" in check


def test_state_is_on_a_volume_and_nothing_else_is_written() -> None:
    environment = dict(pair.split("=", 1) for pair in only("ENV", FINAL).split())
    assert environment["XDG_STATE_HOME"] == only("VOLUME", FINAL) == "/state"
    assert environment["PYTHONDONTWRITEBYTECODE"] == "1"


def test_what_is_copied_is_in_the_context_and_what_is_private_is_not() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    ignored = {line for line in lines if line and not line.startswith("#")}
    sources = [
        source
        for stage in (BUILD, FINAL)
        for name, rest in stage
        if name == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    ]
    assert {"samza_py", "connectors", "runtime", "dev/locks/run.txt"} <= set(sources)
    for source in sources:
        assert (ROOT / source).exists(), source
        assert not {source, *map(str, Path(source).parents)} & ignored, source
    assert {".git", ".venv", "**/.env", "**/*.env"} <= ignored
