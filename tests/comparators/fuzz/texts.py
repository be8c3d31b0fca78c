"""What a text spells, read as plainly as can be: a number, a time, the ids in it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from decimal import Decimal

_HEX = "0123456789abcdefABCDEF"
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")
_TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})([T ])([0-9]{2}):([0-9]{2})(:[0-9]{2})?(\.[0-9]{1,9})?(\s?)"
    r"(?:([Zz])|([+-])([0-9]{2})(?::?([0-9]{2}))?)?"
)


def number_of(text: str) -> Decimal | None:
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def time_of(text: str) -> tuple[bool, datetime, str, tuple[str, ...]] | None:
    """Whether there is a zone; the second (in UTC if so); the fraction's digits; how it is spelled."""
    found = _TIME.fullmatch(text)
    if not found:
        return None
    year, month, day, between, hour, minute, second, fraction, _, zulu, sign, hours, minutes = found.groups()
    try:
        at = datetime(int(year), int(month), int(day), int(hour), int(minute), int((second or ":0")[1:]))  # noqa: DTZ001
        if sign:
            offset = timedelta(hours=int(hours), minutes=int(minutes or 0))
            if offset >= timedelta(days=1):
                return None
            at = at + offset if sign == "-" else at - offset
    except (ValueError, OverflowError):
        return None
    zone = zulu or (text[found.start(11) :] if sign else "")
    return bool(zone), at, (fraction or ".")[1:], (between, zone, str(second is None))


def tokens_of(text: str) -> list[str]:
    """Every id in a text: 24 hex digits, or a uuid with hyphens, with no hex digit before or behind."""
    found, at = [], 0
    while at < len(text):
        if at and text[at - 1] in _HEX:
            at += 1
            continue
        for shape in ("8-4-4-4-12", "24"):
            length = 36 if "-" in shape else 24
            part, behind = text[at : at + length], text[at + length : at + length + 1]
            if len(part) == length and (not behind or behind not in _HEX):
                runs = part.split("-")
                if "-".join(str(len(run)) for run in runs) == shape and all(c in _HEX for run in runs for c in run):
                    found.append(part)
                    at += length - 1
                    break
        at += 1
    return found


def whole_id(text: str) -> str | None:
    inner = text[1:-1] if text[:1] == "{" and text[-1:] == "}" else text
    if tokens_of(inner) == [inner] and inner:
        return inner.lower()
    if len(inner) == 32 and all(c in _HEX for c in inner):
        inner = inner.lower()
        return "-".join((inner[:8], inner[8:12], inner[12:16], inner[16:20], inner[20:]))
    return None
