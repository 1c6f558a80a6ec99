"""What the memory producers promise about messages that are written at once."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from samza_py.checkpoint import Claim
from samza_py.connectors.memory import Fault, Faults, Memory
from samza_py.errors import ConfigError, ConnectorError, RejectedError, UnavailableError
from samza_py.message import Outgoing
from samza_py.producer import Limits, Promise, Rejected, Requests, Retry, Unknown
from tests.connectors.memory.steps import CLAIM, out, stored, turns, write

GONE = UnavailableError("gone")


class Strikes(Faults):
    """Strikes the messages of these values, each one once."""

    def __init__(self, fates: dict[bytes, Fault]) -> None:
        self.fates = fates
        self.receipts: list[asyncio.Future[None]] = []
        self.lose: set[str] = set()

    def messages(self, client: str, batch: Sequence[Outgoing]) -> Mapping[int, Fault]:
        return {i: self.fates.pop(m.value) for i, m in enumerate(batch) if m.value in self.fates}

    async def after(self, operation: str, client: str) -> None:
        if operation in self.lose:
            self.lose.remove(operation)
            raise GONE


async def test_messages_of_a_key_share_a_partition_and_keep_their_order() -> None:
    memory = Memory()
    prices = memory.stream("prices", partitions=4)
    async with memory.producer({"prices": prices}, None) as producer:
        batch = [m for n in range(20) for m in out(prices, n, key=b"k%d" % (n % 3))]
        assert await write(producer, batch) == {}
        lanes = {m.key: producer.lane(m) for m in batch}
    found = memory.read_raw(prices)
    for name in (b"k0", b"k1", b"k2"):
        mine = [m for m in found if m.raw_key == name]
        assert lanes[name] == ("prices", mine[0].partition.id)
        assert {m.partition.id for m in mine} == {mine[0].partition.id}
        assert [int(m.raw_value) for m in mine] == sorted(int(m.raw_value) for m in mine)


async def test_messages_without_a_key_go_round_and_share_a_lane() -> None:
    memory = Memory()
    prices = memory.stream("prices", partitions=2)
    async with memory.producer({"prices": prices}, None) as producer:
        batch = out(prices, 0, 1, 2, 3, key=None)
        await write(producer, batch)
        assert producer.lane(batch[0]) == ("prices", None)
    assert [m.partition.id for m in memory.read_raw(prices)] == ["0", "0", "1", "1"]


async def test_a_chosen_partition_is_kept_and_one_that_is_not_there_is_rejected() -> None:
    memory = Memory()
    prices = memory.stream("prices", partitions=2)
    async with memory.producer({"prices": prices}, None) as producer:
        failures = await write(
            producer,
            [
                Outgoing("prices", b"k", b"there", partition="1"),
                Outgoing("prices", b"k", b"not there", partition="9"),
            ],
        )
    assert isinstance(failures[1], Rejected)
    assert [(m.partition.id, m.raw_value) for m in memory.read_raw(prices)] == [("1", b"there")]


async def test_a_message_above_the_limit_of_its_stream_is_rejected_alone() -> None:
    memory = Memory()
    prices = memory.stream("prices", max_message_bytes=3)
    async with memory.producer({"prices": prices}, None) as producer:
        failures = await write(producer, out(prices, 1, 12345, 2))
    assert list(failures) == [1]
    assert isinstance(failures[1], Rejected)
    assert stored(memory, prices) == [b"1", b"2"]


async def test_a_batch_may_hold_messages_of_several_outputs() -> None:
    memory = Memory()
    prices, audit = memory.stream("prices"), memory.stream("audit")
    async with memory.producer({"prices": prices, "audit": audit}, None) as producer:
        await write(producer, out(prices, 1) + out(audit, 2) + out(prices, 3))
    assert (stored(memory, prices), stored(memory, audit)) == ([b"1", b"3"], [b"2"])


async def test_ordered_requests_let_nothing_pass_a_failed_message_of_its_lane() -> None:
    memory = Memory(limits=Limits(2, 1000, 3))
    prices = memory.stream("prices", partitions=2)
    memory.broker.faults = Strikes({b"1": Fault(Retry(GONE))})
    async with memory.producer({"prices": prices}, None) as producer:
        slow, other = b"k0", b"k4"
        assert producer.lane(out(prices, 0, key=slow)[0]) != producer.lane(
            out(prices, 0, key=other)[0]
        )
        first = await producer.write(out(prices, 1, 2, key=slow))
        second = await producer.write(out(prices, 3, key=slow) + out(prices, 4, key=other))
        assert all(isinstance(f, Retry) for f in (await first).values())
        failures = await second
        assert list(failures) == [0]
        assert await write(producer, out(prices, 1, 2, key=slow)) == {}
        assert await write(producer, out(prices, 3, key=slow)) == {}
    assert sorted(stored(memory, prices)) == [b"1", b"2", b"3", b"4"]
    assert [m.raw_value for m in memory.read_raw(prices) if m.raw_key == slow] == [b"1", b"2", b"3"]


async def test_a_lost_receipt_breaks_an_ordered_producer() -> None:
    memory = Memory()
    prices = memory.stream("prices")
    strikes = memory.broker.faults = Strikes({})
    async with memory.producer({"prices": prices}, None) as producer:
        strikes.lose.add("receipt")
        first, second = await producer.write(out(prices, 1)), await producer.write(out(prices, 2))
        for receipt in (first, second):
            with pytest.raises(ConnectorError):
                await receipt
        with pytest.raises(ConnectorError, match="broken"):
            await producer.write(out(prices, 1))
    async with memory.producer({"prices": prices}, None) as producer:
        assert await write(producer, out(prices, 1)) == {}


@pytest.mark.parametrize("where", ["write", "receipt"])
async def test_a_whole_request_of_which_nothing_is_heard_is_unknown(where: str) -> None:
    memory = Memory(requests=Requests.WHOLE)
    prices = memory.stream("prices")
    strikes = memory.broker.faults = Strikes({})
    async with memory.producer({"prices": prices}, None) as producer:
        strikes.lose.add(where)
        failures = await write(producer, out(prices, 1, 2))
    assert [type(failure) for failure in failures.values()] == [Unknown, Unknown]
    assert stored(memory, prices) == [b"1", b"2"]


async def test_a_whole_request_writes_all_or_nothing() -> None:
    memory = Memory(requests=Requests.WHOLE)
    prices = memory.stream("prices")
    memory.broker.faults = Strikes(
        {b"2": Fault(Rejected(RejectedError("no"))), b"5": Fault(Unknown(GONE), written=True)}
    )
    async with memory.producer({"prices": prices}, None) as producer:
        failures = await write(producer, out(prices, 1, 2, 3))
        assert [type(failures[i]) for i in range(3)] == [Retry, Rejected, Retry]
        assert stored(memory, prices) == []
        failures = await write(producer, out(prices, 4, 5))
        assert [type(failures[i]) for i in range(2)] == [Unknown, Unknown]
        assert stored(memory, prices) == [b"4", b"5"]


async def test_requests_by_message_fail_by_message() -> None:
    memory = Memory(requests=Requests.BY_MESSAGE)
    prices = memory.stream("prices", partitions=2)
    memory.broker.faults = Strikes({b"1": Fault(Unknown(GONE))})
    async with memory.producer({"prices": prices}, None) as producer:
        failures = await write(producer, out(prices, 1, key=b"k0") + out(prices, 2, key=b"k4"))
    assert isinstance(failures[0], Unknown)
    assert stored(memory, prices) == [b"2"]


async def test_requests_by_message_refuse_two_unsettled_messages_of_a_lane() -> None:
    memory = Memory(requests=Requests.BY_MESSAGE)
    prices = memory.stream("prices")
    async with memory.producer({"prices": prices}, None) as producer:
        with pytest.raises(ConnectorError, match="two unsettled"):
            await producer.write(out(prices, 1, 2))
        receipt = await producer.write(out(prices, 1))
        with pytest.raises(ConnectorError, match="two unsettled"):
            await producer.write(out(prices, 2))
        assert await receipt == {}
        assert await write(producer, out(prices, 2)) == {}


async def test_a_write_above_the_limits_is_refused() -> None:
    memory = Memory(limits=Limits(messages=2))
    prices = memory.stream("prices")
    async with memory.producer({"prices": prices}, None) as producer:
        with pytest.raises(ConnectorError, match="limit is 2"):
            await producer.write(out(prices, 1, 2, 3))


async def test_an_idempotent_message_sent_again_takes_its_own_place() -> None:
    memory = Memory(promise=Promise.IDEMPOTENT)
    prices = memory.stream("prices", partitions=2)
    first, second = out(prices, 1, 2)
    async with memory.producer({"prices": prices}, CLAIM) as producer:
        await write(producer, [first, second])
        first.value = b"again"
        await write(producer, [first])
        assert stored(memory, prices) == [b"again", b"2"]
        second.key = b"k4"  # another partition this time
        await write(producer, [second])
    assert sorted(stored(memory, prices)) == [b"2", b"again"]
    assert len({m.partition for m in memory.read_raw(prices)}) == 2


async def test_results_of_two_tasks_for_one_message_do_not_replace_each_other() -> None:
    memory = Memory(promise=Promise.IDEMPOTENT)
    assert memory.producer_scope == "claim"
    prices = memory.stream("prices")
    for task in ("one/0", "two/0"):
        async with memory.producer({"prices": prices}, Claim(task, 1)) as producer:
            await write(producer, out(prices, 1))
    assert stored(memory, prices) == [b"1", b"1"]


async def test_an_older_owner_does_not_replace_what_a_newer_one_wrote() -> None:
    memory = Memory(promise=Promise.IDEMPOTENT)
    prices = memory.stream("prices")
    for epoch, value in ((2, b"new"), (1, b"old")):
        async with memory.producer({"prices": prices}, Claim("t/0", epoch)) as producer:
            (message,) = out(prices, 1)
            message.value = value
            await write(producer, [message])
    assert stored(memory, prices) == [b"new"]


async def test_a_message_that_no_message_caused_is_never_taken_for_another() -> None:
    memory = Memory(promise=Promise.IDEMPOTENT)
    prices = memory.stream("prices")
    async with memory.producer({"prices": prices}, CLAIM) as producer:
        for _ in range(2):
            await write(producer, [Outgoing("prices", None, b"timer")])
    assert stored(memory, prices) == [b"timer", b"timer"]


def test_a_stream_may_only_promise_what_its_system_does_or_less() -> None:
    memory = Memory(promise=Promise.TWO_PHASE)
    assert memory.stream("a").promise is Promise.TWO_PHASE
    assert memory.stream("b", promise=Promise.AT_LEAST_ONCE).promise is Promise.AT_LEAST_ONCE
    with pytest.raises(ConfigError, match="may only promise less"):
        memory.stream("c", promise=Promise.TRANSACTIONAL)


async def test_a_cancelled_write_leaves_its_lane_free() -> None:
    class Slow(Faults):
        async def after(self, operation: str, client: str) -> None:
            await asyncio.get_running_loop().create_future()

    memory = Memory(requests=Requests.BY_MESSAGE)
    prices = memory.stream("prices")
    async with memory.producer({"prices": prices}, None) as producer:
        memory.broker.faults = Slow()
        writing = asyncio.ensure_future(producer.write(out(prices, 1)))
        await turns()
        writing.cancel()
        await asyncio.wait([writing])
        memory.broker.faults = None
        assert await write(producer, out(prices, 1)) == {}
