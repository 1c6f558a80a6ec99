"""What the campaigns on Kafka have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.campaigns.kafka_driving import Mapping


@pytest.fixture
def mapping(tmp_path: Path) -> Iterator[Callable[..., Mapping]]:
    """Makes a run of the mapping job; whatever still runs of it at the end is killed."""
    from tests.campaigns.kafka_driving import Mapping

    made: list[Mapping] = []

    def make(*args: object, **fields: object) -> Mapping:
        one = Mapping(tmp_path, *args, **fields)  # type: ignore[arg-type]
        made.append(one)
        return one

    yield make
    for one in made:
        one.end()
