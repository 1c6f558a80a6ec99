"""Everything here runs on the standard library's loop, and on uvloop where that is installed."""

import asyncio
from collections.abc import Callable, Mapping

import pytest

Factories = dict[str, Callable[[], asyncio.AbstractEventLoop]]


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Each async test runs once on each of them."""
    factories: Factories = {"asyncio": asyncio.new_event_loop}
    try:
        import uvloop
    except ModuleNotFoundError:
        return factories
    return {**factories, "uvloop": uvloop.new_event_loop}
