"""Ids of the two stores: what an id looks like, how it is spelled, and which ones are joined."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

LEGACY = re.compile(r"[0-9a-fA-F]{24}")
UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
TOKEN = re.compile(
    r"(?<![0-9a-fA-F])(?:[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{24})(?![0-9a-fA-F])"
)
"""An id as a whole value or inside a longer text, never a part of a longer run of hex digits."""

TOKEN_BYTES = re.compile(TOKEN.pattern.encode())

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

    @classmethod
    def of(cls, pairs: Iterable[IdPair]) -> IdTable:
        by_legacy: dict[str, tuple[IdPair, ...]] = {}
        by_uuid: dict[str, tuple[IdPair, ...]] = {}
        for pair in pairs:
            by_legacy[pair.legacy] = (*by_legacy.get(pair.legacy, ()), pair)
            by_uuid[pair.uuid] = (*by_uuid.get(pair.uuid, ()), pair)
        return cls(by_legacy, by_uuid)


class Pairings:
    """Pairs taken on trust under `ids: inferred`: one to one within an entity, for as long as this object lives.

    Bounded: past `limit` pairs nothing new is believed.
    """

    def __init__(self, limit: int = 100_000) -> None:
        self._limit = limit
        self._forward: dict[tuple[str, str], str] = {}
        self._back: dict[tuple[str, str], str] = {}
        self._uuids: set[str] = set()

    def __len__(self) -> int:
        return len(self._forward)

    def partner(self, entity: str, legacy: str) -> str | None:
        return self._forward.get((entity, legacy))

    def owns(self, uuid: str) -> bool:
        """Whether some legacy id of any entity was joined to `uuid`."""
        return uuid in self._uuids

    def join(self, entity: str, legacy: str, uuid: str) -> Judgement:
        known = self._forward.get((entity, legacy))
        back = self._back.get((entity, uuid))
        if known == uuid and back == legacy:
            return "same"
        if known is not None or back is not None:
            return "mismatch"
        if len(self._forward) >= self._limit:
            return "unmapped"
        self._forward[entity, legacy] = uuid
        self._back[entity, uuid] = legacy
        self._uuids.add(uuid)
        return "inferred"


def tokens(body: bytes) -> set[str]:
    """Every id-like token of a body, lower case: what to ask the id map for."""
    return {found.decode().lower() for found in TOKEN_BYTES.findall(body)}


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

    A legacy id that several entities join to different uuids is left alone.
    """
    return TOKEN.sub(lambda found: canonical(found[0].lower(), table), text)


def canonical(token: str, table: IdTable) -> str:
    """The uuid of a lower-case token where the map has exactly one, else the token itself."""
    joined = table.by_legacy.get(token)
    if not joined:
        return token
    first = joined[0].uuid
    return first if all(pair.uuid == first for pair in joined) else token
