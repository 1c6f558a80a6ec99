"""A sink that is slow, stops or fails, and a hot partition: all is bounded and nothing lost."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from zlib import crc32

import pytest

from tests.campaigns.driving import Budget, Counting, chance_of
from tests.campaigns.numbered import Load

pytestmark = pytest.mark.campaign

Record = Callable[[str, object], None]
MIB = 1 << 20
BUFFERED, OUTBOX, BATCH = 500, 300, 500
BOUNDS = json.dumps({"max_buffered_messages": BUFFERED, "max_outbox_messages": OUTBOX})
TASKS = 4
DEADLINE_S = 50.0


def sink_campaign(folder: Path, seed: int, records: int, **settings: object) -> Counting:
    """A job into the slow sink."""
    load = Load(records=records, poison=0, broken=0)
    given = {f"CAMPAIGN_SINK_{name.upper()}": str(value) for name, value in settings.items()}
    campaign = Counting(folder, "sink", seed, load, settings={**given, "CAMPAIGN_OPTIONS": BOUNDS})
    campaign.job = "slow_sink.py"
    return campaign


def taken(log: str) -> int:
    """How many messages the handlers have had, to the last full thousand."""
    found = re.findall(r"^taken (\d+)$", log, re.MULTILINE)
    return int(found[-1]) if found else 0


def memory_of(process: subprocess.Popen[bytes]) -> int:
    """What a process has in memory now, in bytes."""
    pages = Path(f"/proc/{process.pid}/statm").read_text().split()[1]
    return int(pages) * 4096


def wait_for(words: str, campaign: Counting, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + DEADLINE_S
    while words not in campaign.log():
        assert process.poll() is None, campaign.log()
        assert time.monotonic() < until, campaign.log()
        time.sleep(0.02)


def test_a_sink_that_stands_still_stops_the_reading_and_memory_stays_flat(
    tmp_path: Path, seconds: float, seed: int, record_property: Record
) -> None:
    """What is read ahead is bounded by the buffers, however long the sink takes."""
    stands_s = 60.0 if seconds >= 30 else 3.0
    campaign = sink_campaign(tmp_path, seed, 5_000, stops_after=2_000, stops_s=stands_s)
    process = campaign.start()
    wait_for("-- the sink stands still --", campaign, process)
    until = time.monotonic() + stands_s * 0.8
    memory: list[int] = []
    while time.monotonic() < until:
        memory.append(memory_of(process))
        time.sleep(0.1)
    assert "-- the sink goes on --" not in campaign.log()
    # What a task has sent and is not acknowledged, and the slice of one attempt above it.
    acknowledged = 2_000 + BATCH
    assert taken(campaign.log()) <= acknowledged + TASKS * (OUTBOX + 1) + BATCH
    settled = memory[len(memory) // 4 :]
    assert max(settled) - min(settled) < 2 * MIB, settled
    assert campaign.ended(process, "stood still") == 0, campaign.log()
    campaign.check()
    record_property("stands_s", stands_s)


def test_a_job_killed_while_its_sink_stands_still_has_committed_nothing_unacknowledged(
    tmp_path: Path, seconds: float, seed: int, record_property: Record
) -> None:
    chance = chance_of(seed, "sink")
    budget = Budget(seconds / 2)
    kills = 0
    while budget.another():
        stops_after = chance.randrange(500, 8_000)
        campaign = sink_campaign(
            tmp_path / f"round-{budget.rounds}",
            chance.randrange(1 << 30),
            2_000,
            stops_after=stops_after,
            stops_s=60,
            delay_s=0.005,
            fails_every=chance.choice((0, 7)),
        )
        for _ in range(2):
            process = campaign.start()
            wait_for("-- the sink stands still --", campaign, process)
            process.kill()
            campaign.ended(process, "killed while the sink stood still")
            campaign.settings["CAMPAIGN_SINK_STOPS_AFTER"] = str(chance.randrange(100, 1000))
        del campaign.settings["CAMPAIGN_SINK_STOPS_AFTER"]
        # Behind each kill: what was acknowledged since the last commit of each task.
        campaign.repeats = 2 * (stops_after + 2_000)
        campaign.finish(twice=False)
        campaign.check()
        kills += campaign.kills
        campaign.tidy()
    record_property("kills", kills)


def test_sigterm_repeats_nothing_even_where_repeats_are_allowed(tmp_path: Path, seed: int) -> None:
    """A stop in good order commits what is acknowledged, and everything that was sent is."""
    campaign = sink_campaign(tmp_path, seed, 3_000, delay_s=0.02, fails_every=9)
    process = campaign.start()
    wait_for("taken 3000", campaign, process)
    process.send_signal(signal.SIGTERM)
    assert campaign.ended(process, "stopped") == 0, campaign.log()
    assert "stopped after" in campaign.log()
    campaign.finish()
    campaign.check()


def names_in_buckets_of_their_own(count: int, buckets: int) -> list[str]:
    """File names that are hashed into a partition each."""
    names: list[str] = []
    used: set[int] = set()
    number = 0
    while len(names) < count:
        name = f"in/f{number:04d}.jsonl"
        number += 1
        bucket = crc32(name.encode()) % buckets
        if bucket not in used:
            used.add(bucket)
            names.append(name)
    return names


@pytest.mark.parametrize("grouping", ["partition", "all"])
def test_a_hot_partition_holds_the_others_up_no_more_than_twice(
    tmp_path: Path, grouping: str, seed: int
) -> None:
    """Counted, not timed: how many messages go by while a cold partition is worked off.

    A slice is two milliseconds long, however little a busy machine gets done in them: where others
    take the machine away in the middle, it is tried again.
    """
    waits: dict[int, int] = {}
    for attempt in range(3):
        waits = waits_with(tmp_path / str(attempt), grouping, seed)
        if waits[HOT] <= 2 * waits[COLD]:
            return
    pytest.fail(f"the others waited for more than twice as many messages: {waits}")


COLD, HOT = 600, 40_000


def waits_with(tmp_path: Path, grouping: str, seed: int) -> dict[int, int]:
    """How long the way of a cold partition is beside another cold one, and beside a hot one."""
    waits: dict[int, int] = {}
    for first in (COLD, HOT):
        folder = tmp_path / str(first)
        campaign = Counting(folder, "hot", seed, Load(files=1, records=1, poison=0, broken=0))
        campaign.job = "accepting.py"
        campaign.settings["CAMPAIGN_GROUPING"] = grouping
        (folder / "in" / "in-00.jsonl").unlink()
        for index, name in enumerate(names_in_buckets_of_their_own(8, 16)):
            many = first if index == 0 else COLD
            lines = (f'{{"number": {index * 1_000_000 + n}}}\n' for n in range(many))
            (folder / name).write_text("".join(lines))
        assert campaign.run() == 0, campaign.log()
        assert campaign.most_memory < 250 * MIB
        waits[first] = longest_way(folder)
    return waits


def longest_way(folder: Path) -> int:
    """How many messages were handled from the first to the last one of a cold partition, at most.

    From its own first one: the tasks do not start at once, and the hot one may be the first.
    """
    seen: dict[int, list[int]] = {}
    for part in (folder / "out" / "echoes").glob("part-*.jsonl"):
        for record in map(json.loads, part.read_text().splitlines()):
            seen.setdefault(record["number"] // 1_000_000, []).append(record["sequence"])
    del seen[0]
    return max(max(sequence) - min(sequence) for sequence in seen.values())
