"""A secret that a job holds is in nothing that is printed or written, whatever fails and where.

Every step of a run that a client library has a hand in raises once, with the secret in its words,
as real clients do; everything that was printed at DEBUG and every byte on the disk is searched.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CANARY = "c4nary-7d1e"

JOB = """
import asyncio, logging, os, sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from samza_py import DeadLetter, Job, Json, Message, Retry, Secret, Skip, Fail
from samza_py.connectors.files import Files
from samza_py.connectors.local import LocalCheckpoints
from samza_py.connectors.memory import Memory
from samza_py.errors import ConnectorError, RejectedError, UnavailableError

FAILS = os.environ.get("FAILS", "")
HOW = os.environ.get("HOW", "ConnectorError")
done = set()

def at(step, secret):
    logging.getLogger("client").debug("%s as %s with %r", step, "me", secret)
    if FAILS == step and (HOW != "UnavailableError" or step not in done):
        done.add(step)
        word = secret.reveal()
        text = f"{step} refused {word} at https://me:{word}@host/?sig={word}"
        raise {"ConnectorError": ConnectorError, "UnavailableError": UnavailableError,
               "OSError": OSError, "KeyError": KeyError}[HOW](text)

def failing(role, real, secret, *steps):
    class Failing(type(real)):
        pass
    for step in steps:
        def made(name=step):
            async def call(self, *args, **kwargs):
                at(f"{role}.{name}", secret)
                if name == "write" and FAILS == "producer.flush":
                    await asyncio.sleep(0.5)  # a commit that finds it under way asks for a flush
                return await getattr(super(Failing, self), name)(*args, **kwargs)
            return call
        setattr(Failing, step, made())
    real.__class__ = Failing
    return real

@dataclass(frozen=True)
class Broker(Memory):
    password: Secret = Secret("unset-password")

    def admin(self, streams):
        steps = ("aopen", "partitions", "create", "start_position")
        return failing("admin", super().admin(streams), self.password, *steps)

    def consumer(self, inputs):
        steps = ("aopen", "assign", "poll", "aclose")
        return failing("consumer", super().consumer(inputs), self.password, *steps)

    def producer(self, outputs, claim):
        steps = ("aopen", "write", "flush", "aclose")
        return failing("producer", super().producer(outputs, claim), self.password, *steps)

broker = Broker(name="broker")
files = Files(root="data")
orders = broker.stream("orders", key=str, value=int, finite=True)
priced = broker.stream("priced", key=str, value=int)
echoes = files.jsonl_output("echoes", "out", value=int)
dead = files.jsonl_output("dead", "dead", value=bytes)
broker.put_all(orders, [(str(n), n) for n in range(20)])
job = Job("pricing", checkpoints=LocalCheckpoints("state/checkpoints.log"), startup_timeout="1s",
          on_error=Retry(2, backoff="1ms", then=DeadLetter(dead)), lifespan=None)

@asynccontextmanager
async def clients():
    at("lifespan", Secret(os.environ["SAMZA_SYSTEMS__BROKER__PASSWORD"]))
    yield None

job.lifespan = clients

@job.task(orders, to=priced, outputs=[echoes])
async def price(order: Message[str, int], ctx) -> int:
    ctx.send(echoes, order.value)
    at("handler", Secret(os.environ["SAMZA_SYSTEMS__BROKER__PASSWORD"]))
    return order.value
"""

STEPS = {
    # what fails, and how the run may end
    "lifespan": (1,),
    "handler": (0,),
    "admin.aopen": (1,),
    "admin.partitions": (1,),
    "admin.create": (1,),
    "admin.start_position": (1,),
    "consumer.aopen": (1,),
    "consumer.assign": (1,),
    "consumer.poll": (1,),
    "consumer.aclose": (0, 1),
    "producer.aopen": (1,),
    "producer.write": (1,),
    "producer.flush": (0, 1),
    "producer.aclose": (0, 1),
}


def run(folder: Path, *arguments: str, **environment: str) -> tuple[int, str]:
    """A command of the command line; its exit code and everything it printed."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("SAMZA_", "COV"))}
    secret = {"SAMZA_SYSTEMS__BROKER__PASSWORD": CANARY, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-m", "samza_py", *arguments],
        cwd=folder,
        env={**clean, **secret, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    return done.returncode, done.stdout + done.stderr


def files_with_it(folder: Path) -> list[str]:
    """Every file below a folder that holds the secret."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    return [str(path) for path in found if CANARY.encode() in path.read_bytes()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "orders.py").write_text(JOB)
    (tmp_path / "data").mkdir()
    return tmp_path


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("how", ["ConnectorError", "OSError"])
def test_no_failure_of_a_client_prints_or_writes_a_secret(
    folder: Path, step: str, how: str
) -> None:
    form = ["--log-json"] if list(STEPS).index(step) % 2 else []
    arguments = ["run", "orders.py", "--log-level", "debug", *form]
    code, printed = run(folder, *arguments, FAILS=step, HOW=how)
    assert code in STEPS[step], printed
    assert f"{step} " in printed, "the step was never reached"
    assert CANARY not in printed
    assert files_with_it(folder) == []


@pytest.mark.parametrize(
    "step", ["admin.aopen", "consumer.poll", "producer.write", "producer.flush"]
)
def test_no_outage_that_is_waited_for_prints_a_secret(folder: Path, step: str) -> None:
    """Warnings about what is tried again hold the client's words too."""
    code, printed = run(
        folder, "run", "orders.py", "--log-level", "debug", FAILS=step, HOW="UnavailableError"
    )
    assert code == 0, printed
    assert "refused" in printed
    assert CANARY not in printed
    assert files_with_it(folder) == []


@pytest.mark.parametrize("command", ["run", "check", "config", "graph", "checkpoint"])
def test_no_command_prints_or_writes_a_secret(folder: Path, command: str) -> None:
    assert run(folder, "run", "orders.py")[0] == 0
    loud = ["--log-level", "debug"] if command == "run" else []
    code, printed = run(folder, command, "orders.py", *loud)
    assert code == 0, printed
    assert CANARY not in printed
    assert files_with_it(folder) == []


def test_a_new_job_holds_no_secret_and_one_that_is_there_is_refused_without_it(
    folder: Path,
) -> None:
    code, printed = run(folder, "new", "first.py")
    assert code == 0, printed
    taken, why_taken = run(folder, "new", "orders.py")
    assert taken == 2, why_taken
    # The new job has no broker: what the environment sets for one is a mistake, and is named.
    unknown, why_unknown = run(folder, "run", "first.py", "--log-level", "debug")
    assert unknown == 2, why_unknown
    assert "broker" in why_unknown.lower()
    assert CANARY not in printed + why_taken + why_unknown
    assert files_with_it(folder) == []
