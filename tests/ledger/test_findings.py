"""Findings, traces, tolerances: what is joined, what is kept, and what is said of the rest."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from comparators.model import Kind, Tolerated
from proxy.errors import LedgerError
from proxy.ledger import ToleratedCount
from proxy.ledger import details as details_module
from proxy.ledger.details import finding_id, sample_of
from proxy.model import Verdict
from tests.ledger.support import START, TOLERATED, Home, diff, difference, exchange, opened, reading, trace


async def test_differences_at_one_pattern_are_one_finding(home: Home) -> None:
    async with opened(home / "a.db") as ledger:
        first = difference("$.data[0].price", Kind.NUMBER_STRING, 10, "10")
        diff(ledger, "t1", first, difference("$.data[7].price", Kind.NUMBER_STRING, 5, "5"))
        await ledger.flush()
        diff(ledger, "t2", difference("$.data[3].price", Kind.NUMBER_STRING), at=START + timedelta(hours=1))
        diff(ledger, "t3", difference("$.data[3].price", Kind.MISSING))
        for _ in range(2):
            found, other = await ledger.findings()
            assert found.id == finding_id("users", "GET /u", "$.data[*].price", "number_string")
            assert (found.path, found.exchanges, found.differences) == ("$.data[*].price", 2, 3)
            assert (found.first_at, found.last_at) == (START, START + timedelta(hours=1))
            assert (found.first_trace, found.last_trace) == ("t1", "t2")
            assert (found.sample_primary, found.sample_shadow) == ("10", '"10"')
            assert await ledger.finding(found.id) == found
            assert [one.id for one in await ledger.traces(finding=found.id)] == ["t2", "t1"]
            assert (other.kind, other.exchanges) == (Kind.MISSING, 1)
            assert await ledger.findings("nobody") == []
            await ledger.flush()
    async with reading(home / "a.db") as reader:
        assert await reader.findings("users") == [found, other]
        assert await reader.finding("no such") is None


async def test_only_a_settled_difference_is_a_finding(tmp_path: Path) -> None:
    async with opened(tmp_path / "a.db") as ledger:
        for verdict in (Verdict.TRANSIENT, Verdict.UNSTABLE):
            exchange(ledger, verdict, differences=(difference(),), trace=trace(verdict.value, verdict=verdict))
        assert await ledger.findings() == []
        assert {one.id for one in await ledger.traces()} == {"transient", "unstable"}


async def test_findings_past_the_limit_are_counted_in_one_figure(home: Home) -> None:
    path = home / "a.db"
    async with opened(path, max_findings=3) as ledger, opened(path, max_findings=3) as other:
        diff(other, "elsewhere", difference("$.taken"))
        await other.flush()
        diff(ledger, "t1", *(difference(f"$.p{n}") for n in range(5)))
        assert len(await ledger.findings()) == 3
        counts = (await ledger.domains())["users"]
        assert counts.findings_overflow == 3
        assert sum(one.differences for one in await ledger.findings()) + 3 == 6


async def test_a_trace_comes_back_as_it_went_in(home: Home) -> None:
    async with opened(home / "a.db") as ledger:
        values = {"big": 2**80, "text": "سلام\ud800", "none": None, "list": [1, 2.5]}
        found = diff(ledger, "t1", difference("$.x", Kind.TYPE_CHANGED, values, [values]), primary_status=None)
        assert await ledger.trace("t1") == found
        await ledger.flush()
        assert ledger.recording.ok
        assert await ledger.trace("t1") == found
        assert await ledger.trace("t2") is None


async def test_a_trace_of_two_bodies_each_as_large_as_one_may_be(home: Home) -> None:
    async with opened(home / "a.db") as ledger:
        body = '{"a":' * 600_000
        found = diff(ledger, "t1", primary_body=body, shadow_body=body)
        await ledger.flush()
        assert await ledger.trace("t1") == found


async def test_the_newest_traces_are_kept_and_the_first_of_each_finding(home: Home) -> None:
    async with opened(home / "a.db", max_traces=5) as ledger:
        for n in range(30):
            diff(
                ledger,
                f"t{n:02}",
                difference("$.late" if n >= 9 else "$.early"),
                at=START + timedelta(seconds=n),
            )
            if n % 4 == 0:
                await ledger.flush()
        await ledger.flush()
        assert [one.id for one in await ledger.traces()] == ["t29", "t28", "t27", "t09", "t00"]
        early = next(one for one in await ledger.findings() if one.path == "$.early")
        assert (early.first_trace, early.last_trace) == ("t00", "t00")


async def test_traces_are_bounded_in_bytes(home: Home) -> None:
    # Text that does not compress, so that ten of these pass the limit.
    body = "".join(chr(0x4E00 + (n * 7919 + n * n) % 20_000) for n in range(10_000))
    async with opened(home / "a.db", max_trace_bytes=100_000) as ledger:
        for n in range(20):
            diff(ledger, f"t{n:02}", difference("$.same"), at=START + timedelta(seconds=n), primary_body=body)
            diff(ledger, f"f{n:02}", difference(f"$.f{n}"), at=START + timedelta(seconds=n), primary_body=body)
            await ledger.flush()
        assert sum(one.stat().st_size for one in home.glob("a.db")) < 400_000
        kept = {one.id for one in await ledger.traces()}
        assert {f"f{n:02}" for n in range(20)} <= kept, "the first of each finding stays"
        full, cut = await ledger.trace("f00"), await ledger.trace("f19")
        assert full is not None
        assert full.primary_body == body
        assert cut is not None
        assert cut.primary_body is None
        assert "at their limit" in cut.detail


async def test_waiting_traces_are_bounded_and_those_dropped_are_counted(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(details_module, "QUEUE_TRACES", 4)
    async with opened(home / "a.db") as ledger:
        for n in range(10):
            diff(ledger, f"t{n}", difference("$.x"), at=START + timedelta(seconds=n))
        assert (ledger.recording.traces, ledger.recording.dropped_traces) == (4, 6)
        assert [one.id for one in await ledger.traces()] == ["t9", "t8", "t7", "t0"]
        await ledger.flush()
        assert [one.id for one in await ledger.traces()] == ["t9", "t8", "t7", "t0"]
        found = (await ledger.findings())[0]
        assert (found.exchanges, found.first_trace, found.last_trace) == (10, "t0", "t9")


async def test_traces_wait_within_so_many_bytes_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(details_module, "QUEUE_BYTES", 100_000)
    async with opened(tmp_path / "a.db") as ledger:
        for n in range(5):  # each letter takes four bytes
            diff(ledger, f"t{n}", primary_body="\U0001f600" * 10_000, at=START + timedelta(seconds=n))
        assert (ledger.recording.traces, ledger.recording.dropped_traces) == (2, 3)
        wide = [difference(f"$.x{n}", primary="y" * 2_000) for n in range(50)]
        diff(ledger, "wide", *wide, shadow_body=None, at=START + timedelta(seconds=9))
        assert "wide" not in {one.id for one in await ledger.traces()}


async def test_pages_of_traces(home: Home) -> None:
    async with opened(home / "a.db") as ledger:
        for n in range(7):  # pairs share a moment
            diff(ledger, f"t{n}", at=START + timedelta(seconds=n // 2))
            if n == 3:
                await ledger.flush()
        seen: list[str] = []
        before: str | None = None
        while page := await ledger.traces("users", limit=2, before=before):
            seen += [one.id for one in page]
            before = page[-1].cursor
        assert seen == ["t6", "t5", "t4", "t3", "t2", "t1", "t0"]
        with pytest.raises(LedgerError, match="not a place in the list"):
            await ledger.traces(before="x'; DROP TABLE traces")


async def test_tolerances_are_added_up_by_rule_and_place(home: Home) -> None:
    nearer = replace(TOLERATED, rule="$.data[*].*")
    async with opened(home / "a.db") as ledger:
        for _ in range(2):
            exchange(ledger, tolerated=(TOLERATED, nearer))
            await ledger.flush()
            exchange(ledger, tolerated=(TOLERATED,))
        expected = (
            ToleratedCount("GET /u", "null_missing", "$.data[*].note", 12, "$..note"),
            ToleratedCount("GET /u", "null_missing", "$.data[*].note", 6, "$.data[*].*"),
        )
        assert (await ledger.domains())["users"].tolerated == expected
    async with reading(home / "a.db") as reader:
        assert (await reader.domains())["users"].tolerated == expected


async def test_places_of_tolerances_are_bounded_and_then_counted_by_rule(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(details_module, "TOLERATED_PLACES", 1)
    long = Tolerated("ignore", "$." + "p" * 1_000, 1, "$.\ud800" + "r" * 1_000)
    path, rule = "$." + "p" * 498, "$.?" + "r" * 497
    async with opened(home / "a.db") as ledger, opened(home / "a.db") as other:
        exchange(ledger, tolerated=(long, TOLERATED))
        exchange(ledger, tolerated=tuple(replace(TOLERATED, rule=f"$..{n}") for n in range(6)))
        assert len(ledger._tally.details.places) == 3
        await ledger.flush()
        # The other process has had room for what the file has none for any more.
        exchange(other, tolerated=(TOLERATED, long))
        await other.flush()
        exchange(ledger, tolerated=(long, TOLERATED))
        for _ in range(2):
            found = (await ledger.domains())["users"].tolerated
            assert {(one.kind, one.path, one.rule): one.count for one in found} == {
                ("ignore", path, rule): 2,
                ("ignore", "(other places)", ""): 1,
                ("null_missing", "(other places)", "$..note"): 9,
                ("null_missing", "(other places)", ""): 18,
            }
            await ledger.flush()


def test_a_sample_is_cut_and_can_be_stored() -> None:
    text = sample_of({"list": ["x" * 10] * 10**6})
    assert len(text) == details_module.SAMPLE_CHARACTERS + 3
    assert sample_of("\ud800") == '"\\ud800"'
