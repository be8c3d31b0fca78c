"""kill -9: whatever moment it comes at, every exchange that was begun is accounted for."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from proxy.ledger import journal as journal_module
from proxy.ledger import recover as recover_module
from proxy.ledger.database import store_of
from proxy.ledger.journal import DeadRun
from proxy.model import Verdict
from tests.ledger.support import (
    Home,
    assert_balanced,
    crash,
    exchange,
    observed,
    observed_by_route,
    opened,
    outcome,
    reading,
    url_of,
)

ROOT = Path(__file__).parents[2]


def start(path: Path, seed: int, last: int = 0) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.ledger.child", url_of(path), str(seed), str(last)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)


def told(child: subprocess.Popen[bytes]) -> Counter[str]:
    """What the child had begun, by route, once it is dead."""
    assert child.stdout is not None
    text = child.stdout.read().decode()
    child.stdout.close()
    child.wait()
    return Counter(text.replace("!", ""))


@pytest.mark.slow
async def test_a_process_that_kills_itself_under_load_is_accounted_for_to_the_last_exchange(
    tmp_path: Path,
) -> None:
    """Its own thread is at a known place, its writer's thread anywhere in a transaction."""
    path = tmp_path / "a.db"
    chance = random.Random(1)
    total: Counter[str] = Counter()
    for round_ in range(4):
        child = start(path, round_, chance.randrange(1, 10_000))
        total += await asyncio.to_thread(told, child)
        # Every other time the next child does the recovery, under load.
        if round_ % 2:
            async with opened(path) as ledger:
                counts = (await ledger.domains())["domain"]
                assert counts.balanced
                assert observed_by_route(path) == total
                assert counts.lifetime_observed == total.total()
                assert counts.under_way == 0
    assert list(tmp_path.glob("*.journal")) == []


@pytest.mark.slow
async def test_a_process_killed_at_any_moment(tmp_path: Path) -> None:
    """Others look on meanwhile, two write at once, and the kill may come between an exchange and its telling."""
    path = tmp_path / "a.db"
    chance = random.Random(2)
    total, doubt = 0, 0
    for round_ in range(3):
        children = [start(path, 10 * round_ + n) for n in range(2)]
        for child in children:
            assert child.stdout is not None
            assert await asyncio.to_thread(child.stdout.read, 1) == b"!"
        tellers = [asyncio.ensure_future(asyncio.to_thread(told, child)) for child in children]
        async with reading(path) as reader:
            for _ in range(chance.randrange(1, 40)):
                assert_balanced(await reader.domains())
        for child in children:
            child.kill()
        total += sum([(await teller).total() for teller in tellers])
        doubt += len(children)
        async with opened(path) as ledger:
            domains = await ledger.domains()
            assert_balanced(domains)
            assert total <= observed(domains) <= total + doubt
            assert sum(observed_by_route(path).values()) == observed(domains)
            assert domains["domain"].under_way == 0
            total, doubt = observed(domains), 0


async def test_what_a_dead_run_had_under_way_is_lost(home: Home) -> None:
    async with opened(home / "a.db") as ledger:
        tickets = [ledger.begin("users", "GET /u") for _ in range(5)]
        ledger.record(tickets[0], outcome())
        await ledger.flush()
        ledger.record(tickets[1], outcome(Verdict.DIFF))  # never written, so lost too
        ledger.begin("users", "GET /new")  # on a route that the file has not heard of
        await crash(ledger)
    for _ in range(2):
        async with opened(home / "a.db") as again:
            counts = (await again.domains())["users"]
            assert counts.verdicts == {Verdict.MATCH: 1, Verdict.LOST: 5}
            assert (counts.observed, counts.under_way) == (6, 0)
            assert counts.routes["GET /new"].verdicts == {Verdict.LOST: 1}


async def test_a_living_run_is_left_alone(home: Home) -> None:
    async with opened(home / "a.db") as one:
        one.begin("users", "GET /u")
        await one.flush()
        async with opened(home / "a.db") as two:
            counts = (await two.domains())["users"]
            assert (counts.observed, counts.under_way) == (0, 1)


async def test_recovery_killed_before_it_is_done_counts_nothing_twice(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = home / "a.db"
    async with opened(path) as ledger:
        exchange(ledger)
        await ledger.flush()
        ledger.begin("users", "GET /u")
        await crash(ledger)
    release = DeadRun.release

    def keep(dead: DeadRun, *, remove: bool) -> None:
        del remove
        release(dead, remove=False)

    async def fail(*_: object) -> None:
        raise OSError("killed here")

    for place in ("before the commit", "after the commit"):
        with monkeypatch.context() as patched:
            if place == "before the commit":
                patched.setattr(recover_module, "close_run", fail)
            else:
                patched.setattr(DeadRun, "release", keep)
            async with opened(path) as ledger:
                assert ledger.recording.ok == (place == "after the commit")
                await crash(ledger)
        assert len(list(home.glob("*.journal"))) >= 1
    async with opened(path) as ledger:
        counts = (await ledger.domains())["users"]
        assert counts.verdicts == {Verdict.MATCH: 1, Verdict.LOST: 1}
        assert counts.observed == 2
    assert list(home.glob("*.journal")) == []


async def test_without_its_journal_a_dead_run_is_settled_by_its_last_flush(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = home / "a.db"
    async with opened(path) as ledger:
        ledger.begin("users", "GET /u")
        await ledger.flush()
        await crash(ledger)
    for found in home.glob("*.journal"):
        found.unlink()
    async with opened(path) as ledger:  # this very process is alive, so its run may be, too
        assert (await ledger.domains())["users"].under_way == 1
    monkeypatch.setattr(recover_module, "process_start", lambda _: 1)
    async with opened(path) as ledger:
        assert (await ledger.domains())["users"].verdicts == {Verdict.LOST: 1}


async def test_a_journal_older_than_the_file_gives_way_to_it(home: Home) -> None:
    """After a power loss the counters of the journal may be those of a while ago."""
    path = home / "a.db"
    async with opened(path) as ledger:
        for _ in range(3):
            ledger.begin("users", "GET /u")
        await ledger.flush()
        await crash(ledger)
    (found,) = home.glob("*.journal")
    with found.open("r+b") as raw:
        raw.seek(journal_module.HEADER_BYTES)
        raw.write(bytes(8))
    async with opened(path) as ledger:
        assert (await ledger.domains())["users"].verdicts == {Verdict.LOST: 3}


async def test_a_forked_child_does_not_keep_a_dead_run_alive(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    context = multiprocessing.get_context("fork")
    async with opened(path) as ledger:
        ledger.begin("users", "GET /u")
        done = context.Event()
        child = context.Process(target=done.wait)
        child.start()
        try:
            await crash(ledger)
            async with opened(path) as again:
                assert (await again.domains())["users"].verdicts == {Verdict.LOST: 1}
        finally:
            done.set()
            child.join()


async def test_a_strange_journal_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    begin = store_of(url_of(tmp_path / "a.db")).journals
    strange = begin.with_name(f"{begin.name}-run-x.journal")
    strange.write_bytes(b"something else" * 100)
    begin.with_name(f"{begin.name}-run-y.journal").write_bytes(b"")
    async with opened(tmp_path / "a.db") as ledger:
        assert ledger.recording.ok
    assert strange.exists()
    assert "not a journal of this version" in caplog.text
