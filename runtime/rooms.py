"""How much the tasks of a container may hold, each an even share of what the job allows it.

The bounds are the container's, so that its memory does not grow with the partitions it owns: with
a bound for each task, sixteen partitions with a backlog held sixteen times as much as one.
"""

from __future__ import annotations

from typing import Final

from samza_py.options import JobOptions

LEAST_MESSAGES: Final = 100
LEAST_BYTES: Final = 64 << 10
"""What a task gets however many there are: with less, each poll and write would be for a few."""


class Share:
    """What one task may hold of something, in messages and in bytes; changes with the tasks.

    Args:
        messages: the container's bound.
        size: the container's bound in bytes.
    """

    __slots__ = ("_bytes", "_messages", "bytes", "messages")

    def __init__(self, messages: int, size: int) -> None:
        self._messages = self.messages = messages
        self._bytes = self.bytes = size

    def among(self, tasks: int) -> None:
        """Be one of so many."""
        self.messages = min(self._messages, max(LEAST_MESSAGES, self._messages // tasks))
        self.bytes = min(self._bytes, max(LEAST_BYTES, self._bytes // tasks))


class Rooms:
    """The shares of a container's tasks.

    Args:
        options: of the job.

    Attributes:
        buffered: what a task may have read ahead.
        unsettled: what it may have sent to one output that is not yet durable.
    """

    def __init__(self, options: JobOptions) -> None:
        self.buffered = Share(options.max_buffered_messages, options.max_buffered_bytes)
        self.unsettled = Share(options.max_outbox_messages, options.max_outbox_bytes)

    def among(self, tasks: int) -> None:
        """Share anew: the container has so many tasks now."""
        for share in (self.buffered, self.unsettled):
            share.among(max(1, tasks))
