"""What has to hold of every draw, and of any two texts whatever."""

from __future__ import annotations

from typing import Any

from comparators.compare import compare_bodies
from comparators.decode import Unparseable, decode
from comparators.decode import _decode_slowly as decode_slowly
from comparators.ids import IdPair, IdTable
from comparators.model import Comparison
from comparators.rules import compile_rules
from tests.comparators.fuzz.making import Draw
from tests.comparators.fuzz.plainly import walked
from tests.comparators.fuzz.reference import Reference, UnjudgedError


class FoundError(AssertionError):
    """A draw of which something does not hold."""


def check(one: Draw) -> bool:
    """Whether the reference had an opinion. Raises FoundError."""
    rules = compile_rules([one.block])
    ids = IdTable.of(IdPair(*pair) for pair in one.pairs)
    found = compare_bodies(one.primary, one.shadow, rules, ids)
    back = compare_bodies(one.shadow, one.primary, rules, ids)
    plainly = walked(one.primary, one.shadow, rules, ids)
    if told(found) != told(plainly):
        raise FoundError("the fast ways differ from the walk", told(found), told(plainly))
    if found.equal != back.equal and not _one_sided(one.block):
        raise FoundError("the sides matter", told(found), told(back))
    for side in (one.primary, one.shadow):
        if not compare_bodies(side, b" " + side, rules, ids).equal:
            raise FoundError("not equal to itself", side)
    try:
        expected = Reference(one.block, one.pairs).equal(one.primary, one.shadow)
    except UnjudgedError:
        return False
    if expected and not found.equal:
        kinds = ", ".join(sorted({one.kind.value for one in found.differences}))
        raise FoundError(f"the reference says equal, not {kinds}", told(found))
    if found.equal and not expected:
        raise FoundError("the reference says different", told(found))
    return True


def check_bytes(data: bytes) -> None:
    """Any bytes are decoded, fast and slowly alike, and compared without raising."""
    fast, slow = decode(data), decode_slowly(data)
    if isinstance(fast, Unparseable) or isinstance(slow, Unparseable):
        if fast != slow:
            raise FoundError("decoded in two ways", data, fast, slow)
    elif repr(fast) != repr(slow):
        raise FoundError("decoded in two ways", data, fast, slow)
    rules = compile_rules([{"order": {"$..": "any"}}])
    for other in (data[: len(data) // 2], data[len(data) // 2 :], data + b" "):
        found = compare_bodies(data, other, rules, IdTable())
        if isinstance(fast, Unparseable) and data != other and found.equal:
            raise FoundError("what cannot be read is equal", data, other)


def told(found: Comparison) -> Any:
    return (
        sorted((one.path, one.kind.value) for one in found.differences),
        [(one.kind, one.path, one.count) for one in found.tolerated],
        found.total,
    )


def _one_sided(block: dict[str, Any]) -> bool:
    """An alias is looked up under the primary's name, so that a rule for one of the names counts on one side alone."""
    return any(rule["kind"] == "alias" for rule in block.get("tolerate", []))
