"""A client of the library that dies is made anew; where that is in vain, it is said."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest

from samza_py.checkpoint import Claim
from samza_py.connectors.kafka.consumer import KafkaConsumer
from samza_py.errors import ConnectorError, UnavailableError
from tests.connectors.kafka.reading import (
    ROOM,
    START,
    TASK,
    kafka_at,
    key_of,
    polled,
    read_at,
    reading,
    values,
)
from tests.services.kafka_clients import new_topic, write
from tests.services.kafka_listeners import Kafka as Brokers

pytestmark = pytest.mark.service

VALUES = [b"%d" % number for number in range(100)]


async def test_a_client_that_has_died_is_made_anew(
    kafka: Brokers, caplog: pytest.LogCaptureFixture
) -> None:
    topic = await new_topic(kafka, partitions=2)
    await write(kafka, topic, VALUES)
    positions = {key_of(0): START, key_of(1): START}
    async with reading(kafka_at(kafka), topic, positions) as consumer:
        assert values(await read_at(consumer, key_of())) == VALUES
        inside: Any = consumer
        fetcher = inside._readers[0]._client._fetcher

        def broken(assignment: Any) -> Any:
            raise AssertionError("broken")

        fetcher._get_actions_per_node = broken
        await asyncio.wait((fetcher.error_future,), timeout=5)
        await write(kafka, topic, [b"after"])
        assert values(await read_at(consumer, key_of())) == [b"after"]
    assert "has died and is made anew: AssertionError('broken')" in caplog.text
    await asyncio.sleep(0.1)
    left = [
        child.get_name() for child in asyncio.all_tasks() if child is not asyncio.current_task()
    ]
    assert left == []


async def test_a_client_that_dies_of_its_settings_each_time_ends_the_reading(
    kafka: Brokers,
) -> None:
    topic = await new_topic(kafka)
    cluster = replace(kafka_at(kafka).cluster, max_fetch_bytes=4 << 30)  # Kafka(...) refuses it
    async with KafkaConsumer(cluster, {"orders": topic}) as consumer:
        await consumer.assign(Claim(TASK, 1), {key_of(): START})
        with pytest.raises(ConnectorError, match=r"its client has died again: error\("):
            await polled(consumer, {key_of(): ROOM}, lambda _: False)


async def test_clients_that_die_one_after_the_other_are_an_outage(
    kafka: Brokers, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = await new_topic(kafka)
    await write(kafka, topic, VALUES)
    library: Any = import_module("aiokafka.consumer.fetcher")

    def broken(*_: Any) -> Any:
        raise OSError("broken")

    async with reading(kafka_at(kafka), topic, {key_of(): START}) as consumer:
        with monkeypatch.context() as patched:
            patched.setattr(library.Fetcher, "_get_actions_per_node", broken)
            with pytest.raises(UnavailableError, match="died again: OSError"):
                await polled(consumer, {key_of(): ROOM}, lambda _: False)
            # Each poll of an outage fails, or it would seem to be over.
            for _ in range(2):
                with pytest.raises(UnavailableError, match="died again: OSError"):
                    await consumer.poll({key_of(): ROOM})
        assert values(await read_at(consumer, key_of())) == VALUES
