"""What holds for every test: the loop is never blocked, children end with it, time is bounded."""

import asyncio
import inspect
import logging
import traceback
from collections.abc import AsyncIterator, Iterator

import blockbuster.blockbuster
import pytest
from blockbuster import BlockingError, blockbuster_ctx

from tests.services.fixtures import kafka, own_kafka, secured_kafka, three_brokers

__all__ = ["kafka", "own_kafka", "secured_kafka", "three_brokers"]

SERVICES = frozenset(__all__)
"""The fixtures that start real servers."""

SERVICE_S = 240
"""What a test with a server may take: it may be the one that has to fetch the server."""

CAMPAIGN_GRACE_S = 120
"""What a campaign may take on top of its `--seconds`: to start, to stop, to check."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("campaigns", "kills, storms and soaks")
    group.addoption("--seconds", type=float, default=10.0, help="how long each campaign runs")
    group.addoption("--seed", type=int, default=1, help="what a campaign draws its faults from")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    limit: float = config.option.seconds + CAMPAIGN_GRACE_S
    for item in items:
        if SERVICES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("service")
        if item.get_closest_marker("service") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SERVICE_S))
        if item.get_closest_marker("campaign") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(limit))


@pytest.fixture(scope="session")
def seconds(request: pytest.FixtureRequest) -> float:
    """How long a campaign runs (`--seconds`)."""
    wanted: float = request.config.option.seconds
    return wanted


@pytest.fixture(scope="session")
def seed(request: pytest.FixtureRequest) -> int:
    """What a campaign draws its faults from (`--seed`); it prints the seed where it fails."""
    wanted: int = request.config.option.seed
    return wanted


@pytest.fixture(autouse=True)
def loop_is_never_blocked(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Fail a test in which anything below `samza_py` makes a blocking call on a running loop.

    The call itself raises `BlockingError`. An error policy may take that for a handler's failure
    and go on, so each one is also kept, and fails the test at its end.
    """
    if request.node.get_closest_marker("blocks_the_loop"):
        yield
        return
    seen: list[str] = []

    class KeptBlockingError(BlockingError):
        def __init__(self, func: str) -> None:
            super().__init__(func)
            seen.append(f"{func}\n{''.join(traceback.format_stack(limit=12)[:-2])}")

    monkeypatch.setattr(blockbuster.blockbuster, "BlockingError", KeptBlockingError)
    with blockbuster_ctx("samza_py") as guard:
        for function in guard.functions.values():
            # A log line of a test goes to a file of pytest's; where an application's lines go is
            # for the application to choose.
            function.can_block_in("logging/__init__.py", {"emit", "flush"})
        yield
    if seen:
        pytest.fail("the event loop was blocked by " + "\nand by ".join(seen), pytrace=False)


@pytest.fixture(autouse=True)
def logging_is_left_as_found() -> Iterator[None]:
    """Take back what a command line called in this process has set up for the process."""
    root = logging.getLogger()
    level, raising = root.level, logging.raiseExceptions
    yield
    for handler in root.handlers[:]:
        if type(handler).__module__.startswith("samza_py."):
            root.removeHandler(handler)
    root.setLevel(level)
    logging.raiseExceptions = raising
    logging.captureWarnings(capture=False)


@pytest.fixture(autouse=True)
def children_end_with_their_test(request: pytest.FixtureRequest) -> None:
    """Fail an async test that leaves an `asyncio.Task` running when it has ended.

    As the first fixture of all it is torn down last: fixtures may still end their children.
    """
    test = getattr(request, "function", None)
    deliberate = request.node.get_closest_marker("leaves_children")
    if inspect.iscoroutinefunction(test) and not deliberate:
        request.getfixturevalue("no_child_is_left")


@pytest.fixture
async def no_child_is_left() -> AsyncIterator[None]:
    """Compare the loop's children after the test with those before it."""
    before = asyncio.all_tasks()
    yield
    await asyncio.sleep(0)  # a child cancelled by the test's last line ends in this turn
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    if left:
        for child in left:
            child.cancel()
        await asyncio.wait(left, timeout=1)
        names = "\n".join(f"  {child.get_name()}: {child.get_coro()}" for child in left)
        pytest.fail(f"children were left running:\n{names}", pytrace=False)
