"""Durations and sizes as people write them: `500ms`, `1.5s`, `8MiB`.

A bare number other than 0 is refused in both: `timeout: 5` may mean seconds or milliseconds and `body: 8` bytes or
mebibytes, and a wrong guess would not show until it hurts. Decimal multiples (`KB`, `MB`) are refused for the same
reason: half of their readers take them for powers of two.
"""

from __future__ import annotations

import re
from decimal import Decimal

SECONDS = {"ms": Decimal("0.001"), "s": Decimal(1), "m": Decimal(60), "h": Decimal(3600), "d": Decimal(86400)}
BYTES = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}

DURATION_PATTERN = r"^(0|[0-9]{1,12}(\.[0-9]{1,9})? ?(ms|s|m|h|d))$"
SIZE_PATTERN = r"^(0|[0-9]{1,15}(\.[0-9]{1,9})? ?(B|KiB|MiB|GiB))$"

_QUANTITY = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,9})?) ?([A-Za-z]*)")
_BINARY = {"k": "KiB", "kb": "KiB", "kib": "KiB", "m": "MiB", "mb": "MiB", "mib": "MiB"}
_BINARY |= {"g": "GiB", "gb": "GiB", "gib": "GiB", "b": "B"}
_SPELLED_OUT = {
    "sec": "s",
    "secs": "s",
    "second": "s",
    "seconds": "s",
    "min": "m",
    "mins": "m",
    "minute": "m",
}
_SPELLED_OUT |= {
    "minutes": "m",
    "hour": "h",
    "hours": "h",
    "day": "d",
    "days": "d",
    "msec": "ms",
    "millis": "ms",
}


def parse_duration(text: str) -> float:
    """Seconds of a duration such as `250ms`, `5s`, `1.5m`, `2h`, `7d` or `0`; ValueError says what is wrong."""
    number, unit = _split(text, "a duration such as 500ms, 5s or 2h")
    if unit in SECONDS:
        return float(number * SECONDS[unit])
    if not unit:
        if number == 0:
            return 0.0
        raise ValueError(f'a duration needs a unit (ms, s, m, h, d); did you mean "{text.strip()}s"?')
    near = _SPELLED_OUT.get(unit.lower()) or (unit.lower() if unit.lower() in SECONDS else None)
    hint = f'; did you mean "{_written(number)}{near}"?' if near else ""
    raise ValueError(f'unknown unit "{unit}"; durations take ms, s, m, h, d{hint}')


def parse_size(text: str) -> int:
    """Bytes of a size such as `512B`, `64KiB`, `8MiB`, `1.5GiB` or `0`; ValueError says what is wrong."""
    number, unit = _split(text, "a size such as 64KiB or 8MiB")
    if unit in BYTES:
        size = number * BYTES[unit]
        if size != int(size):
            raise ValueError(f'"{text.strip()}" is not a whole number of bytes')
        return int(size)
    if not unit:
        if number == 0:
            return 0
        raise ValueError(f'a size needs a unit (B, KiB, MiB, GiB); did you mean "{text.strip()}B"?')
    near = _BINARY.get(unit.lower())
    hint = f'; did you mean "{_written(number)}{near}"?' if near else ""
    raise ValueError(f'unknown unit "{unit}"; sizes take B, KiB, MiB, GiB{hint}')


def format_duration(seconds: float) -> str:
    """The shortest exact spelling in the largest unit that leaves a whole number: 0.5 is `500ms`, 90 is `90s`."""
    exact = Decimal(repr(seconds))
    for unit in ("d", "h", "m", "s", "ms"):
        count = exact / SECONDS[unit]
        if count == int(count) and count != 0:
            return f"{int(count)}{unit}"
    return f"{_written(exact)}s" if exact else "0"


def format_size(size: int) -> str:
    """The exact spelling in the largest unit that leaves a whole number: 8388608 is `8MiB`."""
    for unit in ("GiB", "MiB", "KiB"):
        if size and size % BYTES[unit] == 0:
            return f"{size // BYTES[unit]}{unit}"
    return f"{size}B" if size else "0"


def _split(text: str, what: str) -> tuple[Decimal, str]:
    found = _QUANTITY.fullmatch(text.strip())
    if not found:
        raise ValueError(f"must be {what}")
    return Decimal(found[1]), found[2]


def _written(number: Decimal) -> str:
    return format(number.normalize(), "f")
