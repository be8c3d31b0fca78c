"""Two JSON bodies as one tree, put together as the comparison pairs them: for people who look at what differs.

The tree is lazy: what is the same on both sides is never walked, so a tree costs about what the comparison costs, and
its nodes are made when somebody looks at them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

from comparators.compare import spelled_alike
from comparators.decode import Unparseable, decode
from comparators.entries import Entry, entries_of
from comparators.ids import TOKEN, IdTable, Pairings
from comparators.model import Difference, Kind
from comparators.normal import TooDeepError
from comparators.paths import Key, render
from comparators.picture import Picture, Seen, WatchedWalk
from comparators.places import keys_of
from comparators.rules import Rules, compile_rules
from comparators.same import same
from comparators.scalars import Context_
from comparators.spelling import restored
from comparators.walk import MAX_DEPTH

State = Literal["equal", "differs", "inside", "forgiven", "ignored", "primary", "shadow", "unlisted"]
"""`inside`: there is a difference somewhere below. `primary` and `shadow`: only that side has it. `forgiven`: unequal,
and rules forgive all of it. `ignored`: nobody has to look. `unlisted`: unequal, but there were too many places to say
how."""

At = tuple[int, ...]
"""A node's address: at each level which child it is, counted from 0. In document order."""


class Absent:
    """Stands where a side has nothing."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = Absent()
_NOTHING = Seen()
_OF_NAMES = ("alias", "ignore")
"""Tolerances that say nothing of the value."""
_MAX_ENTRIES = 500_000
"""Children that are remembered at a time, so that opening place after place of one array does not list it anew."""
_MAX_RESOLVED = 1_000


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One place. `left` and `right` are the values of the primary and the shadow, or ABSENT.

    `keys` lead here as paths of differences do. `ignored` says that a rule hides a place above, `judged` how a place
    above was found that was compared as one value ({"$date": ...}); below it nothing was noted.
    """

    at: At
    entry: Entry
    keys: tuple[Key, ...]
    left: Any
    right: Any
    seen: Seen = _NOTHING
    ignored: bool = False
    judged: State | None = None

    @property
    def alone(self) -> Literal["primary", "shadow"] | None:
        """The side that alone has it."""
        if self.right is ABSENT:
            return "primary"
        return "shadow" if self.left is ABSENT else None


class Mark(NamedTuple):
    """A difference and the node where it is shown: `exact` is false where that is only the nearest place there is."""

    number: int
    at: At
    exact: bool


class Aligned:
    """The tree. `remarks` say what a reader must know; `table` has the ids that were joined.

    `unpaired` says why arrays are paired by index alone, empty when they are paired as the comparison pairs them.
    """

    def __init__(
        self, left: Any, right: Any, picture: Picture, back: tuple[dict[str, str], dict[str, str]], table: IdTable
    ) -> None:
        self._picture = picture
        self._back = back
        self._forth = [{legacy: uuid for uuid, legacy in side.items()} for side in back]
        self.table = table
        self.unpaired = ""
        self.root = Node((), Entry(None, None), (), left, right, picture.root)
        self._entries: dict[At, list[Entry]] = {}
        self._remembered = 0

    @property
    def remarks(self) -> tuple[str, ...]:
        return self._picture.remarks

    @property
    def complete(self) -> bool:
        """Whether every difference was noted at its place."""
        return not (self._picture.differ_full or self.unpaired)

    @property
    def certain(self) -> bool:
        """Whether a place at and below which nothing was noted is equal, without looking."""
        return self.complete and not self._picture.forgave_full

    # --- nodes ---

    def entries(self, node: Node) -> Sequence[Entry]:
        """The children of a node. Those of the shadow alone stand behind what they stand behind there."""
        known = self._entries.get(node.at)
        if known is None:
            known = entries_of(*self._sides(node), node.seen)
            if self._remembered + len(known) > _MAX_ENTRIES:
                self._entries.clear()
                self._remembered = 0
            self._entries[node.at] = known
            self._remembered += len(known)
        return known

    def child(self, node: Node, number: int) -> Node:
        """The child at a place among the entries. IndexError when there are fewer."""
        entry = self.entries(node)[number]
        left, right = self._sides(node)
        seen = node.seen.below.get(entry.step, _NOTHING)
        key = entry.right if entry.left is None else entry.left
        return Node(
            (*node.at, number),
            entry,
            (*node.keys, key if key is not None else 0),
            _item(left, entry.left),
            _item(right, entry.right),
            seen,
            node.ignored or node.seen.ignored,
            self.judged(node),
        )

    def judged(self, node: Node) -> State | None:
        """What the children of a place are that was compared as one value, unless they are the same."""
        if node.judged is not None or type(node.left) is not dict or type(node.right) is not dict:
            return node.judged
        if any(kind is not Kind.ALIAS for kind in node.seen.kinds):
            return "differs"
        return "forgiven" if any(kind not in _OF_NAMES for kind, _ in node.seen.forgiven) else None

    def node(self, at: At) -> Node:
        """The node at an address. LookupError when there is none."""
        node = self.root
        for number in at:
            if number < 0:
                raise LookupError(number)
            node = self.child(node, number)
        return node

    def state(self, node: Node) -> State:
        seen = node.seen
        if node.alone is not None:
            return node.alone
        if node.ignored or seen.ignored:
            return "ignored"
        if seen.kinds:
            return "differs"
        if seen.differ:
            return "inside"
        if seen.forgave:
            return "forgiven"
        if node.judged is not None:
            return "equal" if same(node.left, node.right) else node.judged
        return "equal" if self.certain else self._unnoted(node)

    def _unnoted(self, node: Node) -> State:
        try:
            return "equal" if same(node.left, node.right) else "unlisted"
        except RecursionError:
            return "unlisted"

    # --- as people know it ---

    def path(self, node: Node) -> str:
        """The normalized path, with the names that stood in the bodies."""
        back = self._back[1] if node.left is ABSENT else self._back[0]
        return render([restored(key, back) if type(key) is str else key for key in node.keys])

    def names(self, node: Node) -> tuple[Key | None, Key | None]:
        """The name or index on each side, as it stood in the body."""
        entry = node.entry
        return _named(entry.left, self._back[0]), _named(entry.right, self._back[1])

    def values(self, node: Node) -> tuple[Any, Any]:
        """Both sides' scalars as they stood in the bodies; containers are returned as they were parsed."""
        left, right = node.left, node.right
        return (
            restored(left, self._back[0]) if type(left) is str else left,
            restored(right, self._back[1]) if type(right) is str else right,
        )

    # --- differences ---

    def places(self, differences: Sequence[Difference]) -> list[Mark]:
        """Where differences are shown, those of the body alone (status and headers have no place in it).

        Values may have been hidden, and rules or ids may have changed since, so a path may lead nowhere by now: then
        the nearest place above is named.
        """
        found = []
        for number, difference in enumerate(differences):
            keys = keys_of(difference.path)
            if keys is not None:
                at, exact = self._resolve(keys, shadow_alone=difference.kind is Kind.ADDED)
                found.append(Mark(number, at, exact))
        return found

    def at_path(self, path: str) -> At:
        """The address of a normalized path. LookupError when it leads nowhere."""
        keys = keys_of(path)
        if keys is None:
            raise LookupError(path)
        for shadow_alone in (False, True):
            at, exact = self._resolve(keys, shadow_alone=shadow_alone)
            if exact:
                return at
        raise LookupError(path)

    def noted(self, limit: int = _MAX_RESOLVED) -> Iterator[At]:
        """Addresses of the first `limit` places at which this comparison found differences, in no special order."""
        waiting: list[tuple[Node, Seen]] = [(self.root, self.root.seen)]
        while waiting and limit > 0:
            node, seen = waiting.pop()
            if seen.kinds:
                limit -= 1
                yield node.at
            wanted = {step for step, below in seen.below.items() if below.differ}
            if not wanted:
                continue
            for number, entry in enumerate(self.entries(node)):
                if entry.step in wanted:
                    child = self.child(node, number)
                    waiting.append((child, child.seen))
                    if len(waiting) > limit:
                        break

    def _resolve(self, keys: Sequence[Key], *, shadow_alone: bool) -> tuple[At, bool]:
        node = self.root
        for number, key in enumerate(keys):
            found = self._find(node, key, shadow_alone=shadow_alone and number == len(keys) - 1)
            if found is None:
                return node.at, False
            node = self.child(node, found)
        return node.at, True

    def _find(self, node: Node, key: Key, *, shadow_alone: bool) -> int | None:
        """Which child bears the primary's name or index `key`; of things that the shadow alone has, the shadow's."""
        entries = self.entries(node)
        if type(key) is int:
            if not shadow_alone and key < len(entries) and entries[key].left == key:
                return key
            wanted = Entry(None, key) if shadow_alone else None
            for number, entry in enumerate(entries):
                if entry == wanted or (wanted is None and entry.left == key):
                    return number
            return None
        name = str(key)
        mine, theirs = ((name, _as_parsed(name, forth)) for forth in self._forth)
        lone = None
        for number, entry in enumerate(entries):
            if entry.left in mine:
                return number
            if entry.left is None and entry.right in theirs:
                lone = number
        return lone

    # --- children ---

    def _sides(self, node: Node) -> tuple[Any, Any]:
        found = self._picture.named.get((id(node.left), id(node.right)))
        return (node.left, node.right) if found is None else found


def align(
    primary: bytes | None,
    shadow: bytes | None,
    rules: Rules | None = None,
    ids: IdTable | None = None,
    *,
    max_depth: int = MAX_DEPTH,
) -> Aligned | Unparseable:
    """Put two JSON bodies together; Unparseable when one is no JSON. Never raises for what stands in them.

    A body that is None is not there. `rules` and `ids` are those of the comparison. What `ids: inferred` believes is
    found out anew from this pair.
    """
    rules = rules or compile_rules([])
    table = ids or IdTable()
    if primary is None or shadow is None:
        return _lone(primary, shadow, table, max_depth)
    believed = Pairings() if rules.ids == "inferred" else None
    one, two = spelled_alike(primary, shadow, rules, table, None)
    left, right = decode(one.body), decode(two.body)
    for value, side in ((left, "primary"), (right, "shadow")):
        if isinstance(value, Unparseable):
            return Unparseable(f"the {side} body: {value.text}", value.offset)
    picture = Picture(one.back, two.back, max_depth)
    made = Aligned(left, right, picture, (one.back, two.back), table)
    try:
        WatchedWalk(Context_(table, rules.ids, believed, rules.fuzzy), picture, max_depth).run(left, right, rules.root)
    except (TooDeepError, RecursionError):
        made.unpaired = f"nested too deeply to be compared (at most {max_depth} levels): elements are paired by index"
    return made


def _lone(primary: bytes | None, shadow: bytes | None, table: IdTable, max_depth: int) -> Aligned | Unparseable:
    """The tree of one body alone."""
    left, right = (ABSENT if body is None else decode(body) for body in (primary, shadow))
    for value, side in ((left, "primary"), (right, "shadow")):
        if isinstance(value, Unparseable):
            return Unparseable(f"the {side} body: {value.text}", value.offset)
    return Aligned(left, right, Picture({}, {}, max_depth), ({}, {}), table)


def _item(container: Any, key: Key | None) -> Any:
    return ABSENT if key is None else container[key]


def _named(key: Key | None, back: dict[str, str]) -> Key | None:
    return str(restored(key, back)) if isinstance(key, str) else key


def _as_parsed(name: str, forth: dict[str, str]) -> str:
    """A name with the uuids that were put for the ObjectIds in it before the body was parsed."""
    return TOKEN.sub(lambda found: forth.get(found[0], found[0]), name)
