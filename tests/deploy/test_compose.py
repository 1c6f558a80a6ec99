"""compose.yaml keeps what it promises of the job's container; broker and job take its settings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from samza_py.cli.arguments import parser
from samza_py.options import JobOptions
from tests.deploy.composed import (
    BROKER,
    COMPOSE,
    JOB,
    LISTEN,
    ROOT,
    broker,
    environment,
    price_an_order,
)
from tests.deploy.test_dockerfile import FINAL, only
from tests.services.kafka_installation import JARS

SAMZA = (sys.executable, "-m", "samza_py")


def test_the_job_is_closed_up() -> None:
    assert JOB["read_only"] is True
    assert JOB["tmpfs"] == ["/tmp"]
    assert JOB["cap_drop"] == ["ALL"]
    assert JOB["security_opt"] == ["no-new-privileges:true"]
    assert JOB["user"] == only("USER", FINAL)
    assert all(mount.endswith(":ro") for mount in JOB["volumes"])


def test_nothing_is_published_beyond_this_machine() -> None:
    for service in COMPOSE["services"].values():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))


def test_the_broker_has_the_version_that_the_tests_run_against() -> None:
    assert BROKER["image"].rpartition(":")[2] == JARS.name.rpartition("-")[2]


def test_the_job_is_there_and_its_settings_and_options_are_real() -> None:
    (mount,) = JOB["volumes"]
    source, target, _ = mount.split(":")
    arguments = parser(JOB["command"]).parse_args(JOB["command"])
    assert Path(target) == Path(only("WORKDIR", FINAL), arguments.job)
    done = subprocess.run(
        [*SAMZA, "check", ROOT / source],
        env={**os.environ, **JOB["environment"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_stop_may_take_as_long_as_the_job_may() -> None:
    longest = JobOptions().shutdown_timeout_s + 2 * JobOptions().close_timeout_s
    assert float(JOB["stop_grace_period"].removesuffix("s")) > longest


@pytest.mark.service
async def test_the_job_prices_an_order_on_a_broker_of_these_settings(tmp_path: Path) -> None:
    command = [*SAMZA, *JOB["command"][:-1], ROOT / "deploy" / JOB["command"][-1]]
    with broker(tmp_path / "kafka") as kafka, environment(kafka) as told:
        more = {**os.environ, **told}
        code, price, said = await price_an_order(kafka, command, told[LISTEN], more)
    assert code == 0, said
    assert json.loads(price) == {"sku": "apple", "cents": 120}
