"""Parameters: what a request says becomes a value of the configured type, or nothing does."""

from __future__ import annotations

import base64
import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, get_args
from uuid import UUID

import pytest
from bson import ObjectId
from hypothesis import given
from hypothesis import strategies as st

from comparators.ids import IdPair, IdTable
from proxy.direct.parameters import (
    MAX_CHARACTERS,
    MAX_VALUES,
    Asked,
    ParameterError,
    ParameterType,
    convert,
    ids_wanted,
    query_of,
    raw_values,
    value_of,
)
from proxy.model import ReadRequest
from proxy.readers.asked import asked_of
from proxy.settings.patterns import parse_route
from tests.direct.specs import parameter_of

ID, OTHER = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"
LEGACY = "a" * 24
TABLE = IdTable.of([IdPair("user", LEGACY, ID), IdPair("user", "b" * 24, ID), IdPair("shop", "b" * 24, OTHER)])


def asked(target: str = "/", *headers: tuple[bytes, bytes], route: str = "GET /api/{id}") -> Asked:
    return asked_of(ReadRequest("GET", target, headers), parse_route(route))


def read(spec: Any, target: str = "/", *headers: tuple[bytes, bytes]) -> Any:
    parameter = parameter_of(spec)
    return value_of(parameter, asked(target, *headers), parameter.type, TABLE)


def query(kind: str, text: str, **more: Any) -> Any:
    return read({"from": "query.x", "type": kind, **more}, f"/?x={text}")


def test_where_a_value_comes_from() -> None:
    token = jwt({"sub": "u1", "user": {"id": 7}, "a.b": True, "roles": ["x", "y"], "deep": {"o": {}}})
    bearer = (b"Authorization", b"Bearer " + token)
    assert read("path.id", "/api/a%2Fb%20c?id=no") == "a/b c"
    assert read("query.q", "/?q=a+b%26&q=second") == "a b&"
    assert read("query.q", "/?Q=1&other=2") is None
    assert read("header.X-Tenant", "/", (b"x-tenant", b" acme ")) == "acme"
    assert read("claim.sub", "/", bearer) == "u1"
    assert read({"from": "claim.user.id", "type": "int"}, "/", bearer) == 7
    assert read({"from": "claim.a.b", "type": "bool"}, "/", bearer) is True
    assert read({"from": "claim.roles", "list": True}, "/", bearer) == ["x", "y"]
    for name in ("nobody", "deep", "deep.o", "deep.o.p", "sub.x"):
        assert read(f"claim.{name}", "/", bearer) is None


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer x",
        "Bearer a.b.c",
        "Basic a.e30.c",
        "Bearer a.W10.c",
        "Bearer a.!.c",
        "Bearer " + "a." * 9000,
    ],
)
def test_a_token_that_is_none_has_no_claims(authorization: str) -> None:
    assert read("claim.sub", "/", (b"authorization", authorization.encode())) is None


def jwt(claims: Any) -> bytes:
    return b"e30." + base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=") + b".c2ln"


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("int", "007", 7),
        ("int", "-9223372036854775808", -(2**63)),
        ("number", "0.10", Decimal("0.10")),
        ("number", "12345678901234567890.123456789", Decimal("12345678901234567890.123456789")),
        ("number", "-1e3", Decimal(-1000)),
        ("bool", "TRUE", True),
        ("bool", "1", True),
        ("bool", "false", False),
        ("bool", "0", False),
        ("date", "2024-02-29", date(2024, 2, 29)),
        ("timestamp", "2024-02-29", datetime(2024, 2, 29, tzinfo=UTC)),
        ("timestamp", "2024-02-29T12:30", datetime(2024, 2, 29, 12, 30, tzinfo=UTC)),
        ("timestamp", "2024-02-29T12:30:01.1234567Z", datetime(2024, 2, 29, 12, 30, 1, 123456, tzinfo=UTC)),
        ("timestamp", "2024-02-29 12:30:00-0530", datetime(2024, 2, 29, 18, 0, tzinfo=UTC)),
        ("uuid", ID.upper(), UUID(ID)),
        ("uuid", ID.replace("-", ""), UUID(ID)),
        ("uuid", LEGACY.upper(), UUID(ID)),
        ("object_id", LEGACY, ObjectId(LEGACY)),
        ("text", "", ""),
        ("text", "{\"$gt\": \"\"}", '{"$gt": ""}'),
        ("int", "", None),
        ("uuid", "", None),
    ],
)  # fmt: skip
def test_what_fits_a_type(kind: str, text: str, value: Any) -> None:
    found = query(kind, text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *[("int", text) for text in ("1.0", "9223372036854775808", "1e3", "٣", "1_0", " 1", "-", "0x1", "1;--")],
        *[("number", text) for text in ("NaN", "Infinity", ".5", "1.", "1e1000", "1,5", "9" * 201, "1e")],
        *[("bool", text) for text in ("yes", "2", "t", "null")],
        *[("date", text) for text in ("2023-02-29", "20240229", "2024-2-9", "now", "2024-02-29T00:00", "0000-01-01")],
        *[("timestamp", text) for text in ("infinity", "2024-02-29T24:30:00Z", "2024-02-29T12", "1709164800")],
        ("timestamp", "0001-01-01T00:00:00%2B01:00"),
        *[("uuid", text) for text in ("x", ID[:-1], ID + "0", "{" + ID, '{"$gt":""}')],
        *[("object_id", text) for text in ("a" * 23, "g" * 24, '{"$gt":""}')],
        *[("text", text) for text in ("a%00b", "a" * (MAX_CHARACTERS + 1))],
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(kind: str, text: str) -> None:
    with pytest.raises(ParameterError, match=r"query\.x"):
        query(kind, text)


def test_defaults_bounds_and_choices() -> None:
    limit = {"from": "query.limit", "type": "int", "default": 20, "min": 1, "max": 100}
    assert read(limit, "/") == read(limit, "/?limit=") == 20
    assert read(limit, "/?limit=100") == 100
    for over in ("0", "101", "-1"):
        with pytest.raises(ParameterError, match=r"under 1|over 100"):
            read(limit, f"/?limit={over}")
    assert query("number", "0.1", max=0.1) == Decimal("0.1"), "a bound is what it is written as"
    with pytest.raises(ParameterError):
        query("number", "0.1000001", max=0.1)
    assert query("int", "02", choices=[1, 2]) == 2
    with pytest.raises(ParameterError, match="not one of 1, 2"):
        query("int", "3", choices=[1, 2])
    with pytest.raises(ParameterError, match="not one of"):
        query("text", "__proto__", choices=["new", "old"])
    assert query("date", "", default=date(2024, 1, 2)) == date(2024, 1, 2)
    assert query("bool", "", default=False) is False
    assert read({"from": "query.x", "default": "", "type": "text"}) == ""


def test_lists() -> None:
    spec = {"from": "query.x", "type": "int", "list": True, "max": 9, "default": [1]}
    assert read(spec, "/?x=1,2&x=3&x[]=4&x=,&y=5") == [1, 2, 3, 4]
    assert read(spec, "/") == read(spec, "/?x=") == [1]
    for bad in ("/?x=1,a", "/?x=1,10", "/?x=" + "1," * (MAX_VALUES + 1)):
        with pytest.raises(ParameterError):
            read(spec, bad)
    with pytest.raises(ParameterError, match="more than 1000 fields"):
        query_of("/?" + "x=1&" * (MAX_VALUES + 1))


def test_operators_in_names_are_other_names() -> None:
    for target in ("/?x[$gt]=", "/?x.$ne=1", "/?$where=1", "/?x[0]=1", "/?x%5B%24gt%5D=1"):
        assert read("query.x", target) is None


def test_ids_that_wait_for_the_map() -> None:
    parameters = [
        parameter_of({"from": f"query.{name}", "type": kind, "list": True})
        for name, kind in (("u", "uuid"), ("o", "object_id"), ("t", "text"), ("a", "auto"))
    ]
    target = f"/?u={LEGACY.upper()},{ID}&o={OTHER},{LEGACY}&t={LEGACY}&a={'d' * 24}"
    assert ids_wanted(parameters, asked(target)) == {LEGACY, OTHER}
    settled = ids_wanted(parameters, asked(target), ["text", "text", "text", "uuid"])
    assert settled == {"d" * 24}


def test_ids_are_put_as_their_partners() -> None:
    notes: list[str] = []

    def put(kind: Any, text: str, **more: Any) -> Any:
        notes.clear()
        parameter = parameter_of({"from": "query.x", "type": kind, **more})
        return value_of(parameter, asked(f"/?x={text}"), kind, TABLE, notes.append)

    assert put("object_id", OTHER) == ObjectId("b" * 24)
    assert put("uuid", "b" * 24, entity="shop") == UUID(OTHER)
    assert notes == []
    assert put("uuid", "b" * 24) is None
    assert notes == [f"id {'b' * 24} is joined to several ids in the id map"]
    assert put("uuid", "c" * 24) is None
    assert notes == [f"id {'c' * 24} is not in the id map"]
    assert put("uuid", "c" * 24, default=ID) is None, "an id that was given is not taken for one that was not"
    assert put("uuid", f"{'c' * 24},{LEGACY}", list=True) == [UUID(ID)]
    assert put("uuid", "c" * 24, list=True) == []
    assert put("text", LEGACY) == LEGACY


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"type": "int", "default": "a"}, "not an integer"),
        ({"type": "int", "default": [1]}, "no text, number"),
        ({"type": "int", "default": {"$gt": 1}}, "no text, number"),
        ({"type": "int", "list": True, "default": 1}, "is a list"),
    ],
)
def test_a_default_that_does_not_fit(spec: Any, said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        read({"from": "query.x", **spec})


SCALARS = (str, int, bool, Decimal, date, datetime, UUID, ObjectId, type(None))


@given(st.text(max_size=60), st.sampled_from(get_args(ParameterType)), st.booleans())
def test_whatever_is_sent_becomes_scalars_or_is_refused(text: str, kind: Any, is_list: bool) -> None:
    parameter = parameter_of({"from": "query.x", "type": kind, "list": is_list})
    try:
        value = convert(parameter, raw_values(parameter, Asked({}, [("x", text)], ())), kind)
    except ParameterError:
        return
    values = value if is_list and value is not None else [value]
    assert all(isinstance(each, SCALARS) for each in values)
    if kind in ("auto", "text") and not is_list:
        assert value == text


@given(st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9999, 12, 30)), st.integers(-840, 840))  # noqa: DTZ001 - the strategy wants naive bounds
def test_every_time_is_read_back(moment: datetime, offset: int) -> None:
    at = moment.replace(tzinfo=timezone(timedelta(minutes=offset)))
    parameter = parameter_of({"from": "query.x", "type": "timestamp"})
    assert convert(parameter, [at.isoformat()], "timestamp") == at
