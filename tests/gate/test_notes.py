"""What a gate's answer tells beside its conditions, without deciding on it."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.gate import decide
from tests.gate.making import STRICT, evidence


@pytest.mark.parametrize(
    ("changes", "name", "figure", "sentence"),
    [
        (
            {"tolerated": {("number_string", "$..amount"): 1_000, ("date_format", "$..at"): 3, ("alias", ""): 1}},
            "tolerated",
            1_004,
            "3 rules forgave 1,004 times: number_string $..amount (1,000), date_format $..at (3), "
            "alias (rule not kept) (1).",
        ),
        (
            {"tolerated": {("ignore", "$.requestId"): 7, ("ignore", "$..__v"): 20}},
            "not_verified",
            27,
            "What 2 rules ignore is not verified, 27 times so far: ignore $..__v (20), ignore $.requestId (7).",
        ),
        (
            {"tolerated": {("ignore", "$.x"): 1}},
            "not_verified",
            1,
            "What 1 rule ignores is not verified, once so far: ignore $.x (1).",
        ),
        (
            {"expired": ("compare.ignore.0 (until 2026-02-28)",)},
            "expired_rules",
            1,
            "1 rule is past the date in until and no longer applied: compare.ignore.0 (until 2026-02-28). "
            "What was forgiven there is a difference again: remove the rule, or give it a later date.",
        ),
        (
            {"expiring": tuple(f"r{n}" for n in range(12)), "warn_days": 14},
            "expiring_rules",
            12,
            "12 rules expire within 14 days: r0, r1, r2, r3, r4, r5, r6, r7, r8, r9 and 2 more.",
        ),
    ],
)
def test_a_note_leaves_the_gate_as_it_is(changes: dict[str, Any], name: str, figure: int, sentence: str) -> None:
    result = decide("users", STRICT, evidence(**changes))
    assert (result.state, result.reasons) == ("open", ())
    assert result.as_json()["notes"] == [{"name": name, "figure": figure, "text": sentence}]


def test_all_of_them_are_told_and_nothing_when_there_is_nothing_to_tell() -> None:
    tolerated = {("ignore", "$.x"): 2, ("case", "$.y"): 3}
    full = decide("users", STRICT, evidence(tolerated=tolerated, expired=("a",), expiring=("b",), warn_days=14))
    assert [(note.name, note.figure) for note in full.notes] == [
        ("tolerated", 3), ("not_verified", 2), ("expired_rules", 1), ("expiring_rules", 1),
    ]  # fmt: skip
    assert decide("users", STRICT, evidence()).notes == ()
