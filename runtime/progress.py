"""How far a task has come in one partition: the oldest unfinished message, and what is done beyond.

A task that works one message at a time sets ``last``: one attribute store a message. A task
with several calls at once numbers its messages (``begin``) and finishes them in any order
(``finish``). Those finished beyond the oldest unfinished one are first kept one by one, since most
of them do not have to wait for long; from ``MOST_SINGLE`` on as runs, merged as they touch, so that
memory grows with the number of unfinished messages and never with the length of a gap.

Offsets advance per partition: a slow message holds back its own place and nothing else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

from samza_py.checkpoint import InputProgress, Run
from samza_py.message import END, Offset, Position, Received

MOST_SINGLE = 1024
"""So many messages finished out of order are kept one by one."""


class _Done:
    """A finished stretch of sequence numbers, and what it means as offsets."""

    __slots__ = ("first", "first_offset", "last", "last_offset", "position")

    def __init__(self, seq: int, offset: Offset | None, position: Position) -> None:
        self.first = seq
        self.last = seq
        self.first_offset = offset
        self.last_offset = offset
        self.position = position

    def absorb(self, later: _Done) -> None:
        self.last = later.last
        if self.first_offset is None:
            self.first_offset = later.first_offset
        if later.last_offset is not None:
            self.last_offset = later.last_offset
        self.position = later.position


class Progress:
    """The progress of one task in one partition.

    Args:
        start: what the checkpoint says, or the resolved start.
    """

    __slots__ = (
        "_after",
        "_base",
        "_by_first",
        "_by_last",
        "_inherited",
        "_next",
        "_read_past",
        "_single",
        "last",
        "lineage",
    )

    def __init__(self, start: InputProgress) -> None:
        self._after = start.after
        self.lineage = start.lineage
        #: Runs of an earlier checkpoint whose messages have not all come by again yet.
        self._inherited: deque[Run] = deque(start.done)
        #: Those whose messages have come by, while the runner has not come to their place yet.
        self._read_past: deque[Run] = deque()
        #: The newest message before which all is finished; None where ``_after`` says it.
        self.last: Received | None = None
        self._next = 0
        self._base = 0
        #: What is finished beyond the oldest unfinished message: single messages by number, and
        #: runs by both of their ends.
        self._single: dict[int, Offset] = {}
        self._by_first: dict[int, _Done] = {}
        self._by_last: dict[int, _Done] = {}

    # In order ------------------------------------------------------------------------------

    def pass_to(self, position: Position) -> None:
        """Everything up to a position is finished, where messages finish in order."""
        self._after = position
        self.last = None
        self._passed_run(position)

    # In any order --------------------------------------------------------------------------

    def begin(self) -> int:
        """The number of the next message taken."""
        seq = self._next
        self._next = seq + 1
        return seq

    def begin_all(self, messages: Sequence[Received]) -> None:
        """Number the next messages taken, in order."""
        for seq, message in enumerate(messages, self._next):
            message.seq = seq
        self._next += len(messages)

    def finish(self, message: Received) -> None:
        """A numbered message is finished."""
        seq = message.seq
        if seq == self._base:
            self._base = seq + 1
            self.last = message
            if self._single or self._by_first:
                self._advance()
        else:
            self._single[seq] = message.offset
            if len(self._single) > MOST_SINGLE:
                self._fold()

    def mark(self, position: Position) -> None:
        """Reading has come to a position that has no message of its own."""
        done = _Done(self.begin(), None, position)
        run = self._passed_run(position)
        if run is not None:
            done.first_offset, done.last_offset = run
        self._keep(done)
        self._advance()

    def _passed_run(self, position: Position) -> Run | None:
        """The run of an earlier checkpoint that ends at this position, if one does."""
        if self._read_past and self._read_past[0].last == position:
            return self._read_past.popleft()
        if position is END:
            self._read_past.clear()
        return None

    def _advance(self) -> None:
        """Pass what is finished right behind the oldest unfinished message."""
        single, by_first = self._single, self._by_first
        while True:
            if (offset := single.pop(self._base, None)) is not None:
                self._base += 1
                self._after, self.last = offset, None
            elif (done := by_first.pop(self._base, None)) is not None:
                del self._by_last[done.last]
                self._base = done.last + 1
                self._after, self.last = done.position, None
            else:
                return

    def _fold(self) -> None:
        """Make runs of the single messages."""
        for seq, offset in sorted(self._single.items()):
            self._keep(_Done(seq, offset, offset))
        self._single.clear()

    def _keep(self, done: _Done) -> None:
        """Keep a finished stretch, merged with those that it touches."""
        before = self._by_last.pop(done.first - 1, None)
        if before is not None:
            before.absorb(done)
            done = before
        behind = self._by_first.pop(done.last + 1, None)
        if behind is not None:
            del self._by_last[behind.last]
            done.absorb(behind)
        self._by_first[done.first] = done
        self._by_last[done.last] = done

    @property
    def unfinished(self) -> int:
        """Numbered messages that are not finished, or finished beyond one that is not."""
        return self._next - self._base

    @property
    def runs(self) -> int:
        """How many stretches are finished beyond the oldest unfinished message."""
        self._fold()
        return len(self._by_first) + len(self._read_past) + len(self._inherited)

    def runs_left(self, most: int) -> int:
        """How many stretches there may be more until there are ``most``, or fewer than that."""
        left = most - len(self._single) - len(self._by_first)
        left -= len(self._read_past) + len(self._inherited)
        return left if left > most // 2 else most - self.runs  # counted only where it matters

    # Both ----------------------------------------------------------------------------------

    @property
    def after(self) -> Position:
        """Everything up to here is finished."""
        return self._after if self.last is None else self.last.offset

    def snapshot(self) -> InputProgress:
        """What a checkpoint says of this partition now."""
        self._fold()
        runs = [
            Run(done.first_offset, done.last_offset)
            for _, done in sorted(self._by_first.items())
            if done.first_offset is not None and done.last_offset is not None
        ]
        after = self.after
        inherited = () if after is END else (*self._read_past, *self._inherited)
        return InputProgress(after, self.lineage, (*runs, *inherited))

    @property
    def resuming(self) -> bool:
        """Whether messages may still come that an earlier checkpoint has as done."""
        return bool(self._inherited)

    def without_done(
        self,
        messages: Sequence[Received],
        position: Position,
        compare: Callable[[Offset, Offset], int],
    ) -> list[tuple[list[Received], Position]]:
        """Take out of a fetch what an earlier checkpoint has as done.

        Returns:
            The rest, cut into stretches, each with the position that is reached behind it. A run
            is left behind as a whole, by an empty stretch at its end: until the runner has come
            to that one, the run stays in every snapshot.
        """
        inherited = self._inherited
        stretches: list[tuple[list[Received], Position]] = []
        open_: list[Received] = []

        def leave_run() -> None:
            nonlocal open_
            if open_:
                stretches.append((open_, open_[-1].offset))
                open_ = []
            run = inherited.popleft()
            self._read_past.append(run)
            stretches.append(([], run.last))

        for message in messages:
            while inherited and compare(message.offset, inherited[0].last) > 0:
                leave_run()
            if not inherited or compare(message.offset, inherited[0].first) < 0:
                open_.append(message)
            elif compare(message.offset, inherited[0].last) == 0:
                leave_run()
        while inherited and (position is END or compare(position, inherited[0].last) >= 0):
            leave_run()
        # A position inside a run says nothing of its own: the run's end will.
        inside = (
            bool(inherited) and position is not END and compare(position, inherited[0].first) >= 0
        )
        if open_ or not inside:
            stretches.append((open_, open_[-1].offset if inside else position))
        return stretches
