"""Evidence that opens a gate with the strict defaults, to be changed in one place at a time."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from proxy.gate import GateEvidence, GateResult
from proxy.model import Side, Verdict
from proxy.settings import GateSettings
from proxy.window import DamageCount, KnownEntities, Latency, Standing, Watch, Window

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
STRICT = GateSettings()
SAME_STORE = "both sides read the same store ($.stores.user is mongo on both)."


def limits(**changes: Any) -> GateSettings:
    return GateSettings.model_validate({**STRICT.model_dump(), **changes})


def damage(path: str = "$.name", tried: int = 100, seen: int = 100, sort: str = "text", rule: str = "") -> DamageCount:
    return DamageCount("GET /a", path, sort, tried, seen, rule)


def standing(check: str, proof: str = "proven", text: str = "as expected.", *, hours: float = 1) -> Standing:
    return Standing("users", check, proof, text, AT - timedelta(hours=hours))  # type: ignore[arg-type] # plain texts


def evidence(verdicts: dict[Verdict, int] | None = None, **changes: Any) -> GateEvidence:
    verdicts = {Verdict.MATCH: 12_000} if verdicts is None else verdicts
    good = GateEvidence(
        at=AT,
        observed=sum(verdicts.values()),
        verdicts=verdicts,
        window=Window(
            "w1",
            "users",
            {"rules": "abc", "primary": "1.0, mongo", "shadow": "1.0, postgres"},
            AT - timedelta(days=2),
            "the rules changed from ab1 to abc",
        ),
        rules="abc",
        lifetime_observed=20_000,
        lifetime_verdicts={Verdict.MATCH: 19_999, Verdict.DIFF: 1},
        routes=("GET /a", "GET /b"),
        route_comparisons={"GET /a": 11_970, "GET /b": 30},
        entity_kinds=("user",),
        entities={"user": 100},
        known={"user": KnownEntities("user", 5_000, exact=True, at=AT)},
        watches=(Watch(AT - timedelta(days=1), AT, "the proxy did not run"),),
        last_comparison_at=AT - timedelta(minutes=1),
        standings=(standing("health"), standing("scans")),
        fields=3,
        damages=(damage(), DamageCount("GET /b", "$", "drop", 100, 100)),
        latency={Side.PRIMARY: Latency({80: 100}), Side.SHADOW: Latency({88: 100})},
        flags={"REPO_USER": "pg", "AUTH_STORE": "postgres"},
        rollback_path="rollback/users.md",
        rollback_text="Set REPO_USER=mongo.",
    )
    return replace(good, **changes)


def failed(result: GateResult) -> dict[str, str]:
    return {condition.name: condition.reason for condition in result.conditions if not condition.ok}
