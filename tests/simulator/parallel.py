"""Plays many seeds in many processes, and gives what became of them in order."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from typing import Final

from tests.simulator.planted import planted
from tests.simulator.simulation import Outcome, run_seeds

#: Seeds for one process: enough to be worth its start.
CHUNK: Final = 100


def outcomes(seeds: Sequence[int], bug: str | None, lines: int) -> Iterator[Outcome]:
    """The outcomes of all seeds, in order; many seeds are played by many processes."""
    if len(seeds) <= CHUNK:
        with planted(bug):
            yield from run_seeds(seeds, lines)
        return
    chunks = [seeds[at : at + CHUNK] for at in range(0, len(seeds), CHUNK)]
    workers = min(len(chunks), os.cpu_count() or 1)
    # A new process for each chunk: what CPython does not free of a seed goes with it.
    with ProcessPoolExecutor(workers, get_context("spawn"), max_tasks_per_child=1) as pool:
        waiting: list[Future[list[Outcome]]] = [
            pool.submit(_played, chunk, bug, lines) for chunk in chunks
        ]
        try:
            for chunk in waiting:
                yield from chunk.result()
        finally:
            for chunk in waiting:
                chunk.cancel()


def _played(seeds: Sequence[int], bug: str | None, lines: int) -> list[Outcome]:
    with planted(bug):
        outcomes = list(run_seeds(seeds, lines))
    return [one if one.violations else replace(one, trace=()) for one in outcomes]
