"""The parts of a compiled shape, and how each lays out what it stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from proxy.direct.shape_scalars import NOTHING, SPELLINGS, key_of, look_up, total

Row = Mapping[str, Any]
MAX_VALUES = 1_000_000
"""Values of one layout: nested lists that are not joined by a key multiply."""


class MissingError(Exception):
    """A required row is not there."""


class LayoutError(Exception):
    """What was read cannot be laid out. `too_large` says that there is too much of it."""

    def __init__(self, path: str, text: str, *, too_large: bool = False) -> None:
        super().__init__(text)
        self.path = path
        self.too_large = too_large


class Layout:
    """The rows of one read while they are laid out; rows are grouped by a key once, however many parents ask."""

    def __init__(self, results: Mapping[str, Sequence[Row]], params: Sequence[Any]) -> None:
        self.results = results
        self.params = params
        self._left = MAX_VALUES
        self._groups: dict[tuple[str, tuple[str, ...]], dict[tuple[str, ...], list[Row]]] = {}

    def rows(self, path: str, statement: str) -> Sequence[Row]:
        try:
            return self.results[statement]
        except KeyError:
            raise LayoutError(path, f"there is no result named {statement!r}") from None

    def joined(self, path: str, statement: str, join: Join, parent: Row) -> Sequence[Row]:
        """The rows whose columns equal the parent's, in the order they were read."""
        place = (statement, join.child)
        groups = self._groups.get(place)
        if groups is None:
            groups = self._groups[place] = {}
            for row in self.rows(path, statement):
                key = key_of(look_up(row, name) for name in join.child)
                if key is not None:
                    groups.setdefault(key, []).append(row)
        key = key_of(look_up(parent, name) for name in join.parent)
        return () if key is None else groups.get(key, ())

    def spend(self, path: str, values: int) -> None:
        self._left -= values
        if self._left < 0:
            raise LayoutError(path, f"the answer has more than {MAX_VALUES} values", too_large=True)


class Node(Protocol):
    """One part of a shape. `row` is the row that it stands in, None outside of rows."""

    def lay(self, layout: Layout, row: Row | None) -> Any: ...


@dataclass(frozen=True, slots=True)
class Join:
    """`child` columns that equal the `parent` columns at the same place."""

    child: tuple[str, ...]
    parent: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Const:
    value: Any

    def lay(self, layout: Layout, row: Row | None) -> Any:  # noqa: ARG002 - one call shape for all nodes
        return self.value


@dataclass(frozen=True, slots=True)
class Param:
    path: str
    number: int

    def lay(self, layout: Layout, row: Row | None) -> Any:  # noqa: ARG002 - one call shape for all nodes
        if self.number > len(layout.params):
            raise LayoutError(self.path, f"there is no parameter {self.number}, only {len(layout.params)}")
        return layout.params[self.number - 1]


@dataclass(frozen=True, slots=True)
class Column:
    path: str
    name: str
    spelling: str | None = None

    def lay(self, layout: Layout, row: Row | None) -> Any:  # noqa: ARG002 - one call shape for all nodes
        assert row is not None  # noqa: S101 - compile_shape refuses a column outside of a row
        return respelled(self.path, self.spelling, look_up(row, self.name))


@dataclass(frozen=True, slots=True)
class First:
    """A column of the first row of a statement; null without a row."""

    path: str
    statement: str
    name: str
    spelling: str | None = None

    def lay(self, layout: Layout, row: Row | None) -> Any:  # noqa: ARG002 - one call shape for all nodes
        rows = layout.rows(self.path, self.statement)
        return respelled(self.path, self.spelling, look_up(rows[0], self.name)) if rows else None


@dataclass(frozen=True, slots=True)
class Count:
    path: str
    statement: str
    join: Join | None

    def lay(self, layout: Layout, row: Row | None) -> Any:
        return len(chosen(layout, self.path, self.statement, self.join, row))


@dataclass(frozen=True, slots=True)
class Sum:
    path: str
    statement: str
    name: str
    join: Join | None
    spelling: str | None = None

    def lay(self, layout: Layout, row: Row | None) -> Any:
        rows = chosen(layout, self.path, self.statement, self.join, row)
        return respelled(self.path, self.spelling, computed(self.path, total, (look_up(r, self.name) for r in rows)))


@dataclass(frozen=True, slots=True)
class Members:
    """An object. A member that stands for an absent column is left out; `named` names the columns of `*`, if any."""

    path: str
    members: tuple[tuple[str, Node], ...]
    named: Callable[[str], str] | None = None

    def lay(self, layout: Layout, row: Row | None) -> Any:
        layout.spend(self.path, len(self.members) + 1)
        laid: dict[str, Any] = {}
        if self.named is not None and row is not None:
            layout.spend(self.path, len(row))
            laid = {self.named(name): value for name, value in row.items()}
        for name, node in self.members:
            value = node.lay(layout, row)
            if value is NOTHING:
                laid.pop(name, None)
            else:
                laid[name] = value
        return laid


@dataclass(frozen=True, slots=True)
class Items:
    path: str
    items: tuple[Node, ...]

    def lay(self, layout: Layout, row: Row | None) -> Any:
        layout.spend(self.path, len(self.items) + 1)
        return [null(item.lay(layout, row)) for item in self.items]


@dataclass(frozen=True, slots=True)
class One:
    path: str
    statement: str
    each: Node
    join: Join | None
    required: bool

    def lay(self, layout: Layout, row: Row | None) -> Any:
        rows = chosen(layout, self.path, self.statement, self.join, row)
        if rows:
            return null(self.each.lay(layout, rows[0]))
        if self.required:
            raise MissingError
        return None


@dataclass(frozen=True, slots=True)
class Many:
    path: str
    statement: str
    each: Node
    join: Join | None

    def lay(self, layout: Layout, row: Row | None) -> Any:
        rows = chosen(layout, self.path, self.statement, self.join, row)
        layout.spend(self.path, len(rows) + 1)
        return [null(self.each.lay(layout, child)) for child in rows]


def chosen(layout: Layout, path: str, statement: str, join: Join | None, row: Row | None) -> Sequence[Row]:
    if join is None or row is None:
        return layout.rows(path, statement)
    return layout.joined(path, statement, join, row)


def null(value: Any) -> Any:
    """As JSON.stringify has it: what is absent is left out of objects, and null elsewhere."""
    return None if value is NOTHING else value


def respelled(path: str, spelling: str | None, value: Any) -> Any:
    return value if spelling is None or value is NOTHING else computed(path, SPELLINGS[spelling], value)


def computed(path: str, compute: Callable[[Any], Any], value: Any) -> Any:
    try:
        return compute(value)
    except ValueError as error:
        raise LayoutError(path, str(error)) from None
