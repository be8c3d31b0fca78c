"""What the comparison says of two bodies, in the short words of the tests; the ids and rules that these share."""

from __future__ import annotations

from typing import Any

import simplejson

from comparators.compare import compare_bodies
from comparators.ids import IdPair, IdTable
from comparators.model import Comparison
from comparators.rules import Rules, compile_rules

THING, OWNER, OTHER = (f"65f1a2b3c4d5e6f708192a0{n}" for n in (1, 2, 3))
THING_UUID, OWNER_UUID, OTHER_UUID = (f"0b8e6a10-3c5d-4e7f-8a91-b2c3d4e5f60{n}" for n in (1, 2, 3))
STRANGER = "7c0e3b52-6f1d-4b7a-9d2e-1f2a3b4c5d6e"
"""A uuid that the id map does not know."""
IDS = IdTable.of(
    (
        IdPair("thing", THING, THING_UUID),
        IdPair("user", OWNER, OWNER_UUID),
        IdPair("user", OTHER, OTHER_UUID),
    )
)
NO_RULES = compile_rules([{}])
USUAL_KINDS = ("date_format", "number_string", "decimal_scale", "null_missing", "populated")
USUAL = compile_rules([{"tolerate": [{"kind": kind} for kind in USUAL_KINDS]}])
"""What a team tolerates that lets Postgres print for itself what Mongoose used to print."""


def compared(primary: bytes, shadow: bytes, rules: Rules = NO_RULES, ids: IdTable = IDS) -> Comparison:
    found = compare_bodies(primary, shadow, rules, ids)
    assert found.total == len(found.differences)
    return found


def said(found: Comparison) -> list[tuple[str, str]]:
    """(path, kind) of every difference, sorted."""
    return sorted((one.path, one.kind.value) for one in found.differences)


def said_of(primary: Any, shadow: Any, rules: Rules = NO_RULES) -> list[tuple[str, str]]:
    """What is said of two values."""
    return said(compared(printed(primary), printed(shadow), rules))


def printed(value: Any) -> bytes:
    return simplejson.dumps(value, use_decimal=True, ensure_ascii=False).encode()


def exact(body: bytes) -> Any:
    return simplejson.loads(body, use_decimal=True)


def within(path: str, place: str) -> bool:
    """Whether `path` is `place` or stands below it."""
    return path == place or path.startswith((f"{place}.", f"{place}["))
