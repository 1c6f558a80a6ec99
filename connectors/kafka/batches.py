"""One write as Kafka takes it: its messages by partition, encoded into batches that fit."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from samza_py.connectors.kafka.partitioner import Partitions
from samza_py.connectors.kafka.tracing import traced
from samza_py.errors import RejectedError
from samza_py.message import Outgoing
from samza_py.producer import Rejected
from samza_py.seam import seam

NO_PARTITION: Final = -1
NO_TIME: Final = -1
_NOT_ENCODABLE: Final = (TypeError, ValueError, OverflowError, AttributeError)
"""What aiokafka raises for a key, a value or a header that is not bytes, or no text."""


@dataclass(slots=True)
class Piece:
    """Messages of one partition, in order, encoded as one of Kafka's batches.

    Attributes:
        partition: where they go.
        builder: aiokafka's ``BatchBuilder`` with them.
        indices: which messages of the write they are.
        size: bytes of the batch before it is compressed, from ``ready`` on.
    """

    partition: int
    builder: Any
    indices: list[int]
    size: int = 0

    def ready(self) -> Any:
        """The builder, to be sent; no message is added after this."""
        # It counts what goes through its own ``append``, which costs as much again as encoding
        # does; see ``_appending``.
        self.builder._relative_offset = len(self.indices)
        self.size = self.builder.size()
        self.builder.close()
        return self.builder


class Encoding:
    """The batches of one write, and what of it can never be one.

    A message without an event time gets the time of the write, as Java's producer does it: Kafka
    would store -1 as it is, and its retention judges a message by its time alone. For the same
    reason one whose event time is long ago does not outlive the topic's ``retention.ms``.

    Args:
        batch: the messages; kept as long as this is.
        where: the name of the topic, for errors.
        new_builder: makes an empty ``BatchBuilder``.
        most_bytes: of one batch, before it is compressed.
    """

    def __init__(
        self,
        batch: Sequence[Outgoing],
        where: str,
        new_builder: Callable[[], Any],
        most_bytes: int,
    ) -> None:
        self.queues: dict[int, deque[Piece]] = {}
        self.rejected: dict[int, Rejected] = {}
        self._batch = batch
        self._where = where
        self._new_builder = new_builder
        self._most_bytes = most_bytes
        self._now_ms = seam().now_ms()

    def encode(self, places: Sequence[int]) -> None:
        """Put every message into a batch of its partition, in order.

        Args:
            places: the partition of each; one of ``NO_PARTITION`` is rejected.
        """
        now_ms = self._now_ms
        writers: dict[int, tuple[Callable[..., Any], list[int]]] = {}
        writer_of = writers.get
        for index, (message, place) in enumerate(zip(self._batch, places, strict=True)):
            writer = writer_of(place)
            timestamp = message.timestamp_ms
            if writer is None or timestamp < 0:
                if timestamp < NO_TIME or place == NO_PARTITION:
                    self._reject(index, _refused(message))
                    continue
                timestamp = now_ms if timestamp < 0 else timestamp
            if writer is not None:
                append, indices = writer
                headers, source = message.headers, message.source
                if source is not None and source.headers:
                    headers = traced(headers, source.headers)
                try:
                    fits = append(
                        len(indices),
                        timestamp,
                        message.key,
                        message.value,
                        list(headers) if headers else [],
                    )
                except _NOT_ENCODABLE as error:
                    self._reject(index, f"cannot be encoded: {error}")
                    continue
                if fits is not None:
                    indices.append(index)
                    continue
            begun = self._begin(place, index)
            if begun is not None:
                writers[place] = _appending(begun), begun.indices

    def halves(self, piece: Piece) -> list[Piece]:
        """A batch that the broker refused, as two: to find which of its messages it will not take.

        They are more where batches have become smaller meanwhile.

        Args:
            piece: of at least two messages.
        """
        middle = len(piece.indices) // 2
        pieces: list[Piece] = []
        for indices in (piece.indices[:middle], piece.indices[middle:]):
            pieces.append(Piece(piece.partition, self._new_builder(), []))
            for index in indices:
                if not self._append(pieces[-1], index):
                    pieces.append(Piece(piece.partition, self._new_builder(), []))
                    self._append(pieces[-1], index)
        return pieces

    def _begin(self, partition: int, index: int) -> Piece | None:
        """A new batch with this message as its first; none where the message cannot be one."""
        piece = Piece(partition, self._new_builder(), [])
        try:
            self._append(piece, index)
        except _NOT_ENCODABLE as error:
            self._reject(index, f"cannot be encoded: {error}")
            return None
        size = piece.builder.size()
        if size > self._most_bytes:
            most = self._most_bytes
            self._reject(index, f"has {size} bytes, more than max_request_bytes of {most}")
            return None
        self.queues.setdefault(partition, deque()).append(piece)
        return piece

    def _append(self, piece: Piece, index: int) -> bool:
        """Add a message to a batch, if it fits; the first one does, whatever its size."""
        message = self._batch[index]
        timestamp, source = message.timestamp_ms, message.source
        headers = message.headers if source is None else traced(message.headers, source.headers)
        fits = _appending(piece)(
            len(piece.indices),
            self._now_ms if timestamp == NO_TIME else timestamp,
            message.key,
            message.value,
            list(headers),
        )
        if fits is not None:
            piece.indices.append(index)
        return fits is not None

    def _reject(self, index: int, why: str) -> None:
        self.rejected[index] = Rejected(RejectedError(f"{self._where}: the message {why}"))


def places(
    batch: Sequence[Outgoing],
    partitions: Partitions,
    ids: Mapping[str, int],
    without_key: int,
) -> list[int]:
    """The partition of each message: the one it asks for, that of its key, or one for the write.

    Args:
        batch: the messages.
        partitions: of keys.
        ids: every partition, by the text of its number.
        without_key: where messages without a key go; one partition for a whole write, so that
            batches are large (KIP-480).

    Returns:
        One for each message; ``NO_PARTITION`` where it asks for one that is not there.
    """
    try:
        partitions.learn({message.key for message in batch})
        return [
            ids.get(chosen, NO_PARTITION)
            if (chosen := message.partition) is not None
            else without_key
            if (key := message.key) is None
            else partitions[key]
            for message in batch
        ]
    except TypeError:  # a key is not bytes; the message with it is found when it is encoded
        return [_place(message, partitions, ids, without_key) for message in batch]


def _place(
    message: Outgoing, partitions: Partitions, ids: Mapping[str, int], without_key: int
) -> int:
    if message.partition is not None:
        return ids.get(message.partition, NO_PARTITION)
    key: Any = message.key
    try:
        return partitions[bytes(memoryview(key))]
    except TypeError:
        return without_key


def _appending(piece: Piece) -> Callable[..., Any]:
    """How a message is encoded: the builder's inner ``append``, at half the cost of its own."""
    append: Callable[..., Any] = piece.builder._builder.append
    return append


def _refused(message: Outgoing) -> str:
    if message.timestamp_ms < NO_TIME:
        return f"has the timestamp {message.timestamp_ms}, and Kafka knows no time before 1970"
    return f"asks for partition {message.partition!r}, which is not there"


def unknown_partition(batch: Iterable[Outgoing], ids: Mapping[str, int]) -> bool:
    """Whether a message asks for a partition that is not among these."""
    return any(m.partition is not None and m.partition not in ids for m in batch)
