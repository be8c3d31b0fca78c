"""What may differ: the rules of a `compare:` block, checked, and compiled once per route.

A route's rules come from up to three blocks: for all, for the domain, for the route. The nearer block wins where two
speak of the same thing; within one block the path that names more wins.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from comparators.automaton import Automaton, Place
from comparators.orders import Any_, Keyed, OrderRule, Sorted, SortKey
from comparators.paths import Path, PathError, compile_path

DEFAULT_HEADERS = ("content-type", "location", "link", "x-total-count")
IdMode = Literal["mapped", "inferred", "exact"]

TOLERANCES = (
    "null_missing", "number_string", "decimal_scale", "date_format", "date_precision", "number", "alias",
    "populated", "case", "whitespace", "empty",
)  # fmt: skip
UNITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}
"""Fraction digits that a `date_precision` unit keeps."""

_NOTES = frozenset({"why", "owner", "ticket", "until"})
_BLOCK_KEYS = ("status", "headers", "ids", "ignore", "order", "tolerate")
_MAX_RULES = 1_000


@dataclass(frozen=True, slots=True)
class RuleProblem:
    """Something wrong in a `compare:` block. `key` leads to it from the block's top: names and list indexes."""

    key: tuple[str | int, ...]
    text: str


class RulesError(ValueError):
    """Rules that cannot be used; `problems` has every one."""

    def __init__(self, problems: Sequence[RuleProblem]) -> None:
        super().__init__("; ".join(f"{'.'.join(map(str, p.key)) or 'compare'}: {p.text}" for p in problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Tolerance:
    """One forgiven kind at one path. `epsilon` belongs to `number`, `digits` to `date_precision`, `names` to `alias`."""

    kind: str
    path: Path
    epsilon: Decimal | None = None
    digits: int = 9
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rules:
    """The compiled rules of one route. `root` is the place of the whole body; `fingerprint` changes with any rule.

    `expired` names the rules whose `until` has passed: they are not applied. `fuzzy`, `ignores` and `entities` say
    whether there is any epsilon, ignored path or named entity.
    """

    status: Literal["exact", "class"]
    headers: tuple[str, ...]
    ids: IdMode
    root: Place
    fuzzy: bool
    ignores: bool
    entities: bool
    fingerprint: str
    expired: tuple[str, ...] = ()


@dataclass(slots=True)
class _Reading:
    """What is gathered while a block is read."""

    problems: list[RuleProblem] = field(default_factory=list)
    ignores: list[Path] = field(default_factory=list)
    orders: list[tuple[Path, OrderRule]] = field(default_factory=list)
    tolerances: list[Tolerance] = field(default_factory=list)
    entities: list[tuple[Path, str]] = field(default_factory=list)
    status: Literal["exact", "class"] | None = None
    headers: tuple[str, ...] | None = None
    ids: IdMode | None = None
    expired: list[str] = field(default_factory=list)

    def wrong(self, key: tuple[str | int, ...], text: str) -> None:
        self.problems.append(RuleProblem(key, text))


def check_rules(block: Mapping[str, Any]) -> list[RuleProblem]:
    """Every problem of one `compare:` block; empty when it can be used."""
    return _read(block, None).problems


def compile_rules(layers: Sequence[Mapping[str, Any]], *, today: date | None = None) -> Rules:
    """The rules of a route from its `compare:` blocks, farthest first (for all, per domain, per route).

    `today` decides which rules are past their `until`; None applies all of them. Raises RulesError.
    """
    readings = [_read(layer, today) for layer in layers]
    if problems := [problem for reading in readings for problem in reading.problems]:
        raise RulesError(problems)
    automaton = Automaton()
    for nearness, reading in enumerate(readings):
        for path in reading.ignores:
            automaton.add(path, nearness, "ignore", path.text)
        for path, order in reading.orders:
            automaton.add(path, nearness, "order", order)
        for rule in reading.tolerances:
            slot = f"alias:{','.join(rule.names)}" if rule.kind == "alias" else rule.kind
            automaton.add(rule.path, nearness, slot, rule)
        for path, entity in reading.entities:
            automaton.add(path, nearness, "entity", entity)
    return Rules(
        status=_nearest([r.status for r in readings]) or "exact",
        headers=next((r.headers for r in reversed(readings) if r.headers is not None), DEFAULT_HEADERS),
        ids=_nearest([r.ids for r in readings]) or "mapped",
        root=automaton.start(),
        fuzzy=any(rule.kind == "number" for r in readings for rule in r.tolerances),
        ignores=any(r.ignores for r in readings),
        entities=any(r.entities for r in readings),
        fingerprint=_fingerprint(layers, [text for r in readings for text in r.expired]),
        expired=tuple(text for r in readings for text in r.expired),
    )


def _nearest(values: list[Any]) -> Any:
    return next((value for value in reversed(values) if value is not None), None)


def _fingerprint(layers: Sequence[Mapping[str, Any]], expired: list[str]) -> str:
    text = json.dumps([[dict(layer) for layer in layers], expired], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read(block: Any, today: date | None) -> _Reading:
    out = _Reading()
    if not isinstance(block, Mapping):
        out.wrong((), "must be a mapping of rules")
        return out
    for key in block:
        if key not in _BLOCK_KEYS:
            out.wrong((str(key),), f"unknown key; known are {', '.join(_BLOCK_KEYS)}")
    _read_status(block.get("status"), out)
    _read_headers(block.get("headers"), out)
    _read_ids(block.get("ids"), out)
    _read_ignores(block.get("ignore"), out, today)
    _read_orders(block.get("order"), out, today)
    _read_tolerances(block.get("tolerate"), out, today)
    return out


def _read_status(value: Any, out: _Reading) -> None:
    if value is None:
        return
    if value not in ("exact", "class"):
        out.wrong(("status",), f"must be 'exact' or 'class', not {value!r}")
    else:
        out.status = value


def _read_headers(value: Any, out: _Reading) -> None:
    if value is None:
        return
    if not isinstance(value, list) or not all(isinstance(name, str) and name for name in value):
        out.wrong(("headers",), "must be a list of header names")
    else:
        out.headers = tuple(dict.fromkeys(name.lower() for name in value))


def _read_ids(value: Any, out: _Reading) -> None:
    if value is None:
        return
    if isinstance(value, str):
        value = {"mode": value}
    if not isinstance(value, Mapping):
        out.wrong(("ids",), "must be 'mapped', 'inferred', 'exact' or a mapping with 'mode' and 'entities'")
        return
    for key in value:
        if key not in ("mode", "entities"):
            out.wrong(("ids", str(key)), "unknown key; known are mode, entities")
    mode = value.get("mode", "mapped")
    if mode not in ("mapped", "inferred", "exact"):
        out.wrong(("ids", "mode"), f"must be 'mapped', 'inferred' or 'exact', not {mode!r}")
    else:
        out.ids = mode
    entities = value.get("entities") or {}
    if not isinstance(entities, Mapping):
        out.wrong(("ids", "entities"), "must map paths to entity names")
        return
    for text, entity in entities.items():
        path = _path(text, ("ids", "entities", str(text)), out)
        if not isinstance(entity, str) or not entity:
            out.wrong(("ids", "entities", str(text)), "must be the name of an entity")
        elif path is not None:
            out.entities.append((path, entity))


def _read_ignores(value: Any, out: _Reading, today: date | None) -> None:
    if value is None:
        return
    if not isinstance(value, list) or len(value) > _MAX_RULES:
        out.wrong(("ignore",), f"must be a list of at most {_MAX_RULES} paths")
        return
    for number, rule in enumerate(value):
        key: tuple[str | int, ...] = ("ignore", number)
        if isinstance(rule, Mapping):
            applies = _notes(rule, {"at"}, key, out, today)
            rule = rule.get("at")
        else:
            applies = True
        path = _path(rule, key, out)
        if path is None:
            continue
        if path.concrete == 0:
            out.wrong(key, f"{path.text!r} would hide everything; name at least one field")
        elif applies:
            out.ignores.append(path)


def _read_orders(value: Any, out: _Reading, today: date | None) -> None:
    if value is None:
        return
    if not isinstance(value, Mapping) or len(value) > _MAX_RULES:
        out.wrong(("order",), f"must map at most {_MAX_RULES} paths to 'any', {{key: NAME}} or {{sorted_by: [...]}}")
        return
    for text, spec in value.items():
        key: tuple[str | int, ...] = ("order", str(text))
        path = _path(text, key, out)
        applies = True
        if isinstance(spec, Mapping):
            applies = _notes(spec, {"key", "sorted_by", "any"}, key, out, today)
        rule = _order(spec, key, out)
        if path is not None and rule is not None and applies:
            out.orders.append((path, rule))


def _order(spec: Any, key: tuple[str | int, ...], out: _Reading) -> OrderRule | None:
    if spec == "any" or (isinstance(spec, Mapping) and spec.get("any") is True):
        return Any_()
    if isinstance(spec, Mapping):
        name = spec.get("key")
        fields = spec.get("sorted_by")
        if isinstance(name, str) and name and fields is None:
            return Keyed(name)
        if isinstance(fields, str):
            fields = [fields]
        if (
            name is None
            and isinstance(fields, list)
            and fields
            and all(isinstance(f, str) and f.strip("-") for f in fields)
        ):
            return Sorted(tuple(SortKey(tuple(f.lstrip("-").split(".")), f.startswith("-")) for f in fields))
    out.wrong(key, "must be 'any', {key: NAME} or {sorted_by: ['-field', 'field']}")
    return None


def _read_tolerances(value: Any, out: _Reading, today: date | None) -> None:
    if value is None:
        return
    if not isinstance(value, list) or len(value) > _MAX_RULES:
        out.wrong(("tolerate",), f"must be a list of at most {_MAX_RULES} rules")
        return
    for number, rule in enumerate(value):
        key: tuple[str | int, ...] = ("tolerate", number)
        if not isinstance(rule, Mapping):
            out.wrong(key, "must be a mapping with 'kind'")
            continue
        kind = rule.get("kind")
        if kind not in TOLERANCES:
            out.wrong((*key, "kind"), f"unknown kind {kind!r}; known are {', '.join(TOLERANCES)}")
            continue
        own = {"number": {"epsilon"}, "date_precision": {"unit"}, "alias": {"names"}}.get(kind, set())
        applies = _notes(rule, {"kind", "at", *own}, key, out, today)
        path = _path(rule.get("at", "$.."), (*key, "at"), out)
        made = _tolerance(kind, rule, path, key, out)
        if made is not None and applies:
            out.tolerances.append(made)


def _tolerance(
    kind: str, rule: Mapping[str, Any], path: Path | None, key: tuple[str | int, ...], out: _Reading
) -> Tolerance | None:
    if path is None:
        return None
    if kind == "number":
        epsilon = rule.get("epsilon")
        if isinstance(epsilon, bool) or not isinstance(epsilon, (int, float, Decimal)):
            out.wrong((*key, "epsilon"), "must be a number above 0, the largest difference to forgive")
            return None
        exact = Decimal(str(epsilon))
        if not exact.is_finite() or exact <= 0:
            out.wrong((*key, "epsilon"), "must be a finite number above 0")
            return None
        return Tolerance(kind, path, epsilon=exact)
    if kind == "date_precision":
        unit = rule.get("unit", "ms")
        if unit not in UNITS:
            out.wrong((*key, "unit"), f"must be one of {', '.join(UNITS)}, not {unit!r}")
            return None
        return Tolerance(kind, path, digits=UNITS[unit])
    if kind == "alias":
        names = rule.get("names")
        if (
            not isinstance(names, list)
            or len(names) < 2
            or not all(isinstance(n, str) and n for n in names)
            or len(set(names)) != len(names)
        ):
            out.wrong((*key, "names"), "must be a list of at least two different names")
            return None
        return Tolerance(kind, path, names=tuple(names))
    return Tolerance(kind, path)


def _notes(
    rule: Mapping[str, Any], known: set[str], key: tuple[str | int, ...], out: _Reading, today: date | None
) -> bool:
    """Check a rule's keys and its notes; False when its `until` has passed."""
    for name in rule:
        if name not in known and name not in _NOTES:
            allowed = ", ".join(sorted(known | _NOTES))
            out.wrong((*key, str(name)), f"unknown key; known are {allowed}")
    for name in ("why", "owner", "ticket"):
        if name in rule and not isinstance(rule[name], str):
            out.wrong((*key, name), "must be text")
    if "until" not in rule:
        return True
    until = rule["until"]
    if isinstance(until, str):
        try:
            until = date.fromisoformat(until)
        except ValueError:
            until = None
    if not isinstance(until, date):
        out.wrong((*key, "until"), "must be a date like 2027-01-31")
        return True
    if today is not None and today > until:
        out.expired.append(f"{'.'.join(map(str, key))} (until {until.isoformat()})")
        return False
    return True


def _path(text: Any, key: tuple[str | int, ...], out: _Reading) -> Path | None:
    if not isinstance(text, str):
        out.wrong(key, "must be a path such as '$.data[*].amount'")
        return None
    try:
        return compile_path(text)
    except PathError as error:
        out.wrong(key, str(error))
        return None
