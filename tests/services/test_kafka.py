"""Real brokers: shared by a session, or a test's own, which it kills and starts again."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.services.failing import ServiceError
from tests.services.kafka import Cluster
from tests.services.kafka_clients import leader_of, new_topic, read, write
from tests.services.kafka_listeners import Kafka
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

@pytest.mark.parametrize("number", [1, 2])
def test_two_workers_wait_for_each_other(kafka, number):
    here = Path(__file__).parent
    told = here / f"told-{os.getpid()}"
    told.write_text(kafka.bootstrap(PLAINTEXT))
    while len([*here.glob("told-*")]) < 2:
        time.sleep(0.01)
    while (here / "wait").exists():
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


@pytest.mark.parametrize("part", [1, 2])
async def test_what_is_written_is_read(kafka: Kafka, part: int) -> None:
    topic = await new_topic(kafka)
    values = [b"%d of %d" % (number, part) for number in range(100)]
    await write(kafka, topic, values)
    assert await read(kafka, topic, 100) == values


async def test_a_killed_broker_comes_back_on_its_port_with_its_data(own_kafka: Cluster) -> None:
    kafka = own_kafka.address
    topic = await new_topic(kafka)
    await write(kafka, topic, [b"before"])
    node = own_kafka.node(1)
    for end in (node.kill, node.stop):
        await asyncio.to_thread(end)
        assert not node.running
        await asyncio.to_thread(node.restart)
    await write(kafka, topic, [b"after"])
    assert own_kafka.address == kafka
    assert await read(kafka, topic, 2) == [b"before", b"after"]


async def test_the_leader_of_three_is_killed_and_comes_back(three_brokers: Cluster) -> None:
    kafka = three_brokers.address
    topic = await new_topic(kafka, replicas=3, config={"min.insync.replicas": "2"})
    await write(kafka, topic, [b"1"])
    first = await leader_of(kafka, topic)
    await asyncio.to_thread(three_brokers.node(first).kill)
    await write(kafka, topic, [b"2"])
    assert await leader_of(kafka, topic) != first
    await asyncio.to_thread(three_brokers.node(first).restart)
    await write(kafka, topic, [b"3"])
    assert await read(kafka, topic, 3) == [b"1", b"2", b"3"]


def test_a_broker_that_does_not_start_shows_the_end_of_its_log(tmp_path: Path) -> None:
    with (
        pytest.raises(ServiceError, match=r"Kafka node 1 ended before ready; (.|\n)*num\.io\.thr"),
        Cluster(tmp_path, settings={"num.io.threads": "0"}),
    ):
        pass


def test_a_broker_that_starts_too_slowly_is_an_error(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    try:
        node = cluster.node(1)
        node.start()
        with pytest.raises(ServiceError, match=r"Kafka node 1: not ready in 0 s; the end of "):
            node.wait_ready(0)
    finally:
        cluster.close()


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
