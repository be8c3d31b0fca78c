"""What is done with an aligned tree, as functions of plain data: a worker process runs them where bodies are large."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from html import escape
from typing import Any

from comparators.aligned import Aligned, At, Mark, align
from comparators.decode import Unparseable
from comparators.ids import IdTable
from comparators.model import Difference
from comparators.outline import MAX_ROWS, PAGE, Row, at_of, children, outline
from proxy.verify.work import rules_of

MAX_TEXT = 900_000
"""Bytes that the texts of one outline take as HTML; with what is around them a page stays under 2 MB."""
LEAST_ROWS = 50
SHELF_BYTES = 24 * 1024 * 1024
"""Of the bodies of the trees that are kept: as values they take seven times as much memory."""
SHELF_TREES = 8
_MORE = "{} more differences were found than were kept; those without a number are found anew in the two bodies"
_OTHERS = (
    "places without a number differ in what is kept but were no differences when it was compared: "
    "hidden values cannot be compared again, and rules or ids may have changed since"
)


class NoPlaceError(LookupError):
    """There is nothing at the address or path that was asked for; the text says so."""


@dataclass(frozen=True, slots=True)
class TreeJob:
    """The bodies of one trace and what they are compared with. A body that is None was not kept or is empty. `total`
    counts the differences that were found at the time, of which `differences` were kept."""

    primary: bytes | None
    shadow: bytes | None
    layers: str
    today: date
    table: IdTable
    differences: tuple[Difference, ...]
    total: int
    max_depth: int

    @property
    def size(self) -> int:
        return len(self.primary or b"") + len(self.shadow or b"")


@dataclass(frozen=True, slots=True)
class Outlined:
    """The rows of an outline, or `why` there are none. `hidden` numbers the differences that found no room, `remarks`
    are what one must know who reads it."""

    rows: list[dict[str, Any]]
    why: str = ""
    hidden: tuple[int, ...] = ()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Listed:
    """The children of one place, from `offset` on."""

    at: str
    path: str
    rows: list[dict[str, Any]]
    total: int


@dataclass(frozen=True, slots=True)
class Tree:
    """An aligned tree with the places of its trace's differences, and how many more were found than kept."""

    aligned: Aligned
    marks: tuple[Mark, ...]
    unkept: int

    @classmethod
    def of(cls, job: TreeJob) -> Tree | str:
        """The tree, or why there is none."""
        if not job.size:
            return "neither body is kept"
        rules = rules_of(job.layers, job.today)
        made = align(job.primary, job.shadow, rules, job.table, max_depth=job.max_depth)
        if isinstance(made, Unparseable):
            return made.as_text()
        return cls(made, tuple(made.places(job.differences)), max(0, job.total - len(job.differences)))


class Shelf:
    """The trees that were looked at last, by trace."""

    def __init__(self) -> None:
        self._trees: OrderedDict[str, tuple[Tree, int]] = OrderedDict()

    def put(self, trace: str, tree: Tree, size: int) -> None:
        self._trees.pop(trace, None)
        self._trees[trace] = tree, size
        while len(self._trees) > 1 and (len(self._trees) > SHELF_TREES or self._size() > SHELF_BYTES):
            self._trees.popitem(last=False)

    def get(self, trace: str) -> Tree | None:
        found = self._trees.get(trace)
        if found is None:
            return None
        self._trees.move_to_end(trace)
        return found[0]

    def _size(self) -> int:
        return sum(size for _, size in self._trees.values())


@lru_cache(maxsize=1)
def shelf() -> Shelf:
    """The one of this process."""
    return Shelf()


def outlined(job: TreeJob, focus: int | None, opened: Sequence[tuple[At, int]]) -> Outlined:
    """The outline of a tree that is made for it."""
    return _outlined(Tree.of(job), focus, opened)


def outlined_and_kept(trace: str, job: TreeJob, focus: int | None, opened: Sequence[tuple[At, int]]) -> Outlined:
    """The same, and the tree is kept for those who look further into it."""
    tree = Tree.of(job)
    if isinstance(tree, Tree):
        shelf().put(trace, tree, job.size)
    return _outlined(tree, focus, opened)


def listed(job: TreeJob, place: str, by_path: bool, offset: int, end: int | None, limit: int) -> Listed:
    """The children of one place of a tree that is made for it. Raises NoPlaceError."""
    tree = Tree.of(job)
    if isinstance(tree, str):
        raise NoPlaceError(f"there is no tree: {tree}")
    return _listed(tree, place, by_path, offset, end, limit)


def listed_of_kept(trace: str, place: str, by_path: bool, offset: int, end: int | None, limit: int) -> Listed | None:
    """The same of a kept tree; None when it is not kept (any more). Raises NoPlaceError."""
    tree = shelf().get(trace)
    return None if tree is None else _listed(tree, place, by_path, offset, end, limit)


def _outlined(tree: Tree | str, focus: int | None, opened: Sequence[tuple[At, int]]) -> Outlined:
    if isinstance(tree, str):
        return Outlined([], tree)
    aligned = tree.aligned
    remarks = tuple(filter(None, (aligned.unpaired, *aligned.remarks)))
    if not aligned.complete and not aligned.unpaired:
        remarks += ("more places differ than are told one by one; the others are marked as unlisted",)
    budget = MAX_ROWS
    made = outline(aligned, tree.marks, focus=focus, opened=opened, budget=budget)
    while budget > LEAST_ROWS and _text(made.rows) > MAX_TEXT:
        budget //= 2
        made = outline(aligned, tree.marks, focus=focus, opened=opened, budget=budget)
    if any(row.kinds and not row.differences for row in made.rows):
        remarks += (_MORE.format(f"{tree.unkept:,}") if tree.unkept else _OTHERS,)
    return Outlined([row.as_json() for row in made.rows], hidden=made.hidden, remarks=remarks)


def _listed(tree: Tree, place: str, by_path: bool, offset: int, end: int | None, limit: int) -> Listed:
    aligned = tree.aligned
    try:
        at = aligned.at_path(place) if by_path else at_of(place)
        node = aligned.node(at)
    except LookupError:
        raise NoPlaceError(f"there is nothing at {place[:200]!r} in this trace") from None
    rows = children(aligned, tree.marks, at, offset=offset, end=end, limit=min(limit, PAGE))
    return Listed(
        ".".join(map(str, at)), aligned.path(node), [row.as_json() for row in rows], len(aligned.entries(node))
    )


def _text(rows: Sequence[Row]) -> int:
    texts = [cell.text for row in rows for cell in (row.primary, row.shadow) if cell is not None]
    texts += [f"{row.path}{row.primary_name}{row.shadow_name}" for row in rows]
    return sum(len(escape(text).encode(errors="replace")) for text in texts)
