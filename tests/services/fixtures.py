"""The fixtures by which tests have servers. Whoever asks for one is marked `service`.

What starts servers is imported when a test asks for one: every run of pytest reads this file.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.services.kafka import Cluster
    from tests.services.kafka_listeners import Kafka


def session_folder(factory: pytest.TempPathFactory, config: pytest.Config) -> Path:
    """A folder that all workers of a session have in common."""
    own = factory.getbasetemp()
    return own.parent if hasattr(config, "workerinput") else own


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[Kafka]:
    """The session's one broker. Nobody kills it, and every test has topics of its own."""
    from tests.services.sharing import shared_kafka

    with shared_kafka(session_folder(tmp_path_factory, pytestconfig) / "kafka") as broker:
        yield broker


@pytest.fixture(scope="session")
def secured_kafka(
    tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Iterator[Kafka]:
    """The session's one broker with every kind of listener."""
    from tests.services.kafka_listeners import SECURED
    from tests.services.sharing import shared_kafka

    folder = session_folder(tmp_path_factory, pytestconfig) / "secured-kafka"
    with shared_kafka(folder, SECURED) as broker:
        yield broker


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster of one broker that belongs to the test, which may kill it."""
    from tests.services.kafka import Cluster

    with Cluster(tmp_path / "kafka") as cluster:
        yield cluster


@pytest.fixture
def three_brokers(tmp_path: Path) -> Iterator[Cluster]:
    """A cluster of three brokers that belongs to the test, which may kill them."""
    from tests.services.kafka import Cluster

    with Cluster(tmp_path / "kafka", size=3) as cluster:
        yield cluster
