"""Comparing bodies without a proxy: one pair, or JSON lines in and JSON lines out. Pure but for reading its input."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO

from comparators.compare import compare_bodies
from comparators.encode import dumps
from comparators.ids import IdPair, IdTable
from comparators.model import Comparison
from comparators.rules import Rules, RulesError, compile_rules
from proxy.identity.errors import IdentityError
from proxy.identity.pairs import parse_pairs

LINE_BYTES = 64 * 1024 * 1024
RULES_KEPT = 256
MAX_DIFFERENCES = 10_000
"""Differences printed for one pair: people script against the list, so it is cut late."""


class UnusableError(Exception):
    """An input that cannot be compared; the text says why."""


def outcome(result: Comparison) -> dict[str, Any]:
    """A comparison in the shape of the command line."""
    return {
        "verdict": "match" if result.equal else "diff",
        "differences": [difference.as_json() for difference in result.differences],
        "tolerated": [tolerated.as_json() for tolerated in result.tolerated],
    }


def compared(primary: bytes, shadow: bytes, rules: Rules, ids: IdTable) -> Comparison:
    """The comparison of two bodies as the command line makes it."""
    return compare_bodies(primary, shadow, rules, ids, max_differences=MAX_DIFFERENCES)


class Batch:
    """Compares line by line. `block` and `pairs` hold for every line; a line's own are added and win."""

    def __init__(self, block: Mapping[str, Any], pairs: Iterable[IdPair]) -> None:
        self._block = block
        self._pairs = tuple(pairs)
        self._table = IdTable.of(self._pairs)
        self._plain = compile_rules([block])
        self._rules: dict[str, Rules] = {}

    def answer(self, line: bytes) -> dict[str, Any]:
        """What is to be printed for one line; never raises for what stands in it."""
        id_: Any = None
        try:
            entry = _parse(line)
            id_ = entry.get("id")
            return {"id": id_, **self._compare(entry)}
        except UnusableError as error:
            return {"id": id_, "verdict": "error", "error": str(error)}

    def _compare(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        if "id" not in entry:
            raise UnusableError('"id" is missing')
        primary, shadow = (_body(entry, name) for name in ("primary", "shadow"))
        return outcome(compared(primary, shadow, self._rules_of(entry), self._ids_of(entry)))

    def _rules_of(self, entry: Mapping[str, Any]) -> Rules:
        block = entry.get("rules")
        if block is None:
            return self._plain
        if not isinstance(block, dict):
            raise UnusableError('"rules" must be an object: the content of a compare: block')
        if set(block) == {"compare"} and isinstance(block["compare"], dict):
            block = block["compare"]
        key = json.dumps(block, sort_keys=True)
        rules = self._rules.get(key)
        if rules is None:
            try:
                rules = compile_rules([self._block, block])
            except RulesError as error:
                raise UnusableError(f'"rules": {error}') from error
            if len(self._rules) >= RULES_KEPT:
                self._rules.clear()
            self._rules[key] = rules
        return rules

    def _ids_of(self, entry: Mapping[str, Any]) -> IdTable:
        listed = entry.get("ids")
        if listed is None:
            return self._table
        try:
            return IdTable.of(dict.fromkeys((*self._pairs, *parse_pairs(listed, where="ids"))))
        except IdentityError as error:
            raise UnusableError(str(error)) from error


def _parse(line: bytes) -> Mapping[str, Any]:
    if len(line) > LINE_BYTES:
        raise UnusableError(f"the line is longer than {LINE_BYTES} bytes")
    try:
        # The standard library, since orjson refuses half of a surrogate pair that a body may well hold.
        entry = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise UnusableError(f"not a JSON line: {error}") from error
    if not isinstance(entry, dict):
        raise UnusableError('a line must be an object with "id", "primary" and "shadow"')
    return entry


def _body(entry: Mapping[str, Any], name: str) -> bytes:
    body = entry.get(name)
    if not isinstance(body, str):
        problem = "is missing" if name not in entry else "must be a string, the body as it was sent"
        raise UnusableError(f'"{name}" {problem}')
    return body.encode("utf-8", "surrogatepass")


def lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines that hold anything. One that is too long is cut, and the rest of it is passed over unread."""
    while line := file.readline(LINE_BYTES + 2):
        whole = line.endswith(b"\n")
        while not whole and len(line) > LINE_BYTES and (rest := file.readline(LINE_BYTES)):
            whole = rest.endswith(b"\n")
        if line.strip():
            yield line


def printed(entry: Mapping[str, Any]) -> bytes:
    return dumps(entry).encode() + b"\n"
