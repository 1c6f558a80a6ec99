"""The numbers of a container as Prometheus text: made of its statistics when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from samza_py.monitoring.health import causes
from samza_py.runtime.statistics import ContainerStatistics, PartitionStatistics, TaskStatistics

COUNTERS: Final = {
    "received": ("messages_received", "Messages taken from the inputs."),
    "handled": ("messages_handled", "Messages whose call succeeded."),
    "sent": ("messages_sent", "Messages handed to the outputs, dead letters included."),
    "skipped": ("messages_skipped", "Messages passed over by Skip()."),
    "dead": ("messages_dead", "Messages sent to a dead letter output."),
    "retries": ("retries", "Calls made again."),
    "commits": ("commits", "Checkpoints written."),
    "commit_s": ("commit_seconds", "Time that writing checkpoints took."),
}
"""What is counted for each task: its name and what it says, by the field of ``TaskCounters``."""

_PARTITION: Final = ("task", "partition")


class Metrics(Collector):
    """Reads a container at each scrape.

    A task that another container takes over disappears here: its counters begin anew there, as
    those of a process that was started again do.

    Args:
        read: gives the container's statistics now.
    """

    def __init__(self, read: Callable[[], ContainerStatistics]) -> None:
        self._read = read
        self._container = CollectorRegistry()
        self._container.register(self)
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)

    def of_container(self) -> bytes:
        """The container's numbers in Prometheus' text format; called on its loop."""
        return generate_latest(self._container)

    def of_process(self) -> bytes:
        """Memory, CPU time and open files of the process; called in a thread: it reads files."""
        return generate_latest(self._process)

    def describe(self) -> Sequence[Metric]:
        """Nothing: who registers this must not read a container that is not there yet."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """The container's numbers now."""
        now = self._read()
        # Not `job`: that label is Prometheus' own.
        yield _by("job_info", "The job's name.", [((now.job,), 1)], ("name",))
        yield _one("up_seconds", "Time since the container started.", now.running_s)
        yield _one("ready", "1 while /readyz says so.", not causes(now))
        yield _one("outages", "What fails now and is tried again.", len(now.outages))
        for field, (name, what) in COUNTERS.items():
            counter = CounterMetricFamily(f"samza_{name}", what, labels=("task",))
            for task in now.tasks:
                counter.add_metric((task.name,), getattr(task.counters, field))
            yield counter
        yield from _of_tasks(now.tasks)
        yield from _of_partitions(now.tasks)


def _of_tasks(tasks: Sequence[TaskStatistics]) -> Iterator[Metric]:
    unsettled = "Messages sent and not yet durable."
    stalled = "1 while a message is in work for too long or an output has no room."
    yield _by("unsettled_messages", unsettled, [((t.name,), t.unsettled) for t in tasks])
    yield _by("task_stalled", stalled, [((t.name,), t.stalled is not None) for t in tasks])
    yield _by("task_running", "1 while the task runs.", [((t.name,), _runs(t)) for t in tasks])


def _of_partitions(tasks: Sequence[TaskStatistics]) -> Iterator[Metric]:
    found: list[tuple[str, PartitionStatistics]] = [
        (task.name, partition) for task in tasks for partition in task.partitions
    ]
    ahead = [((task, p.name), p.buffered) for task, p in found]
    yield _by("buffered_messages", "Messages read ahead and not yet taken.", ahead, _PARTITION)
    for unit in ("messages", "bytes"):
        left = [
            ((task, p.name), p.remaining)
            for task, p in found
            if p.unit == unit and p.remaining is not None
        ]
        what = f"What is left to read, in {unit}; absent where the system does not tell."
        yield _by(f"remaining_{unit}", what, left, _PARTITION)


def _runs(task: TaskStatistics) -> bool:
    return task.state == "running"


def _one(name: str, what: str, value: float) -> Metric:
    return _by(name, what, [((), value)], ())


def _by(
    name: str,
    what: str,
    values: Sequence[tuple[tuple[str, ...], float]],
    labels: tuple[str, ...] = ("task",),
) -> Metric:
    gauge = GaugeMetricFamily(f"samza_{name}", what, labels=labels)
    for names, value in values:
        gauge.add_metric(names, float(value))
    return gauge
