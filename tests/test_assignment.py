"""From partitions to tasks: names that do not depend on the order in which systems answer."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samza_py import Message, Partition
from samza_py.admin import PartitionInfo
from samza_py.assignment import natural_order, planned_tasks, share
from samza_py.connectors.memory import Memory
from samza_py.errors import ConfigError
from samza_py.message import END
from samza_py.specification import TaskSpec

MEMORY = Memory()
ORDERS, PAYMENTS = MEMORY.stream("orders"), MEMORY.stream("payments")


def infos(stream: Any, *ids: str) -> dict[Partition, PartitionInfo]:
    return {Partition("memory", stream.name, name): PartitionInfo(f"l{name}") for name in ids}


def spec(name: str = "work", grouping: Any = "partition_id", *inputs: Any) -> TaskSpec:
    def work(message: Message[bytes, bytes]) -> None: ...

    return TaskSpec(
        name=name, kind="message", handler=work, inputs=inputs or (ORDERS,), grouping=grouping
    )


def plan(declared: TaskSpec, **found: dict[Partition, PartitionInfo]) -> dict[str, list[str]]:
    partitions = {f"memory.{name}": infos for name, infos in found.items()}
    return {t.name: [str(p) for p in t.inputs] for t in planned_tasks([declared], partitions)}


def test_partitions_of_one_id_share_a_task() -> None:
    """Samza's GroupByPartition: what a join of co-partitioned streams needs."""
    found = plan(
        spec("join", "partition_id", ORDERS, PAYMENTS),
        orders=infos(ORDERS, "0", "1"),
        payments=infos(PAYMENTS, "0", "1", "2"),
    )
    assert found == {
        "join/0": ["memory.orders[0]", "memory.payments[0]"],
        "join/1": ["memory.orders[1]", "memory.payments[1]"],
        "join/2": ["memory.payments[2]"],
    }


def test_each_partition_may_have_a_task_of_its_own() -> None:
    """Samza's GroupBySystemStreamPartition."""
    found = plan(
        spec("each", "partition", ORDERS, PAYMENTS),
        orders=infos(ORDERS, "0"),
        payments=infos(PAYMENTS, "0"),
    )
    assert found == {
        "each/orders:0": ["memory.orders[0]"],
        "each/payments:0": ["memory.payments[0]"],
    }
    assert plan(spec("each", "partition"), orders=infos(ORDERS, "0")) == {
        "each/0": ["memory.orders[0]"]
    }


def test_all_partitions_may_share_one_task() -> None:
    """Samza's AllSspToSingleTask, for one task a job."""
    found = plan(spec("all", "all"), orders=infos(ORDERS, "1", "0"))
    assert found == {"all/all": ["memory.orders[0]", "memory.orders[1]"]}


def test_tasks_are_ordered_as_people_count() -> None:
    found = plan(spec(), orders=infos(ORDERS, "10", "2", "shard-b", "0", "shard-a"))
    assert list(found) == ["work/0", "work/2", "work/10", "work/shard-a", "work/shard-b"]


@given(st.permutations(["0", "1", "2", "10", "a", "b"]), st.randoms(use_true_random=False))
def test_the_plan_does_not_depend_on_the_order_of_answers(
    ids: list[str], chance: random.Random
) -> None:
    shuffled = list(infos(ORDERS, *ids).items())
    chance.shuffle(shuffled)
    assert plan(spec(), orders=dict(shuffled)) == plan(spec(), orders=infos(ORDERS, *sorted(ids)))


def test_a_task_knows_lineage_and_parents_of_its_partitions() -> None:
    child, parent = Partition("memory", "orders", "1"), Partition("memory", "orders", "0")
    found = {parent: PartitionInfo("x"), child: PartitionInfo("x", {parent: END})}
    tasks = {t.name: t for t in planned_tasks([spec()], {"memory.orders": found})}
    assert tasks["work/1"].infos[child].parents == {parent: END}
    assert tasks["work/0"].infos[parent].lineage == "x"


def test_an_input_without_partitions_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"stream memory.orders: has no partitions to read"):
        plan(spec(), orders={})


@given(st.sampled_from(["", "shard-000", "orders:"]), st.integers(0, 50), st.integers(1, 9))
def test_shares_of_each_handler_are_even_and_hold_every_task_once(
    stem: str, partitions: int, count: int
) -> None:
    tasks = [f"{name}/{stem}{n}" for name in ("price", "bill") for n in range(partitions)]
    shares = share(tasks, count)
    assert len(shares) == count
    assert sorted(task for one in shares for task in one) == sorted(tasks)
    for name in ("price/", "bill/"):
        sizes = [sum(task.startswith(name) for task in one) for one in shares]
        assert max(sizes) - min(sizes) <= 1


def test_handlers_of_one_task_each_are_spread_out() -> None:
    assert share(["a/0", "b/0", "c/0"], 3) == [["a/0"], ["b/0"], ["c/0"]]
    assert len([one for one in share(["a/all", "b/all", "c/all"], 3) if one]) == 3


IDS = st.integers(0, 99).map(str) | st.text("ab01/:-²", min_size=1)


@given(st.lists(IDS, unique=True, min_size=1), st.lists(IDS), st.integers(1, 9))
def test_what_comes_later_moves_no_task_to_another_container(
    ids: list[str], more: list[str], count: int
) -> None:
    """Containers hear of new partitions at different times, and nobody fences them."""
    tasks = [f"{name}/{one}" for name in ("price", "bill") for one in ids]
    grown = [f"{name}/{one}" for name in ("price", "bill") for one in {*ids, *more}]
    for before, after in zip(share(tasks, count), share(grown, count), strict=True):
        assert set(before) <= set(after)


def test_the_natural_order_puts_numbers_before_names() -> None:
    ids = ["b", "10", "9", "a", "0"]
    ordered = sorted((Partition("s", "t", name) for name in ids), key=natural_order)
    assert [partition.id for partition in ordered] == ["0", "9", "10", "a", "b"]
