"""Two bodies as one tree: paired as the comparison pairs them, marked where it finds differences."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comparators.aligned import Aligned, At, Node, align
from comparators.compare import compare_bodies
from comparators.decode import Unparseable
from comparators.ids import IdPair, IdTable
from comparators.model import Difference, Kind
from comparators.paths import render
from comparators.picture import MAX_NOTED
from comparators.places import keys_of
from comparators.rules import compile_rules

LEGACY = "64b7f0c2a1d2e3f405060708"
OTHER = "64b7f0c2a1d2e3f405060709"
UUID = "0b9e2c1a-7f0e-4f55-9a6e-3d1f5c7b9a10"
IDS = IdTable.of([IdPair("user", LEGACY, UUID)])


def tree(left: Any, right: Any, rules: dict[str, Any] | None = None, ids: IdTable = IDS) -> Aligned:
    made = align(json.dumps(left).encode(), json.dumps(right).encode(), compile_rules([rules or {}]), ids)
    assert isinstance(made, Aligned)
    return made


def nodes(made: Aligned, node: Node | None = None) -> list[Node]:
    node = node or made.root
    below = [each for number in range(len(made.entries(node))) for each in nodes(made, made.child(node, number))]
    return [node, *below]


def states(made: Aligned) -> dict[str, str]:
    return {made.path(node) + ("+" if node.alone == "shadow" else ""): made.state(node) for node in nodes(made)}


def test_what_differs_is_marked_and_what_leads_there() -> None:
    made = tree({"a": {"b": 1, "c": 2}, "d": [1]}, {"a": {"b": 1, "c": 3}, "d": [1]})
    assert states(made) == {
        "$": "inside",
        "$.a": "inside",
        "$.a.b": "equal",
        "$.a.c": "differs",
        "$.d": "equal",
        "$.d[0]": "equal",
    }


def test_elements_are_paired_as_the_comparison_pairs_them() -> None:
    left = [{"_id": "x1", "v": 1}, {"_id": "x2", "v": 2}, {"_id": "x3", "v": 3}]
    right = [{"_id": "x1", "v": 1}, {"_id": "x3", "v": 4}, {"_id": "x4", "v": 5}]
    made = tree(left, right)
    assert [tuple(entry) for entry in made.entries(made.root)] == [(0, 0), (1, None), (2, 1), (None, 2)]
    assert states(made)["$[2].v"] == "differs"


@pytest.mark.parametrize(
    ("rule", "left", "right", "entries"),
    [
        ("any", [1, 2, 3], [3, 1, 2], [(0, 1), (1, 2), (2, 0)]),
        ({"key": "k"}, [{"k": 1}, {"k": 2, "v": 1}], [{"k": 2, "v": 2}, {"k": 1}], [(0, 1), (1, 0)]),
    ],
)
def test_order_rules_pair_the_elements(rule: Any, left: Any, right: Any, entries: Any) -> None:
    made = tree({"a": left}, {"a": right}, {"order": {"$.a": rule}})
    node = made.child(made.root, 0)
    assert [tuple(entry) for entry in made.entries(node)] == entries


def test_ids_that_the_map_joins_are_equal_and_shown_in_both_forms() -> None:
    made = tree({"buyer": LEGACY, LEGACY: 1}, {"buyer": UUID, UUID: 1})
    assert states(made) == {"$": "equal", "$.buyer": "equal", f"$['{LEGACY}']": "equal"}
    assert made.values(made.node((0,))) == (LEGACY, UUID)
    assert made.names(made.node((1,))) == (LEGACY, UUID)


def test_members_joined_by_a_rule_are_one() -> None:
    made = tree({"_id": 1}, {"id": 1}, {"tolerate": [{"kind": "alias", "at": "$..", "names": ["_id", "id"]}]})
    assert [tuple(entry) for entry in made.entries(made.root)] == [("_id", "id")]
    assert made.state(made.root) == "forgiven"


def test_what_rules_ignore_says_so_also_below() -> None:
    made = tree({"a": {"x": 1}, "b": {"x": 1}}, {"a": {"x": 2}, "b": {"x": 1}}, {"ignore": ["$.a", "$.b"]})
    assert states(made) == {
        "$": "forgiven",
        "$.a": "ignored",
        "$.a.x": "ignored",
        "$.b": "equal",
        "$.b.x": "equal",
    }


def test_an_object_against_a_text_shows_its_members() -> None:
    made = tree({"a": LEGACY}, {"a": {"_id": UUID, "name": "Ada"}})
    assert states(made) == {"$": "inside", "$.a": "differs", "$.a._id+": "shadow", "$.a.name+": "shadow"}


def test_what_is_wrapped_in_two_ways_is_nowhere_shown_as_equal() -> None:
    left, right = {"at": {"$date": "2024-01-01T00:00:00Z"}}, {"at": {"$date": 1}}
    assert states(tree(left, right))["$.at['$date']"] == "differs"
    right = {"at": {"$date": 1704067200000}}
    forgiven = states(tree(left, right, {"tolerate": [{"kind": "date_format", "at": "$.at"}]}))
    assert forgiven["$.at"] == forgiven["$.at['$date']"] == "forgiven"


def test_differences_find_their_places() -> None:
    left = {"data": [{"_id": "x1", "v": 1}, {"_id": "x2"}], "odd 'name'": 1, "gone": 1, LEGACY: {"z": None}}
    right = {"data": [{"_id": "x1", "v": 2}, {"_id": "x3"}], "odd 'name'": 2, "new": 1, UUID: {}}
    found = compare_bodies(json.dumps(left).encode(), json.dumps(right).encode(), compile_rules([]), IDS)
    made = tree(left, right)
    marks = made.places(found.differences)
    assert all(mark.exact for mark in marks)
    assert [made.path(made.node(mark.at)) for mark in marks] == [one.path for one in found.differences]
    assert {(one.kind, made.node(mark.at).alone) for one, mark in zip(found.differences, marks, strict=True)} >= {
        (Kind.MISSING, "primary"),
        (Kind.ADDED, "shadow"),
        (Kind.NULL_MISSING, "primary"),
    }


def test_a_difference_whose_place_is_gone_is_shown_above_it() -> None:
    made = tree({"a": {"b": "[redacted 1]"}}, {"a": {"b": "[redacted 2]"}})
    (mark,) = made.places([Difference("$.a.b.c[3]", Kind.VALUE_CHANGED, 1, 2)])
    assert (mark.at, mark.exact) == ((0, 0), False)


def test_what_stands_beside_the_bodies_has_no_place() -> None:
    made = tree({}, {})
    assert made.places([Difference("status", Kind.STATUS, 200, 404), Difference("headers.link", Kind.HEADER)]) == []


@pytest.mark.parametrize("path", ["$", "$.a[0].b", "$['it''s']", "$.a['x\\'y'][12].ü", "$['\\u0000\\ud800']"])
def test_paths_are_read_as_they_are_written(path: str) -> None:
    keys = keys_of(path)
    if "''" in path:
        assert keys is None
    else:
        assert keys is not None
        assert keys_of(render(keys)) == keys


def test_a_body_that_is_no_json_says_where() -> None:
    assert align(b"{}", b"{", compile_rules([]), IDS) == Unparseable(
        "the shadow body: cut off before the end of the value", 1
    )


def test_one_body_alone_is_shown_on_its_side() -> None:
    made = align(b'{"a": 1}', None)
    assert isinstance(made, Aligned)
    assert set(states(made).values()) == {"primary"}


@pytest.mark.parametrize("levels", [190, 600])
def test_deep_bodies_are_aligned(levels: int) -> None:
    left, right = ('{"a":' * levels + end + "}" * levels for end in ("1", "2"))
    made = align(left.encode(), right.encode())
    if isinstance(made, Unparseable):
        assert "nested too deeply" in made.text
        return
    assert bool(made.unpaired) == (levels > 200)
    assert made.state(made.node((0,) * levels)) == ("unlisted" if made.unpaired else "differs")


def test_more_differences_than_are_noted_still_show_as_unequal() -> None:
    count = MAX_NOTED + 10
    made = tree(list(range(count)), [-1 - number for number in range(count)])
    assert not made.complete
    assert made.state(made.node((0,))) == "differs"
    assert made.state(made.node((count - 1,))) == "unlisted"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", LEGACY, OTHER, UUID]) | st.just(10**30),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.sampled_from(["2024-01-01T00:00:00Z", 0]).map(lambda date: {"$date": date})
        | st.dictionaries(st.sampled_from(["a", "b", "_id", "id", "x.y'", LEGACY, UUID]), inner, max_size=4)
    ),
    max_leaves=12,
)
RULES = st.sampled_from(
    [
        {},
        {"order": {"$..": "any"}},
        {"order": {"$..": {"key": "_id"}}},
        {"order": {"$..": {"sorted_by": ["a", "-b"]}}},
        {"ids": "inferred"},
        {"ids": "exact"},
        {"ignore": ["$..a"]},
        {"tolerate": [{"kind": "alias", "at": "$..", "names": ["_id", "id"]}, {"kind": "null_missing", "at": "$.."}]},
    ]
)


@given(JSON, JSON, RULES)
@settings(max_examples=150, deadline=None)
def test_the_picture_agrees_with_the_comparison(left: Any, right: Any, rules: dict[str, Any]) -> None:
    bodies = json.dumps(left).encode(), json.dumps(right).encode()
    compiled = compile_rules([rules])
    found = compare_bodies(*bodies, compiled, IDS, max_differences=10_000)
    made = align(*bodies, compiled, IDS)
    assert isinstance(made, Aligned)
    everything = nodes(made)
    # Every value of each side stands in the tree once.
    for side, body in enumerate((left, right)):
        shown = [made.values(node)[side] for node in everything if (node.left, node.right)[side] is not None]
        scalars = [value for value in shown if type(value) in (str, int, bool)]
        assert sorted(map(repr, scalars)) == sorted(map(repr, _scalars(body)))
    # Every difference is at its place, and nothing else differs.
    marks = made.places(found.differences)
    assert all(mark.exact for mark in marks)
    kinds: dict[At, list[Kind]] = {}
    for mark in marks:
        kinds.setdefault(mark.at, []).append(found.differences[mark.number].kind)
    assert {node.at: node.seen.kinds for node in everything if node.seen.kinds} == kinds
    assert (made.state(made.root) in ("equal", "forgiven", "ignored")) == found.equal


def _scalars(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [each for inner in value.values() for each in _scalars(inner)]
    if isinstance(value, list):
        return [each for inner in value for each in _scalars(inner)]
    return [] if value is None else [value]
