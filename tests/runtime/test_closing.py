"""What a container has opened is closed whatever happens, within one bound."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from samza_py import Job, Message
from samza_py.connectors.memory import Memory, MemoryStream
from samza_py.connectors.memory.admin import MemoryAdmin
from samza_py.connectors.memory.checkpoints import MemoryCheckpointStore
from samza_py.connectors.memory.consumer import MemoryConsumer
from samza_py.connectors.memory.producer import MemoryProducer
from samza_py.errors import ContainerError, StalledError, TaskFailedError
from tests.runtime.running import progress, resolved, run, running, values

Words = MemoryStream[str, str]
CLOSE_S = 5.0
STORE = "checkpoints (memory of this process (memory))"
CLIENTS = {
    "system memory": MemoryAdmin,
    STORE: MemoryCheckpointStore,
    "the consumer of memory": MemoryConsumer,
    "the producer of memory": MemoryProducer,
}


async def hangs(_: object) -> None:
    await asyncio.get_running_loop().create_future()


async def breaks(_: object) -> None:
    raise OSError("the line is cut")


def copying(words: Words, out: Words, error: Exception | None = None, **of_job: Any) -> Job[None]:
    job = Job[None]("closing", close_timeout=f"{CLOSE_S}s", **of_job)

    @job.task(words, to=out)
    async def copy(word: Message[str, str]) -> str:
        if error is not None:
            raise error
        return word.value

    return job


def streams() -> tuple[Memory, Words, Words]:
    memory = Memory()
    words = memory.stream("words", key=str, value=str, finite=True)
    memory.put(words, "a", "a")
    return memory, words, memory.stream("out", key=str, value=str)


@pytest.mark.parametrize("what", CLIENTS)
async def test_a_client_that_hangs_when_it_is_closed_is_left_behind_by_name(
    monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    monkeypatch.setattr(CLIENTS[what], "aclose", hangs)
    memory, words, out = streams()
    job, began = copying(words, out), asyncio.get_running_loop().time()
    with pytest.raises(StalledError) as failed:
        await run(job, memory)
    assert str(failed.value).startswith(f"{what} did not close in time (job.close_timeout_s is 5 s")
    assert asyncio.get_running_loop().time() - began < CLOSE_S + 2
    assert values(memory, out) == ["a"]
    assert (await progress(memory, job, "copy/0", words)).done == ()


async def test_all_that_hang_share_one_bound_and_the_rest_is_closed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for what in ("the consumer of memory", "the producer of memory", STORE):
        monkeypatch.setattr(CLIENTS[what], "aclose", hangs)
    closed: list[object] = []

    async def closes(admin: MemoryAdmin) -> None:
        closed.append(admin)

    monkeypatch.setattr(MemoryAdmin, "aclose", closes)
    memory, words, out = streams()
    began = asyncio.get_running_loop().time()
    with pytest.raises(StalledError, match="the producer of memory did not close"):
        await run(copying(words, out), memory)
    assert asyncio.get_running_loop().time() - began < CLOSE_S + 2
    assert len(closed) == 1
    for what in ("the consumer of memory", STORE):
        assert f"closing {what} failed, too: {what} did not close in time" in caplog.text


async def test_a_lifespan_that_hangs_is_cancelled_and_the_clients_below_it_are_closed() -> None:
    ended: list[str] = []

    @asynccontextmanager
    async def clients() -> AsyncGenerator[None]:
        async with asyncio.TaskGroup():  # may be left only by the child that entered it
            yield
            try:
                await hangs(None)
            finally:
                ended.append("clients")

    memory, words, out = streams()
    with pytest.raises(StalledError, match="the lifespan of job closing did not close in time"):
        await run(copying(words, out, lifespan=clients), memory)
    assert ended == ["clients"]


@pytest.mark.parametrize("aclose", [hangs, breaks])
async def test_how_the_job_ended_is_not_hidden_by_a_client_that_cannot_be_closed(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    aclose: Callable[[object], Awaitable[None]],
) -> None:
    monkeypatch.setattr(MemoryConsumer, "aclose", aclose)
    memory, words, out = streams()
    with pytest.raises(TaskFailedError, match="KeyError"):
        await run(copying(words, out, KeyError("plum")), memory)
    assert "closing the consumer of memory failed, too: the consumer of memory" in caplog.text


async def test_a_client_that_fails_when_it_is_closed_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(MemoryConsumer, "aclose", breaks)
    memory, words, out = streams()
    with pytest.raises(ContainerError, match="the consumer of memory failed while it was closed"):
        await run(copying(words, out), memory)
    assert values(memory, out) == ["a"]


async def test_a_lifespan_cannot_swallow_what_ends_the_container_and_neither_can_its_clients(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    @asynccontextmanager
    async def clients() -> AsyncGenerator[None]:
        try:
            yield
        except Exception:
            logging.getLogger("user").exception("never mind")

    async def broken(*_: Any) -> None:
        raise OSError("no producer today")

    monkeypatch.setattr(MemoryProducer, "aopen", broken)
    monkeypatch.setattr(MemoryConsumer, "aclose", breaks)
    memory, words, out = streams()
    with pytest.raises(OSError, match="no producer today"):
        await run(copying(words, out, lifespan=clients), memory)
    assert "failed while it was closed: OSError('the line is cut'); before that" in caplog.text


async def test_an_abort_does_not_wait_for_what_hangs_while_it_closes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(MemoryConsumer, "aclose", hangs)
    memory, words, out = streams()
    async with running(resolved(copying(words, out), memory)) as ran:
        await memory.wait_for(out, 1)
        await asyncio.sleep(1)
        began = asyncio.get_running_loop().time()
        await ran.abort()
        assert asyncio.get_running_loop().time() - began < 1
        assert ran.child.cancelled()
