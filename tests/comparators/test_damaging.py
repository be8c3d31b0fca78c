"""Documents damaged on purpose: what can be done to a value, and that all of it would be seen."""

from __future__ import annotations

import copy
import random
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from comparators import damage
from comparators.compare import compare_bodies
from comparators.damage import damages
from comparators.decode import Unparseable, decode
from comparators.encode import dumps
from comparators.ids import IdPair, IdTable
from comparators.rules import compile_rules
from tests.comparators.saying import IDS, NO_RULES, OTHER, OTHER_UUID, OWNER, OWNER_UUID, STRANGER, THING, THING_UUID
from tests.comparators.test_properties import DOCUMENT, TABLE, as_shadow, fast, values

EVERYTHING = 100_000
FORGIVING = compile_rules([
    {
        "tolerate": [
            {"kind": kind}
            for kind in ("null_missing", "number_string", "decimal_scale", "date_format", "populated", "case",
                         "whitespace", "empty")
        ]
        + [
            {"kind": "date_precision", "unit": "s"},
            {"kind": "number", "epsilon": 0.005},
            {"kind": "alias", "names": ["_id", "id"]},
        ]
    }
])  # fmt: skip
"""Every tolerance there is, everywhere."""


def all_of(document: Any, *, seed: int = 1, limit: int = EVERYTHING, **more: Any) -> list[Any]:
    return list(damages(document, limit=limit, draw=random.Random(seed).random, **more))


def instead(value: Any, **more: Any) -> dict[str, Any]:
    """What stands in place of a value, by sort of damage."""
    return {one.sort: one.document.get("v") for one in all_of({"v": value}, **more) if one.path == "$.v"}


@pytest.mark.parametrize(
    ("value", "sort", "other"),
    [
        (7, "number", 8),
        (-1, "number", 0),
        (0, "number", 1),
        (1_767_225_600_000, "number", 1_767_139_200_000),
        (10**4300 - 1, "number", 10**4300 - 1 - 86_400_000),
        (Decimal("12.50"), "decimal", Decimal("13.50")),
        (Decimal("4.5"), "decimal", Decimal("4.9")),
        (Decimal("-0.3"), "decimal", Decimal("-0.2")),
        (Decimal("0.01"), "decimal", Decimal("0.02")),
        (Decimal("0.00"), "decimal", Decimal("1.00")),
        (Decimal("1E+3"), "number", Decimal("2E+3")),
        (Decimal("1E+900000"), "number", Decimal("2E+900000")),
        ("12.50", "decimal", "13.50"),
        ("0.05", "decimal", "0.06"),
        ("100000000000000000000.01", "decimal", "100000000000086400000.01"),
        ("41", "number", "42"),
        ("041", "text", "041x"),
        ("2026-02-28", "date", "2026-03-01"),
        ("2026-12-31T23:59:59.123456Z", "date", "2027-01-01T23:59:59.123456Z"),
        ("2026-01-15 20:43:05+00", "date", "2026-01-16 20:43:05+00"),
        ("9999-12-31", "date", "9999-12-30"),
        ("2026-02-30", "text", "2026-02-30x"),
        ("2026-02-20 was the day", "text", "2026-02-20 was the day" + "x"),
        ("", "text", "x"),
        ("a ", "text", "a x"),
        (True, "boolean", False),
        (False, "boolean", True),
        (None, "null", "x"),
        ("a", "null", None),
        (0, "null", None),
        ({"a": 1}, "null", None),
    ],
)
def test_a_value_is_damaged_as_fits_it(value: Any, sort: str, other: Any) -> None:
    made = instead(value)[sort]
    assert (type(made), made) == (type(other), other)
    assert isinstance(made, str | None) or str(made) == str(other)


def test_which_damage_is_done_to_what() -> None:
    assert set(instead("a")) == {"text", "null", "drop"}
    assert set(instead(OWNER)) == {"id", "null", "drop"}
    assert set(instead(f"/avatars/{OWNER}.png")) == {"text", "id", "null", "drop"}
    # What tolerances are for is no damage: a null that is dropped, a text, array or object with nothing in it as null.
    assert set(instead(None)) == {"null"}
    assert set(instead("")) == {"text", "drop"}
    assert set(instead([])) == {"drop"}
    assert set(instead({})) == {"add", "drop"}
    assert set(instead([1])) == {"drop_element", "repeat_element", "null", "drop"}
    assert set(instead([1, 2])) == {"drop_element", "repeat_element", "swap_elements", "null", "drop"}
    # Swapping equals would change nothing, and to a client these are equal.
    assert "swap_elements" not in instead([Decimal("1.0"), 1, {"a": 1}][:2])
    assert "swap_elements" not in instead(["\ud800", "\ud800"])
    assert {one.sort for one in all_of(7)} == {"number"}
    assert {one.sort for one in all_of(None)} == {"null"}


def test_arrays_and_members() -> None:
    made = instead([1, 2, 3], seed=4)
    assert sorted(map(len, (made["drop_element"], made["swap_elements"], made["repeat_element"]))) == [2, 3, 4]
    assert sorted(made["swap_elements"]) == [1, 2, 3] != made["swap_elements"]
    assert sorted(set(made["repeat_element"])) == [1, 2, 3]
    (added,) = [one for one in all_of({"unexpected": 1}) if one.sort == "add"]
    assert (added.path, added.keys, added.document) == ("$", ("unexpected_",), {"unexpected": 1, "unexpected_": "x"})
    (dropped,) = [one for one in all_of({"a": 1, "b": None}) if one.sort == "drop"]
    assert (dropped.path, dropped.document) == ("$.a", {"b": None})


@pytest.mark.parametrize(
    ("value", "others"),
    [
        (OWNER_UUID, {OTHER_UUID}),
        (OWNER_UUID.upper(), {OTHER_UUID}),
        (OWNER, {OTHER}),
        (f"/u/{OWNER_UUID}/x", {f"/u/{OTHER_UUID}/x"}),
        (f"{OWNER} {THING}", {f"{OTHER} {THING}"}),
    ],
)
def test_an_id_becomes_another_row_of_its_entity(value: str, others: set[str]) -> None:
    assert {instead(value, seed=seed, ids=IDS)["id"] for seed in range(5)} == others


@pytest.mark.parametrize("value", [THING_UUID, THING, STRANGER])
def test_an_id_without_other_rows_becomes_one_that_nobody_knows(value: str) -> None:
    for draw in (random.Random(1).random, lambda: 0.0, lambda: 0.999):
        (made,) = (one.document["v"] for one in damages({"v": value}, limit=9, draw=draw, ids=IDS) if one.sort == "id")
        assert made not in (*IDS.by_legacy, *IDS.by_uuid, value)
        assert len(made) == len(value)
    zeros = "0" * 24
    assert {one.document for one in damages(zeros, limit=9, draw=lambda: 0.0)} == {"0" * 23 + "1"}


def test_an_id_of_two_rows_never_becomes_the_other_name_of_itself() -> None:
    pairs = [IdPair("a", OWNER, OWNER_UUID), IdPair("b", OWNER, OTHER_UUID), IdPair("b", THING, THING_UUID)]
    made = {instead(OWNER_UUID, seed=seed, ids=IdTable.of(pairs))["id"] for seed in range(9)}
    assert not made & {OWNER_UUID, OTHER_UUID}


# --- all of it would be seen ---


@fast
@given(value=values, seed=st.integers(0, 2**32))
def test_every_damage_is_something_that_a_client_can_tell(value: Any, seed: int) -> None:
    exact = compile_rules([{"ids": "exact"}])
    document = decode(dumps(value).encode())
    before = copy.deepcopy(document)
    for one in all_of(document, seed=seed, ids=TABLE):
        assert not compare_bodies(dumps(document).encode(), dumps(one.document).encode(), exact, TABLE).equal, one
    assert document == before, "the document itself stays whole"


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=st.lists(DOCUMENT, min_size=1, max_size=3, unique_by=lambda row: str(row["_id"])), seed=st.integers(0, 99))
def test_no_tolerance_forgives_damage_but_one_of_order(rows: list[Any], seed: int) -> None:
    primary = dumps({"data": rows}).encode()
    shadow = decode(dumps(as_shadow({"data": rows})).encode())
    assert compare_bodies(primary, dumps(shadow).encode(), FORGIVING, TABLE).equal
    found = all_of(shadow, seed=seed, ids=TABLE)
    assert len(found) > 30
    for one in found:
        assert not compare_bodies(primary, dumps(one.document).encode(), FORGIVING, TABLE).equal, one


@pytest.mark.parametrize("text", ["9" * 4300, "1e999999", "-1e-999999", "0." + "0" * 400 + "1", '"\\ud800"', "-0.0"])
def test_numbers_and_texts_at_the_edge_are_damaged_to_what_can_be_read(text: str) -> None:
    body = f'{{"v": {text}}}'.encode()
    found = [one for one in all_of(decode(body)) if one.path == "$.v"]
    assert len(found) == 3
    for one in found:
        damaged = dumps(one.document).encode()
        assert not isinstance(decode(damaged), Unparseable)
        assert not compare_bodies(body, damaged, NO_RULES, IDS).equal


# --- which ones ---


def test_paths_are_patterns_and_each_has_each_sort_once() -> None:
    document = {"data": [{"n": 1, "to": {OWNER: "a", OTHER: "b"}}, {"n": 2}, {"n": None}], "ok": True}
    found = all_of(document)
    assert sorted({one.path for one in found}) == [
        "$", "$.data", "$.data[*]", "$.data[*].n", "$.data[*].to", "$.data[*].to.*", "$.ok",
    ]  # fmt: skip
    assert len({(one.path, one.sort) for one in found}) == len(found)
    assert {one.sort for one in found if one.path == "$.data[*].n"} == {"number", "null", "drop"}


def test_the_least_tried_come_first_and_there_are_no_more_than_asked_for() -> None:
    document = dict.fromkeys("abcdef", 1)
    every = {(one.path, one.sort) for one in all_of(document)}
    tried: dict[tuple[str, str], int] = {}
    for seed in range(len(every)):
        (one,) = all_of(document, seed=seed, limit=1, tried=tried)
        tried[one.path, one.sort] = tried.get((one.path, one.sort), 0) + 1
    assert tried == dict.fromkeys(every, 1)
    assert {(one.path, one.sort) for one in all_of(document, limit=5, seed=1)} != {
        (one.path, one.sort) for one in all_of(document, limit=5, seed=2)
    }


def test_the_same_chance_makes_the_same_damage() -> None:
    document = decode(b'{"a": [1, 2, {"b": "x"}], "c": "65f1a2b3c4d5e6f708192a01"}')
    assert all_of(document, seed=3, ids=TABLE) == all_of(document, seed=3, ids=TABLE)


def test_a_field_that_one_row_of_many_has_is_found() -> None:
    rows: list[Any] = [{"id": index, "note": None} for index in range(300)]
    rows[217] = {"id": 217, "note": "here", "rare": 1}
    sorts = {(one.path, one.sort): one for one in all_of({"data": rows})}
    assert sorts["$.data[*].note", "text"].document["data"][217]["note"] == "herex"
    assert ("$.data[*].rare", "number") in sorts


def test_what_is_not_damaged_is_shared() -> None:
    document: dict[str, Any] = {"big": [[1, 2], [3]], "small": {"a": 1, "b": [4]}}
    one = next(one for one in all_of(document) if (one.path, one.sort) == ("$.small.a", "number"))
    assert one.document["big"] is document["big"]
    assert one.document["small"]["b"] is document["small"]["b"]
    assert one.document["small"] == {"a": 2, "b": [4]}


def test_deep_and_wide_documents_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    deep: Any = 1
    for _ in range(3_000):
        deep = [deep]
    found = all_of(deep, max_depth=20)
    assert max(len(one.keys) for one in found) <= 20
    monkeypatch.setattr(damage, "MAX_PATHS", 50)
    wide = {f"n{index}": 1 for index in range(200)}
    assert len({one.path for one in all_of(wide)}) == 50
