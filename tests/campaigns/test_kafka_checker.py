"""The checker of topics sees every kind of fault, and what a campaign follows is counted right."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.campaigns.kafka_checker import asked_of, compare
from tests.campaigns.kafka_following import Numbers

LANES = 2
Records = list[dict[str, Any]]


def records() -> Records:
    """Those of two partitions; a lane's count is right in each."""
    return [
        {"partition": partition, "number": number, "count": number // LANES + 1}
        for partition in range(2)
        for number in range(6)
    ]


async def read(found: Records) -> AsyncIterator[dict[str, Any]]:
    """Them, as from a topic."""
    for record in found:
        yield record


async def faults(change: Callable[[Records], object], lanes: int = LANES) -> dict[str, int]:
    """What the checker has to say of the records after a change."""
    asked, _ = await asked_of(read(records()), apart=False)
    found = records()
    change(found)
    report = await compare(asked, read(found), lanes)
    assert report.pop("records") == 12
    return {name: count for name, count in report.items() if count}


def swap(first: int, second: int) -> Callable[[Records], object]:
    """Change two places."""

    def change(found: Records) -> None:
        found[first], found[second] = found[second], found[first]

    return change


FAULTS: dict[str, tuple[Callable[[Records], object], dict[str, int]]] = {
    "none": (lambda found: found, {}),
    "one is missing": (lambda found: found.pop(5), {"lost": 1}),
    "one is there again": (lambda found: found.append(found[3]), {"doubled": 1}),
    "a number of nobody": (lambda found: found.append({**found[0], "number": 6}), {"unknown": 1}),
    "a partition of nobody": (
        lambda found: found.append({**found[0], "partition": 2}),
        {"unknown": 1},
    ),
    "a wrong count": (lambda found: found[0].update(count=7), {"wrong": 1}),
    "turned round within a lane": (swap(0, 2), {"disordered": 1}),
    "turned round between lanes": (swap(0, 1), {}),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_is_seen(fault: str) -> None:
    change, wanted = FAULTS[fault]
    assert await faults(change) == wanted


async def test_one_lane_is_the_whole_partition_and_none_is_any_order() -> None:
    def without_counts(found: Records) -> None:
        swap(0, 1)(found)
        for record in found:
            del record["count"]

    assert await faults(without_counts, lanes=1) == {"disordered": 1}
    assert await faults(without_counts, lanes=0) == {}


async def test_what_is_for_the_dead_letters_is_asked_for_there() -> None:
    found: Records = [{"partition": 0, "number": 0}, {"partition": 0, "number": 1, "dead": True}]
    asked, dead = await asked_of(read(found), apart=True)
    assert (list(asked), list(dead)) == ([(0, 0)], [(0, 1)])
    assert (await compare(asked, read(found), 0))["unknown"] == 1
    asked, dead = await asked_of(read(found), apart=False)
    assert (list(asked), list(dead)) == ([(0, 0), (0, 1)], [])


def test_numbers_that_fill_up_are_counted_once() -> None:
    numbers = Numbers()
    for number in (0, 1, 4, 1, 2, 6, 4):
        numbers.add(number)
    assert len(numbers) == 5
    assert sorted(numbers.after(1)) == [2, 4, 6]
    assert sorted(numbers.after(-1)) == [0, 1, 2, 4, 6]
