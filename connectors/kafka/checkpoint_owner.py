"""One owner of one task: its claim, what it writes under it, and how it learns that it is fenced.

``checkpoint_history`` has the rule; this is who lives by it. An append is one batch, sent once:

- Its answer says where it stands. If it stands right behind what the owner has read, nobody came
  between, and it counts: a commit is one request, with nothing to read. Otherwise the owner reads
  what stands between, and may find the claim of a newer owner there: its own batch does not count.
- Without an answer nothing is known, now or later: the batch may still arrive. The owner then
  *renews*: it claims again, by the term that it has. The late batch carries the old term, so that
  behind the renewal it does not count; and the renewal itself counts only if no newer owner has
  claimed, so that a fenced owner takes nothing back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from itertools import islice
from typing import Final

from samza_py.checkpoint import Change, Changes, Checkpoint
from samza_py.checkpoint_format import encode_checkpoint
from samza_py.connectors.kafka.checkpoint_history import History
from samza_py.connectors.kafka.checkpoint_log import Records, TopicLog
from samza_py.connectors.kafka.checkpoint_reading import catch_up, newest
from samza_py.connectors.kafka.checkpoint_records import (
    VERSION,
    Claimed,
    Committed,
    Entry,
    Record,
    commit_key,
    decode,
    encode,
    entry_key,
    new_key,
)
from samza_py.errors import CheckpointError, FencedError, RejectedError, UnavailableError

TRIES: Final = 10
"""How often others may be faster to claim before ``open`` is left to a later try."""

DELETIONS: Final = 2000
"""How many dead records a commit deletes at least; more where it changes more."""


class Owner:
    """What a claim's ``detail`` holds. Made by ``Owner.claim``.

    Args:
        log: the topic.
        partition: the task's.
        task: its name.

    Attributes:
        epoch: of the claim, for the runtime: the offset at which it was made.
        released: the owner has given the task up.
    """

    def __init__(self, log: TopicLog, partition: int, task: str) -> None:
        self.partition = partition
        self.epoch = -1
        self.released = False
        self.history = History(log.place(partition), task, entries=True)
        self._log = log
        self._task = task
        self._term = -1
        self._mine: set[bytes] = set()
        self._sequence = 0
        self._uncertain = False
        self._lock = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<Owner of {self._task} since {self.epoch}>"

    async def claim(self) -> None:
        """Take the task over from whoever has it.

        Raises:
            UnavailableError: try again with a new owner.
            CorruptCheckpointError: the partition cannot be read.
        """
        await self._read_to_end()
        for _ in range(TRIES):
            if await self._claim_once():
                self.epoch = self._term
                return
        raise UnavailableError(f"task {self._task}: others claimed it {TRIES} times meanwhile")

    async def write(self, checkpoint: Checkpoint, changes: Changes) -> None:
        """Append a checkpoint with its changes; see ``CheckpointStore.write``."""
        async with self._lock:
            self._check_held()
            if self._uncertain:
                await self._renew()
            records = self._commit(checkpoint, changes)
            deletions = self._deletions(len(records))
            # From here on until there is an answer, cancellation too leaves it unknown.
            self._uncertain = True
            try:
                first = await self._log.append(self.partition, [*records, *deletions])
                records = [*records, *deletions]
            except RejectedError:
                first = await self._append_alone(records)
            await self._take_in(first, records)
            self._uncertain = False

    async def _append_alone(self, records: Records) -> int:
        """Without deletions beside it: they can wait for a smaller commit."""
        try:
            return await self._log.append(self.partition, records)
        except RejectedError as error:
            self._uncertain = False
            raise CheckpointError(
                f"task {self._task}: its commit is too large: {error}. Commit more often "
                "(commit_interval), or allow the topic larger batches"
            ) from error

    async def settle(self) -> None:
        """See to it that no write of unknown outcome takes effect any more.

        Raises:
            FencedError: a newer owner has seen to that.
            UnavailableError: it still may; try again.
        """
        async with self._lock:
            if self._uncertain:
                await self._renew()

    async def read(self, end: int) -> Checkpoint | None:
        """The checkpoint that counts up to an offset, also where that is a newer owner's.

        Raises:
            CorruptCheckpointError: it is damaged.
            UnavailableError: try again.
        """
        async with self._lock:
            await catch_up(self.history, self._log, self.partition, end)
            return self.newest()

    def newest(self) -> Checkpoint | None:
        """The checkpoint that counts, as far as this owner has read.

        Raises:
            CorruptCheckpointError: it is damaged.
        """
        return newest(self.history)

    async def restore(self, store: str, marker: str) -> AsyncGenerator[Sequence[Change], None]:
        """Read back a store's entries; see ``CheckpointStore.restore``."""
        live, end = await self._live(store)
        found = self.newest()
        kept = "" if found is None else found.stores.get(store, "")
        if kept != marker:
            raise CheckpointError(
                f"task {self._task}: the changelog of store {store!r} is at marker {kept!r}, not "
                f"at {marker!r}"
            )
        async for records in self._log.read(self.partition, 0, end):
            entries = [
                decode(record.value, Entry, self.history.place(record.offset))
                for record in records
                if record.value is not None and record.key in live
            ]
            live.difference_update(record.key for record in records)
            if entries:
                yield [(entry.key, entry.value) for entry in entries]
        if live:
            await self._live(store)  # A newer owner may have replaced them: then we are fenced.
            raise CheckpointError(
                f"task {self._task}: the changelog of store {store!r} has lost {len(live)} entries"
            )

    async def _live(self, store: str) -> tuple[set[bytes], int]:
        """The keys of the records that are a store's entries now, and where the log ends."""
        async with self._lock:
            if self._uncertain:
                await self._renew()
            await self._read_to_end()
            self._check_held()
            return set(self.history.entries.get(store, {}).values()), self.history.position

    def _check_held(self) -> None:
        if self.history.claim not in self._mine:
            raise FencedError(f"task {self._task}: a newer owner has claimed it")
        if self.released:
            raise CheckpointError(f"task {self._task}: epoch {self.epoch} was released")

    async def _take_in(self, first: int, records: Records) -> None:
        """Read what others have appended before our batch at this offset; then comes ours."""
        if first < self.history.position:
            raise CheckpointError(
                f"task {self._task}: {self._log.place(self.partition)} has lost records: it went "
                f"up to {self.history.position}, and now goes on at {first}"
            )
        self.history.expect(records[0][0])
        await catch_up(self.history, self._log, self.partition, first)
        if self.history.position == first:
            own = [Record(first + n, key, value) for n, (key, value) in enumerate(records)]
            self.history.apply(own, first + len(own))
        if not self.history.counted:
            self._uncertain = False
            raise FencedError(f"task {self._task}: a newer owner has claimed it")

    async def _renew(self) -> None:
        """Make what is under way from before have no effect, unless a newer owner has claimed."""
        term = self._term
        await self._read_to_end()
        for _ in range(TRIES):
            self._check_held()
            # A renewal whose own answer was lost may have arrived, too.
            if self.history.term > term or await self._claim_once():
                self._term = self.history.term
                self._uncertain = False
                return
        raise UnavailableError(f"task {self._task}: its claim could not be renewed")

    async def _claim_once(self) -> bool:
        """Append a claim by the newest term that is known, and see whether it counts."""
        key = new_key("claim")
        self._mine.add(key)
        record = encode(Claimed(VERSION, self._task, self.history.term))
        first = await self._log.append(self.partition, [(key, record)])
        await catch_up(self.history, self._log, self.partition, first + 1)
        self._term = self.history.term
        return self.history.claim == key

    async def _read_to_end(self) -> None:
        await catch_up(self.history, self._log, self.partition, await self._log.end(self.partition))

    def _commit(self, checkpoint: Checkpoint, changes: Changes) -> Records:
        self._sequence += 1
        term, sequence, stores = self._term, self._sequence, list(checkpoint.stores)
        data = encode_checkpoint(checkpoint)
        commit = Committed(VERSION, checkpoint.epoch, checkpoint.number, stores, data)
        records: list[tuple[bytes, bytes | None]] = [(commit_key(term, sequence), encode(commit))]
        entries = [
            Entry(VERSION, store, key, value)
            for store, changed in changes.items()
            if store in checkpoint.stores
            for key, value in changed
        ]
        for index, entry in enumerate(entries):
            records.append((entry_key(term, sequence, index), encode(entry)))
        return records

    def _deletions(self, beside: int) -> Records:
        """Dead records to delete beside a commit of so many records, the oldest first."""
        # Twice: a change can leave two dead records, what it replaced and itself.
        return [(key, None) for key in islice(self.history.dead, max(DELETIONS, 2 * beside))]


async def claimed(log: TopicLog, partition: int, task: str) -> Owner:
    """A new owner that has taken a task over. Raises what ``Owner.claim`` raises."""
    owner = Owner(log, partition, task)
    await owner.claim()
    return owner
