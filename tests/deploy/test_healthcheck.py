"""What the image's health check says of a job that answers, that does not, and that need not."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

CHECK = Path(__file__).parents[2] / "deploy" / "healthcheck.py"
LISTEN = "SAMZA_MONITORING__LISTEN"


class Answer(BaseHTTPRequestHandler):
    """What the test wants to be said, at the one path that is asked for."""

    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/healthz" else 404)
        self.end_headers()
        self.wfile.write(b"the loop hangs")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing: the lines would stand between pytest's."""


@pytest.fixture
def port() -> Iterator[int]:
    """Where `Answer` is given."""
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def check(environment: dict[str, str]) -> tuple[int, str]:
    """The exit code of the check, and what it said."""
    command = [sys.executable, "-I", "-S", str(CHECK)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("listen", ["127.0.0.1:{}", "0.0.0.0:{}", "localhost:{}", "{}"])
def test_a_job_that_answers_lives(port: int, listen: str) -> None:
    assert check({LISTEN: listen.format(port)}) == (0, "")


def test_the_machines_proxy_is_not_asked(port: int) -> None:
    environment = {LISTEN: f"127.0.0.1:{port}", "http_proxy": "http://127.0.0.1:1"}
    assert check(environment) == (0, "")


def test_a_job_that_says_no_does_not(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Answer, "status", 503)
    assert check({LISTEN: f"127.0.0.1:{port}"}) == (1, "503 the loop hangs\n")


def test_nor_does_one_that_does_not_answer() -> None:
    code, said = check({LISTEN: "127.0.0.1:1"})
    assert code == 1
    assert "no answer at 127.0.0.1:1" in said


def test_one_that_was_not_told_to_answer_lives_with_its_process() -> None:
    assert check({}) == (0, "")
