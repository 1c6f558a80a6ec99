"""Error policies as values: what may be said, and what it comes to."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samza_py import DeadLetter, Fail, Retry, Skip
from samza_py.connectors.memory import Memory
from samza_py.errors import ConfigError
from samza_py.policies import final_policy

DEAD = Memory().stream("dead")


def test_policies_are_values() -> None:
    assert Fail() == Fail()
    assert Skip() == Skip()
    assert DeadLetter(DEAD) == DeadLetter(DEAD)
    assert Retry(3, then=Skip()) == Retry(3, "200ms", then=Skip())
    assert len({Fail(), Fail(), Skip(), Retry(3), Retry(3), Retry(4)}) == 4
    with pytest.raises(AttributeError):
        Retry(3).attempts = 5  # type: ignore[misc]


def test_a_retry_takes_durations_as_people_write_them_and_fails_in_the_end() -> None:
    retry = Retry(3, "1s", max_backoff="1m")
    assert (retry.backoff_s, retry.max_backoff_s) == (1.0, 60.0)
    assert retry.on == (Exception,)
    assert retry.then == Fail()


@pytest.mark.parametrize("attempts", [0, -1, "3", 2.5, True, None])
def test_attempts_count_the_first_call(attempts: Any) -> None:
    with pytest.raises(ConfigError, match="counts the first call too"):
        Retry(attempts)


@pytest.mark.parametrize("wrong", [Retry(2), "skip", Skip])
def test_a_retry_ends_in_none_but_a_last_resort(wrong: Any) -> None:
    with pytest.raises(ConfigError, match=r"Retry\.then"):
        Retry(3, then=wrong)


@pytest.mark.parametrize("wrong", [OSError, "OSError", (OSError, "TimeoutError"), [OSError]])
def test_what_is_retried_is_a_tuple_of_exceptions(wrong: Any) -> None:
    with pytest.raises(ConfigError, match=r"Retry\.on.*such as \(OSError, TimeoutError\)"):
        Retry(3, on=wrong)


@pytest.mark.parametrize("wrong", ["failed", None, 3])
def test_a_dead_letter_goes_to_an_output(wrong: Any) -> None:
    with pytest.raises(ConfigError, match=r"DeadLetter\.to.*files\.dead_letters"):
        DeadLetter(wrong)


@given(st.integers(1, 10_000), st.floats(0, 1, exclude_max=True), st.floats(0, 100))
def test_waits_double_up_to_the_longest_and_are_at_most_halved_by_chance(
    attempt: int, chance: float, backoff: float
) -> None:
    retry = Retry(3, backoff, max_backoff=30)
    longest = min(30.0, backoff * 2.0 ** min(attempt - 1, 30))
    assert longest / 2 <= retry.wait_s(attempt, chance) <= longest


@pytest.mark.parametrize(
    ("policy", "last"),
    [
        (Fail(), Fail()),
        (Skip(), Skip()),
        (DeadLetter(DEAD), DeadLetter(DEAD)),
        (Retry(3), Fail()),
        (Retry(3, then=Skip()), Skip()),
        (Retry(3, then=DeadLetter(DEAD)), DeadLetter(DEAD)),
    ],
)
def test_what_cannot_be_cured_by_another_call_goes_straight_to_the_end(
    policy: Any, last: Any
) -> None:
    assert final_policy(policy) == last
