"""Readiness: shared, seldom, and never stuck."""

from __future__ import annotations

import asyncio

import pytest

from proxy.admin import checks
from proxy.admin.checks import Part, Readiness


async def test_callers_share_one_round_and_it_is_asked_again_later() -> None:
    asked, now = 0, 0.0

    async def check() -> str | None:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        return None

    readiness = Readiness({"part": Part(check)}, clock=lambda: now)
    await asyncio.gather(*(readiness.problems() for _ in range(10)))
    assert asked == 1
    now = checks.FRESH + 0.1
    await readiness.problems()
    assert asked == 2


async def test_a_check_that_hangs_or_breaks_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "TIMEOUT", 0.05)

    async def hangs() -> str | None:
        await asyncio.Event().wait()
        return None

    async def breaks() -> str | None:
        raise ValueError("broken")

    readiness = Readiness({"hangs": Part(hangs, required=True), "breaks": Part(breaks)})
    problems = await readiness.problems()
    assert problems == {"hangs": "did not answer within 0.05 seconds", "breaks": "broken"}
    assert not readiness.ready(problems)
