"""One task's account at one output: what it has handed over and what of that is not yet durable.

Room is counted here, so that a full output stops its own tasks and never another. Everything
handed over carries the *generation* of the commit it belongs to; a commit waits for its own
generation and not for what finishes later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from samza_py.errors import ConnectorError
from samza_py.message import Outgoing
from samza_py.runtime.rooms import Share


class Parcel:
    """Messages of one task for one output, handed over together.

    Attributes:
        bytes: its share of what its task has handed over; an average where it was split by count.
        most_bytes: what its messages are at most, for the limits of a batch.
    """

    __slots__ = ("bytes", "generation", "messages", "most_bytes", "port")

    def __init__(self, port: Port, generation: int, messages: list[Outgoing], size: int) -> None:
        self.port = port
        self.generation = generation
        self.messages = messages
        self.bytes = size
        self.most_bytes = size

    def split(self, count: int, size: int | None) -> tuple[Parcel, Parcel]:
        """The first messages and the rest.

        Args:
            count: how many come first.
            size: their bytes; None where nobody has asked each of them for its own.
        """
        head, tail = self.messages[:count], self.messages[count:]
        share = self.bytes * count // len(self.messages) if size is None else size
        first = Parcel(self.port, self.generation, head, share)
        rest = Parcel(self.port, self.generation, tail, self.bytes - share)
        first.most_bytes = self.most_bytes if size is None else size
        rest.most_bytes = self.most_bytes if size is None else self.most_bytes - size
        return first, rest


class TakesParcels(Protocol):
    """What a port hands its parcels to: the outbox of its output."""

    def put(self, parcel: Parcel) -> None:
        """Queue a parcel; never blocks."""

    def hurry(self) -> None:
        """Send what is queued without waiting for more."""


Rejection = Callable[[Outgoing, ConnectorError, int], None]
"""Called for a message that an output rejected for good, with the generation it belongs to."""


class Port:
    """A task's account at one output.

    Args:
        output: the output's name, ``system.stream``.
        outbox: where its messages go.
        share: what of its messages may be not yet durable.
        on_room: called when a full port has room again.
        on_rejection: called for each message the output rejects.
    """

    def __init__(
        self,
        output: str,
        outbox: TakesParcels,
        share: Share,
        on_room: Callable[[], None],
        on_rejection: Rejection,
    ) -> None:
        self.output = output
        self.unsettled_messages = 0
        self.unsettled_bytes = 0
        self.on_rejection = on_rejection
        #: The task is gone or failing: what it left behind is not sent and never committed.
        self.closed = False
        self._outbox = outbox
        self._share = share
        self._on_room = on_room
        self._counts: dict[int, int] = {}
        self._held: list[Parcel] | None = None
        self._mark = 0
        self._waiting: tuple[int, asyncio.Future[None]] | None = None

    @property
    def room_messages(self) -> int:
        """How many messages may still be handed over; 0 or less is full."""
        return self._share.messages - self.unsettled_messages

    @property
    def room_bytes(self) -> int:
        """How many bytes may still be handed over; 0 or less is full."""
        return self._share.bytes - self.unsettled_bytes

    @property
    def full(self) -> bool:
        """Whether no attempt may start that could send here."""
        # Spelt out, since it is asked for before each of several calls at once.
        share = self._share
        return self.unsettled_messages >= share.messages or self.unsettled_bytes >= share.bytes

    def put(self, messages: list[Outgoing], size: int, generation: int) -> None:
        """Hand over messages, in order; may overshoot the room by what one attempt sends."""
        count = len(messages)
        self.unsettled_messages += count
        self.unsettled_bytes += size
        self._counts[generation] = self._counts.get(generation, 0) + count
        parcel = Parcel(self, generation, messages, size)
        if self._held is not None and generation > self._mark:
            self._held.append(parcel)
        else:
            self._outbox.put(parcel)

    def settled(self, generation: int, count: int, size: int) -> None:
        """Hear from the outbox that messages are durable, or were dealt with otherwise."""
        was_full = self.full
        self.unsettled_messages -= count
        self.unsettled_bytes -= size
        left = self._counts[generation] - count
        if left:
            self._counts[generation] = left
        else:
            del self._counts[generation]
            self._look_at_waiting()
        if was_full and not self.full:
            self._on_room()

    def hold(self, mark: int) -> None:
        """Keep back what belongs to a later generation: it is behind the mark of a commit."""
        self._held = []
        self._mark = mark

    def let_go(self) -> None:
        """Hand on what was kept back."""
        held, self._held = self._held, None
        for parcel in held or ():
            self._outbox.put(parcel)

    async def wait_settled(self, generation: int) -> None:
        """Return when nothing of this generation or an older one is unsettled.

        Waits as long as the output is away: the commit has nothing better to do, and the task
        stops by itself when its room is used up. Called by the task's commit alone.
        """
        if self.settled_up_to(generation):
            return
        self._outbox.hurry()
        future = asyncio.get_running_loop().create_future()
        self._waiting = (generation, future)
        try:
            await future
        finally:
            self._waiting = None

    def settled_up_to(self, generation: int) -> bool:
        """Whether nothing of this generation or an older one is unsettled."""
        return not self.closed and not any(other <= generation for other in self._counts)

    def close(self) -> None:
        """Send nothing more of this task, and let no commit think that it was sent."""
        self.closed = True

    def _look_at_waiting(self) -> None:
        if self._waiting is not None:
            generation, future = self._waiting
            if not future.done() and self.settled_up_to(generation):
                future.set_result(None)
