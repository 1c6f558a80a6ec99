"""The demo around the job in ``flights_kafka.py``: a broker, the flights, kills, and a count.

    python -m examples.flights_kafka_demo [--rows N] [--seed S] [--work FOLDER]

The broker is a real one, on loopback, and lives as long as the demo. The job runs through the
command line as any other would. It is killed with SIGKILL on the way and started again, and stopped
with SIGTERM when its checkpoints say that all is done. What came out is counted by
``flights_kafka_checker.py``, a process of its own that shares no code with the job.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import msgspec

from examples.flights_checker import OUTPUTS, flights_in
from examples.flights_demo import HERE, ROOT, alone_in, prepare, say, shortened, shown
from examples.flights_enriching import WORK, data_folder
from tests.services.failing import ServiceError
from tests.services.kafka import Cluster
from tests.services.kafka_installation import installed
from tests.services.kafka_listeners import PLAINTEXT

AIOKAFKA: Any = import_module("aiokafka")
ADMIN: Any = import_module("aiokafka.admin")

JOB = HERE / "flights_kafka.py"
KAFKA_WORK = WORK.with_name(f"{WORK.name}-kafka")
ADDRESS_KEY = "SAMZA_SYSTEMS__KAFKA__BOOTSTRAP_SERVERS"

TEXTS = frozenset({"carrier", "tailnum", "origin", "dest", "time_hour"})
"""The columns of a flight that are no numbers."""

FLIGHTS = "flights"
PARTITIONS = {"flights": 4, "delays": 4, "cancelled": 4, "incomplete": 1}
"""As `flights_kafka.py` declares them."""
BATCH_BYTES = 1 << 18
TELL_EVERY = 50_000
"""Flights between two lines of progress of the loading."""

ROWS, YEAR = 150_000, 336_776
KILLS = 2
LOOK_EVERY_S = 0.05
LONGEST_S = 300
"""From the first flight that is loaded to the end of the job."""
STOP_S = 20.0


class DemoError(Exception):
    """The demo cannot go on; says why."""


# Loading ----------------------------------------------------------------------------------------


class Loader:
    """Writes flights to their topic, in batches of each partition.

    Args:
        producer: of aiokafka, started.
    """

    def __init__(self, producer: Any) -> None:
        self._producer = producer
        self._partitioner = import_module("aiokafka.partitioner").DefaultPartitioner()
        self._partition_of: dict[bytes | None, int] = {}
        self._builders = [producer.create_batch() for _ in range(PARTITIONS[FLIGHTS])]
        self._sent: list[Any] = []

    async def add(self, key: bytes | None, value: bytes) -> None:
        """Write one, by the partitioner that all of Kafka's clients have."""
        if key not in self._partition_of:
            every = list(range(PARTITIONS[FLIGHTS]))
            self._partition_of[key] = self._partitioner(key, every, every)
        at = self._partition_of[key]
        if self._builders[at].append(key=key, value=value, timestamp=None) is None:
            await self._send(at)
            self._builders[at].append(key=key, value=value, timestamp=None)

    async def finish(self) -> None:
        """Send what is left, and wait until the broker has all."""
        for at in range(PARTITIONS[FLIGHTS]):
            await self._send(at)
        await asyncio.gather(*self._sent)

    async def _send(self, at: int) -> None:
        full, self._builders[at] = self._builders[at], self._producer.create_batch()
        if full.record_count():
            self._sent.append(await self._producer.send_batch(full, FLIGHTS, partition=at))


async def load(address: str, data: Path) -> int:
    """Write all flights to the topic ``flights``, as JSON; how many there are."""
    began, rows = time.monotonic(), 0
    await make_topic(address)
    producer = AIOKAFKA.AIOKafkaProducer(
        bootstrap_servers=address, enable_idempotence=True, max_batch_size=BATCH_BYTES
    )
    await producer.start()
    try:
        loader = Loader(producer)
        for rows, row in enumerate(flights_in(data), start=1):
            flight = {name: plain(name, cell) for name, cell in row.items()}
            key = None if flight["tailnum"] is None else row["tailnum"].encode()
            await loader.add(key, msgspec.json.encode(flight))
            if rows % TELL_EVERY == 0:
                say(f"  {rows:,} flights are on their way to the topic")
        await loader.finish()
    finally:
        await producer.stop()
    say(f"loaded {rows:,} flights into the topic flights in {time.monotonic() - began:.1f} s")
    return rows


async def make_topic(address: str) -> None:
    """Make the topic of the flights; the job makes its own when it starts."""
    admin = ADMIN.AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        await admin.create_topics([ADMIN.NewTopic(FLIGHTS, PARTITIONS[FLIGHTS], 1)])
    finally:
        await admin.close()


def plain(name: str, cell: str) -> str | int | None:
    """A cell as JSON has it: NA as null, numbers as such."""
    if cell == "NA":
        return None
    return cell if name in TEXTS else int(cell)


# Watching ---------------------------------------------------------------------------------------


class Topics:
    """How much there is in the topics, asked of the broker.

    Args:
        consumer: of aiokafka, started.
    """

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer

    async def ends(self, *names: str) -> Mapping[Any, int]:
        """Where each partition ends, of those topics that are there."""
        there = await self._consumer.topics()
        partitions = [
            AIOKAFKA.TopicPartition(name, number)
            for name in names
            if name in there
            for number in range(PARTITIONS[name])
        ]
        ends: Mapping[Any, int] = await self._consumer.end_offsets(partitions)
        return ends

    async def results(self) -> int:
        """How many records the outputs have, with those that are doubled."""
        return sum((await self.ends(*OUTPUTS)).values())


@asynccontextmanager
async def topics_at(address: str) -> AsyncGenerator[Topics]:
    """The topics of a broker."""
    consumer = AIOKAFKA.AIOKafkaConsumer(bootstrap_servers=address)
    await consumer.start()
    try:
        yield Topics(consumer)
    finally:
        await consumer.stop()


# Running ----------------------------------------------------------------------------------------


class JobRunner:
    """Starts the job as a user does, and knows how far it is.

    Args:
        environment: of its processes.
        topics: that it reads and writes.
    """

    def __init__(self, environment: Mapping[str, str], topics: Topics) -> None:
        self._environment = environment
        self._topics = topics

    @asynccontextmanager
    async def started(self) -> AsyncGenerator[asyncio.subprocess.Process]:
        """The job as a process, which is ended with the block."""
        process = await asyncio.create_subprocess_exec(*self._command("run"), env=self._environment)
        try:
            yield process
        finally:
            await end(process)

    async def until(
        self, enough: Callable[[], Awaitable[bool]], process: asyncio.subprocess.Process
    ) -> None:
        """Wait for something of the running job.

        Raises:
            DemoError: the job has ended before.
        """
        while not await enough():
            if process.returncode is not None:
                raise DemoError(f"the job ended with exit code {process.returncode}")
            await asyncio.sleep(LOOK_EVERY_S)

    async def has_results(self, count: int) -> bool:
        """Whether so much has come out."""
        return await self._topics.results() >= count

    async def has_finished(self) -> bool:
        """Whether the checkpoints, as the command prints them, cover every flight."""
        asking = await asyncio.create_subprocess_exec(
            *self._command("checkpoint"), env=self._environment, stdout=subprocess.PIPE
        )
        try:
            said, _ = await asking.communicate()
        finally:
            await end(asking)
        lines = re.findall(r"flights\[(\d+)\]: finished up to (\d+)$", said.decode(), re.M)
        finished = {int(number): int(offset) for number, offset in lines}
        ends = await self._topics.ends(FLIGHTS)
        return all(finished.get(one.partition, -1) >= end - 1 for one, end in ends.items())

    def _command(self, what: str) -> list[str]:
        return [sys.executable, "-m", "samza_py", what, str(JOB)]


async def end(process: asyncio.subprocess.Process) -> None:
    """End a process that may have ended: by SIGTERM, by SIGKILL where that does not help."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def run_with_kills(job: JobRunner, rows: int, seed: int) -> None:
    """Run the job, killed at random moments and started again, until all flights are done."""
    chance = random.Random(seed)
    for kill in range(KILLS):
        enough = int(rows * (kill + chance.uniform(0.2, 0.9)) / (KILLS + 1))
        async with job.started() as process:
            await job.until(partial(job.has_results, enough), process)
            process.kill()
            if await process.wait() != -signal.SIGKILL:
                raise DemoError("the job had ended before it could be killed")
        say(f"\nkill -9 after {enough:,} results ({kill + 1} of {KILLS}); starting it again")
    async with job.started() as process:
        await job.until(partial(job.has_results, rows), process)
        await job.until(job.has_finished, process)
        say("\nthe checkpoints cover every flight: SIGTERM")
        process.terminate()
        async with asyncio.timeout(STOP_S):
            if code := await process.wait():
                raise DemoError(f"the job was stopped, and ended with exit code {code}")


# The demo ---------------------------------------------------------------------------------------


async def stream(address: str, data: Path, work: Path, seed: int) -> float:
    """Load the flights and run the job to their end; the seconds that it took."""
    environment = {
        **os.environ,
        ADDRESS_KEY: address,
        "FLIGHTS_DATA": str(data),
        "FLIGHTS_WORK": str(work),
    }
    async with asyncio.timeout(LONGEST_S), topics_at(address) as topics:
        rows = await load(address, data)
        say(f"running: {ADDRESS_KEY}={address} samza-py run {shown(JOB)}\n")
        began = time.monotonic()
        await run_with_kills(JobRunner(environment, topics), rows, seed)
        return time.monotonic() - began


def run_demo(asked: argparse.Namespace, data: Path, work: Path) -> int:
    """Prepare, load, run, count, in a folder that is this demo's alone; as ``main``."""
    kafka = installed()
    prepare(data, work)
    data = shortened(data, asked.rows, work)
    say(f"took the first {asked.rows:,} flights; --rows {YEAR} takes the whole year")
    folder = work / "broker"
    shutil.rmtree(folder, ignore_errors=True)
    began = time.monotonic()
    with Cluster(folder, installation=kafka) as cluster:
        address = cluster.address.bootstrap(PLAINTEXT)
        say(f"started a Kafka broker at {address} in {time.monotonic() - began:.1f} s")
        took = asyncio.run(stream(address, data, work, asked.seed))
        say("counting: examples/flights_kafka_checker.py, which shares no code with samza-py")
        checker = [sys.executable, "-m", "examples.flights_kafka_checker", address, str(data)]
        return subprocess.run(
            [*checker, "--seconds", f"{took:.2f}"], cwd=ROOT, check=False, timeout=LONGEST_S
        ).returncode


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="python -m examples.flights_kafka_demo")
    parser.add_argument("--rows", type=int, default=ROWS, help=f"how many flights; {YEAR} are all")
    parser.add_argument("--seed", type=int, default=1, help="what the moments are drawn from")
    parser.add_argument("--work", type=Path, default=KAFKA_WORK, help="the folder to work in")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prepare, load, run, count.

    Returns:
        0 where no flight was lost, and none came out wrong.
    """
    asked = parsed(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that nothing is left behind
    try:
        with alone_in(asked.work.absolute()) as work:
            return run_demo(asked, data_folder(), work)
    except (DemoError, ServiceError) as error:
        sys.exit(str(error))
    except (TimeoutError, subprocess.TimeoutExpired):
        sys.exit(f"the demo was not through after {LONGEST_S} s")
    except KeyboardInterrupt:
        say("\nstopped; the job and the broker are ended")
        return 130


if __name__ == "__main__":
    sys.exit(main())
