"""How long reads took, and when a domain was watched."""

from __future__ import annotations

from datetime import timedelta

import pytest

from proxy.ledger import timing as timing_module
from proxy.model import Side, Verdict
from proxy.window import Latency, Watch, bucket_of
from tests.ledger.support import START, Home, exchange, opened, reading, rows_of


def watch(began: float, ended: float, why: str = "") -> Watch:
    return Watch(START + timedelta(seconds=began), START + timedelta(seconds=ended), why)


async def test_the_durations_of_comparisons_by_side(home: Home) -> None:
    path = home / "a.db"
    expected = {
        Side.PRIMARY: Latency({bucket_of(0.01): 2, bucket_of(0.5): 1}),
        Side.SHADOW: Latency({bucket_of(0.02): 3}),
    }
    async with opened(path) as ledger:
        exchange(ledger, primary_seconds=0.01, shadow_seconds=0.02)
        exchange(ledger, Verdict.UNSTABLE, primary_seconds=0.01, shadow_seconds=0.02)
        await ledger.flush()
        exchange(ledger, Verdict.DIFF, primary_seconds=0.5, shadow_seconds=0.02)
        exchange(ledger, Verdict.SHADOW_ERROR, primary_seconds=9.0, shadow_seconds=9.0)
        exchange(ledger, Verdict.NOT_SAMPLED)
        for _ in range(2):
            assert (await ledger.domains())["users"].latency == expected
            await ledger.flush()
    async with reading(path) as reader:
        assert (await reader.domains())["users"].latency == expected
    async with opened(path) as ledger:
        ledger.restart("users", "by hand", START)
        assert (await ledger.domains())["users"].latency == {}


async def test_a_watch_is_extended_and_another_one_added(home: Home) -> None:
    path = home / "a.db"
    async with opened(path) as ledger:
        ledger.enter("users", {}, START)
        ledger.keep_watch("users", watch(0, 5, "the proxy did not run"))
        ledger.keep_watch("users", watch(0, 10, "the proxy did not run"))
        await ledger.flush()  # of watches alone
        ledger.keep_watch("users", watch(0, 15, "the proxy did not run"))
        ledger.keep_watch("users", watch(60, 65, "it stood still"))
        expected = (watch(0, 15, "the proxy did not run"), watch(60, 65, "it stood still"))
        for _ in range(2):
            counts = (await ledger.domains())["users"]
            assert (counts.watches, counts.observed) == (expected, 0)
            await ledger.flush()
    async with opened(path) as ledger, reading(path) as reader:
        ledger.keep_watch("users", watch(60, 62, "it stood still"))
        assert (await ledger.domains())["users"].watches == expected
        await ledger.flush()
        assert (await reader.domains())["users"].watches == expected


async def test_a_watch_counts_from_where_its_window_begins(home: Home) -> None:
    async with opened(home / "a.db") as ledger:
        ledger.enter("users", {"rules": "a"}, START)
        ledger.keep_watch("users", watch(0, 5))
        ledger.enter("users", {"rules": "b"}, START + timedelta(seconds=7))
        ledger.keep_watch("users", watch(0, 6))
        for ended in (10, 15):
            ledger.keep_watch("users", watch(0, ended))
            await ledger.flush()
            assert (await ledger.domains())["users"].watches == (watch(7, ended),)


async def test_the_oldest_watches_are_dropped(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing_module, "WATCHES", 3)
    path = home / "a.db"
    async with opened(path) as ledger:
        for n in range(5):
            for domain in ("users", "others"):
                ledger.enter(domain, {}, START)
                ledger.keep_watch(domain, watch(10 * n, 10 * n + 5))
        await ledger.flush()
        assert (await ledger.domains())["others"].watches == tuple(watch(n, n + 5) for n in (20, 30, 40))
        ledger.keep_watch("users", watch(50, 55))
        await ledger.flush()
        assert (await ledger.domains())["users"].watches == tuple(watch(n, n + 5) for n in (30, 40, 50))
        assert rows_of(path, "SELECT count(*) FROM watches") == [(6,)]


async def test_a_reason_from_outside_is_cut_and_can_be_stored(home: Home) -> None:
    async with opened(home / "a.db") as ledger:
        ledger.keep_watch("users", watch(0, 1, "\ud800" * 10_000))
        await ledger.flush()
        assert ledger.recording.ok
        assert (await ledger.domains())["users"].watches == (watch(0, 1, "?" * timing_module.WHY_CHARACTERS),)
