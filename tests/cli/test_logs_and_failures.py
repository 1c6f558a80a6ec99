"""What is printed of a failure is the user's; what is logged can forge nothing and leak nothing."""

import asyncio
import json
import logging
from typing import Any

import pytest

from samza_py.cli.failures import Redaction, described, leaves, printable, users_traceback
from samza_py.cli.logs import HumanFormatter, JsonFormatter, configure, cut
from samza_py.errors import (
    CheckpointError,
    ConfigError,
    ConnectorError,
    ContainerError,
    SerdeError,
    TaskFailedError,
    UnavailableError,
)
from samza_py.policies import Retry
from samza_py.values import HIDDEN


def record(message: str, *args: Any, level: int = logging.INFO, **extra: Any) -> logging.LogRecord:
    made = logging.LogRecord("samza_py.test", level, __file__, 1, message, args, None)
    vars(made).update(extra)
    return made


def human(made: logging.LogRecord, redact: Redaction | None = None) -> str:
    return HumanFormatter("pricing", redact or Redaction()).format(made)


def as_json(made: logging.LogRecord, redact: Redaction | None = None) -> dict[str, Any]:
    entry: dict[str, Any] = json.loads(JsonFormatter("pricing", redact or Redaction()).format(made))
    return entry


def failed_by_a_user() -> Exception:
    """An error that passed through samza-py on its way to the user's code and back."""

    class Broken:
        def __truediv__(self, other: object) -> float:
            return 1 / 0

    try:
        Retry(3).wait_s(1, Broken())  # type: ignore[arg-type]  # fails inside
    except Exception as error:
        return error
    raise AssertionError


# Logs --------------------------------------------------------------------------------------


def test_a_record_shows_its_task_or_partition() -> None:
    assert human(record("moved %d", 3, task="price/3")).endswith("info     price/3  moved 3")
    entry = as_json(record("moved %d", 3, task="price/3", partition="kafka.orders[3]", took_s=0.5))
    assert entry["message"] == "moved 3"
    assert (entry["job"], entry["task"], entry["partition"]) == (
        "pricing",
        "price/3",
        "kafka.orders[3]",
    )
    assert entry["took_s"] == 0.5


@pytest.mark.parametrize("evil", ["a\nb", "a\r\nb", "a\x1b[2Jb", "a\x00b", "a\x9bb", "a\u2028b"])
def test_a_record_is_one_line_that_drives_no_terminal(evil: str) -> None:
    line = human(record("key %s", evil, task=evil))
    assert len(line.splitlines()) == 1
    assert all(c.isprintable() for c in line)
    text = JsonFormatter("pricing", Redaction()).format(record("key %s", evil, task=evil))
    assert len(text.splitlines()) == 1
    assert "\x1b" not in text


def test_a_traceback_in_a_record_is_indented_so_that_it_forges_no_line() -> None:
    try:
        raise ValueError("x\n12:00:00 info     price/0  all is well")
    except ValueError as error:
        made = record("failed")
        made.exc_info = (ValueError, error, error.__traceback__)
    assert all(line.startswith("    ") for line in human(made).splitlines()[1:])
    assert "all is well" in as_json(made)["traceback"]


def test_where_a_handler_stands_is_shown_below_on_lines_of_its_own() -> None:
    stack = '  File "orders.py", line 3, in price\n    time.sleep(9)'
    made = record("the loop stands at:\n%s", stack, stack=stack)
    first, *below = human(made).splitlines()
    assert first.endswith("info     the loop stands at:")
    assert below == ['      File "orders.py", line 3, in price', "        time.sleep(9)"]
    entry = as_json(made)
    assert (entry["message"], entry["stack"]) == ("the loop stands at:", stack)


def test_a_payload_is_shown_at_debug_alone_and_cut() -> None:
    assert "payload" not in human(record("sent", payload=b"abc"))
    line = human(record("sent", payload=b"x" * 1000, level=logging.DEBUG))
    assert line.count("x") == 256
    assert "(1000 in all)" in line
    assert "payload" not in as_json(record("sent", payload=b"abc"))
    assert cut("short") == "'short'"


def test_a_wrong_log_call_is_logged_and_stops_nothing() -> None:
    assert "its arguments do not fit" in human(record("%d items", "many"))


@pytest.fixture
def written() -> list[str]:
    lines: list[str] = []
    configure(
        level="info", as_json=False, job="pricing", redact=Redaction(["canary"]), write=lines.append
    )
    return lines


def test_everything_logged_goes_through_one_handler_without_secrets(written: list[str]) -> None:
    logging.getLogger("client").warning("cannot log in with %s", "canary")
    logging.getLogger("client").debug("not at this level")
    (line,) = written
    assert line.endswith(f"warning  cannot log in with {HIDDEN}")


def test_configuring_again_takes_the_place_of_the_first(written: list[str]) -> None:
    again: list[str] = []
    configure(level="info", as_json=False, job="b", redact=Redaction(), write=again.append)
    logging.getLogger("x").info("once")
    assert (len(written), len(again)) == (0, 1)


async def test_what_a_handler_logs_is_marked_with_its_task(written: list[str]) -> None:
    async def handler() -> None:
        logging.getLogger("mine").info("of order 7")
        logging.getLogger("samza_py.runtime").info("task price/3 says its name itself")

    await asyncio.create_task(handler(), name="runner price/3")
    assert written[0].endswith("info     price/3  of order 7")
    assert written[1].endswith("info     task price/3 says its name itself")


# Failures ----------------------------------------------------------------------------------


def test_a_failed_task_is_told_with_its_place_and_the_users_error() -> None:
    error = TaskFailedError("price/3", "memory.orders[3] offset 881", 3, "KeyError('A17')")
    error.__cause__ = failed_by_a_user()
    text = described(error)
    assert text.startswith("task price/3 failed at memory.orders[3] offset 881 after 3 attempts")
    assert "return 1 / 0" in text
    assert "policies.py" not in text


def test_an_error_without_a_frame_of_the_users_is_one_line() -> None:
    assert users_traceback(SerdeError("not JSON")) == "samza_py.errors.SerdeError: not JSON"
    assert users_traceback(None) == ""


def test_a_cause_of_the_users_error_is_shown_without_our_frames_too() -> None:
    try:
        try:
            raise failed_by_a_user()
        except ZeroDivisionError as inner:
            raise RuntimeError("outer") from inner
    except RuntimeError as error:
        text = users_traceback(error)
    assert "direct cause" in text
    assert "policies.py" not in text


def test_errors_are_taken_out_of_their_groups_a_failed_task_first() -> None:
    first, second = ConnectorError("gone"), TaskFailedError("price/0", "x[0] offset 1", 1, "e")
    group = ExceptionGroup("two", [ExceptionGroup("one", [first]), second, first])
    assert list(leaves(group)) == [second, first]


def test_a_failed_task_ends_with_what_would_let_the_job_go_on() -> None:
    error = TaskFailedError("price/0", "x[0] offset 1", 1, "bad", hint="write on_error=Skip()")
    assert described(error) == "task price/0 failed at x[0] offset 1: bad\nwrite on_error=Skip()"


def test_what_led_to_a_failure_is_told_a_line_each() -> None:
    error = ContainerError("the intake of kafka failed")
    error.__cause__ = UnavailableError("kafka at x:1 does not answer")
    error.__cause__.__cause__ = OSError(111, "Connection refused")
    assert described(error).splitlines() == [
        "the intake of kafka failed",
        "  because: UnavailableError: kafka at x:1 does not answer",
        "  because: ConnectionRefusedError: [Errno 111] Connection refused",
    ]


def test_a_cause_of_ours_that_was_told_already_is_not_told_again() -> None:
    """A connector names the file in front of what its parts say."""
    refused = ConnectorError("x.zst: reading zstd needs a library")
    refused.__cause__ = inner = ConnectorError("reading zstd needs a library")
    inner.__cause__ = OSError("no such module")
    assert described(refused) == f"{refused}\n  because: OSError: no such module"


def test_a_checkpoint_error_shows_no_traceback() -> None:
    assert described(CheckpointError("the disk is full")) == "the disk is full"


def test_an_error_of_ours_that_nobody_expected_is_shown_whole() -> None:
    text = described(failed_by_a_user())
    assert "please report this" in text
    assert "policies.py" in text


def test_a_wrong_value_is_one_line() -> None:
    assert described(ConfigError("job.x", "is wrong", 3)) == "job.x = 3: is wrong"


def test_control_characters_are_escaped_and_lines_are_kept() -> None:
    assert printable("a\x1b[31mb\nc\td") == "a\\x1b[31mb\nc\td"


# Secrets -----------------------------------------------------------------------------------


def test_secrets_are_taken_out_longest_first() -> None:
    hide = Redaction(["canary", "canary-long", "", "abc"])
    assert hide("x canary-long canary y abc") == f"x {HIDDEN} {HIDDEN} y abc"


def test_a_secret_written_into_the_code_is_hidden_in_its_source_line() -> None:
    line = '    password=Secret("canary"), user="me"'
    assert Redaction()(line) == f"    password=Secret('{HIDDEN}'), user=\"me\""
