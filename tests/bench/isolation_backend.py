"""A backend that costs as little as one in Python can: `python -m tests.bench.isolation_backend primary|twin|hanging`.

Prints the port that it listens on. `hanging` accepts connections and requests, and never answers.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from functools import partial
from typing import cast

import uvloop

from tests.bench.isolation_documents import DIFFERING, LISTINGS, PAGES, WRONG_EVERY, Document, template

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
MISSING = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


class Backend(asyncio.Protocol):
    def __init__(self, documents: dict[bytes, Document]) -> None:
        self._documents = documents
        self._rest = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        while (end := data.find(b"\r\n\r\n")) >= 0:
            self._transport.writelines(self._answer(data[: data.index(b"\r\n")]))
            data = data[end + 4 :]
        self._rest = data

    def _answer(self, line: bytes) -> tuple[bytes, ...]:
        path, _, serial = line.split(b" ")[1].partition(b"?serial=")
        _, _, kind, number = path.split(b"/")
        document = self._documents.get(kind)
        if document is None:
            return (MISSING,)
        right = kind != DIFFERING.encode() or int(serial) % WRONG_EVERY != 0
        body = document.body(number, serial, right=right)
        return HEAD % len(body), body


class Hanging(asyncio.Protocol):
    """Reads everything and says nothing."""


def documents_of(side: str) -> dict[bytes, Document]:
    made = {kind: template(kind) for kind in (LISTINGS, DIFFERING, PAGES)}
    return {kind.encode(): one.primary if side == "primary" else one.twin for kind, one in made.items()}


async def main(side: str) -> None:
    factory = Hanging if side == "hanging" else partial(Backend, documents_of(side))
    server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0, backlog=1024)
    gc.freeze()
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
