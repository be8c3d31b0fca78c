"""What is kept of the checks, and of canaries."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.ledger import Canary, standing
from proxy.window import Check, Proof, Standing
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


@pytest.mark.parametrize("check", ["scans", "canary"])
async def test_a_look_that_could_not_tell_takes_nothing_back(tmp_path: Path, check: Check) -> None:
    def said(proof: Proof, seconds: int, of: Check = check) -> Standing:
        return Standing("users", of, proof, proof, START + timedelta(seconds=seconds))

    async with opened(tmp_path / "a.db") as ledger:

        async def after(*found: Standing) -> Standing:
            for one in found:
                await ledger.write(lambda c, one=one: standing.keep(c, "w1", one))  # type: ignore[misc]
            (kept,) = [one for one in await ledger.ask(lambda c: standing.standings(c, "w1")) if one.check == check]
            return kept

        assert await after(said("unknown", 1), said("unknown", 2)) == said("unknown", 2)
        assert await after(said("proven", 3), said("unknown", 4)) == said("proven", 3)
        assert await after(said("failed", 5), said("unknown", 6)) == said("failed", 5)
        assert await after(said("proven", 7)) == said("proven", 7)


async def test_sides_that_say_nothing_any_more_are_not_proven(tmp_path: Path) -> None:
    async with opened(tmp_path / "a.db") as ledger:
        await ledger.write(lambda c: standing.keep(c, "w1", replace(FIRST, proof="proven")))
        await ledger.write(lambda c: standing.keep(c, "w1", FIRST))
        assert await ledger.ask(lambda c: standing.standings(c, "w1")) == (FIRST,)


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
