"""The HTTP server: three addresses that are read, bounded in connections and in time."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import logging
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from samza_py.errors import ConfigError
from samza_py.monitoring.health import causes
from samza_py.monitoring.metrics import Metrics
from samza_py.monitoring.settings import Monitoring
from samza_py.runtime.statistics import ContainerStatistics
from samza_py.seam import seam

logger = logging.getLogger(__name__)

MOST_CONNECTIONS: Final = 32
CONNECTION_S: Final = 30.0
"""How long one may stay: whoever asks again connects again, and whoever says nothing has to go."""

_CLOSE_S: Final = 1.0
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Server": "samza-py",
}


class MonitoringServer:
    """Answers for one container, on its own event loop.

    Args:
        settings: where, and who may ask.
        read: gives the container's statistics now; called once a request.
    """

    def __init__(self, settings: Monitoring, read: Callable[[], ContainerStatistics]) -> None:
        self._settings = settings
        self._read = read
        self._metrics = Metrics(read)
        self._http = web.Server(self._answer, access_log=None, keepalive_timeout=CONNECTION_S)
        self._listening: asyncio.Server | None = None

    async def aopen(self) -> None:
        """Listen.

        Raises:
            ConfigError: the address cannot be listened at.
        """
        host, port = self._settings.address()
        try:
            server = await asyncio.get_running_loop().create_server(self._connected, host, port)
        except OSError as error:
            why = f"cannot be listened at: {error.strerror or error}"
            raise ConfigError("monitoring.listen", why, self._settings.listen) from None
        self._listening = server
        logger.info("monitoring at %s: /healthz, /readyz, /metrics", self.url)

    async def aclose(self) -> None:
        """End every connection and listen no more. Idempotent."""
        server, self._listening = self._listening, None
        if server is not None:
            server.close()
            await self._http.shutdown(_CLOSE_S)
            await server.wait_closed()

    @property
    def url(self) -> str:
        """Where it listens, with the port that a 0 was made to."""
        assert self._listening is not None
        host, port = self._listening.sockets[0].getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def _connected(self) -> asyncio.Protocol:
        # One more ends the oldest: it may just hold its place, while a new one asks.
        known = self._http.connections
        for oldest in known[: max(0, len(known) + 1 - MOST_CONNECTIONS)]:
            oldest.force_close()
        connection = self._http()
        asyncio.get_running_loop().call_later(CONNECTION_S, connection.force_close)
        return connection

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._answered(request)
        except Exception:  # what went wrong here is for the log, and not for who asks
            logger.exception("a request for %r failed", request.path)
            return _said(500, "it failed; see the job's log")

    async def _answered(self, request: web.BaseRequest) -> web.Response:
        if not self._is_meant(request):
            return _said(421, "this host is not served here")
        if request.method not in ("GET", "HEAD"):
            return _said(405, "GET and HEAD alone", Allow="GET, HEAD")
        return await self._page(request)

    async def _page(self, request: web.BaseRequest) -> web.Response:
        match request.path:
            case "/healthz":
                return _said(200, "alive")
            case "/readyz":
                return self._readiness(allowed=self._may_ask(request))
            case "/metrics":
                if not self._may_ask(request):
                    challenge = 'Bearer realm="samza-py"'
                    return _said(401, "a token is needed", **{"WWW-Authenticate": challenge})
                process = await seam().in_thread(self._metrics.of_process)
                headers = {**_HEADERS, "Content-Type": CONTENT_TYPE_LATEST}
                return web.Response(body=self._metrics.of_container() + process, headers=headers)
            case _:
                return _said(404, "there are /healthz, /readyz and /metrics")

    def _readiness(self, *, allowed: bool) -> web.Response:
        """The causes may name keys of messages, which are not for everybody who reaches this."""
        found = causes(self._read())
        if not found:
            return _said(200, "ready")
        return _said(503, "\n".join(found) if allowed else "not ready")

    def _may_ask(self, request: web.BaseRequest) -> bool:
        token = self._settings.token
        if token is None:
            return True
        given = request.headers.get("Authorization", "")
        wanted = f"Bearer {token.reveal()}"
        return hmac.compare_digest(given.encode(errors="replace"), wanted.encode())

    def _is_meant(self, request: web.BaseRequest) -> bool:
        """Whether the name that was asked for is this machine's own.

        Without a token a page in a browser on this machine could read all by a name of its own that
        leads here (DNS rebinding); no such name is an address or ``localhost``.
        """
        if self._settings.token is not None:
            return True
        host = _without_port(request.headers.get("Host", ""))
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()


def _said(status: int, text: str, **headers: Any) -> web.Response:
    return web.Response(status=status, text=f"{text}\n", headers={**_HEADERS, **headers})
