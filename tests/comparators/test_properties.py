"""What holds for all bodies and rules."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from comparators.compare import compare_bodies
from comparators.damage import placed
from comparators.decode import decode
from comparators.ids import IdPair, IdTable
from comparators.model import Comparison
from comparators.paths import render
from comparators.rules import Rules, compile_rules
from comparators.same import same
from tests.comparators.damage import at, damages, places
from tests.comparators.fuzz.checking import check, told
from tests.comparators.fuzz.making import draw, spelled
from tests.comparators.fuzz.plainly import walked
from tests.comparators.saying import exact, printed, within

PAIRS = [IdPair("user", f"65f1a2b3c4d5e6f7{n:08x}", f"{n:08x}-0000-4000-8000-{n:012x}") for n in range(1, 9)]
TABLE = IdTable.of(PAIRS)
TO_UUID = {pair.legacy: pair.uuid for pair in PAIRS}
MIRROR = {"missing": "added", "added": "missing"}

TOLERANCES: list[dict[str, Any]] = [
    {"kind": "null_missing"},
    {"kind": "number_string"},
    {"kind": "decimal_scale"},
    {"kind": "date_format"},
    {"kind": "date_precision", "unit": "s"},
    {"kind": "number", "epsilon": 0.02},
    {"kind": "alias", "names": ["_id", "id"]},
    {"kind": "populated"},
    {"kind": "case"},
    {"kind": "whitespace"},
    {"kind": "empty"},
]
BLOCKS: list[dict[str, Any]] = [
    {},
    *({"tolerate": [rule]} for rule in TOLERANCES),
    {"tolerate": TOLERANCES},
    {"ignore": ["$..n"]},
    {"ids": "exact"},
    {"ids": "inferred"},
    {"ids": {"entities": {"$..id": "user", "$..a": "order"}}},
]
ORDERS: list[dict[str, Any]] = [
    {},
    {"$..": "any"},
    {"$..": {"key": "id"}},
    {"$..": {"key": "n"}},
    {"$..": {"sorted_by": ["-n", "at"]}},
    {"$..a": "any", "$..b": {"key": "_id"}},
]
RULES = [compile_rules([{**block, "order": order}]) for block in BLOCKS for order in ORDERS]

names = st.sampled_from(["a", "b", "n", "id", "_id", "at", "it's", TO_UUID[PAIRS[0].legacy], PAIRS[1].legacy])
numbers = st.one_of(
    st.integers(-3, 3), st.sampled_from([0.5, 1.25, 1.26, 1.5, -0.0, 1e300, 1e-300, 10**25, -(10**25) - 1])
)
texts = st.sampled_from([
    "", "x", "X", " x", "x  y", "1.50", "1.5", "12", "012", "2026-01-15T20:43:05.780Z", "2026-01-15T20:43:05.78Z",
    "2026-01-15T20:43:05Z", "2026-01-15 20:43:05+00", "2026-01-15T20:43:05.780123Z", "\ud800",
])  # fmt: skip
ids = st.sampled_from(
    [pair.legacy for pair in PAIRS]
    + [f"/u/{pair.legacy}/x" for pair in PAIRS[:2]]
    + [PAIRS[0].uuid, PAIRS[0].uuid.upper(), PAIRS[2].legacy.upper(), "f" * 24]
)
scalars = st.one_of(st.none(), st.booleans(), numbers, texts, ids)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
"""Anything."""


def _rows(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    row = st.dictionaries(names.filter(lambda name: name not in ("id", "_id")), inner, max_size=3)
    return st.dictionaries(st.sampled_from(PAIRS), row, max_size=3).map(
        lambda rows: [{"_id": pair.legacy, **members} for pair, members in rows.items()]
    )


told_apart = st.recursive(
    scalars, lambda inner: st.dictionaries(names, inner, max_size=4) | _rows(inner), max_leaves=12
)
"""Where arrays have ids: without them an alignment has to choose, and may choose otherwise for the sides swapped."""

seeds = st.integers(0, 2**48)
rule_sets = st.sampled_from(RULES)
fast = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def body(value: Any, **how: Any) -> bytes:
    return json.dumps(value, **how).encode()


def compared(left: Any, right: Any, rules: Rules) -> Comparison:
    return compare_bodies(body(left), body(right), rules, TABLE)


def differences(found: Comparison) -> Counter[tuple[str, str]]:
    assert found.total == len(found.differences)
    return Counter((one.path, one.kind.value) for one in found.differences)


def as_shadow(value: Any) -> Any:
    """The value with every known legacy id put as its uuid; None of the names collide afterwards."""
    text = json.dumps(value)
    for legacy, uuid in TO_UUID.items():
        text = text.replace(legacy, uuid)
    return json.loads(text)


def permuted(value: Any, rng: random.Random) -> Any:
    """The value with its arrays and its members in other orders."""
    if isinstance(value, dict):
        return {key: permuted(value[key], rng) for key in rng.sample(list(value), len(value))}
    if isinstance(value, list):
        return [permuted(item, rng) for item in rng.sample(value, len(value))]
    return value


# --- equal to itself, however written ---


@fast
@given(values, rule_sets, seeds)
def test_a_body_equals_itself_however_it_is_written(value: Any, rules: Rules, seed: int) -> None:
    rng = random.Random(seed)
    own = exact(body(value))
    for one, other in (
        (body(value), spelled(rng, own).encode()),
        (spelled(rng, own).encode(), body(value, indent=1)),
    ):
        found = compare_bodies(one, other, rules, TABLE)
        assert found.equal, found


@fast
@given(values, seeds)
def test_ids_and_the_order_of_members_do_not_matter(value: Any, seed: int) -> None:
    def members(one: Any) -> Any:
        if isinstance(one, dict):
            return {key: members(one[key]) for key in random.Random(seed).sample(list(one), len(one))}
        return [members(item) for item in one] if isinstance(one, list) else one

    found = compared(value, members(as_shadow(value)), RULES[0])
    assert found.equal, found


@fast
@given(values, values, rule_sets, seeds)
def test_what_is_said_does_not_depend_on_the_spelling(left: Any, right: Any, rules: Rules, seed: int) -> None:
    rng = random.Random(seed)
    usual = compared(left, right, rules)
    other = compare_bodies(
        spelled(rng, exact(body(left))).encode(), spelled(rng, exact(body(right))).encode(), rules, TABLE
    )
    assert differences(other) == differences(usual)
    assert other.tolerated == usual.tolerated


@fast
@given(told_apart, told_apart, rule_sets)
def test_what_is_said_does_not_depend_on_the_order_of_members(left: Any, right: Any, rules: Rules) -> None:
    def members(one: Any) -> Any:
        if isinstance(one, dict):
            return {key: members(one[key]) for key in reversed(one)}
        return [members(item) for item in one] if isinstance(one, list) else one

    usual = compared(left, right, rules)
    for other in (compared(members(left), right, rules), compared(left, members(right), rules)):
        assert other.equal == usual.equal
        if rules.ids != "inferred":
            # What is believed of ids depends on which pair is met first.
            assert differences(other) == differences(usual)


SEEDED = """
import json, random
from comparators.compare import compare_bodies
from comparators.ids import IdPair, IdTable
from comparators.rules import compile_rules
from tests.comparators.fuzz.making import draw
for seed in range(400):
    one = draw(random.Random(seed))
    ids = IdTable.of(IdPair(*pair) for pair in one.pairs)
    for block in (one.block, {**one.block, "ids": "inferred"}):
        print(compare_bodies(one.primary, one.shadow, compile_rules([block]), ids))
"""


def test_nothing_depends_on_the_seed_of_hashes() -> None:
    said = [
        subprocess.run(
            [sys.executable, "-c", SEEDED], env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True, check=True, text=True,
        ).stdout
        for seed in ("0", "1", "4711")
    ]  # fmt: skip
    assert len(said[0]) > 10_000
    assert said[0] == said[1] == said[2]


# --- the sides ---


@fast
@given(values, values, st.sampled_from([rules for rules in RULES if rules.ids != "inferred"]))
def test_swapping_the_sides_keeps_the_verdict(left: Any, right: Any, rules: Rules) -> None:
    assert compared(left, right, rules).equal is compared(right, left, rules).equal


@fast
@given(told_apart, told_apart, st.sampled_from([rules for rules in RULES if rules.ids != "inferred"]))
def test_swapping_the_sides_mirrors_every_kind(left: Any, right: Any, rules: Rules) -> None:
    there, back = compared(left, right, rules), compared(right, left, rules)
    kinds = Counter(MIRROR.get(one.kind.value, one.kind.value) for one in back.differences)
    assert kinds == Counter(one.kind.value for one in there.differences)
    assert Counter({t.kind: t.count for t in there.tolerated}) == Counter({t.kind: t.count for t in back.tolerated})


# --- order ---

NESTED: list[dict[str, Any]] = [
    {"$..": "any"}, {"$..": {"key": "id"}}, {"$..": {"key": "n"}}, {"$..": "any", "$..a": {"key": "n"}},
]  # fmt: skip


@pytest.mark.parametrize("order", NESTED, ids=["any", "key id", "key n", "both"])
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(value=values, block=st.sampled_from(BLOCKS), seed=seeds)
def test_permuting_where_order_is_free_changes_nothing(order: Any, value: Any, block: Any, seed: int) -> None:
    other = permuted(value if block.get("ids") == "exact" else as_shadow(value), random.Random(seed))
    if isinstance(block.get("ids"), dict):
        other = permuted(value, random.Random(seed))
    found = compared(value, other, compile_rules([{**block, "order": order}]))
    assert found.equal, found


@fast
@given(st.lists(st.one_of(texts, numbers), max_size=6), st.sampled_from(BLOCKS), st.integers(0, 3), seeds)
def test_permuting_what_tolerances_join_changes_nothing(some: list[Any], block: Any, shape: int, seed: int) -> None:
    """Values that are equal under a rule, but not all to each other, still find their equals."""
    rows = [(item, {"v": item}, {"n": 1, "v": item}, [item, 1])[shape] for item in some]
    other = random.Random(seed).sample(rows, len(rows))
    for order in ("any", {"key": "n"}, {"sorted_by": "n"}):
        found = compared(rows, other, compile_rules([{**block, "order": {"$": order}}]))
        assert found.equal, (order, found)


@fast
@given(values, values, st.sampled_from(BLOCKS), seeds)
def test_a_permutation_does_not_change_the_verdict(left: Any, right: Any, block: Any, seed: int) -> None:
    rules = compile_rules([{**block, "order": {"$..": "any"}}])
    if rules.ids != "inferred":
        assert compared(left, right, rules).equal is compared(left, permuted(right, random.Random(seed)), rules).equal


# --- damage ---

DOCUMENT = st.fixed_dictionaries({
    "_id": st.sampled_from(PAIRS[:-1]).map(lambda pair: pair.legacy),
    "n": st.integers(-5, 5) | st.sampled_from([2**53 + 1, 0.1, 1.25]),
    "amount": st.sampled_from(["12.50", "0", "-3.1", "100000000000000000000.000000000000000001"]),
    "at": st.sampled_from(["2026-01-15T20:43:05.780Z", "2026-01-15T20:43:05Z", "2025-12-31T23:59:59.999Z"]),
    "name": st.sampled_from(["x", "Ada L", " é ", "\U0001f600"]),
    "paid": st.booleans(),
    "note": st.none() | st.just("") | st.just({}) | st.just([]),
    "buyer": st.fixed_dictionaries({"id": st.sampled_from(PAIRS[:-1]).map(lambda pair: pair.legacy)}),
    "tags": st.lists(st.sampled_from(["a", "b", "c", "d"]), unique=True, min_size=2, max_size=4),
})  # fmt: skip
UNRELATED: list[dict[str, Any]] = [
    {},
    {
        "ignore": ["$.data[*].__v", "$.requestId"],
        "tolerate": [{**rule, "at": "$..elsewhere"} for rule in TOLERANCES],
    },
    {"ids": {"entities": {"$.data[*]._id": "user"}}, "order": {"$..elsewhere": "any"}},
    {"order": {"$.data": "any"}},
    {"order": {"$.data": {"key": "_id"}}},
    {"order": {"$.data": {"sorted_by": "elsewhere"}}},
]


@pytest.mark.parametrize("block", UNRELATED, ids=["none", "other tolerances", "entities", "any", "key", "sorted"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=st.lists(DOCUMENT, min_size=1, max_size=3, unique_by=lambda row: str(row["_id"])), seed=seeds)
def test_one_damage_is_named_at_its_place_and_nowhere_else(block: Any, rows: list[Any], seed: int) -> None:
    rng, rules = random.Random(seed), compile_rules([block])
    primary, value = printed({"data": rows}), exact(printed(as_shadow({"data": rows})))
    assert compare_bodies(primary, printed(value), rules, TABLE).equal
    keys = rng.choice(list(places(value)))
    own = render(keys)
    some = list(_all_damages(value, keys))
    for damage, broken in rng.sample(some, min(6, len(some))):
        if block.get("order") and "data" in str(block["order"]) and len(keys) <= 3:
            # Where order is free, rows out of order are none, and a row whose id is lost may be any row.
            continue
        found = {one.path for one in compare_bodies(primary, printed(broken), rules, TABLE).differences}
        assert found, (damage, own)
        inside = isinstance(at(value, keys), dict | list)
        assert all(within(own, path) or (inside and within(path, own)) for path in found), (
            damage,
            own,
            found,
        )


def _all_damages(value: Any, keys: Any) -> Iterator[tuple[str, Any]]:
    yield from damages(value, keys, PAIRS[-1].uuid)
    old = at(value, keys)
    if isinstance(old, bool):
        for other in (int(old), int(not old), "true", "false", None):
            yield f"{old} as {other!r}", placed(value, keys, other)
    if isinstance(old, list) and len(old) > 1:
        yield "two swapped", placed(value, keys, [old[1], old[0], *old[2:]])
    if isinstance(old, dict) and old:
        yield "a key dropped", placed(value, keys, dict(list(old.items())[1:]))


# --- tolerances ---


@fast
@given(values, values, st.sampled_from(ORDERS), st.lists(st.sampled_from(TOLERANCES), min_size=1, max_size=3))
def test_a_tolerance_never_makes_equal_bodies_differ(left: Any, right: Any, order: Any, rules: list[Any]) -> None:
    for other in (right, left, permuted(as_shadow(left), random.Random(1))):
        if compared(left, other, compile_rules([{"order": order}])).equal:
            assert compared(left, other, compile_rules([{"order": order, "tolerate": rules}])).equal


@fast
@given(told_apart, told_apart, st.lists(st.sampled_from(TOLERANCES), min_size=1, max_size=3))
def test_a_tolerance_never_adds_a_difference(left: Any, right: Any, rules: list[Any]) -> None:
    without = differences(compared(left, right, RULES[0]))
    found = differences(compared(left, right, compile_rules([{"tolerate": rules}])))
    if any(rule["kind"] == "alias" for rule in rules):
        # Two names that are one member are compared as such, so that more may be said of what is inside.
        assert sum(found.values()) <= sum(without.values()) or "alias" in {kind for _, kind in without}
    else:
        assert found <= without, found - without


@fast
@given(
    st.lists(st.one_of(numbers, texts), max_size=5),
    st.lists(st.one_of(numbers, texts), max_size=2),
    st.integers(0, 5),
    st.sampled_from(TOLERANCES),
)
def test_a_tolerance_does_not_unlearn_an_insertion(some: list[Any], more: list[Any], at: int, rule: Any) -> None:
    """What is inserted is named as that, whatever is tolerated of the elements around it."""
    other = [*some[:at], *more, *some[at:]]
    without = compared(some, other, RULES[0])
    found = compared(some, other, compile_rules([{"tolerate": [rule]}]))
    assert found.total <= without.total == len(more)


@pytest.mark.parametrize("narrow", ["$.a", "$..a", "$.*", "$.a.*", "$[*].a"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(left=told_apart, right=told_apart, rule=st.sampled_from([r for r in TOLERANCES if r["kind"] != "alias"]))
def test_widening_a_rule_takes_nothing_back(narrow: str, left: Any, right: Any, rule: Any) -> None:
    small = compared(left, right, compile_rules([{"tolerate": [{**rule, "at": narrow}]}]))
    wide = compared(left, right, compile_rules([{"tolerate": [{**rule, "at": "$.."}]}]))
    counts = [Counter({(one.kind, one.path): one.count for one in found.tolerated}) for found in (small, wide)]
    assert counts[0] <= counts[1]
    assert differences(wide) <= differences(small)


# --- the fast ways and the plain walk ---


@pytest.mark.parametrize("inferred", [False, True], ids=["", "inferred"])
def test_the_fast_ways_say_what_the_walk_says(inferred: bool) -> None:
    for seed in range(1_500):
        one = draw(random.Random(seed))
        block = {**one.block, "ids": "inferred"} if inferred else one.block
        table, rules = IdTable.of(IdPair(*pair) for pair in one.pairs), compile_rules([block])
        for primary, shadow in (
            (one.primary, one.shadow),
            (one.shadow, one.primary),
            (one.primary, one.primary),
        ):
            found = compare_bodies(primary, shadow, rules, table)
            assert told(found) == told(walked(primary, shadow, rules, table)), (primary, shadow, block)
            if same(decode(primary), decode(shadow)):
                assert found.equal


_, L1, U1 = PAIRS[0]
_, L2, U2 = PAIRS[1]
ESCAPED = "".join(f"\\u{ord(char):04x}" for char in L1)
ONE_UUID = IdTable.of(
    [*PAIRS, IdPair("user", "e" * 24, U1), IdPair("user", "d" * 24, "00000000-0000-4000-8000-00000000000d")]
)
SPELLINGS = [
    (f'{{"{L1}":1,"b":"{L2}"}}', f'{{"{U1}":1,"b":"{U2}"}}'),
    (f'{{"{L1}":1,"{L2}":2}}', f'{{"{U1}":2,"{U2}":1}}'),
    (f'["{L1}","{U1}"]', f'["{U1}","{U1}"]'),
    (f'["{L1}","{U2}"]', f'["{U1}","{U1}"]'),
    (f'{{"{L1}":1,"{U1}":2}}', f'{{"{U1}":1,"{L1}":2}}'),
    (f'{{"{L1}":1,"{U1}":2}}', f'{{"{U1}":2}}'),
    (f'["{L1.upper()}","{U1.upper()}"]', f'["{U1}","{U1}"]'),
    (f'["{L1.upper()}"]', f'["{L1}"]'),
    (f'["{ESCAPED}","{L1}"]', f'["{U1}","{U1}"]'),
    (f'{{"{ESCAPED}":"{L1}"}}', f'{{"{U1}":"{U1}"}}'),
    (f'["{L1}","{L2}"]', f'["{L1}","{L2}"]'),
    (f'["{L1}","{L2}"]', f'["{L1}","{U2}"]'),
    (f'["{L1}","{"e" * 24}","{"d" * 24}"]', f'["{U1}","{U1}","{U1}"]'),
    (f'["{L1}","{L2}","u/{L1}"]', f'["{U1}","{U2}","u/{U2}"]'),
    (f'[{{"id":"{L1}","n":1}},{{"id":"{L2}","n":2}}]', f'[{{"id":"{U2}","n":2}},{{"id":"{U1}","n":1}}]'),
    (f'[{{"_id":"{L1}","a":["{L2}"],"n":[1,{{"n":2}}]}}]', f'[{{"_id":"{U1}","a":["{U2}"],"n":[1,{{"n":2}}]}}]'),
    (f'[{{"_id":"{L1}","a":["{L2}"],"n":[1,{{"n":2}}]}}]', f'[{{"_id":"{U1}","a":["{U2}"],"\\u006e":[3]}}]'),
    (f'{{"a":["{L1}"]}}', f'{{"a":["{U1}"]}}'),
    (f'{{"a":["{L1}"]}}', f'{{"\\u0061":["{U1}"]}}'),
    (f'{{"n":{{"{L1}":"a"}},"b":[]}}', f'{{"n":{{"{U1}":"n"}},"b":[]}}'),
    (f'{{"x":"{L1}","y":["n","a"]}}', f'{{"x":"{U1}","y":["n","a"]}}'),
    ('{"a":[[],1],"n":{}}', '{"a":[[],1],"n":{} }'),
    ('{"a":true,"n":1}', '{"a":1,"n":true}'),
    (f'"{L1}"', f'"{U1}"'),
]  # fmt: skip
WATCHED: list[dict[str, Any]] = [
    {},
    {"ignore": ["$..n"]},
    {"ignore": ["$.a[*]"]},
    {"ignore": ["$.n", "$[*].n"]},
    {"ignore": ["$..*.n"]},
    {"ignore": ["$..absent"]},
    {"ignore": [f"$['{L1}']", f"$..['{U1}']"]},
    {"ids": {"entities": {"$..": "order"}}},
    {"ids": {"entities": {"$..a": "order", "$.a[*]": "order"}}},
    {"ids": {"entities": {"$[*].id": "order", "$[*]._id": "user"}}},
    {"ids": {"entities": {"$..absent": "order"}}},
    {"ids": "exact"},
    {"ids": "inferred"},
]


@pytest.mark.parametrize("block", WATCHED, ids=[json.dumps(block)[:40] for block in WATCHED])
@pytest.mark.parametrize("order", [{}, {"$..": "any"}, {"$..": {"key": "id"}}], ids=["", "any", "key"])
def test_every_way_to_spell_an_id_and_to_watch_a_place(block: Any, order: Any) -> None:
    rules = compile_rules([{**block, "order": order}])
    for number, (primary, shadow) in enumerate(SPELLINGS):
        for one, other in (
            (primary, shadow),
            (shadow, primary),
            (primary, primary),
            (primary, f"{primary} "),
        ):
            for table in (TABLE, ONE_UUID, IdTable()):
                found = compare_bodies(one.encode(), other.encode(), rules, table)
                expected = walked(one.encode(), other.encode(), rules, table)
                assert told(found) == told(expected), (number, one, other)


def test_both_ids_of_one_row_name_members_of_one_object() -> None:
    for primary, shadow, lost, won in (
        (f'{{"{L1}":1,"{L2}":3}}', f'{{"{U1}":2,"{L1}":1,"{L2}":3}}', None, U1),
        (f'{{"{L1}":1,"z":3}}', f'{{"{U1}":2,"{L1}":1}}', "z", U1),
        (f'{{"{L1}":1,"z":3}}', f'{{"{U1}":2,"{L1}":1,"y":"{U2}{U2}"}}', "z", U1),
    ):
        found = compare_bodies(primary.encode(), shadow.encode(), RULES[0], TABLE)
        kinds = {one.path: one.kind.value for one in found.differences if one.path != "$.y"}
        assert kinds == ({render([lost]): "missing"} if lost else {}) | {render([won]): "added"}


def test_the_verdict_is_that_of_the_reference() -> None:
    judged = sum(check(draw(random.Random(seed))) for seed in range(2_500))
    assert judged > 2_000


# --- any bytes ---


@fast
@given(st.binary(max_size=60), st.binary(max_size=60), rule_sets)
def test_never_raises_on_any_bytes(left: bytes, right: bytes, rules: Rules) -> None:
    assert compare_bodies(left, right, rules, TABLE).equal is (left == right) or decodable(left, right)


def decodable(*bodies: bytes) -> bool:
    return all(type(decode(one)).__name__ != "Unparseable" for one in bodies)


@fast
@given(values, values, rule_sets, st.booleans())
def test_never_raises_on_damaged_json(left: Any, right: Any, rules: Rules, cut: bool) -> None:
    text = body(right)
    found = compare_bodies(body(left), text[: len(text) // 2] if cut else text, rules, TABLE)
    assert found.total >= len(found.differences)
