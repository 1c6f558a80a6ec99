"""The code around a job is the user's own: what it raises is told as that."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from samza_py import Job, Message, StreamTask, TaskContext
from samza_py.cli.failures import described
from samza_py.connectors.memory import Memory
from samza_py.errors import ConfigError, ContainerError, TaskFailedError
from tests.runtime.running import run


def lifespan(entering: Exception | None, leaving: Exception | None = None) -> Any:
    @asynccontextmanager
    async def clients() -> AsyncGenerator[None]:
        if entering is not None:
            raise entering
        yield
        if leaving is not None:
            raise leaving

    return clients


async def ran(
    around: Callable[[], AbstractAsyncContextManager[Any]], error: Exception | None = None
) -> None:
    """A job over one word, whose handler may fail."""
    memory = Memory()
    words = memory.stream("words", key=str, value=str)
    job = Job("clients", lifespan=around)
    memory.put(words, "a", "a")
    memory.close(words)

    @job.task(words)
    async def work(word: Message[str, str]) -> None:
        if error is not None:
            raise error

    await run(job, memory)


@pytest.mark.parametrize(
    ("around", "when"),
    [
        (lifespan(OSError("no database")), "entered"),
        (lifespan(None, OSError("no database")), "left"),
    ],
)
async def test_a_lifespan_that_fails_is_named_with_the_users_traceback(
    around: Any, when: str
) -> None:
    with pytest.raises(ContainerError) as failed:
        await ran(around)
    told = described(failed.value)
    assert told.startswith(f"the lifespan of job clients failed while it was {when}\n")
    assert "  because: OSError: no database" in told
    assert "in clients" in told
    assert "opening.py" not in told


async def test_an_error_of_ours_that_a_lifespan_raises_stays_what_it_is() -> None:
    with pytest.raises(ConfigError, match="DATABASE: is not set"):
        await ran(lifespan(ConfigError("DATABASE", "is not set")))


async def test_an_error_of_the_job_goes_through_the_lifespan_unchanged() -> None:
    with pytest.raises(TaskFailedError, match="ValueError: bad word"):
        await ran(lifespan(None), ValueError("bad word"))


async def test_a_task_class_that_cannot_be_made_is_a_failure_of_the_task() -> None:
    class Broken(StreamTask[str, str, None]):
        def __init__(self) -> None:
            raise OSError("no database")

        async def process(self, message: Message[str, str], ctx: TaskContext[None]) -> None: ...

    memory = Memory()
    job = Job("broken")
    job.add(Broken, memory.stream("words", key=str, value=str))
    with pytest.raises(
        TaskFailedError, match="Broken/0 failed at the making of its object"
    ) as told:
        await run(job, memory)
    assert "no database" in described(told.value)
    assert "in __init__" in described(told.value)
