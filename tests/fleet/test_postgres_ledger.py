"""Workers that share a ledger in Postgres."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from proxy.model import Verdict
from tests.fleet.conftest import crewed, until


@pytest.mark.slow
async def test_counts_and_findings_meet_in_one_database(tmp_path: Path, pg_database: str) -> None:
    (tmp_path / "run").mkdir()
    ledger = {"url": pg_database, "journal": tmp_path / "run", "flush": 0.05}
    async with crewed(tmp_path, 3, ledger=ledger) as proxy:
        await proxy.ask("/api/a/same", 90)
        await proxy.ask("/api/a/bad", 60)
        assert (await proxy.counted("a", 150)).verdicts == {Verdict.MATCH: 90, Verdict.DIFF: 60}
        book = proxy.application.ledger
        (finding,) = await book.findings("a")
        assert (finding.path, finding.exchanges) == ("$.value", 60)
        assert len(await book.windows("a")) == 1
        os.kill(proxy.crew.fleet.pids[3], signal.SIGKILL)
        await until(lambda: proxy.crew.fleet.restarts == 1 and proxy.crew.fleet.serving == 3, 60)
        await proxy.ask("/api/a/bad", 30)
        assert (await proxy.counted("a", 180)).verdicts == {Verdict.MATCH: 90, Verdict.DIFF: 90}
        assert len(await book.windows("a")) == 1
        assert len(await book.findings("a")) == 1
