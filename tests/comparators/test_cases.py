"""Pairs of bodies and exactly what must be said of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from comparators.compare import compare_bodies
from comparators.ids import IdPair, IdTable
from comparators.model import Comparison
from comparators.rules import compile_rules

LINES = Path(__file__).with_name("cases.jsonl").read_text(encoding="utf-8").splitlines()
CASES: list[dict[str, Any]] = [json.loads(line) for line in LINES]


def compared(case: dict[str, Any], first: str, second: str) -> Comparison:
    table = IdTable.of(IdPair(*pair) for pair in case["ids"])
    return compare_bodies(case[first].encode(), case[second].encode(), compile_rules([case["rules"]]), table)


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_case(case: dict[str, Any]) -> None:
    found = compared(case, "primary", "shadow")
    assert [[d.path, d.kind.value] for d in found.differences] == case["differences"]
    assert [[t.kind, t.path, t.count] for t in found.tolerated] == case["tolerated"]
    assert found.total == len(case["differences"])
    assert found.equal is (not case["differences"])


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_case_with_the_sides_swapped(case: dict[str, Any]) -> None:
    found = compared(case, "shadow", "primary")
    mirror = {"missing": "added", "added": "missing"}
    assert sorted(d.kind.value for d in found.differences) == sorted(
        mirror.get(kind, kind) for _, kind in case["differences"]
    )


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_case_against_itself(case: dict[str, Any]) -> None:
    for side in ("primary", "shadow"):
        assert compared(case, side, side).equal
        again = {**case, "spaced": f" {case[side]}\n"}
        assert compared(again, side, "spaced").equal or "unparseable" in str(case["differences"])
