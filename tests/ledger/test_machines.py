"""A ledger in Postgres that processes and machines share, each with a journal of its own."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from proxy.ledger.postgres import PostgresStore
from proxy.model import Verdict
from tests.ledger.support import (
    Clock,
    Spot,
    assert_balanced,
    crash,
    exchange,
    observed,
    opened,
    reading,
    url_of,
)

ROOT = Path(__file__).parents[2]


async def test_a_run_of_another_machine_is_settled_by_who_can_see_its_journal(spot: Spot, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    there = replace(spot, journal=tmp_path / "there")
    async with opened(there) as far:
        exchange(far)
        far.begin("users", "GET /u")
        await far.flush()
        far.begin("users", "GET /v")  # only its journal knows
        async with opened(spot) as near:
            counts = (await near.domains())["users"]
            assert (counts.observed, counts.under_way) == (1, 1), "it is alive"
        await crash(far)
        async with opened(spot) as near:
            counts = (await near.domains())["users"]
            assert (counts.observed, counts.under_way) == (1, 1), "nobody can tell from here"
        async with opened(there) as far:
            assert (await far.domains())["users"].verdicts == {Verdict.MATCH: 1, Verdict.LOST: 2}


async def test_a_machine_that_does_not_come_back_is_given_up_after_a_week(spot: Spot, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    clock = Clock()
    async with opened(replace(spot, journal=tmp_path / "there"), clock=clock) as far:
        clock.tick(days=30)
        far.begin("users", "GET /u")
        await far.flush()
        await crash(far)
    clock.tick(days=7)
    async with opened(spot, clock=clock) as ledger:
        assert (await ledger.domains())["users"].under_way == 1, "its last write is what counts"
    clock.tick(seconds=1)
    async with opened(spot, clock=clock) as ledger:
        assert (await ledger.domains())["users"].verdicts == {Verdict.LOST: 1}


async def test_a_folder_that_was_copied_to_another_machine(spot: Spot, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(spot) as ledger:
        ledger.begin("users", "GET /u")
        await ledger.flush()
        (journal,) = spot.journal.glob("*.journal")
        aside = journal.rename(journal.with_suffix(".elsewhere"))
        with monkeypatch.context() as patched:
            patched.setattr("proxy.ledger.recover.socket.gethostname", lambda: "copy")
            async with opened(spot) as copy:
                assert (await copy.domains())["users"].under_way == 1
        aside.rename(journal)


def test_all_processes_of_a_folder_agree_on_its_place(tmp_path: Path) -> None:
    stores = [PostgresStore.of("postgresql://h/d", tmp_path) for _ in range(2)]
    found = {store.place() for store in stores}
    assert len(found) == 1
    assert PostgresStore.of("postgresql://h/e", tmp_path).place() not in found
    assert sorted(one.suffix for one in tmp_path.iterdir()) == [".place", ".place"]
    for one in tmp_path.iterdir():
        one.write_text("")
    with pytest.raises(OSError, match=r"\.place is damaged; remove it"):
        stores[0].place()


def start(spot: Spot, seed: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.ledger.child", url_of(spot), str(seed), "0", str(spot.journal)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)


@pytest.mark.slow
async def test_killed_at_any_moment_two_processes_lose_nothing(spot: Spot) -> None:
    total = doubt = 0
    for round_ in range(2):
        children = [start(spot, 10 * round_ + n) for n in range(2)]
        for child in children:
            assert child.stdout is not None
            assert await asyncio.to_thread(child.stdout.read, 1) == b"!"
        told = [asyncio.ensure_future(asyncio.to_thread(child.stdout.read)) for child in children if child.stdout]
        async with reading(spot) as reader:
            for _ in range(10):
                assert_balanced(await reader.domains())
        for child in children:
            child.kill()
        total += sum([len(await one) for one in told])
        doubt += len(children)
        for child in children:
            child.wait()
            assert child.stdout is not None
            child.stdout.close()
        async with opened(spot) as ledger:
            domains = await ledger.domains()
            assert_balanced(domains)
            assert total <= observed(domains) <= total + doubt
            assert domains["domain"].under_way == 0
            total, doubt = observed(domains), 0
    assert list(spot.journal.glob("*.journal")) == []
