"""Starts the Kafka campaign's job as a user would, ends it in all ways, and has it checked."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from samza_py.checkpoint import Checkpoint
from samza_py.connectors.kafka import Kafka
from tests.campaigns.driving import HERE, KILLED, environment
from tests.services.kafka_clients import (
    ADMIN,
    CLIENTS,
    client_settings,
    producer,
    started,
)
from tests.services.kafka_listeners import PLAINTEXT
from tests.services.kafka_listeners import Kafka as Brokers

PARTITIONS = 4
DEADLINE_S = 90.0


@dataclass
class Mapping:
    """One run of the mapping job over all its deaths.

    Attributes:
        folder: of its logs.
        brokers: the cluster as the tests reach it.
        through: what the job is told to connect to, where it is not that.
        settings: for the job, as environment.
        replicas: of its topics.
        allowed: how many records may be there twice: finished, and in no checkpoint, at a death.
    """

    folder: Path
    brokers: Brokers
    through: str = ""
    settings: dict[str, str] = field(default_factory=dict[str, str])
    replicas: int = 1
    allowed: int = 0
    starts: int = 0
    written: int = 0
    history: list[str] = field(default_factory=list[str])
    topic: str = field(default_factory=lambda: f"records-{uuid.uuid4().hex[:12]}")
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list[Any])

    @property
    def address(self) -> str:
        """The brokers as the tests reach them."""
        return self.brokers.bootstrap(PLAINTEXT)

    async def make_topics(self) -> None:
        """Make the topics of the job, but for those that it makes itself."""
        names = [self.topic, f"{self.topic}.mapped", f"{self.topic}.dead"]
        config = {"min.insync.replicas": "2"} if self.replicas > 2 else {}
        topics = [
            ADMIN.NewTopic(name, PARTITIONS, self.replicas, topic_configs=config) for name in names
        ]
        async with started(ADMIN.AIOKafkaAdminClient(**client_settings(self.brokers))) as admin:
            answer = await admin.create_topics(topics)
        assert not any(error[1] for error in answer.topic_errors), answer

    async def write(self, count: int, *, per_s: float = 0) -> None:
        """Write numbered records, spread over the partitions, as quickly as it goes or slower."""
        async with started(producer(self.brokers, enable_idempotence=True)) as writer:
            sent: list[Any] = []
            for number in range(self.written, self.written + count):
                partition, place = number % PARTITIONS, number // PARTITIONS
                value = json.dumps({"partition": partition, "number": place}).encode()
                key = b"%d" % partition
                sent.append(await writer.send(self.topic, value, key=key, partition=partition))
                if per_s and number % 20 == 0:
                    await asyncio.sleep(20 / per_s)
            await asyncio.gather(*sent)
        self.written += count

    # The job -------------------------------------------------------------------------------

    def start(self, kill: str = "") -> subprocess.Popen[bytes]:
        """Start it; its log goes to a file of this start."""
        self.starts += 1
        settings = {
            "CAMPAIGN_BROKERS": self.through or self.address,
            "CAMPAIGN_TOPIC": self.topic,
            "CAMPAIGN_KILL": kill,
            "CAMPAIGN_HITS": str(self.folder / "hits.json"),
            **self.settings,
        }
        command = [sys.executable, str(HERE / "failpoint.py"), "run", "--progress", "none"]
        with self.log_file(self.starts).open("wb") as log:
            process = subprocess.Popen(
                [*command, str(HERE / "jobs" / "mapping.py")],
                env=environment(settings),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.processes.append(process)
        return process

    def end(self) -> None:
        """Kill what a failed test has left running."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()

    async def ended(self, process: subprocess.Popen[bytes], what: str) -> int:
        """Wait for its end; its exit code. What a death may repeat is counted."""
        code = await self._waited(process)
        if code == KILLED:
            self.allowed += await self.uncommitted()
        self.history.append(f"{what} -> {code}")
        return code

    async def _waited(self, process: subprocess.Popen[bytes]) -> int:
        until = time.monotonic() + DEADLINE_S
        while process.poll() is None:
            if time.monotonic() > until:
                raise AssertionError(f"it did not end: {self.story()}")
            await asyncio.sleep(0.02)
        return process.returncode

    async def kill(self, process: subprocess.Popen[bytes]) -> None:
        """Kill it now."""
        if process.poll() is None:
            process.kill()
        code = await self.ended(process, "killed")
        assert code == KILLED, self.story()

    async def stop(self, process: subprocess.Popen[bytes]) -> None:
        """Stop it as a supervisor does, not before it has come to hear of signals."""
        async with asyncio.timeout(DEADLINE_S):
            while not self.log():  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        code = await self.ended(process, "SIGTERM")
        assert code == 0, self.story()

    async def finish(self) -> None:
        """Start it, wait until all is there, and stop it."""
        process = self.start()
        await self.until(lambda done: done >= self.written, process)
        async with asyncio.timeout(DEADLINE_S):
            while await self.uncommitted():  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        await self.stop(process)

    async def until(self, enough: Callable[[int], bool], process: subprocess.Popen[bytes]) -> None:
        """Wait until enough of the records are in the target, counted once each."""
        until = time.monotonic() + DEADLINE_S
        while not enough(len(await self.finished())):
            assert process.poll() is None, f"it ended by itself: {self.story()}"
            if time.monotonic() > until:
                raise AssertionError(f"too little came out: {self.story()}")
            await asyncio.sleep(0.1)

    # What it has done ------------------------------------------------------------------------

    async def finished(self) -> set[tuple[int, int]]:
        """The records that are in the target."""
        return {place for place, _ in await self._target()}

    async def _target(self) -> list[tuple[tuple[int, int], int]]:
        topic = f"{self.topic}.mapped"
        settings = {**client_settings(self.brokers), "auto_offset_reset": "earliest"}
        found: list[tuple[tuple[int, int], int]] = []
        async with started(CLIENTS.AIOKafkaConsumer(topic, **settings)) as consumer:
            ends = await consumer.end_offsets(list(consumer.assignment()))
            while any([await consumer.position(one) < end for one, end in ends.items()]):
                for records in (await consumer.getmany(timeout_ms=100)).values():
                    for record in records:
                        value = json.loads(record.value)
                        found.append(((value["partition"], value["number"]), record.offset))
        return found

    async def uncommitted(self) -> int:
        """How many records are in the target, or were written to it, that no checkpoint has."""
        store = Kafka(self.address).checkpoints().store(f"job-{self.topic}")
        async with store:
            kept = await store.read()
        done = [_finished_by(one) for one in kept.values()]
        return sum(not any(finished(place) for finished in done) for place in await self.finished())

    async def check(self, *, any_order: bool = False) -> dict[str, int]:
        """Have the checker compare the topics; fails the test where anything is wrong."""
        flags = [f"--repeats={self.allowed}", *(["--any-order"] if any_order else [])]
        topics = [self.topic, f"{self.topic}.mapped"]
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-I", str(HERE / "kafka_checker.py"), self.address, *topics, *flags],
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE_S,
        )
        assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{flags}\n{self.story()}"
        report: dict[str, int] = json.loads(done.stdout)
        return report

    def log_file(self, start: int) -> Path:
        """Where a start's log is."""
        return self.folder / f"log-{start:03d}.txt"

    def log(self) -> str:
        """What the last start said."""
        return self.log_file(self.starts).read_text(errors="replace")

    def story(self) -> str:
        """What was done to it, for a failure."""
        return f"{self.topic}: {'; '.join(self.history)}\n{self.log()[-6000:]}"


def _finished_by(checkpoint: Checkpoint) -> Callable[[tuple[int, int]], bool]:
    """Whether a checkpoint says that a record is finished; a record's offset is its number."""
    spans: dict[int, list[tuple[int, int]]] = {}
    for partition, progress in checkpoint.inputs.items():
        runs = [(0, int(str(progress.after)))]
        runs += [(int(run.first), int(run.last)) for run in progress.done]
        spans[int(partition.id)] = runs

    def finished(place: tuple[int, int]) -> bool:
        return any(first <= place[1] <= last for first, last in spans.get(place[0], []))

    return finished
