"""The sending side alone: batches, order over failures, broken producers, commits."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# What is called here is made of lambdas in tables, whose types nobody needs.

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Hashable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samza_py.errors import ConnectorError, UnavailableError
from samza_py.message import Outgoing
from samza_py.producer import (
    Failure,
    Failures,
    Limits,
    Producer,
    Receipt,
    Rejected,
    Requests,
    Retry,
    Settled,
    Unknown,
)
from samza_py.runtime.ordered_outbox import OrderedOutbox
from samza_py.runtime.outbox import Outbox
from samza_py.runtime.port import Parcel, Port
from samza_py.runtime.producing import ProducerHost
from samza_py.runtime.rooms import Share
from samza_py.runtime.sending import made_outbox
from samza_py.transaction import Transaction

AWAY = UnavailableError("away")


def message(number: int, lane: str = "", size: int = 4) -> Outgoing:
    return Outgoing("out", lane.encode(), f"{number:0{size}}".encode())


class Sink(Producer):
    """A producer whose every message meets a fate, given by its value; kept in the order written.

    ``ORDERED``: like a real one, it fails what follows a failure in its lane until that was told.
    """

    def __init__(
        self, requests: Requests, limits: Limits, fates: dict[bytes, list[Failure]]
    ) -> None:
        self.requests = requests
        self.limits = limits
        self.fates = fates
        self.written: list[Outgoing] = []
        self.writes: list[list[Outgoing]] = []
        self.refuse: list[ConnectorError] = []
        self.broken: ConnectorError | None = None
        self.flushed = 0
        self.settle_s = 0.01
        self.lanes_out: dict[Hashable, int] = {}
        self.most_out = 0
        self.out = 0
        self.failed_lanes: set[Hashable] = set()

    def lane(self, message: Outgoing) -> Hashable:
        return message.key

    async def write(self, batch: Sequence[Outgoing], within: Transaction | None = None) -> Receipt:
        await asyncio.sleep(0)
        if self.refuse:
            raise self.refuse.pop(0)
        assert 0 < len(batch) <= self.limits.messages
        assert len(batch) == 1 or sum(m.size for m in batch) <= self.limits.bytes
        self.writes.append(list(batch))
        failures: dict[int, Failure] = {}
        for index, one in enumerate(batch):
            lane = self.lane(one)
            if self.requests is Requests.BY_MESSAGE:
                assert not self.lanes_out.get(lane), "two unsettled messages of a lane"
                self.lanes_out[lane] = 1
            if self.requests is Requests.ORDERED and lane in self.failed_lanes:
                failures[index] = Retry(AWAY)
                continue
            fates = self.fates.get(one.value)
            if fates:
                failures[index] = fates.pop(0)
                if not isinstance(failures[index], Rejected):
                    self.failed_lanes.add(lane)
        if self.requests is Requests.WHOLE and failures:
            failures = {i: failures.get(i, Retry(AWAY)) for i in range(len(batch))}
        self.written += [one for index, one in enumerate(batch) if index not in failures]
        self.out += 1
        self.most_out = max(self.most_out, self.out)
        return Settled(self._settle(batch, failures))

    async def _settle(self, batch: Sequence[Outgoing], failures: Failures) -> Failures:
        await asyncio.sleep(self.settle_s)
        self.out -= 1
        if self.broken is not None:
            raise self.broken
        for index, one in enumerate(batch):
            self.lanes_out.pop(self.lane(one), None)
            if index in failures:
                self.failed_lanes.discard(self.lane(one))
        return failures

    async def flush(self) -> None:
        self.flushed += 1


class Sent:
    """A port at an outbox over sinks, and what came of it."""

    def __init__(self, outbox: Outbox, sinks: list[Sink]) -> None:
        self.outbox = outbox
        self.sinks = sinks
        self.rejected: list[bytes] = []
        self.port = Port("out", outbox, Share(1000, 1 << 20), lambda: None, self._on_rejection)

    def _on_rejection(self, message: Outgoing, error: ConnectorError, generation: int) -> None:
        self.rejected.append(message.value)

    def put(self, *messages: Outgoing, generation: int = 0) -> None:
        self.port.put(list(messages), sum(m.size for m in messages), generation)

    async def settled(self, generation: int = 0) -> None:
        async with asyncio.timeout(1000):
            await self.port.wait_settled(generation)

    @property
    def values(self) -> list[int]:
        return [int(m.value) for sink in self.sinks for m in sink.written]

    def lane(self, lane: str) -> list[int]:
        written = [m for sink in self.sinks for m in sink.written]
        return [int(m.value) for m in written if m.key == lane.encode()]


SMALL = Limits(messages=10, bytes=1000, in_flight=3)


@asynccontextmanager
async def sending(
    requests: Requests,
    fates: Mapping[int, Sequence[Failure]] | None = None,
    *,
    limits: Limits = SMALL,
    linger_s: float = 0.005,
    size: int = 4,
) -> AsyncGenerator[Sent]:
    by_value = {f"{n:0{size}}".encode(): list(f) for n, f in (fates or {}).items()}
    sinks: list[Sink] = []

    def make() -> Producer:
        sinks.append(Sink(requests, limits, by_value))
        return sinks[-1]

    host = ProducerHost("sink", make)
    await host.open()
    outbox = made_outbox("out", host, linger_s)
    child = asyncio.ensure_future(outbox.run())
    try:
        yield Sent(outbox, sinks)
        assert not child.done(), child.exception()
    finally:
        child.cancel()
        await asyncio.wait((child,))


@pytest.mark.parametrize("requests", list(Requests))
async def test_what_is_handed_over_arrives_in_batches_within_the_limits(requests: Requests) -> None:
    async with sending(requests) as sent:
        for number in range(0, 100, 5):
            sent.put(*(message(n, f"l{n}") for n in range(number, number + 5)))
        await sent.settled()
        assert sorted(sent.values) == list(range(100))
        assert sent.port.unsettled_messages == 0
        assert sent.port.unsettled_bytes == 0
        assert len(sent.sinks[0].writes) <= 11


async def test_a_batch_waits_a_little_for_more_unless_it_is_full_or_hurried() -> None:
    loop = asyncio.get_running_loop()
    async with sending(Requests.ORDERED, linger_s=5.0) as sent:
        sink = sent.sinks[0]
        sent.put(message(1))
        await asyncio.sleep(4)
        assert sink.writes == []
        sent.put(message(2))
        await asyncio.sleep(2)
        assert [len(batch) for batch in sink.writes] == [2]
        sent.put(*(message(n) for n in range(10)))  # full
        await asyncio.sleep(0.5)
        assert [len(batch) for batch in sink.writes] == [2, 10]
        sent.put(message(3))
        began = loop.time()
        await sent.settled()
        assert loop.time() - began < 1
        assert sink.flushed == 1


async def test_in_flight_requests_are_bounded_and_one_where_they_fail_whole() -> None:
    for requests, most in ((Requests.ORDERED, 3), (Requests.WHOLE, 1), (Requests.BY_MESSAGE, 3)):
        async with sending(requests) as sent:
            sent.put(*(message(n, f"l{n}") for n in range(100)))
            await sent.settled()
            assert sent.sinks[0].most_out == most


@pytest.mark.parametrize("requests", list(Requests))
async def test_a_message_that_failed_is_sent_again_and_none_of_its_lane_passes_it(
    requests: Requests,
) -> None:
    fates: dict[int, list[Failure]] = {
        7: [Retry(AWAY), Unknown(AWAY)],
        20: [Retry(AWAY, after_s=3)],
        41: [Unknown(AWAY)],
    }
    async with sending(requests, fates) as sent:
        for number in range(60):
            sent.put(message(number, f"lane {number % 3}"))
        await sent.settled()
        for lane in range(3):
            assert sent.lane(f"lane {lane}") == list(range(lane, 60, 3))


async def test_nothing_passes_a_failure_by_way_of_a_producer_that_another_output_renewed() -> None:
    async with sending(Requests.ORDERED, {1: [Retry(AWAY)]}, linger_s=0.0) as sent:
        sent.sinks[0].settle_s = 5.0
        sent.put(message(1, "a"))
        await asyncio.sleep(1)
        await sent.outbox._host.renew(0, AWAY)
        sent.put(message(2, "a"))
        await sent.settled()
        assert len(sent.sinks) == 2
        assert sent.lane("a") == [1, 2]


async def test_nothing_passes_a_failure_that_is_told_before_an_older_batch_is_settled() -> None:
    async with sending(Requests.ORDERED, {1: [Retry(AWAY)]}, linger_s=0.0) as sent:
        sink = sent.sinks[0]
        sink.settle_s = 5.0
        sent.put(message(0, "a"))
        await asyncio.sleep(1)
        sink.settle_s = 0.01
        sent.put(message(1, "b"))
        await asyncio.sleep(1)  # that it has failed is known by now, and what was before it is not
        sent.put(message(2, "b"))
        await sent.settled()
        assert sent.lane("b") == [1, 2]


@pytest.mark.parametrize("requests", list(Requests))
async def test_a_rejected_message_is_told_once_and_the_rest_arrives(requests: Requests) -> None:
    fates: dict[int, list[Failure]] = {3: [Rejected(ConnectorError("no"))], 4: [Retry(AWAY)]}
    async with sending(requests, fates) as sent:
        sent.put(*(message(n, "lane") for n in range(8)))
        await sent.settled()
        assert sent.rejected == [b"0003"]
        assert sent.values == [0, 1, 2, 4, 5, 6, 7]


async def test_a_lane_that_fails_by_message_holds_up_no_other() -> None:
    fates = {0: [Retry(AWAY, after_s=100.0)]}
    async with sending(Requests.BY_MESSAGE, fates) as sent:
        sent.put(message(0, "bad"), message(1, "bad"), message(2, "good"), message(3, "good"))
        await asyncio.sleep(5)
        assert sent.values == [2, 3]
        await sent.settled()
        assert sent.lane("bad") == [0, 1]


@pytest.mark.parametrize("requests", list(Requests))
async def test_a_system_that_is_away_is_tried_again(requests: Requests) -> None:
    async with sending(requests) as sent:
        sent.sinks[0].refuse = [AWAY, AWAY, AWAY]
        sent.put(*(message(n, "lane") for n in range(5)))
        await sent.settled()
        assert sent.values == [0, 1, 2, 3, 4]
        assert len(sent.sinks) == 1


@pytest.mark.parametrize("requests", list(Requests))
@pytest.mark.parametrize("when", ["accepting", "settling"])
async def test_a_broken_producer_is_made_anew_and_what_was_not_settled_is_sent_again(
    requests: Requests, when: str
) -> None:
    async with sending(requests) as sent:
        if when == "accepting":
            sent.sinks[0].refuse = [ConnectorError("broken")]
        else:
            sent.sinks[0].broken = ConnectorError("broken")
        sent.put(*(message(n, f"l{n % 2}") for n in range(20)))
        await sent.settled()
        assert len(sent.sinks) == 2
        last = [int(m.value) for m in sent.sinks[1].written]
        assert sorted(set(sent.values)) == list(range(20))
        for lane in (0, 1):
            assert [n for n in last if n % 2 == lane] == list(range(lane, 20, 2))[-len(last) // 2 :]


async def test_a_producer_that_breaks_again_and_again_ends_the_outbox() -> None:
    sinks: list[Sink] = []

    def make() -> Producer:
        sink = Sink(Requests.ORDERED, Limits(), {})
        sink.refuse = [ConnectorError("always broken")] * 3
        sinks.append(sink)
        return sink

    host = ProducerHost("sink", make)
    outbox = made_outbox("out", host, 0.0)
    port = Port("out", outbox, Share(10, 1000), lambda: None, lambda *_: None)
    port.put([message(1)], 4, 0)
    with pytest.raises(ConnectorError, match="always broken"):
        await asyncio.wait_for(outbox.run(), 1000)
    assert len(sinks) == 6


async def test_an_outage_that_breaks_each_new_producer_is_waited_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sinks: list[Sink] = []

    def make() -> Producer:
        sink = Sink(Requests.ORDERED, Limits(), {})
        sink.broken = AWAY if len(sinks) < 20 else None
        sinks.append(sink)
        return sink

    host = ProducerHost("sink", make)
    outbox = made_outbox("out", host, 0.0)
    port = Port("out", outbox, Share(10, 1000), lambda: None, lambda *_: None)
    child = asyncio.ensure_future(outbox.run())
    port.put([message(1)], 4, 0)
    async with asyncio.timeout(1000):
        await port.wait_settled(0)
    assert len(sinks) == 21
    assert len([r for r in caplog.records if "of sink" in r.getMessage()]) < 10
    child.cancel()
    await asyncio.wait((child,))


@pytest.mark.parametrize("requests", list(Requests))
async def test_what_a_task_left_behind_is_not_sent(requests: Requests) -> None:
    async with sending(requests, linger_s=1.0) as sent:
        other = Sent(sent.outbox, sent.sinks)
        sent.put(message(1, "a"), message(2, "a"))
        other.put(message(3, "a"), message(4, "b"))
        sent.port.close()
        await other.settled()
        assert sorted(sent.values) == [3, 4]
        assert not sent.port.settled_up_to(0)  # no commit may think that it was sent


async def test_a_commit_waits_for_its_own_generation_and_not_for_what_comes_later() -> None:
    async with sending(Requests.BY_MESSAGE, {9: [Retry(AWAY, after_s=500)]}) as sent:
        sent.put(message(1, "a"), generation=1)
        sent.put(message(9, "b"), generation=2)
        await sent.settled(1)
        assert asyncio.get_running_loop().time() < 10
        await sent.settled(2)
        assert asyncio.get_running_loop().time() >= 500


async def test_what_is_behind_the_mark_is_held_back_until_it_is_let_go() -> None:
    async with sending(Requests.ORDERED) as sent:
        sent.put(message(1), generation=1)
        sent.port.hold(1)
        sent.put(message(2), generation=2)
        sent.put(message(3), generation=1)  # a dead letter for what is before the mark
        await sent.settled(1)
        await asyncio.sleep(5)
        assert sent.values == [1, 3]
        sent.port.let_go()
        await sent.settled(2)
        assert sent.values == [1, 3, 2]


class _Nobody:
    """A port that nothing is asked of."""

    closed = False


@given(
    sizes=st.lists(st.lists(st.integers(1, 60), min_size=1, max_size=12), max_size=12),
    messages=st.integers(1, 10),
    size=st.integers(1, 150),
)
@settings(deadline=None)
def test_batches_are_within_the_limits_and_hold_everything_once_in_order(
    sizes: list[list[int]], messages: int, size: int
) -> None:
    limits = Limits(messages=messages, bytes=size)
    host = ProducerHost("sink", lambda: Sink(Requests.ORDERED, limits, {}))
    loop = asyncio.new_event_loop()
    try:
        taken = loop.run_until_complete(_composed(OrderedOutbox("out", host, 0.0), sizes))
    finally:
        loop.close()
    everything = [b"x" * one for parcel in sizes for one in parcel]
    assert [m.value for batch in taken for parcel in batch for m in parcel.messages] == everything
    assert sum(p.bytes for batch in taken for p in batch) == sum(map(len, everything))
    for batch in taken:
        together = [m for parcel in batch for m in parcel.messages]
        assert 1 <= len(together) <= messages
        assert len(together) == 1 or sum(m.size for m in together) <= size


async def _composed(outbox: OrderedOutbox, sizes: list[list[int]]) -> list[list[Parcel]]:
    port: Any = _Nobody()
    for parcel in sizes:
        sent = [Outgoing("out", None, b"x" * one) for one in parcel]
        outbox.put(Parcel(port, 0, sent, sum(parcel)))
    taken: list[list[Parcel]] = []
    while batch := outbox._compose():
        taken.append(batch)
        assert len(taken) < 1000
    assert (outbox._queued, outbox._queued_bytes) == (0, 0)
    return taken
