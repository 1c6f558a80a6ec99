"""The guards of conftest.py guard: each is shown a test that must fail."""

import textwrap
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

CONFTEST = Path(__file__).with_name("conftest.py")

SETTINGS = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
markers =
    campaign: x
    blocks_the_loop: x
    leaves_children: x
    service: x
"""


@pytest.fixture
def guarded(pytester: pytest.Pytester) -> pytest.Pytester:
    """A folder of tests under the guards of this project's conftest.py."""
    pytester.makeconftest(CONFTEST.read_text())
    pytester.makeini(SETTINGS)
    return pytester


def run(guarded: pytest.Pytester, test: str) -> pytest.RunResult:
    guarded.makepyfile(textwrap.dedent(test))
    return guarded.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:xdist")


def test_a_child_left_running_fails_its_test(guarded: pytest.Pytester) -> None:
    result = run(
        guarded,
        """
        import asyncio

        async def test_leaves_a_child():
            leaked = asyncio.create_task(asyncio.sleep(60), name="the-leaked-one")
            await asyncio.sleep(0)
        """,
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*children were left running*", "*the-leaked-one*"])


def test_a_child_that_ends_is_no_leak(guarded: pytest.Pytester) -> None:
    result = run(
        guarded,
        """
        import asyncio

        async def test_awaits_its_child():
            await asyncio.create_task(asyncio.sleep(0))
        """,
    )
    result.assert_outcomes(passed=1)


BLOCKING = """
    import asyncio, time
    import pytest
    import samza_py

    # Compiled under a name inside the package: the guard goes by the file that a call stands in.
    place = samza_py.__path__[0] + "/planted.py"
    exec(compile("def pause():\\n    import time\\n    time.sleep(0.001)\\n", place, "exec"))

    {marker}
    async def test_blocks():
        try:
            pause()
        except Exception:
            pass  # as an error policy would
"""


def test_a_blocking_call_fails_its_test_even_where_the_error_is_swallowed(
    guarded: pytest.Pytester,
) -> None:
    result = run(guarded, BLOCKING.format(marker=""))
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*the event loop was blocked by*time.sleep*"])


def test_a_test_may_block_the_loop_where_it_says_so(guarded: pytest.Pytester) -> None:
    result = run(guarded, BLOCKING.format(marker="@pytest.mark.blocks_the_loop"))
    result.assert_outcomes(passed=1)


def test_a_campaign_has_its_seconds_and_a_grace_on_top(guarded: pytest.Pytester) -> None:
    result = run(
        guarded,
        """
        import pytest

        @pytest.mark.campaign
        def test_is_bounded(request, seconds, seed):
            assert request.node.get_closest_marker("timeout").args == (seconds + 120,)
        """,
    )
    result.assert_outcomes(passed=1)


def test_whoever_asks_for_a_server_is_left_out_where_servers_are(
    guarded: pytest.Pytester,
) -> None:
    guarded.makepyfile("def test_asks(kafka): ...\ndef test_does_without(): ...")
    options = ("-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not service")
    result = guarded.runpytest_subprocess(*options)
    result.assert_outcomes(passed=1, deselected=1)
