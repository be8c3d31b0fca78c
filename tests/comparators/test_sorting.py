"""`sorted_by`: what ties, what is sorted, and what is said of sides that are not."""

from __future__ import annotations

import itertools
import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comparators.compare import compare_bodies
from comparators.ids import IdPair, IdTable
from comparators.model import Comparison
from comparators.rules import RulesError, compile_rules

ORDER = [("$", "order_changed")]
FORGIVEN = [("order_sorted_by", "$", 1)]
LEGACIES = [f"65f1a2b3c4d5e6f708192a0{n}" for n in (1, 2, 3)]
UUIDS = [f"{letter}b8e6a10-3c5d-4e7f-8a91-b2c3d4e5f601" for letter in "c0a"]
IDS = IdTable.of([IdPair("row", *pair) for pair in zip(LEGACIES, UUIDS, strict=True)])


def compared(primary: Any, shadow: Any, by: Any, nulls: str | None = None, **more: Any) -> Comparison:
    order = {"sorted_by": by} if nulls is None else {"sorted_by": by, "nulls": nulls}
    one, other = (json.dumps(side).encode() for side in (primary, shadow))
    return compare_bodies(one, other, compile_rules([{"order": {"$": order}, **more}]), IDS)


def said(primary: Any, shadow: Any, by: Any, nulls: str | None = None, **more: Any) -> list[tuple[str, str]]:
    return [(one.path, one.kind.value) for one in compared(primary, shadow, by, nulls, **more).differences]


def forgiven(found: Comparison) -> list[tuple[str, str, int]]:
    return [(one.kind, one.path, one.count) for one in found.tolerated]


def rows(values: Any, field: str = "n") -> list[dict[str, Any]]:
    """Rows with these sort values, told apart by `_id`."""
    return [{"_id": number, field: value} for number, value in enumerate(values)]


def turned(all_rows: list[dict[str, Any]], *order: int) -> list[dict[str, Any]]:
    return [all_rows[number] for number in order]


def test_ties_may_stand_in_any_order() -> None:
    some = rows([1, 2, 2, 2, 3])
    for middle in itertools.permutations((1, 2, 3)):
        found = compared(some, turned(some, 0, *middle, 4), "n")
        assert found.equal
        assert forgiven(found) == ([] if middle == (1, 2, 3) else FORGIVEN)
    for order in ((1, 0, 2, 3, 4), (0, 1, 2, 4, 3), (4, 3, 2, 1, 0), (4, 1, 2, 3, 0)):
        assert said(some, turned(some, *order), "n") == ORDER, order


def test_a_tie_that_changed_is_named_at_its_place() -> None:
    some = rows([1, 2, 2])
    other = turned(some, 0, 2, 1)
    assert said(some, [*other[:2], {**other[2], "v": 1}], "n") == [("$[1].v", "added")]
    assert said(some, other[:2], "n") == [("$[1]", "missing")]
    assert said(some, [*other, {"_id": 9, "n": 3}], "n") == [("$[3]", "added")]


def test_several_keys_and_descending() -> None:
    some = [{"_id": n, "a": a, "b": b} for n, (a, b) in enumerate([(1, 9), (1, 8), (1, 8), (2, 9), (2, 7), (2, 7)])]
    assert said(some, turned(some, 0, 2, 1, 3, 5, 4), ["a", "-b"]) == []
    assert said(some, turned(some, 1, 0, 2, 3, 4, 5), ["a", "-b"]) == ORDER
    assert said(some, turned(some, 3, 4, 5, 0, 1, 2), ["a", "-b"]) == ORDER
    assert said(some, turned(some, 0, 2, 1, 3, 4, 5), ["a", "b"]) == ORDER, "not sorted as the rule says"
    assert said(some, turned(some, 1, 0, 2, 3, 4, 5), "a") == []
    assert said(some[::-1], turned(some[::-1], 1, 0, 2, 3, 4, 5), ["-a", "b"]) == []


def test_a_side_that_is_not_sorted_is_said_once() -> None:
    unsorted = rows([3, 1, 1, 2])
    assert said(unsorted, turned(unsorted, 0, 2, 1, 3), "n") == ORDER
    assert said(rows([1, 1, 2]), turned(rows([1, 1, 2]), 2, 1, 0), "n") == ORDER
    # What stands in one order on both sides is no difference, sorted or not.
    assert said(unsorted, json.loads(json.dumps(unsorted)), "n") == []
    assert said(unsorted, [*unsorted[:3], {**unsorted[3], "v": 1}], "n") == [("$[3].v", "added")]


@pytest.mark.parametrize(
    ("by", "values", "allowed"),
    [
        ("n", [None, None, 1, 2], {None, "first"}),
        ("n", [1, 2, None, None], {None, "last"}),
        ("-n", [None, None, 2, 1], {None, "first"}),
        ("-n", [2, 1, None, None], {None, "last"}),
        ("n", [1, None, None, 2], set()),
        ("n", [None, 1, None, 2], set()),
        ("-n", [2, None, None, 1], set()),
    ],
)
def test_nulls_stand_where_the_rule_says(by: str, values: list[Any], allowed: set[str | None]) -> None:
    some = rows(values)
    first, second = (number for number, value in enumerate(values) if value is None)
    order = list(range(4))
    order[first], order[second] = second, first
    absent = [{key: value for key, value in row.items() if value is not None} for row in some]
    for nulls in (None, "first", "last"):
        for side in (some, absent):
            found = said(side, turned(side, *order), by, nulls)
            tied = not any(isinstance(value, int) for value in values[first:second])
            assert found == ([] if nulls in allowed and tied else ORDER), (nulls, side)


def test_nulls_of_several_keys_may_be_the_smallest_or_the_largest() -> None:
    """Without `nulls` one rule has to hold for all keys of a side: MongoDB has nulls below all else, Postgres above."""
    mongo = [(None, 2), (None, None), (None, None), (1, 2), (1, None)]
    postgres = [(1, None), (1, 2), (None, None), (None, None), (None, 2)]
    for values in (mongo, postgres):
        some = [{"_id": n, "a": a, "b": b} for n, (a, b) in enumerate(values)]
        first = values.index((None, None))
        order = list(range(5))
        order[first], order[first + 1] = first + 1, first
        assert said(some, turned(some, *order), ["a", "-b"]) == []
    for nulls in ("smallest", 1, True, ""):
        with pytest.raises(RulesError, match="nulls"):
            compared([], [1], "n", nulls)  # type: ignore[arg-type]  # that it is refused is what is tested


SORTED = {
    "numbers": [-1, 0, 0.5, 1, 10**20],
    "numbers as texts, by number": ["9.50", "10.00", "100.00"],
    "numbers as texts, as texts": ["10.00", "100.00", "9.50"],
    "texts by code point": ["B", "C", "a", "b"],
    "texts without regard to case": ["a", "B", "c", "D"],
    "dates": ["2026-01-15T20:43:05Z", "2026-01-15T20:43:05.001Z", "2026-01-16T00:00:00Z"],
    "dates of several zones": [
        "2026-01-15T23:00:00+02:00",
        "2026-01-15T21:30:00Z",
        "2026-01-15T20:00:00-03:00",
    ],
    "booleans": [False, True],
}


@pytest.mark.parametrize("values", SORTED.values(), ids=SORTED)
@pytest.mark.parametrize("down", [False, True])
def test_what_counts_as_sorted(values: list[Any], down: bool) -> None:
    tied = [value for value in (values[::-1] if down else values) for _ in range(2)]
    some, by = rows(tied), "-n" if down else "n"
    swapped = [number + 1 - 2 * (number % 2) for number in range(len(tied))]
    assert said(some, turned(some, *swapped), by) == []
    # The other way round they are not.
    assert said(some[::-1], turned(some[::-1], *swapped), by) == ORDER


def test_dates_tie_by_instant() -> None:
    some = rows(["2026-01-15T20:43:05Z", "2026-01-15T21:43:05+01:00", "2026-01-15T20:43:05.000Z"])
    assert said(some, turned(some, 2, 0, 1), "n") == []
    naive = rows(["2026-01-15T20:43:05", "2026-01-15T20:43:05Z"])
    assert said(naive, turned(naive, 1, 0), "n") == ORDER


def test_numbers_tie_by_value_and_true_is_no_number() -> None:
    one, other = (
        b'[{"_id":1,"n":1},{"_id":2,"n":1.0},{"_id":3,"n":10e-1}]',
        b'[{"_id":3,"n":10e-1},{"_id":2,"n":1.0},{"_id":1,"n":1}]',
    )
    assert compare_bodies(one, other, compile_rules([{"order": {"$": {"sorted_by": "n"}}}]), IDS).equal
    some = rows([1, True])
    assert said(some, turned(some, 1, 0), "n") == ORDER


def test_ids_sort_otherwise_in_either_store() -> None:
    """By `_id` one store sorts by ObjectId and the other by uuid: their rows really stand in another order."""
    mongo = [{"_id": legacy, "n": 1} for legacy in LEGACIES]
    postgres = [{"_id": uuid, "n": 1} for uuid in sorted(UUIDS)]
    assert said(mongo, postgres, "_id") == ORDER
    # As the last key it breaks ties, which the rule does not see without it.
    assert said(mongo, postgres, "n") == []
    # An id before the other keys does not make them unsorted.
    some = [{"a": legacy, "b": n} for legacy, n in zip(LEGACIES, (2, 2, 1), strict=True)]
    assert said(some, some, ["a", "b"]) == []


def test_nested_fields() -> None:
    prices: list[Any] = [{"amount": 1}, {"amount": 1}, {"amount": 2}, None, 5, []]
    some = [{"_id": n, "price": price} for n, price in enumerate(prices)]
    assert said(some, turned(some, 1, 0, 2, 3, 4, 5), "price.amount") == []
    assert said(some, turned(some, 1, 0, 2, 5, 3, 4), "price.amount") == [], "three without an amount"
    assert said(some, turned(some, 2, 0, 1, 3, 4, 5), "price.amount") == ORDER
    deep = [{"_id": n, "a": {"b": {"c": n // 2}}} for n in range(4)]
    assert said(deep, turned(deep, 1, 0, 3, 2), "a.b.c") == []
    assert said(deep, turned(deep, 1, 0, 3, 2), "-a.b.c") == ORDER


def test_values_of_several_types_are_not_judged_against_each_other() -> None:
    some = rows([1, 1, "a", "a", True, True])
    assert said(some, turned(some, 1, 0, 3, 2, 5, 4), "n") == []
    assert said(some, turned(some, 2, 3, 0, 1, 4, 5), "n") == ORDER


def test_rows_without_ids_and_ties_with_tolerances() -> None:
    some = [{"n": 1, "v": "a"}, {"n": 1, "v": "b"}, {"n": 2, "v": "c"}]
    assert said(some, turned(some, 1, 0, 2), "n") == []
    assert said(some, turned(some, 1, 2, 0), "n") == ORDER
    priced: list[dict[str, Any]] = [{"n": 1, "v": 1}, {"n": 1, "v": 5}, {"n": 1, "v": 1.004}]
    near: dict[str, Any] = {"tolerate": [{"kind": "number", "epsilon": 0.01}]}
    for order in itertools.permutations(range(3)):
        assert said(priced, turned(priced, *order), "n", **near) == [], order
    texts = [{"n": 1, "v": "1.50"}, {"n": 1, "v": "1.5"}]
    assert said(texts, texts[::-1], "n", tolerate=[{"kind": "number_string"}]) == []


VALUES = st.one_of(
    st.none(), st.integers(0, 2), st.sampled_from(["a", "B", "1.50", "2026-01-15T20:43:05Z"]), st.booleans()
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(VALUES, VALUES), max_size=7),
    st.sampled_from(["n", "-n", ["n", "-m"], ["-m", "n"]]),
    st.sampled_from([None, "first", "last"]),
    st.randoms(use_true_random=False),
)
def test_two_sides_sorted_by_the_rule_are_equal_and_the_sides_do_not_matter(
    values: list[tuple[Any, Any]], by: Any, nulls: str | None, rng: random.Random
) -> None:
    some = [{"_id": number, "n": n, "m": m} for number, (n, m) in enumerate(values)]
    assert said(some, some, by, nulls) == []
    other = rng.sample(some, len(some))
    there, back = said(some, other, by, nulls), said(other, some, by, nulls)
    assert there == back
    assert there in ([], ORDER)
    fields = [by] if isinstance(by, str) else by
    if all(type(value) is int for pair in values for value in pair):
        mine, theirs = (
            sorted(side, key=lambda row: [-row[f[1:]] if f[0] == "-" else row[f] for f in fields])
            for side in (some, other)
        )
        assert said(mine, theirs, by, nulls) == []
        in_order = [[row[f.lstrip("-")] for f in fields] for row in mine] == [
            [row[f.lstrip("-")] for f in fields] for row in other
        ]
        assert said(mine, other, by, nulls) == ([] if in_order else ORDER)
