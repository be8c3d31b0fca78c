"""Single values of a shape: looked up in a row, respelled where the shape says so, added up without rounding."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation, Overflow
from enum import Enum
from typing import Any, Final, Literal

from comparators.decode import Unparseable, decode
from comparators.encode import dumps

_DATE = re.compile(r"[+-]?\d{4,6}-\d\d-\d\d")
_WORDS: Mapping[Any, bool] = {True: True, False: False, "true": True, "false": False, "t": True, "f": False}
_EXACT = Context(prec=2_000, traps=[Inexact, InvalidOperation, Overflow])


class Nothing(Enum):
    """What stands for a member that is not there, as `undefined` does in JavaScript; unlike null."""

    NOTHING = "nothing"


NOTHING: Final[Literal[Nothing.NOTHING]] = Nothing.NOTHING


def look_up(row: Mapping[str, Any], name: str) -> Any:
    """The column `name` of a row; a dotted name that is no column is a way into its objects. Else NOTHING."""
    found = row.get(name, NOTHING)
    if found is not NOTHING or "." not in name:
        return found
    found = row
    for step in name.split("."):
        if not isinstance(found, Mapping) or step not in found:
            return NOTHING
        found = found[step]
    return found


def key_of(values: Iterable[Any]) -> tuple[str, ...] | None:
    """What rows are joined by, or None when a value is null or absent: those are equal to nothing, as in SQL.

    Numbers and texts that spell the same are equal, because one side of a join may be a bigint printed as text.
    """
    key = []
    for value in values:
        if value is None or value is NOTHING:
            return None
        key.append(value if isinstance(value, str) else _text(plain_number(value)))
    return tuple(key)


def plain_number(value: Any) -> Any:
    """A Decimal without needless zeros, an int where it is a whole one; anything else as it is."""
    if isinstance(value, Mapping) and list(value) == ["$numberDecimal"]:
        value = Decimal(value["$numberDecimal"])
    if isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) < 400:
        return int(value) if value == value.to_integral_value() else value.normalize(_EXACT)
    return value


def _text(value: Any) -> Any:
    if isinstance(value, Mapping) and list(value) == ["$numberDecimal"]:
        return value["$numberDecimal"]
    return value if value is None or isinstance(value, str) else dumps(value)


def _number(value: Any) -> Any:
    if isinstance(value, Mapping) and list(value) == ["$numberDecimal"]:
        value = value["$numberDecimal"]
    if value is None or (isinstance(value, int | Decimal) and not isinstance(value, bool)):
        return value
    found = decode(value.strip().encode("utf-8", "replace")) if isinstance(value, str) else None
    if isinstance(found, int | Decimal) and not isinstance(found, bool):
        return found
    raise ValueError(f"{_shown(value)} is no number")


def _bool(value: Any) -> Any:
    try:
        return None if value is None else _WORDS[value]
    except (KeyError, TypeError):
        raise ValueError(f"{_shown(value)} is neither true nor false") from None


def _json(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    found = decode(value.encode("utf-8", "surrogatepass"))
    if isinstance(found, Unparseable):
        raise ValueError(f"{_shown(value)} is no JSON: {found.as_text()}")
    return found


def _date(value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, str) and (found := _DATE.match(value)):
        return found[0]
    raise ValueError(f"{_shown(value)} does not begin with a date")


SPELLINGS: Mapping[str, Callable[[Any], Any]] = {
    "text": _text,
    "number": _number,
    "bool": _bool,
    "json": _json,
    "date": _date,
}
"""What `as` may say. Null stays null; each raises ValueError for a value that it cannot respell."""


def total(values: Iterable[Any]) -> int | Decimal:
    """The exact sum of numbers, however they are spelled; nulls count nothing. Raises ValueError."""
    whole = 0
    rest = Decimal(0)
    for value in values:
        if value is NOTHING or (found := _number(value)) is None:
            continue
        if isinstance(found, int):
            whole += found
            continue
        try:
            rest = _EXACT.add(rest, found)
        except DecimalException:
            raise ValueError(f"adding {_shown(value)} takes more than {_EXACT.prec} digits") from None
    try:
        return _EXACT.add(rest, whole) if rest else whole
    except DecimalException:
        raise ValueError(f"the sum has more than {_EXACT.prec} digits") from None


def _shown(value: Any) -> str:
    text = dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
