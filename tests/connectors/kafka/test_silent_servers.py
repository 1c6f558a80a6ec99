"""A server that takes connections and never answers, before one that does."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import pytest

from samza_py.connectors.kafka import Kafka
from tests.services.kafka_listeners import PLAINTEXT
from tests.services.kafka_listeners import Kafka as Brokers
from tests.services.ports import LOOPBACK

pytestmark = pytest.mark.service


@asynccontextmanager
async def silent() -> AsyncGenerator[str]:
    """The address of a server that is frozen."""
    over = asyncio.Event()

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    server = await asyncio.start_server(hold, LOOPBACK, 0)
    try:
        yield f"{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
    finally:
        over.set()
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize("kind", ["AIOKafkaAdminClient", "AIOKafkaConsumer", "AIOKafkaProducer"])
async def test_one_silent_server_does_not_use_up_the_time_of_the_others(
    kafka: Brokers, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def as_given(hosts: list[object]) -> None: ...

    monkeypatch.setattr(random, "shuffle", as_given)  # aiokafka would begin with any of them
    async with silent() as frozen:
        system = Kafka(f"{frozen},{kafka.bootstrap(PLAINTEXT)}", request_timeout="3s")
        client = await system.cluster.started(kind)
        try:
            connection = getattr(client, "_client", None) or client.client
            assert connection._request_timeout_ms == 3000
        finally:
            await system.cluster.stopped(client)
