"""A stream of a broker: its partitions, how they came to be, and which one a key belongs to."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import count
from zlib import crc32

from samza_py.connectors.memory.log import Log
from samza_py.errors import ConnectorError, RejectedError
from samza_py.message import Outgoing


class Topic:
    """The partitions of one stream.

    Args:
        name: the physical name.
        partitions: how many to begin with.
        lineage: the incarnation.

    Attributes:
        declared: how many partitions it was made or grown to have.
        lineage: changes when the stream is made again.
        logs: all partitions by id, closed ones included.
        parents: which partitions each one continues, by id.
        open: the partitions that take messages, in a fixed order.
        ids: where the messages of idempotent outputs stand: partition, offset, and epoch, by id.
        finite: it is closed when somebody begins to read it.
        max_message_bytes: a larger message is rejected; None for no limit.
    """

    def __init__(self, name: str, partitions: int, lineage: str) -> None:
        self.name = name
        self.declared = partitions
        self.lineage = lineage
        self.finite = False
        self.max_message_bytes: int | None = None
        self.logs: dict[str, Log] = {}
        self.parents: dict[str, tuple[str, ...]] = {}
        self.open: list[Log] = []
        self.ids: dict[object, tuple[str, int, int]] = {}
        self._turn = count()
        self._add(str(at) for at in range(partitions))

    def log(self, partition: str) -> Log:
        """A partition by its id.

        Raises:
            ConnectorError: there is none.
        """
        found = self.logs.get(partition)
        if found is None:
            raise ConnectorError(f"memory stream {self.name!r} has no partition {partition!r}")
        return found

    def spread(
        self, batch: Sequence[Outgoing]
    ) -> tuple[dict[Log, Sequence[Outgoing]], list[tuple[Outgoing, RejectedError]]]:
        """Share a batch out: to the partition a message names, else its key's, else the next one.

        Returns:
            The messages by partition, in order, and those that can never be written, with why.
        """
        plain = self.max_message_bytes is None and self.open
        # A list, since any() over a generator takes twice as long, and this is asked per message.
        if plain and not any([message.partition is not None for message in batch]):  # noqa: C419
            return self._by_key(batch), []
        groups: dict[Log, list[Outgoing]] = {}
        rejected: list[tuple[Outgoing, RejectedError]] = []
        for message in batch:
            try:
                groups.setdefault(self._one(message), []).append(message)
            except RejectedError as error:
                rejected.append((message, error))
        return dict(groups), rejected

    def lane(self, message: Outgoing) -> str | None:
        """The partition whose order a message belongs to; None where it has no key and no wish."""
        if message.partition is not None or not self.open or message.key is None:
            return message.partition
        return self.open[crc32(message.key) % len(self.open)].id

    def _by_key(self, batch: Sequence[Outgoing]) -> dict[Log, Sequence[Outgoing]]:
        logs = self.open
        if len(logs) == 1:
            return {logs[0]: batch}
        groups: list[list[Outgoing]] = [[] for _ in logs]
        partitions, turn = len(logs), self._turn
        for message in batch:
            key = message.key
            groups[(next(turn) if key is None else crc32(key)) % partitions].append(message)
        return {log: group for log, group in zip(logs, groups, strict=True) if group}

    def _one(self, message: Outgoing) -> Log:
        if self.max_message_bytes is not None and message.size > self.max_message_bytes:
            raise RejectedError(
                f"memory stream {self.name!r} takes messages up to {self.max_message_bytes} bytes, "
                f"this one has {message.size}"
            )
        if message.partition is not None:
            chosen = self.logs.get(message.partition)
            if chosen is None or chosen.closed:
                state = "has no" if chosen is None else "has closed its"
                raise RejectedError(
                    f"memory stream {self.name!r} {state} partition {message.partition!r}"
                )
            return chosen
        if not self.open:
            raise RejectedError(f"memory stream {self.name!r} is closed")
        key = message.key
        return self.open[(next(self._turn) if key is None else crc32(key)) % len(self.open)]

    def put_once(self, log: Log, messages: Sequence[Outgoing], task: str, epoch: int) -> None:
        """Append messages, but put each that was here before in the place it had.

        A message is known by the task, the source message and its number among the results of
        that; what no message caused is always new.

        Args:
            log: where they belong.
            messages: what to write.
            task: who writes; two tasks may read one partition, and have results of one number.
            epoch: of the owner that sends them; where a newer one has written, nothing changes.
        """
        ids = self.ids
        new: dict[object, Outgoing] = {}
        for message in messages:
            source = message.source
            name: object = message
            if source is not None:
                name = (task, source.partition, source.offset, message.number)
            if name in ids:
                self._put_again(log, message, name, epoch)
            else:
                new[name] = message
        first = log.extend(list(new.values()))
        for at, name in enumerate(new, first):
            if not isinstance(name, Outgoing):
                ids[name] = (log.id, at, epoch)

    def _put_again(self, log: Log, message: Outgoing, name: object, epoch: int) -> None:
        place, offset, newest = self.ids[name]
        if epoch < newest:
            return
        if place == log.id and log.replace(offset, message):
            self.ids[name] = (place, offset, epoch)
            return
        self.logs[place].hide(offset, offset)
        self.ids[name] = (log.id, log.extend((message,)), epoch)

    def grow(self, partitions: int) -> None:
        """Add partitions until there are so many."""
        self._add(str(at) for at in range(self.declared, partitions))
        self.declared = max(self.declared, partitions)

    def reshard(self, parents: Collection[str], children: Sequence[str]) -> None:
        """Close partitions and let new ones continue them.

        Raises:
            ConnectorError: a parent is not there or closed, or a child exists.
        """
        for parent in parents:
            if self.log(parent).closed:
                raise ConnectorError(f"memory stream {self.name!r}: {parent!r} is closed already")
        for child in children:
            if child in self.logs:
                raise ConnectorError(f"memory stream {self.name!r} has partition {child!r} already")
        for child in children:
            self.parents[child] = tuple(parents)
        self._add(children)
        for parent in parents:
            self.logs[parent].close()
        self._refresh()

    def close(self) -> None:
        """Close all partitions."""
        for log in self.logs.values():
            log.close()
        self._refresh()

    def recreate(self, lineage: str) -> None:
        """Drop all records and begin again with as many partitions as were declared."""
        before = list(self.logs.values())
        self.lineage = lineage
        self.logs.clear()
        self.parents.clear()
        self.ids.clear()
        self._add(str(at) for at in range(self.declared))
        for log in before:
            log.drop()

    def _add(self, partitions: Iterable[str]) -> None:
        for partition in partitions:
            self.logs[partition] = Log(partition)
        self._refresh()

    def _refresh(self) -> None:
        self.open = [log for log in self.logs.values() if not log.closed]
