"""Known gaps explain differences of their own rows, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from comparators.ids import IdPair, IdTable
from comparators.model import Difference, Kind
from proxy.verify.gaps import explained, ids_at

LEGACY, OTHER, THIRD = "a" * 24, "b" * 24, "c" * 24
UUID = "11111111-1111-4111-8111-111111111111"
TABLE = IdTable.of([IdPair("payment", LEGACY, UUID)])
BODY = {"total": 2, "data": [{"id": LEGACY, "amount": "1", "buyer": {"_id": OTHER, "name": "x"}}, {"id": THIRD}]}


def at(path: str, primary: Any = None, shadow: Any = None, kind: Kind = Kind.VALUE_CHANGED) -> frozenset[str]:
    return ids_at(json.dumps(BODY).encode(), [Difference(path, kind, primary, shadow)])[0]


@pytest.mark.parametrize(
    ("path", "primary", "shadow", "wanted"),
    [
        ("$.data[0].amount", "1", "2", {LEGACY}),
        ("$.data[0].buyer.name", "x", "y", {OTHER}),
        ("$.data[0].buyerId", OTHER, UUID, {OTHER, UUID}),
        ("$.data[0].link", f"/users/{OTHER}/x", None, {OTHER}),
        ("$.data[1]", {"id": THIRD, "buyer": {"id": OTHER}}, None, {THIRD}),
        ("$.total", 2, 1, set()),
        ("$.data", [{"id": LEGACY}], [], set()),
        ("$.nowhere[3].x", 1, 2, set()),
        ("status", 200, 404, set()),
    ],
)
def test_the_ids_of_a_difference(path: str, primary: Any, shadow: Any, wanted: set[str]) -> None:
    assert at(path, primary, shadow) == wanted


def test_a_body_that_is_no_json_has_the_ids_of_the_values_alone() -> None:
    found = ids_at(
        b"<html>", [Difference("$.a", Kind.VALUE_CHANGED, LEGACY, 1), Difference("$.b", Kind.ADDED, None, 1)]
    )
    assert found == (frozenset({LEGACY}), frozenset())


NONE: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    ("differences", "subject", "kind", "gaps", "wanted"),
    [
        ([frozenset()], LEGACY, "payment", {LEGACY: frozenset({"payment"})}, True),
        ([frozenset()], LEGACY, "payment", {LEGACY: NONE}, True),
        ([frozenset()], LEGACY, "", {LEGACY: frozenset({"payment"})}, True),
        ([frozenset()], LEGACY, "payment", {UUID: NONE}, True),
        ([frozenset()], LEGACY, "payment", {LEGACY: frozenset({"user"})}, False),
        ([frozenset({UUID})], None, "", {LEGACY: NONE}, True),
        ([frozenset({LEGACY}), frozenset({OTHER})], None, "", {LEGACY: NONE, OTHER: NONE}, True),
        ([frozenset({LEGACY}), frozenset({OTHER})], None, "", {LEGACY: NONE}, False),
        ([frozenset({LEGACY}), frozenset()], None, "", {LEGACY: NONE}, False),
        ([frozenset({LEGACY})], OTHER, "", {}, False),
        ([], None, "", {LEGACY: NONE}, False),
    ],
)
def test_every_difference_has_to_be_explained(
    differences: list[frozenset[str]], subject: str | None, kind: str, gaps: dict[str, frozenset[str]], wanted: bool
) -> None:
    assert explained(differences, subject, kind, gaps, TABLE) is wanted
