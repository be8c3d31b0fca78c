"""Pairs seen equal: found again only when everything that a comparison looks at is the same."""

from __future__ import annotations

from typing import Any

import pytest

from comparators.model import Tolerated
from comparators.rules import compile_rules
from proxy.model import Headers, Observation, Side
from proxy.verify.memo import ENTRY_BYTES, Entry, Memo, Ruled, outside_of

JSON: Headers = ((b"Content-Type", b"application/json"), (b"Date", b"now"))
RULED = Ruled(compile_rules([]), frozenset({b"content-type", b"location"}))
ROUTE = "GET /api/things/{id}"


def seen(side: Side, body: bytes, headers: Headers = JSON, status: int = 200) -> Observation:
    return Observation(side, status, headers, body)


def remembered(memo: Memo, primary: Observation, shadow: Observation, *, until: float = 100.0, ids: int = 0) -> None:
    outside = outside_of(primary, shadow, RULED.names, head_only=False)
    memo.add(ROUTE, Entry(RULED.rules, outside, primary, shadow, ids, until, (Tolerated("case", "$.a", 1),)))


def find(memo: Memo, primary: Observation, shadow: Observation, ruled: Ruled = RULED, **other: Any) -> Entry | None:
    asked = {"route": ROUTE, "head_only": False, "ids": 0, "now": 50.0, **other}
    return memo.find(asked.pop("route"), ruled, primary, shadow, **asked)


ONE, TWO = seen(Side.PRIMARY, b'{"a":1}'), seen(Side.SHADOW, b'{"a": 1}')


def test_the_same_pair_is_found_with_what_was_tolerated() -> None:
    memo = Memo(40_000)
    assert find(memo, ONE, TWO) is None
    remembered(memo, ONE, TWO)
    kept = find(memo, ONE, TWO)
    assert kept is not None
    assert kept.tolerated == (Tolerated("case", "$.a", 1),)
    assert (memo.hits, memo.misses) == (1, 1)


@pytest.mark.parametrize(
    ("primary", "shadow", "other"),
    [
        (seen(Side.PRIMARY, b'{"a":2}'), TWO, {}),
        (ONE, seen(Side.SHADOW, b'{"a":  1}'), {}),
        (seen(Side.PRIMARY, b'{"a":1}', status=201), TWO, {}),
        (ONE, seen(Side.SHADOW, b'{"a": 1}', status=404), {}),
        (ONE, seen(Side.SHADOW, b'{"a": 1}', (*JSON, (b"LOCATION", b"/x"))), {}),
        (seen(Side.PRIMARY, b'{"a":1}', ((b"Content-Type", b"text/plain"), JSON[1])), TWO, {}),
        (ONE, TWO, {"ids": 1}),
        (ONE, TWO, {"now": 100.0}),
        (ONE, TWO, {"head_only": True}),
        (ONE, TWO, {"route": "GET /api/others/{id}"}),
        (ONE, TWO, {"ruled": Ruled(compile_rules([]), RULED.names)}),
    ],
    ids=[
        "primary body", "shadow body", "primary status", "shadow status", "named field", "media type", "ids", "age",
        "HEAD", "route", "rules",
    ],
)  # fmt: skip
def test_any_other_pair_is_not(primary: Observation, shadow: Observation, other: dict[str, Any]) -> None:
    memo = Memo(40_000)
    remembered(memo, ONE, TWO)
    assert find(memo, primary, shadow, **other) is None
    assert find(memo, ONE, TWO) is not None


def test_fields_that_no_rule_names_may_differ() -> None:
    memo = Memo(40_000)
    remembered(memo, ONE, TWO)
    later = (JSON[0], (b"Date", b"later"))
    assert find(memo, seen(Side.PRIMARY, ONE.body or b"", later), seen(Side.SHADOW, TWO.body or b"", later))
    assert find(memo, seen(Side.PRIMARY, ONE.body or b"", later), TWO)
    moved = (*later, (b"Location", b"/x"))
    assert find(memo, seen(Side.PRIMARY, ONE.body or b"", moved), TWO) is None


def test_it_holds_as_many_bytes_as_it_may_and_drops_what_was_found_longest_ago() -> None:
    pairs = [(seen(Side.PRIMARY, b"%0100d" % n), seen(Side.SHADOW, b"%099d " % n)) for n in range(10)]
    one = Memo(1_000_000)
    remembered(one, *pairs[0])
    assert one.bytes > ENTRY_BYTES + 200
    memo = Memo(8 * one.bytes)
    for pair in pairs[:8]:
        remembered(memo, *pair)
    assert (len(memo), memo.bytes) == (8, memo.limit)
    assert find(memo, *pairs[0])
    for pair in pairs[8:]:
        remembered(memo, *pair)
    assert (len(memo), memo.bytes) == (8, memo.limit)
    found = [number for number, pair in enumerate(pairs) if find(memo, *pair)]
    assert found == [0, 3, 4, 5, 6, 7, 8, 9]


def test_a_pair_takes_the_place_of_its_older_self() -> None:
    memo = Memo(40_000)
    remembered(memo, ONE, TWO)
    size = memo.bytes
    remembered(memo, ONE, TWO, ids=1)
    assert (len(memo), memo.bytes) == (1, size)
    assert find(memo, ONE, TWO, ids=1)


def test_a_pair_that_would_drive_out_the_others_is_not_kept() -> None:
    memo = Memo(40_000)
    remembered(memo, seen(Side.PRIMARY, b"x" * 4_000), TWO)
    assert (len(memo), memo.bytes) == (0, 0)
    none = Memo(0)
    remembered(none, ONE, TWO)
    assert find(none, ONE, TWO) is None


def test_fields_that_grow_are_not_kept() -> None:
    memo = Memo(40_000)
    remembered(memo, ONE, TWO)
    for size, kept in ((20, True), (30_000, False)):
        grown = ONE._replace(headers=(*JSON[:1], (b"Date", b"x" * size)))
        entry = find(memo, grown, TWO)
        assert entry is not None, "no rule names the field"
        assert (entry.seen[0] is grown.headers) is kept
