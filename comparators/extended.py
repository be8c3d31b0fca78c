"""MongoDB Extended JSON (v2): what a wrapped value is, and how it stands to the same value written plainly."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Literal, NamedTuple

from comparators.ids import whole
from comparators.model import Kind
from comparators.scalars import Cause, Context_, as_decimal, causes, instant_of

_IDS = ("$oid", "$uuid")
_NUMBERS = ("$numberDecimal", "$numberLong", "$numberInt", "$numberDouble")
_MAX_EXPONENT = 6_200
"""A little more than what Decimal128 (IEEE 754-2008) reaches."""
_DATE_FORMAT = Cause(Kind.DATE_FORMAT)
_POPULATED = Cause(Kind.POPULATED)
_NUMBER_STRING = Cause(Kind.NUMBER_STRING)


class Wrapped(NamedTuple):
    """A value that Extended JSON wraps in an object of one member. `text` is what the value is without it."""

    sort: Literal["id", "date", "number"]
    text: str


def unwrap(value: Any) -> Wrapped | None:
    """What `value` wraps, or None when it is no wrapped id, date or number."""
    if type(value) is not dict or len(value) != 1:
        return None
    ((name, inner),) = value.items()
    if name[:1] != "$":
        return None
    if name in _IDS and type(inner) is str:
        return Wrapped("id", inner)
    if name in _NUMBERS and type(inner) is str:
        return Wrapped("number", _without_exponent(inner))
    if name == "$date":
        text = _date(inner)
        return None if text is None else Wrapped("date", text)
    return None


def _without_exponent(text: str) -> str:
    """Large and small numbers are printed with an exponent (`1E+21`), which no other side's text has."""
    if "E" not in text and "e" not in text:
        return text
    try:
        value = Decimal(text)
    except ArithmeticError:
        return text
    return f"{value:f}" if value.is_finite() and abs(value.adjusted()) <= _MAX_EXPONENT else text


def _date(inner: Any) -> str | None:
    """The text of a date: relaxed form (ISO 8601), canonical form (`$numberLong`), or plain milliseconds."""
    if type(inner) is dict:
        wrapped = unwrap(inner)
        inner = _integer(wrapped.text) if wrapped is not None and wrapped.sort == "number" else None
    if type(inner) is int:
        return instant_of(inner)
    return inner if type(inner) is str else None


def _integer(text: str) -> int | None:
    digits = text.removeprefix("-")
    return int(text) if len(digits) <= 20 and digits.isascii() and digits.isdigit() else None


def extended_causes(left: Any, right: Any, rules: Mapping[str, Any], context: Context_) -> tuple[Cause, ...] | None:
    """Why a wrapped value differs from the other side's; None when Extended JSON does not explain it."""
    a, b = unwrap(left), unwrap(right)
    if a is not None and b is not None:
        return _both(a, b, rules, context)
    wrapped, plain = (a, right) if a is not None else (b, left)
    if wrapped is None:
        return None
    if wrapped.sort == "number":
        return _number(wrapped.text, plain, rules, context)
    if wrapped.sort == "date" and type(plain) in (int, Decimal):
        plain = instant_of(plain)
    if type(plain) is not str:
        return None
    sides = (wrapped.text, plain) if a is not None else (plain, wrapped.text)
    found = causes(*sides, rules, context)
    if wrapped.sort == "id":
        # An object that bears the id against the id: what `populated` means.
        return (_POPULATED, *found)
    return _as_dates(found)


def rewrapped_causes(
    left: dict[str, Any], right: dict[str, Any], rules: Mapping[str, Any], context: Context_
) -> tuple[Cause, ...] | None:
    """Why two wrapped values differ; None when they are wrapped alike and to be compared as the objects they are."""
    ((name, a),), ((other, b),) = left.items(), right.items()
    if name != other or type(a) is not type(b):
        return extended_causes(left, right, rules, context)
    if name in _IDS and "entity" in rules:
        # The entity is named for the id, not for the name inside it.
        return causes(a, b, rules, context)
    return None


def id_text(value: Any) -> str | None:
    """The text of an id, plain or wrapped; None when `value` is none."""
    wrapped = unwrap(value)
    text = wrapped.text if wrapped is not None and wrapped.sort == "id" else value
    return text if isinstance(text, str) and whole(text) is not None else None


def _as_dates(found: tuple[Cause, ...]) -> tuple[Cause, ...]:
    if any(cause.kind is Kind.VALUE_CHANGED for cause in found):
        return found
    return (_DATE_FORMAT, *(cause for cause in found if cause.kind is not Kind.DATE_FORMAT))


def _number(text: str, plain: Any, rules: Mapping[str, Any], context: Context_) -> tuple[Cause, ...] | None:
    if text == plain:
        # Also what no JSON number is, such as NaN.
        return (_NUMBER_STRING,)
    if as_decimal(text) is None or (type(plain) is str and as_decimal(plain) is None):
        return None
    if type(plain) not in (str, int, Decimal):
        return None
    found = causes(text, plain, rules, context)
    return (_NUMBER_STRING, *(cause for cause in found if cause.kind is not Kind.NUMBER_STRING))


def _both(a: Wrapped, b: Wrapped, rules: Mapping[str, Any], context: Context_) -> tuple[Cause, ...] | None:
    if a.sort != b.sort:
        return None
    if a.sort == "number":
        return _number(a.text, b.text, rules, context)
    found = causes(a.text, b.text, rules, context)
    # Ids in two wrappers are as different as an id and the object that bears it.
    return (_POPULATED, *found) if a.sort == "id" else _as_dates(found)
