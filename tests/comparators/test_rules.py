"""Which rules are refused, which apply, and which of two wins."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import pytest

from comparators.compare import compare_bodies, compare_responses
from comparators.ids import IdTable
from comparators.model import Response
from comparators.rules import RulesError, check_rules, compile_rules

NO_IDS = IdTable()
BAD_ORDERS: list[Any] = [
    "some", None, {}, {"any": False}, {"key": ""}, {"key": 3}, {"key": "a", "sorted_by": "b"}, {"sorted_by": []},
    {"sorted_by": [3]}, {"sorted_by": "-"}, {"sorted_by": "a..b"}, {"any": True, "key": "id"},
]  # fmt: skip


@pytest.mark.parametrize(
    ("block", "key", "says"),
    [
        ([], (), "must be a mapping"),
        ({"ingore": []}, ("ingore",), "unknown key"),
        ({"status": "loose"}, ("status",), "'exact' or 'class'"),
        ({"headers": "etag"}, ("headers",), "list of header names"),
        ({"headers": [""]}, ("headers",), "list of header names"),
        ({"ids": "fuzzy"}, ("ids", "mode"), "'mapped', 'inferred' or 'exact'"),
        ({"ids": []}, ("ids",), "must be 'mapped'"),
        ({"ids": {"modus": "exact"}}, ("ids", "modus"), "unknown key"),
        ({"ids": {"entities": ["user"]}}, ("ids", "entities"), "must map"),
        ({"ids": {"entities": {"$..a": ""}}}, ("ids", "entities", "$..a"), "name of an entity"),
        ({"ids": {"entities": {"a": "user"}}}, ("ids", "entities", "a"), "must start with"),
        ({"ignore": "$.a"}, ("ignore",), "must be a list"),
        ({"ignore": ["$.a"] * 1001}, ("ignore",), "at most 1000"),
        ({"ignore": [3]}, ("ignore", 0), "must be a path"),
        ({"ignore": ["$.a", "a"]}, ("ignore", 1), "must start with"),
        ({"ignore": [{"at": "$.a", "wy": "x"}]}, ("ignore", 0, "wy"), "unknown key"),
        ({"ignore": [{"at": "$.a", "why": 3}]}, ("ignore", 0, "why"), "must be text"),
        ({"ignore": [{"at": "$.a", "until": "soon"}]}, ("ignore", 0, "until"), "must be a date"),
        *[({"ignore": [path]}, ("ignore", 0), "hide everything") for path in ("$", "$..", "$.*", "$[*]", "$..*")],
        ({"order": ["$.a"]}, ("order",), "must map"),
        ({"order": {"a": "any"}}, ("order", "a"), "must start with"),
        *[
            ({"order": {"$.a": spec}}, ("order", "$.a"), "must be 'any'")
            for spec in BAD_ORDERS
        ],
        ({"order": {"$.a": {"key": "id", "by": "x"}}}, ("order", "$.a", "by"), "unknown key"),
        ({"tolerate": {"kind": "case"}}, ("tolerate",), "must be a list"),
        ({"tolerate": ["case"]}, ("tolerate", 0), "must be a mapping"),
        ({"tolerate": [{"at": "$.a"}]}, ("tolerate", 0, "kind"), "unknown kind"),
        ({"tolerate": [{"kind": "value_changed"}]}, ("tolerate", 0, "kind"), "unknown kind"),
        ({"tolerate": [{"kind": ["case"]}]}, ("tolerate", 0, "kind"), "unknown kind"),
        ({"tolerate": [{"kind": "case", "at": "a"}]}, ("tolerate", 0, "at"), "must start with"),
        ({"tolerate": [{"kind": "case", "epsilon": 1}]}, ("tolerate", 0, "epsilon"), "unknown key"),
        *[
            ({"tolerate": [{"kind": "number", "epsilon": value}]}, ("tolerate", 0, "epsilon"), "number above 0")
            for value in (None, "0.1", True, 0, -1, float("nan"), float("inf"))
        ],
        ({"tolerate": [{"kind": "date_precision", "unit": "min"}]}, ("tolerate", 0, "unit"), "must be one of"),
        ({"tolerate": [{"kind": "date_precision", "unit": ["ms"]}]}, ("tolerate", 0, "unit"), "must be one of"),
        *[
            ({"tolerate": [{"kind": "alias", "names": names}]}, ("tolerate", 0, "names"), "two different names")
            for names in (None, "id", ["id"], ["id", "id"], ["id", 3])
        ],
    ],
)  # fmt: skip
def test_what_is_refused(block: Any, key: tuple[str | int, ...], says: str) -> None:
    problems = check_rules(block)
    assert any(problem.key == key and says in problem.text for problem in problems), problems
    with pytest.raises(RulesError, match="compare|" + str(key[0] if key else "compare")):
        compile_rules([{}, block])


def test_nothing_to_refuse() -> None:
    block = {
        "status": "class", "headers": ["ETag"], "ids": {"mode": "exact", "entities": {"$..a": "user"}},
        "ignore": ["$.a", {"at": "$..b", "why": "w", "owner": "o", "ticket": "t", "until": date(2030, 1, 1)}],
        "order": {"$.t": "any", "$.u": {"any": True}, "$.v": {"key": "id"}, "$.w": {"sorted_by": ["-a", "b.c"]}},
        "tolerate": [{"kind": "number", "epsilon": 0.1, "until": "2030-01-01"}, {"kind": "alias", "names": ["a", "b"]}],
    }  # fmt: skip
    assert check_rules(block) == []
    assert compile_rules([block]).headers == ("etag",)
    assert check_rules({"ignore": None, "order": None, "tolerate": None, "ids": None}) == []


def test_a_rule_ends_after_its_date() -> None:
    for until in ("2027-01-31", date(2027, 1, 31), datetime(2027, 1, 31, 8)):  # noqa: DTZ001 - as YAML gives it
        block = {"ignore": [{"at": "$.a", "until": until}]}
        assert compile_rules([block], today=date(2027, 1, 31)).root.marks
        late = compile_rules([block], today=date(2027, 2, 1))
        assert not late.root.marks
        assert late.expired == ("ignore.0 (until 2027-01-31)",)
        assert late.fingerprint != compile_rules([block], today=date(2027, 1, 1)).fingerprint


def number_rule(at: str, epsilon: float) -> dict[str, Any]:
    return {"kind": "number", "at": at, "epsilon": epsilon}


@pytest.mark.parametrize(
    ("layers", "forgiven"),
    [
        ([[number_rule("$..r", 1)]], True),
        ([[number_rule("$..r", 1), number_rule("$.a.r", 0.1)]], False),
        ([[number_rule("$.a.r", 1), number_rule("$..r", 0.1)]], True),
        ([[number_rule("$.a.r", 0.1)], [number_rule("$..r", 1)]], True),
        ([[number_rule("$.a.r", 1)], [number_rule("$..", 0.1)]], False),
        ([[number_rule("$.a.r", 1), number_rule("$.a.r", 0.1)]], False),
    ],
)
def test_the_nearer_then_the_more_specific_then_the_later_wins(layers: list[Any], forgiven: bool) -> None:
    rules = compile_rules([{"tolerate": layer} for layer in layers])
    assert compare_bodies(b'{"a":{"r":1}}', b'{"a":{"r":1.5}}', rules, NO_IDS).equal is forgiven


def test_a_nearer_block_without_a_mode_keeps_the_farther_one() -> None:
    far, near = {"ids": "exact", "status": "class"}, {"ids": {"entities": {"$..a": "user"}}}
    rules = compile_rules([far, near])
    assert (rules.ids, rules.status, rules.entities) == ("exact", "class", True)


def answer(status: int = 200, content_type: str = "application/json", body: bytes = b"{}", **headers: str) -> Response:
    return Response(status, (("content-type", content_type), *headers.items()), body)


TEXT = "text/plain"
UTF8 = "application/json;charset=utf-8"
SPACED = 'Application/JSON; charset="UTF-8"'


@pytest.mark.parametrize(
    ("primary", "shadow", "block", "expected", "tolerated"),
    [
        (answer(200), answer(201), {}, [("status", "status")], []),
        (answer(200), answer(201), {"status": "class"}, [], [("status", "status", 1)]),
        (answer(200), answer(404), {"status": "class"}, [("status", "status")], []),
        (answer(), answer(200, UTF8), {}, [("headers.content-type", "content_type")], []),
        (answer(200, UTF8), answer(200, SPACED), {}, [], []),
        (answer(200, TEXT, b"x"), answer(200, TEXT, b"y"), {}, [("$", "value_changed")], []),
        (answer(200, TEXT, b"\xff"), answer(200, TEXT, b"\xfe"), {}, [("$", "value_changed")], []),
        (answer(200, TEXT), answer(body=b"{ }"), {"headers": []}, [("$", "type_changed")], []),
        (answer(location="/a"), answer(location="/b"), {}, [("headers.location", "header")], []),
        (answer(location="/a"), answer(), {}, [("headers.location", "header")], []),
        (answer(location="/a"), answer(location="/b"), {"headers": []}, [], []),
        (answer(etag="1"), answer(etag="2"), {}, [], []),
        (answer(500, body=b"[1]"), answer(body=b"[2]"), {}, [("status", "status"), ("$[0]", "value_changed")], []),
    ],
)
def test_responses(primary: Response, shadow: Response, block: Any, expected: list[Any], tolerated: list[Any]) -> None:
    found = compare_responses(primary, shadow, compile_rules([block]), NO_IDS)
    assert [(d.path, d.kind.value) for d in found.differences] == expected
    assert [(t.kind, t.path, t.count) for t in found.tolerated] == tolerated
    assert found.total == len(expected)


def test_an_answer_to_head_has_no_body_to_compare() -> None:
    left, right = answer(body=b'{"a":1}'), answer(body=b"")
    assert compare_responses(left, right, compile_rules([{}]), NO_IDS, head_only=True).equal
