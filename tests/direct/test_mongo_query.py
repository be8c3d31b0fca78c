"""Queries to MongoDB: what is refused, and where values go."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

import bson
import pytest
from bson.binary import Binary
from bson.decimal128 import Decimal128
from bson.objectid import ObjectId

from proxy.direct.mongo_query import QueryError, bson_value, compile_query
from proxy.direct.parameters import Parameter, ParameterError
from proxy.direct.plans import QueryPlan

PARAMETERS = (Parameter("path", "a"), Parameter("query", "b"))


def plan(document: Any, operation: Literal["find", "aggregate"] = "find", **more: Any) -> QueryPlan:
    return QueryPlan("rows", "things", operation, document, parameters=PARAMETERS, **more)


HOSTILE = ['{"$gt": ""}', "$password", "'; drop", "$where", "$$ROOT", "__proto__", "$1"]


@pytest.mark.parametrize("value", HOSTILE)
def test_a_value_stays_the_text_that_it_is(value: str) -> None:
    query = compile_query(plan({"name": "$1", "$and": [{"tag": {"$in": "$2"}}]}))
    bound = query.bound([value, [value, "$2"]])
    assert bound.document == {"name": value, "$and": [{"tag": {"$in": [value, "$2"]}}]}
    stages = [{"$match": {"a": "$1"}}, {"$set": {"b": {"$literal": "$1"}}}]
    assert compile_query(plan(stages, "aggregate")).bound([value, None]).document == [
        {"$match": {"a": value}},
        {"$set": {"b": {"$literal": value}}},
    ]


def test_binding_leaves_the_query_as_it_was() -> None:
    query = compile_query(plan({"a": {"$in": ["$1", 5, None]}}, limit="$2", skip=3))
    assert query.bound(["x", 4]).document == {"a": {"$in": ["x", 5, None]}}
    again = query.bound(["y", None])
    assert (again.document, again.limit, again.skip) == ({"a": {"$in": ["y", 5, None]}}, 0, 3)


@pytest.mark.parametrize(
    ("document", "operation", "at", "text"),
    [
        ({"$where": "sleep(1)"}, "find", "find.$where", "runs JavaScript"),
        ({"$or": [{"a": 1}, {"$where": "1"}]}, "find", "find.$or.1.$where", "runs JavaScript"),
        ({"$expr": {"$function": {"body": "", "args": [], "lang": "js"}}}, "find", "find.$expr.$function", "runs Java"),
        ([{"$match": {}}, {"$out": "things"}], "aggregate", "aggregate.1.$out", "writes"),
        ([{"$facet": {"a": [{"$merge": {"into": "x"}}]}}], "aggregate", "aggregate.0.$facet.a.0.$merge", "writes"),
        ([{"$lookup": {"from": "x", "pipeline": [{"$out": "y"}], "as": "z"}}], "aggregate", "aggregate.0", "writes"),
        ([{"$unionWith": {"coll": "x", "pipeline": [{"$merge": "y"}]}}], "aggregate", "aggregate.0", "writes"),
        ([{"$group": {"_id": 1, "a": {"$accumulator": {}}}}], "aggregate", "aggregate.0", "runs JavaScript"),
        ([{"$match": {"$where": "1"}}], "aggregate", "aggregate.0.$match.$where", "runs JavaScript"),
        ([{"$sample": {"size": 1}}], "aggregate", "aggregate.0.$sample", "otherwise each time"),
        ([{"$set": {"a": {"$rand": {}}}}], "aggregate", "aggregate.0.$set.a.$rand", "otherwise each time"),
        ([{"$changeStream": {}}], "aggregate", "aggregate.0.$changeStream", "never ends"),
        ({"$1": 1}, "find", "find.$1", "never a key"),
        ({"a": {"$2": 1}}, "find", "find.a.$2", "never a key"),
        ({"a": "$3"}, "find", "find.a", "no parameter $3; params has 2"),
        ({"$expr": {"$eq": ["$a", "$1"]}}, "find", "find.$expr.$eq.1", "write {$literal: $1}"),
        ([{"$project": {"a": "$1"}}], "aggregate", "aggregate.0.$project.a", "write {$literal: $1}"),
        ([{"$match": {"$expr": {"$eq": ["$a", "$1"]}}}], "aggregate", "aggregate.0.$match.$expr", "write {$lit"),
        ([{"$lookup": {"from": "$1", "as": "x"}}], "aggregate", "aggregate.0.$lookup.from", "would be evaluated"),
        ([{"$sort": {"a": "$1"}}], "aggregate", "aggregate.0.$sort.a", "would be evaluated"),
        ([{"$set": {"a": {"$getField": {"$literal": "$1"}}}}], "aggregate", "aggregate.0.$set.a", "choose fields"),
        ([{"$geoNear": {"near": "$1"}}], "aggregate", "aggregate.0.$geoNear.near", "would be evaluated"),
        ({1: 2}, "find", "find.1", "a key is a text"),
        ([], "find", "find", "a filter is a mapping"),
        ({}, "aggregate", "aggregate", "a list of stages"),
        ({"a": {"$oid": "zz"}}, "find", "$oid", "no such value"),
    ],
)  # fmt: skip
def test_what_is_not_asked(document: Any, operation: Literal["find", "aggregate"], at: str, text: str) -> None:
    with pytest.raises(QueryError) as raised:
        compile_query(plan(document, operation))
    assert ".".join(raised.value.at).startswith(at)
    assert text in str(raised.value)


def test_a_projection_takes_no_parameter() -> None:
    with pytest.raises(QueryError, match=r"query rows: projection\.a: .*choose fields"):
        compile_query(plan({}, projection={"a": "$1"}))
    with pytest.raises(QueryError, match=r"projection\.a\.\$function"):
        compile_query(plan({}, projection={"a": {"$function": {}}}))


def test_a_query_is_not_nested_without_end() -> None:
    document: Any = 1
    for _ in range(101):
        document = {"a": document}
    with pytest.raises(QueryError, match="deeper than 100"):
        compile_query(plan(document))


def test_places_where_parameters_may_stand() -> None:
    stages = [
        {"$geoNear": {"near": [1, 2], "distanceField": "d", "query": {"a": "$1"}}},
        {"$graphLookup": {"from": "x", "startWith": "$a", "restrictSearchWithMatch": {"b": "$1"}}},
        {"$lookup": {"from": "y", "let": {"v": {"$literal": "$1"}}, "pipeline": [{"$match": {"c": "$1"}}], "as": "z"}},
        {"$skip": "$2"},
        {"$limit": "$2"},
    ]
    bound = compile_query(plan(stages, "aggregate")).bound(["x", 3])
    assert bound.document == [
        {"$geoNear": {"near": [1, 2], "distanceField": "d", "query": {"a": "x"}}},
        {"$graphLookup": {"from": "x", "startWith": "$a", "restrictSearchWithMatch": {"b": "x"}}},
        {"$lookup": {"from": "y", "let": {"v": {"$literal": "x"}}, "pipeline": [{"$match": {"c": "x"}}], "as": "z"}},
        {"$skip": 3},
        {"$limit": 3},
    ]


@pytest.mark.parametrize("amount", ["5", -1, True, Decimal(5), [5], 2**31])
def test_limits_are_small_integers(amount: Any) -> None:
    with pytest.raises(ParameterError, match="limit is to be an integer from 0"):
        compile_query(plan({}, limit="$1")).bound([amount, None])


def test_constants_that_yaml_has_no_type_for() -> None:
    document = {
        "a": {"$oid": "65f1a2b3c4d5e6f708192a01"},
        "b": {"$gte": {"$date": "2026-01-15T20:43:05.780Z"}},
        "c": {"$numberDecimal": "1.50"},
        "d": date(2026, 1, 15),
        "e": {"$regex": "^a", "$options": "i"},
    }
    assert compile_query(plan(document)).document == {
        "a": ObjectId("65f1a2b3c4d5e6f708192a01"),
        "b": {"$gte": datetime(2026, 1, 15, 20, 43, 5, 780000, UTC)},
        "c": Decimal128("1.50"),
        "d": datetime(2026, 1, 15, tzinfo=UTC),
        "e": {"$regex": "^a", "$options": "i"},
    }


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Decimal("5.00"), 5),
        (Decimal("0.10"), Decimal128("0.10")),
        (Decimal(2**63), Decimal128(str(2**63))),
        (date(2026, 1, 15), datetime(2026, 1, 15, tzinfo=UTC)),
        (UUID(int=5), Binary(UUID(int=5).bytes, 4)),
        ([Decimal(1), "x", None], [1, "x", None]),
    ],
)
def test_values_as_mongodb_holds_them(value: Any, expected: Any) -> None:
    made = bson_value(value)
    assert made == expected
    assert type(made) is type(expected)
    assert bson.encode({"v": made})


def test_a_number_of_too_many_digits_does_not_fit() -> None:
    with pytest.raises(ParameterError, match="more digits than MongoDB's 34"):
        bson_value(Decimal("0." + "1" * 40))
