"""The clients of the soak: a mix of everything, asked at a steady rate whether or not answers come."""

from __future__ import annotations

import asyncio
import random
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp

from tests.bench.soak_backend import ROWS

MOST_UNDER_WAY = 256
SECONDS = 20.0
SIZES = ((1, 60), (10, 25), (100, 12), (1_000, 3))
"""Offers in an answer, each about 380 bytes, and how often of a hundred."""
KINDS = {
    "plain": 700, "again": 60, "gzip": 60, "chunked": 40, "head": 20, "conditional": 20, "missing": 20, "diff": 8,
    "transient": 8, "unclaimed": 20, "upload": 10, "twin-500": 4, "twin-break": 4, "primary-500": 4, "primary-break": 2,
    "slow": 2, "big": 1, "abort": 10, "dawdle": 5, "garbage": 2,
}  # fmt: skip
"""What is asked for, and how often of a thousand."""
NETWORK = (aiohttp.ClientError, TimeoutError, ConnectionError, asyncio.IncompleteReadError)


@dataclass(slots=True)
class Tally:
    """What came of it. `wrong` is what a client must never see."""

    sent: Counter[str] = field(default_factory=Counter)
    late: int = 0
    wrong: Counter[str] = field(default_factory=Counter)


class Load:
    """Asks the proxy at `port`, `rate` times a second, until it is stopped."""

    def __init__(self, port: int, rate: float, seed: int = 7) -> None:
        self._port = port
        self._url = f"http://127.0.0.1:{port}"
        self._pause = 1 / rate
        self._rng = random.Random(seed)
        self._number = 0
        self._session: aiohttp.ClientSession
        self.tally = Tally()

    async def run(self, stop: asyncio.Event, clock: Callable[[], float]) -> None:
        """Returns when `stop` is set and everything that was asked has ended."""
        timeout = aiohttp.ClientTimeout(total=SECONDS)
        connector = aiohttp.TCPConnector(limit=0)
        async with (
            aiohttp.ClientSession(timeout=timeout, connector=connector, auto_decompress=False) as session,
            asyncio.TaskGroup() as group,
        ):
            self._session = session
            under_way: set[asyncio.Task[None]] = set()
            due = clock()
            while not stop.is_set():
                await asyncio.sleep(max(0.0, due - clock()))
                due += self._pause
                if len(under_way) >= MOST_UNDER_WAY:
                    self.tally.late += 1
                    continue
                task = group.create_task(self._one())
                under_way.add(task)
                task.add_done_callback(under_way.discard)

    async def _one(self) -> None:
        kind = self._rng.choices(tuple(KINDS), tuple(KINDS.values()))[0]
        self.tally.sent[kind] += 1
        try:
            await self._ask(kind)
        except NETWORK as error:
            if kind != "primary-break":
                self.tally.wrong[f"{kind}: {type(error).__name__}"] += 1

    def _path(self, kind: str) -> str:
        self._number += 1
        if kind == "again":
            # The same documents over and over: pairs seen before.
            return f"/api/offers?at={self._rng.randrange(20)}&rows=10"
        do = {"plain": "", "head": "", "conditional": "", "unclaimed": "", "abort": "", "dawdle": ""}.get(kind, kind)
        rows = self._rng.choices([size for size, _ in SIZES], [share for _, share in SIZES])[0]
        if kind in ("abort", "dawdle", "primary-break"):
            rows = 1_000
        elif kind in ("diff", "transient") and self._rng.random() < 0.9:
            rows = min(rows, 10)
        at = self._rng.randrange(ROWS)
        if kind == "unclaimed":
            return f"/other?at={at}&rows={rows}&n={self._number}"
        if rows == 1:
            return f"/api/offers/{at}?at={at}&n={self._number}&do={do}"
        return f"/api/offers?at={at}&rows={rows}&n={self._number}&do={do}"

    async def _ask(self, kind: str) -> None:
        if kind == "garbage":
            await self._garbage()
        elif kind == "upload":
            async with self._session.post(f"{self._url}/api/offers", data=b"u" * 100_000) as answer:
                self._check(kind, answer, await answer.read(), 201)
        elif kind == "abort":
            await self._abort()
        else:
            await self._read(kind)

    async def _read(self, kind: str) -> None:
        method = "HEAD" if kind == "head" else "GET"
        fields = {"If-None-Match": '"1"'} if kind == "conditional" else {}
        async with self._session.request(method, self._url + self._path(kind), headers=fields) as answer:
            pieces = []
            async for piece in answer.content.iter_chunked(65_536):
                pieces.append(piece)
                if kind == "dawdle":
                    await asyncio.sleep(0.2)
            expected = {"missing": 404, "primary-500": 500, "conditional": 304}.get(kind, 200)
            self._check(kind, answer, b"".join(pieces), expected)

    def _check(self, kind: str, answer: aiohttp.ClientResponse, body: bytes, status: int) -> None:
        if answer.status != status:
            self.tally.wrong[f"{kind}: {answer.status}"] += 1
        elif kind == "primary-break":
            self.tally.wrong[f"{kind}: taken for whole"] += 1
        elif answer.method != "HEAD" and zlib.crc32(body) != int(answer.headers["X-Sum"]):
            self.tally.wrong[f"{kind}: not the primary's bytes"] += 1

    async def _abort(self) -> None:
        """Hang up in the middle of an answer, or of a request."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        head = f"GET {self._path('abort')} HTTP/1.1\r\nHost: x\r\n".encode()
        whole = self._rng.random() < 0.8
        writer.write(head + b"\r\n" if whole else head)
        if whole:
            await reader.readexactly(1_000)
        writer.transport.abort()

    async def _garbage(self) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(b"\x16\x03\x01 not HTTP\r\n\r\n")
        answer = await reader.read()
        if not answer.startswith(b"HTTP/1.1 400"):
            self.tally.wrong["garbage: not refused"] += 1
        writer.close()
