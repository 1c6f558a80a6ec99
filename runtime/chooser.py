"""Which partition of a task is read next: by priority, then in turn."""

from __future__ import annotations

from collections.abc import Sequence

from samza_py.runtime.buffer import PartitionBuffer


class Chooser:
    """Chooses among the buffers of one task.

    Inputs of a higher priority go first while they have messages. Among equals the turn goes
    round, a slice each, so that a hot partition does not starve the others.

    Args:
        buffers: in their fixed order.
        max_runs: a partition with so many finished stretches beyond its oldest unfinished message
            is not read until that message is finished.
    """

    def __init__(self, buffers: Sequence[PartitionBuffer], max_runs: int) -> None:
        self._levels = [
            [buffer for buffer in buffers if buffer.priority == level]
            for level in sorted({buffer.priority for buffer in buffers}, reverse=True)
        ]
        self._turns = [0] * len(self._levels)
        self._max_runs = max_runs

    def choose(self) -> PartitionBuffer | None:
        """The buffer to take from now, None when there is nothing to take."""
        for level, buffers in enumerate(self._levels):
            count = len(buffers)
            turn = self._turns[level]
            for step in range(count):
                index = (turn + step) % count
                buffer = buffers[index]
                if not buffer.empty and buffer.progress.runs < self._max_runs:
                    self._turns[level] = index + 1
                    return buffer
        return None
