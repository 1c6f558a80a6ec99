"""`plan`: what a start would make, asked of the systems; nothing is changed by asking."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from samza_py.cli import main
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


def test_a_system_that_is_away_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", write("127.0.0.1:1", 3, "1s")]) == 1
    assert "127.0.0.1:1" in capsys.readouterr().err


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
