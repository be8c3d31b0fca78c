"""The two books: observed and verdicts agree whenever one looks, and neither is made from the other."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.ledger import Ledger, LedgerReader, Ticket
from proxy.ledger.records import MinuteCount
from proxy.ledger.tally import Slot
from proxy.model import Verdict
from tests.ledger.support import (
    START,
    Clock,
    Home,
    assert_balanced,
    crash,
    exchange,
    observed,
    opened,
    outcome,
    reading,
    url_of,
)


async def test_under_way_is_not_observed_until_it_ends(home: Home) -> None:
    async with opened(home / "a.db") as ledger:
        ticket = ledger.begin("users", "GET /u")
        for _ in range(2):
            counts = (await ledger.domains())["users"]
            assert (counts.observed, counts.under_way, counts.verdicts) == (0, 1, {})
            await ledger.flush()
        async with reading(home / "a.db") as reader:
            assert (await reader.domains())["users"].under_way == 1
        ledger.record(ticket, outcome(Verdict.TRANSIENT))
        counts = (await ledger.domains())["users"]
        assert (counts.observed, counts.under_way, counts.verdicts) == (1, 0, {Verdict.TRANSIENT: 1})


async def test_by_route_and_minute(home: Home) -> None:
    async with opened(home / "a.db") as ledger:
        exchange(ledger, Verdict.DIFF, at=START + timedelta(seconds=61))
        exchange(ledger, Verdict.DIFF, at=START + timedelta(seconds=30))
        exchange(ledger, Verdict.MATCH, route="GET /v", at=START + timedelta(minutes=9, seconds=5))
        for _ in range(2):
            counts = (await ledger.domains())["users"]
            assert counts.routes["GET /u"].verdicts == {Verdict.DIFF: 2}
            assert counts.routes["GET /v"].verdicts == {Verdict.MATCH: 1}
            assert (counts.comparisons, counts.failures) == (3, 0)
            assert counts.last_diff_at == START + timedelta(seconds=61)
            assert (counts.first_at, counts.last_at) == (START, START + timedelta(minutes=9))
            await ledger.flush()
        assert await ledger.minutes("users", START + timedelta(minutes=1)) == [
            MinuteCount(START + timedelta(minutes=1), Verdict.DIFF, 1),
            MinuteCount(START + timedelta(minutes=9), Verdict.MATCH, 1),
        ]


async def test_a_verdict_that_goes_missing_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The books are kept apart: a fault in one is not copied to the other."""
    async with opened(tmp_path / "a.db") as ledger:
        exchange(ledger)
        with monkeypatch.context() as patched:
            patched.setattr(Slot, "count", lambda *_: None)
            exchange(ledger)
        for _ in range(2):
            counts = (await ledger.domains())["users"]
            assert (counts.observed, counts.verdicts) == (2, {Verdict.MATCH: 1})
            assert not counts.balanced
            await ledger.flush()
    async with reading(tmp_path / "a.db") as reader:
        assert not (await reader.domains())["users"].balanced


async def test_a_second_outcome_is_ignored_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with opened(tmp_path / "a.db") as ledger:
        ticket = ledger.begin("users", "GET /u")
        ledger.record(ticket, outcome())
        ledger.record(ticket, outcome(Verdict.DIFF))
        assert (await ledger.domains())["users"].verdicts == {Verdict.MATCH: 1}
        assert ledger.recording.misused == 1
    assert "a second outcome (diff)" in caplog.text


async def test_an_outcome_counts_where_its_ticket_was_begun(tmp_path: Path) -> None:
    async with opened(tmp_path / "a.db") as ledger:
        ledger.record(ledger.begin("users", "GET /u"), outcome(domain="other", route="GET /o"))
        domains = await ledger.domains()
        assert list(domains) == ["users"]
        assert_balanced(domains)


async def test_a_time_without_zone_counts_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path / "a.db") as ledger:
        ticket = ledger.begin("users", "GET /u")
        with pytest.raises(TypeError):
            ledger.record(ticket, outcome(at=START.replace(tzinfo=None)))
        counts = (await ledger.domains())["users"]
        assert (counts.observed, counts.under_way) == (0, 1)


async def test_what_is_under_way_at_the_end_is_lost(home: Home) -> None:
    async with opened(home / "a.db") as ledger:
        tickets = [ledger.begin("users", "GET /u") for _ in range(3)]
        ledger.record(tickets[0], outcome())
    ledger.record(tickets[0], outcome())
    async with reading(home / "a.db") as reader:
        counts = (await reader.domains())["users"]
        assert counts.verdicts == {Verdict.MATCH: 1, Verdict.LOST: 2}
        assert (counts.observed, counts.under_way) == (3, 0)


async def test_closing_twice_and_asking_afterwards(tmp_path: Path) -> None:
    async with opened(tmp_path / "a.db") as ledger:
        exchange(ledger)
        await asyncio.gather(ledger.close(), ledger.close())
        await ledger.flush()
        assert observed(await ledger.domains()) == 1


async def test_names_beyond_all_measure_are_kept_apart(tmp_path: Path) -> None:
    async with opened(tmp_path / "a.db") as ledger:
        for ending in "ab":
            exchange(ledger, route="GET /" + "é" * 3_000 + ending)
        await crash(ledger)
    async with opened(tmp_path / "a.db") as ledger:
        counts = (await ledger.domains())["users"]
        assert counts.verdicts == {Verdict.LOST: 2}
        assert len(counts.routes) == 2


async def test_more_routes_than_one_segment_of_the_journal(tmp_path: Path) -> None:
    async with opened(tmp_path / "a.db") as ledger:
        for n in range(200):
            for _ in range(n % 3 + 1):
                ledger.begin("users", f"GET /{n}")
        await crash(ledger)
    async with opened(tmp_path / "a.db") as ledger:
        routes = (await ledger.domains())["users"].routes
        assert {route: one.observed for route, one in routes.items()} == {f"GET /{n}": n % 3 + 1 for n in range(200)}


async def test_identity_under_cancellation(home: Home) -> None:
    """Callers are cancelled at every point where they wait; no answer may ever be out of balance."""
    async with opened(home / "a.db", flush_seconds=0.001) as ledger:

        async def one(n: int) -> None:
            ticket = ledger.begin("users", f"GET /{n % 3}")
            try:
                await ledger.flush()
                assert_balanced(await ledger.domains())
            finally:
                ledger.record(ticket, outcome(Verdict.CANCELLED if n % 2 else Verdict.MATCH))

        for round_ in range(1, 31):
            tasks = [asyncio.ensure_future(one(n)) for n in range(10)]
            for _ in range(round_):
                await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            for task in tasks:
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            assert_balanced(await ledger.domains())
        await ledger.flush()
        assert observed(await ledger.domains()) == 300
    async with reading(home / "a.db") as reader:
        domains = await reader.domains()
        assert_balanced(domains)
        assert observed(domains) == 300


async def test_old_minutes_are_joined_and_nothing_is_lost(home: Home) -> None:
    clock = Clock()
    async with opened(home / "a.db", clock=clock) as ledger:
        for minute in range(150):
            exchange(ledger, at=START + timedelta(minutes=minute))
        await ledger.flush()
        assert len(await ledger.minutes("users", START)) == 150
        for days, counts in ((3, [60, 60, 30]), (100, [150])):
            clock.tick(days=days)
            await ledger.flush()
            found = await ledger.minutes("users", START - timedelta(days=1))
            assert [one.count for one in found] == counts
            await ledger.flush()
        assert [(one.at, one.verdict) for one in found] == [(START.replace(hour=0), Verdict.MATCH)]
        assert (await ledger.domains())["users"].observed == 150


operations = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), st.integers(0, 3)),
        st.tuples(st.just("record"), st.sampled_from(list(Verdict))),
        st.tuples(st.sampled_from(["flush", "restart", "crash", "second"]), st.none()),
        st.tuples(st.sampled_from(["enter", "second enters"]), st.sampled_from("xy")),
    ),
    max_size=25,
)


@settings(max_examples=10, deadline=None)
@given(operations)
def test_identity_after_each_of_any_operations(steps: list[tuple[str, object]]) -> None:
    asyncio.run(_follow(steps))


async def _follow(steps: list[tuple[str, object]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.db"
        begun, tickets = 0, list[Ticket]()
        async with contextlib.AsyncExitStack() as stack:

            async def start() -> Ledger:
                return await stack.enter_async_context(opened(path))

            ledger = await start()
            for name, detail in steps:
                match name:
                    case "begin":
                        tickets.append(ledger.begin(f"d{detail}", "GET /"))
                        begun += 1
                    case "record" if tickets:
                        ledger.record(tickets.pop(), outcome(Verdict(str(detail))))
                    case "flush":
                        await ledger.flush()
                    case "restart":
                        await ledger.close()
                        ledger, tickets = await start(), []
                    case "crash":
                        await crash(ledger)
                        ledger, tickets = await start(), []
                    case "second":
                        async with opened(path) as other:
                            exchange(other, domain="d0")
                            begun += 1
                    case "enter":
                        ledger.enter("d0", {"rules": str(detail)}, START)
                    case "second enters":
                        async with opened(path) as other:
                            other.enter("d0", {"rules": str(detail)}, START)
                            exchange(other, domain="d0")
                            begun += 1
                    case _:
                        pass
                domains = await ledger.domains()
                assert_balanced(domains)
                assert observed(domains) + len(tickets) == begun
                of = {domain: counts.window.id for domain, counts in domains.items() if counts.window is not None}
                current = sum(ticket.window == of[ticket.slot.domain] for ticket in tickets)
                assert sum(counts.under_way for counts in domains.values()) == current
                reader = await LedgerReader.open(url_of(path))
                assert_balanced(await reader.domains())
                await reader.close()
