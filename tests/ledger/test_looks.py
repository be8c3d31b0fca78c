"""What pages ask of a ledger beside its counts: the last hours, the gate log page by page, and what changed."""

from __future__ import annotations

from datetime import date, timedelta

from proxy.admin.snapshot import look_at_findings
from proxy.gate import GateResult
from proxy.ledger import Acceptance
from proxy.ledger.decided import decided, decision
from proxy.ledger.findings import accept, close
from proxy.ledger.history import BUCKETS, history, quiet
from proxy.model import Verdict
from tests.ledger.support import START, Home, diff, difference, exchange, opened

LATER = START + timedelta(minutes=5)


async def test_the_last_hours_of_every_domain(home: Home) -> None:
    async with opened(home / "a.db") as ledger:
        for back, verdict in (
            (0, Verdict.MATCH), (0, Verdict.UNSTABLE), (9, Verdict.SHADOW_ERROR), (10, Verdict.DIFF),
            (19, Verdict.LOST), (20, Verdict.NOT_SAMPLED), (350, Verdict.MATCH), (360, Verdict.MATCH),
        ):  # fmt: skip
            exchange(ledger, verdict, at=START + timedelta(minutes=9 - back))
        exchange(ledger, Verdict.TRANSIENT, domain="orders")
        await ledger.flush()
        found = await ledger.ask(lambda connection: history(connection, LATER))
    assert set(found) == {"users", "orders"}
    users = found["users"]
    assert [one.at for one in users] == [START - timedelta(minutes=10) * back for back in range(BUCKETS - 1, -1, -1)]
    assert [(one.comparisons, one.diffs, one.failed) for one in users[-3:]] == [(0, 0, 0), (1, 1, 1), (2, 0, 1)]
    assert (users[0].comparisons, sum(one.comparisons for one in users)) == (1, 4), "older ones are left out"
    assert [one.comparisons for one in found["orders"]] == [0] * (BUCKETS - 1) + [1]
    assert [one.at for one in quiet(LATER)] == [one.at for one in users]


async def test_the_gate_log_page_by_page(home: Home) -> None:
    async with opened(home / "a.db") as ledger:
        for domain in ("users", "orders", "users"):
            result = GateResult(domain, "closed", (), ("why",), None, None, START, (), None, None)
            await ledger.store_decision(result)
        whole, meta = await ledger.ask(lambda c: decided(c, None, None, None, 10))
        assert [one.seq for one in whole] == [3, 2, 1]
        assert (meta.head, meta.count) == (whole[0].hash, 3)
        assert whole[0].prev == whole[1].hash
        assert whole[0].result is not None
        assert whole[0].result["reasons"] == ["why"]
        page, _ = await ledger.ask(lambda c: decided(c, "users", "closed", 3, 10))
        assert [one.seq for one in page] == [1]
        assert (await ledger.ask(lambda c: decided(c, None, "open", None, 10)))[0] == []
        far, _ = await ledger.ask(lambda c: decided(c, None, None, 10**15 - 1, 1))
        assert [one.seq for one in far] == [3]
        one = await ledger.ask(lambda c: decision(c, 2))
        assert one == whole[1]
        assert await ledger.ask(lambda c: decision(c, 10**15 - 1)) is None


async def test_whatever_becomes_of_a_finding_shows(home: Home) -> None:
    today = date(2026, 3, 1)
    async with opened(home / "a.db") as ledger:
        seen = []

        async def look() -> dict[tuple[str, str], int]:
            await ledger.flush()
            counts, marks = await ledger.ask(lambda c: look_at_findings(c, today))
            seen.append(marks.get("users"))
            return counts

        assert await look() == {}
        diff(ledger, "one", difference("$.a"))
        diff(ledger, "two", difference("$.b"))
        assert await look() == {("users", "open"): 2}
        first, second = await ledger.findings()
        await ledger.write(lambda c: accept(c, first.id, Acceptance("mara", "old", today, START)))
        assert await look() == {("users", "open"): 1, ("users", "accepted"): 1}
        await ledger.write(lambda c: accept(c, first.id, Acceptance("mara", "older", today, LATER)))
        assert (await look())["users", "accepted"] == 1
        await ledger.write(lambda c: close(c, second.id, LATER, "replayed"))
        assert await look() == {("users", "gone"): 1, ("users", "accepted"): 1}
        diff(ledger, "three", difference("$.a"))
        await look()
        assert len({str(one) for one in seen}) == len(seen), "each change is another mark"
