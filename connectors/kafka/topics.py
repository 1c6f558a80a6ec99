"""A topic, as a job declares it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, TypedDict, TypeVar

from samza_py.admin import Oldest, StartAt
from samza_py.connectors.kafka.checking import check_count, check_text, topic_config
from samza_py.errors import ConfigError
from samza_py.serde import Serde
from samza_py.system import Stream, System

K = TypeVar("K")
V = TypeVar("V")

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")


class TopicSettings(TypedDict, total=False):
    """What a topic may be declared with, besides its types.

    Attributes:
        start: where a partition without a checkpoint begins; oldest by default.
        physical: the broker's name for it; the logical one by default.
        partitions: how many it has. A topic that is not there is made with so many, and one that
            has fewer, or more, is refused. Without it the topic has to be there.
        replicas: of each partition, where the topic is made; the broker's default by default.
        config: settings of the topic (``{"retention.ms": "86400000"}``), where it is made; one
            that has others is refused. Numbers and truth values become text.
    """

    start: StartAt
    physical: str | None
    partitions: int | None
    replicas: int | None
    config: Mapping[str, str | int | float] | None


class KafkaTopic(Stream[K, V]):
    """A topic; made by ``Kafka.topic``. The arguments are those of ``TopicSettings``.

    Raises:
        ConfigError: one of them is wrong.
    """

    def __init__(
        self,
        system: System,
        name: str,
        key: Serde[K],
        value: Serde[V],
        *,
        start: StartAt = Oldest(),
        physical: str | None = None,
        partitions: int | None = None,
        replicas: int | None = None,
        config: Mapping[str, str | int | float] | None = None,
    ) -> None:
        check_text(name, f"systems.{system.name}.topic", "orders")
        super().__init__(system, name, key, value, start=start, physical=physical)
        self.check_physical(self.physical)
        for setting, number in (("partitions", partitions), ("replicas", replicas)):
            if number is not None:
                check_count(number, f"streams.{name}.{setting}")
        self.partitions = partitions
        self.creatable = partitions is not None
        self.replicas = replicas
        self.config = topic_config({} if config is None else config, f"streams.{name}.config")

    def check_physical(self, physical: str) -> None:
        """See that a broker takes this name; see ``Input.check_physical``."""
        check_topic_name(physical, f"streams.{self.name}.name")

    def changed(self, before: str, now: str) -> str:
        """What a changed lineage means for a topic."""
        return f"the topic was deleted and made again (its id was {before}, it is {now})"


def is_topic_name(name: str) -> bool:
    """Whether a broker takes it as a name of a topic."""
    return _NAME.fullmatch(name) is not None and name not in (".", "..")


def check_topic_name(name: object, key: str) -> None:
    """See that a broker takes it as a name of a topic.

    Raises:
        ConfigError: it does not.
    """
    if not isinstance(name, str) or not is_topic_name(name):
        why = "is no name of a topic: up to 249 letters, digits, dots, dashes and underscores"
        raise ConfigError(key, why, name)
