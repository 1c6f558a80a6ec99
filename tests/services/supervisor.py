"""Runs one server for as long as somebody holds its lease, and kills it then.

    python supervisor.py FOLDER COMMAND [ARGUMENT ...]      (started by `server.py`, never by hand)

The lease is a named pipe in the folder: a holder has it open for writing, this process reads it as
its standard input. However the last holder ends, by itself or by SIGKILL, the system closes its end
of the pipe and this process wakes up. It kills the server then and removes the folder `data`, which
nobody can come back to; the log stays. SIGTERM is handed on to the server. Where this process
itself is killed, the system kills the server with it.

It needs the standard library alone and starts in some milliseconds.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType

LEASE = 0
"""Standard input."""

PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask Linux to kill this process when the thread that started it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def is_let_go() -> bool:
    """Say whether nobody holds the lease."""
    poll = select.poll()
    poll.register(LEASE, 0)
    return any(event & select.POLLHUP for _, event in poll.poll(0))


def nobody_came_back(folder: Path) -> bool:
    """Look again while nobody can join, and turn away whoever comes later."""
    with (folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_let_go():
            return False
        os.close(LEASE)
        return True


def start(folder: Path, command: list[str]) -> subprocess.Popen[bytes]:
    """Start the server and tell its number to the one who waits at standard output."""
    with (folder / "server.log").open("ab") as log:
        server = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - there is one thread here
        )
    print(server.pid, flush=True)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    return server


def follow(folder: Path, server: subprocess.Popen[bytes], wakeup: int) -> None:
    """Wait until the server has ended, or kill it when nobody holds the lease."""
    poll = select.poll()
    poll.register(LEASE, 0)
    poll.register(wakeup, select.POLLIN)
    while server.poll() is None:
        woken = dict(poll.poll())
        if wakeup in woken and signal.SIGTERM in os.read(wakeup, 64):
            server.terminate()
        if LEASE in woken and nobody_came_back(folder):
            server.kill()
            server.wait()
            shutil.rmtree(folder / "data", ignore_errors=True)


def main() -> None:
    """Leave the process that was waited for behind, and supervise."""
    folder, command = Path(sys.argv[1]), sys.argv[2:]
    if os.fork():
        os._exit(0)
    wakeup, written = os.pipe()
    os.set_blocking(written, False)
    signal.set_wakeup_fd(written)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, woken_up)
    server = start(folder, command)
    follow(folder, server, wakeup)
    with (folder / "server.log").open("a") as log:
        log.write(f"-- the server ended with {server.returncode}\n")


def woken_up(number: int, frame: FrameType | None) -> None:
    """Do nothing: the number stands in the pipe of `set_wakeup_fd`."""


if __name__ == "__main__":
    main()
