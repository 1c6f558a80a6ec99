"""What a job file says of a cluster and its topics is checked before anything is opened."""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path
from typing import Any, cast

import pytest

from samza_py import Job, Secret
from samza_py.connectors.kafka import Kafka, KafkaCheckpoints, KafkaTopic, Sasl, Tls
from samza_py.connectors.kafka.failures import translated
from samza_py.connectors.kafka.library import complaints, library, listen
from samza_py.connectors.kafka.security import security_settings
from samza_py.errors import ConfigError, ConnectorError, RejectedError, UnavailableError
from samza_py.resolving import Sources, resolve

PASSWORD = Secret("s3cret")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"bootstrap_servers": "localhost"}, "systems.kafka.bootstrap_servers = 'localhost': must"),
        ({"bootstrap_servers": "a:1,b"}, "must be 'host:port', or several with commas"),
        ({"bootstrap_servers": ["a:1"]}, "must be 'host:port', or several with commas"),
        ({"bootstrap_servers": "a:70000"}, "must be 'host:port'"),
        (
            {"compression": "brotli"},
            "systems.kafka.compression = 'brotli': must be one of none",
        ),
        ({"request_timeout": "soon"}, "systems.kafka.request_timeout = 'soon': is not a duration"),
        ({"delivery_timeout": 0}, "systems.kafka.delivery_timeout = 0: must be at least 1ms"),
        ({"request_timeout": "100us"}, "request_timeout = '100us': must be at least 1ms"),
        ({"fetch_wait": 0}, "systems.kafka.fetch_wait = 0: must be at least 1ms"),
        ({"fetch_wait": "30s"}, "fetch_wait = '30s': must be shorter than request_timeout (30s)"),
        ({"delivery_timeout": "29s"}, "'29s': must be at least request_timeout (30s)"),
        ({"bootstrap_servers": "kafka://a:1"}, "= 'kafka://a:1': must be 'host:port'"),
        ({"bootstrap_servers": "a b:1"}, "= 'a b:1': must be 'host:port'"),
        ({"tls": "ca.pem"}, "systems.kafka.tls = 'ca.pem': must be a Tls: Tls(ca_file="),
        ({"sasl": ("u", "s3cret")}, "systems.kafka.sasl: must be a Sasl: Sasl('user', Secret("),
        ({"sasl": Sasl(cast("Any", 5), PASSWORD)}, "systems.kafka.sasl.username = 5: must be text"),
        ({"client_id": 5}, "systems.kafka.client_id = 5: must be text, such as 'samza-py'"),
        ({"name": 5}, "Kafka.name = 5: must be text, such as 'kafka'"),
        ({"max_fetch_bytes": 0}, "systems.kafka.max_fetch_bytes = 0: must be at least 1 byte"),
        (
            {"max_fetch_bytes": "4GiB"},
            "systems.kafka.max_fetch_bytes = '4GiB': must be at most 2147",
        ),
        (
            {"max_request_bytes": 1 << 31},
            "systems.kafka.max_request_bytes = 2147483648: must be at",
        ),
        (
            {"fetch_min_bytes": "2GiB"},
            "systems.kafka.fetch_min_bytes = '2GiB': must be at most 2147",
        ),
        ({"sasl": Sasl("me", PASSWORD, "PLAIN")}, "would send the password unencrypted; add tls="),
        ({"sasl": Sasl("me", cast("Any", "s3cret"))}, "systems.kafka.sasl.password: must be a Sec"),
        ({"sasl": Sasl("me", PASSWORD, cast("Any", "MD5"))}, "must be one of PLAIN, SCRAM-SHA-256"),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], said: str) -> None:
    untyped: Any = Kafka
    with pytest.raises(ConfigError) as refused:
        untyped(**{"bootstrap_servers": "localhost:9092", **settings})
    assert said in str(refused.value)
    assert "s3cret" not in str(refused.value)


def test_plain_passwords_need_tls_or_the_word_of_the_user() -> None:
    Kafka("a:1", tls=Tls(), sasl=Sasl("me", PASSWORD, "PLAIN"))
    Kafka("a:1", sasl=Sasl("me", PASSWORD, "PLAIN", allow_unencrypted=True))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"physical": "a/b"}, "streams.orders.name = 'a/b': is no name of a topic"),
        ({"physical": ".."}, "streams.orders.name = '..': is no name of a topic"),
        ({"physical": "x" * 250}, "is no name of a topic: up to 249"),
        ({"partitions": 0}, "streams.orders.partitions = 0: must be at least 1"),
        ({"replicas": 0}, "streams.orders.replicas = 0: must be at least 1"),
        ({"physical": 5}, "streams.orders.name = 5: is no name of a topic"),
        ({"partitions": "4"}, "streams.orders.partitions = '4': must be a whole number, such as 3"),
        ({"partitions": 4.5}, "streams.orders.partitions = 4.5: must be a whole number"),
        ({"partitions": True}, "streams.orders.partitions = True: must be a whole number"),
        ({"replicas": "3"}, "streams.orders.replicas = '3': must be a whole number"),
        ({"config": ["a"]}, "streams.orders.config = ['a']: must be settings by name, {'ret"),
        ({"config": {5: "a"}}, "streams.orders.config = 5: has a name that is not text"),
        ({"config": {"a": None}}, "streams.orders.config.a: must be text, such as '86400000'"),
    ],
)
def test_a_wrong_topic_is_named(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Kafka("a:1").topic("orders", **settings)
    assert said in str(refused.value)


def test_a_name_of_a_topic_is_text() -> None:
    untyped: Any = Kafka("a:1").topic
    with pytest.raises(ConfigError, match=r"systems\.kafka\.topic = 5: must be text"):
        untyped(5)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"kafka": "a:1"}, "KafkaCheckpoints.kafka = 'a:1': must be a Kafka: KafkaCheckpoints(Kaf"),
        ({"topic": 5}, "KafkaCheckpoints.topic = 5: is no name of a topic"),
        ({"topic": "a b"}, "KafkaCheckpoints.topic = 'a b': is no name of a topic"),
        ({"replicas": "3"}, "KafkaCheckpoints.replicas = '3': must be a whole number"),
    ],
)
def test_wrong_checkpoints_are_named(settings: dict[str, Any], said: str) -> None:
    untyped: Any = KafkaCheckpoints
    with pytest.raises(ConfigError) as refused:
        untyped(**{"kafka": Kafka("a:1"), **settings})
    assert said in str(refused.value)


def test_settings_of_a_topic_become_text() -> None:
    given: dict[str, str | int | float] = {"retention.ms": 86400000, "preallocate": True, "a": "b"}
    topic = Kafka("a:1").topic("orders", config=given)
    assert topic.config == {"retention.ms": "86400000", "preallocate": "true", "a": "b"}


@pytest.mark.parametrize("profile", ["default", "low_latency"])
def test_what_nobody_has_said_fits_what_somebody_has(profile: str) -> None:
    impatient = Kafka("a:1", request_timeout="40ms").for_profile(profile)
    assert impatient.cluster.fetch_wait_s == pytest.approx(0.02)


def test_a_password_is_in_no_text() -> None:
    system = Kafka("a:1", tls=Tls(key_password=PASSWORD), sasl=Sasl("me", PASSWORD))
    assert "s3cret" not in repr(system) + str(system) + repr(system.cluster)


def test_tls_verifies_the_broker_and_its_name() -> None:
    context = security_settings(Tls(), None, "systems.kafka")["ssl_context"]
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_a_file_of_tls_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text("not a certificate")
    for tls, said in (
        (Tls(ca_file=str(tmp_path / "none")), r"systems\.kafka\.tls\.ca_file = .*No such file"),
        (Tls(ca_file=str(bad)), r"systems\.kafka\.tls\.ca_file = .*not what it should be in PEM"),
        (Tls(certificate_file=str(bad)), r"tls\.certificate_file = .*cannot be used: not what it"),
        (Tls(key_file=str(bad)), r"tls\.key_file = .*has no certificate_file beside it"),
    ):
        with pytest.raises(ConfigError, match=said):
            security_settings(tls, None, "systems.kafka")


def test_what_stands_outside_reaches_the_cluster() -> None:
    kafka = Kafka("a:1", sasl=Sasl("me", Secret("")))
    job: Job[None] = Job("shop")
    orders: KafkaTopic[bytes, bytes] = kafka.topic("orders")

    @job.task(orders)
    async def read(order: Any) -> None: ...

    environment = {
        "SAMZA_SYSTEMS__KAFKA__BOOTSTRAP_SERVERS": "broker:9093",
        "SAMZA_SYSTEMS__KAFKA__SASL__PASSWORD": "s3cret",
        "SAMZA_STREAMS__ORDERS__NAME": "orders-v2",
    }
    resolved = resolve(job, Sources(environment=environment)).resolved
    system = resolved.systems["kafka"]
    assert isinstance(system, Kafka)
    assert system.bootstrap_servers == "broker:9093"
    assert system.sasl is not None
    assert system.sasl.password == PASSWORD
    assert resolved.streams["kafka.orders"].physical == "orders-v2"


@pytest.mark.parametrize(
    ("level", "handlers", "heard"),
    [
        (logging.NOTSET, [], True),
        (logging.NOTSET, [logging.NullHandler()], True),
        (logging.WARNING, [], False),
        (logging.NOTSET, [logging.StreamHandler()], False),
    ],
)
def test_what_the_library_logs_is_heard_and_not_repeated_unless_the_user_wants_it(
    level: int, handlers: list[logging.Handler], heard: bool
) -> None:
    logger = logging.Logger("aiokafka", level)  # noqa: LOG001
    for handler in handlers:
        logger.addHandler(handler)
    with complaints() as said:
        listen(logger)
        listen(logger)
        logger.error("Unable to connect: %s", OSError("refused"))
    assert logger.propagate is not heard
    assert [str(one) for one in said] == (["refused"] if heard else [])


async def test_a_child_of_the_block_is_not_heard_behind_it() -> None:
    """A client's children live on with the context of its start, and log at every outage."""
    logger, over = logging.Logger("aiokafka"), asyncio.Event()  # noqa: LOG001
    listen(logger)

    async def child() -> None:
        logger.error("Unable to connect: %s", OSError("at the start"))
        await over.wait()
        logger.error("Unable to connect: %s", OSError("later"))

    with complaints() as said:
        running = asyncio.ensure_future(child())
        await asyncio.sleep(0)
    over.set()
    await running
    assert [str(one) for one in said] == ["at the start"]


def test_an_unknown_error_is_no_refusal_for_a_number_in_its_text() -> None:
    """Port 9087, or topic v87: what the broker did is not known, and the message is not lost."""
    unknown: Any = library("aiokafka.errors").UnknownError
    assert isinstance(
        translated(unknown("orders-v87[3] at host:9087"), "writing"), UnavailableError
    )
    assert isinstance(translated(unknown("error code 87"), "writing"), RejectedError)


@pytest.mark.parametrize(
    ("kind", "said", "for_good"),
    [
        ("InvalidReplicationFactorError", "because only 1 broker(s) are registered.", True),
        ("InvalidReplicationFactorError", "All brokers are currently fenced.", False),
        ("InvalidReplicationFactorError", "3 larger than available brokers: 1.", False),
        ("InvalidConfigurationError", "Unknown topic config name: retention.mss", True),
        ("InvalidPartitionsError", "too many", True),
        ("InvalidRequestError", "", True),
    ],
)
def test_brokers_that_are_still_starting_are_waited_for(
    kind: str, said: str, for_good: bool
) -> None:
    error = translated(getattr(library("aiokafka.errors"), kind)(said), "making topic orders")
    assert isinstance(error, ConnectorError)
    assert isinstance(error, UnavailableError) is not for_good


def test_checkpoints_are_kept_where_the_settings_from_outside_say() -> None:
    kafka = Kafka("file:9092")
    job: Job[None] = Job("pricing", checkpoints=KafkaCheckpoints(kafka, "kept", 3))
    job.task(kafka.topic("orders"), name="look")(lambda order: None)
    other = Sources(environment={"SAMZA_SYSTEMS__KAFKA__BOOTSTRAP_SERVERS": "outside:9092"})
    found = resolve(job, other).resolved.checkpoints
    assert found.location("pricing") == "topic kept of kafka at outside:9092"
    assert isinstance(found, KafkaCheckpoints)
    assert found.replicas == 3


def test_checkpoints_of_another_cluster_stay_there() -> None:
    elsewhere = KafkaCheckpoints(Kafka("elsewhere:9092"))
    kafka = Kafka("file:9092")
    job: Job[None] = Job("pricing", checkpoints=elsewhere)
    job.task(kafka.topic("orders"), name="look")(lambda order: None)
    other = Sources(environment={"SAMZA_SYSTEMS__KAFKA__BOOTSTRAP_SERVERS": "outside:9092"})
    assert resolve(job, other).resolved.checkpoints is elsewhere
