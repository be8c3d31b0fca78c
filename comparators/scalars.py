"""Two single values: equal, or every cause why not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from decimal import Context, Decimal
from typing import Any, NamedTuple

from comparators.ids import TOKEN, IdTable, Pairings, both_ids, judge
from comparators.model import Kind

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FARTHEST = 10**15
"""Milliseconds: no year of four digits is farther from 1970."""
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?")
_DATE = re.compile(
    r"(\d{4}-\d{2}-\d{2})([T ])(\d{2}:\d{2}(?::\d{2})?)(?:\.(\d{1,9}))?\s?"
    r"(Z|z|[+-]\d{2}(?::\d{2}(?::\d{2})?|\d{2})?)?",
    re.ASCII,
)
_SHORTEST_DATE, _LONGEST_DATE = 16, 45
_MAX_NUMBER_TEXT = 4_000
_ID_LENGTH = 24
_NUMERIC = frozenset("-0123456789")
_MAX_EXPONENT = 10_000


class Cause:
    """One cause of a difference: the kind reported, and the tolerance that forgives it (the kind's own by default)."""

    __slots__ = ("kind", "tolerance")

    def __init__(self, kind: Kind, tolerance: str = "") -> None:
        self.kind = kind
        self.tolerance = tolerance or kind.value


class Context_(NamedTuple):  # noqa: N801 - decimal's Context is used beside it
    """What a comparison needs besides the values. `pairings` is given under `ids: inferred`.

    `fuzzy` is that of the rules: values of one form need not be equal.
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
        return () if left == right else _strings(left, right, rules, context)
    if left is None or right is None or isinstance(left, bool) or isinstance(right, bool):
        return () if left is right else _VALUE if type(left) is type(right) else _TYPE
    if isinstance(left, str) or isinstance(right, str):
        return _number_and_string(left, right, rules)
    return () if left == right else _apart(Decimal(left), Decimal(right), rules)


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


def as_decimal(text: str) -> Decimal | None:
    """The number that `text` spells as JSON would (RFC 8259 section 6) without an exponent, or None."""
    if len(text) > _MAX_NUMBER_TEXT or not _DECIMAL.fullmatch(text):
        return None
    return Decimal(text)


def _number_and_string(left: Any, right: Any, rules: Mapping[str, Any]) -> tuple[Cause, ...]:
    text, value = (left, right) if isinstance(left, str) else (right, left)
    written = as_decimal(text)
    if written is None:
        return _TYPE
    if written != value:
        return (_NUMBER_STRING, *_apart(written, Decimal(value), rules))
    # A JSON number has no scale that a client could see, so the string's trailing zeros are no second cause.
    return (_NUMBER_STRING,)


def _strings(left: str, right: str, rules: Mapping[str, Any], context: Context_) -> tuple[Cause, ...]:
    if left[4:5] == "-" == right[4:5] and (dates := _dates(left, right, rules)) is not None:
        return dates
    if context.ids != "exact" and len(left) >= _ID_LENGTH <= len(right):
        found = _ids(left, right, rules, context)
        if found is not None:
            return found
        left = _with_ids_of(left, right, rules, context)
    if left[:1] in _NUMERIC and right[:1] in _NUMERIC:
        a, b = as_decimal(left), as_decimal(right)
        if a is not None and b is not None:
            return (_SCALE,) if a == b else _apart(a, b, rules)
    folded_left, folded_right = left.casefold(), right.casefold()
    if folded_left == folded_right:
        return (Cause(Kind.CASE),)
    words_left, words_right = folded_left.split(), folded_right.split()
    if words_left != words_right:
        return _VALUE
    if left.split() == right.split():
        return (Cause(Kind.WHITESPACE),)
    return (Cause(Kind.CASE), Cause(Kind.WHITESPACE))


def _ids(left: str, right: str, rules: Mapping[str, Any], context: Context_) -> tuple[Cause, ...] | None:
    """Causes when the two texts are the same but for ids in them; None when ids do not explain the difference."""
    both = both_ids(left, right)
    if both is not None:
        if both[0] == both[1]:
            return (Cause(Kind.CASE),) if "-" not in both[0] else ()
        kind = _id_kind(*both, rules, context)
        return () if kind is None else (Cause(kind),)
    mine, others = TOKEN.split(left), TOKEN.split(right)
    if len(mine) == 1 or mine != others:
        return None
    worst: Kind | None = None
    for a, b in zip(TOKEN.findall(left), TOKEN.findall(right), strict=True):
        if a == b:
            continue
        if a.lower() == b.lower():
            if "-" not in a:
                worst = worst or Kind.CASE
            continue
        kind = _id_kind(a.lower(), b.lower(), rules, context)
        if kind is not None and worst is not Kind.ID_MISMATCH:
            worst = kind
    return () if worst is None else (Cause(worst),)


def _with_ids_of(left: str, right: str, rules: Mapping[str, Any], context: Context_) -> str:
    """`left` with its ids as `right` spells them, when they are joined one for one: what still differs is the text."""
    mine, others = TOKEN.findall(left), TOKEN.findall(right)
    if not mine or len(mine) != len(others) or context.pairings is not None:
        return left
    if any(_id_kind(a.lower(), b.lower(), rules, context) for a, b in zip(mine, others, strict=True) if a != b):
        return left
    following = iter(others)

    def respelled(found: re.Match[str]) -> str:
        other = next(following)
        # The same id in another case stays as it is: that is a cause of its own.
        return found[0] if found[0].lower() == other.lower() else other

    return TOKEN.sub(respelled, left)


def _id_kind(left: str, right: str, rules: Mapping[str, Any], context: Context_) -> Kind | None:
    """How two different ids differ, None when they are joined."""
    verdict = judge(left, right, rules.get("entity"), context.table, context.pairings)
    if verdict == "mismatch":
        return Kind.ID_MISMATCH
    if verdict == "unmapped":
        same_store = ("-" in left) == ("-" in right)
        return Kind.VALUE_CHANGED if same_store else Kind.ID_UNMAPPED
    return None


class _Spelled(NamedTuple):
    """The parts of a timestamp as it is written: `2026-01-15`, `T` or a space, `20:43:05`, `780`, `Z`."""

    day: str
    between: str
    clock: str
    fraction: str
    zone: str

    @property
    def nanoseconds(self) -> int:
        return int(self.fraction.ljust(9, "0"))

    @property
    def style(self) -> tuple[str, str, int]:
        """What two spellings of one instant may differ in."""
        return (self.between, self.zone, len(self.clock))

    def second(self) -> datetime | None:
        """The whole second, in UTC when a zone is given; None when there is no such day, time or zone."""
        clock = self.clock if len(self.clock) == len("00:00:00") else f"{self.clock}:00"
        try:
            at = datetime.fromisoformat(f"{self.day}T{clock}")
            if not self.zone:
                return at
            if self.zone in ("Z", "z"):
                return at.replace(tzinfo=UTC)
            hours, *rest = self.zone[1:].split(":") if ":" in self.zone else (self.zone[1:3], self.zone[3:])
            minutes, seconds = (int(part or 0) for part in (*rest, "", "")[:2])
            offset = timedelta(hours=int(hours), minutes=minutes, seconds=seconds)
            return at.replace(tzinfo=timezone(-offset if self.zone[0] == "-" else offset)).astimezone(UTC)
        except (ValueError, OverflowError):
            return None


def _spelled(text: str) -> _Spelled | None:
    if not _SHORTEST_DATE <= len(text) <= _LONGEST_DATE or not (found := _DATE.fullmatch(text)):
        return None
    day, between, clock, fraction, zone = found.groups()
    return _Spelled(day, between, clock, fraction or "", zone or "")


class Instant(NamedTuple):
    """A time exactly: the whole second, and the nanoseconds in it; and the style in which it was written."""

    second: datetime
    nanoseconds: int
    style: tuple[str, str, int]


def instant(text: str) -> Instant | None:
    """The instant that `text` spells (ISO 8601 / RFC 3339 with `T` or space), or None."""
    spelled = _spelled(text)
    second = None if spelled is None else spelled.second()
    return None if spelled is None or second is None else Instant(second, spelled.nanoseconds, spelled.style)


def instant_of(milliseconds: int | Decimal) -> str | None:
    """The text of a time given as milliseconds since 1970 (UTC), or None when it is out of range."""
    if not -_FARTHEST <= milliseconds <= _FARTHEST:
        # Decimals of more digits than its context has cannot be divided.
        return None
    whole, rest = divmod(Decimal(milliseconds), 1)
    try:
        at = (_EPOCH + timedelta(milliseconds=int(whole))).isoformat(timespec="milliseconds")
    except (OverflowError, ValueError):
        return None
    fraction = f"{rest:f}".partition(".")[2].rstrip("0")
    return f"{at.removesuffix('+00:00')}{fraction}Z"


def _dates(left: str, right: str, rules: Mapping[str, Any]) -> tuple[Cause, ...] | None:
    a, b = _spelled(left), _spelled(right)
    if a is None or b is None or (a.zone == "") != (b.zone == ""):
        return None
    if a.style != b.style or (a.day, a.clock) == (b.day, b.clock):
        first, second = a.second(), b.second()
        if first is None or second is None:
            return None
        if first != second:
            return _VALUE
    else:
        # One style and another time: another instant, as all that is no date differs in value as well.
        return _VALUE
    spelled = (Cause(Kind.DATE_FORMAT),) if a.style != b.style else ()
    if a.nanoseconds == b.nanoseconds:
        return spelled or (Cause(Kind.DATE_FORMAT),)
    rule = rules.get("date_precision")
    kept = rule.digits if rule is not None else 9
    coarser = min(len(a.fraction), len(b.fraction))
    for digits in (coarser, kept):
        if digits < max(len(a.fraction), len(b.fraction)) and _cut(a, digits) == _cut(b, digits):
            # Only as far as the rule reaches is it forgiven: milliseconds lost under a rule of microseconds are not.
            reach = rule is not None and _cut(a, kept) == _cut(b, kept)
            return (*spelled, Cause(Kind.DATE_PRECISION, "date_precision" if reach else "nothing"))
    return _VALUE


def _cut(at: _Spelled, digits: int) -> int:
    unit: int = 10 ** (9 - digits)
    return at.nanoseconds // unit
