"""Large and hostile bodies end in seconds, and no answer depends on the seed of string hashes."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from typing import Any

import pytest

from comparators.compare import compare_bodies
from comparators.ids import IdPair, IdTable, Pairings, tokens
from comparators.rules import compile_rules

ROWS = [{"_id": f"{n:024x}", "v": n, "k": {"a": n % 7}} for n in range(10_000)]
BARE = [{"v": n, "k": {"a": n % 7}} for n in range(10_000)]
BITS = [n * n % 7 % 2 for n in range(10_000)]
SECONDS = 8
"""Quadratic work on these bodies takes minutes."""


@pytest.mark.parametrize(
    "order", [None, "any", {"key": "v"}, {"sorted_by": "v"}], ids=["none", "any", "key", "sorted_by"]
)
@pytest.mark.parametrize("rows", [ROWS, BARE, BITS], ids=["ids", "no ids", "bits"])
def test_reordered_and_changed_arrays(rows: list[Any], order: Any) -> None:
    rules = compile_rules([{"order": {"$": order}} if order else {}])
    shuffled = random.Random(1).sample(rows, len(rows))
    changed = [{**row, "k": 1} if isinstance(row, dict) else 1 - row for row in shuffled]
    start = time.perf_counter()
    for other in (shuffled, changed):
        compare_bodies(json.dumps(rows).encode(), json.dumps(other).encode(), rules, IdTable())
    assert time.perf_counter() - start < SECONDS


@pytest.mark.parametrize("block", [{}, {"order": {"$..": "any"}}], ids=["none", "any"])
def test_much_at_the_bottom_of_deep_arrays(block: dict[str, Any]) -> None:
    left, right = (
        b"[0," * 150 + json.dumps([*BARE, {"v": last}]).encode() + b"]" * 150 for last in (1, 2)
    )  # fmt: skip
    start = time.perf_counter()
    assert compare_bodies(left, right, compile_rules([block]), IdTable()).total == 1
    assert time.perf_counter() - start < SECONDS


def test_the_seed_of_hashes_changes_nothing() -> None:
    program = (
        "from comparators.compare import compare_bodies as c; from comparators.rules import compile_rules as r;"
        "from comparators.ids import IdTable as t;"
        'print(c(b\'[{"a":1,"b":["x","y"]},{"c":2},"p","q"]\',b\'["q",{"c":3},"z",{"b":["y","x"],"a":1}]\','
        "r([{'order':{'$..':'any'}}]),t()))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True, check=True, text=True,
        ).stdout
        for seed in ("0", "1", "2", "3")
    }  # fmt: skip
    assert len(said) == 1


LEGACY, OTHER = "65f1a2b3c4d5e6f708192a01", "65f1a2b3c4d5e6f708192a02"
UUID, ANOTHER = "0b8e6a10-3c5d-4e7f-8a91-b2c3d4e5f601", "0b8e6a10-3c5d-4e7f-8a91-b2c3d4e5f602"


def test_inferred_pairs_hold_from_one_comparison_to_the_next() -> None:
    pairings, rules = Pairings(), compile_rules([{"ids": "inferred"}])

    def compared(primary: Any, shadow: Any) -> Any:
        return compare_bodies(
            json.dumps(primary).encode(), json.dumps(shadow).encode(), rules, IdTable(), pairings=pairings
        )

    assert not compared({"a": LEGACY, "n": 1}, {"a": ANOTHER, "n": 2}).equal
    assert len(pairings) == 0, "what differs is not believed"
    first = compared([LEGACY], [UUID])
    assert first.equal
    assert first.inferred == ((LEGACY, UUID),)
    assert compared([LEGACY], [UUID]).inferred == ()
    for primary, shadow in ((LEGACY, ANOTHER), (OTHER, UUID)):
        assert [d.kind.value for d in compared([primary], [shadow]).differences] == ["id_mismatch"]
    assert len(pairings) == 1


def test_no_more_pairs_are_believed_than_the_limit() -> None:
    pairings = Pairings(limit=1)
    assert pairings.join("", LEGACY, UUID) == "inferred"
    assert pairings.join("", OTHER, ANOTHER) == "unmapped"
    assert pairings.join("", LEGACY, UUID) == "same"


def test_tokens_are_found_behind_and_inside_escapes() -> None:
    body = f'{{"\\u002f{LEGACY}":"\\/{UUID.upper()}","h":"\\u0036{OTHER[1:]}","no":"0{LEGACY}"}}'
    assert tokens(body.encode()) == {LEGACY, UUID, OTHER}
    assert IdTable.of([IdPair("user", LEGACY, UUID)]).by_uuid[UUID][0].legacy == LEGACY
