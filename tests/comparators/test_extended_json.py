"""MongoDB Extended JSON on one side, the same value written plainly on the other."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from comparators.rules import compile_rules
from tests.comparators.saying import (
    OTHER,
    OTHER_UUID,
    OWNER,
    OWNER_UUID,
    STRANGER,
    THING,
    THING_UUID,
    USUAL,
    USUAL_KINDS,
    said_of,
)  # fmt: skip


def test_rows_with_wrapped_ids_are_paired_by_them() -> None:
    wrapped, plain = ([{"_id": one, "n": n} for n, one in enumerate(side)] for side in (
        [{"$oid": THING}, {"$oid": OWNER}, {"$oid": OTHER}], [THING_UUID, OWNER_UUID, OTHER_UUID],
    ))  # fmt: skip
    ids = [("$[0]._id", "populated"), ("$[1]._id", "populated"), ("$[2]._id", "populated")]
    assert said_of(wrapped, plain) == ids
    assert said_of(wrapped, plain, USUAL) == []
    assert said_of(wrapped, plain[1:], USUAL) == [("$[0]", "missing")]
    assert said_of(wrapped[:2], plain, USUAL) == [("$[2]", "added")]
    assert said_of(wrapped, [plain[0], {**plain[1], "n": 9}, plain[2]], USUAL) == [("$[1].n", "value_changed")]
    assert said_of(wrapped, [plain[1], plain[0], plain[2]], USUAL) == [("$", "order_changed")]
    for order in ("any", {"key": "_id"}):
        rules = compile_rules([{"order": {"$": order}, "tolerate": [{"kind": "populated"}]}])
        assert said_of(wrapped, plain[::-1], rules) == []
        assert said_of(wrapped, [plain[2], plain[0]], rules) == [("$[1]", "missing")]
        assert said_of(wrapped, [plain[2], {**plain[1], "n": 9}, plain[0]], rules) == [("$[1].n", "value_changed")]


def test_wrapped_ids_in_an_array_against_plain_ones() -> None:
    wrapped = [{"$oid": OWNER}, {"$oid": OTHER}]
    assert said_of(wrapped, [OTHER_UUID], USUAL) == [("$[0]", "missing")]
    assert said_of(wrapped, [OTHER_UUID, OWNER_UUID], USUAL) == [("$", "order_changed")]
    assert said_of(wrapped, [OWNER_UUID, THING_UUID], USUAL) == [("$[1]", "id_mismatch")]
    assert said_of(wrapped, [OWNER_UUID, STRANGER], USUAL) == [("$[1]", "id_unmapped")]
    rules = compile_rules([{"order": {"$": "any"}, "tolerate": [{"kind": "populated"}]}])
    assert said_of(wrapped, [OTHER_UUID, OWNER_UUID], rules) == []
    assert len(said_of(wrapped, [OTHER_UUID, OTHER_UUID], rules)) == 1


def test_rows_sorted_by_wrapped_values() -> None:
    # Decimals sort as numbers: as texts 9 would come after 10.
    tolerate = [{"kind": kind} for kind in USUAL_KINDS]
    amounts, days = ("10", "9", "9"), ("2026-01-03", "2026-01-02", "2026-01-01")
    wrapped = [
        {"_id": {"$oid": one}, "at": {"$date": f"{day}T00:00:00.000Z"}, "amount": {"$numberDecimal": amount}}
        for one, day, amount in zip((THING, OWNER, OTHER), days, amounts, strict=True)
    ]
    plain = [
        {"_id": one, "at": f"{day}T05:30:00+05:30", "amount": Decimal(f"{amount}.0")}
        for one, day, amount in zip((THING_UUID, OWNER_UUID, OTHER_UUID), days, amounts, strict=True)
    ]
    tied = [plain[0], plain[2], plain[1]]
    for field, swapped in (("-at", [("$", "order_changed")]), ("-amount", [])):
        rules = compile_rules([{"order": {"$": {"sorted_by": [field]}}, "tolerate": tolerate}])
        assert said_of(wrapped, plain, rules) == []
        assert said_of(wrapped, tied, rules) == swapped
        assert said_of(wrapped, plain[::-1], rules) == [("$", "order_changed")]


def test_an_entity_that_the_rules_name_holds_for_wrapped_ids_too() -> None:
    rules = compile_rules([{"ids": {"entities": {"$.a": "user"}}, "tolerate": [{"kind": "populated"}]}])
    for form in ({"$oid": THING_UUID}, THING_UUID):
        assert [kind for _, kind in said_of({"a": {"$oid": THING}}, {"a": form}, rules)] == ["id_mismatch"]
    for form in ({"$oid": OWNER_UUID}, OWNER_UUID):
        assert said_of({"a": {"$oid": OWNER}}, {"a": form}, rules) == []


WRAPPERS: dict[str, tuple[Any, Any, list[str]]] = {
    "another row": ({"$oid": OWNER}, OTHER_UUID, ["id_mismatch", "populated"]),
    "an unknown row": ({"$oid": OWNER}, STRANGER, ["id_unmapped", "populated"]),
    "an id in capitals": ({"$oid": OWNER}, OWNER_UUID.upper(), ["populated"]),
    "no id": ({"$oid": OWNER}, 7, ["type_changed"]),
    "an id and null": ({"$oid": OWNER}, None, ["type_changed"]),
    "a member more": ({"$oid": OWNER, "n": 1}, OWNER_UUID, ["type_changed"]),
    "another wrapper": ({"$oid": OWNER}, {"$uuid": OWNER_UUID.replace("-", "")}, ["populated"]),
    "another instant": ({"$date": "2026-01-15T20:43:05.780Z"}, "2026-01-15T20:43:05.781Z", ["value_changed"]),
    "another zone": ({"$date": "2026-01-15T20:43:05.780Z"}, "2026-01-16T02:13:05.78+05:30", ["date_format"]),
    "the spelling itself": ({"$date": "2026-01-15T20:43:05.780Z"}, "2026-01-15T20:43:05.780Z", ["date_format"]),
    "another millisecond": ({"$date": {"$numberLong": "1768509785780"}}, 1768509785781, ["value_changed"]),
    "seconds": ({"$date": {"$numberLong": "1768509785000"}}, 1768509785, ["value_changed"]),
    "before 1970": ({"$date": {"$numberLong": "-1"}}, "1969-12-31T23:59:59.999+00:00", ["date_format"]),
    "microseconds": (
        {"$date": {"$numberLong": "-1"}}, "1969-12-31T23:59:59.999001+00:00", ["date_format", "date_precision"],
    ),
    "a number no date can be": ({"$date": "2026-01-15T20:43:05.780Z"}, 10**30, ["type_changed"]),
    "a date and a word": ({"$date": "2026-01-15T20:43:05.780Z"}, "yesterday", ["value_changed"]),
    "a date and null": ({"$date": "2026-01-15T20:43:05.780Z"}, None, ["type_changed"]),
    "no date": ({"$date": {"$numberLong": "soon"}}, "2026-01-15T20:43:05.780Z", ["type_changed"]),
    "two forms": ({"$date": {"$numberLong": "-1"}}, {"$date": "1969-12-31T23:59:59.999Z"}, ["date_format"]),
    "two instants": ({"$date": {"$numberLong": "-2"}}, {"$date": "1969-12-31T23:59:59.999Z"}, ["value_changed"]),
    "a number": ({"$numberDecimal": "10.29"}, Decimal("10.290"), ["number_string"]),
    "a text": ({"$numberDecimal": "10.29"}, "10.29", ["number_string"]),
    "a text of another scale": ({"$numberDecimal": "10.29"}, "10.290", ["decimal_scale", "number_string"]),
    "a cent": ({"$numberDecimal": "10.29"}, "10.30", ["number_string", "value_changed"]),
    "a number off": ({"$numberLong": "9007199254740993"}, 9007199254740992, ["number_string", "value_changed"]),
    "an exponent": ({"$numberDecimal": "1E+3"}, 1000, ["number_string"]),
    "a small exponent": ({"$numberDouble": "1e+21"}, 10**21, ["number_string"]),
    "a double": ({"$numberDouble": "5.0"}, 5, ["number_string"]),
    "a number and a word": ({"$numberInt": "7"}, "seven", ["type_changed"]),
    "a number and true": ({"$numberInt": "1"}, True, ["type_changed"]),
    "a number and null": ({"$numberInt": "0"}, None, ["type_changed"]),
    "a number and nothing": ({"$numberInt": "0"}, "", ["type_changed"]),
    "a number and its wrapper": ({"$numberInt": 7}, 7, ["type_changed"]),
}  # fmt: skip


@pytest.mark.parametrize("name", WRAPPERS)
def test_a_wrapped_value_against_a_plain_one(name: str) -> None:
    left, right, kinds = WRAPPERS[name]
    for one, other in ((left, right), (right, left)):
        for path, a, b in (("$", one, other), ("$.x", {"x": one}, {"x": other}), ("$[0]", [one], [other])):
            assert said_of(a, b) == [(path, kind) for kind in kinds]
    # No rule but those of the kinds named may forgive it, and each only its own.
    for kind in USUAL_KINDS:
        rules = compile_rules([{"tolerate": [{"kind": kind}]}])
        assert said_of(left, right, rules) == [("$", one) for one in kinds if one != kind]
