"""What the two-phase producer promises: staged before the checkpoint, visible after it."""

from __future__ import annotations

from typing import cast

import pytest

from samza_py.checkpoint import Claim, Token
from samza_py.connectors.memory import Memory, MemoryStream, staging
from samza_py.errors import ConfigError, ConnectorError
from samza_py.producer import Promise, Rejected, TwoPhaseProducer
from tests.connectors.memory.steps import out, stored, write


def two_phase() -> tuple[Memory, MemoryStream[bytes, bytes]]:
    memory = Memory(promise=Promise.TWO_PHASE)
    return memory, memory.stream("files", partitions=2)


def producer(
    memory: Memory, stream: MemoryStream[bytes, bytes], task: str = "t/0", epoch: int = 1
) -> TwoPhaseProducer:
    made = memory.producer({stream.name: stream}, Claim(task, epoch, job="shop"))
    return cast("TwoPhaseProducer", made)


async def staged(made: TwoPhaseProducer) -> Token:
    ((token,),) = (await made.stage()).values()
    return token


async def test_what_is_staged_is_seen_only_when_its_token_is_finished() -> None:
    memory, files = two_phase()
    async with producer(memory, files) as made:
        assert await write(made, out(files, 1, 2)) == {}
        token = await staged(made)
        assert stored(memory, files) == []
        await write(made, out(files, 3))
        await made.finish(token)
        assert stored(memory, files) == [b"1", b"2"]
        await made.finish(token)
        assert stored(memory, files) == [b"1", b"2"]


async def test_a_stage_of_nothing_gives_no_token() -> None:
    memory, files = two_phase()
    async with producer(memory, files) as made:
        await write(made, out(files, 1))
        assert list(await made.stage()) == ["files"]
        assert await made.stage() == {}


async def test_each_output_has_a_token_of_its_own() -> None:
    memory, files = two_phase()
    more = memory.stream("more")
    claim = Claim("t/0", 1)
    made = cast("TwoPhaseProducer", memory.producer({"files": files, "more": more}, claim))
    async with made:
        await write(made, out(files, 1) + out(more, 2))
        tokens = await made.stage()
        await made.finish(tokens["more"][0])
    assert (stored(memory, files), stored(memory, more)) == ([], [b"2"])


async def test_an_output_that_promises_less_is_written_at_once() -> None:
    memory, _ = two_phase()
    log = memory.stream("log", promise=Promise.AT_LEAST_ONCE)
    two = memory.stream("two")
    claim = Claim("t/0", 1)
    async with memory.producer({"log": log, "two": two}, claim) as made:
        await write(made, out(log, 1) + out(two, 2))
    assert (stored(memory, log), stored(memory, two)) == ([b"1"], [])


async def test_recover_finishes_what_is_named_and_removes_the_rest_of_the_task() -> None:
    memory, files = two_phase()
    async with producer(memory, files) as crashed:
        await write(crashed, out(files, 1))
        named = await staged(crashed)
        await write(crashed, out(files, 2))
        await staged(crashed)
    async with producer(memory, files, epoch=2) as made:
        await made.recover(Claim("t/0", 2, job="shop"), {"files": (named,)})
        assert stored(memory, files) == [b"1"]
        assert not memory.broker.staged


async def test_recover_leaves_other_tasks_other_jobs_and_newer_owners_alone() -> None:
    memory, files = two_phase()
    claims = [Claim("u/0", 1, job="shop"), Claim("t/0", 1, job="bar"), Claim("t/0", 3, job="shop")]
    for claim in claims:
        async with memory.producer({"files": files}, claim) as other:
            await write(other, out(files, 1))
            await cast("TwoPhaseProducer", other).stage()
    async with producer(memory, files, epoch=2) as made:
        await made.recover(Claim("t/0", 2, job="shop"), {})
    assert len(memory.broker.staged) == 3


async def test_recover_drops_what_was_written_before_a_rollback() -> None:
    memory, files = two_phase()
    claim = Claim("t/0", 1, job="shop")
    async with producer(memory, files) as made:
        await write(made, out(files, 1))
        await made.recover(claim, {})
        await write(made, out(files, 2))
        await made.finish(await staged(made))
    assert stored(memory, files) == [b"2"]


async def test_what_is_abandoned_is_gone() -> None:
    memory, files = two_phase()
    async with producer(memory, files) as made:
        await write(made, out(files, 1))
        token = await staged(made)
        await made.abandon(token)
        await made.abandon(token)
    assert (stored(memory, files), memory.broker.staged) == ([], {})


async def test_staged_and_final_both_gone_is_a_warning_that_names_the_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    warned: list[str] = []

    def warning(text: str, *arguments: object) -> None:
        warned.append(text % arguments)

    # Not caplog: pytest's own handler writes to a file, on the loop.
    monkeypatch.setattr(staging.logger, "warning", warning)
    memory, files = two_phase()
    async with producer(memory, files) as made:
        await write(made, out(files, 1))
        token = await staged(made)
        await made.finish(token)
        assert warned == []
        memory.broker.finished.clear()
        await made.finish(token)
    assert len(warned) == 1
    assert token in warned[0]
    assert stored(memory, files) == [b"1"]


async def test_what_is_no_token_is_refused() -> None:
    memory, files = two_phase()
    async with producer(memory, files) as made:
        with pytest.raises(ConnectorError, match="not one of its tokens"):
            await made.finish(Token("{}"))


async def test_a_partition_that_was_closed_after_the_stage_is_not_written_to() -> None:
    memory, files = two_phase()
    async with producer(memory, files) as made:
        await write(made, out(files, 1))
        token = await staged(made)
        memory.split(files, "0", "0a", "0b")
        memory.split(files, "1", "1a", "1b")
        await made.finish(token)
    (message,) = memory.read_raw(files)
    assert message.partition.id in ("0a", "0b", "1a", "1b")


async def test_a_token_whose_stream_was_closed_stays_staged() -> None:
    memory, files = two_phase()
    async with producer(memory, files) as made:
        await write(made, out(files, 1))
        token = await staged(made)
        memory.close(files)
        with pytest.raises(ConnectorError, match="cannot be finished"):
            await made.finish(token)
        assert isinstance((await write(made, out(files, 2)))[0], Rejected)
    assert len(memory.broker.staged) == 1


def test_two_phase_outputs_need_a_claim() -> None:
    memory, files = two_phase()
    with pytest.raises(ConfigError, match="for a claim"):
        memory.producer({"files": files}, None)
