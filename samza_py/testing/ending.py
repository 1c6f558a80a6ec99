"""Ends the streams of a run as soon as nobody will write to them, so that the job ends by itself.

What a test fills is ended before the job starts. A stream between two tasks is ended when the tasks
before it have read everything and that is in their checkpoints: what a checkpoint covers has
arrived.
"""

from __future__ import annotations

from collections.abc import Mapping

from samza_py.checkpoint import Checkpoint
from samza_py.connectors.memory import Faults
from samza_py.errors import ConfigError
from samza_py.message import END, Partition
from samza_py.testing.stand_ins import StandIns, writers

_TELLING = frozenset(("checkpoint", "commit", "finish"))


class Ending(Faults):
    """Watches the checkpoints of a run and ends one stream after the other.

    Args:
        stand_ins: of the run; ``install`` puts it in their brokers.

    Raises:
        ConfigError: a task reads what it has itself written, so that no end can be told.
    """

    def __init__(self, stand_ins: StandIns) -> None:
        self._stand_ins = stand_ins
        self._store = stand_ins.checkpoints.store(stand_ins.job.name)
        self._writers = writers(stand_ins.job)
        self._specs = {spec.name: spec for spec in stand_ins.job.tasks}
        self._inputs = {name: {str(i) for i in s.inputs} for name, s in self._specs.items()}
        self._open = {name for inputs in self._inputs.values() for name in inputs}
        self._looking = False
        self._refuse_circles()

    async def install(self) -> None:
        """Watch from now on, and end what nobody writes to."""
        if all(not self._writers[name] for name in self._open):
            await self._look()  # every input is ended: there is nothing to watch for
            return
        for broker in {id(m.broker): m.broker for m in self._stand_ins.systems.values()}.values():
            broker.faults = self
        self._stand_ins.checkpoints.link.broker.faults = self
        await self._look()

    async def after(self, operation: str, client: str) -> None:
        """Look again whenever something was committed."""
        if operation in _TELLING and not self._looking:
            await self._look()

    async def _look(self) -> None:
        self._looking = True
        try:
            checkpoints = await self._store.read()
        finally:
            self._looking = False
        for name in sorted(self._open):
            if all(self._has_ended(writer, checkpoints) for writer in self._writers[name]):
                self._open.discard(name)
                stream = self._stand_ins.streams[name]
                self._stand_ins.memory(stream).close(stream)

    def _has_ended(self, handler: str, checkpoints: Mapping[str, Checkpoint]) -> bool:
        """Whether all tasks of a handler have read all there is, and all they sent has arrived."""
        of_handler = [c for task, c in checkpoints.items() if task.rpartition("/")[0] == handler]
        ended = {p for c in of_handler for p, made in c.inputs.items() if made.after is END}
        wanted = set[Partition]()
        for name in self._inputs[handler]:
            stream = self._stand_ins.streams[name]
            topic = self._stand_ins.memory(stream).broker.topic(stream.physical)
            wanted |= {Partition(stream.system.name, stream.name, id_) for id_ in topic.logs}
        staged = any(m.broker.staged for m in self._stand_ins.systems.values())
        return wanted <= ended and not staged

    def _refuse_circles(self) -> None:
        for start in self._specs:
            reached: set[str] = set()
            waiting = [start]
            while waiting:
                for name in self._inputs[waiting.pop()]:
                    fresh = self._writers[name] - reached
                    reached |= fresh
                    waiting += fresh
            if start in reached:
                raise ConfigError(
                    f"task {start}",
                    "reads what comes of its own output, so its input never ends; run the job "
                    "with a container of your own over Memory, and stop it when you have seen "
                    "enough",
                )
