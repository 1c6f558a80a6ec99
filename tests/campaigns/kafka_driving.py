"""Starts the Kafka campaign's job as a user would, ends it in all ways, and has it checked."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from samza_py.connectors.kafka import Kafka
from tests.campaigns.kafka_following import Following
from tests.campaigns.kafka_load import PARTITIONS, write
from tests.campaigns.launching import HERE, KILLED, Starts, environment
from tests.services.kafka_clients import ADMIN, CLIENTS, client_settings, started
from tests.services.kafka_listeners import PLAINTEXT
from tests.services.kafka_listeners import Kafka as Brokers

DEADLINE_S = 90.0
CHECKED_PER_S = 10_000
"""How many records the checker reads in a second, on a machine with other work."""


@dataclass
class Mapping(Starts):
    """One run of a job from topic to topic over all its deaths.

    Attributes:
        brokers: the cluster as the tests reach it.
        through: what the job is told to connect to, where it is not that.
        replicas: of its topics.
        min_in_sync: how many of them have to have a record before it counts as written.
        lanes: of the source's partitions, each in its order.
        allowed: how many records may be there twice: finished, and in no checkpoint, at a death.
        written: how many records the source has.
    """

    brokers: Brokers
    through: str = ""
    replicas: int = 1
    min_in_sync: int = 0
    lanes: int = 1
    allowed: int = 0
    written: int = 0
    job: str = field(default="mapping.py", kw_only=True)
    topic: str = field(default_factory=lambda: f"records-{uuid.uuid4().hex[:12]}")

    def __post_init__(self) -> None:
        self.outcome = Following(self.brokers, [f"{self.topic}.mapped", f"{self.topic}.dead"])

    @property
    def address(self) -> str:
        """The brokers as the tests reach them."""
        return self.brokers.bootstrap(PLAINTEXT)

    @property
    def _settings(self) -> dict[str, Any]:
        return client_settings(self.brokers)

    async def make_topics(self) -> None:
        """Make the topics of the job, but for those that it makes itself."""
        names = [self.topic, f"{self.topic}.mapped", f"{self.topic}.dead"]
        config = {"min.insync.replicas": str(self.min_in_sync or (self.replicas + 1) // 2)}
        topics = [
            ADMIN.NewTopic(name, PARTITIONS, self.replicas, topic_configs=config) for name in names
        ]
        async with started(ADMIN.AIOKafkaAdminClient(**self._settings)) as admin:
            answer = await admin.create_topics(topics)
        assert not any(error[1] for error in answer.topic_errors), answer

    async def write(self, count: int, *, per_s: float = 0) -> None:
        """Write numbered records, spread over the partitions, as quickly as it goes or slower."""
        numbers = range(self.written, self.written + count)
        await write(self.brokers, self.topic, numbers, per_s=per_s, lanes=self.lanes)
        self.written += count

    @asynccontextmanager
    async def loaded(self, per_s: float) -> AsyncGenerator[None]:
        """Write at a rate, from a process of its own, until the block ends."""
        log = self.folder / "load.txt"
        process = self._load(per_s, log)
        try:
            yield
            process.send_signal(signal.SIGTERM)
            code = await asyncio.to_thread(process.wait, DEADLINE_S)
            assert code == 0, f"the load failed: {log.read_text()[-4000:]}"
        finally:
            process.kill()
            process.wait()
        async with started(CLIENTS.AIOKafkaConsumer(self.topic, **self._settings)) as consumer:
            ends = await consumer.end_offsets(list(consumer.assignment()))
        self.written = sum(ends.values())

    def _load(self, per_s: float, log: Path) -> subprocess.Popen[bytes]:
        """Start what writes; it goes on behind what is written already."""
        command = [sys.executable, "-m", "tests.campaigns.kafka_load", self.address, self.topic]
        numbers = [str(self.written), str(per_s), str(self.lanes)]
        with log.open("wb") as file:
            return subprocess.Popen(
                [*command, *numbers],
                env=environment({}),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )

    # The job -------------------------------------------------------------------------------

    def start(
        self, kill: str = "", arguments: tuple[str, ...] = (), **own: str
    ) -> subprocess.Popen[bytes]:
        """Start it; its log goes to a file of this start.

        Args:
            kill: where it is to kill itself: `POINT:HIT`.
            arguments: for `samza-py run`.
            own: settings for this start, as environment.
        """
        settings = {
            "CAMPAIGN_BROKERS": self.through or self.address,
            "CAMPAIGN_TOPIC": self.topic,
            "CAMPAIGN_KILL": kill,
            "CAMPAIGN_HITS": str(self.folder / "hits.json"),
        }
        return self.launch({**settings, **own}, arguments)

    async def ended(
        self,
        process: subprocess.Popen[bytes],
        what: str,
        partitions: Collection[int] = range(PARTITIONS),
    ) -> int:
        """Wait for its end; its exit code. What a death may repeat is counted.

        Args:
            process: a start of it.
            what: was done to it, for the story.
            partitions: those that it had.
        """
        code = await self._waited(process)
        if code == KILLED:
            self.allowed += await self.uncommitted(partitions)
        self.history.append(f"{what} -> {code}")
        return code

    async def _waited(self, process: subprocess.Popen[bytes]) -> int:
        until = time.monotonic() + DEADLINE_S
        while process.poll() is None:
            if time.monotonic() > until:
                raise AssertionError(f"it did not end: {self.story()}")
            await asyncio.sleep(0.02)
        return process.returncode

    async def kill(
        self, process: subprocess.Popen[bytes], partitions: Collection[int] = range(PARTITIONS)
    ) -> None:
        """Kill it now; `partitions` are those that it had."""
        if process.poll() is None:
            process.kill()
        code = await self.ended(process, "killed", partitions)
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
        while not enough(await self.outcome.look()):
            assert process.poll() is None, f"it ended by itself: {self.story()}"
            if time.monotonic() > until:
                raise AssertionError(f"too little came out: {self.story()}")
            await asyncio.sleep(0.1)

    # What it has done ------------------------------------------------------------------------

    async def uncommitted(self, partitions: Collection[int] = range(PARTITIONS)) -> int:
        """How many records of some partitions are written, finished, and in no checkpoint."""
        store = Kafka(self.address).checkpoints().store(f"job-{self.topic}")
        async with store:
            kept = await store.read()
        await self.outcome.look()
        return self.outcome.beyond(kept.values(), partitions)

    async def check(self, *flags: str) -> dict[str, int]:
        """Have the checker compare the topics; fails the test where anything is wrong.

        Args:
            flags: for the checker, beside those of what is doubled, and of its lanes.
        """
        flags = (f"--repeats={self.allowed}", f"--lanes={self.lanes}", *flags)
        topics = [self.topic, f"{self.topic}.mapped"]
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-I", str(HERE / "kafka_checker.py"), self.address, *topics, *flags],
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE_S + self.written / CHECKED_PER_S,
        )
        assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{flags}\n{self.story()}"
        report: dict[str, int] = json.loads(done.stdout)
        return report

    def story(self) -> str:
        """What was done to it, and what the last start said, for a failure."""
        return f"{self.topic}, {super().story()}"
