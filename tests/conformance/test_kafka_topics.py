"""Topics of a real broker keep every promise that the runtime relies on."""

from __future__ import annotations

import pytest

from samza_py.testing.conformance.check import Check
from samza_py.testing.conformance.suite import conformance_params, run_check
from tests.conformance.kafka_topics import KafkaTopicsHarness
from tests.services.kafka_listeners import Kafka as Address


@pytest.mark.service
@pytest.mark.parametrize("check", conformance_params(KafkaTopicsHarness()))
async def test_topics_keep_their_promises(check: Check, kafka: Address) -> None:
    await run_check(check, lambda: KafkaTopicsHarness(kafka))
