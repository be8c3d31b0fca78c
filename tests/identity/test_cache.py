"""The memory of answers: what it gives back, what it forgets, and that it stays small."""

from __future__ import annotations

import gc
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comparators.ids import IdPair, IdTable
from proxy.identity import IdentityError, Row
from proxy.identity.cache import Cache
from proxy.identity.packed import MAX_NAMES, MAX_TICKS, TICKS
from proxy.identity.table import Gathering
from tests.identity.conftest import legacy, uuid


def row(n: int, m: int | None = None, entity: str = "user", source: str = "table users") -> Row:
    return Row(source, IdPair(entity, legacy(n), uuid(n if m is None else m)))


def known(cache: Cache, *tokens: str, hits_since: float = 0.0, misses_since: float = 0.0) -> tuple[IdTable, set[str]]:
    found = Gathering()
    unknown = cache.gather(tokens, found, hits_since=hits_since, misses_since=misses_since)
    return found.table(), set(unknown)


def test_an_answer_holds_until_it_is_too_old() -> None:
    cache = Cache(100, 0.0)
    cache.put({legacy(1): [row(1)], legacy(2): []}, 5.0)
    table, unknown = known(cache, legacy(1), legacy(2), legacy(3), hits_since=5.0, misses_since=5.0)
    assert (table, unknown) == (IdTable.of([row(1).pair]), {legacy(3)})
    assert known(cache, legacy(1), legacy(2), hits_since=5.0, misses_since=5.1) == (table, {legacy(2)})
    assert known(cache, legacy(1), legacy(2), hits_since=5.001, misses_since=5.0) == (IdTable(), {legacy(1)})
    assert known(cache, legacy(1), legacy(2), misses_since=float("inf"))[1] == {legacy(2)}
    assert cache.rows(legacy(1)) == [row(1)], "whatever its age"


def test_age_is_kept_when_an_answer_passes_from_one_generation_to_the_next() -> None:
    cache = Cache(4, 0.0)
    cache.put({legacy(n): [row(n)] for n in range(4)}, 1.0)
    cache.put({legacy(9): [row(9)]}, 2.0)
    assert known(cache, legacy(0), hits_since=0.5)[1] == set()
    assert known(cache, legacy(0), hits_since=1.5)[1] == {legacy(0)}


def test_what_is_asked_for_outlives_what_is_not() -> None:
    cache = Cache(50, 0.0)
    cache.put({legacy(0): [row(0)]}, 0.0)
    for n in range(1, 1000):
        cache.put({legacy(n): [row(n)]}, 0.0)
        assert known(cache, legacy(0))[1] == set()
        assert len(cache) <= 100
        assert len(cache._young) + len(cache._old) + len(cache._gone) <= 100, "what goes is let go in time"
    assert known(cache, legacy(1), legacy(999))[1] == {legacy(1)}


def test_an_answer_with_many_pairs_weighs_as_many() -> None:
    cache = Cache(100, 0.0)
    for n in range(0, 1000, 10):
        cache.put({uuid(n): [row(m, n) for m in range(n, n + 10)]}, 0.0)
        assert len(cache) <= 20
    assert len(known(cache, uuid(990))[0].by_legacy) == 10


def test_an_answer_that_alone_is_too_heavy_is_still_given() -> None:
    cache = Cache(2, 0.0)
    cache.put({uuid(1): [row(n, 1) for n in range(50)]}, 0.0)
    assert len(known(cache, uuid(1))[0].by_legacy) == 50


def test_forgetting() -> None:
    cache = Cache(2, 0.0)
    cache.put({legacy(n): [row(n)] for n in range(3)}, 0.0)
    for n in range(3):
        cache.forget(legacy(n))
        cache.forget(legacy(n))
    assert len(cache) == 0
    assert known(cache, legacy(0))[1] == {legacy(0)}


def test_after_years_it_begins_anew() -> None:
    cache = Cache(10, 0.0)
    cache.put({legacy(1): [row(1)]}, 0.0)
    late = MAX_TICKS / TICKS + 1
    assert known(cache, legacy(1), hits_since=late)[1] == {legacy(1)}
    cache.put({legacy(2): [row(2)]}, late)
    assert known(cache, legacy(2), hits_since=late)[1] == set()
    assert len(cache) == 1


def test_entities_that_come_and_go_do_not_fill_it_for_good() -> None:
    cache = Cache(10 * MAX_NAMES, 0.0)
    cache.put({legacy(n): [row(n, entity=f"e{n}")] for n in range(MAX_NAMES)}, 0.0)
    cache.put({legacy(7): [row(7, entity="one more")]}, 1.0)
    assert cache.rows(legacy(7)) == [row(7, entity="one more")]
    assert len(cache) == 1
    with pytest.raises(IdentityError, match="over 4096 entities"):
        cache.put({legacy(n): [row(n, entity=f"e{n}")] for n in range(MAX_NAMES + 1)}, 1.0)


def test_held_rows_add_up() -> None:
    cache = Cache(10**9, 0.0)
    assert cache.hold([row(1), row(2), row(1), row(1, source="file x")]) == []
    several = cache.hold([row(3, 1)])
    assert set(several) == {row(1), row(3, 1)}
    assert set(cache.rows(uuid(1))) == {row(1), row(3, 1)}


numbers = st.integers(0, 6)
pairs = st.builds(IdPair, st.sampled_from(["user", "seller", "é" * 50]), numbers.map(legacy), numbers.map(uuid))


@given(st.lists(pairs, max_size=12), st.sets(numbers), st.integers(1, 20), st.booleans())
def test_it_gives_what_the_rows_say(rows: list[IdPair], asked: set[int], room: int, again: bool) -> None:
    """The table is that of all pairs of the ids that are known, and with room enough all are."""
    cache = Cache(room, 0.0)
    tokens = {name(n) for n in asked for name in (legacy, uuid)}
    answers = {token: [Row("table t", pair) for pair in rows if token in pair] for token in tokens}
    for _ in range(1 + again):
        cache.put(answers, 1.0)
    table, unknown = known(cache, *tokens)
    assert unknown <= tokens
    if sum(max(1, 2 * len(found)) for found in answers.values()) < room:
        assert not unknown
    whole = IdTable.of(dict.fromkeys(row.pair for token in tokens - unknown for row in answers[token]))
    assert _sets(table) == _sets(whole)
    assert (table.plain, table.one_to_one) == (whole.plain, whole.one_to_one)


def _sets(table: IdTable) -> dict[str, set[IdPair]]:
    assert all(len(set(found)) == len(found) for found in table.by_legacy.values())
    return {token: set(found) for of in (table.by_legacy, table.by_uuid) for token, found in of.items()}


def test_an_id_takes_less_than_three_hundred_bytes() -> None:
    """A million in under 300 MB; what does not grow with them is left out by taking many."""
    count = 50_000
    rows = [Row("table id_map", IdPair("listing", legacy(n), uuid(n))) for n in range(count // 2)]
    gc.collect()
    tracemalloc.start()
    try:
        cache = Cache(count, 0.0)
        while rows:
            one = rows.pop()
            # Texts of their own, as they come out of a database and out of a body.
            cache.put({legacy(int(one.pair.legacy, 16)): [one], "".join(one.pair.uuid): [one]}, 0.0)
        taken = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert len(cache) == count
    assert taken / count < 300
    assert not gc.is_tracked(cache._young), "the garbage collector need not look at a million texts"


def test_the_version_changes_with_what_is_known_and_with_nothing_else() -> None:
    cache = Cache(100, 0.0)
    cache.put({legacy(1): [row(1)], legacy(2): []}, 1.0)
    first = cache.version
    cache.put({legacy(1): [row(1)], legacy(2): []}, 2.0)
    cache.put({legacy(3): [row(3)]}, 2.0)
    assert cache.version == first, "the same again, and what was not known before"
    cache.put({legacy(2): [row(2)]}, 3.0)
    second = cache.version
    assert second != first, "a row for an id that had none"
    cache.put({legacy(1): [row(1, 9)]}, 4.0)
    third = cache.version
    assert third != second, "another row"
    cache.forget(legacy(1))
    fourth = cache.version
    assert fourth != third
    cache.forget(legacy(1))
    assert cache.version == fourth, "what is not known cannot be forgotten"


def test_answers_are_good_until_the_first_of_them_is_too_old() -> None:
    cache = Cache(100, 0.0)
    cache.put({legacy(1): [row(1)]}, 5.0)
    cache.put({legacy(2): [row(2)]}, 7.0)
    cache.put({legacy(3): []}, 6.0)
    ages = {"hit_age": 60.0, "miss_age": 1.0}
    assert cache.good_until([legacy(1), legacy(2)], **ages) == 65.0
    assert cache.good_until([legacy(2)], **ages) == 67.0
    assert cache.good_until([legacy(1), legacy(3)], **ages) == 7.0
    assert cache.good_until([legacy(1), legacy(4)], **ages) == float("-inf")
    assert cache.good_until([], **ages) == float("inf")


def test_the_version_changes_when_answers_are_let_go() -> None:
    cache = Cache(10, 0.0)
    cache.put({legacy(0): [row(0)]}, 0.0)
    first = cache.version
    for n in range(1, 30):
        cache.put({legacy(n): [row(n)]}, 0.0)
    assert cache.rows(legacy(0)) == []
    assert cache.version != first, "what comes next may be another answer, with nothing to hold it against"
