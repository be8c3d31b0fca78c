"""Queries to MongoDB: what may stand in one, and the values of parameters put where `$1`, `$2` stand. Pure.

A parameter is a whole value and becomes a scalar or a list of scalars, never a document and never a key. In a filter
that is enough: there a text is a text. In an expression MongoDB takes a text that starts with `$` for a field, so that
a client could choose what is read; there a parameter has to stand under `$literal`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal, DecimalException
from enum import Enum, auto
from typing import Any
from uuid import UUID

from bson import json_util
from bson.binary import Binary, UuidRepresentation
from bson.decimal128 import Decimal128
from bson.errors import BSONError

from proxy.direct.parameters import ParameterError
from proxy.direct.plans import QueryPlan
from proxy.errors import ShadowreadError

MAX_DEPTH = 100
"""MongoDB's own bound for nested documents."""
_PARAMETER = re.compile(r"\$([1-9][0-9]{0,3})")
_INT64 = 2**63
_WRITES = "writes, and a reader only reads"
_JAVASCRIPT = "runs JavaScript on the server; say it with other operators"
_CHANCE = "answers otherwise each time, so that nothing could be compared with it"
_REFUSED = {
    "$out": _WRITES,
    "$merge": _WRITES,
    "$where": _JAVASCRIPT,
    "$function": _JAVASCRIPT,
    "$accumulator": _JAVASCRIPT,
    "$rand": _CHANCE,
    "$sample": _CHANCE,
    "$sampleRate": _CHANCE,
    "$changeStream": "never ends",
}
_CHOOSE_FIELDS = frozenset({"$getField", "$setField", "$unsetField"})
_FILTERS = {"$geoNear": "query", "$graphLookup": "restrictSearchWithMatch"}
"""Stages with a filter in them, and the name of that member."""
_WRAPPED = frozenset({"$oid", "$date", "$numberDecimal", "$numberLong", "$uuid"})
"""Constants that YAML has no type for, written as MongoDB Extended JSON: `{$oid: 65f1...}`."""

_CONSTANTS = json_util.JSONOptions(tz_aware=True, uuid_representation=UuidRepresentation.STANDARD)


class QueryError(ShadowreadError):
    """A query that no reader asks; `at` is the place in it."""

    def __init__(self, query: str, at: Sequence[str], text: str) -> None:
        super().__init__(f"query {query}: {'.'.join(at)}: {text}")
        self.at = tuple(at)
        self.text = text


@dataclass(frozen=True, slots=True)
class Query:
    """A query that was found fit. `document` has its constants as BSON values."""

    plan: QueryPlan
    document: Any

    def bound(self, values: Sequence[Any]) -> Bound:
        """With the parameters' values in place. Raises ParameterError for a value that MongoDB cannot hold there."""
        ready = [bson_value(value) for value in values]
        limit = _amount("limit", self.plan.limit, values)
        return Bound(_put(self.document, ready), limit, _amount("skip", self.plan.skip, values))


@dataclass(frozen=True, slots=True)
class Bound:
    """What is sent: the filter or pipeline, and for a find the most documents (0: all) and how many are passed over."""

    document: Any
    limit: int
    skip: int


class _Place(Enum):
    FILTER = auto()
    EXPRESSION = auto()
    LITERAL = auto()
    FIXED = auto()


def compile_query(plan: QueryPlan) -> Query:
    """Raises QueryError for what writes, runs code, answers by chance, or lets a client choose more than values."""
    check = _Check(plan)
    if plan.operation == "find":
        if not isinstance(plan.document, Mapping):
            raise QueryError(plan.name, ("find",), "a filter is a mapping")
        check.walk(plan.document, ("find",), _Place.FILTER)
        check.walk(plan.projection, ("projection",), _Place.FIXED)
    else:
        if not isinstance(plan.document, list | tuple):
            raise QueryError(plan.name, ("aggregate",), "a pipeline is a list of stages")
        check.walk(plan.document, ("aggregate",), _Place.EXPRESSION)
    check.walk(plan.limit, ("limit",), _Place.LITERAL)
    check.walk(plan.skip, ("skip",), _Place.LITERAL)
    return Query(plan, _constants(plan, plan.document))


class _Check:
    def __init__(self, plan: QueryPlan) -> None:
        self._plan = plan

    def walk(self, value: Any, at: tuple[str, ...], place: _Place) -> None:
        if len(at) > MAX_DEPTH:
            raise self._error(at[:5], f"is nested deeper than {MAX_DEPTH} levels")
        if isinstance(value, Mapping):
            for name, item in value.items():
                self._member(name, item, (*at, str(name)), place)
        elif isinstance(value, list | tuple):
            for number, item in enumerate(value):
                self.walk(item, (*at, str(number)), place)
        elif (parameter := _number(value)) is not None:
            self._parameter(parameter, at, place)

    def _member(self, name: Any, item: Any, at: tuple[str, ...], place: _Place) -> None:
        if not isinstance(name, str):
            raise self._error(at, "a key is a text; put it in quotes")
        if _PARAMETER.fullmatch(name):
            raise self._error(at, "a parameter is a value, never a key")
        if name in _REFUSED:
            raise self._error(at, f"{name} {_REFUSED[name]}")
        below = place
        if name in _CHOOSE_FIELDS and place is _Place.EXPRESSION:
            below = _Place.FIXED
        elif place is _Place.FILTER and name == "$expr":
            below = _Place.EXPRESSION
        elif place is _Place.EXPRESSION and name in ("$literal", "$limit", "$skip"):
            below = _Place.LITERAL
        elif place is _Place.EXPRESSION and name == "$match":
            below = _Place.FILTER
        elif place is _Place.EXPRESSION and name in _FILTERS and isinstance(item, Mapping):
            for inner, value in item.items():
                self.walk(value, (*at, str(inner)), _Place.FILTER if inner == _FILTERS[name] else place)
            return
        self.walk(item, at, below)

    def _parameter(self, number: int, at: tuple[str, ...], place: _Place) -> None:
        if number > len(self._plan.parameters):
            raise self._error(at, f"there is no parameter ${number}; params has {len(self._plan.parameters)}")
        if place is _Place.EXPRESSION:
            text = f"${number} would be evaluated here, where a text that starts with $ names a field"
            raise self._error(at, f"{text}; write {{$literal: ${number}}}")
        if place is _Place.FIXED:
            raise self._error(at, f"${number} would let the client choose fields; a parameter is a value")

    def _error(self, at: tuple[str, ...], text: str) -> QueryError:
        return QueryError(self._plan.name, at, text)


def bson_value(value: Any) -> Any:
    """A parameter's value as PyMongo encodes it. A date is its midnight in UTC; a number that is no integer of 64 bits
    is a Decimal128. Raises ParameterError.
    """
    match value:
        case list() | tuple():
            return [bson_value(item) for item in value]
        case UUID():
            return Binary.from_uuid(value, UuidRepresentation.STANDARD)
        case datetime():
            return value
        case date():
            return datetime.combine(value, time(), UTC)
        case Decimal() if value == value.to_integral_value() and -_INT64 <= value < _INT64:
            return int(value)
        case Decimal():
            try:
                return Decimal128(value)
            except DecimalException:
                raise ParameterError(f"{value} has more digits than MongoDB's 34") from None
        case _:
            return value


def _number(value: Any) -> int | None:
    found = _PARAMETER.fullmatch(value) if isinstance(value, str) else None
    return int(found[1]) if found else None


def _put(value: Any, ready: Sequence[Any]) -> Any:
    if isinstance(value, dict):
        return {key: _put(item, ready) for key, item in value.items()}
    if isinstance(value, list):
        return [_put(item, ready) for item in value]
    number = _number(value)
    return value if number is None else ready[number - 1]


def _amount(name: str, given: int | str | None, values: Sequence[Any]) -> int:
    number = _number(given)
    amount = given if number is None else values[number - 1]
    if amount is None:
        return 0
    if isinstance(amount, bool) or not isinstance(amount, int) or not 0 <= amount < 2**31:
        raise ParameterError(f"{name} is to be an integer from 0, not {amount!r:.60}; give its parameter type: int")
    return amount


def _constants(plan: QueryPlan, value: Any) -> Any:
    if isinstance(value, Mapping):
        if len(value) == 1 and _WRAPPED.issuperset(value):
            try:
                return json_util.object_hook(dict(value), _CONSTANTS)
            except (BSONError, ValueError, TypeError, ArithmeticError) as error:
                raise QueryError(plan.name, tuple(value), f"is no such value: {error}") from None
        return {key: _constants(plan, item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_constants(plan, item) for item in value]
    return value if _number(value) is not None else bson_value(value)
