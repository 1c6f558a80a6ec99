"""One process of a server: started, waited for, stopped, killed, and never left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from tests.services.failing import ServiceError, tail
from tests.services.lease import Lease

SUPERVISOR = Path(__file__).with_name("supervisor.py")
START_S = 60.0
STOP_S = 30.0
KILL_S = 10.0
LOOK_EVERY_S = 0.02


class Server:
    """A server's process, which ends when its last holder does, at the latest.

    All methods block; a test on a loop calls them through `asyncio.to_thread`.

    Args:
        name: what errors call it.
        folder: where it runs, with its log, `server.log`. Made if it is not there. What it stores
            belongs into `data` in it.
        command: what starts it; its output goes to the log.
    """

    def __init__(self, name: str, folder: Path, command: Sequence[str]) -> None:
        self.name = name
        self.folder = folder
        self.command = tuple(command)
        self.pid = 0
        self._lease: Lease | None = None

    @property
    def log(self) -> Path:
        """All that it has printed, over all its starts."""
        return self.folder / "server.log"

    @property
    def running(self) -> bool:
        """Whether its process is there, ready or not."""
        return self._lease is not None and not self._lease.is_void()

    def start(self) -> None:
        """Start it; `wait_until` waits for it to be ready.

        Raises:
            ServiceError: its program could not be started, or it is running.
        """
        if self.running:
            raise ServiceError(f"{self.name} is running")
        self.close()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._lease, reader = Lease.create(self.folder)
        try:
            said = subprocess.run(
                [sys.executable, "-I", "-S", SUPERVISOR, self.folder, *self.command],
                stdin=reader,
                capture_output=True,
                text=True,
                start_new_session=True,
                timeout=START_S,
                check=False,
            )
        finally:
            os.close(reader)
        if not said.stdout:
            self.close()
            raise ServiceError(f"{self.name} could not be started: {said.stderr}")
        self.pid = int(said.stdout)

    def wait_until(self, ready: Callable[[], bool], what: str, within_s: float = START_S) -> None:
        """Wait for something of a running server.

        Args:
            ready: says whether it has come; asked again and again.
            what: what is waited for, for the error.
            within_s: how long at most.

        Raises:
            ServiceError: the time is over or the server has ended; with the end of its log.
        """
        deadline = time.monotonic() + within_s
        while not ready():
            if not self.running:
                raise ServiceError(f"{self.name} ended before {what}; {tail(self.log)}")
            if time.monotonic() > deadline:
                raise ServiceError(f"{self.name}: not {what} in {within_s:g} s; {tail(self.log)}")
            time.sleep(LOOK_EVERY_S)

    def kill(self) -> None:
        """End it by SIGKILL, and return when it is gone; nothing where it does not run."""
        self._end_by(signal.SIGKILL, KILL_S)

    def request_stop(self) -> None:
        """Send SIGTERM and return at once; nothing where it does not run."""
        self._send(signal.SIGTERM)

    def stop(self, within_s: float = STOP_S) -> None:
        """End it by SIGTERM, and return when it is gone.

        Args:
            within_s: how long it may take.

        Raises:
            ServiceError: it took longer, and was killed.
        """
        try:
            self._end_by(signal.SIGTERM, within_s)
        except ServiceError:
            self.kill()
            raise

    def pause(self) -> None:
        """Stop it as it stands (SIGSTOP): its connections stay open and nobody answers."""
        self._send(signal.SIGSTOP)
        # On a busy machine its threads go on until one of them has come to take the signal.
        until = time.monotonic() + KILL_S
        while time.monotonic() < until and not _is_stopped(self.pid):
            time.sleep(0.001)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self._send(signal.SIGCONT)

    def close(self) -> None:
        """Give it up: unless others hold it, it is killed and its data removed.

        Returns at once. Safe to call twice.
        """
        if self._lease is not None:
            self._lease.let_go()
            self._lease = None

    def _end_by(self, number: int, within_s: float) -> None:
        self._send(number)
        if self._lease is not None and not self._lease.is_void(within_s):
            raise ServiceError(f"{self.name} did not end in {within_s:g} s; {tail(self.log)}")
        self.close()

    def _send(self, number: int) -> None:
        # Between the server's end and its supervisor's are some milliseconds.
        with suppress(ProcessLookupError):
            if self.running:
                os.kill(self.pid, number)


def _is_stopped(pid: int) -> bool:
    """Whether all threads of a process stand still; also where it is gone."""
    try:
        stats = [one.read_text() for one in Path(f"/proc/{pid}/task").glob("*/stat")]
    except OSError:  # a thread ended meanwhile
        return False
    return all(stat.rpartition(")")[2].split()[0] in "Tt" for stat in stats)
