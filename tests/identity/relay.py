"""A TCP relay in front of a real server, to take that server away and bring it back at the same address."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit


class Relay:
    """Listens on a port of its own; `away` refuses and breaks connections, `silent` swallows what is sent."""

    def __init__(self, dsn: str) -> None:
        self._to = urlsplit(dsn)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.port = 0
        self.silent = False

    @property
    def dsn(self) -> str:
        login = self._to.netloc.rpartition("@")[0]
        return urlunsplit(self._to._replace(netloc=f"{login}@127.0.0.1:{self.port}"))

    async def __aenter__(self) -> Self:
        await self.back()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.away()

    async def back(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def away(self) -> None:
        if self._server is None:
            return
        self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await self._server.wait_closed()
        self._server = None

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            back_reader, back_writer = await asyncio.open_connection(self._to.hostname, self._to.port)
            self._writers |= {writer, back_writer}
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, back_writer))
                group.create_task(self._pump(back_reader, writer))
            self._writers -= {writer, back_writer}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if not self.silent:
                    writer.write(data)
                    await writer.drain()
        writer.close()
