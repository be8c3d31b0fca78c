"""Rules that are suggested: proved, narrow, ready to paste; and none where only a person may decide."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

import pytest
from ruamel.yaml import YAML

from comparators import suggest as module
from comparators.compare import compare_bodies
from comparators.encode import dumps
from comparators.explain import explain
from comparators.ids import IdPair, IdTable
from comparators.model import Comparison, Difference, Kind
from comparators.rules import compile_rules
from comparators.suggest import MAX_SUGGESTIONS, Suggestions, as_yaml, pasted, suggest
from tests.comparators.test_cases import CASES

LEGACY, UUID = "64b0c8f2a1d3e4f5a6b7c8d9", "0197b2c4-d5e6-7a1b-8c3d-4e5f60718293"
UNKNOWN = "0197b2c4-d5e6-7a1b-8c3d-4e5f60718200"
IDS = IdTable.of([IdPair("user", LEGACY, UUID)])
ROWS = [{"_id": n, "n": n, "m": n, "l": n, "at": at} for n, at in enumerate((3, 2, 2))]
FLAGGED = [{"_id": n, "flag": flag} for n, flag in enumerate((0, 0, 0, 0, 1))]


def block_of(found: Suggestions) -> dict[str, Any]:
    """What somebody gets who pastes the suggested text into a file."""
    text = as_yaml(found.rules)
    assert text.isprintable() or set(filter(lambda char: not char.isprintable(), text)) == {"\n"}
    block: dict[str, Any] = YAML(typ="safe", pure=True).load(text)["compare"]
    return block


def compared(primary: bytes, shadow: bytes, *layers: Mapping[str, Any]) -> Comparison:
    return compare_bodies(primary, shadow, compile_rules(layers), IDS, max_differences=10_000)


def suggested(primary: str, shadow: str, *layers: Mapping[str, Any]) -> Suggestions:
    bodies = primary.encode(), shadow.encode()
    return suggest(*bodies, layers, IDS, compared(*bodies, *layers))


@pytest.mark.parametrize(
    ("primary", "shadow", "rule"),
    [
        ('{"a": null}', "{}", "tolerate:\n    - {kind: null_missing, at: \"$.a\"}"),
        ('{"a": 1.5}', '{"a": "1.5"}', "tolerate:\n    - {kind: number_string, at: \"$.a\"}"),
        ('{"a": "1.5"}', '{"a": "1.50"}', "tolerate:\n    - {kind: decimal_scale, at: \"$.a\"}"),
        ('{"a": "x"}', '{"a": "X"}', "tolerate:\n    - {kind: case, at: \"$.a\"}"),
        ('{"a": "x y"}', '{"a": "x  y"}', "tolerate:\n    - {kind: whitespace, at: \"$.a\"}"),
        ('{"a": null}', '{"a": []}', "tolerate:\n    - {kind: empty, at: \"$.a\"}"),
        (
            '{"a": "2026-05-01T00:00:00Z"}', '{"a": "2026-05-01 00:00:00+00:00"}',
            'tolerate:\n    - {kind: date_format, at: "$.a"}',
        ),
        *[
            (
                '{"a": "2026-05-01T00:00:00.123456789Z"}', f'{{"a": "2026-05-01T00:00:00{kept}Z"}}',
                f'tolerate:\n    - {{kind: date_precision, at: "$.a", unit: {unit}}}',
            )
            for kept, unit in ((".123456", "us"), (".123", "ms"), ("", "s"))
        ],
        (
            f'{{"a": "{LEGACY}"}}', f'{{"a": {{"_id": "{UUID}", "n": 1}}}}',
            'tolerate:\n    - {kind: populated, at: "$.a"}',
        ),
        ('{"a": {"_id": 1}}', '{"a": {"id": 1}}', 'tolerate:\n    - {kind: alias, at: "$.a", names: [_id, id]}'),
        ('{"id": 1}', '{"_id": 1}', 'tolerate:\n    - {kind: alias, at: "$", names: [_id, id]}'),
        (
            '{"a": 4.333333333333333}', '{"a": 4.3333333333333333}',
            'tolerate:\n    - {kind: number, at: "$.a", epsilon: 0.000000000000001}',
        ),
        ('[3, 1, 2]', '[1, 2, 3]', 'order:\n    "$": any'),
        ('{"a": [{"_id": 1}, {"_id": 2}]}', '{"a": [{"_id": 2}, {"_id": 1}]}', 'order:\n    "$.a": {key: _id}'),
        ('{"a": [{"id": 1}, {"id": 2}]}', '{"a": [{"id": 2}, {"id": 1}]}', 'order:\n    "$.a": {key: id}'),
        (
            json.dumps({"a": ROWS}), json.dumps({"a": [ROWS[0], ROWS[2], ROWS[1]]}),
            'order:\n    "$.a": {sorted_by: ["-at"]}',
        ),
        (json.dumps({"a": ROWS}), json.dumps({"a": ROWS[::-1]}), 'order:\n    "$.a": {key: _id}'),
        # Sorted by chance, for all that such a field can tell.
        (json.dumps(FLAGGED), json.dumps([*FLAGGED[3::-1], FLAGGED[4]]), 'order:\n    "$": {key: _id}'),
    ],
)  # fmt: skip
def test_the_narrow_rule_for_each_kind(primary: str, shadow: str, rule: str) -> None:
    found = suggested(primary, shadow)
    assert as_yaml(found.rules) == f"compare:\n  {rule}\n"
    assert (found.left, found.left_out) == (0, ())
    assert compared(primary.encode(), shadow.encode(), block_of(found)).equal
    (one,) = found.rules
    assert compile_rules([one.block()]).fingerprint
    (difference,) = compared(primary.encode(), shadow.encode()).differences
    assert explain(difference, IDS, found.rules).rule == one
    assert explain(difference, IDS, found.rules).as_json()["rule"]["yaml"] == as_yaml([one])


@pytest.mark.parametrize(
    ("primary", "shadow"),
    [
        ("1", "2"),
        ("10.29", "10.30"),
        ('{"a": 10.29}', '{"a": 10.3}'),
        # Digits that no double has: amounts of eighteen decimals, in whichever spelling.
        ("1.000000000000000001", "1.000000000000000002"),
        ('"0.1"', '"0.10000000000000001"'),
        ("100000000000000000001", "100000000000000000002"),
        ("10000000000000000", "10000000000000001"),
        ("1e300", "1.0000000000000001e301"),
        ('{"a": 1}', "{}"),
        ("{}", '{"a": 1}'),
        ("[1]", "[1, 2]"),
        ('{"a": 1}', '{"a": [1]}'),
        ('"abc"', '"abd"'),
        ('"2026-05-01T00:00:00Z"', '"2026-05-01T00:00:01Z"'),
        (f'"{LEGACY}"', f'"{UNKNOWN}"'),
        (f'"{LEGACY[:-1]}0"', f'"{UNKNOWN}"'),
        (f'"{LEGACY[:-1]}0"', f'"{UUID}"'),
        ("{", "{}"),
        ("{}", "<html>"),
        ('{"a": {"_id": 1}}', '{"a": {"id": 2}}'),
    ],
)
def test_no_rule_for_what_only_a_person_may_overlook(primary: str, shadow: str) -> None:
    found = suggested(primary, shadow)
    assert found.rules == ()
    assert found.left == compared(primary.encode(), shadow.encode()).total > 0
    assert as_yaml(found.rules) == ""


def test_a_rule_reaches_its_own_field_in_every_row_and_no_other_field() -> None:
    primary = json.dumps({"data": [{"amount": n, "fee": n} for n in range(3)]})
    shadow = json.dumps({"data": [{"amount": str(n), "fee": str(n)} for n in range(3)]})
    found = suggested(primary, shadow)
    amount, fee = found.rules
    assert (amount.at, fee.at) == ("$.data[*].amount", "$.data[*].fee")
    assert amount.hides == fee.hides == 3
    assert amount.as_text() == 'tolerate: {kind: number_string, at: "$.data[*].amount"} (hides 3 differences here)'
    assert amount.as_json()["places"] == [
        {"path": f"$.data[{n}].amount", "kind": "number_string"} for n in range(3)
    ]  # fmt: skip
    left = compared(primary.encode(), shadow.encode(), amount.block()).differences
    assert {one.path for one in left} == {f"$.data[{n}].fee" for n in range(3)}
    other = compared(b'{"data": [{"amount": null}]}', b'{"data": [{}]}', amount.block())
    assert not other.equal, "this kind only"


def test_two_causes_need_two_rules() -> None:
    found = suggested('{"a": "2026-05-01T00:00:00.123Z"}', '{"a": "2026-05-01 00:00:00+00:00"}')
    assert [(one.kind.value, one.hides) for one in found.rules] == [("date_format", 1), ("date_precision", 1)]
    assert found.left == 0


def test_a_rule_for_some_of_the_differences_covers_only_those() -> None:
    found = suggested('{"a": [0.1, 1.5]}', '{"a": [0.10000000000000001, 2.5]}')
    (one,) = found.rules
    (noise, change) = compared(b'{"a": [0.1, 1.5]}', b'{"a": [0.10000000000000001, 2.5]}').differences
    assert one.covers(noise)
    assert not one.covers(change)
    assert found.left == 1


def test_the_unit_that_forgives_most_is_taken() -> None:
    full = json.dumps({"a": [f"2026-05-01T00:00:00.{digits}Z" for digits in ("123456789", "123456789", "1")]})
    cut = json.dumps({"a": [f"2026-05-01T00:00:00.{digits}Z" for digits in ("123456", "123", "1")]})
    (one,) = suggested(full, cut).rules
    assert (one.rule, one.hides) == ({"kind": "date_precision", "at": "$.a[*]", "unit": "ms"}, 2)


def test_what_somebody_has_ruled_about_an_order_is_not_overruled() -> None:
    rule = {"order": {"$.a": {"sorted_by": ["-at"]}}}
    primary, shadow = json.dumps({"a": ROWS}), json.dumps({"a": ROWS[::-1]})
    assert [one.kind for one in compared(primary.encode(), shadow.encode(), rule).differences] == ["order_changed"]
    assert suggested(primary, shadow, rule).rules == ()


def test_a_rule_that_would_bring_up_another_difference_is_not_suggested() -> None:
    primary, shadow = '[{"n": 1}, {"n": 2}]', '[{"n": "2"}, {"n": "1"}]'
    rule = {"tolerate": [{"kind": "number_string", "at": "$[*].n"}]}
    before, after = (compared(primary.encode(), shadow.encode(), *layers) for layers in ([], [rule]))
    assert not {one.kind for one in after.differences} <= {one.kind for one in before.differences}
    assert suggested(primary, shadow).rules == ()


def test_rules_are_proved_with_those_that_hold_already() -> None:
    far = {"tolerate": [{"kind": "number_string", "at": "$..a"}], "ignore": ["$.x"]}
    near = {"tolerate": [{"kind": "date_precision", "at": "$.t", "unit": "us"}]}
    primary = '{"a": 1, "x": 1, "t": "2026-05-01T00:00:00.123456Z"}'
    shadow = '{"a": "1", "x": 2, "t": "2026-05-01T00:00:00.123Z"}'
    found = suggested(primary, shadow, far, near)
    (one,) = found.rules
    assert one.rule == {"kind": "date_precision", "at": "$.t", "unit": "ms"}
    assert compared(primary.encode(), shadow.encode(), far, pasted(near, one.section, one.at, one.rule)).equal
    until = {
        "tolerate": [{"kind": "number_string", "at": "$.a", "until": "2026-01-01"}],
        "ignore": ["$.x", "$.t"],
    }
    today = date(2026, 5, 1)
    bodies = primary.encode(), shadow.encode()
    found_late = compare_bodies(*bodies, compile_rules([until], today=today), IDS)
    late = suggest(*bodies, [until], IDS, found_late, today=today)
    assert [one.at for one in late.rules] == ["$.a"], "a rule that has run out forgives nothing"


@pytest.mark.parametrize(
    "name",
    ["odd name", "a.b", "it's", 'quo"ted', "back\\slash", "${HOME}", "$$", "$oid", "\x00\x1b[2J",
     "\x7f\x9b\u202e", "\ud800", "\u2028", "é", "日本", "😀", "", "*", "..", "[0]", "true", "#", ": ",
     "{{}}", "\t", "\r\n"],
)  # fmt: skip
def test_odd_names_give_a_rule_that_can_be_pasted(name: str) -> None:
    primary, shadow = dumps({"d": [{name: 1, "other": 1}]}), dumps({"d": [{name: "1", "other": "1"}]})
    found = suggested(primary, shadow)
    assert len(found.rules) == 2
    assert compared(primary.encode(), shadow.encode(), block_of(found)).equal
    assert [one.path for one in compared(primary.encode(), shadow.encode(), found.rules[0].block()).differences] == [
        "$.d[0].other"
    ]
    assert "${" not in as_yaml(found.rules)
    assert "$$" not in as_yaml(found.rules)


def test_a_member_named_by_an_id_gets_a_rule_for_the_ids_to_come() -> None:
    found = suggested(f'{{"unread": {{"{LEGACY}": 1}}}}', f'{{"unread": {{"{UUID}": "1"}}}}')
    assert [one.at for one in found.rules] == ["$.unread.*"]
    assert found.left == 0


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_what_is_suggested_for_the_cases_holds(case: dict[str, Any]) -> None:
    ids = IdTable.of(IdPair(*pair) for pair in case["ids"])
    primary, shadow = case["primary"].encode(), case["shadow"].encode()
    found = suggest(
        primary,
        shadow,
        [case["rules"]],
        ids,
        compare_bodies(primary, shadow, compile_rules([case["rules"]]), ids),
    )
    before = {(path, kind) for path, kind in case["differences"]}
    for one in found.rules:
        assert one.kind not in (
            "missing",
            "added",
            "type_changed",
            "id_mismatch",
            "id_unmapped",
            "unparseable",
        )
        rules = compile_rules([pasted(case["rules"], one.section, one.at, one.rule)])
        after = compare_bodies(primary, shadow, rules, ids)
        left = {(difference.path, difference.kind.value) for difference in after.differences}
        assert left < before
        assert before - left == one.places
    if found.rules:
        after = compare_bodies(primary, shadow, compile_rules([case["rules"], block_of(found)]), ids)
        assert after.total == found.left < len(before)


# --- bounds ---


def test_only_so_many_rules_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    primary, shadow = (
        json.dumps({f"k{n}": n for n in range(200)}),
        json.dumps({f"k{n}": str(n) for n in range(200)}),
    )
    found = suggested(primary, shadow)
    assert len(found.rules) == MAX_SUGGESTIONS
    assert found.left == 200 - MAX_SUGGESTIONS
    assert found.left_out == ("not every rule that might help was tried",)
    with monkeypatch.context() as patch:
        patch.setattr(module, "MAX_WORK", len(primary))
        assert suggested(primary, shadow) == Suggestions((), 200, found.left_out)
    few = compare_bodies(primary.encode(), shadow.encode(), compile_rules([]), IDS, max_differences=5)
    assert suggest(primary.encode(), shadow.encode(), [], IDS, few) == found
    monkeypatch.setattr(module, "MAX_DIFFERENCES", 100)
    unsure = suggest(primary.encode(), shadow.encode(), [], IDS, few)
    assert unsure == Suggestions((), 200, ("too many differences for rules to be tried",))


def test_status_and_headers_have_no_rule_here() -> None:
    outside = Comparison(
        (Difference("status", Kind.STATUS, 200, 404), Difference("headers.link", Kind.CASE, "a", "A")), (), 2
    )
    assert suggest(b'{"a": 1}', b'{"a": 1}', [], IDS, outside) == Suggestions((), 2)


def test_bodies_that_are_hostile_get_no_rule_and_no_error() -> None:
    for primary, shadow in [
        ("[" * 100_000, "]"),
        ('{"a":' * 150 + "null" + "}" * 150, '{"a":' * 149 + "{}" + "}" * 149),
        (f'{{"{"x" * 5_000}": null}}', "{}"),
        ("\ufeff{}", "{}"),
    ]:
        assert suggested(primary, shadow).rules == ()
