"""The life of a finding: open, gone, returned, accepted; and that none of it changes a count."""

from __future__ import annotations

import sqlite3
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from comparators.model import Kind
from proxy.errors import LedgerError
from proxy.ledger import Acceptance, Finding, FindingState, Ledger, schema
from proxy.ledger.details import finding_id
from proxy.ledger.findings import accept, close, revoke
from proxy.ledger.moments import MICROSECOND
from proxy.model import Verdict
from tests.ledger.support import START, Clock, Home, diff, difference, exchange, make, opened, outcome, reading

ID = finding_id("users", "GET /u", "$.name", "value_changed")
SECOND = timedelta(seconds=1)


async def only(ledger: Ledger) -> Finding:
    """The finding as it is told now, which must be what is told once all is written."""
    now = await ledger.finding(ID)
    await ledger.flush()
    assert ledger.recording.ok, ledger.recording.reason
    assert now is not None
    return now


def matches(ledger: Ledger, n: int, clock: Clock, **more: Any) -> None:
    for _ in range(n):
        exchange(ledger, at=clock.tick(seconds=1), **more)


async def test_gone_after_its_route_was_compared_so_often_without_it_and_returned_when_seen_again(
    home: Home,
) -> None:
    clock = Clock()
    async with opened(home / "a.db", gone_after=5, clock=clock) as ledger:
        diff(ledger, "t1", at=clock.now)
        assert (await only(ledger)).state is FindingState.OPEN
        matches(ledger, 4, clock)
        exchange(ledger, Verdict.SHADOW_ERROR, at=clock.tick(seconds=1))
        matches(ledger, 9, clock, route="GET /other")
        await ledger.flush()
        assert (await only(ledger)).state is FindingState.OPEN, "nothing but comparisons of its own route counts"
        matches(ledger, 1, clock)
        await ledger.flush()
        found = await only(ledger)
        assert (found.state, found.gone_at) == (FindingState.GONE, clock.now)
        assert found.gone_why == "not seen in 5 comparisons of its route"
        matches(ledger, 20, clock)
        await ledger.flush()
        assert await only(ledger) == found, "it is gone as of when it was found so"

        diff(ledger, "t2", at=clock.tick(seconds=1))
        for _ in range(2):  # waiting, then written
            found = await only(ledger)
            assert (found.state, found.returned_at, found.exchanges) == (FindingState.RETURNED, clock.now, 2)
        matches(ledger, 4, clock)
        await ledger.flush()
        assert (await only(ledger)).state is FindingState.RETURNED
        matches(ledger, 1, clock)
        await ledger.flush()
        assert (await only(ledger)).state is FindingState.GONE
        counts = (await ledger.domains())["users"]
        assert counts.verdicts[Verdict.DIFF] == 2
        assert counts.balanced


async def test_those_that_go_on_keep_others_from_nothing(home: Home) -> None:
    clock = Clock()
    async with opened(home / "a.db", gone_after=3, clock=clock) as ledger:
        diff(ledger, "t0", difference("$.once"), difference("$.always"), at=clock.now)
        for n in range(4):
            diff(ledger, f"u{n}", difference("$.always"), at=clock.tick(seconds=1))
            await ledger.flush()
        states = {one.path: one.state for one in await ledger.findings()}
        assert states == {"$.once": FindingState.GONE, "$.always": FindingState.OPEN}
        (first,) = await ledger.findings(state=FindingState.GONE, limit=1)
        assert first.path == "$.once"
        matches(ledger, 3, clock)
        await ledger.flush()
        gone = {one.path: one.gone_at for one in await ledger.findings(state=FindingState.GONE)}
        assert gone == {"$.once": first.gone_at, "$.always": clock.now}


async def test_two_processes_count_the_comparisons_of_a_route_together(home: Home) -> None:
    clock = Clock()
    path = home / "a.db"
    async with (
        opened(path, gone_after=4, clock=clock) as one,
        opened(path, gone_after=4, clock=clock) as other,
    ):
        diff(one, "t1", at=clock.now)
        await one.flush()
        for ledger in (one, other, one):
            matches(ledger, 1, clock)
            await ledger.flush()
        assert (await only(one)).state is FindingState.OPEN
        matches(other, 1, clock)
        await other.flush()
        assert (await only(one)).state is (await only(other)).state is FindingState.GONE


async def test_a_new_window_neither_forgets_comparisons_nor_brings_back_what_is_gone(home: Home) -> None:
    clock = Clock()
    async with opened(home / "a.db", gone_after=5, clock=clock) as ledger:
        ledger.enter("users", {"rules": "first"}, clock.now)
        diff(ledger, "t1", at=clock.now)
        for rules in ("first", "second"):
            assert (await only(ledger)).state is FindingState.OPEN
            ledger.enter("users", {"rules": rules}, clock.tick(seconds=1))
            matches(ledger, 3, clock)
            await ledger.flush()
        gone = await only(ledger)
        assert gone.state is FindingState.GONE
        ledger.enter("users", {"rules": "third"}, clock.tick(seconds=1))
        matches(ledger, 3, clock)
        await ledger.flush()
        assert await only(ledger) == gone


async def test_closed_by_hand_and_returned_only_by_what_was_seen_after_that(home: Home) -> None:
    clock = Clock()
    async with opened(home / "a.db", clock=clock) as ledger, reading(home / "a.db") as beside:
        diff(ledger, "t1", at=clock.now)
        await ledger.flush()
        waiting = clock.tick(seconds=1)
        at = clock.tick(seconds=1)
        assert not await beside.write(lambda c: close(c, ID, START - SECOND, "read again")), "it was seen after that"
        assert await beside.write(lambda c: close(c, ID, at, "read again"))
        assert await beside.write(lambda c: close(c, ID, at + SECOND, "once more")), "it is gone as it was"
        assert not await beside.write(lambda c: close(c, "no such id", at, "read again"))
        found = await only(ledger)
        assert (found.state, found.gone_at, found.gone_why) == (FindingState.GONE, at, "read again")

        diff(ledger, "t2", at=waiting)
        for _ in range(2):
            found = await only(ledger)
            assert (found.state, found.exchanges) == (FindingState.GONE, 2), "it differed before it was read again"
        first = clock.tick(seconds=1)
        diff(ledger, "t3", at=first)
        diff(ledger, "t4", at=clock.tick(seconds=1))
        for _ in range(2):
            found = await only(ledger)
            assert (found.state, found.returned_at, found.gone_at) == (FindingState.RETURNED, first, at)
        assert await beside.write(lambda c: close(c, ID, clock.now, "again")), "what returned can be closed again"
        found, at = await only(ledger), clock.now
        assert (found.state, found.gone_at) == (FindingState.GONE, at)

        diff(ledger, "t5", at=first)
        diff(ledger, "t6", at=clock.tick(seconds=1))
        for _ in range(2):  # both in one batch, the first of them from before
            found = await only(ledger)
            assert (found.state, found.returned_at) == (FindingState.RETURNED, at + MICROSECOND)


async def test_accepted_through_its_date_and_open_from_the_next_day(tmp_path: Path) -> None:
    clock = Clock()
    word = Acceptance("mara", "old rows", date(2026, 3, 2), START)
    async with opened(tmp_path / "a.db", clock=clock, gone_after=2) as ledger:
        with pytest.raises(LedgerError, match="no finding has the id"):
            await ledger.write(lambda c: accept(c, ID, word))
        diff(ledger, "t1", at=clock.now)
        await ledger.flush()
        before = (await ledger.domains())["users"]
        await ledger.write(lambda c: accept(c, ID, Acceptance("x", "y", date(2026, 3, 1), START)))
        await ledger.write(lambda c: accept(c, ID, word))
        found = await only(ledger)
        assert (found.state, found.acceptance) == (FindingState.ACCEPTED, word)
        assert (await ledger.domains())["users"] == before, "an acceptance changes no count"
        clock.tick(hours=35, minutes=59)
        assert (await only(ledger)).state is FindingState.ACCEPTED
        clock.tick(minutes=1)
        found = await only(ledger)
        assert (found.state, found.acceptance) == (FindingState.OPEN, word)

        await ledger.write(lambda c: accept(c, ID, Acceptance("mara", "longer", date(2026, 4, 1), clock.now)))
        matches(ledger, 2, clock)
        await ledger.flush()
        assert (await only(ledger)).state is FindingState.GONE, "what is gone is gone, accepted or not"
        diff(ledger, "t2", at=clock.tick(seconds=1))
        assert (await only(ledger)).state is FindingState.ACCEPTED
        assert await ledger.write(lambda c: revoke(c, ID))
        assert not await ledger.write(lambda c: revoke(c, ID))
        found = await only(ledger)
        assert (found.state, found.acceptance) == (FindingState.RETURNED, None)


async def test_differences_that_a_gap_explains_are_counted_apart_and_stay_differences(tmp_path: Path) -> None:
    async with opened(tmp_path / "a.db") as ledger:
        two = (difference("$.list[0].x"), difference("$.list[1].x"))
        for explained, counted in ((True, (2, 2)), (False, (4, 2)), (True, (6, 4))):
            ledger.record(
                ledger.begin("users", "GET /u"),
                outcome(Verdict.DIFF, differences=two, known_gap=explained),
            )
            found = (await ledger.findings())[0]
            assert (found.differences, found.known_gap) == counted
            await ledger.flush()
        assert (await ledger.findings())[0] == found
        assert found.kind is Kind.VALUE_CHANGED
        assert (await ledger.domains())["users"].verdicts == {Verdict.DIFF: 3}


async def test_findings_made_before_they_had_a_life_count_as_seen_by_the_last_comparison(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.db"
    with monkeypatch.context() as then:
        then.setattr(schema, "REVISIONS", ("0001",))
        await make(path)
    with sqlite3.connect(path) as old:
        for verdict, n in (("match", 7), ("diff", 1), ("shadow_error", 50)):
            old.execute("INSERT INTO verdicts VALUES ('users', 'GET /u', ?, ?, 1, 1, 60000000)", (verdict, n))
        old.execute("INSERT INTO verdicts VALUES ('users', 'GET /other', 'match', 50, 1, 1, 60000000)")
        values = (ID, "users", "GET /u", "$.name", "value_changed", 1, 1, 60000000, 60000000, None, None, "1", "2")
        old.execute(f"INSERT INTO findings VALUES ({', '.join('?' * 13)})", values)  # noqa: S608 - only marks
        old.execute("INSERT INTO observed VALUES ('', 'users', 'GET /u', 58, 0, 0)")
        old.execute("INSERT INTO observed VALUES ('', 'users', 'GET /other', 50, 0, 0)")
    old.close()
    clock = Clock()
    async with opened(path, gone_after=10, clock=clock) as ledger:
        matches(ledger, 9, clock)
        found = await only(ledger)
        assert (found.state, found.known_gap, found.exchanges) == (FindingState.OPEN, 0, 1)
        matches(ledger, 1, clock)
        await ledger.flush()
        assert (await only(ledger)).state is FindingState.GONE
