"""A difference told to people: as a structure and as text, whatever stands in the bodies."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from typing import Any

import pytest

from comparators.changes import MAX_CHANGES, MAX_VALUES
from comparators.compare import compare_bodies
from comparators.encode import dumps
from comparators.explain import MAX_EXPLAINED, MAX_IDS, MEANINGS, explain, text_of
from comparators.ids import IdPair, IdTable
from comparators.model import Difference, Kind
from comparators.rules import compile_rules
from comparators.shown import MAX_LINE, MAX_SHOWN, escaped, one_line, shorten

LEGACY, UUID = "64b0c8f2a1d3e4f5a6b7c8d9", "0197b2c4-d5e6-7a1b-8c3d-4e5f60718293"
OTHER_LEGACY, OTHER_UUID = "64b0c8f2a1d3e4f5a6b7c8da", "0197b2c4-d5e6-7a1b-8c3d-4e5f60718294"
UNKNOWN = "64b0c8f2a1d3e4f5a6b7c8db"
IDS = IdTable.of([IdPair("user", LEGACY, UUID), IdPair("order", OTHER_LEGACY, OTHER_UUID)])


def told(difference: Difference, ids: IdTable | None = IDS) -> list[str]:
    return text_of([explain(difference, ids)], 1)


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_a_meaning_and_both_forms(kind: Kind) -> None:
    made = explain(Difference("$.a", kind, 1, "1"), IDS)
    content = made.as_json()
    assert list(content) == [
        "path", "kind", "meaning", "primary", "shadow", "ids", "changes", "left_out", "rule",
    ]  # fmt: skip
    assert (content["path"], content["kind"], content["primary"], content["shadow"]) == (
        "$.a",
        kind.value,
        1,
        "1",
    )
    assert content["meaning"] == MEANINGS[kind]
    assert text_of([made], 1) == [f"$.a: {kind.value}, {MEANINGS[kind]}"]


def test_a_meaning_is_told_once_and_only_so_many_are_told() -> None:
    made = [explain(Difference(f"$[{n}]", Kind.VALUE_CHANGED, [n], [-1 - n])) for n in range(30)]
    lines = text_of(made, 500)
    assert sum("not the same one" in line for line in lines) == 1
    assert lines[-1] == f"({500 - MAX_EXPLAINED} more are not explained)"
    assert f"  $[{MAX_EXPLAINED - 1}][0] changed from 19 to -20" in lines
    plain = [explain(Difference(f"$[{n}]", Kind.CASE, "a", "A")) for n in range(3)]
    assert len(text_of(plain, 3)) == 1, "the table says the rest"


# --- ids ---


def test_an_id_is_told_with_its_entity_and_its_other_form() -> None:
    (found,) = compare_bodies(
        dumps({"u": LEGACY}).encode(), dumps({"u": OTHER_UUID}).encode(), compile_rules([{}]), IDS
    ).differences
    made = explain(found, IDS)
    assert [one.as_json() for one in made.ids] == [
        {"side": "primary", "id": LEGACY, "form": "legacy", "joined": [{"entity": "user", "other": UUID}]},
        {
            "side": "shadow",
            "id": OTHER_UUID,
            "form": "uuid",
            "joined": [{"entity": "order", "other": OTHER_LEGACY}],
        },
    ]
    assert told(found)[1:] == [
        f"  {LEGACY} (primary) is user; the map joins it to {UUID}",
        f"  {OTHER_UUID} (shadow) belongs to order {OTHER_LEGACY}",
    ]


def test_an_id_that_the_map_does_not_know_is_said_so_only_when_the_map_was_asked() -> None:
    found = Difference("$.u", Kind.ID_UNMAPPED, UNKNOWN, UUID)
    assert told(found)[1] == f"  {UNKNOWN} (primary) is not in the id map"
    assert explain(found, None).ids == ()
    assert len(told(found, None)) == 1


@pytest.mark.parametrize(
    ("difference", "ids"),
    [
        (Difference("$.u", Kind.VALUE_CHANGED, f"/u/{LEGACY}/a", f"/u/{UUID}/b"), []),
        (Difference("$.u", Kind.VALUE_CHANGED, f"/u/{LEGACY}/a", f"/u/{OTHER_UUID}/b"), [LEGACY, OTHER_UUID]),
        (Difference("$.u", Kind.ID_MISMATCH, LEGACY, UUID), [LEGACY, UUID]),
        (Difference("$.u", Kind.ID_MISMATCH, LEGACY.upper(), f"{{{OTHER_UUID.upper()}}}"), [LEGACY, OTHER_UUID]),
        (Difference("$.u", Kind.MISSING, {"id": LEGACY, "of": [OTHER_LEGACY]}, None), [LEGACY, OTHER_LEGACY]),
        (Difference(f"$['{LEGACY}']", Kind.MISSING, 1, None), [LEGACY]),
        (Difference(f"$.a['{UUID}']", Kind.ADDED, None, 1), [UUID]),
        (Difference(f"$['{LEGACY}'].a", Kind.MISSING, 1, None), []),
        (Difference("$.u", Kind.POPULATED, LEGACY, {"_id": UUID}), []),
        (Difference("$.u", Kind.TYPE_CHANGED, {LEGACY: 1}, [UUID]), []),
        (Difference("$.u", Kind.VALUE_CHANGED, "d41d8cd98f00b204e9800998ecf8427e", "x"), []),
        (Difference("$.u", Kind.VALUE_CHANGED, UUID.replace("-", ""), "x"), [UUID]),
        (Difference("status", Kind.STATUS, 200, 404), []),
    ],
)  # fmt: skip
def test_which_ids_are_told(difference: Difference, ids: list[str]) -> None:
    assert [one.id for one in explain(difference, IDS).ids] == ids


def test_ids_are_bounded() -> None:
    many = {f"{n:024x}": [f"{n:08x}-0000-4000-8000-000000000000"] for n in range(300)}
    made = explain(Difference("$", Kind.MISSING, many, None), IDS)
    assert len(made.ids) == MAX_IDS
    assert f"{600 - MAX_IDS} more ids" in made.left_out
    joined = IdTable.of([IdPair(f"e{n}", LEGACY, f"{n:08x}-0000-4000-8000-000000000000") for n in range(100)])
    assert len(explain(Difference("$", Kind.MISSING, LEGACY, None), joined).ids[0].joined) == 3


# --- changes ---


def test_changes_below_a_difference() -> None:
    primary = {
        "a": [1, 2, {"k": "v", "n": Decimal("1.50")}],
        "y": None,
        "odd key": 1,
        "gone": LEGACY,
        "u": LEGACY,
    }
    shadow = {
        "a": [1, 3, {"k": "w", "n": Decimal("1.5")}],
        "y": "s",
        "odd key": 1,
        "new": {"x": True},
        "u": UUID,
    }
    made = explain(Difference("$.d[3]", Kind.VALUE_CHANGED, primary, shadow), IDS)
    assert sorted((one.path, one.what, one.primary, one.shadow) for one in made.changes) == [
        ("$.d[3].a[1]", "changed", 2, 3),
        ("$.d[3].a[2].k", "changed", "v", "w"),
        ("$.d[3].gone", "missing", LEGACY, None),
        ("$.d[3].new", "added", None, {"x": True}),
        ("$.d[3].y", "type_changed", None, "s"),
    ]
    lines = text_of([made], 1)
    assert "  $.d[3].a[1] changed from 2 to 3" in lines
    assert '  $.d[3].new added: {"x":true}' in lines
    assert f'  $.d[3].gone missing: "{LEGACY}"' in lines


def test_ids_that_are_joined_are_no_change_and_stay_spelled_as_they_are() -> None:
    primary = {LEGACY: {"url": f"/u/{LEGACY}", "n": 1}}
    shadow = {UUID: {"url": f"/u/{UUID}", "n": 2}}
    made = explain(Difference("$", Kind.VALUE_CHANGED, primary, shadow), IDS)
    assert [(one.path, one.what) for one in made.changes] == [(f"$['{LEGACY}'].n", "changed")]


def test_long_texts_and_numbers_are_compared_whole() -> None:
    digits = 10**400
    primary = {"t": "x" * 3000 + "a", "n": digits, "l": "a\nb\n" * 500, "same": "y" * 3000}
    shadow = {"t": "x" * 3000 + "b", "n": digits + 1, "l": "a\nb\n" * 499 + "a\nc\n", "same": "y" * 3000}
    made = explain(Difference("$", Kind.VALUE_CHANGED, primary, shadow))
    assert [one.path for one in made.changes] == ["$.l", "$.n", "$.t"]


def test_what_has_moved_is_told_with_the_fewest_moves() -> None:
    names = [LEGACY, "b", "c", "d", "e"]
    made = explain(Difference("$.d", Kind.ORDER_CHANGED, names, ["b", "c", "d", "e", UUID]), IDS)
    (move,) = made.changes
    assert (move.path, move.what, move.primary, move.to) == ("$.d[0]", "moved", LEGACY, "$.d[4]")
    assert text_of([made], 1)[1] == f'  "{LEGACY}" moved from $.d[0] to $.d[4]'
    same = explain(Difference("$.d", Kind.ORDER_CHANGED, names, names), IDS)
    assert same.changes == (), "one side may be sorted otherwise than a rule asks for"


def test_changes_are_bounded_and_what_is_left_out_is_said() -> None:
    many = explain(Difference("$", Kind.VALUE_CHANGED, list(range(100)), list(range(1000, 1100))))
    assert len(many.changes) == MAX_CHANGES
    assert many.left_out == (f"{100 - MAX_CHANGES} more changes",)
    huge = explain(Difference("$", Kind.VALUE_CHANGED, [1] * (MAX_VALUES + 1), [2] * (MAX_VALUES + 1)))
    assert huge.changes == ()
    assert any("not told change by change" in note for note in huge.left_out)
    numbers = list(range(150))
    moved = explain(Difference("$", Kind.ORDER_CHANGED, numbers, numbers[::-1]))
    assert len(moved.changes) == MAX_CHANGES
    assert moved.left_out == (f"{149 - MAX_CHANGES} more moved",)
    longer = explain(Difference("$", Kind.ORDER_CHANGED, [*numbers, *numbers], [*numbers[::-1], *numbers]))
    assert any(f"first {MAX_VALUES} elements only" in note for note in longer.left_out)


# --- hostile values ---


def deep(levels: int, leaf: Any) -> Any:
    for level in range(levels):
        leaf = [leaf] if level % 2 else {"k": leaf}
    return leaf


HOSTILE = "\x00\x1b[2J\x9b31m\x7f\u202e\u2066\u200b\ud800\ufeff\r\n$\u2028"


@pytest.mark.parametrize(
    ("primary", "shadow"),
    [
        (deep(900, 1), deep(900, 2)),
        ([0] * 200_000, [1] * 200_000),
        ({f"k{n}": n for n in range(200_000)}, {f"k{n}": -n for n in range(200_000)}),
        ("x" * 5_000_000, "y" * 5_000_000),
        ({"x" * 2_000_000: 1}, {"y" * 2_000_000: 1}),
        (10**3_999, -(10**3_999)),
        (Decimal("1." + "3" * 3_999), Decimal("1E+999999")),
        ({HOSTILE: [HOSTILE]}, {HOSTILE: {HOSTILE: HOSTILE}}),
        ([n % 2 for n in range(190)], [n // 2 % 2 for n in range(190)]),
        ([f"{LEGACY}{'-' * 40}" * 2_000] * 100, [f"{UUID} " * 2_000] * 100),
        (None, deep(900, HOSTILE)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", [Kind.VALUE_CHANGED, Kind.ORDER_CHANGED, Kind.MISSING, Kind.ID_MISMATCH])
def test_hostile_values_stay_bounded_and_printable(kind: Kind, primary: Any, shadow: Any) -> None:
    started = time.process_time()
    made = explain(Difference(f"$['{HOSTILE}{'p' * 100_000}']", kind, primary, shadow), IDS)
    lines = text_of([made], 1)
    assert time.process_time() - started < 5
    assert len(lines) < 50
    for line in lines:
        line.encode()
        assert escaped(line) == line
        assert len(line) < 3_000
    text = dumps({**made.as_json(), "path": ""})
    json.loads(text)
    assert len(text) < 40 * MAX_SHOWN


def test_what_is_cut_is_said() -> None:
    made = explain(Difference("$", Kind.MISSING, "x" * 10_000, None))
    assert len(made.primary) < 1_000
    assert made.left_out == ("the primary's value is not shown in full",)
    assert explain(Difference("$", Kind.VALUE_CHANGED, {"a": [1]}, 2)).left_out == ()


def test_shortened_values_say_how_much_is_missing() -> None:
    value, cut = shorten(list(range(10_000)))
    assert cut
    assert value[:3] == [0, 1, 2]
    assert value[-1] == f"… and {10_000 - len(value) + 1} more"
    value, cut = shorten({str(n): "x" * 100 for n in range(1_000)})
    assert cut
    assert value["…"] == f"and {1_000 - len(value) + 1} more"
    assert shorten(deep(4, 1)) == (deep(4, 1), False)
    assert shorten([True, None, Decimal("1.50"), 2**70, "é"]) == (
        [True, None, Decimal("1.50"), 2**70, "é"],
        False,
    )
    assert len(one_line(["x" * 400] * 10)) == MAX_LINE + 1
    assert one_line("\x1b\x9b\u202e") == r'"\u001b\u009b\u202e"'
