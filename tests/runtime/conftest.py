"""All tests of the runtime run on virtual time."""

from collections.abc import Iterator, Mapping

import pytest

from samza_py.seam import use_seam
from tests.runtime.virtual_time import VirtualLoop, VirtualSeam


def pytest_asyncio_loop_factories() -> Mapping[str, type[VirtualLoop]]:
    """Loops whose clock jumps."""
    return {"virtual": VirtualLoop}


@pytest.fixture(autouse=True)
def world() -> Iterator[VirtualSeam]:
    """What stands in the place of clock, chance, threads and points."""
    seam = VirtualSeam()
    with use_seam(seam):
        yield seam
