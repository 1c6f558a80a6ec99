"""What a running job tells over HTTP: whether it lives, whether it is ready, and its numbers.

Off by default. `samza-py run job.py --set monitoring.listen=127.0.0.1:8080` answers

    GET /healthz    200 while the event loop runs
    GET /readyz     200, or 503 with the stated causes, one a line
    GET /metrics    Prometheus text

Nothing is counted for it: the runtime counts a slice of messages at once, and a request reads that.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from samza_py.errors import ConfigError
from samza_py.monitoring.settings import Monitoring
from samza_py.runtime.statistics import ContainerStatistics


@asynccontextmanager
async def monitored(
    settings: Monitoring, read: Callable[[], ContainerStatistics]
) -> AsyncGenerator[str | None]:
    """Answer while a job runs, where that is wanted; gives the URL, or None where it is off.

    Args:
        settings: where, and who may ask.
        read: gives the container's statistics now.

    Raises:
        ConfigError: the address cannot be listened at, or what it takes is not installed.
    """
    if settings.listen is None:
        yield None
        return
    try:
        from samza_py.monitoring.server import MonitoringServer
    except ModuleNotFoundError as error:
        why = f'needs {error.name}: pip install "samza-py[monitoring]"'
        raise ConfigError("monitoring.listen", why, settings.listen) from None
    server = MonitoringServer(settings, read)
    await server.aopen()
    try:
        yield server.url
    finally:
        await server.aclose()


__all__ = ["Monitoring", "monitored"]
