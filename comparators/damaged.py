"""A single value damaged as fits what it is, and by more than any tolerance is meant to forgive."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from decimal import Context, Decimal
from typing import Any

from comparators.ids import TOKEN, IdPair, IdTable, whole
from comparators.scalars import as_decimal, instant

Draw = Callable[[], float]
"""Randomness: a number from 0 up to, but never, 1."""

_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_DAY_LENGTH = 10
_ID_LENGTH = 24
_BARE = 32
_LARGE = 10**11
"""From here on a number may be a time in milliseconds, which a rule may forgive to the second."""
_LARGE_STEP = 24 * 60 * 60 * 1000
_PLAIN_DIGITS = 300
_TENTH = Decimal("0.1")


def value_sorts(value: Any) -> tuple[str, ...]:
    """How a single value can be damaged: the sorts that `damaged` takes for it."""
    kind = type(value)
    if kind is bool:
        return ("boolean",)
    if kind is int:
        return ("number",)
    if kind is Decimal:
        return (_sort_of_number(value),)
    return _sorts_of_text(value) if kind is str else ()


def damaged(value: Any, sort: str, ids: Ids, draw: Draw) -> Any:
    """The value with damage of one of its `value_sorts`; never an equal one."""
    if sort == "boolean":
        return not value
    if sort == "text":
        # At the end: it is neither another case nor more white space, whatever stood there.
        return f"{value}x"
    if sort == "date":
        return _another_day(value)
    if sort == "id":
        if whole(value) is not None:
            return ids.another(value, draw)
        return TOKEN.sub(lambda found: ids.another(found[0], draw), value, count=1)
    if type(value) is int:
        return _another_integer(value)
    return f"{_another_number(Decimal(value)):f}" if type(value) is str else _another_number(value)


def _sort_of_number(value: Decimal) -> str:
    exponent = value.as_tuple().exponent
    return "decimal" if isinstance(exponent, int) and exponent < 0 else "number"


def _sorts_of_text(text: str) -> tuple[str, ...]:
    if len(text) >= _ID_LENGTH and TOKEN.search(text):
        return ("id",) if whole(text) is not None else ("text", "id")
    if _another_day(text) is not None:
        return ("date",)
    number = as_decimal(text)
    return ("text",) if number is None else (_sort_of_number(number),)


def _another_day(text: str) -> str | None:
    """The text with the next day in it (at the end of the calendar the day before); None when it is no date."""
    if not _DAY.match(text) or (len(text) > _DAY_LENGTH and instant(text) is None):
        return None
    try:
        day = date.fromisoformat(text[:_DAY_LENGTH])
    except ValueError:
        return None
    other = day - timedelta(days=1) if day == date.max else day + timedelta(days=1)
    return other.isoformat() + text[_DAY_LENGTH:]


def _another_integer(value: int) -> int:
    if abs(value) < _LARGE:
        return value + 1
    # Towards zero: it never needs a digit more, of which there is a limit.
    return value - _LARGE_STEP if value > 0 else value + _LARGE_STEP


def _another_number(value: Decimal) -> Decimal:
    """One more, of small numbers a tenth of it more, and at least one in the last place that is written."""
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise ValueError(f"{value} is no JSON number")
    if len(digits) > _PLAIN_DIGITS or abs(value.adjusted()) > _PLAIN_DIGITS:
        return Decimal((sign, (digits[0] % 9 + 1, *digits[1:]), exponent))
    exact = Context(prec=3 * _PLAIN_DIGITS)
    if value.copy_abs() >= _LARGE:
        step = Decimal(_LARGE_STEP)
    elif not value or value.copy_abs() >= 10:
        step = Decimal(1)
    else:
        step = exact.multiply(value.copy_abs(), _TENTH).quantize(Decimal((0, (1,), min(exponent, 0))), context=exact)
    return exact.add(value, max(step, Decimal((0, (1,), exponent))))


class Ids:
    """Finds other rows of the entity of an id: among those of a table, else one that no table has."""

    def __init__(self, table: IdTable) -> None:
        self._table = table
        self._rows: Mapping[str, list[IdPair]] | None = None

    def another(self, text: str, draw: Draw) -> str:
        """An id of the same form as `text` that is of another row."""
        own = whole(text) or text.lower()
        mine = self._table.by_legacy.get(own) or self._table.by_uuid.get(own) or ()
        near = {own, *(pair.legacy for pair in mine), *(pair.uuid for pair in mine)}
        others = [
            pair
            for entity in sorted({pair.entity for pair in mine})
            for pair in self._of(entity)
            if pair.legacy not in near and pair.uuid not in near
        ]
        if others:
            pair = others[int(draw() * len(others))]
            return pair.uuid if "-" in own else pair.legacy
        made = _fresh_uuid(draw) if "-" in own else _hex(_ID_LENGTH, draw)
        # Also for a chance that always draws the same.
        return made if made != own else made[:-1] + ("1" if made[-1] == "0" else "0")

    def _of(self, entity: str) -> Iterable[IdPair]:
        if self._rows is None:
            rows: dict[str, list[IdPair]] = {}
            for pairs in self._table.by_uuid.values():
                for pair in pairs:
                    rows.setdefault(pair.entity, []).append(pair)
            self._rows = rows
        return self._rows.get(entity, ())


def _hex(length: int, draw: Draw) -> str:
    return "".join([f"{int(draw() * 16):x}" for _ in range(length)])


def _fresh_uuid(draw: Draw) -> str:
    """Version 4 as RFC 9562 section 5.4 has it."""
    text = _hex(_BARE, draw)
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"
