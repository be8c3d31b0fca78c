"""The walk over two values: equal subtrees are passed by, and what differs is named with path and kind."""

from __future__ import annotations

from functools import partial
from typing import Any

from comparators.automaton import Place
from comparators.elements import Arrangement, Elements
from comparators.extended import extended_causes, id_text, rewrapped_causes, unwrap
from comparators.members import Join, has_id, joins
from comparators.model import Kind
from comparators.normal import TooDeepError
from comparators.paths import Key
from comparators.report import Report, UnequalError
from comparators.same import Marks, one_text, same, unequal_indexes
from comparators.scalars import Cause, Context_, causes
from comparators.spelling import UUID_LENGTH
from comparators.trials import Trials

MAX_DEPTH = 200
MAX_DIFFERENCES = 100
_MAX_NAMED = 100
_ABSENT = object()

_NULL_MISSING = (Cause(Kind.NULL_MISSING),)
_MISSING = (Cause(Kind.MISSING),)
_ADDED = (Cause(Kind.ADDED),)
_EMPTY = (Cause(Kind.EMPTY),)
_TYPE = (Cause(Kind.TYPE_CHANGED),)
_POPULATED = Cause(Kind.POPULATED)


class Walk:
    """One comparison of two values. Make it, call `run` once, ask the report for the result."""

    __slots__ = ("_context", "_elements", "_max_depth", "_path", "_report", "_trials", "_waiting")

    def __init__(self, context: Context_, report: Report, max_depth: int = MAX_DEPTH) -> None:
        self._context = context
        self._report = report
        self._max_depth = max_depth
        self._path: list[Key] = []
        # Most comparisons need neither.
        self._trials: Trials | None = None
        self._elements: Elements | None = None
        # Under `inferred` ids in names and in arrays without order are joined only by pairs that other values have
        # shown, so these wait until all else was seen.
        self._waiting: list[tuple[list[Key], Any, Any, Place]] | None = None if context.pairings is None else []

    def run(self, left: Any, right: Any, place: Place) -> None:
        """Compare two whole values. Raises TooDeepError."""
        if place.ignored:
            self._report.tolerate(self._path, "ignore", place, "ignore")
        else:
            self._unequal(left, right, place)
        waiting, self._waiting = self._waiting or [], None
        for path, a, b, below in waiting:
            self._path = path
            if type(a) is dict:
                self._objects(a, b, below)
            else:
                self._arrays(a, b, below)
        self._path = []

    def _compare(self, left: Any, right: Any, place: Place) -> None:
        """Compare the values at the current path."""
        if place.ignored:
            self._report.tolerate(self._path, "ignore", place, "ignore")
        elif place.concerns_equals or not self._same(left, right, place.marks):
            self._unequal(left, right, place)

    def _same(self, left: Any, right: Any, marks: Marks) -> bool:
        return self._shared().same(left, right, marks) if self._report.trial else same(left, right, marks)

    def _unequal(self, left: Any, right: Any, place: Place) -> None:
        """Compare two values that are not plainly equal, or hold what has to be looked at although it is equal."""
        if self._report.trial:
            self._spend(1)
        kind, other = type(left), type(right)
        if kind is dict and other is dict:
            if not (len(left) == 1 or len(right) == 1) or not self._wrap_one_value(left, right, place):
                self._objects(left, right, place)
        elif kind is list and other is list:
            self._arrays(left, right, place)
        elif kind is dict or kind is list or other is dict or other is list:
            if _is_empty(left) and _is_empty(right):
                self._name(_EMPTY, left, right, place)
            else:
                left, right = self._report.restored(self._path, left, right)
                self._name(self._one_value_or_object(left, right, place), left, right, place)
        else:
            if (kind is str and len(left) >= UUID_LENGTH) or (other is str and len(right) >= UUID_LENGTH):
                left, right = self._report.restored(self._path, left, right)
            found = causes(left, right, place.rules, self._context)
            if found:
                empty = found[0].kind is Kind.TYPE_CHANGED and _is_empty(left) and _is_empty(right)
                self._name(_EMPTY if empty else found, left, right, place)

    # --- objects ---

    def _objects(self, left: dict[str, Any], right: dict[str, Any], place: Place) -> None:
        path = self._path
        if len(path) >= self._max_depth:
            raise TooDeepError
        only_left: list[str] = []
        unequal: list[str] = []
        alike: list[str] = []
        names, _, others = place.below()
        theirs = right.get
        careful = others.concerns_equals
        for key, below in names.items():
            if key in left and below.concerns_equals:
                careful = True
        # Most members are texts, and most texts are equal; a comprehension passes them by fastest.
        keys = list(left) if careful else [
            key for key, value in left.items() if type(value) is not str or value != theirs(key, _ABSENT)
        ]  # fmt: skip
        for key in keys:
            value, other = left[key], theirs(key, _ABSENT)
            if not (careful and names.get(key, others).concerns_equals):
                kind = type(value)
                if kind is dict or kind is list:
                    if value == other:
                        alike.append(key)
                        continue
                elif value is other or same(value, other):
                    continue
            (only_left if other is _ABSENT else unequal).append(key)
        # With their names: a mark may be the name of one of them.
        if alike and not one_text({key: left[key] for key in alike}, {key: right[key] for key in alike}, place.marks):
            unequal += [key for key in alike if not same(left[key], right[key], names.get(key, others).marks)]
            unequal.sort(key=list(left).index)
        if (only_left or len(left) != len(right)) and (as_named := self._report.as_named(left, right)) is not None:
            self._objects(*as_named, place)
            return
        look = self._compare if careful else self._unequal
        for key in unequal:
            path.append(key)
            look(left[key], right[key], names.get(key, others))
            path.pop()
        if only_left or len(left) != len(right):
            self._members(left, right, only_left, place)

    def _members(self, left: dict[str, Any], right: dict[str, Any], only_left: list[str], place: Place) -> None:
        """Compare the members whose names one side alone has."""
        path = self._path
        only_right = [key for key in right if key not in left]
        if self._waiting is not None and has_id(only_left) and has_id(only_right):
            self._waiting.append(
                (list(path), {key: left[key] for key in only_left}, {key: right[key] for key in only_right}, place)
            )
            return
        found: list[Join] = []
        if only_left and only_right:
            restored = partial(self._report.restored, path)
            found = joins(left, right, only_left, only_right, place, self._context, restored)
        for join in found:
            path.append(join.left)
            if join.why == "own_id":
                values = self._report.restored(path, left[join.left], right[join.right])
                self._report.differ(path, Kind.ALIAS, *values)
            elif join.why != "id":
                self._report.tolerate(path, "alias", place, join.why)
            self._compare(left[join.left], right[join.right], place.name(join.left))
            path.pop()
        joined_left, joined_right = {join.left for join in found}, {join.right for join in found}
        for key in only_left:
            if key not in joined_left:
                self._missing(key, left[key], place.name(key))
        for key in only_right:
            if key not in joined_right:
                self._added(key, right[key], place.name(key))

    # --- arrays ---

    def _arrays(self, left: list[Any], right: list[Any], place: Place) -> None:
        path = self._path
        if len(path) >= self._max_depth:
            raise TooDeepError
        if self._report.trial:
            self._spend(len(left) + len(right))
        unequal: list[int] | None = None
        if "order" not in place.rules and len(left) == len(right):
            unequal = unequal_indexes(left, right, place.marks)
            if all([_one_row(left[index], right[index]) for index in unequal]):  # noqa: C419 - a list is faster
                # Rows that bear one id stand opposite each other, and only these have to be looked at.
                self._pairs([(index, index) for index in unequal], left, right, place)
                return
        elif self._waiting is not None and "order" in place.rules:
            self._waiting.append((list(path), left, right, place))
            return
        if self._elements is None:
            self._elements = Elements(self._context, self._shared(), within_trial=self._report.trial)
        room = self._max_depth - len(path) - 1
        self._arranged(left, right, place, self._elements.arrange(left, right, place, room, self._equal, unequal))

    def _arranged(self, left: list[Any], right: list[Any], place: Place, arrangement: Arrangement) -> None:
        path, pairing = self._path, arrangement.pairing
        if self._report.trial and pairing.forced:
            raise UnequalError
        if arrangement.reordered:
            self._report.differ(path, Kind.ORDER_CHANGED, *self._report.restored(path, _names(left), _names(right)))
        elif arrangement.forgiven is not None:
            self._report.tolerate(path, arrangement.forgiven, place, "order")
        if pairing.cut:
            self._report.remark(
                path,
                "too many elements that nothing tells apart; some were paired as they stand, so the differences there "
                "may name a wrong partner",
            )
        pairs = pairing.pairs
        mine, theirs = [left[a] for a, _ in pairs], [right[b] for _, b in pairs]
        self._pairs([pairs[number] for number in unequal_indexes(mine, theirs, place.marks)], left, right, place)
        for index in pairing.missing:
            self._missing(index, left[index], place.index(index))
        for index in pairing.added:
            self._added(index, right[index], place.index(index))

    def _pairs(self, pairs: list[tuple[int, int]], left: list[Any], right: list[Any], place: Place) -> None:
        """Compare elements that are not the same, or of which some rule looks at equal ones too."""
        path = self._path
        _, indexes, others = place.below()
        look = self._compare if indexes or others.concerns_equals else self._unequal
        for a, b in pairs:
            below = indexes.get(a, others)
            path.append(a)
            try:
                look(left[a], right[b], below)
            except UnequalError:
                # What a trial finds out deep inside is known to the trials of the levels below.
                self._shared().fail(left[a], right[b], below)
                raise
            path.pop()

    def _equal(self, left: Any, right: Any, place: Place, room: int) -> bool:
        """Whether the walk would find nothing. A trial believes no new pairs and stops at the first difference."""
        if self._shared().failed(left, right, place):
            return False
        trial = Walk(self._context._replace(pairings=None), self._report.as_trial(room), room)
        trial._trials = self._shared()
        try:
            trial.run(left, right, place)
        except UnequalError:
            self._shared().fail(left, right, place)
            return False
        return True

    def _shared(self) -> Trials:
        self._trials = self._trials or Trials(self._context)
        return self._trials

    def _spend(self, amount: int) -> None:
        if not self._shared().spend(amount):
            raise UnequalError

    # --- outcomes ---

    def _wrap_one_value(self, left: dict[str, Any], right: dict[str, Any], place: Place) -> bool:
        """Whether the objects stand for one value in two ways, or wrap ids that a rule judges; causes are named."""
        a, b = unwrap(left), unwrap(right)
        if a is None and b is None:
            return False
        left, right = self._report.restored(self._path, left, right)
        if a is None or b is None:
            found = _populated(left, right, place, self._context)
        else:
            found = rewrapped_causes(left, right, place.rules, self._context)
        if found is not None:
            self._name(found, left, right, place)
        return found is not None

    def _one_value_or_object(self, left: Any, right: Any, place: Place) -> tuple[Cause, ...]:
        """Causes when one side has a container where the other has something else."""
        found = extended_causes(left, right, place.rules, self._context)
        return found or _populated(left, right, place, self._context) or _TYPE

    def _missing(self, key: Key, value: Any, place: Place) -> None:
        null = value is None and type(key) is str
        self._lone(key, _NULL_MISSING if null else _MISSING, value, None, place)

    def _added(self, key: Key, value: Any, place: Place) -> None:
        null = value is None and type(key) is str
        self._lone(key, _NULL_MISSING if null else _ADDED, None, value, place, shadow_alone=True)

    def _lone(
        self,
        key: Key,
        found: tuple[Cause, ...],
        left: Any,
        right: Any,
        place: Place,
        *,
        shadow_alone: bool = False,
    ) -> None:
        """Something that one side alone has."""
        self._path.append(key)
        if place.ignored:
            self._report.tolerate(self._path, "ignore", place, "ignore")
        else:
            if not self._report.full:
                left, right = self._report.restored(self._path, left, right)
            self._name(found, left, right, place, shadow_alone=shadow_alone)
        self._path.pop()

    def _name(
        self, found: tuple[Cause, ...], left: Any, right: Any, place: Place, *, shadow_alone: bool = False
    ) -> None:
        """Name every cause that no rule forgives: a tolerance of one of two causes does not hide the other."""
        for cause in found:
            if cause.tolerance in place.rules:
                self._report.tolerate(self._path, cause.tolerance, place, cause.tolerance)
            else:
                self._report.differ(self._path, cause.kind, left, right, shadow_alone=shadow_alone)


def _is_empty(value: Any) -> bool:
    return value is None or (type(value) in (str, list, dict) and not value)


def _is_container(value: Any) -> bool:
    return type(value) is dict or type(value) is list


def _populated(left: Any, right: Any, place: Place, context: Context_) -> tuple[Cause, ...] | None:
    """Causes when one side has an id and the other the object that bears it."""
    for lone, whole_object in ((left, right), (right, left)):
        if type(whole_object) is not dict:
            continue
        mine, own = id_text(lone), id_text(whole_object.get("_id", whole_object.get("id")))
        if mine is not None and own is not None:
            sides = (mine, own) if lone is left else (own, mine)
            return (_POPULATED, *causes(*sides, place.rules, context))
    return None


def _one_row(left: Any, right: Any) -> bool:
    """Whether two objects bear one id."""
    return type(left) is dict and type(right) is dict and "_id" in left and left["_id"] == right.get("_id")


def _names(elements: list[Any]) -> list[Any]:
    """What tells the elements of an array apart, for the one who reads the difference."""
    return [
        element.get("_id", element.get("id", element)) if isinstance(element, dict) else element
        for element in elements[:_MAX_NAMED]
    ]
