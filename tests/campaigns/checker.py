"""Tells from input and output alone whether a job was right. A program of its own.

    python -I checker.py FOLDER [--any-order] [--records-only] [--repeats=N]

It prints a report as JSON and ends with 0 where all is well. With repeats records may be there more
than once, N of them in all: a job that is killed and promises at least once does again what it had
not committed.

It imports nothing of the project and knows nothing of how it works: `FOLDER/in` holds what was to
be done, the part files in `FOLDER/out` what was done. Whatever it should be is computed here again.
"""

from __future__ import annotations

import gzip
import json
import sys
import zipfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

LARGE = 90
Place = tuple[int, int]


def lines_of(path: Path) -> list[str]:
    """The lines of a file, whatever it is packed in."""
    if path.name.endswith(".gz"):
        data = gzip.decompress(path.read_bytes())
    elif path.name.endswith(".zip"):
        with zipfile.ZipFile(path) as archive:
            data = b"".join(archive.read(name) for name in archive.namelist())
    else:
        data = path.read_bytes()
    if data and not data.endswith(b"\n"):
        raise SystemExit(f"{path.name} ends in the middle of a line")
    return data.decode().splitlines()


class Wanted:
    """What the input asks for."""

    def __init__(self, folder: Path) -> None:
        self.records: dict[Place, dict[str, Any]] = {}
        self.dead: Counter[str] = Counter()
        for path in sorted(folder.iterdir()):
            for line in lines_of(path):
                self._take(line)

    def _take(self, line: str) -> None:
        try:
            record = json.loads(line)
        except ValueError:
            self.dead[line] += 1
            return
        if record["amount"] < 0:
            self.dead[line] += 1
        else:
            self.records[record["partition"], record["number"]] = record


def parts(folder: Path) -> list[list[Any]]:
    """The records of each task, in the order of its part files. Hidden files are not finished."""
    by_task: dict[str, list[Any]] = defaultdict(list)
    if folder.is_dir():
        for path in sorted(folder.glob("part-*.jsonl")):
            task = path.name.rsplit("-", 3)[0]
            by_task[task] += lines_of(path)
    return list(by_task.values())


def compared(name: str, wanted: Counter[Any], found: Counter[Any]) -> dict[str, int]:
    """How many are lost, doubled, or were never asked for."""
    return {
        f"{name}_lost": sum((wanted - found).values()),
        f"{name}_doubled": sum(n - 1 for n in found.values() if n > 1),
        f"{name}_unknown": sum(n for one, n in found.items() if one not in wanted),
    }


def check_records(wanted: Wanted, out: Path) -> dict[str, int]:
    """Every record once, in the order of its partition."""
    found: Counter[Place] = Counter()
    disordered = 0
    for task in parts(out / "counted"):
        last: dict[int, int] = {}
        for line in task:
            record = json.loads(line)
            partition, number = record["partition"], record["number"]
            found[partition, number] += 1
            disordered += number < last.get(partition, -1)
            last[partition] = number
    report = compared("records", Counter(list(wanted.records)), found)
    return {**report, "records": len(wanted.records), "disordered": disordered}


def check_side_outputs(wanted: Wanted, out: Path) -> dict[str, int]:
    """Large records, dead letters and timers."""
    large = Counter(place for place, r in wanted.records.items() if r["amount"] >= LARGE)
    seen: Counter[Place] = Counter()
    for task in parts(out / "large"):
        for record in map(json.loads, task):
            seen[record["partition"], record["number"]] += 1
    dead = Counter(line for task in parts(out / "dead") for line in task)
    fired = Counter(line for task in parts(out / "timers") for line in task)
    report = {**compared("large", large, seen), **compared("dead", wanted.dead, dead)}
    # Timers that are not due when the input ends are not waited for: only doubles can be told.
    return {**report, "timers": len(fired), "timers_doubled": sum(fired.values()) - len(fired)}


def check_state(wanted: Wanted, out: Path) -> dict[str, int]:
    """Every running count goes up by one, and its end is the recomputed one."""
    count: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for record in wanted.records.values():
        count[record["key"]] += 1
        total[record["key"]] += record["amount"]
    wrong = 0
    running: dict[str, list[int]] = defaultdict(list)
    amounts: dict[str, int] = {}
    for task in parts(out / "counted"):
        for record in map(json.loads, task):
            if record.get("count") is None:
                continue
            key, place = record["key"], (record["partition"], record["number"])
            running[key].append(record["count"])
            amounts[key] = amounts.get(key, 0) + wanted.records.get(place, {}).get("amount", 0)
            wrong += amounts[key] != record["total"]
    for key, numbers in running.items():
        wrong += numbers != list(range(1, count[key] + 1))
    ends: Counter[str] = Counter()
    for task in parts(out / "totals"):
        for record in map(json.loads, task):
            key = record["key"]
            ends[key] += 1
            wrong += (record["count"], record["total"]) != (count[key], total[key])
    return {
        "state_wrong": wrong,
        "totals": len(ends),
        "totals_doubled": sum(ends.values()) - len(ends),
        "totals_lost": len(count.keys() - ends.keys()) if ends else 0,
    }


FAULTS = ("lost", "doubled", "unknown", "wrong", "disordered")


def check(folder: Path, *, any_order: bool, records_only: bool, repeats: int) -> dict[str, int]:
    """Everything, and the sum of all that is wrong."""
    wanted = Wanted(folder / "in")
    out = folder / "out"
    report = check_records(wanted, out)
    if not records_only:
        report |= check_side_outputs(wanted, out) | check_state(wanted, out)
    if any_order:
        report["disordered"] = 0
    if 0 < report["records_doubled"] <= repeats:
        report["records_repeated"] = report.pop("records_doubled")
        report["disordered"] = 0
    faults = sum(n for name, n in report.items() if name.endswith(FAULTS))
    return {**report, "faults": faults, "parts": len(list(out.rglob("part-*.jsonl")))}


def _is_count(argument: str) -> bool:
    return argument.removeprefix("--repeats=").isdigit()


if __name__ == "__main__":
    result = check(
        Path(sys.argv[1]),
        any_order="--any-order" in sys.argv,
        records_only="--records-only" in sys.argv,
        repeats=max(int(a.removeprefix("--repeats=")) for a in (*sys.argv, "0") if _is_count(a)),
    )
    print(json.dumps(result))
    sys.exit(1 if result["faults"] else 0)
