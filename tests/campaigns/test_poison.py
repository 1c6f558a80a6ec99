"""A message that always fails, under each policy: seen, named, never a reason to lose another."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.campaigns.driving import Counting
from tests.campaigns.numbered import Load

pytestmark = pytest.mark.campaign

ITEMS = 300
POISON = 120


def accepting(folder: Path, policy: str, lines: list[bytes] | None = None) -> Counting:
    """The accepting job with some lines to read, one of them poison."""
    campaign = Counting(folder, policy, 1, Load(files=1, records=1, poison=0, broken=0))
    campaign.job = "accepting.py"
    campaign.settings["CAMPAIGN_POLICY"] = policy
    if lines is None:
        lines = [
            json.dumps({"number": number, "poison": number == POISON}).encode()
            for number in range(ITEMS)
        ]
    (folder / "in" / "in-00.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    return campaign


def written(folder: Path, output: str) -> list[bytes]:
    """Every line of an output."""
    parts = sorted((folder / "out" / output).glob("part-*.jsonl"))
    # Not splitlines: a carriage return inside a line is a byte like any other.
    return [line for part in parts for line in part.read_bytes().split(b"\n")[:-1]]


def numbers(folder: Path) -> list[int]:
    """The numbers of the items that came out."""
    return [json.loads(line)["number"] for line in written(folder, "echoes")]


def test_fail_stops_the_job_at_the_message_and_names_it_at_every_start(tmp_path: Path) -> None:
    campaign = accepting(tmp_path, "fail")
    for _ in range(2):
        assert campaign.run() == 1, campaign.log()
        log = campaign.log()
        assert "task echo/" in log
        assert f"/in-00.jsonl line {POISON + 1} (files.items[" in log
        assert "offset in/in-00.jsonl" in log
        assert "poison at attempt 1" in log
        assert log.count("Traceback") == 1, "the user's own, and it alone"
        assert "runtime/" not in log.partition("Traceback")[2]
    assert numbers(tmp_path) == list(range(POISON)), "what was before it is there, nothing after"
    campaign.settings["CAMPAIGN_POLICY"] = "skip"
    campaign.finish()
    assert numbers(tmp_path) == [n for n in range(ITEMS) if n != POISON]


def test_skip_counts_it_and_says_so(tmp_path: Path) -> None:
    campaign = accepting(tmp_path, "skip")
    campaign.finish(twice=False)
    assert "skipped 1" in campaign.log()
    assert "poison at attempt 1" in campaign.log()
    assert numbers(tmp_path) == [n for n in range(ITEMS) if n != POISON]


@pytest.mark.parametrize(("policy", "retries"), [("dead", 0), ("retry", 2)])
def test_a_dead_letter_is_the_message_as_it_came(tmp_path: Path, policy: str, retries: int) -> None:
    campaign = accepting(tmp_path, policy)
    campaign.finish()
    first = campaign.log_file(1).read_text()
    assert "dead letters 1" in first
    assert f"retries {retries}" in first
    assert [json.loads(line)["number"] for line in written(tmp_path, "dead")] == [POISON]
    assert numbers(tmp_path) == [n for n in range(ITEMS) if n != POISON]


def test_retries_that_are_used_up_fail_with_their_number(tmp_path: Path) -> None:
    campaign = accepting(tmp_path, "retry-fail")
    assert campaign.run() == 1
    assert "after 3 attempts: ValueError: poison at attempt 3" in campaign.log()


def test_what_cannot_be_decoded_goes_by_the_same_policies_and_past_the_retries(
    tmp_path: Path,
) -> None:
    lines = [b'{"number": 1}', b'{"number": 2', b"\xff\xfe\x00", b"null", b'{"number": 5}']
    campaign = accepting(tmp_path, "retry", lines)
    campaign.finish()
    assert "retries 0" in campaign.log_file(1).read_text()
    assert written(tmp_path, "dead") == lines[1:4]
    assert numbers(tmp_path) == [1, 5]
    failing = accepting(tmp_path / "fail", "fail", lines)
    assert failing.run() == 1
    assert re.search(r"failed at \S+/in-00.jsonl line 2 \(files.items", failing.log())
    assert "Traceback" not in failing.log()


def test_one_poisoned_partition_does_not_hold_up_the_others(tmp_path: Path) -> None:
    """The job fails at the poison, and what the other tasks had finished by then is kept."""
    campaign = accepting(tmp_path, "retry")
    for file in range(1, 6):
        lines = "".join(f'{{"number": {file * 1000 + n}}}\n' for n in range(200))
        (tmp_path / "in" / f"in-{file:02d}.jsonl").write_text(lines)
    campaign.finish()
    wanted = {n for n in range(ITEMS) if n != POISON}
    wanted |= {file * 1000 + n for file in range(1, 6) for n in range(200)}
    assert sorted(numbers(tmp_path)) == sorted(wanted)
