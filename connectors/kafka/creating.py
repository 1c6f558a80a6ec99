"""Making the topics that a job declares: what would be done, and doing it.

What is to be done is decided by ``planned`` from what the brokers have, without changing
anything, so that it can be shown first. Whether a topic can be made the brokers say themselves:
they look at the request as if it were meant, and make nothing (``validate_only``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from samza_py.connectors.kafka.brokers import Brokers, Question, failed
from samza_py.connectors.kafka.library import library
from samza_py.connectors.kafka.offsets import missing
from samza_py.connectors.kafka.topic_ids import TopicFound, topics_found
from samza_py.connectors.kafka.topics import KafkaTopic
from samza_py.errors import ConnectorError, UnavailableError
from samza_py.system import AnyStream

BROKERS_DEFAULT: Final = -1
"""The number of replicas that the broker chooses (KIP-464, brokers 2.4 and newer)."""

_CREATE_TOPICS: Final = 19
_ALREADY_THERE: Final = 36


@dataclass(frozen=True, slots=True)
class Creation:
    """A topic to make.

    Attributes:
        topic: its name.
        partitions: how many.
        replicas: of each; ``BROKERS_DEFAULT`` leaves it to the broker.
        config: settings that are not the broker's defaults.
    """

    topic: str
    partitions: int
    replicas: int
    config: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Change:
    """What a declaration asks for that the brokers do not have.

    Attributes:
        stream: the logical name.
        text: what it is, for people.
        creation: the topic to make; None where nothing can be made of it, and a start fails.
    """

    stream: str
    text: str
    creation: Creation | None = None


def planned(streams: Iterable[AnyStream], found: Mapping[str, TopicFound]) -> Sequence[Change]:
    """What stands between the declarations and the brokers; nothing where all is well. Pure.

    Args:
        streams: as declared.
        found: the topics that are there, by their own names, with the settings that are declared.
    """
    changes: list[Change] = []
    for stream in streams:
        there = found.get(stream.physical)
        changes += _for_missing(stream) if there is None else _differences(stream, there)
    return changes


def _for_missing(stream: AnyStream) -> list[Change]:
    partitions = stream.partitions if isinstance(stream, KafkaTopic) else None
    if not isinstance(stream, KafkaTopic) or partitions is None:
        return [Change(stream.name, missing(stream.physical))]
    replicas = BROKERS_DEFAULT if stream.replicas is None else stream.replicas
    creation = Creation(stream.physical, partitions, replicas, stream.config)
    return [making(stream.name, creation)]


def making(stream: str, creation: Creation) -> Change:
    """The change that makes a topic."""
    by_broker = creation.replicas == BROKERS_DEFAULT
    copies = "the broker's number of" if by_broker else str(creation.replicas)
    settings = "".join(f", {key}={value}" for key, value in sorted(creation.config.items()))
    text = (
        f"topic {creation.topic} is made: partitions={creation.partitions}, "
        f"{copies} replicas{settings}"
    )
    return Change(stream, text, creation)


def _differences(stream: AnyStream, there: TopicFound) -> list[Change]:
    if not isinstance(stream, KafkaTopic):
        return []
    changes: list[Change] = []
    topic, has = f"topic {there.name}", len(there.leaders)
    if stream.partitions is not None and stream.partitions != has:
        text = (
            f"{topic} has {has} partitions, partitions={stream.partitions} is declared: declare "
            f"partitions={has}, or change the topic"
        )
        changes.append(Change(stream.name, text))
    for key, value in sorted(stream.config.items()):
        if key not in there.config:
            changes.append(Change(stream.name, f"{topic} has no setting {key}: no broker knows it"))
        elif there.config[key] != value:
            text = (
                f"{topic} has {key}={there.config[key]}, {value} is declared: declare what it "
                f"has, or change the topic (kafka-configs --alter)"
            )
            changes.append(Change(stream.name, text))
    return changes


async def plan(brokers: Brokers, streams: Iterable[AnyStream]) -> Sequence[Change]:
    """What ``planned`` says to what the brokers have now, and they to what would be made.

    Raises:
        UnavailableError: they do not answer.
        ConnectorError: they refuse to tell.
    """
    declared = list(streams)

    async def find() -> Mapping[str, TopicFound]:
        found = dict(await topics_found(brokers, {stream.physical for stream in declared}))
        for stream in declared:
            if isinstance(stream, KafkaTopic) and stream.config and stream.physical in found:
                config = await brokers.configs(stream.physical, sorted(stream.config))
                found[stream.physical] = replace(found[stream.physical], config=config)
        return found

    changes = planned(declared, await brokers.answered("looking at topics", find))
    return [await validated(brokers, change) for change in changes]


async def validated(brokers: Brokers, change: Change) -> Change:
    """The change, or in its place the refusal of the brokers. They are asked, and make nothing.

    Raises:
        UnavailableError: they do not answer.
    """
    if change.creation is None:
        return change
    try:
        await _ask(brokers, change.creation, validate_only=True)
    except UnavailableError:
        raise
    except ConnectorError as error:
        return Change(change.stream, str(error))
    return change


async def create(brokers: Brokers, creation: Creation) -> bool:
    """Make a topic, and wait until it can be used.

    Returns:
        False where it is there already, which another container may have brought about.

    Raises:
        UnavailableError: no answer in time; it may have been made.
        ConnectorError: the broker refuses.
    """

    async def usable() -> None:
        found = await topics_found(brokers, [creation.topic])
        there = found.get(creation.topic)
        if there is None or min(there.leaders.values(), default=-1) < 0:
            raise library("aiokafka.errors").LeaderNotAvailableError(creation.topic)

    made = await _ask(brokers, creation, validate_only=False)
    await brokers.answered(f"waiting for topic {creation.topic}", usable)
    return made


async def _ask(brokers: Brokers, creation: Creation, *, validate_only: bool) -> bool:
    """Ask for a topic; False where it is there already."""
    with_default = creation.replicas == BROKERS_DEFAULT
    milliseconds = int(brokers.cluster.request_timeout_s * 1000)
    config = list(creation.config.items())
    row: Any = (creation.topic, creation.partitions, creation.replicas, [], config)
    make = partial(_request(), [row], milliseconds, validate_only)
    older = partial(library("aiokafka.protocol.admin").CreateTopicsRequest_v3, *make.args)
    question = Question(
        _CREATE_TOPICS,
        {4: make} if with_default else {4: make, 3: older},
        f"brokers before 2.4 have no default: declare topic {creation.topic} with replicas=",
    )

    async def ask() -> bool:
        answer = await brokers.ask_controller(question)
        for _, code, message in answer.topic_errors:
            if code == _ALREADY_THERE:
                return False
            failed(code, message)
        return True

    return await brokers.answered(f"making topic {creation.topic}", ask)


async def create_all(brokers: Brokers, streams: Sequence[AnyStream]) -> Sequence[str]:
    """Make what is missing, unless something differs; the logical names of what was made.

    Raises:
        ConnectorError: something differs, is refused by the brokers, or is missing and has no
            ``partitions=``; nothing was made then. Says all of it.
        UnavailableError: no answer in time.
    """
    changes = await plan(brokers, streams)
    impossible = [change.text for change in changes if change.creation is None]
    if impossible:
        raise ConnectorError(f"{brokers.cluster.at}: {'; '.join(impossible)}")
    made: dict[str, bool] = {}
    for change in changes:
        creation = change.creation
        if creation is not None and creation.topic not in made:
            made[creation.topic] = await create(brokers, creation)
    others = [stream for stream in streams if made.get(stream.physical) is False]
    if others:  # Another container was faster: it may have been of another version of the job.
        await create_all(brokers, others)
    names = {stream.name: stream.physical for stream in streams}
    return [name for name, topic in names.items() if made.get(topic)]


def _request() -> Any:
    """CreateTopics, version 4: the fields are those of version 3, which does not take the -1."""
    older = library("aiokafka.protocol.admin")
    version = {"API_KEY": _CREATE_TOPICS, "API_VERSION": 4}
    response = type("CreateTopicsResponse", (older.CreateTopicsResponse_v3,), version)
    parts = {**version, "RESPONSE_TYPE": response}
    return type("CreateTopicsRequest", (older.CreateTopicsRequest_v3,), parts)
