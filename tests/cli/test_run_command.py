"""`samza-py run`, as people and supervisors meet it: what it prints, with which code it ends."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parents[2]

HEAD = """
import asyncio, logging, time
from samza_py import DeadLetter, Job, Message, Retry, Skip
from samza_py.connectors.memory import Memory

memory = Memory()
orders = memory.stream("orders", key=str, value=int, finite={finite})
priced = memory.stream("priced", key=str, value=int)
memory.put_all(orders, [(str(n), n) for n in range(10)])
job = Job("pricing"{options})
"""


def job_file(folder: Path, body: str, *, finite: bool = True, options: str = "") -> Path:
    path = folder / "orders.py"
    head = HEAD.format(finite=finite, options=options)
    path.write_text(head + dedent(body))
    return path


def environment() -> dict[str, str]:
    """That of a user: no settings left over, no colours, no terminal."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("SAMZA_", "COV"))}
    return {**clean, "XDG_STATE_HOME": "/nonexistent"}


def samza_py(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "samza_py", *arguments],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


class Running:
    """A run in its own process, to be sent signals."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "samza_py", "run", "orders.py", *arguments],
            cwd=folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_for_line(self, wanted: str) -> None:
        """Until the job itself has printed this."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.strip() == wanted:
                return
        pytest.fail(f"ended without {wanted!r}: {self.end()}")

    def wait_for_log(self, wanted: str) -> None:
        """Until a line of the log says this."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if wanted in line:
                return
        pytest.fail(f"ended without logging {wanted!r}")

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> tuple[int, str]:
        """The exit code and the rest of the log."""
        _, errors = self.process.communicate(timeout=40)
        return self.process.returncode, errors


@pytest.fixture
def running(tmp_path: Path) -> Iterator[list[Running]]:
    """Whatever a test starts is ended with it."""
    started: list[Running] = []
    yield started
    for run in started:
        if run.process.poll() is None:
            run.process.kill()
            run.process.communicate()


DOUBLE = """
@job.task(orders, to=priced)
async def double(order: Message[str, int]) -> int:
    return order.value * 2
"""


# How it ends -------------------------------------------------------------------------------


def test_a_finite_job_runs_to_its_end_and_says_what_it_did(tmp_path: Path) -> None:
    job_file(tmp_path, DOUBLE)
    done = samza_py(tmp_path, "run", "orders.py")
    assert done.returncode == 0, done.stderr
    assert "pricing: handler double; at least once" in done.stderr
    assert "checkpoints in" in done.stderr
    assert "finished after" in done.stderr
    assert "in 10 (" in done.stderr
    assert "out 10" in done.stderr
    assert done.stdout == ""


def test_a_new_job_runs_as_it_stands(tmp_path: Path) -> None:
    made = samza_py(tmp_path, "new", "first.py")
    assert made.returncode == 0, made.stderr
    assert "samza-py run first.py" in made.stdout
    assert samza_py(tmp_path, "check", "first.py").returncode == 0
    done = samza_py(tmp_path, "run", "first.py")
    assert done.returncode == 0, done.stderr
    assert "order 3: 12 x plum = 2.40" in done.stdout
    assert "dead letters 1" in done.stderr
    written = "".join(path.read_text() for path in (tmp_path / "first-output").glob("*.jsonl"))
    assert len(written.splitlines()) == 4
    again = samza_py(tmp_path, "run", "first.py")
    assert again.returncode == 0, again.stderr
    assert again.stdout == ""


def test_a_job_file_runs_itself_with_the_same_flags(tmp_path: Path) -> None:
    path = job_file(tmp_path, DOUBLE + "\nif __name__ == '__main__':\n    job.run()\n")
    command = [sys.executable, path.name, "--log-level", "error"]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    helped = subprocess.run(
        [sys.executable, path.name, "--help"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "usage: orders.py" in helped.stdout


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_failure_names_the_place_and_shows_the_users_frames_alone(
    tmp_path: Path, loop: str
) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    job_file(
        tmp_path,
        """
        def look_up(number):
            return {}[number]

        @job.task(orders, to=priced)
        async def price(order: Message[str, int]) -> int:
            return look_up(order.value)
        """,
    )
    done = samza_py(tmp_path, "run", "orders.py", "--loop", loop)
    assert done.returncode == 1
    assert "samza-py: task price/0 failed at memory.orders[0] offset 0" in done.stderr
    trace = done.stderr.partition("Traceback")[2]
    assert "look_up(order.value)" in trace
    assert "KeyError: 0" in trace
    assert "/samza_py/" not in trace
    assert "/runtime/" not in trace
    assert "asyncio" not in trace


def test_what_cannot_be_decoded_names_the_place_and_the_reason(tmp_path: Path) -> None:
    job_file(tmp_path, "memory.put_raw(orders, b'x', b'not json')\n" + dedent(DOUBLE))
    done = samza_py(tmp_path, "run", "orders.py")
    assert done.returncode == 1
    assert "failed at memory.orders[0] offset 10" in done.stderr
    assert "JSON is malformed" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--set", "job.comit_interval=1s"], "did you mean job.commit_interval?"),
        (["--set", "job.max_threads=none"], "job.max_threads: must be a valid integer"),
        (["--config", "missing.toml"], "there is no file missing.toml"),
        (["--index", "3"], "--index: needs --count beside it"),
        (["--index", "3", "--count", "3"], "must be 0 to 2"),
        (["--progress", "sometimes"], "invalid choice: 'sometimes'"),
    ],
)
def test_a_users_mistake_ends_with_two_and_without_a_traceback(
    tmp_path: Path, arguments: list[str], told: str
) -> None:
    job_file(tmp_path, DOUBLE)
    done = samza_py(tmp_path, "run", "orders.py", *arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert "finished" not in done.stderr


def test_an_error_in_the_job_file_shows_the_users_own_traceback(tmp_path: Path) -> None:
    job_file(tmp_path, "def broken():\n    return 1 / 0\n\nbroken()\n")
    done = samza_py(tmp_path, "run", "orders.py")
    assert done.returncode == 2
    assert "orders.py: failed while it was imported: ZeroDivisionError" in done.stderr
    assert "return 1 / 0" in done.stderr
    assert "samza_py/loading.py" not in done.stderr
    assert "importlib" not in done.stderr


def test_a_syntax_error_is_shown_where_it_is(tmp_path: Path) -> None:
    job_file(tmp_path, "def broken(:\n")
    done = samza_py(tmp_path, "run", "orders.py")
    assert done.returncode == 2
    assert "def broken(:" in done.stderr
    assert "SyntaxError" in done.stderr
    assert "samza_py/loading.py" not in done.stderr


# What it says while it runs ----------------------------------------------------------------


def test_every_line_is_one_object_for_a_log_collector(tmp_path: Path) -> None:
    job_file(
        tmp_path,
        """
        logger = logging.getLogger("mine")

        @job.task(orders, to=priced, on_error=Skip())
        async def price(order: Message[str, int]) -> int:
            logger.info("order %s", order.key)
            return 1 // (order.value - 3)
        """,
    )
    done = samza_py(tmp_path, "run", "orders.py", "--log-json")
    assert done.returncode == 0, done.stderr
    entries = [json.loads(line) for line in done.stderr.splitlines()]
    assert {entry["job"] for entry in entries} == {"pricing"}
    assert sum(entry["logger"] == "mine" for entry in entries) == 10
    last = entries[-1]
    assert (last["logger"], last["in"], last["skipped"]) == ("samza_py.progress", 10, 1)


def test_a_failure_is_one_object_too(tmp_path: Path) -> None:
    job_file(
        tmp_path, "@job.task(orders)\ndef price(order):\n    raise ValueError('first\\nsecond')\n"
    )
    done = samza_py(tmp_path, "run", "orders.py", "--log-json")
    assert done.returncode == 1
    last = json.loads(done.stderr.splitlines()[-1])
    assert last["level"] == "error"
    assert last["message"].startswith("task price/0 failed at memory.orders[0] offset 0")
    assert "in price" in last["details"]


def test_a_value_looked_for_in_the_message_is_told_where_it_is(tmp_path: Path) -> None:
    job_file(tmp_path, "@job.task(orders)\ndef price(order):\n    return order.sku\n")
    done = samza_py(tmp_path, "run", "orders.py")
    assert done.returncode == 1
    assert "a Message holds the value: write .value.sku\n" in done.stderr


def test_code_that_ends_python_is_named_and_is_a_failure(tmp_path: Path) -> None:
    job_file(tmp_path, "@job.task(orders)\nasync def price(order):\n    raise SystemExit(3)\n")
    done = samza_py(tmp_path, "run", "orders.py")
    assert done.returncode == 1
    assert "failed after" in done.stderr
    assert "samza-py: the job's code ended Python with sys.exit(3); what was not" in done.stderr
    assert "ctx.request_stop()" in done.stderr
    assert "in price" in done.stderr
    assert "uvloop" not in done.stderr


def test_what_is_no_exception_is_the_jobs_own_and_not_ours(tmp_path: Path) -> None:
    body = "@job.task(orders)\nasync def price(order):\n    raise GeneratorExit\n"
    job_file(tmp_path, body)
    done = samza_py(tmp_path, "run", "orders.py")
    assert done.returncode == 1
    assert "samza-py: the job's code raised GeneratorExit, which is no Exception" in done.stderr
    assert "in price" in done.stderr
    assert "report this" not in done.stderr


BLOCKED = """
@job.task(orders, to=priced, blocking=True)
def price(order: Message[str, int]) -> int:
    print("sleeping", flush=True)
    time.sleep(100)
"""


@pytest.mark.parametrize(("signals", "code"), [(1, 1), (2, 143)])
def test_a_thread_that_hangs_does_not_keep_the_process(
    tmp_path: Path, running: list[Running], signals: int, code: int
) -> None:
    options = ', shutdown_timeout="500ms", close_timeout="500ms"'
    job_file(tmp_path, BLOCKED, options=options)
    run = Running(tmp_path)
    running.append(run)
    run.wait_for_line("sleeping")
    run.send(signal.SIGTERM)
    if signals == 2:
        run.wait_for_log("again: at once")
        run.send(signal.SIGTERM)
    began = time.monotonic()
    ended, errors = run.end()
    assert ended == code, errors
    assert time.monotonic() - began < 20
    assert "a blocking=True handler has not ended and is left behind" in errors
    assert "time.sleep(100)" in errors


@pytest.mark.skipif(os.geteuid() != 0, reason="a PID namespace needs root")
def test_the_first_process_of_a_container_hears_a_stop_as_it_starts(tmp_path: Path) -> None:
    (tmp_path / "orders.py").write_text(
        "import time\nprint('imported', flush=True)\ntime.sleep(60)"
    )
    python = [sys.executable, "-m", "samza_py", "run", "orders.py"]
    with subprocess.Popen(
        ["unshare", "--pid", "--fork", "--kill-child", *python],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "imported\n"
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        os.kill(int(children), signal.SIGTERM)
        assert process.wait(20) == 143


def test_what_was_never_awaited_is_a_warning_on_one_line(tmp_path: Path) -> None:
    job_file(
        tmp_path,
        """
        async def later(): ...

        @job.task(orders)
        async def price(order):
            later()
        """,
    )
    done = samza_py(tmp_path, "run", "orders.py")
    assert done.returncode == 0
    assert "RuntimeWarning: coroutine 'later' was never awaited" in done.stderr
    assert "\\n\n" not in done.stderr


# How it is stopped -------------------------------------------------------------------------

WAITS = """
stop = asyncio.Event()

@job.task(orders, to=priced)
async def price(order: Message[str, int]) -> int:
    if order.value == 9:
        print("all", flush=True)
    return order.value
"""

HANGS = """
@job.task(orders, to=priced)
async def price(order: Message[str, int]) -> int:
    print("hangs", flush=True)
    await asyncio.Event().wait()
    return 1
"""

SWALLOWS = """
@job.task(orders)
async def price(order: Message[str, int]) -> None:
    print("swallows", flush=True)
    while True:
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            pass
"""

BLOCKS = """
@job.task(orders, to=priced)
async def price(order: Message[str, int]) -> int:
    print("blocks", flush=True)
    while True:
        time.sleep(0.01)
"""


INTERRUPT_AT = """
import os, signal, sys

# A shell starts what runs in the background deaf to it, tests too.
signal.signal(signal.SIGINT, signal.default_int_handler)

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize(
    "module", ["msgspec", "samza_py.cli", "pydantic", "samza_py.runtime.container", "orders_prices"]
)
def test_ctrl_c_while_it_is_imported_is_one_line(tmp_path: Path, module: str) -> None:
    job_file(tmp_path, "import orders_prices\n" + dedent(DOUBLE))
    (tmp_path / "orders_prices.py").touch()
    (tmp_path / "sitecustomize.py").write_text(INTERRUPT_AT.format(module=module))
    given = environment()
    done = subprocess.run(
        [sys.executable, "-m", "samza_py", "run", "orders.py"],
        cwd=tmp_path,
        env={**given, "PYTHONPATH": f"{tmp_path}:{ROOT}:{given.get('PYTHONPATH', '')}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert (done.returncode, done.stderr) == (130, "samza-py: stopped at once\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_stops_in_good_order(
    tmp_path: Path, running: list[Running], number: signal.Signals
) -> None:
    job_file(tmp_path, WAITS, finite=False)
    run = Running(tmp_path)
    running.append(run)
    run.wait_for_line("all")
    run.send(number)
    code, log = run.end()
    assert code == 0, log
    assert f"{number.name}: stopping in good order" in log
    assert "stopped after" in log


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_second_signal_stops_at_once(
    tmp_path: Path, running: list[Running], number: signal.Signals, code: int
) -> None:
    job_file(tmp_path, HANGS, finite=False)
    run = Running(tmp_path)
    running.append(run)
    run.wait_for_line("hangs")
    run.send(number)
    run.wait_for_log("stopping in good order")
    run.send(number)
    ended, log = run.end()
    assert ended == code, log
    assert "stopped at once after" in log
    assert "Traceback" not in log


def test_a_stop_that_takes_too_long_names_the_task_that_hung(
    tmp_path: Path, running: list[Running]
) -> None:
    job_file(tmp_path, HANGS, finite=False, options=", shutdown_timeout=0.2, close_timeout=0.2")
    run = Running(tmp_path)
    running.append(run)
    run.wait_for_line("hangs")
    run.send(signal.SIGTERM)
    code, log = run.end()
    assert code == 1, log
    assert "price/0" in log
    assert "Traceback" not in log


@pytest.mark.parametrize("signals", [1, 2])
def test_a_handler_that_swallows_every_cancellation_does_not_keep_the_process(
    tmp_path: Path, running: list[Running], signals: int
) -> None:
    times = f", shutdown_timeout={0.2 if signals == 1 else 20}, close_timeout=0.2"
    job_file(tmp_path, SWALLOWS, finite=False, options=times)
    run = Running(tmp_path)
    running.append(run)
    run.wait_for_line("swallows")
    run.send(signal.SIGTERM)
    if signals == 2:
        run.wait_for_log("stopping in good order")
        run.send(signal.SIGTERM)
    code, log = run.end()
    assert code == (1 if signals == 1 else 143), log
    assert "price/0" in log
    assert "since the event loop is blocked" not in log  # that is the watchdog's word


def test_a_blocked_loop_is_named_and_ended_from_outside(
    tmp_path: Path, running: list[Running]
) -> None:
    job_file(tmp_path, BLOCKS, finite=False, options=", shutdown_timeout=0.1, close_timeout=0.1")
    run = Running(tmp_path)
    running.append(run)
    run.wait_for_line("blocks")
    run.send(signal.SIGTERM)
    code, log = run.end()
    assert code == 1, log
    assert "since the event loop is blocked at" in log
    assert "time.sleep(0.01)" in log
    assert "runtime/" not in log.partition("blocked at")[2]


def test_a_third_signal_ends_even_a_blocked_loop(tmp_path: Path, running: list[Running]) -> None:
    job_file(tmp_path, BLOCKS, finite=False)
    run = Running(tmp_path)
    running.append(run)
    run.wait_for_line("blocks")
    # Signals of one kind that come together are one: each kind is heard for itself.
    for number in (signal.SIGTERM, signal.SIGINT):
        run.send(number)
    while run.process.poll() is None:
        run.send(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            run.process.wait(timeout=0.05)
    code, _ = run.end()
    assert code in (143, 130)
