"""Values as parameters of a prepared statement: which types fit which, and what is handed to the driver."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from comparators.encode import dumps
from proxy.direct.parameters import Parameter, ParameterError, ParameterType
from proxy.direct.postgres_values import TEXT_TYPES

_BITS = {"int2": 16, "int4": 32, "int8": 64}
_KINDS: Mapping[str, ParameterType] = {
    "int2": "int",
    "int4": "int",
    "int8": "int",
    "numeric": "number",
    "float4": "number",
    "float8": "number",
    "bool": "bool",
    "date": "date",
    "timestamp": "timestamp",
    "timestamptz": "timestamp",
    "uuid": "uuid",
}
_FITTING: Mapping[ParameterType, frozenset[str]] = {
    "int": frozenset({"int", "number"}),
    "number": frozenset({"int", "number"}),
    "date": frozenset({"date", "timestamp"}),
    "timestamp": frozenset({"date", "timestamp"}),
}
_TEXTS = frozenset({"text", "varchar", "bpchar", "name", "citext", "json", "jsonb"})
_WRITTEN = _TEXTS | frozenset({"char"}) | (frozenset(TEXT_TYPES) - _KINDS.keys())
_LAST = {"float4": 3.4028235e38, "float8": math.inf}


def settled(parameter: Parameter, pg_type: str, *, builtin: bool = True) -> tuple[Parameter, ParameterType]:
    """A parameter and the type in effect once Postgres has said what `$n` is. ParameterError when they cannot fit.

    An array takes a list, whatever the configuration says. Types that are not `builtin` are written as text (enums).
    """
    base = pg_type.removesuffix("[]")
    if parameter.is_list and base == pg_type:
        raise ParameterError(f"{parameter.label}: a list, where Postgres wants one {pg_type}; write = ANY($n)")
    parameter = dataclasses.replace(parameter, is_list=base != pg_type)
    natural = _KINDS.get(base, "text")
    if natural == "text" and builtin and base not in _WRITTEN:
        raise ParameterError(f"{parameter.label}: a {pg_type} is not taken; write a cast, $n::text::{pg_type}")
    if parameter.type == "auto":
        return parameter, natural
    if base not in _TEXTS and parameter.type not in _FITTING.get(natural, {natural}):
        raise ParameterError(
            f"{parameter.label}: type {parameter.type}, where Postgres wants {pg_type}; leave type out"
        )
    return parameter, parameter.type


def bound(value: Any, pg_type: str) -> Any:
    """What the driver takes for `value` as `pg_type`. ParameterError for a number that the type does not hold."""
    if value is None:
        return None
    if isinstance(value, list):
        base = pg_type.removesuffix("[]")
        return [bound(each, base) for each in value]
    if pg_type in _BITS:
        return _integer(value, _BITS[pg_type])
    if pg_type == "numeric":
        return Decimal(value)
    if pg_type in _LAST:
        return _floating(value, pg_type)
    if pg_type in ("json", "jsonb"):
        return dumps(value if isinstance(value, bool | int | Decimal) else _text(value))
    if pg_type in ("date", "timestamp", "timestamptz"):
        return _moment(value, pg_type)
    return value if pg_type in ("bool", "uuid") else _text(value)


def _integer(value: int | Decimal, bits: int) -> int:
    whole = int(value)
    if whole != value:
        raise ParameterError(f"{value} is no integer")
    if not -(2 ** (bits - 1)) <= whole < 2 ** (bits - 1):
        raise ParameterError(f"a number that is no integer of {bits} bits")
    return whole


def _floating(value: int | Decimal, pg_type: str) -> float | str:
    number = float(value)
    if math.isinf(number) or abs(number) > _LAST[pg_type]:
        raise ParameterError(f"a number that {pg_type} does not hold")
    return repr(number) if pg_type in TEXT_TYPES else number


def _moment(value: date | datetime, pg_type: str) -> str:
    if isinstance(value, datetime):
        value = value.astimezone(UTC)
        if pg_type == "date":
            return value.date().isoformat()
        return (value.replace(tzinfo=None) if pg_type == "timestamp" else value).isoformat()
    return value.isoformat() if pg_type != "timestamptz" else f"{value.isoformat()} 00:00:00+00"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, date) else str(value)
