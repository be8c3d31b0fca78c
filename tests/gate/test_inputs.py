"""A stored decision bears all that it was made of: from its inputs alone the same decision is made again."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from proxy.gate import GateEvidence, decide
from proxy.model import Side, Verdict
from proxy.settings import GateSettings
from proxy.window import DamageCount, FieldCount, KnownEntities, Latency, Standing, Watch, Window
from tests.gate.making import AT, STRICT, damage, evidence, limits, standing


def restored(inputs: dict[str, Any], rollback_text: str | None) -> tuple[GateSettings, GateEvidence]:
    told = inputs["evidence"]
    moment = datetime.fromisoformat
    window = told["window"]
    return GateSettings.model_validate(inputs["limits"]), GateEvidence(
        at=moment(told["at"]),
        observed=told["observed"],
        verdicts={Verdict(name): count for name, count in told["verdicts"].items()},
        window=window and Window(window["id"], "users", window["parts"], moment(window["started_at"]), window["why"]),
        rules=told["rules"],
        lifetime_observed=told["lifetime_observed"],
        lifetime_verdicts={Verdict(name): count for name, count in told["lifetime_verdicts"].items()},
        routes=tuple(told["routes"]),
        route_comparisons={route: made for route, (made, _) in told["routes"].items()},
        route_diffs={route: diffs for route, (_, diffs) in told["routes"].items()},
        known_gaps=told["known_gaps"],
        entity_kinds=tuple(told["entity_kinds"]),
        entities=told["entities"],
        entities_exact=told["entities_exact"],
        known={k: KnownEntities(k, one["count"], one["exact"], moment(one["at"])) for k, one in told["known"].items()},
        watches=tuple(Watch(moment(began), moment(ended), why) for began, ended, why in told["watches"]),
        pulse_seconds=told["pulse_seconds"],
        last_comparison_at=told["last_comparison_at"] and moment(told["last_comparison_at"]),
        standings=tuple(
            Standing("users", one["check"], one["proof"], one["text"], moment(one["at"])) for one in told["standings"]
        ),
        fields=told["fields"]["known"],
        fields_not_verified=told["fields"]["not_verified"],
        empty_fields=tuple(FieldCount(route, path, 0, 0, 0, 0, 0) for route, path in told["fields"]["named"]),
        damages=tuple(DamageCount(*one) for one in told["damages"]),
        latency={
            Side(side): Latency({int(bucket): count for bucket, count in counts.items()})
            for side, counts in told["latency"].items()
        },
        blockers=tuple(told["blockers"]),
        flags=told["flags"],
        rollback_path=told["rollback_path"],
        rollback_text=rollback_text,
        recording=told["recording"],
        live=told["live"],
        tolerated={(kind, rule): count for kind, rule, count in told["tolerated"]},
        expired=tuple(told["expired"]),
        expiring=tuple(told["expiring"]),
        warn_days=told["warn_days"],
    )


FULL = {
    "damages": (
        damage("$.a", 300, 300),
        damage("$.b", 300, 300),
        damage("$.c", 9, 2, "number", "number $..c"),
        damage("$.d", 9, 0, "id", "ignore $.d"),
        damage("$.at", 9, 9, "date"),
    ),
    "fields": 2,
    "fields_not_verified": 1,
    "empty_fields": (FieldCount("GET /a", "$.e", 7, 7, 7, 0, 0),),
    "tolerated": {("number_string", "$..amount"): 4, ("ignore", "$.d"): 2},
    "expiring": ("compare.ignore.0",),
    "warn_days": 14,
    "standings": (standing("health", "unknown", "away."), standing("scans")),
    "watches": (Watch(AT - timedelta(days=1), AT - timedelta(hours=2)), Watch(AT - timedelta(hours=1), AT, "down")),
}


@pytest.mark.parametrize("changes", [{}, FULL, {"window": None, "last_comparison_at": None, "rollback_text": None}])
@pytest.mark.parametrize("gate", [STRICT, limits(accept_blind=["$..at"], provenance=[], max_hole=3_600)])
def test_the_same_decision_is_made_from_what_was_stored(changes: dict[str, Any], gate: GateSettings) -> None:
    found = evidence(**changes)
    first = decide("users", gate, found)
    stored = json.loads(json.dumps(first.as_json()))
    again = decide("users", *restored(stored["inputs"], found.rollback_text))
    assert again.conditions == first.conditions
    assert (again.state, again.diff_rate, again.upper_bound) == (first.state, first.diff_rate, first.upper_bound)
    assert again.notes == first.notes
