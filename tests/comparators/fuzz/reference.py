"""A second comparison, as plain as can be: whether two bodies are equal under a `compare:` block, and nothing else.

It shares no code with `comparators`, has no fast ways, tries every partner for every element, and reads the rules anew
at every value. It knows the modes `mapped` and `exact`, and no wrapped values of MongoDB's Extended JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from decimal import Decimal, localcontext
from typing import Any

from tests.comparators.fuzz.texts import number_of, time_of, tokens_of, whole_id

Pair = tuple[str, str, str]
"""Entity, legacy id and uuid."""
Keys = tuple[str | int, ...]

_STEP = re.compile(r"\.\.(?=\[|$)|\.\.\*|\.\.(\w+)|\.\*|\[\*\]|\.(\w+)|\['([^']*)'\]")
_DIGITS_KEPT = {"s": 0, "ms": 3, "us": 6, "ns": 9}
_OWN_IDS = ("_id", "id")


class UnjudgedError(Exception):
    """The reference has no opinion: a sort key holds something else than numbers and nulls, or a rule forgives what
    another one sorts or pairs by."""


class Reference:
    """Judges bodies under one block of rules and one id map."""

    def __init__(self, block: dict[str, Any], pairs: Sequence[Pair]) -> None:
        ids = block.get("ids", "mapped")
        ids = {"mode": ids} if isinstance(ids, str) else ids
        self._exact = ids.get("mode") == "exact"
        self._pairs = pairs
        self._entities = list(ids.get("entities", {}).items())
        self._ignored = [_at(rule) for rule in block.get("ignore", [])]
        self._orders = list(block.get("order", {}).items())
        self._tolerances = [(_at(rule), rule) for rule in block.get("tolerate", [])]

    def equal(self, primary: bytes, shadow: bytes) -> bool:
        """Whether two valid JSON bodies are equal. Raises UnjudgedError."""
        one, two = (json.loads(body, parse_float=Decimal) for body in (primary, shadow))
        return self._same(one, two, ())

    # --- the rules of a place ---

    def _is_ignored(self, keys: Keys) -> bool:
        return any(matches(path, keys) for path in self._ignored)

    def _rule(self, kind: str, keys: Keys) -> dict[str, Any] | None:
        """The rule of a kind at a place: the path that names more wins, then the later."""
        found: dict[str, Any] | None = _nearest([said for said in self._tolerances if said[1]["kind"] == kind], keys)
        return found

    def _order(self, keys: Keys) -> Any:
        return _nearest(self._orders, keys)

    # --- values ---

    def _same(self, a: Any, b: Any, keys: Keys) -> bool:
        if self._is_ignored(keys):
            return True
        if isinstance(a, dict) and isinstance(b, dict):
            return self._same_objects(a, b, keys)
        if isinstance(a, list) and isinstance(b, list):
            return self._same_arrays(a, b, keys)
        if _is_empty(a) and _is_empty(b):
            return type(a) is type(b) or self._rule("empty", keys) is not None
        if isinstance(a, dict | list) or isinstance(b, dict | list):
            return self._rule("populated", keys) is not None and self._populated(a, b, keys)
        if isinstance(a, bool) or isinstance(b, bool) or a is None or b is None:
            return a is b
        if isinstance(a, str) and isinstance(b, str):
            return self._same_texts(a, b, keys)
        if isinstance(a, str) or isinstance(b, str):
            text, number = (a, b) if isinstance(a, str) else (b, a)
            written = number_of(text)
            return (
                written is not None
                and self._rule("number_string", keys) is not None
                and self._near(written, Decimal(number), keys)
            )
        return self._near(Decimal(a), Decimal(b), keys)

    def _near(self, a: Decimal, b: Decimal, keys: Keys) -> bool:
        if a == b:
            return True
        rule = self._rule("number", keys)
        if rule is None or abs(a.adjusted()) > 1000 or abs(b.adjusted()) > 1000:
            return False
        with localcontext() as context:
            context.prec = 10_000
            return abs(a - b) <= Decimal(str(rule["epsilon"]))

    def _populated(self, a: Any, b: Any, keys: Keys) -> bool:
        for lone, whole, turned in ((a, b, False), (b, a, True)):
            if isinstance(lone, str) and isinstance(whole, dict):
                own = whole.get("_id", whole.get("id"))
                if isinstance(own, str) and all(tokens_of(text) == [text] for text in (lone, own)):
                    return self._same_texts(own, lone, keys) if turned else self._same_texts(lone, own, keys)
        return False

    # --- texts ---

    def _same_texts(self, a: str, b: str, keys: Keys) -> bool:
        if a == b:
            return True
        case = self._rule("case", keys) is not None
        if not self._exact:
            one, two = whole_id(a), whole_id(b)
            if one and two and not (len(a) == len(b) == 32):
                return self._joined(one, two, keys) if one != two else "-" in one or case
            mine, theirs = tokens_of(a), tokens_of(b)
            if mine and len(mine) == len(theirs):
                for x, y in zip(mine, theirs, strict=True):
                    joined = self._joined(x.lower(), y.lower(), keys)
                    if x != y and not (joined if x.lower() != y.lower() else "-" in x or case):
                        return False
                for token in mine:
                    a = a.replace(token, "\0")
                for token in theirs:
                    b = b.replace(token, "\0")
                if a == b:
                    return True
        number, other = number_of(a), number_of(b)
        if number is not None and other is not None:
            if number == other:
                return self._rule("decimal_scale", keys) is not None
            return self._near(number, other, keys)
        when, then = time_of(a), time_of(b)
        if when is not None and then is not None and when[0] == then[0]:
            return self._same_times(when[1:], then[1:], keys)
        if not case and self._rule("whitespace", keys) is None:
            return False
        if case:
            a, b = a.casefold(), b.casefold()
        if self._rule("whitespace", keys) is not None:
            a, b = " ".join(a.split()), " ".join(b.split())
        return a == b

    def _same_times(self, a: Any, b: Any, keys: Keys) -> bool:
        (second, fraction, spelling), (other, other_fraction, other_spelling) = a, b
        nanoseconds, others = int(fraction.ljust(9, "0")), int(other_fraction.ljust(9, "0"))
        if second != other:
            return False
        formats = self._rule("date_format", keys) is not None
        if nanoseconds == others:
            return formats
        rule = self._rule("date_precision", keys)
        if rule is None:
            return False
        unit = 10 ** (9 - _DIGITS_KEPT[rule.get("unit", "ms")])
        return nanoseconds // unit == others // unit and (spelling == other_spelling or formats)

    def _joined(self, a: str, b: str, keys: Keys) -> bool:
        entity = _nearest(self._entities, keys)
        return a == b or any({a, b} == {legacy, uuid} and entity in (None, name) for name, legacy, uuid in self._pairs)

    # --- objects ---

    def _same_objects(self, a: dict[str, Any], b: dict[str, Any], keys: Keys) -> bool:
        if not all(self._same(a[name], b[name], (*keys, name)) for name in a if name in b):
            return False
        mine, theirs = {n: a[n] for n in a if n not in b}, {n: b[n] for n in b if n not in a}
        return self._same_rest(mine, theirs, keys)

    def _same_rest(self, mine: dict[str, Any], theirs: dict[str, Any], keys: Keys) -> bool:
        """Whether members with other names on the two sides can stand for each other."""
        for name, value in mine.items():
            for other, its in theirs.items():
                if (
                    self._same_names(name, other)
                    and self._same(value, its, (*keys, name))
                    and self._same_rest(_without(mine, name), _without(theirs, other), keys)
                ):
                    return True
        for path, rule in self._tolerances:
            if rule["kind"] == "alias" and matches(path, keys):
                some, others = ([n for n in names if n in rule["names"]] for names in (mine, theirs))
                if len(some) == 1 == len(others):
                    if not self._same(mine[some[0]], theirs[others[0]], (*keys, some[0])):
                        return False
                    return self._same_rest(_without(mine, some[0]), _without(theirs, others[0]), keys)
        return all(self._may_lack(value, (*keys, name)) for name, value in (*mine.items(), *theirs.items()))

    def _may_lack(self, value: Any, keys: Keys) -> bool:
        return self._is_ignored(keys) or (value is None and self._rule("null_missing", keys) is not None)

    def _same_names(self, a: str, b: str) -> bool:
        mine, theirs = tokens_of(a), tokens_of(b)
        if self._exact or not mine or len(mine) != len(theirs):
            return False
        for x, y in zip(mine, theirs, strict=True):
            same = x == y or ("-" in x and x.lower() == y.lower())
            if not same and not any({x.lower(), y.lower()} == {legacy, uuid} for _, legacy, uuid in self._pairs):
                return False
            a, b = a.replace(x, "\0", 1), b.replace(y, "\0", 1)
        return a == b

    # --- arrays ---

    def _same_arrays(self, a: list[Any], b: list[Any], keys: Keys) -> bool:
        order = self._order(keys)
        if self._is_ignored((*keys, 0)):
            return True
        if len(a) != len(b):
            return False

        def same(x: Any, y: Any) -> bool:
            return self._same(x, y, (*keys, 0))

        if order is None:
            return all(map(same, a, b))
        if "key" in order and self._may_lack(None, (*keys, 0, order["key"])):
            raise UnjudgedError
        if "sorted_by" not in order:
            return _can_pair(a, b, same)
        return all(map(same, a, b)) or self._same_sorted(a, b, order, same)

    def _same_sorted(self, a: list[Any], b: list[Any], order: dict[str, Any], same: Callable[[Any, Any], bool]) -> bool:
        fields = [order["sorted_by"]] if isinstance(order["sorted_by"], str) else order["sorted_by"]
        mine, theirs = _runs(a, fields), _runs(b, fields)
        if [len(run) for run in mine] != [len(run) for run in theirs] and _can_pair(a, b, same):
            raise UnjudgedError
        return (
            len(mine) == len(theirs)
            and all(len(x) == len(y) and _can_pair(x, y, same) for x, y in zip(mine, theirs, strict=True))
            and all(_is_sorted(side, fields, order.get("nulls")) for side in (a, b))
        )


def _at(rule: Any) -> str:
    return rule if isinstance(rule, str) else rule.get("at", "$..")


def _nearest(said: Sequence[tuple[str, Any]], keys: Keys) -> Any:
    best, found = -1, None
    for path, rule in said:
        names = sum(1 for step in _STEP.finditer(path) if any(step.groups()))
        if names >= best and matches(path, keys):
            best, found = names, rule
    return found


def matches(path: str, keys: Keys) -> bool:
    """Whether a path of names, `.*`, `[*]` and `..` leads to a place."""
    steps: list[str | None] = []
    for step in _STEP.finditer(path, 1):
        if step[0].startswith(".."):
            steps.append("..")
        if step[0] != "..":
            name = next((group for group in step.groups() if group is not None), None)
            steps.append(None if name is None else f".{name}")
    return _leads(steps, keys)


def _leads(steps: list[str | None], keys: Keys) -> bool:
    if not steps:
        return not keys
    if steps[0] == "..":
        return any(_leads(steps[1:], keys[n:]) for n in range(len(keys) + 1))
    return bool(keys) and (steps[0] is None or steps[0] == f".{keys[0]}") and _leads(steps[1:], keys[1:])


def _can_pair(a: list[Any], b: list[Any], same: Callable[[Any, Any], bool]) -> bool:
    if not a:
        return not b
    return any(same(a[0], b[n]) and _can_pair(a[1:], b[:n] + b[n + 1 :], same) for n in range(len(b)))


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str | list | dict) and not value)


def _without(members: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in members.items() if key != name}


def _sort_value(element: Any, field: str) -> Any:
    for name in field.removeprefix("-").split("."):
        element = element.get(name) if isinstance(element, dict) else None
    if element is not None and type(element) not in (int, Decimal):
        raise UnjudgedError
    return element


def _runs(side: list[Any], fields: list[str]) -> list[list[Any]]:
    runs: list[list[Any]] = []
    last: Any = None
    for element in side:
        own = [_sort_value(element, field) for field in fields]
        if runs and own == last:
            runs[-1].append(element)
        else:
            runs.append([element])
        last = own
    return runs


def _is_sorted(side: list[Any], fields: list[str], nulls: str | None) -> bool:
    """Whether numbers and nulls stand as the fields say."""
    for first in (True, False) if nulls is None else (nulls == "first",):
        keys = []
        for element in side:
            key = []
            for field in fields:
                value = _sort_value(element, field)
                number = 0 if value is None else -value if field.startswith("-") else value
                key.append(((value is None) != first, number))
            keys.append(key)
        if keys == sorted(keys):
            return True
    return False
