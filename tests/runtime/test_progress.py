"""Progress in a partition, held against a model: the set of finished numbers."""

# pyright: reportUnknownLambdaType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# What is called here is made of lambdas in tables, whose types nobody needs.

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samza_py.checkpoint import InputProgress, Run
from samza_py.connectors.memory import Memory
from samza_py.consumer import Fetched
from samza_py.errors import ConnectorError, SerdeError
from samza_py.message import (
    END,
    Message,
    Offset,
    Partition,
    Position,
    TaskPartition,
    Undecodable,
)
from samza_py.runtime.buffer import PartitionBuffer
from samza_py.runtime.progress import Progress
from samza_py.runtime.rooms import Share
from samza_py.serde import Raw
from samza_py.system import Input

PLACE = Partition("memory", "words", "0")


def compare(first: Offset, second: Offset) -> int:
    return int(first) - int(second)


def offset(number: int) -> Offset:
    return Offset(str(number))


def message(number: int, size: int = 1, *, seq: int = 0) -> Message[Any, Any]:
    return Message(PLACE, number, None, b"x" * size, seq=seq)


def covered(progress: InputProgress, upto: int) -> set[int]:
    """The numbers below ``upto`` that a checkpoint says are finished."""
    last = upto if progress.after is END else int(progress.after)
    done = set(range(min(last + 1, upto)))
    for first, end in progress.done:
        done |= set(range(int(first), int(end) + 1))
    return done


def sound(progress: InputProgress) -> None:
    """Runs are in order, apart from each other, and behind the position."""
    at = None if progress.after is END else int(progress.after)
    for first, last in progress.done:
        assert int(first) <= int(last)
        assert at is not None
        assert int(first) > at
        at = int(last)


@given(st.permutations(range(25)), st.integers(0, 25))
def test_messages_finish_in_any_order_and_the_snapshot_is_exactly_those(
    order: Sequence[int], until: int
) -> None:
    progress = Progress(InputProgress(offset(-1)))
    numbers = [progress.begin() for _ in range(25)]
    for number in order[:until]:
        progress.finish(message(number, seq=numbers[number]))
        sound(progress.snapshot())
    finished = set(order[:until])
    assert covered(progress.snapshot(), 25) == finished
    assert progress.runs == len(progress.snapshot().done)
    gaps = sum(1 for n in finished if n - 1 not in finished and n != 0)
    assert progress.runs <= gaps


@given(st.data())
def test_gaps_in_the_offsets_make_no_runs(data: st.DataObject) -> None:
    """What the system leaves out between two messages is nobody's to finish."""
    steps = data.draw(st.lists(st.integers(1, 1000), min_size=1, max_size=20))
    offsets = [sum(steps[: index + 1]) for index in range(len(steps))]
    progress = Progress(InputProgress(offset(0)))
    numbers = [progress.begin() for _ in offsets]
    order = data.draw(st.permutations(range(len(offsets))))
    for index in order:
        progress.finish(message(offsets[index], seq=numbers[index]))
    assert progress.snapshot() == InputProgress(offset(offsets[-1]))
    assert progress.unfinished == 0


class World:
    """A partition read and worked off over several lives, each ending in a crash at any time."""

    def __init__(self, count: int, chance: random.Random) -> None:
        self.count = count
        self.chance = chance
        self.kept = InputProgress(offset(-1))
        self.handed_out: set[int] = set()
        #: Finished in a life whose last commit covers it: never to be handed out again.
        self.committed: set[int] = set()

    def live(self, steps: int, *, in_order: bool, absent: set[int]) -> bool:
        """One life; true when everything is finished and committed."""
        progress = Progress(self.kept)
        buffer = _buffer(progress)
        at = self.count if self.kept.after is END else int(self.kept.after) + 1
        out: list[tuple[int, Message[Any, Any]]] = []
        finished = set(self.committed)
        for _ in range(steps):
            action = self.chance.choice(["read", "take", "take", "finish", "finish", "commit"])
            if action == "read":
                at = self._read(buffer, at, absent)
            elif action == "take" and not (in_order and out):
                self._take(buffer, progress, out, in_order=in_order)
            elif action == "finish" and out:
                seq, one = out.pop(self.chance.randrange(len(out)))
                finished.add(int(one.offset))
                if in_order:
                    progress.last = one
                    _used_up(buffer, progress)
                else:
                    one.seq = seq
                    progress.finish(one)
            elif action == "commit":
                self.kept = progress.snapshot()
                sound(self.kept)
                covers = covered(self.kept, self.count)
                assert covers >= self.committed, "a commit forgot what an earlier one had"
                assert covers - absent <= finished, "a commit covers what is not finished"
                self.committed = covers & (finished | absent)
        return self.committed | absent >= set(range(self.count))

    def _read(self, buffer: PartitionBuffer, at: int, absent: set[int]) -> int:
        if buffer.finished:
            return at
        upto = min(self.count, at + self.chance.randint(0, 6))
        end = upto == self.count
        messages = [message(n) for n in range(at, upto) if n not in absent]
        position: Position = END if end else offset(upto - 1)
        buffer.fill(Fetched(messages, position, finished=end), "messages")
        return upto

    def _take(
        self,
        buffer: PartitionBuffer,
        progress: Progress,
        out: list[tuple[int, Message[Any, Any]]],
        *,
        in_order: bool,
    ) -> None:
        chunk = buffer.chunk()
        if chunk is None:
            return
        count = 1 if chunk.messages else 0
        if count:
            one: Any = chunk.messages[0]
            assert int(one.offset) not in self.committed, "handed out although it was done"
            self.handed_out.add(int(one.offset))
            out.append((-1 if in_order else progress.begin(), one))
        if in_order and count:
            del chunk.messages[0]  # what the serial runner does when the slice is over
            return
        if buffer.took(chunk, count):
            if in_order:
                progress.pass_to(chunk.position)
            else:
                progress.mark(chunk.position)


def _used_up(buffer: PartitionBuffer, progress: Progress) -> None:
    chunk = buffer.chunk()
    if chunk is not None and not chunk.messages and buffer.took(chunk, 0):
        progress.pass_to(chunk.position)


def _buffer(progress: Progress, most: int = 1000, most_bytes: int = 1 << 20) -> PartitionBuffer:
    source: Input[bytes, bytes] = Input(Memory(), "words", Raw(), Raw())
    key = TaskPartition("work/0", PLACE)
    return PartitionBuffer(key, source, progress, compare, room=Share(most, most_bytes))


@given(
    st.integers(0, 1 << 30),
    st.lists(st.tuples(st.integers(5, 60), st.booleans()), min_size=1, max_size=6),
    st.sets(st.integers(0, 19), max_size=6),
)
@settings(deadline=None, max_examples=300)
def test_over_any_lives_nothing_committed_comes_again_and_nothing_is_lost(
    seed: int, lives: list[tuple[int, bool]], absent: set[int]
) -> None:
    world = World(20, random.Random(seed))
    for steps, in_order in lives:
        world.live(steps, in_order=in_order, absent=absent)
    for _ in range(200):
        if world.live(200, in_order=bool(lives[0][1]), absent=absent):
            break
    else:
        raise AssertionError("it does not come to its end")
    assert world.handed_out == set(range(20)) - absent


def test_a_run_stays_in_every_snapshot_until_its_place_is_passed() -> None:
    progress = Progress(InputProgress(offset(0), "", (Run(offset(2), offset(3)),)))
    buffer = _buffer(progress)
    buffer.fill(Fetched([message(n) for n in range(1, 6)], offset(5)), "messages")
    first = buffer.chunk()
    assert first is not None
    assert [m.offset for m in first.messages] == ["1"]
    assert progress.snapshot().done == (("2", "3"),)  # read past, and not worked off
    seq = progress.begin()
    assert buffer.took(first, 1)
    progress.mark(first.position)
    second = buffer.chunk()
    assert second is not None
    assert buffer.took(second, 0)
    progress.mark(second.position)
    assert progress.snapshot() == InputProgress(offset(0), "", (Run(offset(2), offset(3)),))
    progress.finish(message(1, seq=seq))
    assert progress.snapshot() == InputProgress(offset(3))


def _damaged(first: int, last: int) -> Undecodable:
    return Undecodable(PLACE, offset(last), offset(first), b"", SerdeError("damaged"))


@pytest.mark.parametrize(
    ("read_to", "fetched"),
    [
        (5, Fetched([message(5), message(6)], offset(6))),
        (5, Fetched([message(2)], offset(2))),
        (5, Fetched([_damaged(5, 9)], offset(9))),
        (5, Fetched((), offset(4))),
        (5, Fetched([message(5)], END, finished=True)),
        (END, Fetched([message(6)], offset(6))),
    ],
)
@pytest.mark.parametrize("resuming", [False, True])
def test_a_fetch_that_begins_at_or_before_what_was_read_is_refused_whole(
    read_to: int | Position, fetched: Fetched, resuming: bool
) -> None:
    at: Position = offset(read_to) if isinstance(read_to, int) else read_to
    runs = (Run(offset(8), offset(9)),) if resuming and at is not END else ()
    buffer = _buffer(Progress(InputProgress(at, "", runs)))
    with pytest.raises(ConnectorError, match=r"memory.words\[0\].* went back to offset \d, after"):
        buffer.fill(fetched, "messages")
    assert buffer.empty
    assert buffer.read_to == at


@pytest.mark.parametrize(
    "fetched",
    [
        Fetched([message(6)], offset(6)),
        Fetched([_damaged(6, 9)], offset(9)),
        Fetched([message(8)], END, finished=True),
        Fetched((), offset(5), at_head=True),
        Fetched((), offset(7)),
        Fetched((), END, finished=True),
    ],
)
def test_a_fetch_that_goes_on_behind_what_was_read_is_taken(fetched: Fetched) -> None:
    buffer = _buffer(Progress(InputProgress(offset(5))))
    assert buffer.fill(fetched, "messages")
    assert buffer.read_to == fetched.position


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 300)), max_size=30),
    st.integers(1, 20),
    st.integers(1, 3000),
)
def test_a_buffer_gives_room_within_its_bounds_and_everything_once_in_order(
    steps: list[tuple[int, int]], most: int, most_bytes: int
) -> None:
    buffer = _buffer(Progress(InputProgress(offset(-1))), most, most_bytes)
    filled, taken = 0, []
    for wanted, size in steps:
        room = buffer.room()
        if room is not None:
            assert 1 <= room.messages <= most
            assert 1 <= room.bytes <= most_bytes
            count = min(wanted, room.messages)
            fetched = [message(filled + n, size) for n in range(count)]
            filled += count
            buffer.fill(Fetched(fetched, offset(filled - 1)), "messages")
        assert buffer.statistics().buffered <= most
        chunk = buffer.chunk()
        if chunk is not None and size % 3:
            some = chunk.messages[: size % 4]
            taken += [int(m.offset) for m in some]
            buffer.took(chunk, len(some))
    while (chunk := buffer.chunk()) is not None:
        some = chunk.messages[:]
        taken += [int(m.offset) for m in some]
        buffer.took(chunk, len(some))
    assert taken == list(range(filled))
    assert buffer.statistics().buffered == 0
    assert buffer._bytes == 0
    assert buffer.empty
