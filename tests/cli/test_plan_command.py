"""`plan`: what a start would make, asked of the systems; nothing is changed by asking."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from samza_py.checkpoint import Grant
from samza_py.cli import main
from samza_py.connectors.kafka import Kafka, KafkaCheckpoints
from tests.services.kafka_clients import new_topic
from tests.services.kafka_listeners import PLAINTEXT
from tests.services.kafka_listeners import Kafka as Address

JOB = """
from samza_py import Job, Message
from samza_py.connectors.kafka import Kafka
from samza_py.connectors.local import LocalCheckpoints

kafka = Kafka("{address}", request_timeout="{patience}")
orders = kafka.topic("orders", physical="orders-{id}", value=int, partitions={partitions})
priced = kafka.topic("priced", physical="priced-{id}", value=int, partitions=2)
job = Job("pricing", checkpoints=LocalCheckpoints("checkpoints.log"))

@job.task(orders, to=priced)
async def price(order: Message[bytes, int]) -> int:
    return order.value
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def write(address: str, partitions: int | None, patience: str = "10s") -> str:
    name = uuid.uuid4().hex
    text = JOB.format(address=address, partitions=partitions, patience=patience, id=name)
    Path(f"job_{name}.py").write_text(text)
    return f"job_{name}.py"


@pytest.mark.service
def test_what_is_missing_is_made_or_refused(
    kafka: Address, capsys: pytest.CaptureFixture[str]
) -> None:
    address = kafka.bootstrap(PLAINTEXT)
    for _ in range(2):  # nothing has been made by asking
        assert main(["plan", write(address, 3)]) == 0
        out = capsys.readouterr().out
        assert "pricing: a start would make 2\n" in out
        assert "  + kafka.orders: topic orders-" in out
        assert "partitions=3" in out
    assert main(["plan", write(address, None)]) == 2
    out = capsys.readouterr().out
    assert "pricing: a start would make 1, and fail by 1\n" in out
    assert "  ! kafka.orders: topic orders-" in out
    assert "does not exist" in out


KEPT_THERE = """
from samza_py import Job, Message
from samza_py.connectors.kafka import Kafka, KafkaCheckpoints

kafka = Kafka("{address}")
orders = kafka.topic("orders", physical="orders-{id}", value=int, partitions=1, {more})
job = Job("{name}", checkpoints=KafkaCheckpoints(kafka, "{topic}", {kept}))

@job.task(orders)
async def price(order: Message[bytes, int]) -> None: ...
"""


def kept_there(address: str, topic: str, more: str = "", kept: str = "", name: str = "p") -> str:
    """A job with its checkpoints in a topic, in a new file; its path."""
    made = uuid.uuid4().hex
    path = Path(f"job_{made}.py")
    settings = {"address": address, "id": made, "topic": topic, "name": name}
    path.write_text(KEPT_THERE.format(**settings, more=more, kept=kept))
    return str(path)


@pytest.mark.service
@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("replicas=5", "the cluster has fewer brokers than replicas"),
        ("config={'retention.mss': '1'}", "retention.mss"),
        ("config={'retention.ms': 'abc'}", "retention.ms"),
    ],
)
def test_what_the_brokers_would_refuse_is_shown(
    kafka: Address, capsys: pytest.CaptureFixture[str], more: str, said: str
) -> None:
    job = kept_there(kafka.bootstrap(PLAINTEXT), f"kept-{uuid.uuid4().hex}", more)
    assert main(["plan", job]) == 2
    (line,) = [one for one in capsys.readouterr().out.splitlines() if "  ! kafka.orders" in one]
    assert said in line


@pytest.mark.service
def test_the_topic_of_the_checkpoints_is_planned_too(
    kafka: Address, capsys: pytest.CaptureFixture[str]
) -> None:
    address, topic = kafka.bootstrap(PLAINTEXT), f"kept-{uuid.uuid4().hex}"
    for _ in range(2):  # nothing has been made by asking
        assert main(["plan", kept_there(address, topic)]) == 0
        out = capsys.readouterr().out
        assert "p: a start would make 2\n" in out
        assert f"  + checkpoints: topic {topic} is made: partitions=8" in out
    assert main(["plan", kept_there(address, topic, kept="replicas=5")]) == 2
    assert "  ! checkpoints: making topic" in capsys.readouterr().out


@pytest.mark.service
def test_a_topic_of_checkpoints_that_would_be_refused_is_shown(
    kafka: Address, capsys: pytest.CaptureFixture[str]
) -> None:
    address = kafka.bootstrap(PLAINTEXT)
    wrong = asyncio.run(new_topic(kafka, config={"cleanup.policy": "delete"}))
    assert main(["plan", kept_there(address, wrong)]) == 2
    out = capsys.readouterr().out
    assert f"  ! checkpoints: topic {wrong} " in out
    assert "cleanup.policy=delete" in out
    others = asyncio.run(claimed_by("other", address))
    assert main(["plan", kept_there(address, others)]) == 2
    assert "holds the checkpoints of job 'other'" in capsys.readouterr().out
    assert main(["plan", kept_there(address, others, name="other")]) == 0
    assert "checkpoints" not in capsys.readouterr().out


async def claimed_by(job: str, address: str) -> str:
    """A topic with a checkpoint of this job."""
    topic = f"kept-{uuid.uuid4().hex}"
    async with KafkaCheckpoints(Kafka(address), topic).store(job) as store:
        await store.open(Grant("price/0"))
    return topic


def test_a_system_that_is_away_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", write("127.0.0.1:1", 3, "1s")]) == 1
    said = capsys.readouterr().err
    assert "127.0.0.1:1" in said
    assert "Traceback" not in said  # aiokafka's, below the one line that matters


def test_a_name_from_outside_that_no_topic_can_have_is_refused_before_any_socket_opens(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SAMZA_STREAMS__ORDERS__NAME", "a b")
    assert main(["plan", write("127.0.0.1:1", 3, "1s")]) == 2
    said = capsys.readouterr().err
    assert "streams.orders.name = 'a b': is no name of a topic" in said
    assert "SAMZA_STREAMS__ORDERS__NAME" in said


def test_where_nothing_is_told_nothing_would_be_made(capsys: pytest.CaptureFixture[str]) -> None:
    Path("small.py").write_text(
        "from samza_py import Job, Message\n"
        "from samza_py.connectors.memory import Memory\n"
        "memory = Memory()\n"
        "job = Job('small')\n"
        "@job.task(memory.stream('orders', value=int))\n"
        "async def price(order: Message[bytes, int]) -> None: ...\n"
    )
    assert main(["plan", "small.py"]) == 0
    assert capsys.readouterr().out == "small: a start would make nothing\n"
