"""Where the admin site listens: at most so many connections at once, so that nobody can fill the memory with them."""

from __future__ import annotations

import asyncio
from typing import cast

from aiohttp import web

CONNECTIONS = 256
"""A browser opens six to a site, fifty may listen to events, and the rest are programs."""


class BoundedSite(web.BaseSite):
    """Listens at `host`:`port` (0: any free port). One connection more than `most` is closed without a word."""

    def __init__(self, runner: web.AppRunner, host: str, port: int, *, most: int = CONNECTIONS) -> None:
        super().__init__(runner)
        self._host = host
        self._port = port
        self._most = most

    @property
    def name(self) -> str:
        return f"http://{self._host}:{self._port}"

    async def start(self) -> None:
        """Raises OSError when the address is taken."""
        await super().start()
        self._server = await asyncio.get_running_loop().create_server(self._protocol, self._host, self._port)

    def _protocol(self) -> asyncio.BaseProtocol:
        server = self._runner.server
        if server is None or len(server.connections) >= self._most:
            return _Closed()
        made = server()
        # One request ahead at most: aiohttp would take 32, each with fields of 8 KiB.
        made._max_msg_queue_size, made._msg_queue_resume_size = 2, 1  # noqa: SLF001 - aiohttp offers no other way
        return made


class _Closed(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not inherit from it.
        cast(asyncio.Transport, transport).abort()
