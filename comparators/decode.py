"""From bytes to values without losing a digit.

Most bodies are parsed by orjson into integers and doubles. That is exact as long as every number has at most 15
significant digits and stays within the range of doubles: two such numbers are equal exactly when their doubles are
(IEEE 754 binary64 keeps 15 decimal digits). Long fractions are seen in the bytes (`needs_exact`), long integers in the
values (`InexactError`); such bodies are parsed with integers and decimals of full length.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

# A number with at most 7 digits before the point and 8 after it has at most 15. Both patterns begin with one rare
# character and look back from there, which makes the search several times as fast as one that starts at digits.
_LONG_FRACTION = re.compile(rb"\.(?:[0-9]{9}|(?<=[0-9]{8}\.))")
_NEGATIVE_EXPONENT = re.compile(rb"-(?<=[0-9][eE]-)[0-9]+(?:[,\]}\s]|\Z)")
LARGEST_EXACT = 1e15
"""Doubles from here on may stand for an integer or an exponent that they do not keep."""
MAX_DIGITS = 4_000
"""Longer integers are refused: Python's own limit is 4,300 digits, and no store writes such a number."""


class InexactError(Exception):
    """A value was parsed into a double that may have lost digits: parse again with `exact`."""


@dataclass(frozen=True, slots=True)
class Unparseable:
    """Why a body is not JSON. `offset` counts bytes from the start, where it is known."""

    text: str
    offset: int | None = None

    def as_text(self) -> str:
        return self.text if self.offset is None else f"{self.text} at byte {self.offset}"


def needs_exact(body: bytes) -> bool:
    """Whether some number may have more digits than a double keeps, or be too small for one.

    Says yes to some bodies that do not need it (digits inside strings), and leaves what has become a double of
    `LARGEST_EXACT` or more to be noticed where it is compared.
    """
    return _LONG_FRACTION.search(body) is not None or _NEGATIVE_EXPONENT.search(body) is not None


def decode(body: bytes, *, exact: bool) -> Any:
    """The value of a JSON body, or Unparseable. With `exact`, numbers are int and Decimal, never float."""
    if not exact:
        try:
            return orjson.loads(body)
        except (orjson.JSONDecodeError, RecursionError):
            # orjson refuses lone surrogates and numbers past the range of doubles, which are JSON all the same.
            pass
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        return Unparseable("not UTF-8", error.start)
    try:
        return json.loads(text, parse_float=_decimal, parse_int=_integer, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        return Unparseable(error.msg, len(text[: error.pos].encode()))
    except RecursionError:
        return Unparseable("nested too deeply")
    except ValueError as error:
        return Unparseable(str(error))


def number(value: float | Decimal) -> Decimal:
    """The exact value of a parsed number. Raises InexactError for a double that may have lost digits."""
    if isinstance(value, float):
        if not -LARGEST_EXACT < value < LARGEST_EXACT:
            raise InexactError
        # repr of a double is its shortest spelling, which is the wire's for up to 15 digits.
        return Decimal(repr(value))
    return Decimal(value)


def _integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number has more than {MAX_DIGITS} digits")
    return int(text)


def _decimal(text: str) -> Decimal:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"a number has more than {MAX_DIGITS} digits")
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError("a number's exponent is out of range") from None


def _refuse(text: str) -> Any:
    raise ValueError(f"{text} is not JSON")
