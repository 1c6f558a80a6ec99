"""What the copy of a job's offsets says when it cannot be written."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from samza_py.connectors.kafka import Kafka, lag
from samza_py.errors import ConnectorError, SamzaError, UnavailableError
from samza_py.message import Offset, Partition, TaskPartition

SAID = "lag monitors do not see how far the job has come"
KEY = TaskPartition("task", Partition("kafka", "in", "0"))


class Failing:
    """Brokers that cannot be asked."""

    def __init__(self, error: SamzaError) -> None:
        self.error = error
        self.tries = 0

    async def start(self) -> None:
        """Count the try."""
        self.tries += 1
        raise self.error

    async def stop(self) -> None:
        """Nothing is open."""


class Offsets(lag.GroupOffsets):
    """Those of a job whose brokers fail."""

    def __init__(self, error: SamzaError) -> None:
        super().__init__(Kafka("127.0.0.1:1").cluster, {"in": "in"})
        self._brokers: Any = Failing(error)

    async def tried(self, position: str) -> None:
        """Note a position, and wait until it was tried."""
        before = self._brokers.tries
        self.note("job", {KEY: Offset(position)})
        async with asyncio.timeout(10):
            while self._brokers.tries == before:  # noqa: ASYNC110
                await asyncio.sleep(0.001)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A try at each checkpoint."""
    monkeypatch.setattr(lag, "EVERY_S", 0.0)


async def test_an_outage_is_said_when_it_lasts_and_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    offsets = Offsets(UnavailableError("away"))
    for position in range(3):
        await offsets.tried(str(position))
    assert SAID not in caplog.text
    monkeypatch.setattr(lag, "OUTAGE_S", 0.0)
    for position in range(3, 6):
        await offsets.tried(str(position))
    await offsets.aclose()
    assert caplog.text.count(SAID) == 1


async def test_a_refusal_is_said_at_once(caplog: pytest.LogCaptureFixture) -> None:
    offsets = Offsets(ConnectorError("no right"))
    await offsets.tried("0")
    await offsets.aclose()
    assert caplog.text.count(f"{SAID}: no right") == 1
