"""One file serves one process; others may look, and are told whom to stop."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from samza_py.checkpoint import Grant
from samza_py.connectors.local import LocalCheckpoints
from samza_py.errors import CheckpointError
from tests.connectors.local.workload import JOB

HOLDER = """
import asyncio, sys
from samza_py.checkpoint import Grant
from samza_py.connectors.local import LocalCheckpoints
from tests.connectors.local.workload import JOB, commit

async def main():
    async with LocalCheckpoints(sys.argv[1]).store(JOB) as store:
        claim, _ = await store.open(Grant("price/0"))
        await commit(store, claim, 1)
        print("holding", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        for number in range(2, 12):
            await commit(store, claim, number)
        print("written", flush=True)
        await asyncio.to_thread(sys.stdin.readline)

asyncio.run(main())
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the file open."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "checkpoints.log")]
    root = Path(__file__).parents[3]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=root) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "holding\n"
        yield process
        process.kill()


async def test_the_second_process_is_told_the_pid_of_the_first(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    async with LocalCheckpoints(tmp_path / "checkpoints.log").store(JOB) as store:
        with pytest.raises(CheckpointError) as refused:
            await store.open(Grant("price/1"))
    told = str(refused.value)
    assert f"in use by another process (pid {holder.pid})" in told
    assert "\n" not in told


async def test_a_killed_process_leaves_the_file_to_the_next_at_once(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    async with LocalCheckpoints(tmp_path / "checkpoints.log").store(JOB) as store:
        with pytest.raises(CheckpointError):
            await store.open(Grant("price/0"))
        holder.kill()
        holder.wait(20)
        _, found = await store.open(Grant("price/0"))
        assert found is not None
        assert found.number == 1


async def test_the_checkpoints_of_a_running_job_can_be_read(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    async with LocalCheckpoints(tmp_path / "checkpoints.log").store(JOB) as store:
        assert (await store.read())["price/0"].number == 1
        assert holder.stdin is not None
        assert holder.stdout is not None
        holder.stdin.write("\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == "written\n"
        assert (await store.read(["price/0"]))["price/0"].number == 11
        assert await store.read(["price/1"]) == {}


async def test_two_stores_of_one_process_are_no_exception(tmp_path: Path) -> None:
    checkpoints = LocalCheckpoints(tmp_path / "checkpoints.log")
    async with checkpoints.store(JOB) as one, checkpoints.store(JOB) as two:
        await one.open(Grant("price/0"))
        with pytest.raises(CheckpointError, match="another run in this process"):
            await two.open(Grant("price/1"))
    async with checkpoints.store(JOB) as three:
        await three.open(Grant("price/0"))
