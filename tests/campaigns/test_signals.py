"""Stopped, stopped twice, paused or blocked: what each signal does to a job under load."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.campaigns.driving import VARIANTS, Budget, Counting, chance_of
from tests.campaigns.launching import KILLED
from tests.campaigns.numbered import Load

pytestmark = pytest.mark.campaign

Record = Callable[[str, object], None]
DEADLINE_S = 30.0


def wait_until(
    condition: Callable[[], bool], process: subprocess.Popen[bytes], campaign: Counting
) -> None:
    """Wait until something is so, as long as the process lives."""
    until = time.monotonic() + DEADLINE_S
    while not condition():
        assert process.poll() is None, f"it ended before: {campaign.log()}"
        assert time.monotonic() < until, f"it never was so: {campaign.log()}"
        time.sleep(0.01)


def started(campaign: Counting) -> subprocess.Popen[bytes]:
    """Start it and wait until this start has finished a part: it is under load now."""
    before = campaign.parts()
    process = campaign.start()
    wait_until(lambda: campaign.parts() > before, process, campaign)
    return process


@pytest.mark.parametrize("variant", VARIANTS)
def test_sigterm_under_load_loses_nothing_does_nothing_twice_and_ends_with_0(
    tmp_path: Path, variant: str, seconds: float, seed: int, record_property: Record
) -> None:
    chance = chance_of(seed, "sigterm", variant)
    budget = Budget(seconds / 2)
    stops = 0
    while budget.another():
        folder = tmp_path / f"round-{budget.rounds}"
        campaign = Counting(folder, variant, chance.randrange(1 << 30), Load(records=800), 4.0)
        for _ in range(chance.randint(1, 3)):
            process = started(campaign)
            time.sleep(chance.uniform(0.0, 0.3))  # the moment of the signal is what is drawn
            process.send_signal(chance.choice((signal.SIGTERM, signal.SIGINT)))
            code = campaign.ended(process, "stopped")
            assert code == 0, campaign.log()
            stops += "stopped after" in campaign.log()
            if "finished after" in campaign.log():
                break
        campaign.finish(twice=False)
        campaign.check()
        campaign.tidy()
    assert stops
    record_property("stops", stops)


@pytest.mark.parametrize("variant", ["serial", "concurrent"])
@pytest.mark.parametrize("signals", [1, 2])
def test_a_handler_that_hangs_is_named_and_what_it_had_in_hand_is_not_committed(
    tmp_path: Path, variant: str, signals: int, seed: int
) -> None:
    """One signal: cut short, what was finished is committed. Two: at once, with nothing."""
    campaign = Counting(tmp_path, variant, seed, Load(poison=0, broken=0))
    campaign.settings["CAMPAIGN_HANG_AT"] = "3-70"
    limits = ("--set", "job.shutdown_timeout=1s", "--set", "job.close_timeout=2s")
    process = campaign.start(arguments=limits if signals == 1 else ())
    wait_until(lambda: "-- it hangs now --" in campaign.log(), process, campaign)
    process.send_signal(signal.SIGTERM)
    if signals == 2:
        wait_until(lambda: "stopping in good order" in campaign.log(), process, campaign)
        process.send_signal(signal.SIGTERM)
    code = campaign.ended(process, "stopped while it hung")
    log = campaign.log()
    assert code == (1 if signals == 1 else 143), log
    assert "Traceback" not in log
    if signals == 1:
        assert "count/all" in log.partition("stopping in good order")[2], log
        assert "did not stop in time" in log
    del campaign.settings["CAMPAIGN_HANG_AT"]
    campaign.finish()
    campaign.check()


@pytest.mark.timeout(300)  # it stands still for 20 s on purpose in the full form
def test_a_job_that_was_paused_goes_on_where_it_was(
    tmp_path: Path, seconds: float, seed: int, record_property: Record
) -> None:
    """SIGSTOP for as long as a suspended machine would, then SIGCONT."""
    chance = chance_of(seed, "pause")
    pause_s = 20.0 if seconds >= 30 else 3.0
    for variant in VARIANTS if seconds >= 30 else ("concurrent",):
        campaign = Counting(tmp_path / variant, variant, seed, Load(records=500), 2.0)
        process = started(campaign)
        process.send_signal(signal.SIGSTOP)
        time.sleep(pause_s)  # this is the fault itself
        process.send_signal(signal.SIGCONT)
        if chance.random() < 0.5:
            process.send_signal(signal.SIGTERM)
        assert campaign.ended(process, f"paused for {pause_s} s") == 0, campaign.log()
        campaign.finish(twice=False)
        campaign.check()
    record_property("pause_s", pause_s)


def test_a_handler_that_blocks_the_loop_is_named_with_its_stack_and_its_task(
    tmp_path: Path, seconds: float, seed: int
) -> None:
    block_s = 10.0 if seconds >= 30 else 3.0
    campaign = Counting(tmp_path, "serial", seed, Load(poison=0, broken=0))
    campaign.settings |= {"CAMPAIGN_BLOCK_AT": "2-60", "CAMPAIGN_BLOCK_S": str(block_s)}
    assert campaign.run() == 0, campaign.log()
    log = campaign.log()
    assert log.count("the event loop has stood still") == 1, log
    warning = log[log.index("the event loop has stood still") :]
    assert "task count/all at files.entries" in warning
    assert "in pause" in warning
    assert "counting.py" in warning
    campaign.check()


def test_killed_while_a_stop_is_under_way_nothing_is_lost_or_done_twice(
    tmp_path: Path, seconds: float, seed: int, record_property: Record
) -> None:
    """The last commit of a stop is a commit like any other."""
    chance = chance_of(seed, "killed while stopping")
    budget = Budget(seconds / 2)
    kills = 0
    while budget.another():
        folder = tmp_path / f"round-{budget.rounds}"
        variant = chance.choice(VARIANTS)
        campaign = Counting(folder, variant, chance.randrange(1 << 30), Load(records=500), 3.0)
        process = started(campaign)
        process.send_signal(signal.SIGTERM)
        time.sleep(chance.uniform(0.0, 0.15))  # the moment of the kill is what is drawn
        process.kill()
        assert campaign.ended(process, "killed in its stop") in (0, KILLED), campaign.log()
        campaign.finish(twice=False)
        campaign.check()
        kills += campaign.kills
        campaign.tidy()
    record_property("kills", kills)
