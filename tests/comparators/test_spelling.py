"""Bodies with ids in one spelling: what is put in, what is left alone, and that nothing is lost by it."""

from __future__ import annotations

import json
import random
import time
from typing import Any

import pytest

from comparators.compare import compare_bodies
from comparators.decode import decode
from comparators.ids import IdPair, IdTable, Pairings
from comparators.rules import compile_rules
from comparators.spelling import restored, with_uuids
from tests.comparators.fuzz.making import PAIRS, draw

_, LEGACY, UUID = PAIRS[0]
_, OTHER, OTHER_UUID = PAIRS[1]
_, B_LEGACY, B_UUID = PAIRS[3]
F_LEGACY, F_UUID = "f5f1a2b3c4d5e6f708192a05", "f8e6a100-3c5d-4e7f-8a91-b2c3d4e5f605"
KNOWN = {legacy: uuid for _, legacy, uuid in PAIRS} | {F_LEGACY: F_UUID}
TABLE = IdTable.of([IdPair(*pair) for pair in PAIRS] + [IdPair("user", F_LEGACY, F_UUID)])
UNKNOWN = "65f1a2b3c4d5e6f708192aff"


def put(text: str) -> str:
    return with_uuids(text.encode(), KNOWN.get).body.decode()


@pytest.mark.parametrize(
    ("text", "after"),
    [
        (f'"{LEGACY}"', f'"{UUID}"'),
        (LEGACY, UUID),
        (f'{{"{LEGACY}":["{OTHER}"]}}', f'{{"{UUID}":["{OTHER_UUID}"]}}'),
        (f'["/u/{LEGACY}/é.png?by={OTHER}"]', f'["/u/{UUID}/é.png?by={OTHER_UUID}"]'),
        (f'["{LEGACY}","{UNKNOWN}","{LEGACY}"]', f'["{UUID}","{UNKNOWN}","{UUID}"]'),
        (f'["{LEGACY}g{OTHER}xx"]', None),
        (f'["\\n{LEGACY}\\"{OTHER}\\/"]', f'["\\n{UUID}\\"{OTHER_UUID}\\/"]'),
        (f'["{LEGACY}","{OTHER_UUID}"]', f'["{UUID}","{OTHER_UUID}"]'),
    ],
)
def test_known_object_ids_are_put_as_their_uuids(text: str, after: str | None) -> None:
    if after is None:
        # Of two ids with one character between them at least one is put; the walk sees to the other.
        assert UUID in put(text) or OTHER_UUID in put(text)
    else:
        assert put(text) == after
    spelled = with_uuids(text.encode(), KNOWN.get)
    assert all(KNOWN[legacy] == uuid for uuid, legacy in spelled.back.items())


@pytest.mark.parametrize(
    "text",
    [
        f'["{UNKNOWN}"]',
        f'["{LEGACY.upper()}"]',
        f'["0{LEGACY}"]',
        f'["{LEGACY}a"]',
        f'["A{LEGACY}"]',
        f'["{LEGACY}F"]',
        f'["{LEGACY[:23]}"]',
        f'["{UUID}"]',
        f'["{LEGACY}","{UUID}"]',
        f'{{"{LEGACY}":1,"{UUID}":2}}',
        f'["{LEGACY}","\\u{LEGACY}"]',
        f'["\\{B_LEGACY}"]',
        f'["\\{F_LEGACY}"]',
        f'{{"{LEGACY}":1,"\\u0030{UUID[1:]}":2}}',
        f'{{"{LEGACY}":1,"{UUID[:8]}\\u002d{UUID[9:]}":2}}',
    ],
)
def test_what_is_no_known_id_or_could_not_be_undone_is_left_alone(text: str) -> None:
    spelled = with_uuids(text.encode(), KNOWN.get)
    assert spelled.body == text.encode()
    assert not spelled.back


def test_what_was_put_in_can_be_undone() -> None:
    for seed in range(2_000):
        one = draw(random.Random(seed))
        for body in (one.primary, one.shadow):
            spelled = with_uuids(body, KNOWN.get)
            assert restored(decode(spelled.body), spelled.back) == decode(body), body


def said(primary: Any, shadow: Any, block: dict[str, Any] | None = None) -> list[tuple[str, str]]:
    one, other = (side if isinstance(side, bytes) else json.dumps(side).encode() for side in (primary, shadow))
    found = compare_bodies(one, other, compile_rules([block or {}]), TABLE)
    return [(one.path, one.kind.value) for one in found.differences]


def test_hex_digits_behind_an_escape_are_no_id() -> None:
    """`\\b` and `\\f` end in a hex digit, and so does the code of a character."""
    for legacy, uuid in ((B_LEGACY, B_UUID), (F_LEGACY, F_UUID)):
        assert said(f'["\\{legacy}"]'.encode(), f'["\\{uuid}"]'.encode()) == [("$[0]", "value_changed")]
        assert said(f'["\\{legacy}"]'.encode(), f'["\\{legacy}" ]'.encode()) == []
        assert said(f'["\\{legacy}", "{LEGACY}"]'.encode(), f'["\\{legacy}","{UUID}"]'.encode()) == []
    code = f"00{LEGACY[:22]}"
    table = IdTable.of([IdPair("user", code, UUID)])
    one, other = (f'["\\u{name}"]'.encode() for name in (code, UUID))
    assert not compare_bodies(one, other, compile_rules([{}]), table).equal


def test_two_names_do_not_become_one() -> None:
    for name in (UUID, f"\\u0030{UUID[1:]}", f"{UUID[:8]}\\u002d{UUID[9:]}", UUID.replace("e", "\\u0065", 1)):
        both = f'{{"{LEGACY}":1,"{name}":2}}'.encode()
        assert said(both, {UUID: 2}) == [(f"$['{LEGACY}']", "missing")], name
        assert said({UUID: 2}, both) == [(f"$['{LEGACY}']", "added")], name
        assert said(both, both + b" ") == [], name


def test_differences_show_what_stood_in_the_bodies() -> None:
    found = compare_bodies(
        json.dumps({LEGACY: {"by": f"/u/{OTHER}", "n": [LEGACY], "gone": {LEGACY: OTHER}}}).encode(),
        json.dumps({UUID: {"by": f"/u/{UUID}", "n": LEGACY}, OTHER: 1}).encode(),
        compile_rules([{}]),
        TABLE,
    )
    assert {one.path: (one.kind.value, one.primary, one.shadow) for one in found.differences} == {
        f"$['{LEGACY}'].by": ("id_mismatch", f"/u/{OTHER}", f"/u/{UUID}"),
        f"$['{LEGACY}'].n": ("type_changed", [LEGACY], LEGACY),
        f"$['{LEGACY}'].gone": ("missing", {LEGACY: OTHER}, None),
        f"$['{OTHER}']": ("added", None, 1),
    }


def test_an_id_that_the_map_has_learnt_outweighs_what_was_believed() -> None:
    """A pair taken on trust before the map knew better does not make another row's uuid the same."""
    pairings, rules = Pairings(), compile_rules([{"ids": "inferred"}])
    one, other = (json.dumps([side]).encode() for side in (UNKNOWN, UUID))
    assert compare_bodies(one, other, rules, IdTable(), pairings=pairings).inferred == ((UNKNOWN, UUID),)
    table = IdTable.of([IdPair("user", LEGACY, UUID)])
    one, other = (json.dumps(side).encode() for side in ([LEGACY, UNKNOWN], [UUID, UUID]))
    found = compare_bodies(one, other, rules, table, pairings=pairings)
    assert [(one.path, one.kind.value) for one in found.differences] == [("$[1]", "id_mismatch")]


@pytest.mark.parametrize(
    "run", ["a" * 500_000, "ab12" * 100_000, f"{LEGACY}0" * 20_000, f"{LEGACY}." * 20_000, "-" * 500_000]
)
def test_long_runs_take_linear_time(run: str) -> None:
    start = time.perf_counter()
    with_uuids(f'["{run}"]'.encode(), KNOWN.get)
    assert time.perf_counter() - start < 3
