"""Checkpoints in a topic of a real broker, as the conformance suite wants to have them."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Collection
from importlib import import_module
from typing import Any

from samza_py.checkpoint import Checkpoints, CheckpointStore
from samza_py.connectors.kafka.brokers import Brokers
from samza_py.connectors.kafka.checkpoints import KafkaCheckpoints, KafkaCheckpointStore
from samza_py.connectors.kafka.system import Kafka
from samza_py.errors import UnavailableError
from samza_py.testing import Capability, CheckpointsHarness
from tests.services.kafka_clients import ADMIN, client_settings, producer, started
from tests.services.kafka_listeners import PLAINTEXT
from tests.services.kafka_listeners import Kafka as Address

_PRODUCE: Any = import_module("aiokafka.protocol.produce")


class LosingBrokers(Brokers):
    """Loses the answer to the next append, which is on its way when that is noticed."""

    def __init__(self, kafka: Kafka, lost: asyncio.Event) -> None:
        super().__init__(kafka.cluster)
        self._lost = lost
        self._late: list[asyncio.Future[Any]] = []

    async def ask(self, request: Any, node: int | None = None) -> Any:
        if not (self._lost.is_set() and isinstance(request, _PRODUCE.ProduceRequest)):
            return await super().ask(request, node)
        self._lost.clear()
        self._late.append(asyncio.ensure_future(super().ask(request, node)))
        await asyncio.sleep(0)
        raise UnavailableError("the harness lost the answer")

    async def stop(self) -> None:
        await asyncio.gather(*self._late, return_exceptions=True)
        await super().stop()


class LosingCheckpoints(KafkaCheckpoints):
    """Those of a topic, by brokers whose answers can be lost."""

    def __init__(self, kafka: Kafka, topic: str) -> None:
        super().__init__(kafka, topic)
        self.lost = asyncio.Event()

    def store(self, job: str) -> CheckpointStore:
        brokers = LosingBrokers(self.kafka, self.lost)
        return KafkaCheckpointStore(brokers, self.topic_of(job), job, self.replicas)


class KafkaCheckpointsHarness(CheckpointsHarness):
    """A topic of its own on a broker.

    Args:
        address: of the broker; left out where only the capabilities are read.
    """

    capabilities: Collection[Capability] = (
        Capability.REOPENS,
        Capability.FENCES,
        Capability.CHANGELOG,
        Capability.DAMAGE,
        Capability.LOSES_ANSWERS,
    )
    quiet_s = 0.3

    def __init__(self, address: Address | None = None) -> None:
        self._address = address
        bootstrap = address.bootstrap(PLAINTEXT) if address else "127.0.0.1:1"
        self._topic = f"checkpoints-{uuid.uuid4().hex}"
        kafka = Kafka(bootstrap, request_timeout="10s")
        self._checkpoints = LosingCheckpoints(kafka, self._topic)

    @property
    def checkpoints(self) -> Checkpoints:
        return self._checkpoints

    async def aclose(self) -> None:
        async with started(ADMIN.AIOKafkaAdminClient(**client_settings(self.address))) as client:
            await client.delete_topics([self._topic])

    @property
    def address(self) -> Address:
        assert self._address is not None
        return self._address

    async def lose_answer(self) -> None:
        self._checkpoints.lost.set()

    async def damage(self, job: str) -> None:
        """The task's newest checkpoint is spoilt, under a term as high as can be."""
        async with started(producer(self.address)) as client:
            for partition in range(1, 8):
                key = b"commit/999999/1"
                await client.send_and_wait(self._topic, b"\xc1spoilt", key, partition=partition)
