"""The rows in which people see an aligned tree: differences with all that leads to them, and the rest folded.

A row is plain data: it crosses from a worker process to a page and to the JSON of the API as it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

from comparators.aligned import ABSENT, Aligned, At, Mark, Node, State
from comparators.cells import Cell, cells_of
from comparators.ids import TOKEN, IdTable
from comparators.normal import OWN_IDS
from comparators.paths import Key
from comparators.shown import path_line

MAX_ROWS = 2_000
"""Rows of one outline, about."""
PAGE = 200
"""Children that one opened place shows at a time."""
MAX_FOUND = 200
"""Differences that only this comparison has found, and that are opened at most."""
_FEW = 2
"""Neighbours that a fold would not be shorter than."""
_ROWS_PER_LEVEL = 5
_MAX_IDS = 4
_MAX_NAME = 200

Sort = Literal["value", "object", "array", "mixed", "fold"]


@dataclass(frozen=True, slots=True)
class RowId:
    """An id in a value that the id map knows, in both its forms."""

    entity: str
    legacy: str
    uuid: str


@dataclass(frozen=True, slots=True)
class Row:
    """One row. `at` is the address of its place; of a fold, that of the place whose children it stands for.

    `level` counts from 1. `primary_name` and `shadow_name` are None where that side has no such place, and at the root.
    `differences` are the numbers of the differences that are shown here, `kinds` what this comparison found here, and
    `forgiven` the tolerances used, each with its rule. `count` is how many children there are (of a fold: how many it
    hides, from `offset` on), `open` whether they follow. `noun` is what the children behind
    a fold are called.
    """

    at: str
    level: int
    sort: Sort
    state: State
    path: str = ""
    primary_name: Key | None = None
    shadow_name: Key | None = None
    primary: Cell | None = None
    shadow: Cell | None = None
    differences: tuple[int, ...] = ()
    kinds: tuple[str, ...] = ()
    forgiven: tuple[tuple[str, str], ...] = ()
    ids: tuple[RowId, ...] = ()
    count: int = 0
    offset: int = 0
    open: bool = False
    noun: str = ""

    @property
    def end(self) -> int:
        return self.offset + self.count

    def as_json(self) -> dict[str, Any]:
        # By hand: `asdict` takes twenty times as long, and there are thousands of rows.
        return {
            "at": self.at,
            "level": self.level,
            "sort": self.sort,
            "state": self.state,
            "path": self.path,
            "primary_name": self.primary_name,
            "shadow_name": self.shadow_name,
            "primary": None if self.primary is None else self.primary.as_json(),
            "shadow": None if self.shadow is None else self.shadow.as_json(),
            "differences": list(self.differences),
            "kinds": list(self.kinds),
            "forgiven": [list(each) for each in self.forgiven],
            "ids": [{"entity": one.entity, "legacy": one.legacy, "uuid": one.uuid} for one in self.ids],
            "count": self.count,
            "offset": self.offset,
            "open": self.open,
            "noun": self.noun,
        }


@dataclass(frozen=True, slots=True)
class Outline:
    """Rows in document order. `hidden` are numbers of differences that found no room; asked for by `focus` they do."""

    rows: tuple[Row, ...]
    marks: tuple[Mark, ...]
    hidden: tuple[int, ...]


def address(at: At) -> str:
    """An address as text: `0.5.17`, and nothing for the root."""
    return ".".join(map(str, at))


def at_of(text: str) -> At:
    """The address that `address` wrote. LookupError for anything else."""
    parts = text.split(".") if text else []
    if not all(part.isascii() and part.isdigit() and len(part) <= 9 for part in parts):
        raise LookupError(text)
    return tuple(map(int, parts))


def outline(
    tree: Aligned,
    marks: Sequence[Mark],
    *,
    focus: int | None = None,
    opened: Sequence[tuple[At, int]] = (),
    budget: int = MAX_ROWS,
) -> Outline:
    """The tree with every mark's place open, as far as there is room; all else folded.

    `focus` is the number of a difference that finds room before all others; `opened` has the places that were opened
    by hand, each with the child from which on they are shown.
    """
    ordered = sorted(marks, key=lambda mark: mark.number != focus)
    room = budget
    shown: set[At] = set()
    unfolded: set[At] = set()

    def show(at: At, rows: int = 1) -> bool:
        nonlocal room
        if at in shown:
            return True
        new = {at[:depth] for depth in range(len(at))} - unfolded
        cost = len(new) * _ROWS_PER_LEVEL + rows
        if room < cost:
            return False
        room -= cost
        unfolded.update(new)
        shown.add(at)
        return True

    windows: dict[At, list[tuple[int, int]]] = {}
    if tree.root.alone is not None:
        # All of it is on one side, so that folding what does not differ would leave nothing.
        opened = (*opened, ((), 0))
    for at, offset in opened:
        if show((*at, offset), PAGE):
            windows.setdefault(at, []).append((offset, offset + PAGE))
    hidden = [mark.number for mark in ordered if not show(mark.at)]
    if not hidden:
        # Those that nobody recorded come last: the room is for the others.
        for at in tree.noted(MAX_FOUND):
            if not show(at):
                break
    if not shown:
        unfolded.add(())
    rows = _Rows(tree, _numbers(marks), shown, unfolded, windows)
    return Outline(tuple(rows.all()), tuple(marks), tuple(hidden))


def children(
    tree: Aligned, marks: Sequence[Mark], at: At, *, offset: int = 0, end: int | None = None, limit: int = PAGE
) -> list[Row]:
    """The children of one place, closed, from `offset` to before `end`; a fold stands for those beyond `limit`.

    LookupError when there is no such place.
    """
    node = tree.node(at)
    rows = _Rows(tree, _numbers(marks), set(), set(), {})
    entries = tree.entries(node)
    stop = len(entries) if end is None else min(end, len(entries))
    last = min(offset + limit, stop)
    made = [rows.row(tree.child(node, number)) for number in range(offset, last)]
    if last < stop:
        made += rows.folds(node, range(last, stop))
    return made


def _numbers(marks: Sequence[Mark]) -> dict[At, tuple[int, ...]]:
    """The numbers of the differences shown at each place."""
    found: dict[At, tuple[int, ...]] = {}
    for mark in marks:
        found[mark.at] = (*found.get(mark.at, ()), mark.number)
    return found


class _Rows:
    def __init__(
        self,
        tree: Aligned,
        numbers: dict[At, tuple[int, ...]],
        shown: Collection[At],
        unfolded: Collection[At],
        windows: dict[At, list[tuple[int, int]]],
    ) -> None:
        self._tree = tree
        self._numbers = numbers
        self._marked = {at[:depth] for at in numbers for depth in range(1, len(at) + 1)}
        self._shown = shown
        self._unfolded = unfolded
        self._windows = windows
        self._single: dict[At, set[int]] = {}
        for at in (*shown, *unfolded):
            if at:
                self._single.setdefault(at[:-1], set()).add(at[-1])

    def all(self) -> Iterator[Row]:
        # A stack of its own: bodies may be nested as deep as Python's.
        waiting: list[Iterator[Node | Row]] = [iter([self._tree.root])]
        while waiting:
            item = next(waiting[-1], None)
            if item is None:
                waiting.pop()
            elif isinstance(item, Row):
                yield item
            else:
                unfolded = item.at in self._unfolded
                yield self.row(item, unfolded=unfolded)
                if unfolded:
                    waiting.append(self._below(item))

    def _below(self, node: Node) -> Iterator[Node | Row]:
        """The children of an open node: those that are shown, and folds for the others."""
        count = len(self._tree.entries(node))
        single = self._single.get(node.at, set())
        windows = self._windows.get(node.at, ())
        run: list[int] = []
        for number in range(count):
            alone = number in single or any(low <= number < high for low, high in windows)
            if alone or (number == 0 and self._names_row(node)):
                yield from self._run(node, run)
                run = []
                yield self._tree.child(node, number)
            else:
                run.append(number)
        yield from self._run(node, run)

    def _run(self, node: Node, run: Sequence[int]) -> Iterator[Node | Row]:
        if not run:
            return
        if len(run) <= _FEW:
            yield from (self._tree.child(node, number) for number in run)
        else:
            yield from self.folds(node, range(run[0], run[-1] + 1))

    def folds(self, node: Node, places: range) -> Iterator[Row]:
        """Folds for neighbouring children, one for each run of one state."""
        at = 0
        noun = "elements" if type(node.left) is list or type(node.right) is list else "members"
        for state, some in groupby(self._states(node, places)):
            count = len(list(some))
            yield Row(
                address(node.at), len(node.at) + 2, "fold", state, count=count, offset=places[at], noun=noun
            )  # fmt: skip
            at += count

    def _states(self, node: Node, places: range) -> Iterator[State]:
        tree, entries, below = self._tree, self._tree.entries(node), node.seen.below
        certain = tree.certain and not node.ignored and not node.seen.ignored and tree.judged(node) is None
        for number in places:
            entry = entries[number]
            if (*node.at, number) in self._marked:
                yield "inside"
            elif certain and entry.left is not None and entry.right is not None and entry.step not in below:
                # By far the most; making a node for each would take long.
                yield "equal"
            else:
                state = tree.state(tree.child(node, number))
                yield "inside" if state == "differs" else state

    def row(self, node: Node, *, unfolded: bool = False) -> Row:
        tree = self._tree
        left, right = tree.values(node)
        names = tree.names(node)
        state = tree.state(node)
        numbers = self._numbers.get(node.at, ())
        if node.alone is None:
            if numbers:
                state = "differs"
            elif node.at in self._marked and state != "differs":
                state = "inside"
        # Of what is the same thing in two spellings nothing stands out.
        primary, shadow = cells_of(left, right, apart=state in ("differs", "unlisted"))
        return Row(
            at=address(node.at),
            level=len(node.at) + 1,
            sort=_sort(left, right),
            state=state,
            path=path_line(tree.path(node)),
            primary_name=_short(names[0]),
            shadow_name=_short(names[1]),
            primary=primary,
            shadow=shadow,
            differences=numbers,
            kinds=tuple(dict.fromkeys(kind.value for kind in node.seen.kinds)),
            forgiven=tuple(dict.fromkeys(node.seen.forgiven)),
            ids=_ids(left, right, names, tree.table),
            count=len(tree.entries(node)) if _has_children(node) else 0,
            open=unfolded,
        )

    def _names_row(self, node: Node) -> bool:
        """Whether the first child says which row of a table this is."""
        entries = self._tree.entries(node)
        return bool(node.at) and (entries[0].left in OWN_IDS or entries[0].right in OWN_IDS)


def _has_children(node: Node) -> bool:
    return any(type(value) in (dict, list) and bool(value) for value in (node.left, node.right))


def _sort(left: Any, right: Any) -> Sort:
    kinds = {type(value) for value in (left, right) if value is not ABSENT}
    if kinds == {dict}:
        return "object"
    if kinds == {list}:
        return "array"
    return "mixed" if kinds & {dict, list} else "value"


def _short(name: Key | None) -> Key | None:
    return f"{name[:_MAX_NAME]}…" if isinstance(name, str) and len(name) > _MAX_NAME else name


def _ids(left: Any, right: Any, names: tuple[Key | None, Key | None], table: IdTable) -> tuple[RowId, ...]:
    found: dict[RowId, None] = {}
    for text in (left, right, *names):
        if type(text) is not str:
            continue
        for token in TOKEN.findall(text[:_MAX_NAME])[:_MAX_IDS]:
            for pair in (*table.by_legacy.get(token.lower(), ()), *table.by_uuid.get(token.lower(), ())):
                found[RowId(pair.entity, pair.legacy, pair.uuid)] = None
    return tuple(found)[:_MAX_IDS]
