"""What holds for all bodies and rules."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from comparators.compare import compare_bodies
from comparators.decode import decode
from comparators.ids import IdPair, IdTable, Pairings
from comparators.rules import compile_rules
from comparators.same import Same
from comparators.scalars import Context_
from comparators.walk import Walk

PAIRS = [IdPair("user", f"{n:024x}", f"{n:08x}-0000-4000-8000-{n:012x}") for n in range(1, 9)]
TABLE = IdTable.of(PAIRS)
TO_UUID = {pair.legacy: pair.uuid for pair in PAIRS}

BLOCKS: list[dict[str, Any]] = [
    {},
    {"order": {"$..": "any"}},
    {"order": {"$..": {"key": "id"}}},
    {"order": {"$..": {"sorted_by": ["-n", "at"]}}},
    {"tolerate": [{"kind": "null_missing"}, {"kind": "decimal_scale"}, {"kind": "date_precision"}, {"kind": "empty"}]},
    {"tolerate": [{"kind": "number", "epsilon": 0.01}, {"kind": "number_string"}], "order": {"$..a": "any"}},
    {"tolerate": [{"kind": "alias", "names": ["_id", "id"]}, {"kind": "case"}, {"kind": "populated"}]},
    {"ignore": ["$..n"]},
    {"ids": "exact"},
    {"ids": "inferred", "order": {"$..b": "any"}},
    {"ids": {"entities": {"$..id": "user", "$..a": "order"}}},
]
RULES = [compile_rules([block]) for block in BLOCKS]

names = st.sampled_from(["a", "b", "n", "id", "_id", "at", "it's", TO_UUID[PAIRS[0].legacy], PAIRS[1].legacy])
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(-(10**25), 10**25),
    st.sampled_from([0.5, 1.25, -0.0, 1e300, 1e-300]),
    st.sampled_from(["", "x", "X", "1.50", "12", "2026-01-15T20:43:05.780Z", "2026-01-15T20:43:05Z", "\ud800"]),
    st.sampled_from([pair.legacy for pair in PAIRS] + [f"/u/{pair.legacy}/x" for pair in PAIRS]),
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4), max_leaves=12
)
rule_sets = st.sampled_from(RULES)
fast = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def body(value: Any, **how: Any) -> bytes:
    return json.dumps(value, **how).encode()


def as_shadow(value: Any) -> Any:
    """The value with every known legacy id put as its uuid; None of the names collide afterwards."""
    text = json.dumps(value)
    for legacy, uuid in TO_UUID.items():
        text = text.replace(legacy, uuid)
    return json.loads(text)


def shuffled_keys(value: Any, rng: random.Random) -> Any:
    if isinstance(value, dict):
        keys = rng.sample(list(value), len(value))
        return {key: shuffled_keys(value[key], rng) for key in keys}
    return [shuffled_keys(item, rng) for item in value] if isinstance(value, list) else value


def permuted(value: Any, rng: random.Random) -> Any:
    if isinstance(value, dict):
        return {key: permuted(item, rng) for key, item in value.items()}
    if isinstance(value, list):
        return [permuted(item, rng) for item in rng.sample(value, len(value))]
    return value


@fast
@given(values, rule_sets)
def test_a_body_equals_itself_however_it_is_written(value: Any, rules: Any) -> None:
    found = compare_bodies(body(value), body(value, indent=1), rules, TABLE)
    assert found.equal, found


@fast
@given(values, st.randoms(use_true_random=False))
def test_ids_and_the_order_of_keys_do_not_matter(value: Any, rng: random.Random) -> None:
    found = compare_bodies(body(value), body(shuffled_keys(as_shadow(value), rng)), RULES[0], TABLE)
    assert found.equal, found


@fast
@given(values, values, st.sampled_from(RULES[:3] + RULES[4:9]))
def test_swapping_the_sides_mirrors_the_verdict(left: Any, right: Any, rules: Any) -> None:
    there = compare_bodies(body(left), body(right), rules, TABLE)
    back = compare_bodies(body(right), body(left), rules, TABLE)
    assert there.equal is back.equal
    mirror = {"missing": "added", "added": "missing"}
    if there.total == 1 == back.total:
        kind = there.differences[0].kind.value
        assert back.differences[0].kind.value == mirror.get(kind, kind)


@fast
@given(values, st.randoms(use_true_random=False))
def test_permuting_under_any_changes_nothing(value: Any, rng: random.Random) -> None:
    found = compare_bodies(body(value), body(permuted(as_shadow(value), rng)), RULES[1], TABLE)
    assert found.equal, found


@fast
@given(st.lists(st.tuples(st.integers(0, 9), values), max_size=8), st.randoms(use_true_random=False))
def test_permuting_under_key_changes_nothing(items: list[tuple[int, Any]], rng: random.Random) -> None:
    rows = [{"id": number, "v": value} for number, value in items]
    rules = compile_rules([{"order": {"$": {"key": "id"}}}])
    found = compare_bodies(body(rows), body(rng.sample(rows, len(rows))), rules, TABLE)
    assert found.equal, found


@fast
@given(values, values, st.sampled_from(BLOCKS[4:7]))
def test_a_tolerance_never_adds_a_difference(left: Any, right: Any, block: dict[str, Any]) -> None:
    if compare_bodies(body(left), body(right), RULES[0], TABLE).equal:
        assert compare_bodies(body(left), body(right), compile_rules([block]), TABLE).equal


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    below = [leaf for key, item in items for leaf in leaves(item, (*path, key))]
    return below or [path]


ROW = st.fixed_dictionaries(
    {
        "_id": st.sampled_from(PAIRS),
        "n": st.integers(-5, 5),
        "deep": st.fixed_dictionaries({"at": scalars, "b": scalars}),
    }
)


@fast
@given(st.lists(ROW, min_size=1, max_size=6, unique_by=lambda row: row["_id"]), st.randoms(use_true_random=False))
def test_one_damage_is_one_difference_at_its_place(rows: list[dict[str, Any]], rng: random.Random) -> None:
    primary = {"data": [{**row, "_id": row["_id"].legacy} for row in rows]}
    shadow = as_shadow(copy.deepcopy(primary))
    path = rng.choice(leaves(primary))
    target = shadow
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = "damaged"
    found = compare_bodies(body(primary), body(shadow), RULES[0], TABLE)
    where = f"$.data[{path[1]}].{'.'.join(path[2:])}"
    if path[-1] == "_id" and len(rows) > 1:
        # Another id is another row, unless it stands where the old one stood.
        assert {d.path for d in found.differences} == {where}
    else:
        assert [d.path for d in found.differences] == [where]


@fast
@given(st.binary(max_size=60), st.binary(max_size=60), rule_sets)
def test_never_raises_on_any_bytes(left: bytes, right: bytes, rules: Any) -> None:
    assert compare_bodies(left, right, rules, TABLE).equal is (left == right) or decodable(left, right)


def decodable(*bodies: bytes) -> bool:
    return all(type(decode(one, exact=True)).__name__ != "Unparseable" for one in bodies)


@fast
@given(values, values, rule_sets, st.booleans())
def test_never_raises_on_damaged_json(left: Any, right: Any, rules: Any, cut: bool) -> None:
    text = body(right)
    compare_bodies(body(left), text[: len(text) // 2] if cut else text, rules, TABLE)


class Never(Same):
    """Says no to everything, so that the walk has to find out for itself."""

    def __call__(self, left: Any, right: Any, room: int) -> bool:  # noqa: ARG002 - the signature is the base's
        return False


@fast
@given(values, values, st.integers(0, len(RULES) - 1), st.booleans())
def test_the_cheap_answer_agrees_with_the_walk(left: Any, right: Any, number: int, alike: bool) -> None:
    rules = RULES[number]
    other = as_shadow(left) if alike else right
    one, two = decode(body(left), exact=True), decode(body(other), exact=True)
    pairings = Pairings() if rules.ids == "inferred" else None
    context = Context_(TABLE, rules.ids, pairings, rules.fuzzy)
    cheap = Same(context, entities=rules.entities)(one, two, 200)
    walk = Walk(context, Never(context, entities=rules.entities))
    walk.run(one, two, rules.root)
    if cheap:
        assert walk.result().equal
    assert compare_bodies(body(left), body(other), rules, TABLE).equal is walk.result().equal


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b"[0,"])
@pytest.mark.parametrize("levels", [199, 201, 900, 100_000])
@pytest.mark.parametrize("rules", RULES[:2])
def test_deep_bodies_are_refused_not_missed(opening: bytes, levels: int, rules: Any) -> None:
    closing = b"}" if opening[:1] == b"{" else b"]"
    left, right = (opening * levels + leaf + closing * levels for leaf in (b"1", b"2"))
    found = compare_bodies(left, right, rules, TABLE)
    assert not found.equal
    assert compare_bodies(left, left, rules, TABLE).equal
    if levels > 200:
        assert found.differences[0].kind.value == "unparseable"
