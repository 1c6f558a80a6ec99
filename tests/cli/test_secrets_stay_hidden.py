"""A secret given in any way is in nothing that a command prints, at DEBUG and in every failure."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from samza_py.cli import main

CANARY = "canary-5f2c81"

JOB = f"""
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from samza_py import Job, Message, Record, Retry, Secret
from samza_py.connectors.memory import Memory
from samza_py.errors import ConnectorError, UnavailableError

@dataclass(frozen=True)
class Login:
    user: str = "me"
    password: Secret = Secret("{CANARY}-code")

@dataclass(frozen=True)
class Broker(Memory):
    password: Secret | None = None
    api_token: str = "{CANARY}-named"
    url: str = "https://me:{CANARY}-url@localhost/?sig={CANARY}-url"
    login: Login = Login()
    fails: str = ""

    def _fail(self, where):
        secret = self.login.password.reveal()
        logging.getLogger("client").debug("%s with %r %s", where, self, secret)
        if self.fails == where:
            secret = (self.password or self.login.password).reveal()
            raise ConnectorError(f"{{where}} of {{self.url}} refused {{secret}} {{self.api_token}}")

    def admin(self, streams):
        self._fail("admin")
        return super().admin(streams)

    def consumer(self, inputs):
        self._fail("consumer")
        return super().consumer(inputs)

    def producer(self, outputs, claim):
        self._fail("producer")
        return super().producer(outputs, claim)

broker = Broker(password=Secret("{CANARY}-code"))
orders = broker.stream("orders", key=str, value=int, finite=True)
priced = broker.stream("priced", key=str, value=int)
broker.put_all(orders, [(str(n), n) for n in range(3)])
job = Job("pricing")

@job.task(orders, to=priced)
async def price(order: Message[str, int]) -> int:
    system = broker
    if broker.fails == "handler":
        raise ValueError(f"{{system.login.password.reveal()}} {{system!r}}")
    return order.value
"""


def everything_printed(folder: Path, arguments: list[str], **environment: str) -> tuple[int, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("SAMZA_")}
    done = subprocess.run(
        [sys.executable, "-m", "samza_py", *arguments],
        cwd=folder,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "orders.py").write_text(JOB)
    (tmp_path / "password").write_text(f"{CANARY}-file\n")
    (tmp_path / "prod.toml").write_text(f"[systems.memory]\npassword = '{CANARY}-toml'\n")
    return tmp_path


RUN = ["run", "orders.py", "--log-level", "debug"]


@pytest.mark.parametrize("form", [[], ["--log-json"]])
@pytest.mark.parametrize("given", ["PASSWORD", "PASSWORD_FILE"])
def test_no_run_prints_a_secret(folder: Path, form: list[str], given: str) -> None:
    value = "password" if given.endswith("FILE") else f"{CANARY}-env"
    variable = {f"SAMZA_SYSTEMS__MEMORY__{given}": value}
    code, printed = everything_printed(folder, [*RUN, *form], **variable)
    assert code == 0, printed
    assert "consumer with Broker" in printed
    assert CANARY not in printed


@pytest.mark.parametrize("where", ["admin", "consumer", "producer", "handler"])
@pytest.mark.parametrize("form", [[], ["--log-json"]])
def test_no_failure_prints_a_secret(folder: Path, where: str, form: list[str]) -> None:
    # Set in the file: a system that is replaced would lose what the job file put into it.
    text = JOB.replace('fails: str = ""', f'fails: str = "{where}"')
    (folder / "orders.py").write_text(text)
    code, printed = everything_printed(folder, [*RUN, *form])
    assert code == 1, printed
    assert CANARY not in printed
    assert ("refused" in printed) or where == "handler"


def test_a_job_file_that_fails_to_load_prints_no_secret_written_into_it(folder: Path) -> None:
    (folder / "orders.py").write_text(
        "from samza_py import Secret\n"
        f'def log_in(password, times):\n    return 1 // times\n\nlog_in(Secret("{CANARY}"), 0)\n'
    )
    code, printed = everything_printed(folder, ["check", "orders.py"])
    assert code == 2
    assert "ZeroDivisionError" in printed
    assert CANARY not in printed


# Commands that run nothing, in this process ------------------------------------------------


@pytest.fixture
def here(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The folder as the current one; what is imported from it is forgotten again."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "orders.py"],
        ["config", "orders.py"],
        ["config", "orders.py", "--config", "prod.toml"],
        ["graph", "orders.py"],
        ["graph", "orders.py", "--format", "mermaid"],
        ["checkpoint", "orders.py"],
    ],
)
@pytest.mark.parametrize("given", ["PASSWORD", "PASSWORD_FILE"])
def test_no_command_prints_a_secret(
    arguments: list[str],
    given: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    value = "password" if given.endswith("FILE") else f"{CANARY}-env"
    monkeypatch.setenv(f"SAMZA_SYSTEMS__MEMORY__{given}", value)
    assert main(arguments) == 0
    assert CANARY not in "".join(capfd.readouterr())


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("command", ["check", "run"])
@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (["--set", f"systems.memory.password={CANARY}"], {}),
        (["--set", f"systems.memory.pasword={CANARY}"], {}),
        ([], {"SAMZA_SYSTEMS__MEMORY__PASWORD": CANARY}),
        ([], {"SAMZA_SYSTEMS__MEMORY__LOGIN__PASSWORT": CANARY}),
        (["--config", "wrong.toml"], {}),
        (["--config", "broken.toml"], {}),
    ],
)
def test_no_refusal_prints_a_secret(
    command: str,
    arguments: list[str],
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    Path("wrong.toml").write_text(f"[systems.memory]\npasword = '{CANARY}'\n")
    Path("broken.toml").write_text(f"[systems.memory]\npassword = {CANARY}\n")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert main([command, "orders.py", *arguments]) == 2
    assert CANARY not in "".join(capfd.readouterr())
