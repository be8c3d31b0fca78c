"""Both sides of the soak's marketplace as one process: `python -m tests.bench.soak_backend`, which prints its ports.

The request says by `do=` what is to go wrong, and on which side; without it both answer the same offers, with ObjectIds
on the first port and the uuids that stand for them on the second. Every answer bears the request's number, so that no
two are alike. `X-Sum` tells the CRC-32 of the body as it is sent. The twin goes away for a while and comes back.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import uuid
import zlib
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b
from typing import cast
from urllib.parse import parse_qs

import httptools
import uvloop

ROWS = 20_000
PER_ROW = 4
PAIRS = ROWS * PER_ROW
TOLD = r"primary on port (\d+), twin on port (\d+)"
BIG = 3 * 1024 * 1024
"""Bytes of an answer that is larger than what is compared."""
SLOW_SECONDS = 3.0
REMEMBERED = 1_000


def pair(number: int) -> tuple[str, str]:
    """The ObjectId and the uuid of one thing."""
    digest = blake2b(number.to_bytes(8), digest_size=28).digest()
    return digest[:12].hex(), str(uuid.UUID(bytes=digest[12:], version=4))


def row(number: int, side: int) -> bytes:
    """One offer as a side (0: primary) has it."""
    offer, buyer, seller, shop = (pair(number * PER_ROW + n)[side] for n in range(PER_ROW))
    whole = {
        "id": offer,
        "buyerId": buyer,
        "seller": {"id": seller, "name": f"Seller {number % 977}", "avatar": f"/avatars/{seller}.webp"},
        "shop": shop,
        "price": {"amount": f"{number % 10_000}.{number % 100:02}", "currency": "USDT"},
        "note": None,
        "tags": ["escrow", "insured"][: number % 3],
        "createdAt": f"2026-{number % 12 + 1:02}-{number % 28 + 1:02}T10:20:30.{number % 1000:03}Z",
    }
    return json.dumps(whole, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Ask:
    """What a request's query says."""

    do: str
    at: int
    rows: int
    number: str

    @classmethod
    def of(cls, query: bytes) -> Ask:
        found = {name: values[0] for name, values in parse_qs(query.decode()).items()}
        return cls(found.get("do", ""), int(found.get("at", 0)) % ROWS, int(found.get("rows", 1)), found.get("n", "0"))


class Books:
    """What both sides have: the offers, and which answers were wrong once already."""

    def __init__(self) -> None:
        self.rows = tuple([row(number, side) for number in range(ROWS)] for side in (0, 1))
        self._once: OrderedDict[str, None] = OrderedDict()

    def first_time(self, number: str) -> bool:
        if number in self._once:
            return False
        self._once[number] = None
        if len(self._once) > REMEMBERED:
            self._once.popitem(last=False)
        return True

    def body(self, side: int, ask: Ask) -> bytes:
        rows = self.rows[side]
        listed = [rows[(ask.at + n) % ROWS] for n in range(ask.rows)]
        state = "open"
        if side == 1 and (ask.do == "diff" or (ask.do == "transient" and self.first_time(ask.number))):
            state = "closed"
        head = f'{{"number":"{ask.number}","state":"{state}","data":['.encode()
        return head + b",".join(listed) + b"]}"


class Side(asyncio.Protocol):
    """One connection to a side."""

    def __init__(self, side: int, books: Books, there: set[Side]) -> None:
        self._side = side
        self._books = books
        self._there = there
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._fields: dict[bytes, bytes] = {}
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's does not inherit from it
        self._there.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._there.discard(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.close()

    def on_message_begin(self) -> None:
        self._url, self._fields = b"", {}

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields[name.lower()] = value

    def on_message_complete(self) -> None:
        method, url = self._parser.get_method(), httptools.parse_url(self._url)
        ask = Ask.of(url.query or b"")
        if method == b"POST":
            self._send(201, b'{"ok":true}')
        elif ask.do == "slow" and self._side == 1:
            asyncio.get_running_loop().call_later(SLOW_SECONDS, self._answer, method, ask)
        else:
            self._answer(method, ask)

    def _answer(self, method: bytes, ask: Ask) -> None:
        if self.transport.is_closing():
            return
        wrong, _, what = ask.do.partition("-")
        if what and self._side == ("primary", "twin").index(wrong):
            self._fail(what, ask)
        elif ask.do == "missing":
            self._send(404, b'{"error":"not found"}')
        elif ask.do == "big":
            self._send(200, b'{"text":"%b"}' % (b"x" * BIG))
        elif b"if-none-match" in self._fields:
            self._send(304, b"")
        else:
            self._serve(method, ask)

    def _fail(self, what: str, ask: Ask) -> None:
        if what == "500":
            self._send(500, b'{"error":"internal"}')
            return
        whole = self._message(200, self._books.body(self._side, ask))
        self.transport.write(whole[: len(whole) // 2])
        self.transport.close()

    def _serve(self, method: bytes, ask: Ask) -> None:
        body = self._books.body(self._side, ask)
        if ask.do == "gzip":
            packer = zlib.compressobj(1, wbits=31)
            self._send(200, packer.compress(body) + packer.flush(), b"Content-Encoding: gzip\r\n")
        elif ask.do == "chunked":
            pieces = [body[n : n + 16_384] for n in range(0, len(body), 16_384)]
            head = self._head(200, body, b"Transfer-Encoding: chunked\r\n")
            self.transport.write(head + b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n")
        else:
            message = self._message(200, body)
            head = message.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
            self.transport.write(head if method == b"HEAD" else message)

    def _send(self, status: int, body: bytes, more: bytes = b"") -> None:
        self.transport.write(self._message(status, body, more))

    def _message(self, status: int, body: bytes, more: bytes = b"") -> bytes:
        length = b"" if status == 304 else b"Content-Length: %d\r\n" % len(body)
        return self._head(status, body, more + length) + body

    def _head(self, status: int, body: bytes, more: bytes) -> bytes:
        return b'HTTP/1.1 %d -\r\nContent-Type: application/json\r\nETag: "%x"\r\nX-Sum: %d\r\n%b\r\n' % (
            status, len(body), zlib.crc32(body), more,
        )  # fmt: skip


async def main(every: float, away: float) -> None:
    """The twin is away for `away` seconds, `every` so many."""
    loop, books = asyncio.get_running_loop(), Books()
    there: tuple[set[Side], set[Side]] = (set(), set())
    servers = [
        await loop.create_server(partial(Side, side, books, there[side]), "127.0.0.1", 0, backlog=1024)
        for side in (0, 1)
    ]
    ports = [server.sockets[0].getsockname()[1] for server in servers]
    sys.stdout.write(f"primary on port {ports[0]}, twin on port {ports[1]}\n")
    sys.stdout.flush()
    while True:
        await asyncio.sleep(every)
        servers[1].close()
        for side in tuple(there[1]):
            side.transport.abort()
        await asyncio.sleep(away)
        servers[1] = await loop.create_server(
            partial(Side, 1, books, there[1]), "127.0.0.1", ports[1], backlog=1024, reuse_address=True
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--every", type=float, default=60.0)
    parser.add_argument("--away", type=float, default=3.0)
    given = parser.parse_args()
    uvloop.run(main(given.every, given.away))
