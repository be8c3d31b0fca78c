"""Shapes: what was read from a store, laid out as the response that a backend would have given.

A shape is a JSON value. A mapping with exactly one of these keys stands for something that was read:

| node | stands for |
|---|---|
| `{one: NAME, fields: F}` | the first row of the statement NAME; without a row the whole read is not found |
| `{many: NAME, fields: F}` | the list of its rows |
| `{column: NAME}` | a column of the row it stands in; `a.b` is a member of an object |
| `{value: NAME.column}` | a column of the first row; null without a row |
| `{count: NAME}`, `{sum: NAME.column}` | how many rows; their exact sum, 0 for none |
| `{param: N}` | the value of the parameter `$N` of the first statement |
| `{const: X}` | X |

`one`, `many`, `count` and `sum` inside the fields of a row take `by: {column: column of that row}`: only the rows whose
columns equal the row's count. A `one` that says `required: false` is null without a row; with `by` that is the default.
`column`, `value` and `sum` take `as: text | number | bool | json | date`.

F maps names of the response to columns or nodes, or lists columns, or is `"*"`, all columns as they are; the entry
`"*": camel` (or `same`) adds all columns to others, which go before. In place of `fields`, `each:` a column or a node
makes a row something else than an object: `{many: tags, each: name}`.

Any other mapping is an object of nodes, a list a list of nodes, and a scalar stands for itself. A member whose column
is absent from the row (a field that a document of MongoDB has not) is left out, as JSON.stringify leaves out undefined.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, Literal

from proxy.direct.shape_nodes import (
    Column,
    Const,
    Count,
    First,
    Items,
    Join,
    Layout,
    LayoutError,
    Many,
    Members,
    MissingError,
    Node,
    One,
    Param,
    Sum,
    null,
)
from proxy.direct.shape_scalars import SPELLINGS
from proxy.errors import ShadowreadError

MAX_DEPTH = 32
MAX_NODES = 2_000
DEFAULT = {"many": "rows", "fields": "*"}
_OPTIONS: Mapping[str, frozenset[str]] = {
    "one": frozenset({"fields", "each", "by", "required"}),
    "many": frozenset({"fields", "each", "by"}),
    "column": frozenset({"as"}),
    "value": frozenset({"as"}),
    "count": frozenset({"by"}),
    "sum": frozenset({"by", "as"}),
    "param": frozenset(),
    "const": frozenset(),
}


class NotFound(Enum):
    NOT_FOUND = "not found"


NOT_FOUND: Final[Literal[NotFound.NOT_FOUND]] = NotFound.NOT_FOUND


class ShapeError(ShadowreadError):
    """A shape that cannot be used, or rows that do not fit it. `path` is the place in the shape, "" for all of it."""

    def __init__(self, path: str, text: str, *, too_large: bool = False) -> None:
        super().__init__(f"shape{path if path.startswith('[') else '.' + path if path else ''}: {text}")
        self.path = path
        self.text = text
        self.too_large = too_large


@dataclass(frozen=True, slots=True)
class Shape:
    """A compiled shape. `parameters` are the numbers of the parameters that it shows."""

    root: Node
    used: Mapping[str, frozenset[str]]
    parameters: frozenset[int]

    def lay_out(self, results: Mapping[str, Sequence[Mapping[str, Any]]], params: Sequence[Any] = ()) -> Any:
        """The response's JSON value for rows of JSON values by statement, or NOT_FOUND.

        Takes time linear in the rows and the values laid out. Raises ShapeError for a result or parameter that is not
        there, for a value that cannot be respelled or added, and (`too_large`) for more than a million values.
        """
        try:
            return null(self.root.lay(Layout(results, params), None))
        except MissingError:
            return NOT_FOUND
        except LayoutError as error:
            raise ShapeError(error.path, str(error), too_large=error.too_large) from None

    def columns(self) -> dict[str, set[str]]:
        """The columns that it needs of each statement; a statement of which it needs none by name has an empty set."""
        return {statement: set(names) for statement, names in self.used.items()}


def compile_shape(spec: Any = None) -> Shape:
    """Compile a shape, or for None the one that lists all `rows`. Raises ShapeError, naming the place."""
    compiler = _Compiler()
    root = compiler.node("", DEFAULT if spec is None else spec, None, 1)
    used = {statement: frozenset(names) for statement, names in compiler.used.items()}
    return Shape(root, used, frozenset(compiler.parameters))


def camel(name: str) -> str:
    """`created_at` as `createdAt`. Leading underscores stay: `_id`."""
    bare = name.lstrip("_")
    first, *others = bare.split("_") if bare else [""]
    return name[: len(name) - len(bare)] + first + "".join(part[:1].upper() + part[1:] for part in others)


_STARS: Mapping[str, Callable[[str], str]] = {"camel": camel, "same": str, "*": str}


class _Compiler:
    """Makes nodes of one spec. `statement` below is the one whose row a part stands in, None outside of rows."""

    def __init__(self) -> None:
        self.used: dict[str, set[str]] = {}
        self.parameters: set[int] = set()
        self._nodes = 0

    def node(self, path: str, spec: Any, statement: str | None, depth: int) -> Node:
        self._enter(path, depth)
        if isinstance(spec, Mapping):
            self._check_names(path, spec)
            kind = _kind(path, spec)
            if kind is not None:
                return self._special(path, kind, spec, statement, depth)
            members = tuple((key, self.node(_at(path, key), spec[key], statement, depth + 1)) for key in spec)
            return Members(path, members)
        if isinstance(spec, list | tuple):
            return Items(
                path, tuple(self.node(f"{path}[{i}]", item, statement, depth + 1) for i, item in enumerate(spec))
            )
        return Const(self._constant(path, spec, depth))

    def _special(self, path: str, kind: str, spec: Mapping[str, Any], statement: str | None, depth: int) -> Node:
        named = spec[kind]
        spelling = self._spelling(path, spec)
        match kind:
            case "const":
                return Const(self._constant(_at(path, kind), named, depth))
            case "param":
                if named < 1:
                    raise ShapeError(_at(path, kind), f"{named} is no parameter; the first one is 1")
                self.parameters.add(named)
                return Param(path, named)
            case "column":
                if statement is None:
                    raise ShapeError(path, "a column stands outside of a row; write {value: NAME.column}")
                self.used[statement].add(named)
                return Column(path, named, spelling)
            case "value":
                source, column = self._dotted(path, kind, named)
                return First(path, source, column, spelling)
            case "count":
                self.used.setdefault(named, set())
                return Count(path, named, self._join(path, named, spec, statement))
            case "sum":
                source, column = self._dotted(path, kind, named)
                return Sum(path, source, column, self._join(path, source, spec, statement), spelling)
            case _:
                return self._rows(path, kind, spec, statement, depth)

    def _rows(self, path: str, kind: str, spec: Mapping[str, Any], statement: str | None, depth: int) -> Node:
        named: str = spec[kind]
        self.used.setdefault(named, set())
        join = self._join(path, named, spec, statement)
        if "each" in spec and "fields" in spec:
            raise ShapeError(path, "has both fields and each; one of them says what a row becomes")
        if "each" in spec:
            whole = {"column": spec["each"]} if isinstance(spec["each"], str) else spec["each"]
            each = self.node(_at(path, "each"), whole, named, depth + 1)
        else:
            each = self._fields(_at(path, "fields"), spec.get("fields", "*"), named, depth + 1)
        if kind == "many":
            return Many(path, named, each, join)
        required = spec.get("required", join is None)
        if not isinstance(required, bool):
            raise ShapeError(_at(path, "required"), "is neither true nor false")
        return One(path, named, each, join, required)

    def _fields(self, path: str, spec: Any, statement: str, depth: int) -> Members:
        self._enter(path, depth)
        if spec == "*":
            return Members(path, (), str)
        if isinstance(spec, list | tuple):
            if any(not isinstance(name, str) for name in spec):
                raise ShapeError(path, "a list of fields is a list of column names")
            spec = {name: name for name in spec}
        if not isinstance(spec, Mapping):
            raise ShapeError(path, 'is to be a mapping of names to columns, a list of columns, or "*"')
        self._check_names(path, spec)
        star = None
        if "*" in spec:
            star = _STARS.get(spec["*"]) if isinstance(spec["*"], str) else None
            if star is None:
                raise ShapeError(_at(path, "*"), f"is to be one of {', '.join(_STARS)}")
        members: list[tuple[str, Node]] = []
        for name, field in spec.items():
            if name == "*":
                continue
            place = _at(path, name)
            column = {"column": field} if isinstance(field, str) else field
            members.append((name, self.node(place, column, statement, depth + 1)))
        return Members(path, tuple(members), star)

    def _join(self, path: str, child: str, spec: Mapping[str, Any], statement: str | None) -> Join | None:
        if "by" not in spec:
            return None
        by, place = spec["by"], _at(path, "by")
        if statement is None:
            raise ShapeError(place, "there is no row around this to join with; leave `by` out")
        if not isinstance(by, Mapping) or not by:
            raise ShapeError(place, "is to map columns to columns of the row around this: {parent_id: id}")
        for mine, theirs in by.items():
            if not isinstance(mine, str) or not isinstance(theirs, str):
                raise ShapeError(place, "column names are texts")
            self.used[child].add(mine)
            self.used[statement].add(theirs)
        return Join(tuple(by), tuple(by.values()))

    def _dotted(self, path: str, kind: str, named: str) -> tuple[str, str]:
        source, dot, column = named.partition(".")
        if not dot or not source or not column:
            raise ShapeError(_at(path, kind), f"{named!r} is to name a statement and a column: NAME.column")
        self.used.setdefault(source, set()).add(column)
        return source, column

    def _spelling(self, path: str, spec: Mapping[str, Any]) -> str | None:
        if "as" not in spec:
            return None
        spelling = spec["as"]
        if not isinstance(spelling, str) or spelling not in SPELLINGS:
            raise ShapeError(_at(path, "as"), f"{spelling!r} is not one of {', '.join(SPELLINGS)}")
        return spelling

    def _constant(self, path: str, value: Any, depth: int) -> Any:
        self._enter(path, depth)
        if isinstance(value, Mapping):
            self._check_names(path, value)
            return {key: self._constant(_at(path, key), item, depth + 1) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._constant(f"{path}[{i}]", item, depth + 1) for i, item in enumerate(value)]
        if value is None or isinstance(value, str | bool | int):
            return value
        if isinstance(value, float) and math.isfinite(value):
            return value
        raise ShapeError(path, f"{value!r} is no JSON value; write a date or the like as a text in quotes")

    def _check_names(self, path: str, spec: Mapping[Any, Any]) -> None:
        for name in spec:
            if not isinstance(name, str):
                raise ShapeError(path, f"the name {name!r} is no text; put it in quotes")

    def _enter(self, path: str, depth: int) -> None:
        self._nodes += 1
        if depth > MAX_DEPTH:
            raise ShapeError(path, f"is nested deeper than {MAX_DEPTH} levels")
        if self._nodes > MAX_NODES:
            raise ShapeError(path, f"has more than {MAX_NODES} nodes")


def _kind(path: str, spec: Mapping[str, Any]) -> str | None:
    """The one key that makes a mapping more than an object. A member of that name is told by what stands under it."""
    kinds = [key for key in spec if key in _OPTIONS and _fits(key, spec)]
    if not kinds:
        return None
    if len(kinds) > 1:
        raise ShapeError(path, f"has {' and '.join(kinds)}, of which only one can be; put each under a name of its own")
    kind = kinds[0]
    if strange := [key for key in spec if key != kind and key not in _OPTIONS[kind]]:
        known = ", ".join(sorted(_OPTIONS[kind])) or "nothing"
        raise ShapeError(
            path,
            f"`{kind}` takes {known} beside it, not {strange[0]!r}; "
            f"if an object with a member {kind!r} is meant, write {{const: ...}} under it",
        )
    return kind


def _fits(kind: str, spec: Mapping[str, Any]) -> bool:
    value = spec[kind]
    if kind == "const":
        return len(spec) == 1
    if kind == "param":
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, str)


def _at(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
