"""One broker for all processes of a session; with the last of them it ends, killed or not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.services.ports import answers
from tests.services.server import START_S

ROOT = Path(__file__).resolve().parents[2]
GONE_S = 5.0

ORPHANS_GONE_S = 30.0
"""A worker whose pytest was killed gives its test five seconds, and itself ten more."""

pytestmark = pytest.mark.service

HOLDER = """
import sys
from pathlib import Path
from tests.services.kafka_listeners import PLAINTEXT
from tests.services.sharing import shared_kafka

with shared_kafka(Path(sys.argv[1])) as kafka:
    print(kafka.bootstrap(PLAINTEXT), flush=True)
    sys.stdin.read()
"""


class Holder:
    """Another process of the session."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-c", HOLDER, str(folder)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def port(self) -> int:
        """Wait for its broker."""
        assert self.process.stdout is not None
        return int(self.process.stdout.readline().rpartition(":")[2])

    def end(self, *, killed: bool = False) -> None:
        """Let it end by itself, or kill it."""
        if killed:
            self.process.kill()
        self.process.communicate()


SESSION = """
import os, time
from pathlib import Path

import pytest

from tests.conftest import *
from tests.services.kafka_listeners import PLAINTEXT

deadline = time.monotonic() + 60

@pytest.mark.parametrize("number", [1, 2])
def test_two_workers_wait_for_each_other(kafka, number):
    here = Path(__file__).parent
    told = here / f"told-{os.getpid()}"
    told.write_text(kafka.bootstrap(PLAINTEXT))
    while len([*here.glob("told-*")]) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    while (here / "wait").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
"""


class Session:
    """A run of pytest with two workers that ask for the session's broker."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "test_session.py").write_text(SESSION)
        (folder / "pytest.ini").write_text(
            "[pytest]\nasyncio_default_fixture_loop_scope = function\n"
        )
        options = ["-n", "2", "-q", "-p", "no:cacheprovider", "--basetemp", str(folder / "temp")]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pytest", *options, "test_session.py"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTEST_ADDOPTS": ""},
            stdout=subprocess.PIPE,
            text=True,
        )

    def ports(self) -> set[int]:
        """Wait until both workers have their broker."""
        deadline = time.monotonic() + START_S
        told: list[str] = []
        while len(told) < 2 or "" in told:
            assert time.monotonic() < deadline
            told = [path.read_text() for path in self.folder.glob("told-*")]
            time.sleep(0.01)
        return {int(address.rpartition(":")[2]) for address in told}


def closes_soon(port: int, within_s: float = GONE_S) -> bool:
    deadline = time.monotonic() + within_s
    while answers(port) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not answers(port)


def test_the_last_process_of_a_session_ends_the_broker(tmp_path: Path) -> None:
    """Two start at once; the one that started it is the first to go, killed or not."""
    holders = [Holder(tmp_path), Holder(tmp_path)]
    port, same = (holder.port() for holder in holders)
    assert port == same
    assert len([*tmp_path.glob("run-*")]) == 1
    holders[0].end(killed=True)
    third = Holder(tmp_path)
    assert third.port() == port
    holders[1].end()
    assert answers(port)
    third.end()
    assert closes_soon(port)


def test_a_killed_session_leaves_no_broker_behind(tmp_path: Path) -> None:
    session = Holder(tmp_path)
    port = session.port()
    session.end(killed=True)
    assert closes_soon(port)
    after = Holder(tmp_path)
    assert answers(after.port())
    after.end()
    assert len([*tmp_path.glob("run-*")]) == 2


@pytest.mark.parametrize("killed", [False, True])
def test_the_workers_of_a_run_share_a_broker_that_ends_with_them(
    tmp_path: Path, killed: bool
) -> None:
    wait = tmp_path / "wait"
    wait.touch()
    session = Session(tmp_path)
    (port,) = session.ports()
    if killed:
        session.process.kill()
    else:
        wait.unlink()
    said, _ = session.process.communicate()
    assert closes_soon(port, ORPHANS_GONE_S)
    assert killed or "2 passed" in said
