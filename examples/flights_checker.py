"""Counts what became of every flight. Imports nothing of samza_py and nothing that is not Python's.

    python examples/flights_checker.py DATA WORK [--name flights] [--seconds 12.5]

It reads the zipped CSV and the look-up tables in DATA, says for each row which line must have come
of it, and compares that with the part files in WORK. Lines are compared whole and as a multiset:
a line that is missing is *lost*, one that is there too often is *doubled*, and one that no row
asks for is *wrong*. Ends with the line ``demo NAME: in I, out O, dead D, lost L, doubled X``, and
with exit code 1 unless each row came out once.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SAME = ("carrier", "flight", "origin", "dest")
WEATHER = ("temp", "wind_speed", "precip", "visib")
PLANE = ("year", "manufacturer", "model", "seats")
TEXT = ("manufacturer", "model", "name")
OUTPUTS = ("delays", "cancelled", "incomplete")

Line = tuple[Any, ...]
"""All that is in a line of an output, the output's name first."""


# What must come out -----------------------------------------------------------------------------


def rows_of(file: io.TextIOBase) -> Iterator[dict[str, str]]:
    """The rows of a CSV file."""
    return csv.DictReader(file)


def flights_in(data: Path) -> Iterator[dict[str, str]]:
    """The rows of the zipped CSV."""
    with zipfile.ZipFile(data / "flights.csv.zip") as archive:
        for member in archive.namelist():
            with archive.open(member) as file:
                yield from rows_of(io.TextIOWrapper(file, encoding="utf-8", newline=""))


def table(data: Path, name: str, key: Sequence[str], columns: Sequence[str]) -> dict[Line, Line]:
    """A look-up table as a dictionary."""
    with (data / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        return {
            tuple(row[k] for k in key): tuple(plain(c, row[c]) for c in columns)
            for row in rows_of(file)
        }


def plain(column: str, text: str) -> object:
    """A cell of a table as both sides have it: NA as None, numbers to six digits."""
    if text == "NA":
        return None
    return text if column in TEXT else round(float(text), 6)


def rounded(value: object) -> object:
    """A value of a line as both sides have it."""
    return round(value, 6) if isinstance(value, float) else value


def expected_lines(data: Path) -> Iterator[Line]:
    """For each row, the line that must come of it."""
    weather = table(data, "weather", ("origin", "time_hour"), WEATHER)
    planes = table(data, "planes", ("tailnum",), PLANE)
    unmeasured, unregistered = (None,) * len(WEATHER), (None,) * len(PLANE)
    for row in flights_in(data):
        if row["dep_time"] != "NA" and "NA" in (row["dep_delay"], row["arr_delay"]):
            yield ("incomplete", *row.values())
            continue
        day = f"{row['year']}-{int(row['month']):02}-{int(row['day']):02}"
        same = (day, *(row[name] for name in SAME), row["sched_dep_time"])
        around = weather.get((row["origin"], row["time_hour"]), unmeasured)
        if row["dep_time"] == "NA":
            yield ("cancelled", *same, *around)
        else:
            late = int(row["dep_delay"]), int(row["arr_delay"])
            yield ("delays", *same, *late, *around, *planes.get((row["tailnum"],), unregistered))


# What came out ----------------------------------------------------------------------------------


def lines_in(work: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The lines of all part files, each with the name of its output."""
    for output in OUTPUTS:
        for part in sorted((work / output).glob("part-*.jsonl")):
            with part.open(encoding="utf-8") as file:
                for line in file:
                    yield output, json.loads(line)


def line_found(output: str, line: Mapping[str, Any]) -> Line:
    """A line of an output in the form of ``expected_lines``."""
    if output == "incomplete":
        return (output, *json.loads(line["value"]).values())
    same = (line["day"], *(str(line[name]) for name in SAME), str(line["sched_dep_time"]))
    around = tuple([rounded(line["weather"][name]) for name in WEATHER])
    if output == "cancelled":
        return (output, *same, *around)
    plane = tuple(line["plane"][name] for name in PLANE)
    return (output, *same, line["dep_delay"], line["arr_delay"], *around, *plane)


@dataclass
class Carrier:
    """What is told of one airline."""

    flown: int = 0
    cancelled: int = 0
    minutes: int = 0
    over_an_hour: int = 0
    worst: int = 0
    worst_flight: str = ""

    def add(self, output: str, line: Mapping[str, Any]) -> None:
        """Take in one of its flights."""
        if output == "cancelled":
            self.cancelled += 1
            return
        late = line["arr_delay"]
        self.flown += 1
        self.minutes += late
        self.over_an_hour += late > 60
        if late > self.worst:
            self.worst = late
            route = f"{line['origin']}-{line['dest']}"
            self.worst_flight = f"{line['carrier']} {line['flight']} {route} {line['day']}"


@dataclass
class Count:
    """What the comparison comes to."""

    rows: int = 0
    lines: Counter[str] = field(default_factory=Counter[str])
    lost: int = 0
    doubled: int = 0
    wrong: int = 0
    examples: list[str] = field(default_factory=list[str])
    carriers: defaultdict[str, Carrier] = field(default_factory=lambda: defaultdict(Carrier))

    @property
    def out(self) -> int:
        """Lines of the outputs that are not dead letters."""
        return self.lines["delays"] + self.lines["cancelled"]

    @property
    def good(self) -> bool:
        """Whether each row came out exactly once, as it should."""
        return self.rows > 0 and not (self.lost or self.doubled or self.wrong)


def compare(data: Path, lines: Iterable[tuple[str, Mapping[str, Any]]]) -> Count:
    """Hold what came out against what must."""
    count = Count()
    left = Counter(expected_lines(data))
    count.rows = left.total()
    known = frozenset(left)
    for output, line in lines:
        count.lines[output] += 1
        found = line_found(output, line)
        if left[found] > 0:
            left[found] -= 1
            if output != "incomplete":
                count.carriers[line["carrier"]].add(output, line)
        elif found in known:
            count.doubled += 1
            count.examples.append(f"doubled: {found}")
        else:
            count.wrong += 1
            count.examples.append(f"wrong: {found}")
    lost = +left
    count.lost = lost.total()
    count.examples += [f"lost: {line}" for line in list(lost)[:5]]
    return count


# What is told -----------------------------------------------------------------------------------


def told(count: Count, names: Mapping[Line, Line], seconds: float | None) -> Iterator[str]:
    """The closing table."""
    yield ""
    yield f"  in         {count.rows:>9,}   rows of flights.csv.zip"
    yield f"  out        {count.out:>9,}   with the weather and the plane of each"
    yield f"  cancelled  {count.lines['cancelled']:>9,}   of them, in an output of their own"
    yield f"  dead       {count.lines['incomplete']:>9,}   took off, and nobody wrote down how late"
    if seconds:
        yield f"  rate       {count.rows / seconds:>9,.0f}   a second, for {seconds:.1f} s"
    yield ""
    heads = ("flown", "cancelled", "mean", "over 1 h")
    yield f"  {'worst delays':24}" + "".join(f"{head:>11}" for head in heads) + "   worst"
    by_mean = sorted(count.carriers.items(), key=lambda item: -mean(item[1]))
    for code, carrier in by_mean[:10]:
        name = str(names.get((code,), (code,))[0])[:24]
        numbers = f"{carrier.flown:>11,}{carrier.cancelled:>11,}{mean(carrier):>7.1f} min"
        share = carrier.over_an_hour / max(1, carrier.flown)
        worst = f"{carrier.worst // 60} h {carrier.worst % 60:02} min"
        yield f"  {name:24}{numbers}{share:>11.1%}   {worst:>11}  {carrier.worst_flight}"
    yield ""


def closing(name: str, count: Count) -> str:
    """The last line of a demo."""
    dead = count.lines["incomplete"]
    return (
        f"demo {name}: in {count.rows}, out {count.out}, dead {dead}, "
        f"lost {count.lost}, doubled {count.doubled}"
    )


def mean(carrier: Carrier) -> float:
    """Its mean delay at arrival, in minutes."""
    return carrier.minutes / max(1, carrier.flown)


def main() -> int:
    """Compare, tell, judge."""
    parser = argparse.ArgumentParser(description="Count what became of every flight.")
    parser.add_argument("data", type=Path, help="the folder with flights.csv.zip and the tables")
    parser.add_argument("work", type=Path, help="the folder with the outputs")
    parser.add_argument("--name", default="flights", help="of the demo, for the closing line")
    parser.add_argument("--seconds", type=float, help="that the job took, for the rate")
    asked = parser.parse_args()
    count = compare(asked.data, lines_in(asked.work))
    names = table(asked.data, "airlines", ("carrier",), ("name",))
    for line in told(count, names, asked.seconds):
        print(line)
    for example in count.examples[:10]:
        print(f"  {example}")
    if count.wrong:
        print(f"  {count.wrong} lines are not what the data say")
    print(closing(asked.name, count))
    return 0 if count.good else 1


if __name__ == "__main__":
    sys.exit(main())
