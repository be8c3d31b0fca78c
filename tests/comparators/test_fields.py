"""What two matching bodies carry, path by path."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from comparators.fields import OTHER_PATHS, State, fields
from comparators.rules import compile_rules
from tests.comparators.saying import OTHER, OTHER_UUID, OWNER, OWNER_UUID

ALIAS = compile_rules([{"tolerate": [{"kind": "alias", "names": ["_id", "id"]}]}])
NOTHING = State(present=False, null=False, empty=False, valued=False)
NULL = NOTHING._replace(present=True, null=True)
EMPTY = NOTHING._replace(present=True, empty=True)
VALUED = NOTHING._replace(present=True, valued=True)
MIXED = NOTHING._replace(present=True)


@pytest.mark.parametrize(
    ("primary", "shadow", "state"),
    [
        (None, None, NULL),
        ("", "", EMPTY),
        ([], [], EMPTY),
        ({}, {}, EMPTY),
        ("", [], EMPTY),
        (0, 0, VALUED),
        (False, False, VALUED),
        (Decimal("0.00"), "0.00", VALUED),
        ("x", "x", VALUED),
        (" ", " ", VALUED),
        ({"a": None}, {"a": None}, VALUED),
        ([None], [None], VALUED),
        (None, "", MIXED),
        (None, "x", MIXED),
        ("x", [], MIXED),
    ],
)
def test_a_state_is_of_both_sides(primary: Any, shadow: Any, state: State) -> None:
    assert fields({"v": primary}, {"v": shadow})["$.v"] == state


def test_a_field_of_one_side_is_named_and_not_present() -> None:
    found = fields({"a": None, "b": 1}, {"b": 1, "c": 2})
    assert found == {"$": VALUED, "$.a": NOTHING, "$.b": VALUED, "$.c": NOTHING}


def test_the_rows_of_an_array_are_one_pattern() -> None:
    rows = [{"note": None, "n": 1}, {"note": "", "n": 2}, {"note": "x"}]
    found = fields({"data": rows}, {"data": rows[::-1]})
    assert found["$.data[*].note"] == State(present=True, null=True, empty=True, valued=True)
    assert found["$.data[*].n"] == VALUED
    assert found["$.data[*]"] == found["$.data"] == VALUED
    assert "$.data[*]" not in fields({"data": []}, {"data": []})


def test_names_that_hold_ids_are_one_pattern() -> None:
    found = fields({"by": {OWNER: 1, OTHER: None}}, {"by": {OWNER_UUID: 1, OTHER_UUID: None}})
    assert found["$.by.*"] == State(present=True, null=True, empty=False, valued=True)
    assert set(found) == {"$", "$.by", "$.by.*"}


def test_a_member_under_an_alias_goes_by_the_name_of_the_primary() -> None:
    primary, shadow = {"data": [{"_id": OWNER, "n": 1}]}, {"data": [{"id": OWNER_UUID, "n": 1}]}
    assert fields(primary, shadow)["$.data[*]._id"] == NOTHING
    found = fields(primary, shadow, ALIAS.root)
    assert found["$.data[*]._id"] == VALUED
    assert "$.data[*].id" not in found
    both = {"_id": OWNER, "id": 7}
    assert set(fields(both, both, ALIAS.root)) == {"$", "$._id", "$.id"}


def test_paths_and_depth_are_bounded() -> None:
    wide = {"first": {"inner": 1}, **{f"n{index}": None for index in range(9)}, "last": "x"}
    found = fields(wide, wide, max_paths=4)
    assert set(found) == {"$", "$.first", "$.n0", "$.n1", OTHER_PATHS}
    assert found[OTHER_PATHS] == State(present=True, null=True, empty=False, valued=True)
    deep: Any = {"v": 1}
    for _ in range(500):
        deep = {"v": deep}
    assert len(fields(deep, deep, max_depth=10)) == 11
