"""Owners, lost and late appends and compaction, in any order: what was promised always holds.

The log is a list here, since a broker cannot be made to do these things in a chosen order, hundreds
of times a second. What is run on it is what runs on a broker.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, cast

import pytest

from samza_py.checkpoint import Change, Checkpoint
from samza_py.connectors.kafka.checkpoint_history import History
from samza_py.connectors.kafka.checkpoint_log import Records, TopicLog
from samza_py.connectors.kafka.checkpoint_owner import Owner
from samza_py.connectors.kafka.checkpoint_reading import catch_up, newest
from samza_py.connectors.kafka.checkpoint_records import Record
from samza_py.errors import FencedError, UnavailableError

STORE = "counts"
KEYS = [b"a", b"b", b"c", b"d"]


class Log:
    """A partition in memory, with everything that may happen to what is appended to it."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.records: list[Record] = []
        self.next = 0
        self.late: list[Records] = []
        self.old_deletions: set[int] = set()
        self.readers = 0

    def place(self, partition: int) -> str:
        return f"list[{partition}]"

    async def append(self, partition: int, records: Records) -> int:
        await self._pause()
        fate = self.random.random()
        if fate < 0.1:
            self.late.append(records)
        elif fate > 0.15:
            first = self._put(records)
            await self._pause()
            if fate > 0.25:
                return first
        raise UnavailableError("the answer was lost")

    async def end(self, partition: int) -> int:
        await self._pause()
        return self.next

    async def read(
        self, partition: int, start: int, end: int
    ) -> AsyncGenerator[Sequence[Record], None]:
        # In two parts: a compaction may come between.
        middle = (start + end) // 2
        self.readers += 1
        try:
            for low, high in ((start, middle), (middle, end)):
                yield [record for record in self.records if low <= record.offset < high]
                await self._pause()
        finally:
            self.readers -= 1

    def arrive(self) -> None:
        """One of the late appends arrives after all."""
        if self.late:
            self._put(self.late.pop(self.random.randrange(len(self.late))))

    def compact(self) -> None:
        """The cleaner goes by what stands up to some offset, and keeps the last of each key.

        It cleans from the beginning, and may have come less far when somebody reads.
        A deletion stays for longer than anybody reads (``delete.retention.ms``, a day).
        """
        cut = self.random.randint(0, self.next)
        done = cut if self.random.random() < 0.5 else self.random.randint(0, cut)
        last = {record.key: record.offset for record in self.records if record.offset < cut}
        gone = set[int]() if self.readers else {one for one in self.old_deletions if one < cut}
        self.records = [
            record
            for record in self.records
            if record.offset >= done
            or (record.offset == last[record.key] and record.offset not in gone)
        ]
        deletions = {r.offset for r in self.records if r.value is None and r.offset < done}
        if not self.readers:
            self.old_deletions |= {one for one in deletions if self.random.random() < 0.3}

    def _put(self, records: Records) -> int:
        first = self.next
        self.records += [Record(first + n, key, value) for n, (key, value) in enumerate(records)]
        self.next += len(records)
        return first

    async def _pause(self) -> None:
        for _ in range(self.random.randrange(3)):
            await asyncio.sleep(0)


@dataclass
class Written:
    """A commit that somebody tried, with what the store holds after it."""

    parent: int
    state: dict[bytes, bytes]


@dataclass
class World:
    """What is known to be true, whoever says otherwise."""

    log: Log
    random: Random
    tried: dict[int, Written] = field(default_factory=lambda: {0: Written(0, {})})
    void: set[int] = field(default_factory=set[int])
    opened: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    done: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)
    reader: History = field(default_factory=lambda: History("reader", "task", entries=False))

    @property
    def topic(self) -> TopicLog:
        return cast("TopicLog", self.log)

    def check(self) -> None:
        """A commit that was acknowledged is under all that later owners began with."""
        for epoch, number in self.done:
            for later, found in self.opened:
                if later > epoch:
                    assert number in self.line(found), f"{number} is lost: {later} found {found}"

    def line(self, number: int) -> list[int]:
        found = [number]
        while number:
            number = self.tried[number].parent
            found.append(number)
        return found

    def seen(self, number: int) -> None:
        assert not self.void.intersection(self.line(number)), f"{number} builds on what is void"

    async def newest(self) -> int:
        """What a reader finds, one from the beginning as one that has read on."""
        end = await self.log.end(1)
        anew = await read_anew(self)
        found = number_in(anew)
        async with self.reading:
            await catch_up(self.reader, self.topic, 1, end)
            if self.reader.position == anew.position:
                assert number_in(self.reader) == found
        self.seen(found)
        return found


def number_in(history: History) -> int:
    checkpoint = newest(history)
    return 0 if checkpoint is None else checkpoint.number


async def state_of(owner: Owner) -> dict[bytes, bytes]:
    """What a restore gives."""
    checkpoint = owner.newest()
    marker = "" if checkpoint is None else checkpoint.stores[STORE]
    found: dict[bytes, bytes] = {}
    async for changes in owner.restore(STORE, marker):
        for key, value in changes:
            assert value is not None
            found[key] = value
    return found


async def live_as_owner(world: World) -> None:
    """A container that runs the task until it is fenced or dies."""
    owner = Owner(world.topic, 1, "task")
    try:
        await owner.claim()
    except UnavailableError:
        return
    found = number_in(owner.history)
    world.opened.append((owner.epoch, found))
    world.seen(found)
    world.check()
    try:
        state = await state_of(owner)
        assert state == world.tried[found].state
        while world.random.random() < 0.9:
            found = await commit(world, owner, found, state)
    except (FencedError, UnavailableError):
        return


async def commit(world: World, owner: Owner, last: int, state: dict[bytes, bytes]) -> int:
    """One commit as the runtime does it: what is unknown is read back, and sent again."""
    number = max(world.tried) + 1
    for _ in range(world.random.randrange(4)):
        state[world.random.choice(KEYS)] = b"%d" % number
    if world.random.random() < 0.3:
        state.pop(world.random.choice(KEYS), None)
    before = world.tried[last].state
    changes: list[Change] = [
        (key, state.get(key)) for key in KEYS if before.get(key) != state.get(key)
    ]
    while True:
        number = max(world.tried) + 1
        world.tried[number] = Written(last, dict(state))
        checkpoint = Checkpoint(owner.epoch, number, stores={STORE: str(number)})
        try:
            await owner.write(checkpoint, {STORE: changes})
        except FencedError:
            world.void.add(number)
            raise
        except UnavailableError:
            if world.random.random() < 0.2:
                raise  # the container dies with it
            if not await took_effect(world, owner, number):
                world.void.add(number)
                continue
        world.done.append((owner.epoch, number))
        world.check()
        return number


async def took_effect(world: World, owner: Owner, number: int) -> bool:
    for _ in range(50):
        try:
            await owner.settle()
        except UnavailableError:
            continue
        except FencedError:
            # Some reader finds out whether it stands before the newer claim.
            return number in world.line(await world.newest())
        return number in world.line(await world.newest())
    raise UnavailableError("the brokers stay away")


async def things_happen(world: World) -> None:
    for _ in range(60):
        for _ in range(world.random.randrange(8)):
            await asyncio.sleep(0)
        world.random.choice((world.log.arrive, world.log.compact))()


async def run(seed: int) -> World:
    random = Random(seed)
    world = World(Log(random), random)
    happening = asyncio.ensure_future(things_happen(world))
    for _ in range(4):
        some: list[Any] = [live_as_owner(world) for _ in range(random.randint(1, 3))]
        await asyncio.gather(*some)
        await world.newest()
    await happening
    while world.log.late:
        world.log.arrive()
    world.log.random = Random(0)
    await world.newest()
    return world


@pytest.mark.parametrize("part", range(4))
async def test_what_was_acknowledged_stays_and_what_was_refused_stays_away(part: int) -> None:
    done = 0
    for seed in range(part * 50, part * 50 + 50):
        try:
            done += len((await run(seed)).done)
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
    assert done > 200


async def test_a_write_without_a_reading_makes_the_unknown_one_before_it_void() -> None:
    log = Log(Always())
    world = World(log, log.random)
    owner = Owner(world.topic, 1, "task")
    await owner.claim()
    log.random = Never()
    with pytest.raises(UnavailableError):
        await owner.write(Checkpoint(owner.epoch, 1, stores={STORE: "1"}), {STORE: [(b"a", b"1")]})
    log.random = Always()
    await owner.write(Checkpoint(owner.epoch, 2, stores={STORE: "2"}), {STORE: [(b"b", b"2")]})
    assert len(log.late) == 1
    log.arrive()
    assert number_in(await read_anew(world)) == 2
    await owner.write(Checkpoint(owner.epoch, 3, stores={STORE: "3"}), {})
    assert await state_of(owner) == {b"b": b"2"}


async def read_anew(world: World) -> History:
    history = History("anew", "task", entries=False)
    await catch_up(history, world.topic, 1, await world.log.end(1))
    return history


async def test_dead_records_are_deleted() -> None:
    random = Random(1)
    log = Log(random)
    world = World(log, random)
    log.random = Always()
    owner = Owner(world.topic, 1, "task")
    await owner.claim()
    for number in range(1, 50):
        checkpoint = Checkpoint(owner.epoch, number, stores={STORE: str(number)})
        await owner.write(checkpoint, {STORE: [(b"a", b"%d" % number), (b"b", None)]})
    last = {record.key: record for record in log.records}
    kept = [record.key.partition(b"/")[0] for record in last.values() if record.value is not None]
    # Those of the last commit, and what it replaced: the next commit deletes that.
    assert sorted(kept) == [b"claim", b"commit", b"commit", b"entry", b"entry", b"entry"]


class Never(Random):
    """Nothing arrives before it is told to."""

    def random(self) -> float:
        return 0.0

    def randrange(self, *args: Any, **kwargs: Any) -> int:
        return 0


class Always(Random):
    """Nothing is lost and nothing waits."""

    def random(self) -> float:
        return 0.9

    def randrange(self, *args: Any, **kwargs: Any) -> int:
        return 0
