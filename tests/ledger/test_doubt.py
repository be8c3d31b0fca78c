"""Commits of which nobody knows whether they were done: the connection broke off before the server's answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

import pytest

from proxy.errors import LedgerError
from proxy.model import Verdict
from tests.ledger.support import (
    Spot,
    assert_balanced,
    diff,
    exchange,
    observed,
    observed_by_route,
    opened,
    rows_of,
)


@dataclass
class Wire:
    """Lies between the ledger and its server, and breaks off at the next commit when told to."""

    port: int
    cut: str = ""  # "before" the server hears of it, or "after"
    closed: bool = False
    held: asyncio.Event | None = None
    ends: list[asyncio.StreamWriter] = field(default_factory=list)

    async def join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self.port)
        self.ends += [writer, back]
        if self.closed:
            self.close()
        with suppress(ConnectionError):
            await asyncio.gather(self._ask(reader, back), self._answer(there, writer))

    def close(self) -> None:
        self.closed = True
        for end in self.ends:
            end.transport.abort()
        self.ends.clear()

    async def _ask(self, reader: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        while piece := await reader.read(65_536):
            if self.cut and b"COMMIT;" in piece:
                if self.cut == "after":
                    self.held = asyncio.Event()
                    back.write(piece)
                    await self.held.wait()  # done, as the server says
                self.cut, self.held = "", None
                self.close()
                return
            back.write(piece)
        back.close()

    async def _answer(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await there.read(65_536):
            if self.held is not None:
                self.held.set()
                return
            writer.write(piece)
        writer.close()


@asynccontextmanager
async def wired(spot: Spot) -> AsyncIterator[tuple[Spot, Wire]]:
    parts = urlsplit(spot.dsn)
    assert parts.port is not None
    wire = Wire(parts.port)
    server = await asyncio.start_server(wire.join, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield replace(spot, dsn=spot.dsn.replace(f":{parts.port}/", f":{port}/")), wire
    finally:
        wire.close()
        server.close()


@pytest.mark.parametrize("cut", ["before", "after"])
async def test_a_batch_is_written_and_counted_once(spot: Spot, cut: str) -> None:
    async with wired(spot) as (far, wire), opened(far) as ledger:
        exchange(ledger)
        await ledger.flush()
        diff(ledger, "t1")
        ledger.begin("users", "GET /u")
        # The one that saves windows has nothing to do here, so that the next commit is that of the batch.
        wire.cut = cut
        await ledger.flush()
        assert (ledger.recording.ok, wire.cut) == (False, "")
        assert observed_by_route(spot) == {"GET /u": 1 + (cut == "after")}
        for closed in (True, False, False, True):
            if closed:
                wire.close()
            wire.closed = closed
            found = await ledger.domains()
            assert_balanced(found)
            assert (observed(found), found["users"].under_way) == (2, 1)
            assert found["users"].verdicts == {Verdict.MATCH: 1, Verdict.DIFF: 1}
            if not closed:
                assert [one.exchanges for one in await ledger.findings()] == [1]
                assert len(await ledger.traces()) == 1
        with pytest.raises(LedgerError, match="the ledger cannot be read"):
            await ledger.findings()
        wire.closed = False
        exchange(ledger)
        await ledger.flush()
        assert ledger.recording.ok, ledger.recording.reason
        assert ledger.recording.waiting == 0
        assert observed_by_route(spot) == {"GET /u": 3}
        assert rows_of(spot, "SELECT exchanges FROM findings") == [(1,)]
        assert rows_of(spot, "SELECT begun, settled FROM observed WHERE run <> ''") == [(4, 3)]
    assert observed_by_route(spot) == {"GET /u": 4}
