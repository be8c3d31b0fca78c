"""What is kept of the checks, and of canaries."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.ledger import Canary, standing
from proxy.window import Standing
from tests.ledger.support import START, opened

FIRST = Standing("users", "health", "unknown", "nobody knows", START)
CANARY = Canary("1", "users", "t", "id", "7", "bio", None, "mark", "planned", "", START, START, "host", 1, 2)


async def test_the_last_word_of_each_check_is_kept_for_its_window(tmp_path: Path) -> None:
    later = replace(FIRST, proof="proven", text="known", at=START + timedelta(seconds=5))
    scans = replace(FIRST, check="scans")
    async with opened(tmp_path / "a.db") as ledger:
        await ledger.write(lambda c: standing.keep_all(c, [("w1", FIRST), ("w1", scans), ("w2", FIRST)]))
        await ledger.write(lambda c: standing.keep(c, "w1", later))
        assert await ledger.ask(lambda c: standing.standings(c, "w1")) == (later, scans)
        assert await ledger.ask(lambda c: standing.standings(c, "w2")) == (FIRST,)
        await ledger.write(lambda c: standing.drop_windows(c, ["w2"]))
        assert await ledger.ask(lambda c: standing.standings(c, "w1")) == ()
        assert await ledger.ask(lambda c: standing.standings(c, "w2")) == (FIRST,)


async def test_a_canary_is_unfinished_until_it_is_restored(tmp_path: Path) -> None:
    async with opened(tmp_path / "a.db") as ledger:
        await ledger.write(lambda c: standing.plan_canary(c, CANARY))
        assert await ledger.ask(lambda c: standing.canaries(c, unfinished=True)) == (CANARY,)
        await ledger.write(lambda c: standing.advance_canary(c, "1", "marked", "", START))
        assert len(await ledger.ask(lambda c: standing.canaries(c, "users", unfinished=True))) == 1
        later = START + timedelta(seconds=1)
        await ledger.write(lambda c: standing.advance_canary(c, "1", "restored", "done", later))
        assert await ledger.ask(lambda c: standing.canaries(c, unfinished=True)) == ()
        done = replace(CANARY, state="restored", note="done", changed_at=later)
        assert await ledger.ask(lambda c: standing.canaries(c)) == (done,)


async def test_only_so_many_canaries_are_kept_and_no_unfinished_one_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "CANARIES_KEPT", 5)
    async with opened(tmp_path / "a.db") as ledger:

        async def fill(connection: AsyncConnection) -> None:
            await standing.plan_canary(connection, CANARY)
            for number in range(2, 30):
                at = START + timedelta(seconds=number)
                await standing.plan_canary(connection, replace(CANARY, id=str(number), state="restored", at=at))

        await ledger.write(fill)
        found = await ledger.ask(lambda c: standing.canaries(c))
        assert len(found) == 6
        assert found[-1] == CANARY
