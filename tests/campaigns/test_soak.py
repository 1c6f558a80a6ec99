"""The soak in its short form, and that it finds what is planted. `make soak` is the long one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.campaigns.soak import soak
from tests.campaigns.usage import complaints, shown
from tests.services.kafka import Cluster

pytestmark = [pytest.mark.campaign, pytest.mark.slow]

SHORT_S, PLANTED_S = 60, 30
Record = Callable[[str, object], None]


async def test_nothing_grows_and_nothing_is_lost(
    own_kafka: Cluster, tmp_path: Path, seed: int, record_property: Record
) -> None:
    run = await soak(own_kafka, tmp_path, SHORT_S, seed)
    record_property("usage", shown(run.samples))
    assert complaints(run.samples) == []


async def test_leaks_that_are_planted_are_found(
    own_kafka: Cluster, tmp_path: Path, seed: int
) -> None:
    run = await soak(own_kafka, tmp_path, PLANTED_S, seed, leak="memory,files,children")
    found = [said.split()[0] for said in complaints(run.samples)]
    assert found == ["memory", "files", "children"]
