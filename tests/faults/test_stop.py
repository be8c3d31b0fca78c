"""SIGTERM: clients and verification have `drain` to end, then they are broken off; a second signal ends it at once."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from proxy.ledger import DomainCounts, LedgerReader
from proxy.model import Verdict
from proxy.settings import Settings
from tests.e2e.backends import Script, answering, backend, fetch, response, target_of
from tests.e2e.conftest import running, settings
from tests.faults.run import Answer, ask
from tests.faults.served import served

BODY = response(b'{"n": 1}')
ROOM = 5.0
"""Seconds beside the limits for a busy machine: the processes of comparisons end, the ledger is closed."""


class Held:
    """A primary whose answers wait until they are let go."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.go = asyncio.Event()

    async def script(self, head: bytes, writer: asyncio.StreamWriter) -> None:
        if target_of(head).startswith(b"/api/things"):
            self.asked.set()
            await self.go.wait()
        writer.write(BODY)

    @property
    def of(self) -> Script:
        return self.script


def made(folder: Path, primary: str, shadow: str, drain: float, settle: float = 0.02) -> Settings:
    return settings(
        folder, primary, shadow, drain=drain, settle={"delay": settle, "factor": 1, "attempts": 1},
        ledger={"url": f"sqlite:///{folder / 'shadowread.db'}"},
    )  # fmt: skip


async def counted(of: Settings) -> DomainCounts:
    reader = await LedgerReader.open(of.ledger.url)
    try:
        return (await reader.domains())["things"]
    finally:
        await reader.close()


async def refused(url: str) -> bool:
    try:
        await fetch(url)
    except ConnectionRefusedError:
        return True
    return False


@pytest.mark.slow
async def test_clients_and_verification_end_within_the_time(tmp_path: Path) -> None:
    """One client still waits for the primary, one has its answer and its difference settles; both end as ever."""
    held = Held()

    async def primary_script(head: bytes, writer: asyncio.StreamWriter) -> None:
        if target_of(head) == b"/api/things/settling":
            writer.write(BODY)
        else:
            await held.script(head, writer)

    async with backend(primary_script) as primary, backend(answering(response(b'{"n": 2}'))) as shadow:
        of = made(tmp_path, primary, shadow, drain=30.0, settle=1.0)
        async with served(tmp_path, of) as here:
            assert (await fetch(here.url, b"/api/things/settling")).endswith(b'{"n": 1}')
            waiting = asyncio.ensure_future(ask(here.url, 1, 30))
            await asyncio.wait_for(held.asked.wait(), 10)
            here.process.send_signal(signal.SIGTERM)
            await here.says("stopping")
            async with asyncio.timeout(10):
                while not await refused(here.url):  # noqa: ASYNC110 - what is asked is another process
                    await asyncio.sleep(0.01)
            held.go.set()
            answer = await waiting
            assert (answer.status, answer.whole, answer.reset) == (200, True, False)
            began = time.monotonic()
            assert await here.ended(30) == 0
            assert time.monotonic() - began < 2 * 1.0 + ROOM, "it does not wait longer than there is something to end"
        counts = await counted(of)
    assert dict(counts.verdicts) == {Verdict.DIFF: 2}
    assert (counts.observed, counts.under_way) == (2, 0)


@pytest.mark.slow
async def test_what_does_not_end_in_time_is_broken_off_and_counted(tmp_path: Path) -> None:
    held, drain = Held(), 0.5
    async with backend(held.of) as primary, backend(answering(BODY)) as shadow:
        of = made(tmp_path, primary, shadow, drain=drain)
        async with served(tmp_path, of) as here:
            waiting = [asyncio.ensure_future(ask(here.url, n, 30)) for n in range(4)]
            await asyncio.wait_for(held.asked.wait(), 10)
            here.process.send_signal(signal.SIGTERM)
            began = time.monotonic()
            assert await here.ended(30) == 0
            assert drain <= time.monotonic() - began < 2 * drain + ROOM
            answers: list[Answer] = await asyncio.gather(*waiting)
            assert [one.raw for one in answers] == [b""] * 4
        held.go.set()
        counts = await counted(of)
    assert counts.observed == sum(counts.verdicts.values()) > 0
    assert counts.verdicts.keys() <= {Verdict.CANCELLED, Verdict.PRIMARY_ERROR, Verdict.LOST}


@pytest.mark.slow
async def test_a_second_signal_ends_it_at_once_and_the_next_start_counts_what_is_lost(tmp_path: Path) -> None:
    held = Held()
    async with backend(held.of) as primary, backend(answering(BODY)) as shadow:
        of = made(tmp_path, primary, shadow, drain=300.0)
        async with served(tmp_path, of) as here:
            waiting = [asyncio.ensure_future(ask(here.url, n, 60)) for n in range(3)]
            await asyncio.wait_for(held.asked.wait(), 10)
            here.process.send_signal(signal.SIGTERM)
            await here.says("stopping")
            assert here.process.returncode is None
            here.process.send_signal(signal.SIGTERM)
            assert await here.ended(ROOM) == 128 + signal.SIGTERM
            assert [one.raw for one in await asyncio.gather(*waiting)] == [b""] * 3
        held.go.set()
        async with running(of) as proxy:
            counts = await proxy.until(lambda one: one.under_way == 0)
    assert Counter(counts.verdicts) == {Verdict.LOST: counts.observed}
    assert 1 <= counts.observed <= 3
