"""compose.yaml as the tests use it: what it says, a broker with its settings, an order for its job.

No Docker engine is needed: the broker is one of the tests, told what the file tells its image, and
the job is started by whoever asks.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.services.kafka_clients import CLIENTS, client_settings, producer, started
from tests.services.kafka_installation import installed, new_identity
from tests.services.kafka_listeners import Kafka, Listener
from tests.services.kafka_settings import ClusterPlan, NodePlan
from tests.services.ports import LOOPBACK, Ports, answers
from tests.services.server import Server

ROOT = Path(__file__).parents[2]
COMPOSE: Any = yaml.safe_load((ROOT / "compose.yaml").read_text())
BROKER: Any = COMPOSE["services"]["kafka"]
JOB: Any = COMPOSE["services"]["pricing"]

INSIDE = Listener("INSIDE")
OUTSIDE = Listener("OUTSIDE")
PORTS = {INSIDE: "19092", OUTSIDE: "9092"}
CONTROLLER = "9093"
ADDRESS = "SAMZA_SYSTEMS__KAFKA__BOOTSTRAP_SERVERS"
LISTEN = "SAMZA_MONITORING__LISTEN"
HEALTHCHECK = ROOT / "deploy" / "healthcheck.py"


def broker_settings() -> dict[str, str]:
    """The broker's settings, as the entry point of its image makes them of the environment."""
    return {
        name.removeprefix("KAFKA_").lower().replace("_", "."): str(value)
        for name, value in BROKER["environment"].items()
    }


@contextmanager
def broker(folder: Path) -> Generator[Kafka]:
    """A broker with the settings of the file, but for the ports and the folder."""
    ports = Ports()
    reserved = {listener: ports.reserve() for listener in PORTS}
    node = NodePlan(1, folder, ports.reserve(), reserved)
    settings = broker_settings()
    del settings["log.dirs"]
    for key in ("listeners", "advertised.listeners", "controller.quorum.voters"):
        text = settings[key].replace("://:", f"://{LOOPBACK}:").replace("kafka:", f"{LOOPBACK}:")
        for listener, port in PORTS.items():
            text = text.replace(f":{port}", f":{reserved[listener]}")
        settings[key] = text.replace(f":{CONTROLLER}", f":{node.controller}")
    plan = ClusterPlan(new_identity(), [node], more=settings)
    kafka = installed()
    kafka.format(plan, node)
    server = Server("the broker of compose.yaml", folder, kafka.command(plan, node))
    try:
        server.start()
        server.wait_until(lambda: all(answers(port) for port in reserved.values()), "ready")
        yield Kafka({way.name: f"{LOOPBACK}:{port}" for way, port in reserved.items()})
    finally:
        server.kill()
        ports.close()


@contextmanager
def environment(kafka: Kafka) -> Generator[dict[str, str]]:
    """What the file tells the job, but for the ports."""
    with closing(Ports()) as ports:
        listen = f"{LOOPBACK}:{ports.reserve()}"
        yield {**JOB["environment"], ADDRESS: kafka.bootstrap(INSIDE), LISTEN: listen}


async def price_an_order(
    kafka: Kafka,
    command: Sequence[str | Path],
    listen: str,
    more: Mapping[str, str] | None = None,
) -> tuple[int | None, bytes, str]:
    """Start the job, send it an order from outside, and stop it when the price is there.

    Args:
        kafka: the broker.
        command: what starts the job.
        listen: where the job answers the image's health check, which is asked when it has worked.
        more: the job's environment.

    Returns:
        Its exit code, the price, and what it logged.
    """
    process = await asyncio.create_subprocess_exec(
        *command, env=more, cwd=ROOT, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(40):
            await send(kafka, process)
            price = await receive(kafka)
        check = await asyncio.create_subprocess_exec(
            sys.executable, "-I", HEALTHCHECK, env={LISTEN: listen}
        )
        assert await check.wait() == 0
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        _, said = await process.communicate()
    return process.returncode, price, said.decode()


async def send(kafka: Kafka, job: Process) -> None:
    """Send an order, once the job has made the topic."""
    settings = {**client_settings(kafka, OUTSIDE), "metadata_max_age_ms": 200}
    async with started(CLIENTS.AIOKafkaConsumer(**settings)) as consumer:
        while "failed" not in await consumer.topics():
            assert job.returncode is None, "the job has ended"
            await asyncio.sleep(0.1)
    order = json.dumps({"sku": "apple", "count": 3}).encode()
    async with started(producer(kafka, OUTSIDE)) as writer:
        await writer.send_and_wait("orders", order, key=b"k")


async def receive(kafka: Kafka) -> bytes:
    """The first price."""
    settings = {**client_settings(kafka, OUTSIDE), "auto_offset_reset": "earliest"}
    async with started(CLIENTS.AIOKafkaConsumer("priced", **settings)) as consumer:
        record = await consumer.getone()
        price: bytes = record.value
        return price
