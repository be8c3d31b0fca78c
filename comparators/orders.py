"""The rules about the order of arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple


@dataclass(frozen=True, slots=True)
class Any_:  # noqa: N801 - `any` is the rule's word, and typing's Any is another thing
    """Elements are a multiset."""


@dataclass(frozen=True, slots=True)
class Keyed:
    """Elements are paired by the member called `name`; their order is not checked."""

    name: str


class SortKey(NamedTuple):
    """`names` lead to the field through nested objects."""

    names: tuple[str, ...]
    descending: bool


@dataclass(frozen=True, slots=True)
class Sorted:
    """Order is checked on the sort keys alone: elements with the same keys may stand in any order.

    `nulls` says where elements without a value stand; None allows either end, as MongoDB and Postgres differ in it.
    """

    keys: tuple[SortKey, ...]
    nulls: Literal["first", "last"] | None = None


OrderRule = Any_ | Keyed | Sorted
