"""The server itself, over real sockets: what it answers, to whom, and what it does not wait for."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress

import pytest
from prometheus_client.parser import text_string_to_metric_families

from samza_py import ConfigError, Secret
from samza_py.monitoring import monitored, server
from samza_py.monitoring.settings import Monitoring
from samza_py.runtime.statistics import (
    ContainerStatistics,
    PartitionStatistics,
    TaskCounters,
    TaskStatistics,
)

TOKEN = "0123456789abcdef"
KEY = 'partition 3 of orders waits 41 s in `price`, key "A17\\"'


class Watched:
    """A container of which one can say what is the matter."""

    stalled: str | None = None
    broken = False

    def statistics(self) -> ContainerStatistics:
        if self.broken:
            raise RuntimeError("a secret of the inside")
        partitions = (
            PartitionStatistics("kafka.orders[3]", 17, "messages", 5, finished=False),
            PartitionStatistics('files.logs["a\\n"]', 1 << 40, "bytes", 0, finished=False),
            PartitionStatistics("memory.x[0]", None, "messages", 0, finished=True),
        )
        counters = TaskCounters(received=10, handled=9, sent=8, dead=1, commits=2, commit_s=0.5)
        task = TaskStatistics("price/3", counters, partitions, 4, "running", self.stalled)
        return ContainerStatistics("pricing", 12.5, (task,))


@pytest.fixture
def watched() -> Watched:
    return Watched()


async def asked(
    url: str, path: str, *, method: str = "GET", host: str = "localhost", **headers: str
) -> tuple[int, str, str]:
    """Status, head and body of an answer, by hand: no client mends what the server does."""
    reader, writer = await asyncio.open_connection(*address(url))
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    answer = (await reader.read()).decode()
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    head, _, body = answer.partition("\r\n\r\n")
    return int(head.split()[1]), head, body


def address(url: str) -> tuple[str, int]:
    host, _, port = url.removeprefix("http://").rpartition(":")
    return host, int(port)


def values(text: str) -> Iterator[tuple[str, float]]:
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(sample.labels.values())
            yield f"{sample.name}{{{labels}}}", sample.value


async def test_it_tells_that_it_lives_whether_it_is_ready_and_its_numbers(watched: Watched) -> None:
    async with monitored(Monitoring("0"), watched.statistics) as url:
        assert url is not None
        assert (await asked(url, "/healthz"))[::2] == (200, "alive\n")
        assert (await asked(url, "/readyz"))[::2] == (200, "ready\n")
        watched.stalled = KEY
        assert (await asked(url, "/healthz"))[0] == 200
        assert (await asked(url, "/readyz"))[::2] == (503, f"task price/3: {KEY}\n")
        status, head, body = await asked(url, "/metrics")
    assert status == 200
    assert "text/plain; version=" in head
    found = dict(values(body))
    assert found["samza_messages_received_total{price/3}"] == 10
    assert found["samza_messages_dead_total{price/3}"] == 1
    assert found["samza_commit_seconds_total{price/3}"] == 0.5
    assert found["samza_remaining_messages{kafka.orders[3],price/3}"] == 17
    assert found['samza_remaining_bytes{files.logs["a\\n"],price/3}'] == 1 << 40
    assert not any("memory.x" in name for name in found if "remaining" in name)
    assert (found["samza_ready{}"], found["samza_task_stalled{price/3}"]) == (0, 1)
    assert found["samza_job_info{pricing}"] == 1
    assert found["process_resident_memory_bytes{}"] > 1 << 20


async def test_without_the_token_nothing_is_told_but_the_state() -> None:
    watched = Watched()
    watched.stalled = KEY
    settings = Monitoring("0.0.0.0:0", Secret(TOKEN))
    async with monitored(settings, watched.statistics) as found:
        assert found is not None
        url = f"http://127.0.0.1:{address(found)[1]}"
        for given in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN}):
            assert (await asked(url, "/healthz", **given))[::2] == (200, "alive\n")
            assert (await asked(url, "/readyz", **given))[::2] == (503, "not ready\n")
            status, head, body = await asked(url, "/metrics", **given)
            assert (status, body) == (401, "a token is needed\n")
            assert "WWW-Authenticate: Bearer" in head
        right = {"Authorization": f"Bearer {TOKEN}", "host": "10.1.2.3:8080"}
        assert KEY in (await asked(url, "/readyz", **right))[2]
        assert (await asked(url, "/metrics", **right))[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "localhost.evil", "10.0.0.1", ""]
)
async def test_a_name_that_leads_here_from_elsewhere_is_not_served(
    watched: Watched, host: str
) -> None:
    async with monitored(Monitoring("0"), watched.statistics) as url:
        assert url is not None
        assert (await asked(url, "/metrics", host=host))[0] == 421
        for own in ("localhost", "LOCALHOST:1", "127.0.0.1:8080", "[::1]:8080"):
            assert (await asked(url, "/healthz", host=own))[0] == 200


async def test_nothing_can_be_changed_and_nothing_else_is_there(watched: Watched) -> None:
    async with monitored(Monitoring("0"), watched.statistics) as url:
        assert url is not None
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            assert (await asked(url, "/healthz", method=method))[0] == 405
        assert (await asked(url, "/healthz", method="HEAD"))[::2] == (200, "")
        assert (await asked(url, "/"))[0] == 404
        assert (await asked(url, "/readyz/../metrics"))[0] == 404
        _, head, _ = await asked(url, "/healthz", Origin="http://localhost")
        assert "aiohttp" not in head
        assert "Access-Control" not in head


async def test_what_fails_inside_is_for_the_log_alone(
    watched: Watched, caplog: pytest.LogCaptureFixture
) -> None:
    watched.broken = True
    async with monitored(Monitoring("0"), watched.statistics) as url:
        assert url is not None
        asyncio.get_running_loop().set_debug(True)  # the client library would then show a traceback
        status, _, body = await asked(url, "/readyz")
    assert (status, body) == (500, "it failed; see the job's log\n")
    assert "a secret of the inside" in caplog.text


async def test_who_says_nothing_has_to_go_and_the_oldest_for_one_too_many(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "CONNECTION_S", 0.3)
    monkeypatch.setattr(server, "MOST_CONNECTIONS", 3)
    async with monitored(Monitoring("0"), watched.statistics) as url:
        assert url is not None
        silent = [await asyncio.open_connection(*address(url)) for _ in range(3)]
        silent[0][1].write(b"GET /healthz HTTP/1.1\r\nHost: localh")
        await asyncio.sleep(0.05)
        # Three that say nothing keep nobody out.
        assert (await asked(url, "/healthz"))[0] == 200
        reader, writer = silent[0]
        assert await asyncio.wait_for(reader.read(), 0.2) == b""
        for reader, writer in silent:
            assert await asyncio.wait_for(reader.read(), 5) == b""
            writer.close()
        assert (await asked(url, "/healthz"))[0] == 200


async def test_an_endless_head_is_refused(watched: Watched) -> None:
    async with monitored(Monitoring("0"), watched.statistics) as url:
        assert url is not None
        assert (await asked(url, "/healthz", X_Long="x" * 100_000))[0] == 400


async def test_an_address_in_use_is_named(watched: Watched) -> None:
    async with monitored(Monitoring("0"), watched.statistics) as url:
        assert url is not None
        taken = f"127.0.0.1:{address(url)[1]}"
        with pytest.raises(ConfigError, match=f"{taken}.*in use"):
            async with monitored(Monitoring(taken), watched.statistics):
                pass
