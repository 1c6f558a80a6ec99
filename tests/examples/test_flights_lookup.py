"""The look-up of the flights answers each who waits, and many of them with one query."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.examples.small_year import small_year, write_data

if TYPE_CHECKING:
    from examples.flights_enriching import Lookup


@pytest.fixture
async def lookup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Lookup]:
    made = await asyncio.to_thread(opened, tmp_path, monkeypatch)
    yield made
    await asyncio.to_thread(made.close)


def opened(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Lookup:
    data = write_data(small_year(1), folder / "data")
    # The job file looks for its data as it is imported.
    monkeypatch.setenv("FLIGHTS_DATA", str(data))
    from examples.flights_enriching import Lookup, build_database

    build_database(folder / "lookup.sqlite", data)
    return Lookup(folder / "lookup.sqlite")


async def test_each_gets_its_own_answer_in_whatever_order_they_ask(lookup: Lookup) -> None:
    known, unknown, plane = await asyncio.gather(
        lookup.find("JFK", "hour 1", None),
        lookup.find("JFK", "hour 2", None),
        lookup.find("EWR", "hour 1", "N1"),
    )
    assert (known.weather.temp, known.plane.model) == (39.02, None)
    assert (unknown.weather.temp, unknown.plane.model) == (None, None)
    assert (plane.weather.temp, plane.plane.model) == (None, "150")


async def test_those_who_ask_in_one_turn_of_the_loop_share_one_query(
    lookup: Lookup, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    read = lookup._read

    def counted(keys: Sequence[Any]) -> Any:
        sizes.append(len(keys))
        return read(keys)

    monkeypatch.setattr(lookup, "_read", counted)
    await asyncio.gather(*(lookup.find("JFK", "hour 1", "N1") for _ in range(50)))
    await lookup.find("JFK", "hour 1", "N1")
    assert sizes == [50, 1]


async def test_one_who_no_longer_waits_costs_the_others_nothing(lookup: Lookup) -> None:
    gone = asyncio.ensure_future(lookup.find("JFK", "hour 1", "N1"))
    stays = asyncio.ensure_future(lookup.find("JFK", "hour 1", "N1"))
    await asyncio.sleep(0)
    gone.cancel()
    assert (await stays).plane.seats == 55
    assert gone.cancelled()


async def test_an_error_reaches_all_who_wait(lookup: Lookup) -> None:
    await asyncio.to_thread(lookup._connection.execute, "DROP TABLE planes")
    waiting = [lookup.find("JFK", "hour 1", "N1") for _ in range(3)]
    errors = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(error) for error in errors] == [sqlite3.OperationalError] * 3
