"""Reading one `compare:` block: every rule checked, every problem named with the key that leads to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from comparators.orders import Any_, Keyed, OrderRule, Sorted, SortKey
from comparators.paths import Path, PathError, compile_path

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


@dataclass(frozen=True, slots=True)
class Tolerance:
    """One forgiven kind at one path.

    `epsilon` belongs to `number`, `digits` to `date_precision`, `names` to `alias`.
    """

    kind: str
    path: Path
    epsilon: Decimal | None = None
    digits: int = 9
    names: tuple[str, ...] = ()


@dataclass(slots=True)
class Reading:
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


def read_block(block: Any, today: date | None) -> Reading:
    """What one block says. `today` decides which rules are past their `until`; None applies all of them."""
    out = Reading()
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


def _read_status(value: Any, out: Reading) -> None:
    if value is None:
        return
    if value not in ("exact", "class"):
        out.wrong(("status",), f"must be 'exact' or 'class', not {value!r}")
    else:
        out.status = value


def _read_headers(value: Any, out: Reading) -> None:
    if value is None:
        return
    if not isinstance(value, list) or not all(isinstance(name, str) and name for name in value):
        out.wrong(("headers",), "must be a list of header names")
    else:
        out.headers = tuple(dict.fromkeys(name.lower() for name in value))


def _read_ids(value: Any, out: Reading) -> None:
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
    mode = value.get("mode")
    if mode is not None and mode not in ("mapped", "inferred", "exact"):
        out.wrong(("ids", "mode"), f"must be 'mapped', 'inferred' or 'exact', not {mode!r}")
    else:
        out.ids = mode
    entities = value.get("entities") or {}
    if not isinstance(entities, Mapping) or len(entities) > _MAX_RULES:
        out.wrong(("ids", "entities"), f"must map at most {_MAX_RULES} paths to entity names")
        return
    for text, entity in entities.items():
        path = _path(text, ("ids", "entities", str(text)), out)
        if not isinstance(entity, str) or not entity:
            out.wrong(("ids", "entities", str(text)), "must be the name of an entity")
        elif path is not None:
            out.entities.append((path, entity))


def _read_ignores(value: Any, out: Reading, today: date | None) -> None:
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


def _read_orders(value: Any, out: Reading, today: date | None) -> None:
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
            applies = _notes(spec, {"key", "sorted_by", "nulls", "any"}, key, out, today)
        rule = _order(spec, key, out)
        if path is not None and rule is not None and applies:
            out.orders.append((path, rule))


def _order(spec: Any, key: tuple[str | int, ...], out: Reading) -> OrderRule | None:
    if spec == "any":
        return Any_()
    said = {name: value for name, value in spec.items() if name not in _NOTES} if isinstance(spec, Mapping) else {}
    match said:
        case {"any": True} if len(said) == 1:
            return Any_()
        case {"key": str(name)} if name and len(said) == 1:
            return Keyed(name)
        case {"sorted_by": str() | list() as fields} if said.keys() <= {"sorted_by", "nulls"}:
            nulls = said.get("nulls")
            if nulls not in (None, "first", "last"):
                out.wrong((*key, "nulls"), f"must be 'first' or 'last', not {nulls!r}")
                return None
            keys = [_sort_key(field) for field in ([fields] if isinstance(fields, str) else fields)]
            if keys and None not in keys:
                return Sorted(tuple(key for key in keys if key is not None), nulls)
    out.wrong(key, "must be 'any', {key: NAME} or {sorted_by: ['-field', 'field.inner'], nulls: first or last}")
    return None


def _sort_key(field: Any) -> SortKey | None:
    if not isinstance(field, str):
        return None
    names = tuple(field.removeprefix("-").split("."))
    return SortKey(names, field.startswith("-")) if all(names) else None


def _read_tolerances(value: Any, out: Reading, today: date | None) -> None:
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
    kind: str, rule: Mapping[str, Any], path: Path | None, key: tuple[str | int, ...], out: Reading
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
        if not isinstance(unit, str) or unit not in UNITS:
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
    rule: Mapping[str, Any], known: set[str], key: tuple[str | int, ...], out: Reading, today: date | None
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
    if isinstance(until, datetime):
        until = until.date()
    if not isinstance(until, date):
        out.wrong((*key, "until"), "must be a date like 2027-01-31")
        return True
    if today is not None and today > until:
        out.expired.append(f"{'.'.join(map(str, key))} (until {until.isoformat()})")
        return False
    return True


def _path(text: Any, key: tuple[str | int, ...], out: Reading) -> Path | None:
    if not isinstance(text, str):
        out.wrong(key, "must be a path such as '$.data[*].amount'")
        return None
    try:
        return compile_path(text)
    except PathError as error:
        out.wrong(key, str(error))
        return None
