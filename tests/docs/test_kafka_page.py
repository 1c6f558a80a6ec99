"""The page on Kafka: its jobs are checked and one is run, its tables hold what the code holds."""

import asyncio
import inspect
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest

from samza_py.connectors.kafka import Kafka, KafkaCheckpoints, KafkaTopic, Sasl, Tls
from tests.services.kafka_clients import CLIENTS, client_settings, producer, started
from tests.services.kafka_listeners import PASSWORD, PLAINTEXT, SCRAM_512, USER, Listener
from tests.services.kafka_listeners import Kafka as Brokers

PAGE = (Path(__file__).parents[2] / "docs" / "kafka.md").read_text()
BLOCKS = re.findall(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```$", PAGE, re.M | re.S)
ADDRESS = "SAMZA_SYSTEMS__KAFKA__BOOTSTRAP_SERVERS"


def files(folder: Path) -> Path:
    """A folder with the files of the page."""
    for _, name, text in BLOCKS:
        if name:
            (folder / name).write_text(text)
    return folder


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "samza_py", *arguments]


def run(folder: Path, *arguments: str, more: Mapping[str, str] | None = None) -> tuple[int, str]:
    """The exit code of a command of samza-py, and all it said."""
    done = subprocess.run(
        command(*arguments),
        cwd=folder,
        env={**os.environ, **(more or {})},
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=50,
    )
    return done.returncode, done.stdout


@pytest.mark.parametrize("name", [name for _, name, _ in BLOCKS if name])
def test_a_job_of_the_page_is_one(tmp_path: Path, name: str) -> None:
    code, said = run(files(tmp_path), "check", name)
    assert (code, "nothing stands in its way" in said) == (0, True), said


def test_other_blocks_run() -> None:
    for kind, name, text in BLOCKS:
        assert kind == "python"
        if not name:
            subprocess.run([sys.executable, "-c", text], check=True)


def table(heading: str) -> dict[str, str]:
    """The names and defaults of the table below a heading."""
    part = PAGE.partition(f"\n### {heading}\n")[2].partition("\n## ")[0].partition("\n### ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (?:`(.*?)`)? ?\|", part, re.M)
    assert rows
    return dict(rows)


def defaults(kind: Any) -> dict[str, str]:
    """The fields of a dataclass with the text of their defaults."""
    return {one.name: "" if one.default is MISSING else shown(one.default) for one in fields(kind)}


def shown(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


@pytest.mark.parametrize("kind", [Kafka, Tls, Sasl])
def test_a_table_has_every_setting_with_its_default(kind: Any) -> None:
    assert table(kind.__name__) == defaults(kind)


def test_the_tables_of_topics_and_checkpoints_too() -> None:
    topic = inspect.signature(KafkaTopic).parameters.values()
    declared = {one.name: shown(one.default) for one in topic if one.kind is one.KEYWORD_ONLY}
    assert table("Topic") == declared
    own = inspect.signature(KafkaCheckpoints).parameters.values()
    empty = inspect.Parameter.empty
    given = {one.name: "" if one.default is empty else shown(one.default) for one in own}
    assert table("KafkaCheckpoints") == given


def test_exactly_once_is_refused(tmp_path: Path) -> None:
    code, said = run(files(tmp_path), "check", "pricing.py", "--set", "job.guarantee=exactly_once")
    assert code == 2, said
    assert "priced" in said


# Against a real broker --------------------------------------------------------------------------


@pytest.mark.service
async def test_the_first_job_runs_and_stops_as_the_page_says(
    tmp_path: Path, own_kafka: Any
) -> None:
    brokers: Brokers = own_kafka.address
    more = {ADDRESS: brokers.bootstrap(PLAINTEXT)}
    files(tmp_path)
    code, said = await asyncio.to_thread(run, tmp_path, "plan", "pricing.py", more=more)
    assert (code, "a start would make 4" in said) == (0, True), said
    process = await asyncio.create_subprocess_exec(
        *command("run", "pricing.py"), cwd=tmp_path, env={**os.environ, **more}
    )
    try:
        async with asyncio.timeout(40):
            await put(brokers, b'{"sku":"apple","count":3}', b"no JSON")
            (priced,) = await read(brokers, "priced")
            (failed,) = await read(brokers, "failed")
    finally:
        process.send_signal(signal.SIGTERM)
        code = await process.wait()
    assert code == 0
    assert (priced.key, json.loads(priced.value)) == (b"k", {"sku": "apple", "cents": 120})
    assert (failed.key, failed.value) == (b"k", b"no JSON")
    code, said = await asyncio.to_thread(run, tmp_path, "checkpoint", "pricing.py", more=more)
    assert code == 0
    assert "topic pricing.checkpoints of kafka" in said
    assert "finished up to 1" in said


@pytest.mark.service
async def test_two_containers_share_the_tasks_of_a_job(tmp_path: Path, own_kafka: Any) -> None:
    brokers: Brokers = own_kafka.address
    more = {**os.environ, ADDRESS: brokers.bootstrap(PLAINTEXT), "SAMZA_CONTAINER_COUNT": "2"}
    files(tmp_path)
    containers = [
        await asyncio.create_subprocess_exec(
            *command("run", "pricing.py"),
            cwd=tmp_path,
            env={**more, "SAMZA_CONTAINER_INDEX": str(index)},
            stderr=asyncio.subprocess.PIPE,
        )
        for index in range(2)
    ]
    try:
        async with asyncio.timeout(40):
            order = b'{"sku":"apple","count":3}'
            for number in range(20):
                await put(brokers, order, key=b"%d" % number)
            priced = await read(brokers, "priced", 20)
    finally:
        for container in containers:
            container.send_signal(signal.SIGTERM)
        logs = [(await container.communicate())[1].decode() for container in containers]
    assert [container.returncode for container in containers] == [0, 0], logs
    assert sorted(record.key for record in priced) == sorted(b"%d" % one for one in range(20))
    tasks = [set(re.findall(r"task (price/\d) has no checkpoint", log)) for log in logs]
    assert [len(found) for found in tasks] == [2, 2], logs
    assert tasks[0] | tasks[1] == {f"price/{number}" for number in range(4)}


async def put(brokers: Brokers, *values: bytes, key: bytes = b"k") -> None:
    """Write messages of one key, once the job has made the topic."""
    settings = {**client_settings(brokers), "metadata_max_age_ms": 200}
    async with started(CLIENTS.AIOKafkaConsumer(**settings)) as consumer:
        while "failed" not in await consumer.topics():  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    async with started(producer(brokers)) as writer:
        for value in values:
            await writer.send_and_wait("orders", value, key=key)


async def read(brokers: Brokers, topic: str, count: int = 1) -> list[Any]:
    """The records of a topic, once there are so many."""
    settings = {**client_settings(brokers), "auto_offset_reset": "earliest"}
    found: list[Any] = []
    async with started(CLIENTS.AIOKafkaConsumer(topic, **settings)) as consumer:
        while len(found) < count:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += records
    return found


@pytest.mark.service
def test_a_wrong_password_ends_the_start_at_once(tmp_path: Path, secured_kafka: Brokers) -> None:
    way: Listener = SCRAM_512
    text = files(tmp_path).joinpath("pricing.py").read_text()
    sasl = f'sasl=Sasl("{USER}", Secret(""))'
    text = text.replace('Kafka("localhost:9092")', f'Kafka("localhost:9092", {sasl})')
    text = text.replace("import Kafka\n", "import Kafka, Sasl\nfrom samza_py import Secret\n")
    (tmp_path / "guarded.py").write_text(text)
    secret = tmp_path / "password"
    more = {
        ADDRESS: secured_kafka.bootstrap(way),
        "SAMZA_SYSTEMS__KAFKA__SASL__PASSWORD_FILE": str(secret),
    }
    secret.write_text("s3cret\n")
    code, said = run(tmp_path, "run", "guarded.py", more=more)
    assert (code, "wrong user or password" in said) == (1, True), said
    assert "s3cret" not in said
    secret.write_text(f"{PASSWORD}\n")
    code, said = run(tmp_path, "plan", "guarded.py", more=more)
    assert code == 0, said


def test_no_broker_at_the_start_is_waited_for_as_long_as_is_said(tmp_path: Path) -> None:
    more = {ADDRESS: "127.0.0.1:1", "SAMZA_JOB__STARTUP_TIMEOUT": "2s"}
    code, said = run(files(tmp_path), "run", "pricing.py", more=more)
    assert code == 1, said
    assert said.count(" warning ") == 1, said
    assert "127.0.0.1:1" in said
