"""What was probably meant: the likest of the known names, or nothing at all."""

import pytest

from samza_py.nearest import nearest

KNOWN = {"commit_interval": 1, "max_threads": 2}


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("commit_intervall", "commit_interval"),
        ("maxthreads", "max_threads"),
        ("retries", None),
        ("", None),
    ],
)
def test_the_likest_name_is_found_where_one_is_like(wrong: str, meant: str | None) -> None:
    assert nearest(wrong, KNOWN) == meant


def test_more_likeness_may_be_asked_for() -> None:
    assert nearest("commit_time", KNOWN) == "commit_interval"
    assert nearest("commit_time", KNOWN, likeness=0.75) is None
