"""A seed is a whole run: it does the same every time, in every process, and says how to see it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulator.__main__ import main
from tests.simulator.simulation import run_seed

ROOT = Path(__file__).parents[2]
SEEDS = range(1, 13)

PRINT_FINGERPRINTS = """
import sys
from tests.simulator.simulation import run_seeds
for outcome in run_seeds(map(int, sys.argv[1:])):
    print(outcome.fingerprint)
"""


@pytest.fixture(scope="module")
def fingerprints() -> list[str]:
    """What the seeds do in this process."""
    return [run_seed(seed).fingerprint for seed in SEEDS]


def test_a_seed_does_the_same_twice(fingerprints: list[str]) -> None:
    assert [run_seed(seed).fingerprint for seed in SEEDS] == fingerprints


def test_different_seeds_do_different_things(fingerprints: list[str]) -> None:
    assert len(set(fingerprints)) == len(SEEDS)


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_a_seed_does_the_same_in_another_process_whatever_its_hashes(
    fingerprints: list[str], hash_seed: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PRINT_FINGERPRINTS, *map(str, SEEDS)],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == fingerprints


def test_a_failing_seed_says_what_broke_when_and_how_to_replay_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    planted = ["--planted", "checkpoint-before-outputs"]
    assert main(["--seeds", "1-20", *planted]) == 1
    told = capsys.readouterr().out
    seed = told.split()[1]
    assert f"seed {seed} failed: checkpoint" in told
    assert f"again, exactly: python -m tests.simulator {' '.join(planted)} --seeds {seed}" in told
    main(["--seeds", seed, *planted])
    again = capsys.readouterr().out
    assert again.splitlines()[:-1] == told.splitlines()[:-1]  # the last line says how long it took


def test_seeds_that_are_fine_end_with_a_count(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--seeds", "3-4"]) == 0
    assert capsys.readouterr().out.startswith("2 seeds, 0 failed, ")
