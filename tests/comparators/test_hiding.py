"""Damage that is not seen is put down to the rule that hides it."""

from __future__ import annotations

from typing import Any

import pytest

from comparators.compare import compare_bodies
from comparators.damage import Damage, placed, without
from comparators.encode import dumps
from comparators.hiding import NO_RULE, hiding_rule
from comparators.ids import IdPair, IdTable
from comparators.paths import render_pattern
from comparators.rules import compile_rules
from tests.comparators.saying import IDS, OTHER_UUID, OWNER, OWNER_UUID, THING_UUID

ROWS = [{"_id": OWNER, "amount": 5, "tags": ["a", "b"], "note": "x"}]
SHADOW = [{"_id": OWNER_UUID, "amount": 5, "tags": ["a", "b"], "note": "x"}]
PRIMARY, TWIN = {"data": ROWS, "at": 1, "meta": {"n": 1}}, {"data": SHADOW, "at": 1, "meta": {"n": 1}}


def hidden(
    block: dict[str, Any], sort: str, keys: tuple[Any, ...], value: Any, primary: Any = PRIMARY, shadow: Any = TWIN
) -> str:
    """The rule that hides `value` at `keys` of the shadow."""
    rules, first = compile_rules([block]), dumps(primary).encode()
    damage = Damage(render_pattern(keys), sort, keys, placed(shadow, keys, value))
    before = compare_bodies(first, dumps(shadow).encode(), rules, IDS)
    after = compare_bodies(first, dumps(damage.document).encode(), rules, IDS)
    assert before.equal
    assert after.equal
    return hiding_rule(rules.root, damage, before, after)


AMOUNT, TAGS = ("data", 0, "amount"), ("data", 0, "tags")


@pytest.mark.parametrize(
    ("block", "sort", "keys", "value", "rule"),
    [
        ({"ignore": ["$..amount"]}, "number", AMOUNT, 6, "ignore $..amount"),
        ({"ignore": [{"at": "$.data[*].amount", "why": "x"}]}, "null", AMOUNT, None, "ignore $.data[*].amount"),
        ({"ignore": ["$.data"]}, "number", AMOUNT, 6, "ignore $.data"),
        ({"ignore": ["$.data", "$..amount"]}, "number", AMOUNT, 6, "ignore $.data"),
        ({"ignore": ["$.meta.*"]}, "add", ("meta", "unexpected"), "x", "ignore $.meta.*"),
        ({"tolerate": [{"kind": "number", "epsilon": 2}]}, "number", AMOUNT, 6, "number $.."),
        (
            {"tolerate": [{"kind": "number", "epsilon": 2, "at": "$..amount"}, {"kind": "case"}]},
            "number", AMOUNT, 6, "number $..amount",
        ),
        ({"order": {"$..tags": "any"}}, "swap_elements", TAGS, ["b", "a"], "order $..tags"),
        ({"order": {"$.data[*].tags": {"any": True, "why": "x"}}}, "swap_elements", TAGS, ["b", "a"],
         "order $.data[*].tags"),
        ({"tolerate": [{"kind": "null_missing", "at": "$..note"}, {"kind": "empty"}], "ignore": ["$..tags[*]"]},
         "drop_element", TAGS, ["a"], "ignore $..tags[*]"),
    ],
)  # fmt: skip
def test_the_rule_is_named_as_it_is_written(
    block: dict[str, Any], sort: str, keys: tuple[Any, ...], value: Any, rule: str
) -> None:
    assert hidden(block, sort, keys, value) == rule


def test_a_tolerance_that_was_used_there_already_is_named() -> None:
    block = {"tolerate": [{"kind": "number", "epsilon": 2, "at": "$..amount"}]}
    twin = placed(TWIN, AMOUNT, 6)
    assert hidden(block, "number", AMOUNT, 7, shadow=twin) == "number $..amount"


def test_what_stands_below_a_tolerated_place() -> None:
    primary, shadow = {"buyer": OWNER, "n": 1}, {"buyer": {"_id": OWNER_UUID, "name": "Ada"}, "n": 1}
    block = {"tolerate": [{"kind": "populated", "at": "$.buyer"}, {"kind": "case"}]}
    rule = hidden(block, "text", ("buyer", "name"), "Adax", primary, shadow)
    assert rule == "populated $.buyer"


@pytest.mark.parametrize("how", [{"key": "n"}, {"sorted_by": ["day"]}, "any"])
def test_rows_in_another_order(how: Any) -> None:
    both = {"rows": [{"n": 1, "day": 1, "v": 1}, {"n": 2, "day": 1, "v": 2}]}
    rule = hidden({"order": {"$..rows": how}}, "swap_elements", ("rows",), both["rows"][::-1], both, both)
    assert rule == "order $..rows"


def test_elements_that_differ_only_in_what_is_ignored() -> None:
    both = {"rows": [{"n": 1, "v": 1}, {"n": 1, "v": 2}]}
    rule = hidden({"ignore": ["$..v"]}, "swap_elements", ("rows",), both["rows"][::-1], both, both)
    assert rule == "ignore $..v"


def test_ignored_under_the_other_name_of_an_alias() -> None:
    primary, shadow = {"_id": OWNER, "n": 1}, {"id": OWNER_UUID, "n": 1}
    block = {"tolerate": [{"kind": "alias", "names": ["_id", "id"]}], "ignore": ["$._id"]}
    assert hidden(block, "id", ("id",), OTHER_UUID, primary, shadow) == "ignore $._id"


def test_where_no_rule_hides_it_that_is_said() -> None:
    twice = IdTable.of((IdPair("a", OWNER, OWNER_UUID), IdPair("b", OWNER, THING_UUID)))
    rules = compile_rules([{}])
    before = compare_bodies(b'{"v":"%b"}' % OWNER.encode(), b'{"v":"%b"}' % OWNER_UUID.encode(), rules, twice)
    after = compare_bodies(b'{"v":"%b"}' % OWNER.encode(), b'{"v":"%b"}' % THING_UUID.encode(), rules, twice)
    assert before.equal
    assert after.equal
    assert hiding_rule(rules.root, Damage("$.v", "id", ("v",), {"v": THING_UUID}), before, after) == NO_RULE


def test_placed_and_without_share_what_they_leave_alone() -> None:
    document = {"a": [1, {"b": [2]}], "c": {"d": 3}}
    assert placed(document, ("a", 1, "b", 0), 9) == {"a": [1, {"b": [9]}], "c": {"d": 3}}
    assert placed(document, (), 9) == 9
    assert without(document, ("a", 0)) == {"a": [{"b": [2]}], "c": {"d": 3}}
    assert without(document, ("c", "d")) == {"a": [1, {"b": [2]}], "c": {}}
    assert placed(document, ("a", 0), 9)["c"] is document["c"]
    assert document == {"a": [1, {"b": [2]}], "c": {"d": 3}}
