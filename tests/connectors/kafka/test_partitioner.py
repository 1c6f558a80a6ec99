"""A key goes to the partition that Java's client chooses for it."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samza_py.connectors.kafka.partitioner import (
    LONGEST_KEPT,
    MOST_KEPT,
    WORTH_A_BULK,
    Partitions,
    murmur2,
    murmur2_of_many,
)

COUNTS = (1, 2, 3, 7, 16, 100, 1000)


@pytest.mark.service
def test_it_is_the_partition_of_javas_client_for_10000_keys() -> None:
    from tests.services.jvm import class_path
    from tests.services.kafka_installation import installed

    chance = random.Random(20)
    keys = [chance.randbytes(chance.choice([*range(20), 36, 100, 300])) for _ in range(10_000)]
    counts = [chance.choice(COUNTS) for _ in keys]
    kafka = installed()
    ran = subprocess.run(
        [str(kafka.java.program), "-cp", class_path(kafka.jars), str(_program())],
        input="".join(f"{n} {key.hex()}\n" for n, key in zip(counts, keys, strict=True)),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    said = [tuple(map(int, line.split())) for line in ran.stdout.splitlines()]
    bulk = {count: Partitions(count) for count in COUNTS}
    for partitions in bulk.values():
        partitions.learn(set(keys))
    assert len(said) == len(keys)
    for key, count, (hashed, partition) in zip(keys, counts, said, strict=True):
        assert murmur2(key) == hashed & 0xFFFFFFFF
        assert Partitions(count)[key] == bulk[count][key] == partition


def _program() -> Path:
    return Path(__file__).with_name("Partitions.java")


@pytest.mark.parametrize(
    ("key", "hashed"),
    # Those of Kafka's own UtilsTest.
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_the_hash_is_that_of_kafkas_own_tests(key: bytes, hashed: int) -> None:
    assert murmur2(key) == hashed & 0xFFFFFFFF


@given(
    st.integers(1, 40).flatmap(lambda n: st.lists(st.binary(min_size=n, max_size=n), min_size=1))
)
def test_many_at_once_have_the_hashes_of_each(keys: list[bytes]) -> None:
    assert list(murmur2_of_many(keys, len(keys[0]))) == [murmur2(key) for key in keys]


@given(st.lists(st.none() | st.binary(max_size=6), max_size=40), st.integers(1, 50))
def test_what_is_learnt_is_what_would_be_computed(keys: list[bytes | None], count: int) -> None:
    partitions = Partitions(count)
    partitions.learn(set(keys))
    for key in keys:
        if key is not None:
            assert partitions[key] == Partitions(count)[key] < count


def test_what_is_remembered_is_bounded() -> None:
    partitions = Partitions(5)
    for start in range(0, 3 * MOST_KEPT, 5000):
        partitions.learn({b"%d" % number for number in range(start, start + 5000)})
        assert len(partitions) <= MOST_KEPT
    for number in range(2 * MOST_KEPT):
        assert partitions[b"x%d" % number] >= 0
        assert len(partitions) <= MOST_KEPT
    long = [bytes([number]) * (LONGEST_KEPT + 1) for number in range(WORTH_A_BULK + 1)]
    partitions.clear()
    partitions.learn(long)
    assert all(partitions[key] >= 0 for key in long)
    assert not partitions
