"""What brokers say of topics: their ids (KIP-516) and who leads their partitions.

An id tells a topic from one of the same name that was made later. aiokafka's requests stop before
the version that has it, so this one is our own: Metadata, version 10 (brokers 2.8 and newer). From
older brokers there is no id.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Final

from samza_py.connectors.kafka.brokers import AGAIN_S, Brokers, Question, failed
from samza_py.connectors.kafka.library import library

HEARD_S: Final = 1.0
"""How long a broker may take to hear of a topic that the controller has made."""

_METADATA: Final = 3
_WITH_IDS: Final = 10
_WITHOUT_IDS: Final = 5
_UNKNOWN_TOPIC: Final = 3
_NO_ID: Final = bytes(16)


@dataclass(frozen=True, slots=True)
class TopicFound:
    """A topic as the brokers have it.

    Attributes:
        name: the brokers' own.
        id: as Kafka's tools print it; empty from brokers before 2.8.
        leaders: the number of the broker that leads each partition; below 0 where there is none.
        config: its settings, where they were asked for.
    """

    name: str
    id: str
    leaders: Mapping[int, int]
    config: Mapping[str, str | None]


async def topics_found(brokers: Brokers, names: Collection[str]) -> Mapping[str, TopicFound]:
    """Those of the named topics that are there. Makes none, whatever the brokers are set to.

    To be called inside ``Brokers.answered``.

    Args:
        brokers: whom to ask.
        names: of topics; none gives nothing.

    Raises:
        KafkaError: of aiokafka; a topic may not be seen, or is only being made.
    """
    if not names:
        return {}
    answer = await brokers.ask(_question(sorted(names)))
    found: dict[str, TopicFound] = {}
    for topic in answer.to_object()["topics"]:
        code, name = topic["error_code"], topic["topic"]
        if code == _UNKNOWN_TOPIC:
            continue
        failed(code, f"topic {name}")
        leaders = {one["partition"]: one["leader"] for one in topic["partitions"]}
        found[name] = TopicFound(name, _shown(topic.get("topic_id", _NO_ID)), leaders, {})
    return found


async def topics_there(brokers: Brokers, names: Collection[str]) -> Mapping[str, TopicFound]:
    """The same, but what seems to be missing is looked for again for a moment.

    A topic made just now, by this process or another, is missing at brokers that have not heard.
    """
    for _ in range(round(HEARD_S / AGAIN_S)):
        found = await topics_found(brokers, names)
        if len(found) == len(set(names)):
            return found
        await asyncio.sleep(AGAIN_S)
    return await topics_found(brokers, names)


def _shown(topic_id: bytes) -> str:
    if topic_id == _NO_ID:
        return ""
    return base64.urlsafe_b64encode(topic_id).rstrip(b"=").decode()


def _question(names: list[str]) -> Question:
    older = library("aiokafka.protocol.metadata").MetadataRequest_v5
    asked: list[Any] = [(_NO_ID, name, {}) for name in names]
    return Question(
        _METADATA,
        {
            _WITH_IDS: lambda: _request()(asked, False, False, False, {}),
            _WITHOUT_IDS: partial(older, names, False),
        },
        "Metadata of version 5 or newer is needed: a broker of Kafka 1.0 or newer",
    )


class _Uuid:
    """Sixteen bytes, as they are."""

    @staticmethod
    def encode(value: bytes) -> bytes:
        return value

    @staticmethod
    def decode(data: Any) -> bytes:
        read: bytes = data.read(16)
        return read

    @staticmethod
    def repr(value: bytes) -> str:
        return _shown(value)


@cache
def _request() -> Any:
    """The class of the request. Made when it is first needed, since it builds on aiokafka's."""
    types, api = library("aiokafka.protocol.types"), library("aiokafka.protocol.api")
    text, array, schema = types.CompactString("utf-8"), types.CompactArray, types.Schema
    number, short, flag = types.Int32, types.Int16, types.Boolean
    tags = ("tags", types.TaggedFields)
    broker = (("node_id", number), ("host", text), ("port", number), ("rack", text), tags)
    partition = (
        ("error_code", short),
        ("partition", number),
        ("leader", number),
        ("leader_epoch", number),
        ("replicas", array(number)),
        ("isr", array(number)),
        ("offline_replicas", array(number)),
        tags,
    )
    topic = (
        ("error_code", short),
        ("topic", text),
        ("topic_id", _Uuid),
        ("is_internal", flag),
        ("partitions", array(*partition)),
        ("authorized_operations", number),
        tags,
    )
    answer = schema(
        ("throttle_time_ms", number),
        ("brokers", array(*broker)),
        ("cluster_id", text),
        ("controller_id", number),
        ("topics", array(*topic)),
        ("authorized_operations", number),
        tags,
    )
    asked = schema(
        ("topics", array(("topic_id", _Uuid), ("topic", text), tags)),
        ("allow_auto_topic_creation", flag),
        ("include_cluster_authorized_operations", flag),
        ("include_topic_authorized_operations", flag),
        tags,
    )
    version = {"API_KEY": _METADATA, "API_VERSION": _WITH_IDS}
    response = type("TopicIdsResponse", (api.Response,), {**version, "SCHEMA": answer})
    flexible = {"FLEXIBLE_VERSION": True, "RESPONSE_TYPE": response, "SCHEMA": asked}
    return type("TopicIdsRequest", (api.RequestStruct,), {**version, **flexible})
