"""A port that was reserved is nobody else's, up or down."""

from __future__ import annotations

import random
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.failing import ServiceError
from tests.services.ports import LOOPBACK, Ports, answers, is_free, lowest_ephemeral

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def ports() -> Iterator[Ports]:
    ports = Ports()
    yield ports
    ports.close()


def test_ports_differ_and_are_below_those_of_outgoing_connections(ports: Ports) -> None:
    found = [ports.reserve() for _ in range(50)]
    assert len({*found}) == 50
    assert max(found) < lowest_ephemeral()


def test_nobody_else_gets_a_reserved_port(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = ports.reserve()

    def only(low: int, high: int) -> int:
        return mine

    monkeypatch.setattr(random, "randrange", only)
    other = Ports()
    with pytest.raises(ServiceError, match="no free port below"):
        other.reserve()
    ports.close()
    assert other.reserve() == mine
    other.close()


def test_no_other_process_gets_it_either(ports: Ports) -> None:
    mine = ports.reserve()
    code = (
        "import random, sys; from tests.services.ports import Ports; "
        "random.randrange = lambda low, high: int(sys.argv[1]); Ports().reserve()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(mine)], cwd=ROOT, capture_output=True, check=False
    )
    assert b"no free port below" in done.stderr


def test_a_port_with_a_listener_is_not_free(ports: Ports) -> None:
    port = ports.reserve()
    assert is_free(port)
    assert not answers(port)
    with socket.create_server((LOOPBACK, port)):
        assert not is_free(port)
        assert answers(port)
