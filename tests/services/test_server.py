"""A server ends when its last holder does, however that ends; and what goes wrong is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.services.failing import ServiceError
from tests.services.lease import Lease
from tests.services.server import Server

ROOT = Path(__file__).resolve().parents[2]
GONE_S = 5.0

ENDLESS = [sys.executable, "-S", "-c", "import time; print('up', flush=True); time.sleep(600)"]
STUBBORN = [
    *(sys.executable, "-S", "-c"),
    "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True)\n"
    "while True: time.sleep(600)",
]
HOLDER = """
import sys, time
from pathlib import Path
from tests.services.server import Server
server = Server("a server", Path(sys.argv[1]), sys.argv[2:])
server.start()
print(server.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server("a server", tmp_path / "server", ENDLESS)
    yield server
    server.kill()


def is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def is_gone_soon(pid: int) -> bool:
    deadline = time.monotonic() + GONE_S
    while is_there(pid) and time.monotonic() < deadline:
        time.sleep(0.01)
    return not is_there(pid)


def has_said(server: Server, words: str = "up") -> bool:
    return server.log.exists() and words in server.log.read_text()


def test_it_runs_until_it_is_stopped_and_can_be_started_again(server: Server) -> None:
    for words in ("up\n", "-15\nup\n"):
        server.start()
        server.wait_until(partial(has_said, server, words), "up")
        assert is_there(server.pid)
        server.stop()
        assert not server.running
        assert not is_there(server.pid)
    assert server.log.read_text().count("-- the server ended with -15") == 2


def test_it_is_killed(server: Server) -> None:
    server.start()
    server.kill()
    assert not is_there(server.pid)
    server.kill()


def test_it_is_not_started_twice(server: Server) -> None:
    server.start()
    with pytest.raises(ServiceError, match="a server is running"):
        server.start()


def test_it_ends_when_it_is_given_up(server: Server) -> None:
    server.start()
    server.close()
    assert is_gone_soon(server.pid)


def test_its_data_goes_with_its_last_holder_and_its_log_stays(server: Server) -> None:
    data = server.folder / "data"
    data.mkdir(parents=True)
    server.start()
    server.kill()
    assert data.exists()
    server.start()
    server.wait_until(lambda: has_said(server), "up")
    server.close()
    assert is_gone_soon(server.pid)
    deadline = time.monotonic() + GONE_S
    while data.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not data.exists()
    assert has_said(server)


def test_it_ends_with_a_holder_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "server"), *ENDLESS]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as holder:
        assert holder.stdout is not None
        pid = int(holder.stdout.readline())
        assert is_there(pid)
        holder.kill()
    assert is_gone_soon(pid)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone kills a child with its parent")
def test_it_ends_with_its_supervisor(server: Server) -> None:
    server.start()
    status = Path(f"/proc/{server.pid}/status").read_text()
    os.kill(int(status.partition("PPid:")[2].split()[0]), signal.SIGKILL)
    assert is_gone_soon(server.pid)
    assert not server.running


def test_who_joins_keeps_it_when_the_first_has_gone(server: Server) -> None:
    server.start()
    second = Lease.join(server.folder)
    assert second is not None
    server.close()
    third = Lease.join(server.folder)
    assert third is not None
    second.let_go()
    assert not third.is_void(0.1)
    assert is_there(server.pid)
    third.let_go()
    assert is_gone_soon(server.pid)


def test_nobody_joins_what_has_ended(server: Server) -> None:
    assert Lease.join(server.folder) is None
    server.start()
    server.kill()
    assert Lease.join(server.folder) is None


def test_a_server_that_hangs_at_its_stop_is_killed_and_named(tmp_path: Path) -> None:
    server = Server("a server", tmp_path / "server", STUBBORN)
    server.start()
    server.wait_until(lambda: has_said(server), "up")
    with pytest.raises(ServiceError, match=r"a server did not end in 0.1 s; .*\n  up"):
        server.stop(0.1)
    assert not is_there(server.pid)


def test_a_server_that_does_not_come_shows_the_end_of_its_log(server: Server) -> None:
    server.start()
    server.wait_until(lambda: has_said(server), "up")
    with pytest.raises(ServiceError, match=r"a server: not ready in 0.1 s; the end of .*\n  up"):
        server.wait_until(lambda: False, "ready", 0.1)


def test_a_server_that_ends_early_is_not_waited_for(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('no room on the device')"]
    server = Server("a server", tmp_path / "server", command)
    server.start()
    with pytest.raises(ServiceError, match=r"ended before ready; (.|\n)*\n  no room on the device"):
        server.wait_until(lambda: False, "ready")
    server.close()


def test_a_server_that_ends_while_it_is_stopped_is_no_error(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(pid: int, number: int) -> None:
        raise ProcessLookupError(pid, number)

    server.start()
    with monkeypatch.context() as patched:
        patched.setattr(os, "kill", none)
        server.request_stop()
    server.stop()
    server.stop()
    assert not is_there(server.pid)


def test_a_program_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    server = Server("a server", tmp_path / "server", [str(tmp_path / "nowhere")])
    with pytest.raises(ServiceError, match=r"a server could not be started: (.|\n)*nowhere"):
        server.start()
    assert not server.running


def test_a_paused_server_is_there_and_can_be_killed(server: Server) -> None:
    server.start()
    server.pause()
    assert server.running
    server.resume()
    server.pause()
    server.kill()
    assert not is_there(server.pid)
