"""Partitions that come while a job runs are read; those that are gone are not waited for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import pytest

from samza_py import AtTime, Job, Message, Newest, StreamTask, TaskContext
from samza_py.admin import StartAt
from samza_py.assignment import PlannedTask
from samza_py.connectors.memory import Faults, Memory, MemoryStream, Script
from samza_py.errors import ConnectorError, PositionLostError, UnavailableError
from samza_py.message import END
from samza_py.runtime.coordinators import Static
from samza_py.runtime.task_plan import TaskPlan
from tests.runtime.running import checkpoint, progress, resolved, run, running, values

Words = MemoryStream[str, str]

GROUPINGS = ["partition_id", "partition", "all"]


class Shop:
    """A stream of words that is copied by a job, slowly where a test says so."""

    def __init__(self, grouping: Any = "partition_id", *, seconds: float = 0.0, **words: Any):
        self.memory = Memory()
        self.words: Words = self.memory.stream("words", key=str, value=str, **words)
        self.out: Words = self.memory.stream("out", key=str, value=str)
        self.job = Job("shop", commit_interval="1s", partition_check_interval="30s")
        self.asked = Asked()
        self.memory.broker.faults = self.asked

        @self.job.task(self.words, to=self.out, grouping=grouping)
        async def copy(word: Message[str, str]) -> str:
            await asyncio.sleep(seconds)
            return word.value

    def put(self, *words: str, partition: str | None = None) -> None:
        for word in words:
            self.memory.put(self.words, word, word, partition=partition)

    def copied(self) -> list[str]:
        return values(self.memory, self.out)


class Asked(Faults):
    """Counts how often the partitions are asked for."""

    def __init__(self) -> None:
        self.times = 0

    async def before(self, operation: str, client: str) -> None:
        self.times += operation == "partitions"


# Growth --------------------------------------------------------------------------------------


@pytest.mark.parametrize("grouping", GROUPINGS)
async def test_a_partition_that_comes_while_the_job_runs_is_read(grouping: str) -> None:
    shop = Shop(grouping)
    shop.put("a")
    async with running(resolved(shop.job, shop.memory)) as ran:
        await shop.memory.wait_for(shop.out, 1)
        shop.memory.grow(shop.words, 3)
        shop.put("b", partition="1")
        shop.put("c", partition="2")
        shop.put("d", partition="0")
        before = asyncio.get_running_loop().time()
        await shop.memory.wait_for(shop.out, 4)
        assert 25 < asyncio.get_running_loop().time() - before < 31
        await ran.stop()
    assert sorted(shop.copied()) == ["a", "b", "c", "d"]
    for number in range(3):
        task = "copy/all" if grouping == "all" else f"copy/{number}"
        kept = await progress(shop.memory, shop.job, task, shop.words, str(number))
        assert kept.after != "-1"


async def test_a_task_that_gets_more_partitions_lets_its_call_end_and_repeats_nothing() -> None:
    shop = Shop("all", seconds=20)
    shop.put("a", "b", "c")
    async with running(resolved(shop.job, shop.memory)) as ran:
        await asyncio.sleep(10)
        shop.memory.grow(shop.words, 2)
        shop.put("d", partition="1")
        await shop.memory.wait_for(shop.out, 4)
        await ran.stop()
    assert sorted(shop.copied()) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("start", [Newest(), AtTime(10**15)])
@pytest.mark.parametrize("ignore_checkpoint", [False, True])
async def test_what_comes_while_the_job_runs_is_read_from_its_oldest_message(
    start: StartAt, ignore_checkpoint: bool
) -> None:
    shop = Shop(start=start)
    shop.put("old")
    given = resolved(shop.job, shop.memory, ignore_checkpoint=ignore_checkpoint)
    async with running(given) as ran:
        await asyncio.sleep(5)
        shop.memory.grow(shop.words, 4)
        for number in range(1, 4):
            shop.put(f"new {number}", partition=str(number))
        await shop.memory.wait_for(shop.out, 3)
        await ran.stop()
    assert sorted(shop.copied()) == ["new 1", "new 2", "new 3"]


async def test_partitions_that_came_together_are_all_new_at_the_next_start() -> None:
    """The first of them to start must not make the others look as if they had been there."""
    shop = Shop(start=Newest())
    async with running(resolved(shop.job, shop.memory)) as ran:
        await asyncio.sleep(5)
        await ran.stop()
    shop.memory.grow(shop.words, 3)
    shop.put("one", partition="1")
    shop.put("two", partition="2")
    script = Script()
    given = resolved(shop.job, shop.memory, coordination=script.container(shop.memory))
    async with running(given) as ran:
        script.grant("main", ["copy/1"])
        await shop.memory.wait_for(shop.out, 1)
        script.grant("main", ["copy/2"])
        await shop.memory.wait_for(shop.out, 2)
        await ran.stop()
    assert sorted(shop.copied()) == ["one", "two"]


async def test_a_task_that_is_still_being_opened_gets_what_has_come_meanwhile() -> None:
    shop = Shop("all")

    class SlowClaim(Faults):
        async def before(self, operation: str, client: str) -> None:
            if operation == "claim":
                await asyncio.sleep(40)

    shop.memory.broker.faults = SlowClaim()
    async with running(resolved(shop.job, shop.memory)) as ran:
        await ran.until(lambda: bool(ran.container._supervisors))
        shop.memory.grow(shop.words, 2)
        shop.put("a", partition="1")
        await shop.memory.wait_for(shop.out, 1)
        await ran.stop()


async def test_a_task_that_has_ended_goes_on_when_more_partitions_come_for_it() -> None:
    shop = Shop("all")
    other = shop.memory.stream("other", key=str, value=str)

    @shop.job.task(other, to=shop.out)
    async def watch(word: Message[str, str]) -> str:
        return word.value

    shop.put("a")
    shop.memory.close(shop.words)
    async with running(resolved(shop.job, shop.memory)) as ran:
        await asyncio.sleep(100)
        assert shop.copied() == ["a"]
        shop.memory.grow(shop.words, 2)
        shop.put("b", partition="1")
        await shop.memory.wait_for(shop.out, 2)
        await ran.stop()
    assert shop.copied() == ["a", "b"]


async def test_a_system_that_is_away_is_asked_again() -> None:
    shop = Shop()
    shop.put("a")

    class Away(Faults):
        async def before(self, operation: str, client: str) -> None:
            if operation == "partitions" and asyncio.get_running_loop().time() < 100:
                raise UnavailableError("away")

    async with running(resolved(shop.job, shop.memory)) as ran:
        await shop.memory.wait_for(shop.out, 1)
        shop.memory.broker.faults = Away()
        shop.memory.grow(shop.words, 2)
        shop.put("b", partition="1")
        shop.put("c", partition="0")
        await shop.memory.wait_for(shop.out, 2)
        assert asyncio.get_running_loop().time() < 10
        await shop.memory.wait_for(shop.out, 3)
        await ran.stop()


async def test_a_stream_that_is_deleted_ends_the_job_in_good_order() -> None:
    shop = Shop()
    shop.put("a")
    async with running(resolved(shop.job, shop.memory)) as ran:
        await shop.memory.wait_for(shop.out, 1)
        del shop.memory.broker.topics["words"]
        with pytest.raises(ConnectorError, match="memory has no stream 'words'"):
            await ran.ended()
    assert (await checkpoint(shop.memory, shop.job, "copy/0")) is not None


# Splits --------------------------------------------------------------------------------------


async def test_a_stream_made_anew_under_a_reader_that_does_not_see_it_ends_the_job() -> None:
    """A client that fetches by name and offset goes on reading in the new one."""
    shop = Shop()
    plan = TaskPlan(
        resolved(shop.job, shop.memory),
        {"memory": shop.memory.admin({"words": shop.words, "out": shop.out})},
    )
    await plan.read()

    async def nothing(_: Sequence[PlannedTask]) -> None: ...

    watching = asyncio.ensure_future(plan.watch(nothing))
    await plan.look()
    shop.memory.recreate(shop.words)
    seen = plan.look()
    with pytest.raises(PositionLostError, match=r"memory.words\[0\]: the stream was made anew"):
        await watching
    seen.cancel()


@pytest.mark.parametrize("grouping", GROUPINGS)
async def test_the_children_of_the_only_shard_are_read_to_the_end_before_the_job_ends(
    grouping: str,
) -> None:
    shop = Shop(grouping, seconds=1)
    parent, children = ["a", "b", "c"], ["d", "e", "f", "g"]
    shop.put(*parent)
    async with running(resolved(shop.job, shop.memory)) as ran:
        await shop.memory.wait_for(shop.out, 1)
        shop.memory.split(shop.words, "0", "left", "right")
        shop.put(*children)
        shop.memory.split(shop.words, "left", "leftmost")
        shop.put("h", partition="leftmost")
        shop.memory.close(shop.words)
        await ran.ended()
    assert shop.copied()[:3] == parent
    assert sorted(shop.copied()[3:]) == [*children, "h"]
    assert asyncio.get_running_loop().time() < 20  # long before it would look by itself


@pytest.mark.parametrize("grouping", ["partition", "all"])
async def test_a_split_that_comes_after_a_long_quiet_is_seen_at_the_end_of_the_parent(
    grouping: str,
) -> None:
    shop = Shop(grouping, partitions=2)
    async with running(resolved(shop.job, shop.memory)) as ran:
        await asyncio.sleep(100)
        shop.put("a", partition="0")
        shop.memory.merge(shop.words, ["0", "1"], "both")
        shop.put("b")
        await shop.memory.wait_for(shop.out, 2)
        assert asyncio.get_running_loop().time() < 104
        await ran.stop()
    assert shop.copied() == ["a", "b"]


async def test_a_job_does_not_end_while_the_systems_still_answer() -> None:
    class Slow(Asked):
        async def before(self, operation: str, client: str) -> None:
            await super().before(operation, client)
            # The task leaves after they were asked, and before they have answered.
            await asyncio.sleep({"partitions": 5, "release": 2}.get(operation, 0))

    shop = Shop()
    shop.memory.broker.faults = Slow()
    shop.put("a")
    async with running(resolved(shop.job, shop.memory)) as ran:
        await shop.memory.wait_for(shop.out, 1)
        shop.memory.split(shop.words, "0", "0a", "0b")
        shop.put("b", partition="0a")
        shop.memory.close(shop.words)
        await ran.ended()
    assert shop.copied() == ["a", "b"]


async def test_the_end_of_the_inputs_is_told_once_when_the_children_have_ended_too() -> None:
    shop = Shop()
    job = Job("totals", commit_interval="1s")

    class Total(StreamTask[str, str, None]):
        async def process(self, message: Message[str, str], ctx: TaskContext[None]) -> None:
            await asyncio.sleep(1)

        async def on_end(self, ctx: TaskContext[None]) -> str:
            return "the end"

    job.add(Total, shop.words, to=shop.out, grouping="all")
    shop.put("a", "b")
    async with running(resolved(job, shop.memory)) as ran:
        await asyncio.sleep(0.5)
        shop.memory.split(shop.words, "0", "left", "right")
        shop.put("c", "d", "e")
        shop.memory.close(shop.words)
        await ran.ended()
    assert shop.copied() == ["the end"]


@pytest.mark.parametrize("grouping", GROUPINGS)
async def test_an_input_that_does_not_change_costs_one_more_question_and_no_time(
    grouping: str,
) -> None:
    shop = Shop(grouping, seconds=1, partitions=1, finite=True)
    shop.put("a", "b")
    await run(shop.job, shop.memory)
    assert shop.asked.times == 2
    assert asyncio.get_running_loop().time() < 2.1
    await run(shop.job, shop.memory)  # it has ended before: nothing can have come since the start
    assert shop.asked.times == 3


async def test_tasks_that_end_together_are_one_question() -> None:
    shop = Shop(partitions=5, finite=True)
    for number in range(5):
        shop.put("a", partition=str(number))
    await run(shop.job, shop.memory)
    assert shop.asked.times == 2


async def test_a_stop_while_a_task_asks_for_more_partitions_ends_the_run() -> None:
    shop = Shop("all", finite=True)
    shop.put("a")

    class Hangs(Asked):
        async def before(self, operation: str, client: str) -> None:
            await super().before(operation, client)
            if operation == "partitions" and self.times > 1:
                await asyncio.get_running_loop().create_future()

    shop.memory.broker.faults = hangs = Hangs()
    async with running(resolved(shop.job, shop.memory)) as ran:
        await ran.until(lambda: hangs.times > 1)
        await ran.stop()
    assert (await progress(shop.memory, shop.job, "copy/all", shop.words)).after is END


# Several containers --------------------------------------------------------------------------


@pytest.mark.parametrize("grouping", ["partition", "all"])
async def test_static_containers_share_out_what_comes_and_end_together(grouping: str) -> None:
    shop = Shop(grouping, seconds=1, partitions=3)
    shop.put("a", partition="0")
    shop.put("b", partition="1")
    given = [resolved(shop.job, shop.memory, coordination=Static(index, 3)) for index in range(3)]
    async with running(given[0]) as one, running(given[1]) as two:
        await shop.memory.wait_for(shop.out, 1 if grouping == "all" else 2)
        shop.memory.grow(shop.words, 8)
        for number in range(2, 8):
            shop.put(str(number), partition=str(number))
        async with running(given[2]) as three:  # it sees all of them from the start
            await shop.memory.wait_for(shop.out, 8)
            shop.memory.split(shop.words, "7", "70", "71")
            shop.put("last", partition="71")
            shop.memory.close(shop.words)
            await asyncio.gather(one.ended(), two.ended(), three.ended())
    assert sorted(shop.copied()) == [*map(str, range(2, 8)), "a", "b", "last"]


async def test_a_task_that_is_granted_before_its_partition_is_seen_here_starts_then() -> None:
    shop = Shop()
    script = Script()
    one = shop.memory.connect("one")
    async with running(resolved(shop.job, one, coordination=script.container(one))) as first:
        script.grant("one", ["copy/0"])
        await asyncio.sleep(1)
        shop.memory.grow(shop.words, 2)
        shop.put("b", partition="1")
        script.grant("one", ["copy/1"])
        await shop.memory.wait_for(shop.out, 1)
        assert asyncio.get_running_loop().time() < 5
        await first.stop()


async def test_a_revoked_task_is_not_taken_up_again_when_its_partitions_come() -> None:
    shop = Shop("all")
    shop.put("a")
    script = Script()
    one = shop.memory.connect("one")
    given = resolved(shop.job, one, coordination=script.container(one))
    async with running(given) as first:
        script.grant("one", ["copy/all"])
        await shop.memory.wait_for(shop.out, 1)
        script.revoke("one", ["copy/all"])
        await script.wait_for_owner("copy/all", None)
        shop.memory.grow(shop.words, 2)
        shop.put("b", partition="1")
        await asyncio.sleep(100)
        assert shop.copied() == ["a"]
        script.grant("one", ["copy/all"])
        await shop.memory.wait_for(shop.out, 2)
        await first.stop()


async def test_containers_do_not_end_while_a_task_elsewhere_has_got_more_partitions() -> None:
    shop = Shop("all", seconds=5)
    shop.put("a")
    shop.memory.close(shop.words)
    script = Script()
    one, two = (
        resolved(shop.job, link, coordination=script.container(link))
        for link in (shop.memory.connect("one"), shop.memory.connect("two"))
    )
    async with running(one) as first, running(two) as second:
        script.grant("one", ["copy/all"])
        await first.until(lambda: bool(first.container._supervisors))
        await first.until(lambda: first.container._supervisors[0].ended)
        shop.memory.grow(shop.words, 2)
        shop.put("b", partition="1")
        shop.memory.close(shop.words)
        await second.ended()
        assert shop.copied() == ["a", "b"]
        await first.ended()


async def test_a_task_that_has_ended_and_was_revoked_is_left_to_its_next_owner() -> None:
    shop = Shop("all")
    shop.put("a")
    shop.memory.close(shop.words)
    script = Script()
    one = shop.memory.connect("one")
    async with running(resolved(shop.job, one, coordination=script.container(one))) as first:
        script.grant("one", ["copy/all"])
        await first.until(lambda: bool(first.container._supervisors))
        await first.until(lambda: first.container._supervisors[0].ended)
        script.revoke("one", ["copy/all"])
        await script.wait_for_owner("copy/all", None)
        shop.memory.grow(shop.words, 2)
        shop.put("b", partition="1")
        await asyncio.sleep(100)
        assert shop.copied() == ["a"]
        script.grant("one", ["copy/all"])
        await shop.memory.wait_for(shop.out, 2)
        await first.stop()


# Parents that are gone -----------------------------------------------------------------------


@pytest.mark.parametrize("grouping", GROUPINGS)
async def test_a_parent_that_is_gone_and_was_never_read_counts_as_passed(
    grouping: str, caplog: pytest.LogCaptureFixture
) -> None:
    shop = Shop(grouping)
    shop.memory.split(shop.words, "0", "left", "right")
    shop.put("a", partition="left")
    shop.put("b", partition="right")
    shop.memory.close(shop.words)
    del shop.memory.broker.topic("words").logs["0"]
    await run(shop.job, shop.memory)
    assert sorted(shop.copied()) == ["a", "b"]
    assert "does not wait for memory.words[0]: it is gone, and was never read" in caplog.text


async def test_a_parent_that_is_gone_but_was_read_to_its_end_is_no_news(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shop = Shop()
    shop.put("a")
    shop.memory.split(shop.words, "0", "left")
    async with running(resolved(shop.job, shop.memory)) as ran:
        await shop.memory.wait_for(shop.out, 1)
        await asyncio.sleep(5)
        await ran.stop()
    del shop.memory.broker.topic("words").logs["0"]
    shop.put("b")
    shop.memory.close(shop.words)
    with caplog.at_level(logging.WARNING):
        await run(shop.job, shop.memory)
    assert shop.copied() == ["a", "b"]
    assert not caplog.records


async def test_a_parent_that_is_gone_before_it_was_read_to_its_end_is_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shop = Shop(seconds=10)
    shop.put("a", "b")
    shop.memory.split(shop.words, "0", "left")
    shop.put("c")
    async with running(resolved(shop.job, shop.memory)) as ran:
        await asyncio.sleep(5)
        await ran.stop()
    del shop.memory.broker.topic("words").logs["0"]
    async with running(resolved(shop.job, shop.memory)) as ran:
        await asyncio.sleep(100)
        await ran.stop()
    assert shop.copied() == ["a"]
    said = "task copy/left waits for memory.words[0], which is gone and was read to 0 only"
    assert [record.message for record in caplog.records].count(said) == 1
