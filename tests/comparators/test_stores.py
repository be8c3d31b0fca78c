"""What is said of things that a real Postgres and a real MongoDB-wire server print, each in its own ways.

Every value of every column type is changed by the least that its type allows: nothing may stay unseen, and what a JSON
client could not tell apart may not be named.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from comparators.rules import compile_rules
from proxy.demo.servers import PostgresServer
from tests.comparators.changes import CHANGES, Change
from tests.comparators.saying import OTHER, OWNER, USUAL, USUAL_KINDS, compared, exact, printed, said, within
from tests.comparators.stores import POSTGRES, Prints, print_all
from tests.conftest import administer

DATABASE = "shadowread_stores"
MIRROR = {"missing": "added", "added": "missing"}


@pytest.fixture(scope="module")
def prints(pg_server: PostgresServer, mongo_url: str) -> Iterator[Prints]:
    """Everything the two stores print, asked for once."""
    administer(pg_server, f"CREATE DATABASE {DATABASE}")
    with asyncio.Runner() as runner:
        yield runner.run(print_all(pg_server.dsn(DATABASE), mongo_url, DATABASE, CHANGES))
    administer(pg_server, f"DROP DATABASE {DATABASE} WITH (FORCE)")


# --- Postgres against itself ---


@pytest.mark.parametrize("way", POSTGRES)
def test_every_way_of_postgres_to_print_a_row_says_the_same(prints: Prints, way: str) -> None:
    for other in POSTGRES:
        assert said(compared(prints.postgres[way], prints.postgres[other])) == [], other
    assert said(compared(prints.postgres["whole json_agg"], prints.postgres["whole jsonb_agg"])) == []


@pytest.mark.parametrize("change", CHANGES, ids=[change.name for change in CHANGES])
def test_the_least_change_of_a_column_is_seen_and_nothing_else(prints: Prints, change: Change) -> None:
    for base in ("row_to_json", "to_jsonb"):
        for way, body in prints.changed[change.name].items():
            assert said(compared(prints.postgres[base], body)) == change.expected(), (base, way)
            back = said(compared(body, prints.postgres[base]))
            assert sorted(kind for _, kind in back) == sorted(MIRROR.get(kind, kind) for _, kind in change.expected())


def test_what_settings_of_the_session_do_to_a_print(prints: Prints) -> None:
    dates = {f"$.{name}": "date_format" for name in ("at", "exact", "fine", "born")}
    expected: dict[str, dict[str, str]] = {
        "TimeZone": dates,
        "extra_float_digits": {"$.sum": "value_changed"},
        "IntervalStyle": {"$.span": "value_changed"},
        "bytea_output": {"$.blob": "value_changed"},
        "DateStyle": {},
    }
    found = {name: dict(said(compared(prints.postgres["row_to_json"], body))) for name, body in prints.settings.items()}
    assert found == expected


def test_null_against_absent_and_no_rows_against_none(prints: Prints) -> None:
    found = compared(prints.postgres["empty row"], prints.postgres["stripped row"])
    columns = [name for name in exact(prints.postgres["empty row"]) if name != "_id"]
    assert said(found) == sorted((f"$.{name}", "null_missing") for name in columns)
    tolerant = compared(prints.postgres["empty row"], prints.postgres["stripped row"], USUAL)
    assert tolerant.equal
    assert {(one.kind, one.count) for one in tolerant.tolerated} == {("null_missing", 1)}
    assert len(tolerant.tolerated) == len(columns)
    # json_agg of no rows is NULL, which is not the empty array that a find gives.
    assert prints.postgres["no rows json_agg"] == b"null"
    assert said(compared(b"[]", prints.postgres["no rows json_agg"])) == [("$", "empty")]


def test_what_a_cast_to_text_does_to_a_print(prints: Prints) -> None:
    texts = exact(prints.postgres["texts"])
    plain = printed({n: v for n, v in exact(prints.postgres["row_to_json"]).items() if n in texts})
    kinds = {f"$.{name}": "number_string" for name in ("big", "num", "round", "wei", "wide")}
    kinds.update({"$.at": "date_format", "$.yes": "type_changed"})
    assert dict(said(compared(plain, prints.postgres["texts"]))) == kinds
    assert said(compared(plain, prints.postgres["texts"], USUAL)) == [("$.yes", "type_changed")]
    off = prints.postgres["texts"].replace(b"740993", b"740992")
    assert said(compared(plain, off, USUAL)) == [("$.big", "value_changed"), ("$.yes", "type_changed")]


def test_a_tolerance_takes_its_own_kind_away_and_no_other(prints: Prints) -> None:
    kinds = (*USUAL_KINDS, "case", "whitespace", "empty")
    rules = {kind: compile_rules([{"tolerate": [{"kind": kind}]}]) for kind in kinds}
    for change in CHANGES:
        for name, body in {**prints.mongo, "row": prints.postgres["row_to_json"]}.items():
            other = prints.changed[change.name]["to_jsonb"]
            everything = said(compared(body, other))
            for kind in {one for _, one in everything}.intersection(kinds):
                left = [one for one in everything if one[1] != kind]
                assert said(compared(body, other, rules[kind])) == left, (change.name, name, kind)


# --- MongoDB against Postgres ---

DATES = {f"$.{name}": "date_format" for name in ("at", "exact", "born")}
ALWAYS = {
    "$.wei": "number_string",  # the document bears a text
    "$.gone": "null_missing",
    "$.nan": "type_changed",
    "$.naive": "value_changed",  # without a zone it is another instant wherever the client stands
    "$.day": "value_changed",
    "$.span": "type_changed",
    **DATES,
}
DECIMALS = {f"$.{name}": "number_string" for name in ("wide", "round", "bare", "zero", "much")}
WRAPPED_IDS = {f"$.{name}": "populated" for name in ("_id", "owner", "refs[0]", "refs[1]")}
WRAPPED_NUMBERS = {
    f"$.{name}": "number_string"
    for name in (
        "big", "safe", "small", "num", "single", "sum", "tiny", "huge", "whole", "minus",
        "ints[0]", "ints[1]", "ints[2]", "grid[0][0]", "grid[0][1]", "grid[1][0]", "grid[1][1]",
        "doc.b", "doc.a.y", "doc.a.z", "doc.a.list[0]", "written.a", "written.b",
        f"unread['{OWNER}']", f"unread['{OTHER}']",
    )
}  # fmt: skip
FINE = [("$.fine", "date_format"), ("$.fine", "date_precision")]
EXTENDED = {
    **ALWAYS,
    **DECIMALS,
    **WRAPPED_IDS,
    "$.nan": "number_string",  # both say it in a text, because JSON has no word for it
    "$.millis": "date_format",
    "$.epoch": "date_format",
    "$.device": "type_changed",
    "$.blob": "type_changed",
}
NAMED = {
    "mongoose": {
        **ALWAYS,
        **DECIMALS,
        "$.big": "value_changed",  # 2^53 + 1 does not survive JavaScript
        "$.blob": "value_changed",
        "$.millis": "type_changed",
        "$.epoch": "type_changed",
    },
    "relaxed": EXTENDED,
    "canonical": {**EXTENDED, **WRAPPED_NUMBERS},
    "legacy": {**EXTENDED, "$.nan": "added", "$.device": "populated"},
}
FORGIVEN = {"date_format", "number_string", "null_missing", "populated"}


@pytest.mark.parametrize("print_", NAMED)
@pytest.mark.parametrize("way", ["row_to_json", "to_jsonb", "turned"])
def test_a_document_against_the_row_that_says_the_same(prints: Prints, print_: str, way: str) -> None:
    found = compared(prints.mongo[print_], prints.postgres[way])
    assert said(found) == sorted([*NAMED[print_].items(), *FINE])


@pytest.mark.parametrize("print_", NAMED)
def test_usual_tolerances_leave_what_a_client_cannot_get_over(prints: Prints, print_: str) -> None:
    found = compared(prints.mongo[print_], prints.postgres["row_to_json"], USUAL)
    left = {path: kind for path, kind in NAMED[print_].items() if kind not in FORGIVEN}
    assert said(found) == sorted([*left.items(), ("$.fine", "date_precision")])
    used = {(one.path, one.kind) for one in found.tolerated}
    assert {("$.wide", "number_string"), ("$.at", "date_format"), ("$.fine", "date_format")} <= used
    assert (("$.refs[*]", "populated") in used) is (print_ != "mongoose")


MENDS = {
    ("big = big - 1", "mongoose"),
    *(("fine = date_trunc('milliseconds', fine)", name) for name in NAMED),
}
"""Changes that make the row say what the print of the document says."""


@pytest.mark.parametrize("print_", NAMED)
@pytest.mark.parametrize("change", CHANGES, ids=[change.name for change in CHANGES])
def test_no_print_and_no_tolerance_hides_a_change(prints: Prints, print_: str, change: Change) -> None:
    """Whatever the usual rules forgive of a column, the least change of its value is still named there."""
    before = compared(prints.mongo[print_], prints.postgres["row_to_json"], USUAL)
    after = compared(prints.mongo[print_], prints.changed[change.name]["row_to_json"], USUAL)
    elsewhere = [one for one in said(after) if not within(one[0], f"$.{change.column}")]
    assert elsewhere == [one for one in said(before) if not within(one[0], f"$.{change.column}")]
    own = [one for one in said(after) if within(one[0], f"$.{change.column}")]
    own_before = [one for one in said(before) if within(one[0], f"$.{change.column}")]
    kinds = {kind for _, kind in change.expected()}
    if own_before:
        assert bool(own) is ((change.name, print_) not in MENDS)
    else:
        assert bool(own) is bool(kinds - FORGIVEN - {"decimal_scale"}), own


# --- Extended JSON that Postgres keeps ---


def test_what_a_migration_keeps_as_extended_json(prints: Prints) -> None:
    for name, body in prints.rare.items():
        assert said(compared(body, prints.kept[name])) == [], name
    # Before 1970 the relaxed form of a date is the canonical one, and what is not finite always is.
    numbers = ("big", "huge", "num", "scoped['$scope'].n", "whole")
    expected = [("$.at", "date_format"), *((f"$.{name}", "number_string") for name in numbers)]
    assert said(compared(prints.rare["canonical"], prints.kept["relaxed"])) == expected


def test_a_document_of_rare_types_changed(prints: Prints) -> None:
    ways = {
        b'"pattern": "^a"': (b'"pattern": "^b"', "$.regex['$regularExpression'].pattern", "value_changed"),
        b'"i": 3': (b'"i": 4', "$.stamp['$timestamp'].i", "value_changed"),
        b'"$minKey"': (b'"$maxKey"', "$.least['$minKey']", "missing"),
        b'"x => 1"': (b'"x => 2"', "$.code['$code']", "value_changed"),
        b'"$ref": "users"': (b'"$ref": "Users"', "$.ref['$ref']", "case"),
        OWNER.encode(): (OTHER.encode(), "$.ref['$id']['$oid']", "id_mismatch"),
        b'"3q2+7w=="': (b'"3q2+7W=="', "$.blob['$binary'].base64", "case"),
        b'"subType": "05"': (b'"subType": "00"', "$.md5['$binary'].subType", "value_changed"),
        b'"12.50"': (b'"12.5"', "$.price['$numberDecimal']", "decimal_scale"),
        b"780Z": (b"781Z", "$.at['$date']", "value_changed"),
        b'"-315619200000"': (b'"-315619200001"', "$.born['$date']['$numberLong']", "value_changed"),
    }
    body = prints.rare["relaxed"]
    for old, (new, path, kind) in ways.items():
        assert body.count(old) == 1, old
        found = said(compared(body, body.replace(old, new)))
        assert (path, kind) in found, old
        assert {one for one, _ in found} <= {path, path.replace("minKey", "maxKey")}
