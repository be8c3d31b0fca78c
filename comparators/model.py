"""The nouns of a comparison: what was compared, what differs, what was tolerated."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple


class Kind(StrEnum):
    """Why two values differ: the most specific cause that explains the whole difference."""

    VALUE_CHANGED = "value_changed"
    TYPE_CHANGED = "type_changed"
    MISSING = "missing"
    ADDED = "added"
    NULL_MISSING = "null_missing"
    ORDER_CHANGED = "order_changed"
    ID_MISMATCH = "id_mismatch"
    ID_UNMAPPED = "id_unmapped"
    NUMBER_STRING = "number_string"
    DECIMAL_SCALE = "decimal_scale"
    DATE_FORMAT = "date_format"
    DATE_PRECISION = "date_precision"
    CASE = "case"
    WHITESPACE = "whitespace"
    EMPTY = "empty"
    POPULATED = "populated"
    ALIAS = "alias"
    STATUS = "status"
    HEADER = "header"
    CONTENT_TYPE = "content_type"
    UNPARSEABLE = "unparseable"


class Difference(NamedTuple):
    """One place where the sides differ.

    `path` is a normalized JSONPath (`$.data[3].buyer.id`), or `status` or `headers.NAME` outside the body.
    `primary` and `shadow` are the JSON values there; absent values are None with kind `missing` or `added`.
    """

    path: str
    kind: Kind
    primary: Any = None
    shadow: Any = None

    def as_json(self) -> dict[str, Any]:
        return {"path": self.path, "kind": self.kind.value, "primary": self.primary, "shadow": self.shadow}


@dataclass(frozen=True, slots=True)
class Tolerated:
    """How often a rule forgave something. `path` is the pattern of the places, array indexes as `[*]`.

    `rule` is the path of the rule that forgave, as it is written (`$..amount`); empty where none is known.
    """

    kind: str
    path: str
    count: int
    rule: str = ""

    def as_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "path": self.path, "count": self.count}


@dataclass(frozen=True, slots=True)
class Response:
    """One side's answer as the comparison sees it. Header names are lower case; `body` has no content coding."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Comparison(NamedTuple):
    """The result: equal when `differences` is empty. `total` counts differences before the cap.

    `inferred` has the pairs of ids that were taken on trust, `remarks` what a reader of the differences must know:
    where a bound kept the comparison from finding out which elements stand for each other.
    """

    differences: tuple[Difference, ...] = ()
    tolerated: tuple[Tolerated, ...] = ()
    total: int = 0
    inferred: tuple[tuple[str, str], ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def equal(self) -> bool:
        return not self.differences
