"""The rules about the order of arrays."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Any_:  # noqa: N801 - `any` is the rule's word, and typing's Any is another thing
    """Elements are a multiset."""


@dataclass(frozen=True, slots=True)
class Keyed:
    """Elements are paired by the member called `name`; their order is not checked."""

    name: str


@dataclass(frozen=True, slots=True)
class SortKey:
    """One sort field: `names` leads to it through nested objects."""

    names: tuple[str, ...]
    descending: bool


@dataclass(frozen=True, slots=True)
class Sorted:
    """Order is checked on the sort keys alone: elements with the same keys may stand in any order."""

    keys: tuple[SortKey, ...]


OrderRule = Any_ | Keyed | Sorted
