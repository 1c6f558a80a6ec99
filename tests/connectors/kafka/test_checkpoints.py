"""Checkpoints in a topic of a real broker, beyond what the conformance suite checks."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from samza_py.checkpoint import Change, Checkpoint, CheckpointStore, Claim, Grant
from samza_py.connectors.kafka.brokers import Brokers
from samza_py.connectors.kafka.checkpoint_log import TopicLog
from samza_py.connectors.kafka.checkpoint_records import VERSION, Named, Record, encode, new_key
from samza_py.connectors.kafka.checkpoint_topic import DIRECTORY
from samza_py.connectors.kafka.checkpoints import KafkaCheckpoints
from samza_py.connectors.kafka.system import Kafka
from samza_py.errors import (
    CheckpointError,
    ConfigError,
    CorruptCheckpointError,
    FencedError,
    UnavailableError,
)
from samza_py.seam import seam
from tests.services.kafka import Cluster
from tests.services.kafka_clients import (
    ADMIN,
    CLIENTS,
    client_settings,
    new_topic,
    producer,
    started,
)
from tests.services.kafka_listeners import PLAINTEXT
from tests.services.kafka_listeners import Kafka as Address

TASK, STORE = "price/0", "counts"


def place(
    kafka: Address, topic: str | None = None, request_timeout: str = "5s"
) -> KafkaCheckpoints:
    system = Kafka(kafka.bootstrap(PLAINTEXT), request_timeout=request_timeout)
    return KafkaCheckpoints(system, topic or f"checkpoints-{uuid.uuid4().hex}")


@asynccontextmanager
async def opened(where: KafkaCheckpoints, job: str = "job") -> AsyncGenerator[CheckpointStore]:
    async with where.store(job) as store:
        yield store


def commit(claim: Claim, number: int) -> Checkpoint:
    return Checkpoint(claim.epoch, number, stores={STORE: str(number)})


async def number_of(store: CheckpointStore, task: str = TASK) -> int:
    found = await store.read([task])
    return found[task].number if task in found else 0


async def restored(store: CheckpointStore, claim: Claim, marker: str) -> dict[bytes, bytes | None]:
    found: dict[bytes, bytes | None] = {}
    async for batch in store.restore(claim, STORE, marker):
        found.update(batch)
    return found


async def until_available(store: CheckpointStore, number: int) -> bool:
    """Ask as the runtime does whether a write took effect."""
    async with asyncio.timeout(30):
        while True:
            with suppress(UnavailableError):
                return await number_of(store) == number
            await asyncio.sleep(0.05)


def test_a_topic_is_named_by_its_job() -> None:
    kafka = Kafka("127.0.0.1:9092")
    plain = KafkaCheckpoints(kafka)
    assert plain.topic_of("prices") == "prices.checkpoints"
    assert plain.location("prices") == "topic prices.checkpoints of kafka at 127.0.0.1:9092"
    spaced = plain.topic_of("a b")
    assert spaced != plain.topic_of("a_b")
    assert spaced != plain.topic_of("a/b")
    assert len(plain.topic_of("x" * 500)) < 250
    assert KafkaCheckpoints(kafka, "mine").topic_of("prices") == "mine"
    for wrong in ("a b", "..", ""):
        with pytest.raises(ConfigError, match="is no name of a topic"):
            KafkaCheckpoints(kafka, wrong)
    with pytest.raises(ConfigError, match="at least 1"):
        KafkaCheckpoints(kafka, replicas=0)


@pytest.mark.service
async def test_reading_makes_no_topic(kafka: Address) -> None:
    where = place(kafka)
    async with opened(where) as store:
        assert await store.read() == {}
    async with started(ADMIN.AIOKafkaAdminClient(**client_settings(kafka))) as client:
        assert where.topic_of("job") not in await client.list_topics()


@pytest.mark.service
async def test_the_topic_is_made_compacted(kafka: Address) -> None:
    system = Kafka(kafka.bootstrap(PLAINTEXT))
    where, job = KafkaCheckpoints(system, replicas=1), f"job {uuid.uuid4().hex}"
    async with opened(where, job) as store:
        await store.open(Grant(TASK))
    resource = ADMIN.config_resource.ConfigResource("TOPIC", where.topic_of(job))
    async with started(ADMIN.AIOKafkaAdminClient(**client_settings(kafka))) as client:
        (answer,) = await client.describe_configs([resource])
    config = {entry[0]: entry[1] for entry in answer.resources[0][4]}
    assert config["cleanup.policy"] == "compact"
    assert int(config["max.message.bytes"]) < int(config["segment.bytes"])


@pytest.mark.service
async def test_a_topic_that_loses_records_is_refused(kafka: Address) -> None:
    where = place(kafka, await new_topic(kafka, partitions=2))
    async with opened(where) as store:
        with pytest.raises(CheckpointError, match=r"cleanup\.policy=delete.*set it to compact"):
            await store.open(Grant(TASK))


@pytest.mark.service
async def test_two_jobs_cannot_have_one_topic(kafka: Address) -> None:
    where = place(kafka)
    async with opened(where, "first") as store:
        await store.open(Grant(TASK))
    async with opened(where, "second") as store:
        with pytest.raises(CheckpointError, match="checkpoints of job 'first'"):
            await store.open(Grant(TASK))


@pytest.mark.service
async def test_stores_that_register_tasks_at_once_agree(kafka: Address) -> None:
    where, tasks = place(kafka), [f"price/{n}" for n in range(24)]
    async with opened(where) as one, opened(where) as two, opened(where) as three:
        stores = (one, two, three)
        claims = await asyncio.gather(
            *(stores[n % 3].open(Grant(task)) for n, task in enumerate(tasks)),
            *(stores[(n + 1) % 3].open(Grant(task)) for n, task in enumerate(tasks[:6])),
        )
        for n, (claim, _) in enumerate(claims):
            with suppress(FencedError):
                await stores[n % 3].write(claim, commit(claim, 1))
        for task in tasks:
            claim, _ = await one.open(Grant(task))
            await one.write(claim, commit(claim, int(task.partition("/")[2]) + 100))
    async with opened(where) as store:
        found = await store.read()
    numbers = {task: checkpoint.number for task, checkpoint in found.items()}
    assert numbers == {task: n + 100 for n, task in enumerate(tasks)}


@pytest.mark.service
async def test_claims_at_the_same_time_leave_one_owner(kafka: Address) -> None:
    where = place(kafka)
    async with opened(where) as one, opened(where) as two:
        await one.open(Grant(TASK))
        for number in range(1, 15):
            both = await asyncio.gather(one.open(Grant(TASK)), two.open(Grant(TASK)))
            wrote = 0
            for store, (claim, _) in zip((one, two), both, strict=True):
                with suppress(FencedError):
                    await store.write(claim, commit(claim, number))
                    wrote += 1
                    assert claim.epoch == max(claim.epoch for claim, _ in both)
            assert wrote == 1


@pytest.mark.service
async def test_a_fenced_write_has_no_effect_also_after_compaction(kafka: Address) -> None:
    topic = await new_topic(
        kafka,
        partitions=8,
        config={
            "cleanup.policy": "compact",
            "segment.ms": "200",
            "min.cleanable.dirty.ratio": "0.01",
            "max.compaction.lag.ms": "300",
        },
    )
    where = place(kafka, topic)
    async with opened(where) as here, opened(where) as there:
        older, _ = await here.open(Grant(TASK))
        for number in range(1, 6):
            changes: list[Change] = [(b"a", b"good"), (b"b", b"%d" % number)]
            await here.write(older, commit(older, number), {STORE: changes})
        newer, found = await there.open(Grant(TASK))
        assert found == commit(older, 5)
        for _ in range(3):
            late: dict[str, list[Change]] = {STORE: [(b"a", b"late"), (b"c", b"late")]}
            with pytest.raises(FencedError):
                await here.write(older, commit(older, 6), late)
        await compacted(kafka, topic)
        claim, found = await there.open(Grant(TASK))
        assert found == commit(older, 5)
        assert await restored(there, claim, "5") == {b"a": b"good", b"b": b"5"}
        for number in range(6, 9):
            await there.write(claim, commit(claim, number), {STORE: [(b"b", b"%d" % number)]})
        with pytest.raises(FencedError):
            await there.write(newer, commit(newer, 6))
        await compacted(kafka, topic)
    async with opened(where) as store:
        last, found = await store.open(Grant(TASK))
        assert found == commit(claim, 8)
        assert await restored(store, last, "8") == {b"a": b"good", b"b": b"8"}
        for number in (9, 10):
            await store.write(last, commit(last, number))
    await compacted(kafka, topic)
    # The commits of those that were fenced are gone, and what was late.
    left = await keys_in(kafka, topic)
    assert {key.split(b"/")[1] for key in left if key.startswith(b"commit/")} == {
        b"%d" % last.epoch
    }
    assert not {b"entry/%d/%d/1" % (older.epoch, n) for n in range(1, 9)} & set(left)


async def compacted(kafka: Address, topic: str) -> None:
    """Wait until the cleaner has been there: records appended now close the segment before."""
    before = len(await keys_in(kafka, topic))
    async with started(producer(kafka)) as client, asyncio.timeout(30):
        while True:
            await asyncio.sleep(0.3)
            # A claim that has seen nothing: it does not count, whoever reads it.
            claim = b"\x93\x01\xa1x\xfe"
            await client.send_and_wait(topic, claim, b"claim/" + uuid.uuid4().bytes, partition=1)
            before += 1
            if len(await keys_in(kafka, topic)) < before - 2:
                return


async def keys_in(kafka: Address, topic: str) -> list[bytes]:
    """The keys of the records in the first task's partition that are not deletions."""
    at = CLIENTS.TopicPartition(topic, 1)
    consumer = CLIENTS.AIOKafkaConsumer(**client_settings(kafka), auto_offset_reset="earliest")
    found: list[bytes] = []
    async with started(consumer) as reader, asyncio.timeout(10):
        reader.assign([at])
        await reader.seek_to_beginning(at)
        end = (await reader.end_offsets([at]))[at]
        while await reader.position(at) < end:
            fetched = await reader.getmany(at, timeout_ms=100)
            found += [one.key for one in fetched.get(at, ()) if one.value is not None]
    return found


@pytest.mark.service
async def test_a_large_changelog_comes_back(kafka: Address) -> None:
    where, many = place(kafka), {b"key-%d" % n: b"x" * 1000 for n in range(20_000)}
    async with opened(where) as store:
        claim, _ = await store.open(Grant(TASK))
        await store.write(claim, commit(claim, 1), {STORE: list(many.items())})
        gone: list[Change] = [(key, None) for key in list(many)[:5000]]
        await store.write(claim, commit(claim, 2), {STORE: gone})
    async with opened(where) as store:
        claim, found = await store.open(Grant(TASK))
        assert found is not None
        assert await restored(store, claim, "2") == dict(list(many.items())[5000:])
        with pytest.raises(CheckpointError, match="marker '2', not at '1'"):
            await restored(store, claim, "1")


@pytest.mark.service
async def test_a_commit_that_is_too_large_is_not_written(kafka: Address) -> None:
    config = {"cleanup.policy": "compact", "max.message.bytes": "10000"}
    where = place(kafka, await new_topic(kafka, partitions=2, config=config))
    async with opened(where) as store:
        claim, _ = await store.open(Grant(TASK))
        await store.write(claim, commit(claim, 1))
        large: dict[str, list[Change]] = {STORE: [(b"a", b"x" * 20_000)]}
        with pytest.raises(CheckpointError, match=r"too large.*max.message.bytes=10000"):
            await store.write(claim, commit(claim, 2), large)
        assert await number_of(store) == 1
        await store.write(claim, commit(claim, 2))
        assert await number_of(store) == 2


@pytest.mark.service
async def test_what_has_to_be_deleted_does_not_make_a_commit_too_large(kafka: Address) -> None:
    config = {"cleanup.policy": "compact", "max.message.bytes": "10000"}
    where = place(kafka, await new_topic(kafka, partitions=2, config=config))
    keys = [b"%03d" % number for number in range(120)]
    async with opened(where) as store:
        claim, _ = await store.open(Grant(TASK))
        for number in range(1, 5):
            changes = {STORE: [(key, b"%d" % number) for key in keys]}
            await store.write(claim, commit(claim, number), changes)
        assert await restored(store, claim, "4") == dict.fromkeys(keys, b"4")


@pytest.mark.service
async def test_what_is_damaged_is_said_with_its_place(kafka: Address) -> None:
    where = place(kafka)
    topic = where.topic_of("job")
    async with opened(where) as store:
        claim, _ = await store.open(Grant(TASK))
        await store.write(claim, commit(claim, 1))
        async with started(producer(kafka)) as client:
            await client.send_and_wait(topic, b"spoilt", b"commit/99/1", partition=1)
        with pytest.raises(CorruptCheckpointError, match=rf"{topic}\[1\] of .* offset 2"):
            await store.read([TASK])
        with pytest.raises(CorruptCheckpointError, match=rf"{topic}\[1\] of .* offset 2"):
            await store.open(Grant(TASK))
        async with started(producer(kafka)) as client:
            await client.send_and_wait(topic, b"\x91\x02", b"claim/new", partition=2)
        with pytest.raises(CorruptCheckpointError, match="version 2"):
            await store.open(Grant("price/1"))


@pytest.mark.service
async def test_a_write_within_a_transaction_is_refused(kafka: Address) -> None:
    async with opened(place(kafka)) as store:
        claim, _ = await store.open(Grant(TASK))
        with pytest.raises(CheckpointError, match="transaction"):
            await store.write(claim, commit(claim, 1), within=object())  # type: ignore[arg-type]
        with pytest.raises(CheckpointError, match="epoch"):
            await store.write(claim, Checkpoint(claim.epoch + 1, 1))
        with pytest.raises(CheckpointError, match="another store"):
            await store.write(Claim(TASK, 1), Checkpoint(1, 1))
        await store.release(claim)
        with pytest.raises(CheckpointError, match="was released"):
            await store.write(claim, commit(claim, 1))


@pytest.mark.service
async def test_a_run_that_starts_over_has_no_entries_from_before(kafka: Address) -> None:
    where = place(kafka)
    async with opened(where) as store:
        claim, _ = await store.open(Grant(TASK))
        for number in (1, 2):
            old: dict[str, list[Change]] = {STORE: [(b"%d" % number, b"old")]}
            await store.write(claim, commit(claim, number), old)
        again, _ = await store.open(Grant(TASK))
        new: dict[str, list[Change]] = {STORE: [(b"new", b"new")]}
        await store.write(again, commit(again, 1), new)
        last, found = await store.open(Grant(TASK))
        assert found == commit(again, 1)
        assert await restored(store, last, "1") == {b"new": b"new"}


@pytest.mark.service
async def test_a_cancelled_write_is_decided_by_reading(kafka: Address) -> None:
    async with opened(place(kafka)) as store:
        claim, _ = await store.open(Grant(TASK))
        for number in range(1, 40):
            writing = asyncio.ensure_future(store.write(claim, commit(claim, number)))
            for _ in range(number % 12):
                await asyncio.sleep(0.0002 * (number // 12))
            writing.cancel()
            with suppress(asyncio.CancelledError):
                await writing
            told = await number_of(store)
            await asyncio.sleep(0.005)
            assert await number_of(store) == told
            if told != number:
                await store.write(claim, commit(claim, number))
                assert await number_of(store) == number


@pytest.mark.service
async def test_a_broker_killed_and_restarted_loses_nothing(own_kafka: Cluster) -> None:
    where = place(own_kafka.address, request_timeout="2s")
    async with opened(where) as store:
        claim, _ = await store.open(Grant(TASK))
        await store.write(claim, commit(claim, 1), {STORE: [(b"a", b"1")]})
        await asyncio.to_thread(own_kafka.kill)
        for _ in range(2):
            with pytest.raises(UnavailableError):
                await store.write(claim, commit(claim, 2), {STORE: [(b"a", b"2")]})
            with pytest.raises(UnavailableError):
                await store.read([TASK])
        await asyncio.to_thread(own_kafka.node(1).restart)
        assert not await until_available(store, 2)
        await store.write(claim, commit(claim, 2), {STORE: [(b"a", b"2")]})
    async with opened(where) as store:
        claim, found = await store.open(Grant(TASK))
        assert found is not None
        assert found.number == 2
        assert await restored(store, claim, "2") == {b"a": b"2"}


@pytest.mark.service
async def test_kills_during_writes_are_decided_by_reading(own_kafka: Cluster) -> None:
    where = place(own_kafka.address, request_timeout="3s")

    async def kill_and_restart() -> None:
        for _ in range(3):
            await asyncio.sleep(0.4)
            await asyncio.to_thread(own_kafka.kill)
            await asyncio.to_thread(own_kafka.node(1).restart)

    async with opened(where) as store:
        claim, _ = await store.open(Grant(TASK))
        killing, number, unknown = asyncio.ensure_future(kill_and_restart()), 0, 0
        while not killing.done():
            number += 1
            await asyncio.sleep(0.001)
            changes: dict[str, list[Change]] = {
                STORE: [(b"%d" % number, b"x"), (b"n", b"%d" % number)]
            }
            while True:
                try:
                    await store.write(claim, commit(claim, number), changes)
                except UnavailableError:
                    unknown += 1
                    if not await until_available(store, number):
                        continue
                break
        await killing
    assert unknown
    async with opened(where) as store:
        claim, found = await store.open(Grant(TASK))
        assert found is not None
        assert found.number == number
        entries = await restored(store, claim, str(number))
    assert entries.pop(b"n") == b"%d" % number
    assert set(entries) == {b"%d" % n for n in range(1, number + 1)}


@pytest.mark.service
async def test_a_write_that_arrives_after_it_was_given_up_has_no_effect(own_kafka: Cluster) -> None:
    where, given_up = place(own_kafka.address, request_timeout="1s"), 0
    async with opened(where) as store:
        claim, _ = await store.open(Grant(TASK))
        await store.write(claim, commit(claim, 1))
        for number in (2, 3, 4, 5):
            before = await number_of(store)
            own_kafka.node(1).pause()  # takes what is sent, and reads it when it wakes
            await asyncio.sleep(0.1)
            try:
                await store.write(claim, commit(claim, number))
            except UnavailableError:
                given_up += 1
            finally:
                own_kafka.node(1).resume()
            took = await until_available(store, number)
            await asyncio.sleep(0.3)
            assert await number_of(store) == (number if took else before)
    assert given_up


@pytest.mark.service
async def test_a_leader_that_dies_hands_over(three_brokers: Cluster) -> None:
    kafka = three_brokers.address
    where = place(kafka, request_timeout="3s")
    async with opened(where) as store:
        claim, _ = await store.open(Grant(TASK))
        await store.write(claim, commit(claim, 1))
        async with started(ADMIN.AIOKafkaAdminClient(**client_settings(kafka))) as client:
            (topic,) = await client.describe_topics([where.topic_of("job")])
        (leader,) = [one["leader"] for one in topic["partitions"] if one["partition"] == 1]
        await asyncio.to_thread(three_brokers.node(leader).kill)
        for number in (2, 3):
            while True:
                try:
                    await store.write(claim, commit(claim, number))
                except UnavailableError:
                    if not await until_available(store, number):
                        continue
                break
        assert await until_available(store, 3)


@pytest.mark.service
async def test_a_name_without_a_partition_yet_has_no_checkpoint(kafka: Address) -> None:
    """Its container is about to add partitions to the topic, or has died over it."""
    where = place(kafka)
    async with opened(where) as store, opened(where) as other:
        claim, _ = await store.open(Grant(TASK))
        await store.write(claim, commit(claim, 1))
        inside: Any = store  # no public word for it
        names = [f"price/{number}" for number in range(1, 20)]
        records = [(new_key("task"), encode(Named(VERSION, "job", name))) for name in names]
        await inside._topic.log.append(DIRECTORY, records)
        for one in (store, other):
            assert (await one.read()).keys() == {TASK}
        claim, _ = await other.open(Grant("price/19"))
        await other.write(claim, commit(claim, 1))
        assert (await store.read(["price/19", TASK])).keys() == {"price/19", TASK}


@pytest.mark.service
async def test_a_transaction_that_nobody_ends_hides_no_checkpoint(kafka: Address) -> None:
    """Whoever reads committed records alone stops where an open transaction begins (KIP-98)."""
    where = place(kafka)
    async with opened(where) as store:
        claim, _ = await store.open(Grant(TASK))
        await store.write(claim, commit(claim, 1))
        inside: Any = store  # no public word for it
        partition = await inside._topic.partition_for(TASK)
        hangs = producer(kafka, transactional_id=f"hangs-{uuid.uuid4().hex}")
        async with started(hangs) as client:
            await client.begin_transaction()
            # It says nothing but that a record which never was is deleted.
            topic, key = where.topic_of("job"), new_key("claim")
            await client.send_and_wait(topic, None, key=key, partition=partition)
            await store.write(claim, commit(claim, 2))
            async with opened(where) as other, asyncio.timeout(20):
                assert await number_of(other) == 2
                _, found = await other.open(Grant(TASK))
                assert found is not None
                assert found.number == 2
            await client.abort_transaction()


@pytest.mark.service
async def test_reading_many_tasks_again_is_a_few_requests(
    kafka: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, tasks = place(kafka), [f"price/{n}" for n in range(30)]
    async with opened(where) as store:
        for task in tasks:
            claim, _ = await store.open(Grant(task))
            await store.write(claim, commit(claim, 1))
        assert (await store.read()).keys() == set(tasks)
        asked: list[object] = []
        ask = Brokers.ask

        async def counted(self: Brokers, request: object, node: int | None = None) -> object:
            asked.append(request)
            return await ask(self, request, node)

        monkeypatch.setattr(Brokers, "ask", counted)
        assert (await store.read()).keys() == set(tasks)
        assert len(asked) < 10


@pytest.mark.service
async def test_an_owner_reads_on_and_not_from_the_beginning(
    kafka: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = place(kafka)
    starts: list[int] = []
    read = TopicLog.read

    def noted(
        self: TopicLog, partition: int, start: int, end: int
    ) -> AsyncGenerator[Sequence[Record], None]:
        if partition != DIRECTORY:
            starts.append(start)
        return read(self, partition, start, end)

    async with opened(where) as store, opened(where) as other:
        old, _ = await store.open(Grant("price/0"))
        for number in range(1, 4):
            await store.write(old, commit(old, number))
        new, _ = await other.open(Grant("price/0"))
        await other.write(new, commit(new, 4))
        monkeypatch.setattr(TopicLog, "read", noted)
        assert (await store.read(("price/0",)))["price/0"].number == 4
    assert len(starts) == 1
    assert starts[0] > 0


@pytest.mark.service
async def test_a_clock_that_is_wrong_is_of_no_concern(
    kafka: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker refuses a message with a time that is more than an hour ahead of its own."""
    ahead = seam().now_ms() + 3 * 60 * 60 * 1000
    monkeypatch.setattr(seam(), "now_ms", lambda: ahead)
    async with opened(place(kafka)) as store:
        claim, _ = await store.open(Grant(TASK))
        await store.write(claim, commit(claim, 1))
        assert await number_of(store) == 1
