"""A zero that rests on rules that hide too much keeps the gate closed, and evidence of other rules does not count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.e2e.backends import answering, backend, response
from tests.e2e.conftest import PAIRS, running, settings
from tests.e2e.evidence import EASY, asked_until, failing, plan, told

BODY = b'{"data": {"id": "%s", "amount": "%s", "title": "A chair", "isOpen": true, "at": "2026-03-01T08:00:00.000Z"}}'
PRIMARY = response(BODY % (PAIRS[0]["legacy"].encode(), b"10.50"))
SHADOW = response(BODY % (PAIRS[0]["uuid"].encode(), b"10.50"))
WRONG = response(BODY % (PAIRS[0]["uuid"].encode(), b"10.51"))


def things(folder: Path, compare: dict[str, Any], **gate: Any) -> dict[str, Any]:
    """The one domain of these tests, with `compare` as its rules."""
    domain = {"routes": ["GET /api/things/{id}"], "rollback_plan": plan(folder), "compare": compare}
    return {"domains": {"things": domain}, "gate": {**EASY, **gate}}


async def test_a_rule_that_hides_the_amount_is_a_blind_spot_and_keeps_the_gate_closed(folder: Path) -> None:
    async with backend(answering(PRIMARY)) as primary, backend(answering(WRONG)) as shadow:
        hiding = things(folder, {"ignore": ["$..amount"]})
        async with running(settings(folder, primary, shadow, **hiding)) as proxy:
            domain = await asked_until(proxy, lambda one: "blind_spots" in failing(one) and "amount" in str(one))
            await asked_until(proxy, lambda one: list(failing(one)) == ["blind_spots"])
            gate = await told(proxy, "/api/v1/gates/things")
    assert domain["verdicts"].get("diff", 0) == 0  # the wrong amount was never seen
    assert gate["state"] == "closed"
    (reason,) = gate["reasons"]
    assert "$.data.amount" in reason
    assert "ignore $..amount" in reason


async def test_without_that_rule_the_gate_opens_and_where_it_is_accepted_too(folder: Path) -> None:
    async with backend(answering(PRIMARY)) as primary, backend(answering(SHADOW)) as shadow:
        async with running(settings(folder, primary, shadow, **things(folder, {}))) as proxy:
            await asked_until(proxy, lambda one: one["gate"] == "open")
        accepted = things(folder, {"ignore": ["$..amount"]}, accept_blind=["$.data.amount"])
        async with running(settings(folder, primary, shadow, **accepted)) as proxy:
            await asked_until(proxy, lambda one: one["gate"] == "open")


async def test_another_rule_begins_another_window_and_the_same_rules_continue_it(folder: Path) -> None:
    async with backend(answering(PRIMARY)) as primary, backend(answering(SHADOW)) as shadow:
        before = things(folder, {})
        async with running(settings(folder, primary, shadow, **before)) as proxy:
            first = await asked_until(proxy, lambda one: one["comparisons"] >= 12)
        async with running(settings(folder, primary, shadow, **before)) as proxy:
            same = await told(proxy, "/api/v1/domains/things")
        assert same["window"]["id"] == first["window"]["id"]
        assert same["comparisons"] >= first["comparisons"]
        tolerant = things(folder, {"tolerate": [{"kind": "number_string", "at": "$..amount"}]})
        async with running(settings(folder, primary, shadow, **tolerant)) as proxy:
            other = await told(proxy, "/api/v1/domains/things")
            assert other["window"]["id"] != first["window"]["id"]
            assert "rules" in other["window"]["why"]
            assert (other["comparisons"], other["gate"]) == (0, "closed")
            later = await asked_until(proxy, lambda one: one["comparisons"] >= 3)
    assert later["observed"] == sum(later["verdicts"].values())
    assert later["lifetime"]["observed"] >= first["comparisons"] + later["comparisons"]
