"""Where the library's fetcher keeps its answers: what makes messages of them, and of their errors.

Both reach into aiokafka. Where another version of it looks different inside, it makes its records,
of which ``Seat.keep`` makes messages, and raises its errors, which ``Reader`` raises on.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator, Iterator, Mapping
from typing import Any

from samza_py.connectors.kafka.failures import is_fatal, refused
from samza_py.connectors.kafka.seat import Seat
from samza_py.errors import ConnectorError


class Answers(OrderedDict[Any, Any]):
    """Stands where the fetcher keeps its answers, and changes each as it comes in.

    Its own records are objects of eleven fields that would be read once and thrown away: a third of
    what consuming costs.

    Its parser raises what it cannot read while all partitions are drained: nobody would know whose
    error that is, and what was drained of the others is thrown away. So here each parser ends
    before what it cannot read, and its partition fails alone.

    Args:
        seats: of the reader.
    """

    def __init__(self, seats: Mapping[Any, Seat]) -> None:
        super().__init__()
        self._seats = seats

    def __setitem__(self, topic: Any, answer: Any) -> None:
        seat = self._seats.get(topic)
        records: Any = getattr(answer, "_partition_records", None)
        if seat is not None and records is not None:
            if hasattr(records, "_consumer_record"):
                records._consumer_record = seat.message
            if hasattr(records, "_records_iterator") and hasattr(records, "next_fetch_offset"):
                records._records_iterator = self._readable(
                    topic, records, records._records_iterator
                )
        super().__setitem__(topic, answer)

    def _readable(self, topic: Any, records: Any, parsed: Iterator[Any]) -> Generator[Any]:
        """What can be read of an answer; the seat of its partition fails with what cannot."""
        try:
            yield from parsed
        except Exception as error:
            # By now the partition may have another seat, or none.
            seat = self._seats.get(topic)
            if seat is not None and not seat.failed:
                seat.fail(_unreadable(error, seat, records.next_fetch_offset))


def _unreadable(error: Exception, seat: Seat, offset: int) -> ConnectorError:
    where = f"{seat.partition}: what stands at offset {offset} cannot be read"
    if is_fatal(error):
        return refused(error, f"reading {seat.partition} at offset {offset}")
    behind = f"start=AtOffset({{'{seat.partition.id}': ...}}) with --ignore-checkpoint"
    if isinstance(error, UnicodeDecodeError):
        name = bytes(error.object[:60])
        return ConnectorError(
            f"{where}: the name of a header is not UTF-8 ({name!r}); mend what writes it. To leave "
            f"the message out, start behind it: {behind}"
        )
    said = str(error) or type(error).__name__
    return ConnectorError(
        f"{where}: its batch is damaged ({said}); let another replica lead the partition. Where "
        f"all are damaged, start behind the batch: {behind}"
    )
