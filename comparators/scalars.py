"""Two single values: equal, or every cause why not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Context, Decimal
from typing import Any

from comparators.decode import number
from comparators.ids import TOKEN, IdTable, Pairings, judge
from comparators.model import Kind

_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_DATE = re.compile(
    r"(\d{4}-\d{2}-\d{2})([T ])(\d{2}:\d{2}(?::\d{2})?)(?:\.(\d{1,9}))?\s?(Z|z|[+-]\d{2}(?::?\d{2})?)?",
    re.ASCII,
)
_MAX_NUMBER_TEXT = 4_000
_MAX_EXPONENT = 10_000


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause of a difference: the kind reported, and the tolerance that forgives it (its own name when None)."""

    kind: Kind
    forgiven_by: str | None = None

    @property
    def tolerance(self) -> str:
        return self.forgiven_by or self.kind.value


@dataclass(frozen=True, slots=True)
class Context_:  # noqa: N801 - decimal's Context is used beside it
    """What a comparison needs besides the values. `pairings` is given under `ids: inferred`.

    `fuzzy` says that some rule has an epsilon, so that equal forms do not mean equal values.
    """

    table: IdTable
    ids: str = "mapped"
    pairings: Pairings | None = None
    fuzzy: bool = False


_VALUE = (Cause(Kind.VALUE_CHANGED),)
_TYPE = (Cause(Kind.TYPE_CHANGED),)
_NUMBER_STRING = Cause(Kind.NUMBER_STRING)
_SCALE = Cause(Kind.DECIMAL_SCALE)
_WITHIN = Cause(Kind.VALUE_CHANGED, "number")


def causes(left: Any, right: Any, rules: Mapping[str, Any], context: Context_) -> tuple[Cause, ...]:
    """Why two scalars differ, () when they are equal; at most one cause of each sort.

    `rules` are the rules of the place: those with a measure (`number`, `date_precision`, `entity`) are asked here;
    whether a cause is forgiven is the caller's to decide.
    """
    if type(left) is str and type(right) is str:
        return _strings(left, right, rules, context)
    if left is None or right is None or isinstance(left, bool) or isinstance(right, bool):
        return () if left is right else _TYPE
    if isinstance(left, str) or isinstance(right, str):
        return _number_and_string(left, right, rules)
    if type(left) is int and type(right) is int and left == right:
        return ()
    a, b = number(left), number(right)
    return () if a == b else _apart(a, b, rules)


def _apart(a: Decimal, b: Decimal, rules: Mapping[str, Any]) -> tuple[Cause, ...]:
    rule = rules.get("number")
    if rule is not None and abs(a.adjusted()) < _MAX_EXPONENT and abs(b.adjusted()) < _MAX_EXPONENT:
        digits = max(a.adjusted(), b.adjusted()) - min(_exponent(a), _exponent(b)) + 3
        if 0 < digits <= 2 * _MAX_EXPONENT and Context(prec=digits).subtract(a, b).copy_abs() <= rule.epsilon:
            return (_WITHIN,)
    return _VALUE


def _exponent(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return exponent if isinstance(exponent, int) else 0


def _as_decimal(text: str) -> Decimal | None:
    if len(text) > _MAX_NUMBER_TEXT or not _DECIMAL.fullmatch(text):
        return None
    return Decimal(text)


def _number_and_string(left: Any, right: Any, rules: Mapping[str, Any]) -> tuple[Cause, ...]:
    text, value = (left, right) if isinstance(left, str) else (right, left)
    written = _as_decimal(text)
    if written is None:
        return _TYPE
    exact = number(value)
    if written != exact:
        return (_NUMBER_STRING, *_apart(written, exact, rules))
    # A JSON number has no scale that a client could see, so the string's trailing zeros are no second cause.
    return (_NUMBER_STRING,)


def _strings(left: str, right: str, rules: Mapping[str, Any], context: Context_) -> tuple[Cause, ...]:
    if left == right:
        return ()
    if context.ids != "exact" and (found := _ids(left, right, rules, context)) is not None:
        return found
    a, b = _as_decimal(left), _as_decimal(right)
    if a is not None and b is not None:
        return (_SCALE,) if a == b else _apart(a, b, rules)
    if (found := _dates(left, right, rules)) is not None:
        return found
    if left.casefold() == right.casefold():
        return (Cause(Kind.CASE),)
    spaced_left, spaced_right = " ".join(left.split()), " ".join(right.split())
    if spaced_left == spaced_right:
        return (Cause(Kind.WHITESPACE),)
    if spaced_left.casefold() == spaced_right.casefold():
        return (Cause(Kind.CASE), Cause(Kind.WHITESPACE))
    return _VALUE


def _ids(left: str, right: str, rules: Mapping[str, Any], context: Context_) -> tuple[Cause, ...] | None:
    """Causes when the two texts are the same but for ids in them; None when ids do not explain the difference."""
    mine, others = TOKEN.split(left), TOKEN.split(right)
    if len(mine) == 1 or mine != others:
        return None
    worst: Kind | None = None
    for a, b in zip(TOKEN.findall(left), TOKEN.findall(right), strict=True):
        a_lower, b_lower = a.lower(), b.lower()
        if a_lower == b_lower:
            if a != b and "-" not in a:
                worst = worst or Kind.CASE
            continue
        verdict = judge(a_lower, b_lower, rules.get("entity"), context.table, context.pairings)
        if verdict == "mismatch":
            worst = Kind.ID_MISMATCH
        elif verdict == "unmapped" and worst is not Kind.ID_MISMATCH:
            same_store = ("-" in a) == ("-" in b)
            worst = Kind.VALUE_CHANGED if same_store else Kind.ID_UNMAPPED
    return () if worst is None else (Cause(worst),)


@dataclass(frozen=True, slots=True)
class _Instant:
    """A timestamp exactly: whole seconds as a datetime, the fraction as nine digits, and how it was spelled."""

    second: datetime
    nanoseconds: int
    digits: int
    spelling: tuple[str, ...]


def instant(text: str) -> _Instant | None:
    """The instant that `text` spells (ISO 8601 / RFC 3339 with `T` or space), or None."""
    if not 16 <= len(text) <= 40 or not (found := _DATE.fullmatch(text)):
        return None
    day, between, clock, fraction, zone = found.groups()
    full = clock if len(clock) == len("00:00:00") else f"{clock}:00"
    try:
        second = datetime.fromisoformat(f"{day}T{full}")
        if zone in ("Z", "z"):
            second = second.replace(tzinfo=UTC)
        elif zone:
            minutes = int(zone[1:3]) * 60 + int(zone[3:].lstrip(":") or 0)
            second = second.replace(tzinfo=timezone(timedelta(minutes=-minutes if zone[0] == "-" else minutes)))
            second = second.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    digits = fraction or ""
    return _Instant(second, int(digits.ljust(9, "0")), len(digits), (between, zone or "", str(len(clock))))


def _dates(left: str, right: str, rules: Mapping[str, Any]) -> tuple[Cause, ...] | None:
    a, b = instant(left), instant(right)
    if a is None or b is None or (a.second.tzinfo is None) != (b.second.tzinfo is None):
        return None
    if a.second != b.second:
        return _VALUE
    spelled = (Cause(Kind.DATE_FORMAT),) if a.spelling != b.spelling else ()
    if a.nanoseconds == b.nanoseconds:
        return spelled or (Cause(Kind.DATE_FORMAT),)
    rule = rules.get("date_precision")
    kept = rule.digits if rule is not None else 9
    coarser = min(a.digits, b.digits)
    for digits in (coarser, kept):
        if digits < max(a.digits, b.digits) and _cut(a, digits) == _cut(b, digits):
            # Only as far as the rule reaches is it forgiven: milliseconds lost under a rule of microseconds are not.
            reach = rule is not None and _cut(a, kept) == _cut(b, kept)
            return (*spelled, Cause(Kind.DATE_PRECISION, "date_precision" if reach else "nothing"))
    return _VALUE


def _cut(at: _Instant, digits: int) -> int:
    unit: int = 10 ** (9 - digits)
    return at.nanoseconds // unit
