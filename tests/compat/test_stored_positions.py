"""What earlier versions kept of files and of Kafka is read: offsets, lineages, tokens, a topic.

The bytes are kept here for ever, as those of `test_stored_formats.py` are.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from samza_py import Job, Message
from samza_py.checkpoint import Change
from samza_py.connectors.kafka import checkpoint_records
from samza_py.connectors.kafka.checkpoint_owner import Owner
from samza_py.connectors.kafka.checkpoint_records import Named, decode
from samza_py.connectors.kafka.offsets import parsed
from samza_py.connectors.local import LocalCheckpoints
from samza_py.message import Partition
from tests.compat import write_files, write_kafka

WRITTEN = Path(__file__).parent / "written"
STAGED = "out/.staged/copying.copy.0-1700000001-000001-91b7584a.jsonl"
FINISHED = "out/part-copying.copy.0-1700000001-000001-91b7584a.jsonl"
ORDERS, PRICES = Partition("kafka", "orders", "3"), Partition("kafka", "prices", "3")


def laid_out(name: str, root: Path) -> LocalCheckpoints:
    """A root as the stopped job left it, and its checkpoints."""
    shutil.copytree(write_files.INPUTS, root, dirs_exist_ok=True)
    (root / STAGED).parent.mkdir(parents=True)
    (root / STAGED).write_bytes(write_files.STAGED)
    return LocalCheckpoints(shutil.copy(WRITTEN / name, root / "kept.log"))


def copying(root: Path, checkpoints: LocalCheckpoints) -> tuple[Job[None], list[Any]]:
    """The job that was stopped, and the list of what it reads."""
    read: list[Any] = []
    job = Job(write_files.JOB, checkpoints=checkpoints)
    inputs, output = write_files.declared(root)

    @job.task(*inputs.values(), to=output)
    async def copy(message: Message[None, Any]) -> None:
        read.append(message.value)

    return job, read


@pytest.mark.parametrize("name", ["files.v1.log", "files.v2.log"])
async def test_a_job_over_files_goes_on_from_what_was_kept(name: str, tmp_path: Path) -> None:
    job, read = copying(tmp_path, await asyncio.to_thread(laid_out, name, tmp_path))
    await job.arun()

    assert sorted(read, key=str) == sorted(write_files.LEFT, key=str)
    assert (tmp_path / FINISHED).read_bytes() == write_files.STAGED
    assert not (tmp_path / STAGED).exists()


async def test_a_topic_of_checkpoints_of_version_1_is_read_and_written_on() -> None:
    log = write_kafka.loaded(WRITTEN / "kafka.v1.jsonl")
    ((_, key, value),) = log.records[0]
    assert key.startswith(b"task/")
    assert value is not None
    assert decode(value, Named, "here") == Named(1, "pricing", "price/0")
    for restart in range(2):
        owner = Owner(log.topic, 1, write_kafka.TASK)
        await owner.claim()
        found = owner.newest()
        assert found is not None
        assert found.number == 6 + restart
        assert found == await write_kafka.full(found.epoch, 6 + restart)
        entries: list[Change] = []
        async for batch in owner.restore(write_kafka.STORE, str(6 + restart)):
            entries += batch
        assert sorted(entries) == [(b"k0", b"v4"), (b"k1", b"v5"), (b"k2", b"v6"), (b"k3", b"v3")]
        await owner.write(await write_kafka.full(owner.epoch, 7 + restart), {})


async def test_positions_and_lineages_of_kafka_are_read() -> None:
    owner = Owner(write_kafka.loaded(WRITTEN / "kafka.v1.jsonl").topic, 1, write_kafka.TASK)
    await owner.claim()
    found = owner.newest()
    assert found is not None
    assert [parsed(str(found.inputs[p].after)) for p in (ORDERS, PRICES)] == [881, -1]
    lineage = await write_kafka.lineage("orders")
    assert [found.inputs[p].lineage for p in (ORDERS, PRICES)] == [lineage, lineage]
    assert lineage == "9HrBC1jMQ3KlZw4CssPUeQ"  # as Kafka's tools print it


@pytest.mark.skipif(checkpoint_records.VERSION != 1, reason="version 1 is written no more")
def test_the_records_written_today_are_those_of_version_1(tmp_path: Path) -> None:
    write_kafka.write(tmp_path)
    name = write_kafka.NAME
    assert (tmp_path / name).read_bytes() == (WRITTEN / name).read_bytes(), (
        f"{name} is written differently now: that needs a format version of its own"
    )


def test_what_is_kept_of_files_today_is_what_was_kept(tmp_path: Path) -> None:
    write_files.write(tmp_path)
    name = write_files.NAME
    assert (tmp_path / name).read_bytes() == (WRITTEN / name).read_bytes(), (
        f"{name} is written differently now: that needs a version of its own"
    )
