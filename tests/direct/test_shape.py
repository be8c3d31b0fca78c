"""Shapes: rows laid out as responses, and shapes that are refused."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import Any

import pytest

from comparators.encode import dumps
from proxy.direct.mongo_values import Double
from proxy.direct.shape import MAX_DEPTH, MAX_NODES, NOT_FOUND, ShapeError, camel, compile_shape

REQUESTS = [
    {"id": "r1", "title": "Bolts", "buyer_id": "u1", "created_at": "2026-01-15T20:43:05.780Z"},
    {"id": "r2", "title": "Nuts", "buyer_id": None, "created_at": "2026-01-16T00:00:00.000Z"},
]
OFFERS = [
    {"request_id": "r2", "seller_id": "u1", "price": "10.10", "n": 1},
    {"request_id": "r1", "seller_id": "u2", "price": "0.20", "n": 2},
    {"request_id": "r2", "seller_id": "u2", "price": "10.20", "n": 3},
    {"request_id": None, "seller_id": "u2", "price": None, "n": 4},
]
USERS = [{"id": "u1", "name": "Ada"}, {"id": "u2", "name": "Bo"}]
RESULTS = {"requests": REQUESTS, "offers": OFFERS, "users": USERS, "none": []}


def lay(spec: Any, results: Any = RESULTS, params: Any = ()) -> Any:
    return compile_shape(spec).lay_out(results, params)


def test_without_a_shape_all_rows_are_listed_as_they_are() -> None:
    assert lay(None, {"rows": USERS}) == USERS


def test_an_envelope_with_constants_totals_parameters_and_a_first_row() -> None:
    spec = {
        "success": True,
        "note": "all",
        "page": {"param": 2},
        "total": {"count": "offers"},
        "worth": {"sum": "offers.price"},
        "newest": {"value": "requests.title"},
        "nobody": {"value": "none.title"},
        "list": [{"const": {"one": "not a node here"}}, None, 1.5],
        "data": {"one": "requests", "fields": {"id": "id", "made": {"column": "created_at", "as": "date"}}},
    }
    assert lay(spec, params=["r1", 3]) == {
        "success": True,
        "note": "all",
        "page": 3,
        "total": 4,
        "worth": Decimal("20.50"),
        "newest": "Bolts",
        "nobody": None,
        "list": [{"one": "not a node here"}, None, 1.5],
        "data": {"id": "r1", "made": "2026-01-15"},
    }


def test_children_stand_under_their_parents_in_the_order_they_were_read() -> None:
    spec = {
        "many": "requests",
        "fields": {
            "id": "id",
            "offers": {
                "many": "offers",
                "by": {"request_id": "id"},
                "fields": {"n": "n", "seller": {"one": "users", "by": {"id": "seller_id"}, "fields": ["name"]}},
            },
            "offersCount": {"count": "offers", "by": {"request_id": "id"}},
            "offersTotal": {"sum": "offers.price", "by": {"request_id": "id"}, "as": "text"},
            "buyer": {"one": "users", "by": {"id": "buyer_id"}, "fields": "*"},
            "names": {"many": "users", "each": "name"},
        },
    }
    assert lay(spec) == [
        {
            "id": "r1",
            "offers": [{"n": 2, "seller": {"name": "Bo"}}],
            "offersCount": 1,
            "offersTotal": "0.20",
            "buyer": USERS[0],
            "names": ["Ada", "Bo"],
        },
        {
            "id": "r2",
            "offers": [{"n": 1, "seller": {"name": "Ada"}}, {"n": 3, "seller": {"name": "Bo"}}],
            "offersCount": 2,
            "offersTotal": "20.30",
            "buyer": None,
            "names": ["Ada", "Bo"],
        },
    ]


def test_rows_are_joined_by_several_columns_and_null_is_equal_to_nothing() -> None:
    results = {
        "parents": [{"a": 1, "b": "x"}, {"a": 1, "b": None}],
        "children": [
            {"pa": Decimal("1.0"), "pb": "x", "n": 1},
            {"pa": 1, "pb": None, "n": 2},
            {"pa": "1", "pb": "x", "n": 3},
        ],
    }
    spec = {"many": "parents", "each": {"many": "children", "by": {"pa": "a", "pb": "b"}, "each": "n"}}
    assert lay(spec, results) == [[1, 3], []]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"one": "none", "fields": "*"}, NOT_FOUND),
        ({"data": {"deep": [{"one": "none", "fields": "*"}]}}, NOT_FOUND),
        ({"one": "none", "required": False}, None),
        ({"one": "requests", "each": {"one": "users", "by": {"id": "title"}}}, None),
        ({"one": "requests", "each": {"one": "users", "by": {"id": "title"}, "required": True}}, NOT_FOUND),
        ({"many": "none", "fields": "*"}, []),
        ({"sum": "none.price"}, 0),
    ],
)
def test_no_row(spec: Any, expected: Any) -> None:
    assert lay(spec) == expected


def test_all_columns_and_others_which_go_before() -> None:
    fields = {"*": "camel", "id": {"const": 0}, "deepCity": "address.city", "address.zip": "address.zip"}
    rows = [{"id": 5, "created_at": "x", "_id": "y", "address": {"city": "Rome"}, "address.zip": "00100"}]
    spec = {"one": "rows", "fields": fields}
    expected = {"id": 0, "createdAt": "x", "_id": "y", "address": {"city": "Rome"}, "address.zip": "00100"}
    assert lay(spec, {"rows": rows}) == expected | {"deepCity": "Rome"}


def test_an_absent_column_is_left_out_of_objects_and_null_in_lists() -> None:
    spec = {"many": "rows", "fields": {"a": "a", "b": {"c": {"column": "no.way"}, "d": [{"column": "no"}]}}}
    assert lay(spec, {"rows": [{"a": None}, {"x": 1}]}) == [{"a": None, "b": {"d": [None]}}, {"b": {"d": [None]}}]


def test_names_that_are_also_kinds_are_members_when_nodes_stand_under_them() -> None:
    spec = {"count": {"count": "users"}, "many": {"many": "users", "each": "name"}, "value": None}
    assert lay(spec) == {"count": 2, "many": ["Ada", "Bo"], "value": None}
    fields = {"count": "n", "value": "price", "column": "seller_id"}
    assert lay({"one": "offers", "fields": fields}) == {"count": 1, "value": "10.10", "column": "u1"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [("created_at", "createdAt"), ("_id", "_id"), ("line_2", "line2"), ("a__b_", "aB"), ("__v", "__v"), ("_", "_")],
)
def test_camel(name: str, expected: str) -> None:
    assert camel(name) == expected


@pytest.mark.parametrize(
    ("spelling", "value", "expected"),
    [
        ("text", Decimal("12.50"), "12.50"),
        ("text", Double("1e+21"), "1e+21"),
        ("text", True, "true"),
        ("text", {"$numberDecimal": "12.50"}, "12.50"),
        ("text", [1, "a"], '[1,"a"]'),
        ("number", "12.500000000000000000000000000000001", Decimal("12.500000000000000000000000000000001")),
        ("number", {"$numberDecimal": "1.5E+30"}, Decimal("1.5E+30")),
        ("number", "9007199254740993", 9007199254740993),
        ("bool", "t", True),
        ("bool", 0, False),
        ("json", '{"a": 1.50}', {"a": Decimal("1.50")}),
        ("json", {"a": 1}, {"a": 1}),
        ("date", "+010000-01-01T00:00:00.000Z", "+010000-01-01"),
        *((spelling, None, None) for spelling in ("text", "number", "bool", "json", "date")),
    ],
)
def test_values_are_respelled(spelling: str, value: Any, expected: Any) -> None:
    laid = lay({"many": "rows", "each": {"column": "v", "as": spelling}}, {"rows": [{"v": value}]})
    assert [type(each) for each in laid] == [type(expected)]
    assert dumps(laid) == dumps([expected])


@pytest.mark.parametrize(
    ("spelling", "value"),
    [
        ("number", "0x10"),
        ("number", "NaN"),
        ("number", True),
        ("bool", "yes"),
        ("bool", []),
        ("json", "{"),
        ("date", "x"),
    ],
)
def test_what_cannot_be_respelled_is_named_with_its_place(spelling: str, value: Any) -> None:
    spec = {"data": {"many": "rows", "fields": {"v": {"column": "v", "as": spelling}}}}
    with pytest.raises(ShapeError, match=r"^shape\.data\.fields\.v: ") as raised:
        lay(spec, {"rows": [{"v": value}]})
    assert raised.value.path == "data.fields.v"


def test_sums_lose_no_digit() -> None:
    values = ["0.1", "0.2", Decimal("1e30"), {"$numberDecimal": "1E-30"}, 9007199254740993, None]
    laid = lay({"sum": "rows.v"}, {"rows": [*({"v": value} for value in values), {}]})
    assert dumps(laid) == "1000000000000009007199254740993.300000000000000000000000000001"
    with pytest.raises(ShapeError, match="takes more than 2000 digits"):
        lay({"sum": "rows.v"}, {"rows": [{"v": Decimal("1e3000")}, {"v": Decimal("0.1")}]})


@pytest.mark.parametrize(
    ("spec", "path", "text"),
    [
        ({"data": {"column": "id"}}, "data", "outside of a row"),
        ({"data": {"many": "a", "by": {"x": "y"}}}, "data.by", "no row around"),
        ({"many": "a", "fields": {"b": {"many": "b", "by": {}}}}, "fields.b.by", "is to map columns"),
        ({"many": "a", "fields": {"b": {"many": "b", "by": {"x": 1}}}}, "fields.b.by", "column names are texts"),
        ({"one": "a", "many": "b"}, "", "has one and many"),
        ({"one": "a", "field": "*"}, "", "not 'field'"),
        ({"one": "a", "required": "no"}, "required", "neither true nor false"),
        ({"one": "a", "fields": "*", "each": "x"}, "", "both fields and each"),
        ({"many": "a", "fields": ["id", 1]}, "fields", "a list of column names"),
        ({"many": "a", "fields": 5}, "fields", "is to be a mapping"),
        ({"many": "a", "fields": {"*": "snake"}}, "fields.*", "is to be one of camel, same"),
        ({"a": [0, {"value": "title"}]}, "a[1].value", "NAME.column"),
        ({"a": {"sum": ".x"}}, "a.sum", "NAME.column"),
        ({"a": {"param": 0}}, "a", "no parameter"),
        ({"many": "a", "fields": {"b": {"column": "b", "as": "float"}}}, "fields.b.as", "'float' is not one of"),
        ({"a": {1: "x"}}, "a", "put it in quotes"),
        ({"a": {"const": float("nan")}}, "a.const", "no JSON value"),
        ({"a": object()}, "a", "no JSON value"),
    ],
)
def test_a_shape_that_cannot_be_used_is_refused_by_its_place(spec: Any, path: str, text: str) -> None:
    with pytest.raises(ShapeError, match=text) as raised:
        compile_shape(spec)
    assert raised.value.path.startswith(path) if path else raised.value.path == ""


@pytest.mark.parametrize("kind", ["objects", "lists", "constants"])
def test_depth_and_size_are_bounded(kind: str) -> None:
    spec: Any = None
    for _ in range(MAX_DEPTH + 1):
        spec = [spec] if kind == "lists" else {"a": spec}
    with pytest.raises(ShapeError, match="nested deeper"):
        compile_shape({"const": spec} if kind == "constants" else spec)
    with pytest.raises(ShapeError, match="more than 2000 nodes"):
        compile_shape({"const": [0] * MAX_NODES} if kind == "constants" else [0] * MAX_NODES)


def test_what_is_not_there_is_said() -> None:
    with pytest.raises(ShapeError, match=r"^shape\.a: there is no result named 'gone'"):
        lay({"a": {"count": "gone"}})
    with pytest.raises(ShapeError, match="no parameter 2, only 1"):
        lay({"a": {"param": 2}}, params=["x"])


def test_columns_and_parameters_that_a_shape_needs_are_known() -> None:
    shape = compile_shape(
        {
            "total": {"count": "counts"},
            "page": {"param": 2},
            "data": {
                "many": "requests",
                "fields": {
                    "*": "camel",
                    "t": "title",
                    "offers": {"many": "offers", "by": {"request_id": "id"}, "fields": ["n"]},
                    "sum": {"sum": "offers.price", "by": {"request_id": "id"}},
                },
            },
        }
    )
    assert shape.columns() == {"counts": set(), "requests": {"title", "id"}, "offers": {"request_id", "n", "price"}}
    assert shape.parameters == {2}


def test_layout_takes_time_linear_in_the_rows() -> None:
    inner = {"gs": {"count": "c", "by": {"p": "p"}}}
    spec = {"many": "p", "fields": {"id": "id", "cs": {"many": "c", "by": {"p": "id"}, "fields": inner}}}
    shape = compile_shape(spec)

    def seconds(count: int) -> float:
        results = {"p": [{"id": i} for i in range(count)], "c": [{"p": i} for i in range(count)]}
        started = time.process_time()
        laid = shape.lay_out(results)
        assert laid[-1] == {"id": count - 1, "cs": [{"gs": 1}]}
        return time.process_time() - started

    small = min(seconds(1_000) for _ in range(3))
    assert min(seconds(8_000) for _ in range(3)) < 40 * small  # 64 times as long were it quadratic


def test_lists_that_multiply_end_before_they_fill_the_memory() -> None:
    rows = [{"id": i} for i in range(5_000)]
    with pytest.raises(ShapeError, match="more than 1000000 values") as raised:
        lay({"many": "rows", "each": {"many": "rows", "each": "id"}}, {"rows": rows})
    assert raised.value.too_large
