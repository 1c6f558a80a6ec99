"""The numbers of a job: as people write them, within their bounds, named where they are not."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from samza_py.errors import ConfigError
from samza_py.options import JobOptions


def test_units_are_written_as_people_do() -> None:
    options = JobOptions(
        commit_interval_s="2m",  # type: ignore[arg-type]  # as settings from outside come
        max_outbox_bytes="1MiB",  # type: ignore[arg-type]
        max_threads=3,
        profile="low_latency",
    )
    assert options.commit_interval_s == 120.0
    assert options.max_outbox_bytes == 1 << 20
    assert (options.max_threads, options.profile) == (3, "low_latency")


def test_every_number_has_its_unit_in_its_name_and_a_word_in_the_docstring() -> None:
    counted = ("messages", "runs", "threads")
    for field in fields(JobOptions):
        said = JobOptions.__doc__ or ""
        assert f"{field.name}:" in said, field.name
        if isinstance(field.default, float):
            assert field.name.endswith("_s"), field.name
        elif isinstance(field.default, int):
            assert field.name.endswith(("_bytes", *counted)), field.name


def every(kind: type) -> list[str]:
    return [field.name for field in fields(JobOptions) if type(field.default) is kind]


@pytest.mark.parametrize("name", [*every(int), *every(float)])
@pytest.mark.parametrize("value", [0, -1, "nonsense", True, None, []])
def test_what_is_out_of_its_bounds_is_refused_with_its_key(name: str, value: Any) -> None:
    with pytest.raises(ConfigError) as refused:
        JobOptions(**{name: value})
    assert refused.value.key == f"job.{name}"


@pytest.mark.parametrize("name", ["guarantee", "profile"])
def test_a_choice_names_what_there_is(name: str) -> None:
    with pytest.raises(ConfigError, match="must be one of"):
        JobOptions(**{name: "best"})  # type: ignore[arg-type]
