"""From counts to the gate, to the row the API shows, and to the stored decision."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from proxy.gate import GateResult, decide
from proxy.ledger import DomainCounts, ToleratedCount, domain_summary, gate_evidence, no_counts
from proxy.ledger.summary import window_json
from proxy.model import Stage, Verdict
from proxy.settings import GateSettings
from tests.ledger.support import START, Home, diff, exchange, opened

LIMITS = GateSettings.model_validate(
    {
        "min_comparisons": 2,
        "min_route_comparisons": 1,
        "min_soak": 0,
        "max_upper_bound": 1.0,
        "max_route_upper_bound": 1.0,
        "max_failure_rate": 0.5,
        "max_skip_rate": 0.5,
        "provenance": [],
        "min_damages": 0,
    }
)


def decision(counts: DomainCounts) -> GateResult:
    evidence = gate_evidence(
        counts,
        at=START,
        routes=("GET /u",),
        blockers=(),
        flags={"REPO_USER": "pg"},
        rollback_path="plan.md",
        rollback_text="back",
        recording=None,
    )
    return decide(counts.domain, LIMITS, evidence)


async def test_the_row_of_a_domain(home: Home) -> None:
    async with opened(home / "a.db") as ledger:
        exchange(ledger, entity="1")
        exchange(ledger, Verdict.NO_ROOM)
        await ledger.flush()
        good = (await ledger.domains())["users"]
        assert domain_summary(Stage.SHADOW, good, decision(good))["gate"] == "closed"
        exchange(ledger, entity="2", primary_seconds=0.004, shadow_seconds=0.004)
        await ledger.flush()
        good = (await ledger.domains())["users"]
        window = ledger.window("users")
        assert window is not None
        row = domain_summary(Stage.SHADOW, good, decision(good))
        assert row == {
            "name": "users",
            "stage": "shadow",
            "observed": 3,
            "comparisons": 2,
            "verdicts": {verdict.value: 0 for verdict in Verdict} | {"match": 2, "skipped:no_room": 1},
            "diff_rate": 0.0,
            "upper_bound": pytest.approx(1 - 0.05**0.5),
            "entities": 2,
            "last_diff_at": None,
            "gate": "open",
            "reasons": [],
            "provenance": "not_asked",
            "window": window_json(window),
            "observed_seconds": 0.0,
        }
        diff(ledger, "t1", at=START + timedelta(seconds=1))
        bad = (await ledger.domains())["users"]
        row = domain_summary(Stage.SHADOW, bad, decision(bad))
        assert (row["gate"], row["last_diff_at"]) == ("closed", "2026-03-01T12:00:01+00:00")
        assert row["reasons"][0].startswith("1 diff in 3 comparisons, at most 0 allowed. Explain and repair them")


def test_what_was_forgiven_is_told_by_kind_and_rule_whatever_the_route_and_place() -> None:
    counts = replace(
        no_counts("users"),
        tolerated=(
            ToleratedCount("GET /u", "number_string", "$.a.amount", 3, "$..amount"),
            ToleratedCount("GET /v", "number_string", "$.b.amount", 4, "$..amount"),
            ToleratedCount("GET /u", "ignore", "$.requestId", 5, "$.requestId"),
        ),
    )
    told = {note.name: note.figure for note in decision(counts).notes}
    assert told == {"tolerated": 7, "not_verified": 5, "provenance_not_asked": 0}


def test_a_domain_that_nobody_asked_and_one_whose_books_do_not_balance_are_closed() -> None:
    nothing = no_counts("users")
    row = domain_summary(Stage.OFF, nothing, decision(nothing))
    assert (row["gate"], row["diff_rate"], row["upper_bound"]) == ("closed", None, None)
    torn = replace(nothing, observed=3, verdicts={Verdict.MATCH: 2})
    assert not torn.balanced
    assert decision(torn).state == "unknown"
    assert domain_summary(Stage.SHADOW, torn, decision(torn))["gate"] == "closed"


async def test_where_the_primary_disagreed_with_itself_a_route_was_not_verified(tmp_path: Path) -> None:
    """A quiet route that is never stable is lost in the domain's rate of unstable comparisons."""
    async with opened(tmp_path / "a.db") as ledger:
        exchange(ledger)
        exchange(ledger, Verdict.UNSTABLE)
        exchange(ledger, Verdict.UNSTABLE, route="GET /v")
        await ledger.flush()
        counts = (await ledger.domains())["users"]
        evidence = gate_evidence(
            counts, at=START, routes=("GET /u", "GET /v"), blockers=(), flags={}, rollback_path=None,
            rollback_text=None, recording=None,
        )  # fmt: skip
        assert evidence.route_comparisons == {"GET /u": 1, "GET /v": 0}
        short = next(one for one in decide("users", LIMITS, evidence).conditions if one.name == "routes")
        assert not short.ok
