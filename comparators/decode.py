"""From bytes to values without losing a digit: integers of any length, and every other number as a Decimal.

Bodies are parsed by msgspec, which is as strict as RFC 8259 and as fast as parsers that round to doubles. What it
refuses is read again by the standard library, which takes the few valid texts it does not (lone surrogates as escapes)
and says where an invalid one breaks off.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation, Overflow, Subnormal, Underflow
from typing import Any

import msgspec

MAX_DIGITS = 4_300
"""Longer numbers are refused: it is Python's own limit for integers, and no store writes such a number."""
MAX_EXPONENT = 999_999
MAX_MEMBERS = 1_000_000
"""Members, arrays and objects of one body together: each costs a hundred bytes of memory, however short its text."""
_TOKEN = re.compile(r'"(?:[^"\\]++|\\.)*+"|(-?(?:[0-9][0-9.eE+-]*+|NaN|Infinity))', re.DOTALL)
"""A string, or a number or constant: the latter in group 1."""

_EXACT = Context(
    prec=MAX_DIGITS,
    Emax=MAX_EXPONENT,
    Emin=-MAX_EXPONENT,
    traps=[Inexact, InvalidOperation, Overflow, Subnormal, Underflow],
)
_parse = msgspec.json.Decoder(float_hook=_EXACT.create_decimal).decode


@dataclass(frozen=True, slots=True)
class Unparseable:
    """Why a body is not JSON. `offset` counts bytes from the start, where it is known."""

    text: str
    offset: int | None = None

    def as_text(self) -> str:
        return self.text if self.offset is None else f"{self.text} at byte {self.offset}"


def decode(body: bytes) -> Any:
    """The value of a JSON body, or Unparseable. Numbers are int and Decimal, never float.

    Of duplicate names the last one counts, as for ECMAScript's JSON.parse and most other clients.
    """
    if len(body) > MAX_MEMBERS and (many := _too_many(body)) is not None:
        return many
    try:
        return _parse(body)
    except (msgspec.DecodeError, DecimalException, UnicodeDecodeError, RecursionError):
        return _decode_slowly(body)


def _too_many(body: bytes) -> Unparseable | None:
    # Counts colons and brackets inside strings too: an upper bound, and no text has a million of them.
    count = body.count(b":") + body.count(b"{") + body.count(b"[")
    return Unparseable(f"more than {MAX_MEMBERS} members, arrays and objects") if count > MAX_MEMBERS else None


def _decode_slowly(body: bytes) -> Any:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        return Unparseable("not UTF-8", error.start)
    numbers = _Numbers()
    try:
        return json.loads(
            text, parse_float=numbers.decimal, parse_int=numbers.integer, parse_constant=numbers.constant
        )  # fmt: skip
    except json.JSONDecodeError as error:
        return _broken(text, error)
    except RecursionError:
        return Unparseable("nested too deeply")
    except _RefusedError as error:
        return Unparseable(str(error), _offset_of_number(text, numbers.count))


def _broken(text: str, error: json.JSONDecodeError) -> Unparseable:
    if text.startswith("\ufeff"):
        return Unparseable("a byte order mark, which JSON text must not begin with (RFC 8259 section 8.1)", 0)
    offset = len(text[: error.pos].encode())
    if error.msg == "Extra data":
        return Unparseable("more text after the end of the value", offset)
    if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string"):
        cut = "cut off before the end of the value" if text.strip() else "no text at all"
        return Unparseable(cut, len(text.encode()))
    return Unparseable(error.msg[:1].lower() + error.msg[1:], offset)


class _RefusedError(ValueError):
    """A number or constant that is not taken."""


class _Numbers:
    """Reads numbers and constants, and counts them: the parser does not say where they stand."""

    def __init__(self) -> None:
        self.count = 0

    def integer(self, text: str) -> int:
        self.count += 1
        if len(text.removeprefix("-")) > MAX_DIGITS:
            raise _RefusedError(f"a number of more than {MAX_DIGITS} digits")
        return int(text)

    def decimal(self, text: str) -> Decimal:
        self.count += 1
        try:
            return _EXACT.create_decimal(text)
        except (Overflow, Underflow, Subnormal, InvalidOperation):
            raise _RefusedError(f"a number with an exponent beyond {MAX_EXPONENT}") from None
        except Inexact:
            raise _RefusedError(f"a number of more than {MAX_DIGITS} digits") from None

    def constant(self, text: str) -> Any:
        self.count += 1
        raise _RefusedError(f"{text}, which is not JSON")


def _offset_of_number(text: str, count: int) -> int | None:
    """The byte at which the number or constant stands that is the `count`th of the text."""
    for found in _TOKEN.finditer(text):
        if found[1] is not None:
            count -= 1
            if not count:
                return len(text[: found.start()].encode())
    return None
