"""kill -9 under load, again and again: no difference that was ever shown is lost, `lost` covers the rest."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest

from proxy.ledger import LedgerReader
from proxy.settings import Settings
from tests.e2e.backends import Script, backend, fetch, response, target_of
from tests.e2e.conftest import settings
from tests.faults.served import Served, served, told

CLIENTS = 6
KINDS = 40
"""Different findings: each one of so many fields."""


def answering(side: str) -> Script:
    """Two of three things are the same on both sides; of the others one field of `KINDS` differs."""

    async def script(head: bytes, writer: asyncio.StreamWriter) -> None:
        last = target_of(head).rpartition(b"/")[2]
        number = int(last) if last.isdigit() else 0
        value = side if number % 3 == 0 else "same"
        writer.write(response(json.dumps({"data": {f"field{number % KINDS}": value}}).encode()))

    return script


@dataclass
class Seen:
    """The most that the API has ever shown, over all lives of the proxy, and what clients have had."""

    diffs: int = 0
    observed: int = 0
    findings: dict[str, int] = field(default_factory=dict)
    traces: set[str] = field(default_factory=set)
    looks: int = 0
    looked: asyncio.Event = field(default_factory=asyncio.Event)
    sent: int = 0
    answered: int = 0

    async def look(self, session: aiohttp.ClientSession, admin: str) -> None:
        """Take down what is shown now. Whatever was shown before must be there."""
        (domain,) = (await told(session, f"{admin}/api/v1/domains"))["domains"]
        findings = (await told(session, f"{admin}/api/v1/findings?limit=1000"))["findings"]
        traces = (await told(session, f"{admin}/api/v1/traces?limit=1000"))["traces"]
        assert domain["observed"] == sum(domain["verdicts"].values())
        self.holds(
            domain["verdicts"]["diff"],
            domain["observed"],
            {one["id"]: one["exchanges"] for one in findings},
        )
        self.traces |= {one["id"] for one in traces}
        self.looks += 1
        self.looked.set()

    def holds(self, diffs: int, observed: int, findings: dict[str, int]) -> None:
        """Nothing that was shown may be missing; then this is what was shown."""
        assert diffs >= self.diffs, f"{self.diffs} diffs were shown, {diffs} are there"
        assert observed >= self.observed
        for id_, exchanges in self.findings.items():
            assert findings.get(id_, 0) >= exchanges, f"a finding of {exchanges} exchanges has {findings.get(id_, 0)}"
        self.diffs, self.observed, self.findings = diffs, observed, findings


async def load(seen: Seen, url: str, chance: random.Random) -> None:
    """Ask until the proxy is gone."""
    while True:
        seen.sent += 1
        try:
            answer = await fetch(url, b"/api/things/%d" % chance.randrange(1_000_000))
        except OSError:
            return
        if answer.endswith(b"}}"):
            seen.answered += 1


async def watch(seen: Seen, here: Served) -> None:
    async with aiohttp.ClientSession() as session:
        while True:
            try:
                await seen.look(session, here.admin)
            except (aiohttp.ClientError, ConnectionError):
                return


async def live_and_die(seen: Seen, folder: Path, made: Settings, chance: random.Random) -> None:
    """One life under load, with a watcher who takes down what is shown; killed at any moment."""
    async with served(folder, made) as here:
        seen.looked.clear()
        async with asyncio.TaskGroup() as group:
            for _ in range(CLIENTS):
                group.create_task(load(seen, here.url, chance))
            group.create_task(watch(seen, here))
            await seen.looked.wait()
            await asyncio.sleep(chance.random() * 1.2)
            here.kill()


async def killed_again_and_again(folder: Path, lives: int, seed: int) -> None:
    chance, seen = random.Random(seed), Seen()
    async with backend(answering("one")) as primary, backend(answering("other")) as shadow:
        made = settings(
            folder,
            primary,
            shadow,
            ledger={"url": f"sqlite:///{folder / 'shadowread.db'}"},
            settle={"delay": 0.02, "factor": 1, "attempts": 1},
            limits={"traces": 100_000, "busy": 1.0},
        )
        for _ in range(lives):
            await live_and_die(seen, folder, made, chance)
        assert seen.looks >= lives
        assert seen.diffs > lives
        # The last one to start settles what the others have left.
        async with served(folder, made) as here, aiohttp.ClientSession() as session:
            await seen.look(session, here.admin)
            (domain,) = (await told(session, f"{here.admin}/api/v1/domains"))["domains"]
            here.process.terminate()
            assert await here.ended(30) == 0
    # A client may be told of an answer, or die waiting for it; what was begun for it is counted either way.
    assert seen.answered <= domain["observed"] <= seen.sent
    assert domain["verdicts"]["lost"] <= domain["observed"]
    with closing(sqlite3.connect(folder / "shadowread.db")) as file:
        kept = {id_ for (id_,) in file.execute("SELECT id FROM traces")}
    assert kept >= seen.traces, f"{len(seen.traces - kept)} traces that were shown are gone"
    reader = await LedgerReader.open(made.ledger.url)
    try:
        counts = (await reader.domains())["things"]
    finally:
        await reader.close()
    assert counts.balanced
    assert counts.under_way == 0
    assert list(folder.glob("*.journal")) == []


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_ten_times(tmp_path: Path) -> None:
    await killed_again_and_again(tmp_path, 10, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(3_600)
@pytest.mark.skipif(not os.environ.get("SHADOWREAD_LONG_FAULTS"), reason="minutes; set SHADOWREAD_LONG_FAULTS=1")
async def test_a_hundred_times(tmp_path: Path) -> None:
    await killed_again_and_again(tmp_path, 100, seed=2)
