"""All tests of the runtime run on virtual time, but for those that ask for the real one."""

import asyncio
from collections.abc import Callable, Iterator, Mapping

import pytest

from samza_py.seam import use_seam
from tests.runtime.virtual_seam import VirtualSeam
from tests.virtual_time import VirtualLoop


def pytest_asyncio_loop_factories(
    item: pytest.Item,
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Loops whose clock jumps; the real one for tests that are marked with it."""
    marker = item.get_closest_marker("asyncio")
    if marker is not None and marker.kwargs.get("loop_factories"):
        return {"real": asyncio.new_event_loop}
    return {"virtual": VirtualLoop}


@pytest.fixture(autouse=True)
def world() -> Iterator[VirtualSeam]:
    """What stands in the place of clock, chance, threads and points."""
    seam = VirtualSeam()
    with use_seam(seam):
        yield seam
