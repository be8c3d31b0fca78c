"""`observed = sum of verdicts` at every look: under load, with clients that leave, and after kill -9."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import simplejson

from proxy.ledger import Ledger, LedgerReader
from proxy.model import Verdict
from proxy.settings import show
from tests.demo.trees import tree, wait_until_gone
from tests.e2e.backends import answering, backend, fetch, response, target_of
from tests.e2e.conftest import Proxy, running, settings

WAVES, CLIENTS = 20, 8


async def _leave(url: str, moment: float) -> None:
    """Ask, then go away after `moment` seconds whatever has come."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET /api/things/1 HTTP/1.1\r\nHost: x\r\n\r\n")
    try:
        await asyncio.wait_for(reader.read(), moment)
    except TimeoutError:
        writer.transport.abort()
    finally:
        writer.close()


async def test_books_balance_while_clients_come_and_go(folder: Path) -> None:
    chance = random.Random(7)

    async def erratic(head: bytes, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(chance.random() * 0.03)
        match chance.randrange(8):
            case 0:
                writer.transport.abort()
            case 1:
                writer.write(response(b"{}", status=b"503 Away"))
            case 2:
                writer.write(response(b'{"n":%d}' % chance.randrange(3)))
            case _:
                writer.write(response(b'{"t":"%s"}' % target_of(head)))

    breaker = {"failures": 6, "open_for": 0.2}
    async with backend(erratic) as primary, backend(erratic) as shadow:
        made = settings(folder, primary, shadow, shadow={"url": shadow, "breaker": breaker})
        async with running(made) as proxy:
            await _books_balance(proxy, chance)


async def _books_balance(proxy: Proxy, chance: random.Random) -> None:
    looks = 0
    for _ in range(WAVES):
        async with asyncio.TaskGroup() as group:
            clients = [group.create_task(_leave(proxy.url, 0.002 + 0.05 * chance.random())) for _ in range(CLIENTS)]
            while proxy.application.edge.active or not all(client.done() for client in clients):
                counts = await proxy.counts()
                assert counts.observed == sum(counts.verdicts.values())
                looks += 1
    counts = await proxy.until(lambda c: c.under_way == 0)
    assert looks >= WAVES
    assert counts.observed >= WAVES * CLIENTS // 2
    assert len(counts.verdicts) > 2, "the mix must reach several ends"


async def test_what_is_under_way_at_a_graceful_end_is_lost(folder: Path) -> None:
    made = None
    async with (
        backend(answering(response(b'{"n":1}'))) as primary,
        backend(answering(response(b'{"n":2}'))) as shadow,
    ):
        made = settings(folder, primary, shadow, settle={"delay": 60}, drain=0.2)
        async with running(made) as proxy:
            for _ in range(3):
                await fetch(proxy.url)
            await proxy.until(lambda c: c.under_way == 3)
    reader = await LedgerReader.open(made.ledger.url)
    try:
        counts = (await reader.domains())["things"]
    finally:
        await reader.close()
    assert (counts.observed, dict(counts.verdicts), counts.under_way) == (3, {Verdict.LOST: 3}, 0)


@pytest.mark.slow
async def test_kill_9_loses_nothing_from_the_books(folder: Path) -> None:
    """Clients have their answers, differences are still settling, the process is killed: each is `lost`."""
    async with (
        backend(answering(response(b'{"n":1}'))) as primary,
        backend(answering(response(b'{"n":2}'))) as shadow,
    ):
        made = settings(folder, primary, shadow, settle={"delay": 300})
        path = folder / "shadowread.yaml"
        path.write_text(simplejson.dumps(show(made)))
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "proxy.cli", "serve", "-c", str(path), stderr=asyncio.subprocess.PIPE
        )
        try:
            url = await asyncio.wait_for(_address(process), 30)
            for _ in range(5):
                await fetch(url)
        finally:
            members = tree(process.pid)
            os.kill(process.pid, signal.SIGKILL)
            await process.wait()
            await asyncio.to_thread(wait_until_gone, members)
    assert len(members) > 1, "the comparing process must have been there to be left behind"
    ledger = await Ledger.open(
        made.ledger.url,
        flush_seconds=1,
        max_traces=10,
        max_trace_bytes=10_000,
        max_findings=10,
        clock=lambda: datetime.now(UTC),
    )
    try:
        counts = (await ledger.domains())["things"]
    finally:
        await ledger.close()
    assert (counts.observed, dict(counts.verdicts), counts.under_way) == (5, {Verdict.LOST: 5}, 0)


async def _address(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    async for line in process.stderr:
        if b"serving http://" in line:
            return "http://" + line.decode().split("serving http://")[1].split(",")[0]
    raise AssertionError("the proxy ended before it served")
