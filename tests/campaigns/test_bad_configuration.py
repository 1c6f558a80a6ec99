"""Every mistake in a job's settings is found before anything is opened, by its key and its place.

A table of mistakes, through `check` and through `run`: exit code 2, the file, line and key, what
was probably meant, no traceback, and nothing on the disk.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from samza_py.cli import main

JOB = """
from dataclasses import dataclass
from samza_py import DeadLetter, Job, Message, Retry, Secret
from samza_py.connectors.files import Files
from samza_py.connectors.local import LocalCheckpoints
from samza_py.connectors.memory import Memory

@dataclass(frozen=True)
class Broker(Memory):
    password: Secret | None = None
    linger_ms: int = 5

files = Files(root="data")
broker = Broker(name="broker")
orders = files.jsonl("orders", "in", value=dict)
priced = files.jsonl_output("priced", "out", value=dict)
sent = broker.stream("sent", key=str, value=int)
job = Job("pricing", checkpoints=LocalCheckpoints("state/checkpoints.log"))

@job.task(orders, to=priced, outputs=[sent])
def price(order):
    return order.value
"""

FILE = "prod.toml"
IN_A_FILE: list[tuple[str, int, str]] = [
    # what the file says, the line of the mistake, what has to be said
    ("[job]\n\ncommit_intervall = '1s'\n", 3, "did you mean job.commit_interval"),
    ("[job]\ncommit_interval = '1 fortnight'\n", 2, "job.commit_interval"),
    ("[job]\ncommit_interval = 0\n", 2, "job.commit_interval"),
    ("[job]\ncommit_interval = -1\n", 2, "job.commit_interval"),
    ("[job]\ncommit_interval = [1]\n", 2, "job.commit_interval"),
    ("[job]\nmax_threads = 'many'\n", 2, "job.max_threads"),
    ("[job]\nmax_threads = 0\n", 2, "job.max_threads"),
    ("[job]\nmax_threads = 1.5\n", 2, "job.max_threads"),
    ("[job]\nmax_threads = true\n", 2, "job.max_threads"),
    ("[job]\nmax_buffered_bytes = '64 parsecs'\n", 2, "job.max_buffered_bytes"),
    ("[job]\nguarantee = 'exactly_twice'\n", 2, "exactly_once"),
    ("[job]\nprofile = 'fast'\n", 2, "low_latency"),
    ("[job]\nprofile = 'default'\nmax_outbox_messages = {a = 1}\n", 3, "job.max_outbox_messages"),
    ("[jobs]\ncommit_interval = '1s'\n", 2, "did you mean job"),
    ("\n[systems.brokers]\nlinger_ms = 1\n", 3, "did you mean systems.broker"),
    ("[systems.broker]\nlinger = 1\n", 2, "did you mean systems.broker.linger_ms"),
    ("[systems.broker]\nlinger_ms = 'soon'\n", 2, "systems.broker.linger_ms"),
    ("[systems.files]\nroot = 7\n", 2, "systems.files.root"),
    ("[systems.files]\nroot = 'http://169.254.169.254/latest'\n", 2, "systems.files.root"),
    ("[streams.order]\nname = 'x'\n", 2, "did you mean streams.orders"),
    ("[streams.orders]\nnames = 'x'\n", 2, "did you mean streams.orders.name"),
]

NO_PLACE: list[tuple[str, str]] = [
    ("[job\nprofile = 'default'\n", "is not TOML"),
    ("job = 7\n", "job"),
    ("[job]\nprofile = 'default'\nprofile = 'default'\n", "is not TOML"),
    ("\0", "is not TOML"),
]

IN_THE_ENVIRONMENT: list[tuple[str, str, str]] = [
    ("SAMZA_JOB__COMMIT_INTERVALL", "1s", "COMMIT_INTERVAL"),
    ("SAMZA_JOB__MAX_THREADS", "none", "SAMZA_JOB__MAX_THREADS"),
    ("SAMZA_SYSTEMS__BROKER__LINGER", "1", "SAMZA_SYSTEMS__BROKER__LINGER_MS"),
    ("SAMZA_SYSTEMS__BROKERS__LINGER_MS", "1", "SAMZA_SYSTEMS__BROKER"),
    ("SAMZA_SYSTEMS__BROKER__PASSWORD_FILE", "no/such/file", "no/such/file"),
    ("SAMZA_STREAMS__ORDER__NAME", "x", "SAMZA_STREAMS__ORDERS"),
]

ON_THE_COMMAND_LINE: list[tuple[list[str], str]] = [
    (["--set", "job.commit_intervall=1s"], "did you mean job.commit_interval"),
    (["--set", "job.commit_interval"], "KEY=VALUE"),
    (["--set", "=1"], "KEY=VALUE"),
    (["--set", "systems.broker.password=hunter2"], "is a secret"),
    (["--set", "systems.broker.linger_ms=soon"], "systems.broker.linger_ms"),
    (["--config", "no-such.toml"], "no-such.toml"),
    (["--config", "data"], "data"),
    (["--config", "prod.ini"], "prod.ini"),
]

JOBS: list[tuple[str, str]] = [
    # what is changed in the job file (FROM -> TO), what has to be said
    ("to=priced ->", "outputs"),
    ("to=priced, outputs=[sent] -> to=orders", "orders"),
    ('Job("pricing" -> Job("pri cing"', "job name"),
    ("@job.task(orders, -> @job.task(", "reads nothing"),
    ("to=priced, -> to=priced, max_concurrency=0,", "max_concurrency"),
    ("to=priced, -> to=priced, order='keys',", "order"),
    ("to=priced, -> to=priced, timeout='soon',", "timeout"),
    ("to=priced, -> to=priced, on_error=Retry(0),", "Retry.attempts"),
    ("to=priced, -> to=priced, on_error=DeadLetter(priced),", "dead letter"),
    ('"in" -> "../in"', ".."),
    ('"in" -> "/etc"', "relative"),
    ('"state/checkpoints.log") -> "state/checkpoints.log"), guarantee="exactly_once"', "sent"),
    ("to=priced, -> to=priced, stores=[job.store('s', key=str, value=int)],", "stores"),
    ('Broker(name="broker") -> Broker(name="files")', "files"),
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The job file in the current folder; what is imported from it is forgotten again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in [name for name in os.environ if name.startswith("SAMZA_")]:
        monkeypatch.delenv(name)
    Path("orders.py").write_text(JOB)
    Path("data").mkdir()
    Path("prod.ini").write_text("[job]\n")
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def refused(
    command: str, arguments: list[str], capfd: pytest.CaptureFixture[str], *words: str
) -> None:
    """The command ends with 2 and says these words, without a traceback; nothing was opened."""
    before = sorted(path for path in Path().rglob("*") if "__pycache__" not in path.parts)
    try:
        code: object = main([command, "orders.py", *arguments])
    except SystemExit as ended:
        code = ended.code
    out, err = capfd.readouterr()
    assert code == 2, out + err
    for word in words:
        assert word in err, err
    if "failed while it was imported" not in err:
        assert "Traceback" not in err
    after = sorted(path for path in Path().rglob("*") if "__pycache__" not in path.parts)
    assert after == before


commands = pytest.mark.parametrize("command", ["check", "run"])


@commands
@pytest.mark.parametrize(("text", "line", "told"), IN_A_FILE)
def test_a_mistake_in_a_file_is_named_with_its_line(
    command: str, text: str, line: int, told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    Path(FILE).write_text(text)
    refused(command, ["--config", FILE], capfd, told, f"{FILE}, line {line}")


@commands
@pytest.mark.parametrize(("text", "told"), NO_PLACE)
def test_a_file_that_cannot_be_read_is_named(
    command: str, text: str, told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    Path(FILE).write_text(text)
    refused(command, ["--config", FILE], capfd, told, FILE)


@commands
@pytest.mark.parametrize(("variable", "value", "told"), IN_THE_ENVIRONMENT)
def test_a_mistake_in_the_environment_is_named_by_its_variable(
    command: str,
    variable: str,
    value: str,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(variable, value)
    refused(command, [], capfd, told)


@commands
@pytest.mark.parametrize(("arguments", "told"), ON_THE_COMMAND_LINE)
def test_a_mistake_on_the_command_line_is_named(
    command: str, arguments: list[str], told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    refused(command, arguments, capfd, told)


@commands
@pytest.mark.parametrize(("change", "told"), JOBS)
def test_a_mistake_in_the_job_is_named(
    command: str, change: str, told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    before, _, after = change.partition(" -> ") if " -> " in change else change.partition(" ->")
    assert before in JOB
    Path("orders.py").write_text(JOB.replace(before, after, 1))
    refused(command, [], capfd, told)


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("order.py", "did you mean orders.py"),
        ("orders.py:jop", "job"),
        ("data", "is a folder"),
        ("no.such.module", "no.such.module"),
        ("", "names no file"),
    ],
)
def test_a_job_that_is_not_there_is_named(
    target: str, told: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", target]) == 2
    err = capfd.readouterr().err
    assert told in err
    assert "Traceback" not in err


def test_all_mistakes_are_told_at_once(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    Path(FILE).write_text("[job]\nmax_thread = 1\nprofile = 'fast'\n")
    monkeypatch.setenv("SAMZA_SYSTEMS__BROKER__LINGER_MS", "soon")
    arguments = ["--config", FILE, "--set", "streams.order.name=x"]
    refused("check", arguments, capfd, "max_thread", "profile", "LINGER_MS", "streams.order.name")
