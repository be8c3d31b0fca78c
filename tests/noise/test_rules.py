"""Which rule is suggested for a noise: a narrow one that can be pasted, and none for what a person has to look at."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ruamel.yaml import YAML

from comparators.compare import compare_bodies
from comparators.ids import IdTable
from comparators.model import Kind
from comparators.rules import compile_rules
from proxy.noise.rules import WHY, Rule, Seen, as_yaml, fold, rule_for

EXACT = [{"ids": "exact"}]
read = YAML(typ="safe").load
HEADERS = ("content-type", "location", "link")


def seen(path: str, kind: Kind, primary: Any = 1, shadow: Any = 2, exchanges: int = 40) -> Seen:
    return Seen(path, kind, exchanges, 100, json.dumps(primary), json.dumps(shadow))


def test_a_volatile_value_is_to_be_ignored() -> None:
    rule, remark = rule_for(seen("$.meta.requestId", Kind.VALUE_CHANGED, "a", "b"), EXACT, None)
    assert rule == Rule("ignore", "$.meta.requestId", f'{{at: "$.meta.requestId", why: "{WHY}"}}')
    assert remark == ""


def test_what_a_tolerance_explains_is_not_ignored() -> None:
    bodies = '{"at": "2026-01-01T00:00:00.123Z"}', '{"at": "2026-01-01T00:00:00.123456Z"}'
    rule, _ = rule_for(seen("$.at", Kind.DATE_PRECISION), EXACT, bodies)
    assert rule is not None
    assert read(rule.text) == {"kind": "date_precision", "at": "$.at", "unit": "ms"}
    bodies = '{"tags": ["a", "b", "c"]}', '{"tags": ["c", "a", "b"]}'
    rule, _ = rule_for(seen("$.tags", Kind.ORDER_CHANGED, ["a"], ["c"]), EXACT, bodies)
    assert rule is not None
    assert (rule.section, read(rule.text)) == ("order", {"$.tags": "any"})


@pytest.mark.parametrize(
    ("one", "says"),
    [
        (seen("status", Kind.STATUS, 200, 404), "the same question in different ways"),
        (seen("$", Kind.UNPARSEABLE, "", ""), "the same question in different ways"),
        (seen("$.data[*]", Kind.MISSING, {"id": 1}, None), "whole rows or lists differ"),
        (seen("$.data[*]", Kind.VALUE_CHANGED, 1, 2), "whole rows or lists differ"),
        (seen("$.data.owner", Kind.ADDED, None, {"name": "a"}), "whole rows or lists differ"),
        (seen("$.data[*].id", Kind.VALUE_CHANGED, "a", "b"), "another row stands there"),
        (seen("$.views", Kind.VALUE_CHANGED, 1, 2, exchanges=4), "rare: a write between the two reads"),
        (seen("$.views", Kind.VALUE_CHANGED, 1, 2, exchanges=2), "rare: a write between the two reads"),
        (seen("$.*", Kind.VALUE_CHANGED), "whole rows or lists differ"),
    ],
    ids=lambda value: value.path if isinstance(value, Seen) else "",
)
def test_what_a_person_has_to_look_at_has_no_rule(one: Seen, says: str) -> None:
    rule, remark = rule_for(one, EXACT, None)
    assert rule is None
    assert says in remark


def test_rules_move_up_only_where_all_need_them() -> None:
    volatile, own = Rule("ignore", "$.a", '"$.a"'), Rule("ignore", "$.b", '"$.b"')
    header = Rule("headers", "etag", "etag")
    compared = [("x", "1"), ("x", "2"), ("y", "1"), ("y", "2"), ("z", "1")]
    placed = fold(
        {("x", "1"): [volatile, own, header], ("x", "2"): [volatile, header], ("y", "1"): [volatile]}, compared
    )
    assert placed == {("x", "1"): [own, header], ("x", "2"): [header], ("x", None): [volatile], ("y", "1"): [volatile]}
    both = {("x", "1"): [volatile], ("x", "2"): [volatile], ("y", "1"): [volatile], ("y", "2"): [volatile]}
    assert fold(both, compared[:4]) == {(None, None): [volatile]}
    assert fold(both, compared) != {(None, None): [volatile]}  # z was compared, and had no need of it
    assert fold({("z", "1"): [volatile]}, [("z", "1")]) == {("z", "1"): [volatile]}


def test_what_is_to_be_pasted_is_a_configuration_that_silences_the_noise() -> None:
    noisy = seen("$.data['odd \"name\" ${x}']", Kind.VALUE_CHANGED, "a", "b")
    rule, _ = rule_for(noisy, EXACT, None)
    assert rule is not None
    tags, header = Rule("order", "$.tags", '"$.tags": any'), Rule("headers", "location", "location")
    text = as_yaml(
        {("x", "GET /a"): [rule, tags, header], ("x", None): [rule], (None, None): [tags]}, {("x", "GET /a"): HEADERS}
    )
    told = read(text)
    assert "${" not in text
    (route,) = told["domains"]["x"]["routes"]
    assert route["route"] == "GET /a"
    assert route["compare"]["headers"] == ["content-type", "link"]
    assert told["compare"] == {"order": {"$.tags": "any"}}
    assert told["domains"]["x"]["compare"]["ignore"][0]["why"] == WHY
    rules = compile_rules([route["compare"]])
    one, other = ({"data": {'odd "name" ${x}': value}, "tags": tags} for value, tags in (("a", [1, 2]), ("b", [2, 1])))
    assert compare_bodies(json.dumps(one).encode(), json.dumps(other).encode(), rules, IdTable()).equal
    assert as_yaml({}, {}) == ""
