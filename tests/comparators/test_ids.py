"""Ids in every spelling, and pairs that are believed until the map says otherwise."""

from __future__ import annotations

import json
from typing import Any

import pytest

from comparators.compare import compare_bodies
from comparators.ids import IdPair, IdTable, Pairings, both_ids, whole
from comparators.rules import compile_rules

LEGACY, OTHER = "65f1a2b3c4d5e6f708192a01", "65f1a2b3c4d5e6f708192a02"
UUID, ANOTHER = "0b8e6a10-3c5d-4e7f-8a91-b2c3d4e5f601", "0b8e6a10-3c5d-4e7f-8a91-b2c3d4e5f602"
BARE = UUID.replace("-", "")
TABLE = IdTable.of([IdPair("user", LEGACY, UUID), IdPair("user", OTHER, ANOTHER)])
SPELLINGS = [UUID, UUID.upper(), f"{{{UUID}}}", f"{{{UUID.upper()}}}", BARE, BARE.upper(), f"{{{BARE}}}"]


def kinds(primary: Any, shadow: Any, table: IdTable = TABLE, **block: Any) -> list[str]:
    found = compare_bodies(json.dumps(primary).encode(), json.dumps(shadow).encode(), compile_rules([block]), table)
    return [difference.kind.value for difference in found.differences]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_uuid_is_known_in_every_spelling(spelling: str) -> None:
    assert whole(spelling) == UUID
    assert kinds({"a": LEGACY}, {"a": spelling}) == []
    assert kinds({"a": spelling}, {"a": LEGACY}) == []
    assert kinds({"a": UUID}, {"a": spelling}) == []
    assert kinds({"a": OTHER}, {"a": spelling}) == ["id_mismatch"]
    assert kinds({"a": LEGACY}, {"a": spelling}, IdTable()) == ["id_unmapped"]
    # An id is the same string or none where ids are plain text.
    assert (kinds({"a": UUID}, {"a": spelling}, ids="exact") == []) is (spelling == UUID)


@pytest.mark.parametrize(
    "text", [f"{{{UUID}", f"{UUID}}}", UUID[:-1], f"{UUID}0", BARE[:-1], f"{{{LEGACY}}}", f" {UUID}", ""]
)
def test_what_is_no_id(text: str) -> None:
    assert whole(text) is None


def test_two_digests_are_no_ids() -> None:
    assert both_ids(BARE, BARE.upper()) is None
    assert kinds({"md5": BARE}, {"md5": BARE.upper()}) == ["case"]
    assert both_ids(BARE, UUID) == (UUID, UUID)


def test_ids_inside_texts_that_differ_besides() -> None:
    assert kinds({"u": f"/A/{LEGACY}/x"}, {"u": f"/a/{UUID}/x"}) == ["case"]
    assert kinds({"u": f"/a/{LEGACY}/x"}, {"u": f"/b/{UUID}/x"}) == ["value_changed"]
    assert kinds({"u": f"/A/{LEGACY}"}, {"u": f"/a/{ANOTHER}"}) == ["value_changed"]


def test_a_pair_that_was_believed_yields_to_the_map() -> None:
    rules, pairings = compile_rules([{"ids": "inferred"}]), Pairings()

    def compared(primary: list[str], shadow: list[str], table: IdTable) -> list[str]:
        bodies = json.dumps(primary).encode(), json.dumps(shadow).encode()
        return [d.path for d in compare_bodies(*bodies, rules, table, pairings=pairings).differences]

    assert compared([OTHER], [UUID], IdTable()) == []
    assert compared([OTHER], [UUID], IdTable()) == []
    assert len(pairings) == 1
    since = IdTable.of([IdPair("user", LEGACY, UUID)])
    assert compared([OTHER, LEGACY], [UUID, UUID], since) == ["$[0]"]


def test_two_ids_that_share_a_partner_are_not_each_other() -> None:
    shared = IdTable.of([IdPair("user", LEGACY, UUID), IdPair("user", OTHER, UUID)])
    assert shared.plain == {}
    assert kinds([LEGACY, OTHER], [UUID, UUID], shared) == []
    assert kinds([LEGACY], [OTHER], shared) == ["id_mismatch"]
    assert IdTable.of([IdPair("user", LEGACY, UUID), IdPair("author", LEGACY, UUID)]).plain == {LEGACY: UUID}
