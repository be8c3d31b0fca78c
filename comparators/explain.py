"""A difference put for people: as a structure for a dashboard, and from the same structure as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from comparators.changes import Change, changes_within, moves_within
from comparators.ids import TOKEN, IdPair, IdTable, whole
from comparators.model import Difference, Kind
from comparators.paths import Key, PathError, compile_path
from comparators.shown import escaped, one_line, path_line, shorten
from comparators.suggest import Suggestion

MAX_EXPLAINED = 20
"""Differences that are explained at most in one text."""
MAX_IDS = 10
_MAX_JOINED = 3
_MAX_SEARCHED = 1_000
_MAX_SEARCHED_TEXT = 10_000

MEANINGS = {
    Kind.VALUE_CHANGED: "both sides have a value here, and not the same one",
    Kind.TYPE_CHANGED: "the values are of different JSON types",
    Kind.MISSING: "the primary has it, the shadow does not",
    Kind.ADDED: "the shadow has it, the primary does not",
    Kind.NULL_MISSING: "null on one side, absent on the other",
    Kind.ORDER_CHANGED: "the elements do not stand in the same order, or not in the one that a rule asks for",
    Kind.ID_MISMATCH: "the id map does not join the two ids to each other but to other rows",
    Kind.ID_UNMAPPED: "an ObjectId against a uuid that the id map does not know",
    Kind.NUMBER_STRING: "a number on one side, a text that spells a number on the other",
    Kind.DECIMAL_SCALE: "the same decimal with another count of trailing zeros",
    Kind.DATE_FORMAT: "the same instant, spelled in another way",
    Kind.DATE_PRECISION: "the same instant, but one side has lost a part of the second",
    Kind.CASE: "the texts differ in upper and lower case",
    Kind.WHITESPACE: "the texts differ in white space",
    Kind.EMPTY: "both are empty, each in its own way: null, an empty text, array or object",
    Kind.POPULATED: "an id on one side, the object that bears it on the other",
    Kind.ALIAS: "the same value under another name",
    Kind.STATUS: "the sides answered with different status codes",
    Kind.HEADER: "a header that the rules compare differs",
    Kind.CONTENT_TYPE: "the sides call their bodies different media types",
    Kind.UNPARSEABLE: "a body that is not JSON as RFC 8259 has it, so nothing in it was compared",
}
"""What each kind means, in a few words."""

_ID_KINDS = frozenset({Kind.ID_MISMATCH, Kind.ID_UNMAPPED})
_LONE_KINDS = frozenset({Kind.MISSING, Kind.ADDED, Kind.NULL_MISSING})


@dataclass(frozen=True, slots=True)
class KnownId:
    """An id of one side that has no partner in the other side's value, and what the id map knows about it.

    `id` is in its usual spelling: lower case, a uuid with hyphens. `joined` is empty when the map does not know it.
    """

    side: Literal["primary", "shadow"]
    id: str
    joined: tuple[IdPair, ...] = ()

    @property
    def is_uuid(self) -> bool:
        return "-" in self.id

    def other(self, pair: IdPair) -> str:
        """The id's other form in one of its pairs."""
        return pair.legacy if self.is_uuid else pair.uuid

    def as_json(self) -> dict[str, Any]:
        return {
            "side": self.side,
            "id": self.id,
            "form": "uuid" if self.is_uuid else "legacy",
            "joined": [{"entity": pair.entity, "other": self.other(pair)} for pair in self.joined],
        }

    def as_text(self) -> str:
        if not self.joined:
            return f"{self.id} ({self.side}) is not in the id map"
        pairs = " and ".join(
            f"{pair.entity} {pair.legacy}" if self.is_uuid else f"{pair.entity}; the map joins it to {pair.uuid}"
            for pair in self.joined
        )
        return f"{self.id} ({self.side}) belongs to {pairs}" if self.is_uuid else f"{self.id} ({self.side}) is {pairs}"


@dataclass(frozen=True, slots=True)
class Explanation:
    """One difference for people. Values are bounded; `left_out` says in words what is not told.

    `rule` would have made it equal, and has been proved to; None where none is known.
    """

    path: str
    kind: Kind
    primary: Any
    shadow: Any
    ids: tuple[KnownId, ...] = ()
    changes: tuple[Change, ...] = ()
    left_out: tuple[str, ...] = ()
    rule: Suggestion | None = None

    @property
    def meaning(self) -> str:
        return MEANINGS[self.kind]

    def as_json(self) -> dict[str, Any]:
        return {
            "path": self.path,
            "kind": self.kind.value,
            "meaning": self.meaning,
            "primary": self.primary,
            "shadow": self.shadow,
            "ids": [one.as_json() for one in self.ids],
            "changes": [one.as_json() for one in self.changes],
            "left_out": list(self.left_out),
            "rule": None if self.rule is None else self.rule.as_json(),
        }

    def details(self) -> list[str]:
        """What there is to say beyond path, kind and the two values, as printable lines."""
        lines = [one.as_text() for one in self.ids]
        lines += [_told(change) for change in self.changes]
        if self.rule is not None:
            lines.append(f"equal with {self.rule.as_text()}")
        return [escaped(line) for line in (*lines, *(f"({note})" for note in self.left_out))]


def explain(difference: Difference, ids: IdTable | None = None, rules: Iterable[Suggestion] = ()) -> Explanation:
    """Explain one difference.

    `ids` is the part of the id map that the comparison knew; None when it is not at hand, and nothing is said about
    ids. `rules` are the suggestions for the same pair of bodies, see `suggest`. Takes bounded time for any value.
    """
    table = IdTable() if ids is None else ids
    notes = []
    inside = moves_within if difference.kind is Kind.ORDER_CHANGED else changes_within
    changes, note = inside(_keys(difference.path), difference.primary, difference.shadow, table)
    notes.append(note)
    known: list[KnownId] = [] if ids is None else _ids(difference, ids)
    if len(known) > MAX_IDS:
        notes.append(f"{len(known) - MAX_IDS} more ids")
    primary, cut = shorten(difference.primary)
    shadow, cut_too = shorten(difference.shadow)
    notes += [
        f"the {side}'s value is not shown in full" for side, left in (("primary", cut), ("shadow", cut_too)) if left
    ]
    return Explanation(
        difference.path,
        difference.kind,
        primary,
        shadow,
        ids=tuple(known[:MAX_IDS]),
        changes=tuple(changes),
        left_out=tuple(filter(None, notes)),
        rule=next((rule for rule in rules if rule.covers(difference)), None),
    )


def text_of(explanations: Sequence[Explanation], total: int) -> list[str]:
    """Several explanations as printable lines; what a kind means is said where it is first met.

    The values themselves are left to the table that stands above, so a difference with nothing to add has no lines.
    `total` counts all the differences there are; at most `MAX_EXPLAINED` are told.
    """
    lines: list[str] = []
    met: set[Kind] = set()
    for one in explanations[:MAX_EXPLAINED]:
        details = one.details()
        if one.kind not in met:
            met.add(one.kind)
            lines.append(f"{path_line(one.path)}: {one.kind.value}, {one.meaning}")
        elif details:
            lines.append(f"{path_line(one.path)}: {one.kind.value}")
        lines += [f"  {line}" for line in details]
    if total > min(len(explanations), MAX_EXPLAINED):
        lines.append(f"({total - min(len(explanations), MAX_EXPLAINED)} more are not explained)")
    return lines


def _told(change: Change) -> str:
    path, primary, shadow = path_line(change.path), one_line(change.primary), one_line(change.shadow)
    match change.what:
        case "moved":
            return f"{primary} moved from {path} to {path_line(change.to)}"
        case "added":
            return f"{path} added: {shadow}"
        case "missing":
            return f"{path} missing: {primary}"
        case _:
            return f"{path} changed from {primary} to {shadow}"


def _keys(path: str) -> tuple[Key, ...]:
    """The steps of a normalized path; () for what is no place of a body."""
    try:
        return tuple(step.key for step in compile_path(path).steps if step.key is not None)
    except PathError:
        return ()


def _ids(difference: Difference, table: IdTable) -> list[KnownId]:
    """The ids that differ: those of either side that are not joined to one of the other side."""
    sides: tuple[dict[str, None], dict[str, None]] = ({}, {})
    for found, value in zip(sides, (difference.primary, difference.shadow), strict=True):
        _search(value, found, table, difference.kind)
    if difference.kind in _LONE_KINDS:
        # A member that one side lacks may be named by an id.
        name = (*_keys(difference.path), 0)[-2:][0]
        if isinstance(name, str):
            mine = sides[1 if difference.kind is Kind.ADDED else 0]
            mine.update(dict.fromkeys(token.lower() for token in TOKEN.findall(name[:_MAX_SEARCHED_TEXT])))
    left, right = sides
    known = [KnownId("primary", id_, _joined(id_, table)) for id_ in left]
    known += [KnownId("shadow", id_, _joined(id_, table)) for id_ in right]
    both = left.keys() | right.keys()
    differing = [
        one
        for one in known
        if one.id not in (right if one.side == "primary" else left)
        and not any(one.other(pair) in both for pair in one.joined)
    ]
    if difference.kind in _ID_KINDS and not differing:
        # Joined after all, but not within the entity that a rule names at this place.
        differing = known
    return [KnownId(one.side, one.id, one.joined[:_MAX_JOINED]) for one in differing]


def _joined(id_: str, table: IdTable) -> tuple[IdPair, ...]:
    return table.by_legacy.get(id_, ()) + table.by_uuid.get(id_, ())


def _search(value: Any, found: dict[str, None], table: IdTable, kind: Kind) -> None:
    """Put the ids of a value into `found`, in the order in which they stand; bounded in values and text."""
    waiting = [value]
    for _ in range(_MAX_SEARCHED):
        if not waiting:
            return
        value = waiting.pop()
        if isinstance(value, dict):
            for name in list(value)[:_MAX_SEARCHED]:
                found.update(dict.fromkeys(token.lower() for token in TOKEN.findall(name[:_MAX_SEARCHED_TEXT])))
            waiting += list(value.values())[:_MAX_SEARCHED][::-1]
        elif isinstance(value, list):
            waiting += value[:_MAX_SEARCHED][::-1]
        elif isinstance(value, str):
            id_ = whole(value)
            if id_ is None:
                found.update(dict.fromkeys(token.lower() for token in TOKEN.findall(value[:_MAX_SEARCHED_TEXT])))
            elif TOKEN.fullmatch(value) or kind in _ID_KINDS or _joined(id_, table):
                # 32 hex digits alone may as well be a digest.
                found[id_] = None
