"""The demo over Kafka, as somebody would run it, on a small year; and what its checker sees."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples import flights_kafka_demo
from examples.flights_checker import Count, compare
from examples.flights_kafka_checker import Records, lines_of, verdict
from tests.examples.small_year import SmallYear, small_year, write_data
from tests.services.failing import ServiceError

ROOT = Path(__file__).parents[2]


def command(folder: Path, rows: int) -> tuple[list[str], dict[str, str]]:
    """What starts the demo on the data of a folder, and its environment."""
    demo = [sys.executable, "-m", "examples.flights_kafka_demo", "--rows", str(rows)]
    environment = {**os.environ, "FLIGHTS_DATA": str(folder / "data")}
    return [*demo, "--work", str(folder / "work")], environment


@pytest.mark.service
@pytest.mark.timeout(300)
def test_kills_on_the_way_lose_no_flight_and_double_few(tmp_path: Path) -> None:
    year = small_year(30_000)
    write_data(year, tmp_path / "data")
    demo, environment = command(tmp_path, 30_000)
    done = subprocess.run(
        demo,
        cwd=ROOT,
        env=environment,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("kill -9 after ") == 2
    closing = re.fullmatch(
        r"demo flights-kafka: in 30000, out (\d+), dead (\d+), lost 0, doubled (\d+)",
        done.stdout.splitlines()[-1],
    )
    assert closing is not None, done.stdout
    out, dead, doubled = map(int, closing.groups())
    assert out + dead == 30_000 + doubled
    assert left_behind(tmp_path) == []


@pytest.mark.service
@pytest.mark.timeout(180)
def test_a_demo_that_is_stopped_leaves_nothing_behind(tmp_path: Path) -> None:
    write_data(small_year(60_000), tmp_path / "data")
    demo, environment = command(tmp_path, 60_000)
    said: list[str] = []
    with subprocess.Popen(
        demo, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line)
            if line.startswith("running: "):
                assert len(left_behind(tmp_path)) > 1  # itself, and the broker
                process.send_signal(signal.SIGTERM)
    assert process.returncode == 130, said
    assert "stopped; the job and the broker are ended\n" in said
    until = time.monotonic() + 20
    while left_behind(tmp_path) and time.monotonic() < until:
        time.sleep(0.1)
    assert left_behind(tmp_path) == []


def left_behind(folder: Path) -> list[str]:
    """The processes that know of a folder, but for this one."""
    found: list[str] = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            known = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        except OSError:  # it has ended meanwhile, or is another user's
            continue
        if process.name != str(os.getpid()) and os.fsencode(folder) in known:
            found.append(process.name)
    return found


def test_without_java_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise ServiceError("Java 17 or newer is needed. Install it with: some command")

    monkeypatch.setenv("FLIGHTS_DATA", str(tmp_path))
    monkeypatch.setattr(flights_kafka_demo, "installed", missing)
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit, match=r"^Java 17 or newer is needed\. Install it with: "):
            flights_kafka_demo.main(["--work", str(tmp_path / "work")])
    finally:
        signal.signal(signal.SIGTERM, before)


# The checker ------------------------------------------------------------------------------------


def records_of(year: SmallYear) -> Iterator[tuple[str, bytes]]:
    """What the job would write of a year."""
    for output, lines in year.lines.items():
        for line in lines:
            row = json.loads(line["value"]) if output == "incomplete" else line
            if output == "incomplete":
                row = {
                    name: flights_kafka_demo.plain(name, cell) if cell == "NA" else cell
                    for name, cell in row.items()
                }
            yield output, json.dumps(row).encode()


def counted(records: Records, folder: Path) -> Count:
    return compare(write_data(small_year(500), folder / "data"), lines_of(records))


def test_what_is_right_passes(tmp_path: Path) -> None:
    count = counted(list(records_of(small_year(500))), tmp_path)
    assert count.good
    dead = len(small_year(500).lines["incomplete"])
    closing = f"demo flights-kafka: in 500, out {500 - dead}, dead {dead}, lost 0, doubled 0"
    assert list(verdict(count, 500))[-1] == closing


def test_what_is_lost_doubled_or_wrong_is_counted(tmp_path: Path) -> None:
    first, second, *rest = records_of(small_year(500))
    changed = first[0], first[1].replace(b'"JFK"', b'"EWR"')
    count = counted([changed, second, second, *rest], tmp_path)
    assert (count.lost, count.doubled, count.wrong) == (1, 1, 1)
    said = list(verdict(count, 499))
    assert "  the topic flights has 499 records, the data 500 rows" in said
    assert said[-1].endswith("lost 1, doubled 1")


def test_the_checker_imports_nothing_of_samza_py() -> None:
    ask = """
import sys
import examples.flights_kafka_checker
print([name for name in sys.modules if name.partition(".")[0] == "samza_py"])
"""
    done = subprocess.run(
        [sys.executable, "-c", ask], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert done.stdout == "[]\n"
