"""One matched pair under a closer look."""

from __future__ import annotations

import itertools
import json
from datetime import date
from typing import Any

from comparators.fields import State
from comparators.ids import IdTable
from comparators.model import Response
from proxy.verify.examination import Examination, Tried, examine
from proxy.verify.work import Job
from tests.comparators.saying import IDS, OTHER, OWNER, OWNER_UUID

JSON = (("content-type", "application/json; charset=utf-8"),)
TODAY = date(2026, 3, 1)


def job(
    primary: Any,
    shadow: Any | None = None,
    *blocks: dict[str, Any],
    ids: IdTable = IDS,
    headers: tuple[tuple[str, str], ...] = JSON,
    **more: Any,
) -> Job:
    """The job of a comparison of two values, or of two bodies."""
    left, right = (
        value if isinstance(value, bytes) else json.dumps(value).encode()
        for value in (primary, primary if shadow is None else shadow)
    )
    return Job(
        Response(200, headers, left), Response(200, headers, right), json.dumps(blocks), TODAY, ids,
        **{"head_only": False, "max_depth": 200, "max_differences": 100, **more},
    )  # fmt: skip


def examined(one: Job, **more: Any) -> Examination:
    return examine(one, **{"limit": 1_000, "seed": 1, "seconds": 60.0, **more})


def unseen(made: Examination) -> dict[tuple[str, str], str]:
    return {(one.path, one.damage): one.rule for one in made.damages if not one.seen}


def inside(made: Examination) -> list[Tried]:
    """The damages to the body."""
    return [one for one in made.damages if one.path.startswith("$")]


PAYMENT = {"_id": OWNER, "amount": 12.5, "state": "open", "at": "2026-01-15T20:43:05.780Z", "note": None, "n": [1, 2]}
TWIN = {**PAYMENT, "_id": OWNER_UUID}


def test_without_rules_all_damage_is_seen_and_all_fields_are_named() -> None:
    made = examined(job(PAYMENT, TWIN))
    assert unseen(made) == {}
    assert {one.damage for one in made.damages} == {
        "id", "decimal", "text", "date", "null", "number", "drop", "add", "drop_element", "repeat_element",
        "swap_elements", "status", "header",
    }  # fmt: skip
    assert set(made.fields) == {"$", "$._id", "$.amount", "$.state", "$.at", "$.note", "$.n", "$.n[*]"}
    assert made.fields["$.note"] == State(present=True, null=True, empty=False, valued=False)
    assert made.seconds > 0


def test_a_rule_that_hides_a_field_is_named() -> None:
    made = examined(job(PAYMENT, TWIN, {"ignore": ["$..amount"]}, {"order": {"$.n": "any"}}))
    assert unseen(made) == {
        ("$.amount", "decimal"): "ignore $..amount",
        ("$.amount", "null"): "ignore $..amount",
        ("$.amount", "drop"): "ignore $..amount",
        ("$.n", "swap_elements"): "order $.n",
    }


def test_a_rule_past_its_date_hides_nothing() -> None:
    rule = {"ignore": [{"at": "$..amount", "until": "2026-02-28"}]}
    assert unseen(examined(job(PAYMENT, TWIN, rule))) == {}


def test_inferred_ids_are_known_from_the_undamaged_pair() -> None:
    both = [{"_id": OWNER, "by": OWNER}, {"_id": OTHER, "by": OWNER}]
    uuids = {OWNER: "aaaaaaaa-0000-4000-8000-000000000001", OTHER: "aaaaaaaa-0000-4000-8000-000000000002"}
    twin = [{name: uuids[value] for name, value in row.items()} for row in both]
    made = examined(job(both, twin, {"ids": "inferred"}, ids=IdTable()))
    assert unseen(made) == {}
    assert {("$[*].by", "id"), ("$[*]._id", "id")} <= {(one.path, one.damage) for one in made.damages}


def test_equal_bodies_are_examined_too() -> None:
    made = examined(job(b'{"a": "x"}', ids=IdTable()))
    assert Tried("$.a", "text", seen=True) in made.damages
    assert set(made.fields) == {"$", "$.a"}


def test_what_cannot_be_printed_fast_is_printed_all_the_same() -> None:
    made = examined(job(b'{"a": "\\ud800", "b": %b, "c": 1}' % (b"9" * 200)))
    assert len(inside(made)) == 10
    assert unseen(made) == {}


def test_a_body_that_is_no_json_is_damaged_as_a_whole() -> None:
    text = (("content-type", "text/plain"),)
    for one in (job(b"plain", headers=text), job(b"{", b"{"), job(b"")):
        made = examined(one)
        assert (made.fields, inside(made)) == ({}, [Tried("$", "text", seen=True)])
    assert examined(job(PAYMENT, TWIN, head_only=True)).damages == ()
    assert examined(job(b"plain", b"other", headers=text)).damages == ()


def test_what_rules_let_differ_beside_the_body_is_told() -> None:
    fields = (*JSON, ("location", "/api/payments/1"))
    made = examined(job(PAYMENT, TWIN, {"status": "class", "headers": ["content-type"]}, headers=fields))
    assert unseen(made) == {("status", "status"): "status class", ("headers.location", "header"): "headers"}
    assert unseen(examined(job(PAYMENT, TWIN, headers=fields))) == {}


def test_what_a_rule_lets_the_shadow_leave_out_is_a_blind_spot_too() -> None:
    """What only the primary has is hidden all the same."""
    alone = {name: value for name, value in TWIN.items() if name != "amount"}
    hidden = unseen(examined(job(PAYMENT, alone, {"ignore": ["$..amount"]})))
    assert hidden["$.amount", "decimal"] == "ignore $..amount"
    null = unseen(examined(job(PAYMENT, {**TWIN, "amount": None}, {"ignore": ["$..amount"]})))
    assert null["$.amount", "decimal"] == "ignore $..amount"
    rule = {"tolerate": [{"kind": "populated", "at": "$.by"}]}
    whole = {"by": {"_id": OWNER, "name": "Ada", "vip": True}}
    hidden = unseen(examined(job(whole, {"by": OWNER_UUID}, rule)))
    assert (hidden["$.by.name", "text"], hidden["$.by.vip", "boolean"]) == ("populated $.by", "populated $.by")
    assert ("$.by._id", "id") not in hidden


def test_a_pair_that_differs_is_not_damaged() -> None:
    made = examined(job(PAYMENT, {**TWIN, "amount": 13}))
    assert made.damages == ()
    assert made.fields["$.amount"].valued


def test_damage_is_bounded_in_number_and_time() -> None:
    assert len(inside(examined(job(PAYMENT, TWIN), limit=3))) == 3
    ticks = itertools.count()
    made = examined(job(PAYMENT, TWIN), seconds=4, clock=lambda: float(next(ticks)))
    assert len(inside(made)) == 4
    assert len(inside(examined(job(PAYMENT, TWIN), seconds=-1))) == 1, "a pair is never in vain"


def test_the_least_tried_come_first() -> None:
    every = {(one.path, one.damage) for one in inside(examined(job(PAYMENT, TWIN)))}
    rest = {("$.amount", "decimal"), ("$.n", "drop_element")}
    made = examined(job(PAYMENT, TWIN), limit=2, tried=dict.fromkeys(every - rest, 1))
    assert {(one.path, one.damage) for one in inside(made)} == rest
