"""The image is built without a Docker engine and runs jobs, closed up as compose.yaml wants it.

`make test-container` runs it. What it takes is not skipped where it is missing: the test fails, and
the script's one line says what to install.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.deploy.composed import JOB, LISTEN, ROOT, broker, environment, price_an_order

BUILD_S = 1200
USER = 10001
MOST_MB = 260
"""A bound against what creeps in: a compiler, or a cache of pip, is above it."""

pytestmark = [pytest.mark.container, pytest.mark.slow, pytest.mark.timeout(BUILD_S + 60)]
RUN = ROOT / "deploy" / "run_without_docker.sh"


@pytest.fixture(scope="module")
def built() -> str:
    """What the script said that built the image and ran a job from a file to a file in it."""
    done = subprocess.run(
        [ROOT / "deploy" / "build_without_docker.sh"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=BUILD_S,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A folder that is the image's user's."""
    folder = tmp_path / "state"
    folder.mkdir()
    os.chown(folder, USER, USER)
    return folder


def test_it_is_small_and_its_size_is_printed(built: str) -> None:
    (size,) = re.findall(r"^-- size: \S+ has (\d+) MB", built, re.M)
    assert int(size) < MOST_MB


def test_a_job_has_no_way_out(built: str, state: Path, tmp_path: Path) -> None:
    job = tmp_path / "job"
    job.mkdir()
    (job / "looking.py").write_text(LOOKING)
    subprocess.run([RUN, state, job, "check", "looking.py"], check=True, capture_output=True)
    seen = json.loads((state / "seen").read_text())
    assert seen == {
        "user": [USER, USER, []],
        "capabilities": ["0000000000000000"],
        "new privileges": "1",
        "installed": ["aiohttp", "aiokafka", "uvloop"],
        "written": ["/state", "/tmp"],
    }


LOOKING = r"""
import json, os, re, tempfile
from importlib.util import find_spec
from samza_py import Job, Message
from samza_py.connectors.memory import Memory

def writable(folder):
    try:
        return bool(tempfile.TemporaryFile(dir=folder))
    except OSError:
        return False

folders = ["/", "/etc", "/job", "/opt/samza-py", "/state", "/tmp", "/usr", "/var/tmp"]
status = open("/proc/self/status").read()
with open("/state/seen", "w") as file:
    json.dump({
        "user": [os.getuid(), os.getgid(), os.getgroups()],
        "capabilities": sorted(set(re.findall(r"^Cap\w+:\t(\w+)$", status, re.M))),
        "new privileges": re.search(r"NoNewPrivs:\t(\d)", status)[1],
        "installed": [name for name in ("aiohttp", "aiokafka", "pip", "uvloop") if find_spec(name)],
        "written": [folder for folder in folders if writable(folder)],
    }, file)

memory = Memory()
job = Job("looking")

@job.task(memory.stream("a"), to=memory.stream("b"))
async def nothing(message: Message[bytes, bytes]) -> bytes:
    return message.value
"""


@pytest.mark.service
@pytest.mark.usefixtures("built")
async def test_the_job_of_compose_prices_an_order(state: Path, tmp_path: Path) -> None:
    with broker(tmp_path / "kafka") as kafka, environment(kafka) as told:
        pairs = [f"{name}={value}" for name, value in told.items()]
        command = [RUN, state, ROOT / "deploy", *pairs, *JOB["command"]]
        code, price, said = await price_an_order(kafka, command, told[LISTEN])
    assert code == 0, said
    assert json.loads(price) == {"sku": "apple", "cents": 120}
    assert os.listdir(state) == []
