"""What the ledger of a serving process tells is in the file by then: a kill right afterwards takes back nothing."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from proxy.ledger import Ledger, behind, sqlite
from proxy.ledger import ledger as led
from proxy.model import Verdict
from tests.ledger.support import diff, exchange, opened, reading

LONG = 60.0
"""Seconds between two flushes: nothing is written by itself meanwhile."""


@pytest.mark.parametrize(
    "ask",
    [Ledger.domains, Ledger.findings, Ledger.traces, lambda ledger: ledger.trace("t1")],
    ids=["domains", "findings", "traces", "trace"],
)
async def test_it_is_written_before_it_is_told(tmp_path: Path, ask: Callable[[Ledger], Awaitable[object]]) -> None:
    async with opened(tmp_path / "a.db", flush_seconds=LONG) as ledger:
        diff(ledger, "t1")
        exchange(ledger)
        assert await ask(ledger)
        async with reading(tmp_path / "a.db") as other:
            assert (await other.domains())["users"].verdicts == {Verdict.DIFF: 1, Verdict.MATCH: 1}
            assert len(await other.findings()) == len(await other.traces()) == 1


async def test_what_ends_while_it_is_written_counts_as_under_way(tmp_path: Path) -> None:
    async with opened(tmp_path / "a.db", flush_seconds=LONG) as ledger:
        diff(ledger, "t1")
        asking = asyncio.ensure_future(ledger.domains())
        while ledger.recording.waiting:  # noqa: ASYNC110 - it is written in a thread
            await asyncio.sleep(0)
        diff(ledger, "t2")
        counts = (await asking)["users"]
        assert counts.observed == sum(counts.verdicts.values()) == 1
        assert counts.under_way == 1


async def test_all_is_told_while_nothing_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 0.05)
    async with opened(tmp_path / "a.db", flush_seconds=LONG) as ledger:
        await ledger.flush()
        with locked(tmp_path / "a.db"):
            diff(ledger, "t1")
            await ledger.flush()
            assert not ledger.recording.ok
            assert [one.id for one in await ledger.traces()] == ["t1"]


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Nobody else writes to the file meanwhile; who tries waits."""
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield


async def test_what_takes_long_to_write_is_told_when_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(led, "SHOWN_SECONDS", 0.05)
    async with opened(tmp_path / "a.db", flush_seconds=LONG) as ledger:
        await ledger.flush()
        with locked(tmp_path / "a.db"):
            diff(ledger, "t1")
            assert not await ledger.traces()
            assert not await ledger.findings()
            counts = (await ledger.domains())["users"]
            assert (counts.observed, counts.under_way) == (0, 1)
            assert ledger.recording.ok
        await ledger.flush()
        assert [one.id for one in await ledger.traces()] == ["t1"]


async def test_all_is_told_when_a_write_does_not_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(led, "SHOWN_SECONDS", 0.05)
    monkeypatch.setattr(behind, "STALLED_SECONDS", 0.1)
    async with opened(tmp_path / "a.db", flush_seconds=LONG) as ledger:
        await ledger.flush()
        with locked(tmp_path / "a.db"):
            diff(ledger, "t1")
            while ledger.recording.ok:
                await ledger.domains()
            assert ledger.recording.reason == behind.STALLED
            assert [one.id for one in await ledger.traces()] == ["t1"]
        await ledger.flush()
        assert ledger.recording.ok
