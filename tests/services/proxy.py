"""A network between clients and a server, which a test may cut, hold up or slow down."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.services.kafka import Cluster
from tests.services.kafka_listeners import PLAINTEXT, Kafka
from tests.services.ports import LOOPBACK

CHUNK_BYTES = 1 << 14


class Proxy:
    """Passes connections on to a port. An async context manager; its port is there from then on.

    Attributes:
        target: the port that it passes them on to; set by the test.
        delay_s: how long each piece of data is held up, in both directions.
        bytes_per_s: how much it lets through on each connection and direction; 0 for any amount.
    """

    def __init__(self) -> None:
        self.target = 0
        self.delay_s = 0.0
        self.bytes_per_s = 0.0
        self._open = asyncio.Event()
        self._open.set()
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._generation = 0

    @property
    def port(self) -> int:
        """Where clients connect."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def hold(self) -> None:
        """Let nothing through, while all connections stay as they are: half open."""
        self._open.clear()

    def go_on(self) -> None:
        """End that; what was held up goes on its way."""
        self._open.set()

    def lose(self) -> None:
        """Let nothing through on the connections there are, for ever. New ones are as before."""
        self._generation += 1

    def cut(self) -> None:
        """Break every connection there is, wherever it stands. New ones are taken."""
        for connection in self._connections:
            connection.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        me = asyncio.current_task()
        assert me is not None
        self._connections.add(me)
        try:
            await self._connect(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # one side is gone, or was cut
        finally:
            self._connections.discard(me)
            writer.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(LOOPBACK, self.target)
        try:
            ways = [
                asyncio.ensure_future(self._pass_on(reader, back)),
                asyncio.ensure_future(self._pass_on(there, writer)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        finally:
            back.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        generation = self._generation
        while data := await reader.read(CHUNK_BYTES):
            pause_s = self.delay_s + (len(data) / self.bytes_per_s if self.bytes_per_s else 0)
            if pause_s:
                await asyncio.sleep(pause_s)
            await self._open.wait()
            if generation != self._generation:
                await asyncio.Event().wait()
            writer.write(data)
            await writer.drain()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, LOOPBACK, 0)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.go_on()
        self.cut()
        if self._connections:
            await asyncio.wait(list(self._connections))


@asynccontextmanager
async def kafka_behind_proxy(folder: Path) -> AsyncGenerator[tuple[Proxy, Kafka]]:
    """A broker that can only be reached through a proxy, which it names as its own address."""
    async with Proxy() as proxy:
        address = f"{LOOPBACK}:{proxy.port}"
        cluster = Cluster(folder, settings={"advertised.listeners": f"PLAINTEXT://{address}"})
        proxy.target = cluster.node(1).plan.ports[PLAINTEXT]
        try:
            await asyncio.to_thread(cluster.start)
            yield proxy, Kafka({PLAINTEXT.name: address})
        finally:
            await asyncio.to_thread(cluster.close)
