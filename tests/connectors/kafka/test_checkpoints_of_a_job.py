"""A whole job over files that keeps its checkpoints and its state in Kafka."""

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
from samza_py.connectors.files import Files
from samza_py.connectors.kafka import Kafka, KafkaCheckpoints

files = Files(root=".")
orders = files.jsonl("orders", "in/*.jsonl", value=int)
job = Job("priced-{id}", checkpoints=KafkaCheckpoints(Kafka("{address}")))

@job.task(orders)
async def price(order: Message[None, int]) -> None:
    print("priced", order.value)
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


@pytest.mark.service
def test_a_job_goes_on_where_its_last_run_has_come_to(
    kafka: Address, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = uuid.uuid4().hex
    job = Path(f"job_{name}.py")
    job.write_text(JOB.format(id=name, address=kafka.bootstrap(PLAINTEXT)))
    Path("in").mkdir()

    Path("in", "a.jsonl").write_text("1\n2\n3\n")

    def priced(*more: str) -> list[str]:
        quiet = ["--progress", "none", "--log-level", "error"]
        assert main(["run", str(job), *quiet, *more]) == 0
        return sorted(capsys.readouterr().out.splitlines())

    everything = ["priced 1", "priced 2", "priced 3"]
    assert priced() == everything
    assert priced() == []
    assert priced("--ignore-checkpoint") == everything
    assert priced() == []
    assert main(["checkpoint", str(job)]) == 0
    out = capsys.readouterr().out
    assert f"topic priced-{name}.checkpoints of kafka at 127.0.0.1" in out
    assert "price/0: commit" in out
