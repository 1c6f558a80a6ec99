"""An input that is deleted under a running job ends it, and stays deleted."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from samza_py import Job, Message
from samza_py.connectors.kafka import reader
from samza_py.errors import ConnectorError
from samza_py.resolving import resolve
from samza_py.runtime.container import Container
from tests.connectors.kafka.reading import WITHIN_S, kafka_at
from tests.services.kafka import Cluster
from tests.services.kafka_clients import ADMIN, client_settings, new_topic, started, write
from tests.services.kafka_listeners import Kafka as Brokers

pytestmark = pytest.mark.service


async def test_a_topic_deleted_under_a_job_is_said(
    kafka: Brokers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "SILENT_S", 1.0)
    topic = await new_topic(kafka)
    said = await deleted_under_a_job(kafka, topic)
    assert said.startswith(f"kafka.orders[0]: topic {topic} does not exist")


async def test_brokers_that_make_what_is_asked_for_do_not_make_it_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "SILENT_S", 1.0)
    settings = {"auto.create.topics.enable": "true"}  # the default of Kafka
    with Cluster(tmp_path / "kafka", settings=settings) as cluster:
        topic = await new_topic(cluster.address)
        said = await deleted_under_a_job(cluster.address, topic)
    assert said.startswith(f"kafka.orders[0]: topic {topic} does not exist")


async def deleted_under_a_job(brokers: Brokers, topic: str) -> str:
    """Delete an input under a job; what the job ends with."""
    job = Job(topic, partition_check_interval="1h")
    seen = asyncio.Event()

    @job.task(kafka_at(brokers).topic("orders", physical=topic))
    async def look(order: Message[bytes, bytes]) -> None:
        seen.set()

    await write(brokers, topic, [b"1"])
    run = asyncio.ensure_future(Container(resolve(job).resolved).run())
    async with started(ADMIN.AIOKafkaAdminClient(**client_settings(brokers))) as admin:
        await asyncio.wait_for(seen.wait(), WITHIN_S)
        await admin.delete_topics([topic])
        with pytest.raises(ConnectorError) as ended:
            await asyncio.wait_for(run, WITHIN_S)
        assert topic not in await admin.list_topics()
    return str(ended.value)
