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
class Sorted:
    """Order is checked on the sort keys alone: elements with the same keys may stand in any order.

    Each key is the names that lead to a field through nested objects. The direction is the primary's: whichever way it
    sorts, the shadow has to sort the same way.
    """

    keys: tuple[tuple[str, ...], ...]


OrderRule = Any_ | Keyed | Sorted
