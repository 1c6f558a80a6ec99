"""The page on deploying: its settings and options are real, its limits are those of the code."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from samza_py.cli.arguments import parser
from samza_py.connectors.kafka import Kafka
from samza_py.options import JobOptions
from samza_py.runtime.coordinators import Static
from tests.deploy.composed import COMPOSE

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "deploy.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.M | re.S)
LONGEST_STOP_S = JobOptions().shutdown_timeout_s + 2 * JobOptions().close_timeout_s
GUARDED = 'Kafka("localhost:9092", sasl=Sasl("pricing", Secret("")))'
INDEX = "SAMZA_CONTAINER_INDEX"


def of(kind: str) -> list[str]:
    return [text for found, text in BLOCKS if found == kind]


ALTERED, SET = (yaml.safe_load(text) for text in of("yaml"))
(UNIT,) = of("ini")


def check(folder: Path, environment: dict[str, str]) -> None:
    """Have samza-py say that a job with a password takes these settings."""
    job = (ROOT / "deploy" / "pricing.py").read_text()
    job = job.replace('Kafka("localhost:9092")', GUARDED)
    job = job.replace("import Kafka\n", "import Kafka, Sasl\nfrom samza_py import Secret\n")
    (folder / "pricing.py").write_text(job)
    (folder / "secret").write_text("a secret of this test\n")
    given = {
        name: str(folder / "secret") if name.endswith("_FILE") else value
        for name, value in environment.items()
    }
    done = subprocess.run(
        [sys.executable, "-m", "samza_py", "check", "pricing.py"],
        cwd=folder,
        env={**os.environ, **given},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, "nothing stands in its way" in done.stdout) == (0, True), done.stderr


def test_every_block_is_of_a_kind_that_is_read_here() -> None:
    assert {kind for kind, _ in BLOCKS} == {"console", "dockerfile", "yaml", "ini"}


def test_an_image_with_a_job_runs_it_by_an_option_that_is_there() -> None:
    (text,) = of("dockerfile")
    command = yaml.safe_load(text.partition("CMD ")[2])
    assert parser(command).parse_args(command).job == "pricing.py"


# Compose ----------------------------------------------------------------------------------------


def test_compose_takes_the_secret_that_the_job_reads(tmp_path: Path) -> None:
    (name,) = ALTERED["services"]
    assert name in COMPOSE["services"]
    service = ALTERED["services"][name]
    assert service["secrets"] == list(ALTERED["secrets"]) == ["kafka"]
    assert "/run/secrets/kafka" in service["environment"].values()
    check(tmp_path, service["environment"])


# Kubernetes -------------------------------------------------------------------------------------

POD: Any = SET["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]
VARIABLES: Any = {one["name"]: one for one in CONTAINER["env"]}


def test_the_pod_is_closed_up() -> None:
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert POD["securityContext"]["runAsUser"] == 10001
    assert POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert POD["automountServiceAccountToken"] is False
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    mounted = {one["name"] for one in CONTAINER["volumeMounts"]}
    assert mounted == {one["name"] for one in POD["volumes"]}


def test_each_pod_has_a_share_of_its_own() -> None:
    index = VARIABLES[INDEX]["valueFrom"]["fieldRef"]["fieldPath"]
    assert index == "metadata.labels['apps.kubernetes.io/pod-index']"
    count = VARIABLES["SAMZA_CONTAINER_COUNT"]["value"]
    assert int(count) == SET["spec"]["replicas"]
    for number in range(int(count)):
        given = {INDEX: str(number), "SAMZA_CONTAINER_COUNT": count}
        assert Static.from_environment(given) == Static(number, int(count))


def test_its_settings_are_settings_of_the_job_and_its_options_are_there(tmp_path: Path) -> None:
    assert parser(CONTAINER["args"]).parse_args(CONTAINER["args"]).log_json
    settings = {name: one["value"] for name, one in VARIABLES.items() if name != INDEX}
    check(tmp_path, {**settings, INDEX: "1"})


def test_its_probes_ask_where_the_job_answers() -> None:
    (port,) = CONTAINER["ports"]
    assert VARIABLES["SAMZA_MONITORING__LISTEN"]["value"] == f"0.0.0.0:{port['containerPort']}"
    probes = {name: CONTAINER[f"{name}Probe"] for name in ("startup", "liveness", "readiness")}
    assert {probe["httpGet"]["port"] for probe in probes.values()} == {port["name"]}
    paths = {name: probe["httpGet"]["path"] for name, probe in probes.items()}
    assert paths == {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}
    startup = probes["startup"]["periodSeconds"] * probes["startup"]["failureThreshold"]
    assert startup > JobOptions().startup_timeout_s


# systemd ----------------------------------------------------------------------------------------


def unit() -> list[tuple[str, str]]:
    """What the unit's service is told, in order; systemd takes a name more than once."""
    service = UNIT.partition("[Service]\n")[2].partition("\n[")[0]
    pairs = (line.partition("=") for line in service.splitlines() if line)
    return [(name, value) for name, _, value in pairs]


def test_the_unit_has_settings_of_the_job_and_options_that_are_there(tmp_path: Path) -> None:
    configparser.ConfigParser(strict=False, interpolation=None).read_string(UNIT)
    command = dict(unit())["ExecStart"].split()[1:]
    assert parser(command).parse_args(command).log_json
    settings = [value.partition("=") for name, value in unit() if name == "Environment"]
    samza = {name: value for name, _, value in settings if name.startswith("SAMZA_")}
    assert len(samza) == 2
    check(tmp_path, samza)


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
def test_systemd_finds_nothing_to_say_of_the_unit(tmp_path: Path) -> None:
    file = tmp_path / "pricing.service"
    program = dict(unit())["ExecStart"].split()[0]
    file.write_text(UNIT.replace(program, sys.executable))
    done = subprocess.run(
        ["systemd-analyze", "verify", file], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


# The text ---------------------------------------------------------------------------------------


def test_whoever_stops_the_process_gives_it_the_time_that_it_may_take() -> None:
    given = {"45"}
    assert {str(POD["terminationGracePeriodSeconds"]), dict(unit())["TimeoutStopSec"]} == given
    assert "twice\n`job.close_timeout_s` (5 s): 45 s above" in PAGE
    assert LONGEST_STOP_S < 45


def test_the_programs_and_targets_that_it_names_are_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"`make ([a-z-]+)`", PAGE)) <= targets
    assert Kafka("localhost:9092").name == "kafka", "the settings above say so"
