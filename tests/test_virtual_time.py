"""Time jumps, order is drawn from a seed, and what can never end says so."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections.abc import Coroutine
from typing import Any

import pytest

from tests.virtual_time import DeadlockError, LivelockError, VirtualLoop, run_virtually


def run(
    main: Coroutine[Any, Any, Any], shuffle: random.Random | None = None, most_turns: int = 10_000
) -> Any:
    loop = VirtualLoop(most_turns=most_turns, shuffle=shuffle)
    try:
        return loop.run_until_complete(main)
    finally:
        loop.close()


def test_an_hour_takes_no_time() -> None:
    async def sleep() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    began = time.monotonic()
    assert run(sleep()) == 3600
    assert time.monotonic() - began < 1


def test_timeouts_go_by_virtual_time() -> None:
    async def late() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(2):
                await asyncio.sleep(60)
        return asyncio.get_running_loop().time()

    assert run(late()) == 2


async def finishing_order(count: int) -> list[int]:
    order: list[int] = []

    async def turn(number: int) -> None:
        await asyncio.sleep(1)
        await asyncio.sleep(0)
        order.append(number)

    await asyncio.gather(*(turn(number) for number in range(count)))
    return order


def test_children_that_are_ready_together_go_on_in_an_order_drawn_from_the_seed() -> None:
    first = run(finishing_order(20), random.Random(1))
    assert first != list(range(20))
    assert sorted(first) == list(range(20))
    assert run(finishing_order(20), random.Random(1)) == first
    assert run(finishing_order(20), random.Random(2)) != first


def test_plain_callbacks_keep_the_order_that_asyncio_promises() -> None:
    async def call() -> list[int]:
        order: list[int] = []
        for number in range(20):
            asyncio.get_running_loop().call_soon(order.append, number)
        await asyncio.sleep(1)
        return order

    assert run(call(), random.Random(1)) == list(range(20))


def test_a_wait_that_nothing_can_end_is_an_error() -> None:
    async def wait() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(DeadlockError):
        run(wait())


def test_going_in_circles_is_an_error() -> None:
    async def spin() -> None:
        for _ in itertools.count():
            await asyncio.sleep(0)

    with pytest.raises(LivelockError):
        run(spin())


def test_hours_of_nothing_but_timers_are_an_error() -> None:
    async def look_again() -> None:
        for _ in itertools.count():
            await asyncio.sleep(60)

    with pytest.raises(LivelockError):
        run(look_again())


def test_a_thread_is_waited_for_in_real_time() -> None:
    async def call() -> float:
        await asyncio.to_thread(time.sleep, 0.05)
        return asyncio.get_running_loop().time()

    # the thread is at work a little before the loop begins to wait for it
    assert run_virtually(call()) > 0.04


def test_a_child_that_never_waits_does_not_stop_the_time_where_turns_take_some() -> None:
    async def spin() -> None:
        async with asyncio.timeout(1):
            for _ in itertools.count():
                await asyncio.sleep(0)

    with pytest.raises(TimeoutError):
        run_virtually(spin(), turn_s=0.001)
