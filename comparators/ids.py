"""Ids of the two stores: what an id looks like, how it is spelled, and which ones are joined."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

LEGACY = re.compile(r"[0-9a-fA-F]{24}")
TOKEN = re.compile(
    r"(?<![0-9a-fA-F])(?:[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{24})(?![0-9a-fA-F])"
)
"""An id as a whole value or inside a longer text, never a part of a longer run of hex digits."""

_SPELLED = re.compile(r"\{?(?:[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}|[0-9a-fA-F]{24})\}?")
_LENGTHS = frozenset({24, 32, 34, 36, 38})
"""Of an ObjectId and of a uuid in all spellings: an id with one brace has none of them."""
_BARE = 32
_LEGACY_LENGTH = 24
_MAX_IDS = 4
_MAX_READINGS = 32
"""How many ids of one text, and how many ways to spell them, are looked at when the map may join some to several."""

Judgement = Literal["same", "mismatch", "unmapped", "inferred"]


class IdPair(NamedTuple):
    """One joined pair. `legacy` is 24 lower-case hex digits, `uuid` is lower case with hyphens."""

    entity: str
    legacy: str
    uuid: str


@dataclass(frozen=True, slots=True)
class IdTable:
    """The part of the id map that a comparison needs, in both directions. Plain data: it can cross a process."""

    by_legacy: Mapping[str, tuple[IdPair, ...]] = field(default_factory=dict)
    by_uuid: Mapping[str, tuple[IdPair, ...]] = field(default_factory=dict)
    plain: Mapping[str, str] = field(default_factory=dict)
    """The uuid of every legacy id that is joined to one uuid alone, which is joined to no other: nearly all of them."""
    one_to_one: bool = True
    """Whether all of them are."""

    def __reduce__(self) -> tuple[Callable[..., IdTable], tuple[list[str], list[str], list[str]]]:
        """Crosses to another process as three columns: pair by pair it would cost a multiple of it."""
        pairs = [pair for joined in self.by_legacy.values() for pair in joined]
        columns = [pair.entity for pair in pairs], [pair.legacy for pair in pairs], [pair.uuid for pair in pairs]
        return _of_columns, columns

    @classmethod
    def of(cls, pairs: Iterable[IdPair]) -> IdTable:
        by_legacy: dict[str, tuple[IdPair, ...]] = {}
        by_uuid: dict[str, tuple[IdPair, ...]] = {}
        plain: dict[str, str] = {}
        for pair in pairs:
            joined, back = by_legacy.get(pair.legacy), by_uuid.get(pair.uuid)
            by_legacy[pair.legacy] = (pair,) if joined is None else (*joined, pair)
            by_uuid[pair.uuid] = (pair,) if back is None else (*back, pair)
            if joined is None and back is None:
                plain[pair.legacy] = pair.uuid
            else:
                for other in (*(joined or ()), *(back or ())):
                    if (other.legacy, other.uuid) != (pair.legacy, pair.uuid):
                        plain.pop(other.legacy, None)
                        plain.pop(pair.legacy, None)
        return cls(by_legacy, by_uuid, plain, one_to_one=len(plain) == len(by_legacy))


def _of_columns(entities: list[str], legacies: list[str], uuids: list[str]) -> IdTable:
    return IdTable.of(map(IdPair, entities, legacies, uuids))


class Pairings:
    """Pairs taken on trust under `ids: inferred`: one to one within an entity, for as long as this object lives.

    Bounded: past `limit` pairs nothing new is believed.
    """

    def __init__(self, limit: int = 100_000) -> None:
        self._limit = limit
        self._forward: dict[tuple[str, str], str] = {}
        self._back: dict[tuple[str, str], str] = {}
        self._journal: list[tuple[str, str, str]] = []
        self._by_legacy: dict[str, list[str]] = {}
        self._by_uuid: dict[str, list[str]] = {}
        self.plain: dict[str, str] = {}
        """The uuid of every legacy id that was joined where the rules name no entity."""

    def __len__(self) -> int:
        return len(self._journal)

    def partner(self, entity: str, legacy: str) -> str | None:
        return self._forward.get((entity, legacy))

    def partners(self, token: str) -> Sequence[str]:
        """Every id that `token` was joined to, within any entity."""
        return self._by_legacy.get(token) or self._by_uuid.get(token) or ()

    def join(self, entity: str, legacy: str, uuid: str) -> Judgement:
        known = self._forward.get((entity, legacy))
        back = self._back.get((entity, uuid))
        if known == uuid and back == legacy:
            return "same"
        if known is not None or back is not None:
            return "mismatch"
        if len(self._journal) >= self._limit:
            return "unmapped"
        self._forward[entity, legacy] = uuid
        if not entity:
            self.plain[legacy] = uuid
        self._back[entity, uuid] = legacy
        self._by_legacy.setdefault(legacy, []).append(uuid)
        self._by_uuid.setdefault(uuid, []).append(legacy)
        self._journal.append((entity, legacy, uuid))
        return "inferred"

    def since(self, mark: int) -> tuple[tuple[str, str], ...]:
        """The pairs believed since `len()` was `mark`, in the order in which they were believed."""
        return tuple((legacy, uuid) for _, legacy, uuid in self._journal[mark:])

    def undo(self, mark: int) -> None:
        """Forget what was believed since `len()` was `mark`."""
        while len(self._journal) > mark:
            entity, legacy, uuid = self._journal.pop()
            del self._forward[entity, legacy], self._back[entity, uuid]
            if not entity:
                del self.plain[legacy]
            for index, key in ((self._by_legacy, legacy), (self._by_uuid, uuid)):
                index[key].pop()
                if not index[key]:
                    del index[key]


def whole(text: str) -> str | None:
    """The id that `text` spells as a whole, lower case and with a uuid's hyphens, or None.

    A uuid may stand in braces or without hyphens (RFC 9562 section 4 has the usual form).
    """
    if len(text) not in _LENGTHS or not _SPELLED.fullmatch(text):
        return None
    text = text.strip("{}").lower()
    if len(text) != _BARE:
        return text
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def both_ids(left: str, right: str) -> tuple[str, str] | None:
    """The ids that two texts spell as a whole, or None when they are not both ids.

    32 hex digits alone may as well be a digest: they are an id only opposite something that surely is one.
    """
    if len(left) == _BARE == len(right):
        return None
    a, b = whole(left), whole(right)
    return None if a is None or b is None else (a, b)


def judge(left: str, right: str, entity: str | None, table: IdTable, pairings: Pairings | None) -> Judgement:
    """Whether two lower-case ids of the two sides name the same row.

    `entity` is the one the rules name at this place, or None when any may match. `pairings` is given under `inferred`.
    Two ids of the same form are the same only when equal.
    """
    if left == right:
        return "same"
    legacy, uuid = (left, right) if "-" not in left else (right, left)
    if "-" in legacy or "-" not in uuid:
        # Two ids of one store: they are different rows whenever the map knows one of them.
        known = table.by_uuid if "-" in left else table.by_legacy
        return "mismatch" if left in known or right in known else "unmapped"
    joined = table.by_legacy.get(legacy, ())
    for pair in joined:
        if pair.uuid == uuid and entity in (None, pair.entity):
            return "same"
    if pairings is not None and not joined and uuid not in table.by_uuid:
        return pairings.join(entity or "", legacy, uuid)
    # A uuid that the map does not know may be a row written a moment ago; one that it knows belongs to another row.
    return "mismatch" if uuid in table.by_uuid else "unmapped"


def translate(text: str, table: IdTable) -> str:
    """`text` with every known legacy id put as its uuid, and uuids in lower case: one spelling for both sides.

    A legacy id that several entities join to different uuids is left alone, and two legacy ids may get one uuid: good
    for pairing, not for a verdict.
    """
    plain = table.plain.get(text)
    if plain is not None:
        return plain
    if len(text) < _LEGACY_LENGTH or text in table.by_uuid:
        return text
    return TOKEN.sub(lambda found: canonical(found[0].lower(), table), text)


def canonical(token: str, table: IdTable) -> str:
    """The uuid of a lower-case token where the map has exactly one, else the token itself."""
    plain = table.plain.get(token)
    if plain is not None:
        return plain
    joined = table.by_legacy.get(token)
    if not joined:
        return token
    first = joined[0].uuid
    return first if all(pair.uuid == first for pair in joined) else token


def readings(text: str, table: IdTable, pairings: Pairings | None) -> list[str]:
    """The text itself, uuids in lower case, then what it may be called on the other side: ids put as their partners."""
    own = TOKEN.sub(lambda found: found[0].lower() if "-" in found[0] else found[0], text)
    between, ids = TOKEN.split(own), TOKEN.findall(own)
    if len(ids) > _MAX_IDS:
        return [own, translate(text, table)]
    found = [between[0]]
    for id_, after in zip(ids, between[1:], strict=True):
        lower = id_.lower()
        names = [id_]
        names += [pair.uuid for pair in table.by_legacy.get(lower, ())]
        names += [pair.legacy for pair in table.by_uuid.get(lower, ())]
        if pairings is not None:
            names += pairings.partners(lower)
        found = [f"{start}{name}{after}" for name in dict.fromkeys(names) for start in found][:_MAX_READINGS]
    return found
