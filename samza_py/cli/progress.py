"""What a running job has done, how fast, and when it will be through: from samples of counters."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from samza_py.cli.amounts import amount, count, duration, rate
from samza_py.runtime.statistics import ContainerStatistics, TaskCounters

WINDOW_S = 10.0
"""Rates are taken over this long, so that they can be read while they change."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A running job at one moment.

    Attributes:
        running_s: since the start.
        total: the counters of all tasks.
        in_rate: messages taken in a second, over the last seconds.
        out_rate: messages sent in a second.
        lag: what is left to read, by unit; empty where no system tells.
        ahead: messages read ahead that are not counted in ``lag``, as their system counts bytes.
        lag_known: every partition told.
        eta_s: until nothing is left at the present pace; None where that cannot be said.
        buffered: messages read ahead, in all tasks.
        unsettled: messages sent and not yet durable.
        done_share: the share of all that is read, 0 to 1; None where it is not known.
        tasks: how many run here.
        stalled: causes, one for each task that does not get on.
    """

    running_s: float
    total: TaskCounters
    in_rate: float
    out_rate: float
    lag: Mapping[str, int]
    ahead: int
    lag_known: bool
    eta_s: float | None
    buffered: int
    unsettled: int
    done_share: float | None
    tasks: int
    stalled: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Sample:
    at_s: float
    received: int
    sent: int
    lag: Mapping[str, int]
    ahead: int


class Progress:
    """Turns one container's statistics into snapshots; fed several times a second."""

    def __init__(self) -> None:
        self._samples: deque[_Sample] = deque()
        self._most: dict[str, int] = {}

    def add(self, now: ContainerStatistics) -> Snapshot:
        """Take in the statistics of this moment and say what they come to."""
        total = now.total()
        partitions = [p for task in now.tasks for p in task.partitions]
        told = [p for p in partitions if p.remaining is not None]
        lag: Counter[str] = Counter()
        for partition in told:
            lag[partition.unit] += partition.remaining or 0
        ahead = sum(p.buffered for p in told if p.unit != "messages")
        sample = _Sample(now.running_s, total.received, total.sent, dict(lag), ahead)
        before = self._before(sample)
        passed = sample.at_s - before.at_s
        return Snapshot(
            running_s=now.running_s,
            total=total,
            in_rate=(sample.received - before.received) / passed if passed > 0 else 0.0,
            out_rate=(sample.sent - before.sent) / passed if passed > 0 else 0.0,
            lag=sample.lag,
            ahead=ahead,
            lag_known=bool(partitions) and len(told) == len(partitions),
            eta_s=_eta_s(sample, before, passed),
            buffered=sum(p.buffered for p in partitions),
            unsettled=sum(task.unsettled for task in now.tasks),
            done_share=self._done_share(sample, complete=len(told) == len(partitions)),
            tasks=len(now.tasks),
            stalled=[f"{t.name}: {t.stalled}" for t in now.tasks if t.stalled],
        )

    def _before(self, sample: _Sample) -> _Sample:
        self._samples.append(sample)
        while len(self._samples) > 2 and sample.at_s - self._samples[1].at_s >= WINDOW_S:
            self._samples.popleft()
        return self._samples[0]

    def _done_share(self, now: _Sample, *, complete: bool) -> float | None:
        """How much of the most that was ever left is gone; meant for inputs that end."""
        if not complete or len(now.lag) != 1:
            return None
        ((unit, left),) = now.lag.items()
        most = self._most[unit] = max(left, self._most.get(unit, 0))
        if unit == "messages":
            return (most - left) / most if most else None
        # The share that is read, times the share of it that is worked off: a small file is read
        # as a whole before anything was seen of it.
        read, taken = (most - left) / most if most else 1.0, now.received + now.ahead
        return read * now.received / taken if taken else None


def _eta_s(sample: _Sample, before: _Sample, passed: float) -> float | None:
    if not sample.lag or passed <= 0:
        return None
    longest = 0.0
    for unit, left in sample.lag.items():
        fallen = before.lag.get(unit, 0) - left
        if left and fallen <= 0:
            return None  # it grows, or stands: no end in sight
        longest = max(longest, left / fallen * passed if left else 0.0)
    taken = sample.received - before.received
    if sample.ahead and taken <= 0:
        return None
    return longest + (sample.ahead / taken * passed if sample.ahead else 0.0)


def lag_text(now: Snapshot) -> str:
    """What is left to read, with its units: ``1,200 messages``, ``3.1 MiB``, ``unknown``."""
    lag = now.lag
    if now.ahead and not any(lag.values()):
        lag = {"messages": now.ahead}  # all is read
    parts = [amount(left, unit) for unit, left in sorted(lag.items())]
    if not parts:
        return "unknown"
    return " + ".join(parts) + ("" if now.lag_known else " or more")


def eta_text(now: Snapshot) -> str:
    """When it will be through."""
    if now.eta_s is None:
        return "unknown"
    return "now" if now.eta_s == 0 else duration(now.eta_s)


def progress_line(now: Snapshot) -> str:
    """All of it on one line, for a log."""
    total = now.total
    left = f"lag {lag_text(now)}"
    if now.ahead or any(now.lag.values()):
        left += f", ETA {eta_text(now)}"
    return (
        f"{duration(now.running_s)}: in {count(total.received)} ({rate(now.in_rate)}), "
        f"out {count(total.sent)} ({rate(now.out_rate)}), {left}, {troubles(total)}, "
        f"buffered {count(now.buffered)}, unsettled {count(now.unsettled)}"
    )


def troubles(total: TaskCounters) -> str:
    """What did not go well, the zeros said too: they are the good news."""
    return (
        f"dead letters {count(total.dead)}, skipped {count(total.skipped)}, "
        f"retries {count(total.retries)}"
    )


def closing_line(now: Snapshot, outcome: str) -> str:
    """The last line of a run: what was done in all, at which mean rate."""
    total = now.total
    mean = total.received / now.running_s if now.running_s > 0 else 0.0
    return (
        f"{outcome} after {duration(now.running_s)}: in {count(total.received)} ({rate(mean)}), "
        f"out {count(total.sent)}, {troubles(total)}, commits {count(total.commits)}"
    )


def fields(now: Snapshot) -> dict[str, int | float]:
    """The same as numbers, for a log in JSON."""
    total = now.total
    numbers: dict[str, int | float] = {
        "running_s": round(now.running_s, 1),
        "in": total.received,
        "out": total.sent,
        "in_per_s": round(now.in_rate, 1),
        "out_per_s": round(now.out_rate, 1),
        "dead_letters": total.dead,
        "skipped": total.skipped,
        "retries": total.retries,
        "commits": total.commits,
        "buffered": now.buffered,
        "unsettled": now.unsettled,
    }
    numbers.update({f"lag_{unit}": left for unit, left in now.lag.items()})
    if now.eta_s is not None:
        numbers["eta_s"] = round(now.eta_s, 1)
    return numbers
