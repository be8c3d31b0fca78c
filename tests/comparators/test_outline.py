"""The rows of an aligned tree: differences with all that leads to them, the rest folded, never too many."""

from __future__ import annotations

import json
from typing import Any

import pytest

from comparators.aligned import Aligned, align
from comparators.cells import MAX_CELL, cells_of
from comparators.compare import compare_bodies
from comparators.ids import IdPair, IdTable
from comparators.outline import MAX_ROWS, PAGE, Outline, Row, at_of, children, outline
from comparators.rules import compile_rules

LEGACY = "64b7f0c2a1d2e3f405060708"
UUID = "0b9e2c1a-7f0e-4f55-9a6e-3d1f5c7b9a10"
IDS = IdTable.of([IdPair("user", LEGACY, UUID)])


def drawn(left: Any, right: Any, limit: int = 100, **asked: Any) -> tuple[Aligned, Outline]:
    bodies = json.dumps(left).encode(), json.dumps(right).encode()
    made = align(*bodies, None, IDS)
    assert isinstance(made, Aligned)
    found = compare_bodies(*bodies, compile_rules([]), IDS, max_differences=limit)
    return made, outline(made, made.places(found.differences), **asked)


def told(rows: tuple[Row, ...] | list[Row]) -> list[tuple[str, str, int]]:
    return [(row.at, row.sort if row.sort == "fold" else row.state, row.count) for row in rows]


def test_equal_parts_are_folded_and_differences_are_open() -> None:
    left = {"a": 1, "b": 2, "c": 3, "d": [{"x": 1, "y": 2}] * 5, "e": 1, "f": {"deep": [1, 2]}}
    right = {**left, "f": {"deep": [1, 3]}}
    _, found = drawn(left, right)
    assert told(found.rows) == [
        ("", "inside", 6),
        ("", "fold", 5),
        ("5", "inside", 1),
        ("5.0", "inside", 2),
        ("5.0.0", "equal", 0),
        ("5.0.1", "differs", 0),
    ]
    fold, last = found.rows[1], found.rows[-1]
    assert (fold.state, fold.offset, fold.end, fold.noun, fold.level) == ("equal", 0, 5, "members", 2)
    assert (last.path, last.differences, last.kinds) == ("$.f.deep[1]", (0,), ("value_changed",))


def test_a_fold_opens_into_its_children_and_a_fold_for_the_rest() -> None:
    made, _ = drawn(list(range(1_000)), list(range(1_000)))
    rows = children(made, (), (), offset=10, end=900, limit=5)
    assert [row.at for row in rows] == ["10", "11", "12", "13", "14", ""]
    assert (rows[-1].offset, rows[-1].end) == (15, 900)


def test_what_is_opened_by_hand_stands_among_the_rest() -> None:
    same = [{"x": number} for number in range(500)]
    _, found = drawn(same, same, opened=[((), 20)])
    shown = [row for row in found.rows if row.sort != "fold" and row.at]
    assert [row.at for row in shown] == [str(number) for number in range(20, 20 + PAGE)]


def test_every_recorded_difference_is_shown_with_the_row_that_it_stands_in() -> None:
    left = [{"_id": f"{n:024x}", "a": 1, "b": 2, "c": 3, "v": n} for n in range(5_000)]
    right = [{**row, "v": -1} if int(str(row["v"])) % 50 == 1 else row for row in left]
    _, found = drawn(left, right)
    assert len(found.rows) < MAX_ROWS
    assert not found.hidden
    assert sorted(number for row in found.rows for number in row.differences) == list(range(100))
    assert [row.primary_name for row in found.rows if row.level == 3 and row.sort != "fold"].count("_id") == 100


def test_rows_are_bounded_and_a_difference_that_is_asked_for_finds_room() -> None:
    left = {f"k{n}": {"a": {"b": {"c": n}}} for n in range(1_000)}
    right = {f"k{n}": {"a": {"b": {"c": -n - 1}}} for n in range(1_000)}
    _, found = drawn(left, right, limit=1_000)
    assert len(found.rows) <= MAX_ROWS * 1.2
    assert found.hidden
    wanted = found.hidden[-1]
    _, again = drawn(left, right, limit=1_000, focus=wanted)
    assert wanted not in again.hidden
    assert any(wanted in row.differences for row in again.rows)


def test_differences_that_nobody_recorded_are_shown_too() -> None:
    bodies = b'{"a": 1, "b": {"c": 1}}', b'{"a": 2, "b": {"c": 2}}'
    made = align(*bodies)
    assert isinstance(made, Aligned)
    found = outline(made, [])
    assert [(row.path, row.kinds, row.differences) for row in found.rows if row.state == "differs"] == [
        ("$.a", ("value_changed",), ()),
        ("$.b.c", ("value_changed",), ()),
    ]


def test_ids_are_told_with_their_entity_and_both_forms() -> None:
    _, found = drawn({"buyer": LEGACY, "x": 1}, {"buyer": UUID, "x": 2})
    row = next(row for row in found.rows if row.primary_name == "buyer")
    assert row.primary is not None
    assert row.shadow is not None
    assert (row.state, row.primary.text, row.shadow.text) == ("equal", f'"{LEGACY}"', f'"{UUID}"')
    assert [(one.entity, one.legacy, one.uuid) for one in row.ids] == [("user", LEGACY, UUID)]


def test_what_differs_in_a_long_text_is_seen() -> None:
    left, right = (f"{'a' * 100_000}{middle}{'b' * 100_000}" for middle in ("cat", "dog"))
    one, two = cells_of(left, right)
    assert one is not None
    assert two is not None
    assert (one.changed, two.changed) == ("cat", "dog")
    assert one.cut
    assert one.size == 200_003
    assert len(one.text) < 2 * MAX_CELL


@pytest.mark.parametrize("text", ["\u202e", "\x00", "\ud800", "\u200b", "\n", "</script>"])
def test_cells_are_printable(text: str) -> None:
    one, _ = cells_of(text * 200, 1)
    assert one is not None
    assert one.text.isprintable()


@pytest.mark.parametrize("text", ["x", "0..1", "-1", "1.", "9" * 12, "\u0661"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(LookupError):
        at_of(text)


def test_wide_arrays_of_either_side_are_folded() -> None:
    _, found = drawn({"a": list(range(20_000))}, {"a": list(range(10_000))}, limit=10)
    folded = sum(row.count for row in found.rows if row.sort == "fold" and row.at == "0")
    assert folded + sum(row.at.startswith("0.") for row in found.rows) == 20_000
    assert len(found.rows) < 400
