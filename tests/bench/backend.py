"""Both sides of a marketplace as one fast process: `python -m tests.bench.backend`, which prints its two ports.

`GET /api/listings?kb=10&page=1000000007` answers a page of listings of that size in which every id is an ObjectId on
the first port and the uuid that stands for it on the second. The page's number stands in the answer, the same on both
sides, so that no two numbers have the same answer. `GET /requests` says how many listings each side was asked for.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

import orjson
import uvloop

from tests.bench.documents import page_of

KILOBYTES = (1, 10, 100, 1024)
FIRST_PAGE = 1_000_000_000
"""Numbers of pages have ten digits, so that all answers of one size are equally long."""
DIGITS = len(str(FIRST_PAGE))
TOLD = r"primary on port (\d+), twin on port (\d+)"
_PLACE = b"0000000000"

Answers = dict[int, tuple[bytes, bytes]]
"""By size what stands before and after the page's number."""


def target(kilobytes: int, page: int = FIRST_PAGE) -> str:
    """The request target of one page."""
    return f"/api/listings?kb={kilobytes}&page={page}"


def write_ids(path: Path) -> None:
    """The id map that joins the two sides, as the file that `ids.sources` takes. All sizes are of one seed."""
    pairs = {pair for kb in KILOBYTES for joined in page_of(kb * 1024).ids.by_legacy.values() for pair in joined}
    rows = [{"entity": pair.entity, "legacy": pair.legacy, "uuid": pair.uuid} for pair in sorted(pairs)]
    path.write_bytes(orjson.dumps(rows))


def answers() -> tuple[Answers, Answers]:
    """What the primary and the twin answer."""
    pages = {kb: page_of(kb * 1024) for kb in KILOBYTES}
    return (
        {kb: _answer(page.primary) for kb, page in pages.items()},
        {kb: _answer(page.shadow) for kb, page in pages.items()},
    )


def _answer(document: dict[str, object]) -> tuple[bytes, bytes]:
    body = orjson.dumps({"asked": _PLACE.decode(), **document})
    before, _, after = body.partition(_PLACE)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: %d\r\n\r\n" % len(body)
    return head + before, after


class Side(asyncio.Protocol):
    """One connection to one side. `asked` counts for all connections of a side."""

    def __init__(self, name: str, answers: Answers, asked: dict[str, int]) -> None:
        self._name = name
        self._answers = answers
        self._asked = asked
        self._held = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's does not inherit from it

    def data_received(self, data: bytes) -> None:
        if self._held:
            data = self._held + data
        *heads, self._held = data.split(b"\r\n\r\n")
        for head in heads:
            at = head.find(b"kb=")
            if at < 0:
                self._other(head)
                continue
            page = head.index(b"&page=", at) + 6
            before, after = self._answers[int(head[at + 3 : page - 6])]
            self._asked[self._name] += 1
            self._transport.write(before + head[page : page + DIGITS] + after)

    def _other(self, head: bytes) -> None:
        """Whatever else a proxy asks, such as whether the side is there."""
        body = orjson.dumps(self._asked) if head.startswith(b"GET /requests") else b"{}"
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


async def main() -> None:
    loop, asked = asyncio.get_running_loop(), {"primary": 0, "twin": 0}
    ports = []
    for name, own in zip(asked, answers(), strict=True):
        server = await loop.create_server(lambda name=name, own=own: Side(name, own, asked), "127.0.0.1", 0)  # type: ignore[misc] # mypy infers no lambda with defaults
        ports.append(server.sockets[0].getsockname()[1])
    print(f"primary on port {ports[0]}, twin on port {ports[1]}")  # noqa: T201 - who started this reads it
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
