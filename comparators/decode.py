"""From bytes to values without losing a digit.

A body whose numbers all have at most 15 significant digits is parsed by orjson: two such numbers are equal exactly when
their doubles are (IEEE 754 binary64 keeps 15 decimal digits). Any other body is parsed with integers and decimals of
full length.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

_LONG_OR_EXPONENT = re.compile(rb"[0-9.]{17}|[0-9][eE][-+]?[0-9]")
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
MAX_DIGITS = 4_000
"""Longer integers are refused: Python's own limit is 4,300 digits, and no store writes such a number."""


@dataclass(frozen=True, slots=True)
class Unparseable:
    """Why a body is not JSON. `offset` counts bytes from the start, where it is known."""

    text: str
    offset: int | None = None

    def as_text(self) -> str:
        return self.text if self.offset is None else f"{self.text} at byte {self.offset}"


def needs_exact(body: bytes) -> bool:
    """Whether a number outside strings has more digits than a double keeps, or an exponent."""
    if not _LONG_OR_EXPONENT.search(body):
        return False
    return bool(_LONG_OR_EXPONENT.search(_STRING.sub(b'""', body)))


def decode(body: bytes, *, exact: bool) -> Any:
    """The value of a JSON body, or Unparseable. With `exact`, numbers are int and Decimal, never float."""
    if not exact:
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            return Unparseable(error.msg, error.pos)
        except RecursionError:
            return Unparseable("nested too deeply")
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
