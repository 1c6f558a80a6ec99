"""A job in a process of its own, watched from outside as an orchestrator does."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

TOKEN = "canary-token-7d31c0"

JOB = """
import asyncio
from samza_py import Job, Message
from samza_py.connectors.memory import Memory

memory = Memory()
orders = memory.stream("orders", key=str, value=int)
priced = memory.stream("priced", key=str, value=int)
memory.put_all(orders, [(str(n), n) for n in range(10)])
job = Job("pricing", stall_after="0.5s")

@job.task(orders, to=priced)
async def price(order: Message[str, int]) -> int:
    if order.value == 9:
        await asyncio.sleep(STUCK)
    return order.value
"""


@contextmanager
def running(folder: Path, job: str, **environment: str) -> Generator[subprocess.Popen[str]]:
    (folder / "job.py").write_text(job)
    clean = {k: v for k, v in os.environ.items() if not k.startswith("SAMZA_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "samza_py", "run", "job.py", "--log-level", "debug"],
        cwd=folder,
        env={**clean, "XDG_STATE_HOME": str(folder), **environment},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def url_of(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(r"monitoring at (http://\S+):", line):
            return found[1].replace("0.0.0.0", "127.0.0.1")
    raise AssertionError("it ended without listening")


def asked(url: str, token: str = "") -> tuple[int, str]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as ok:
            return ok.status, ok.read().decode()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, refused.read().decode()


def wait_until(url: str, status: int, *, within_s: float = 20.0) -> str:
    until = time.monotonic() + within_s
    while True:
        found, text = asked(url)
        if found == status:
            return text
        assert time.monotonic() < until, f"{url} still answers {found}: {text}"
        time.sleep(0.05)


def test_it_is_ready_until_a_call_hangs_and_then_says_which(tmp_path: Path) -> None:
    job = JOB.replace("STUCK", "3")
    with running(tmp_path, job, SAMZA_MONITORING__LISTEN="127.0.0.1:0") as process:
        url = url_of(process)
        text = wait_until(f"{url}/readyz", 503)
        while "waits" not in text:  # it was starting
            text = wait_until(f"{url}/readyz", 503)
        assert "partition 0 of orders waits" in text
        assert "in `price`, key '9' (offset 9)" in text
        assert asked(f"{url}/healthz") == (200, "alive\n")
        wait_until(f"{url}/readyz", 200)
        assert 'samza_messages_handled_total{task="price/0"} 10.0' in asked(f"{url}/metrics")[1]
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


def test_the_token_comes_from_a_file_and_is_never_printed(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    settings = {
        "SAMZA_MONITORING__LISTEN": "0.0.0.0:0",
        "SAMZA_MONITORING__TOKEN_FILE": str(tmp_path / "token"),
    }
    with running(tmp_path, JOB.replace("STUCK", "0"), **settings) as process:
        url = url_of(process)
        wait_until(f"{url}/readyz", 200)
        assert asked(f"{url}/metrics")[0] == 401
        status, text = asked(f"{url}/metrics", TOKEN)
        assert status == 200
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    assert TOKEN not in errors + text


def test_what_is_wrong_with_the_address_is_one_line(tmp_path: Path) -> None:
    with running(tmp_path, JOB, SAMZA_MONITORING__LISTEN="192.0.2.1:80") as process:
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 2
    assert "SAMZA_MONITORING__TOKEN_FILE" in errors
    assert len(errors.splitlines()) == 1
    token = {"SAMZA_MONITORING__TOKEN": TOKEN}
    with running(tmp_path, JOB, SAMZA_MONITORING__LISTEN="192.0.2.1:80", **token) as process:
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 2
    assert "monitoring.listen = '192.0.2.1:80': cannot be listened at" in errors
    assert "Traceback" not in errors
