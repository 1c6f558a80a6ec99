"""Checkpoints in a topic of a real broker keep every promise there is."""

from __future__ import annotations

import pytest

from samza_py.testing.conformance.check import Check
from samza_py.testing.conformance.suite import conformance_params, run_check
from tests.conformance.kafka_checkpoints import KafkaCheckpointsHarness
from tests.services.kafka_listeners import Kafka as Address


@pytest.mark.service
@pytest.mark.parametrize("check", conformance_params(KafkaCheckpointsHarness()))
async def test_checkpoints_keep_their_promises(check: Check, kafka: Address) -> None:
    await run_check(check, lambda: KafkaCheckpointsHarness(kafka))
