"""Large and hostile bodies end in seconds and in bounded memory, and what was not found out is said."""

from __future__ import annotations

import json
import random
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from comparators.compare import compare_bodies
from comparators.ids import IdPair, IdTable, Pairings
from comparators.model import Comparison
from comparators.rules import compile_rules
from comparators.spelling import tokens

SECONDS = 8
"""Quadratic work on these bodies takes minutes."""
MANY = 20_000
LEGACIES = [f"65f1a2b3c4d5e6f7{n:08x}" for n in range(MANY)]
UUIDS = [f"{n:08x}-3c5d-4e7f-8a91-b2c3d4e5f601" for n in range(MANY)]
IDS = IdTable.of(IdPair("row", *pair) for pair in zip(LEGACIES, UUIDS, strict=True))
ANY: dict[str, Any] = {"order": {"$..": "any"}}
NEAR: dict[str, Any] = {"tolerate": [{"kind": "number", "epsilon": 0.01}]}


@contextmanager
def seconds(limit: float = SECONDS) -> Iterator[None]:
    start = time.perf_counter()
    yield
    assert time.perf_counter() - start < limit


def compared(primary: Any, shadow: Any, block: Any = None, ids: IdTable = IDS) -> Comparison:
    one, other = (side if isinstance(side, bytes) else json.dumps(side).encode() for side in (primary, shadow))
    with seconds():
        return compare_bodies(one, other, compile_rules([block or {}]), ids)


def kinds(found: Comparison) -> set[str]:
    return {one.kind.value for one in found.differences}


# --- arrays ---

ROWS = [{"_id": f"{n:024x}", "v": n, "k": {"a": n % 7}} for n in range(5_000)]
BARE = [{"v": n, "k": {"a": n % 7}} for n in range(5_000)]
BITS = [n * n % 7 % 2 for n in range(10_000)]
ORDERS = [None, "any", {"key": "v"}, {"sorted_by": "v"}]


@pytest.mark.parametrize("order", ORDERS, ids=["none", "any", "key", "sorted_by"])
@pytest.mark.parametrize("rows", [ROWS, BARE, BITS], ids=["ids", "no ids", "bits"])
def test_reordered_and_changed_arrays(rows: list[Any], order: Any) -> None:
    block = {"order": {"$": order}} if order else {}
    shuffled = random.Random(1).sample(rows, len(rows))
    changed = [{**row, "k": 1} if isinstance(row, dict) else 1 - row for row in shuffled]
    for other in (shuffled, changed):
        compared(rows, other, block, IdTable())


@pytest.mark.parametrize("order", ORDERS, ids=["none", "any", "key", "sorted_by"])
@pytest.mark.parametrize("shape", ["numbers", "rows"])
def test_many_elements_reordered_or_all_different(order: Any, shape: str) -> None:
    block = {"order": {"$": order}} if order else {}
    count = 100_000 if shape == "numbers" else 10_000
    some, others = (
        [n if shape == "numbers" else {"v": n} for n in range(start, start + count)] for start in (0, count)
    )
    turned = compared(some, some[::-1], block)
    sortable = order == {"sorted_by": "v"} and shape == "numbers"
    free = order in ("any", {"key": "v"}) or sortable
    assert [one.kind.value for one in turned.differences] == ([] if free else ["order_changed"])
    assert compared(some, others, block).total >= count


@pytest.mark.parametrize("rows", [False, True], ids=["numbers", "rows"])
def test_many_elements_within_an_epsilon(rows: bool) -> None:
    """Permuted they are equal, moved by less than the epsilon they are too. Both at once may be too much for rows, but
    then it is said."""
    some, near = ([{"v": n + more} if rows else n + more for n in range(3_000)] for more in (0, 0.005))
    mixed = random.Random(1)
    assert compared(some, mixed.sample(some, len(some)), {**NEAR, **ANY}).equal
    assert compared(some, near, {**NEAR, **ANY}).equal
    both = compared(some, mixed.sample(near, len(near)), {**NEAR, **ANY})
    assert both.equal or (rows and both.remarks)
    compared(list(range(50_000)), list(range(50_000))[::-1], {**NEAR, **ANY})
    assert compared(some, some[::-1], NEAR).total <= len(some)


def test_what_exceeds_the_effort_is_said() -> None:
    """Elements that only a trial can join, and too many of them: a wrong answer, if any, comes with a remark."""
    rows = [{"u": LEGACIES[n % 50], "k": n % 3} for n in range(2_000)]
    filled = [{"u": {"id": UUIDS[n % 50]}, "k": n % 3} for n in range(2_000)]
    block = {**ANY, "tolerate": [{"kind": "populated"}]}
    few = compared(rows[:60], filled[:60][::-1], block)
    assert few.equal
    assert not few.remarks
    many = compared(rows, filled[::-1], block)
    assert many.equal or any(remark.startswith("$:") for remark in many.remarks)


def test_no_remark_where_nothing_was_left_open() -> None:
    """Plain values have forms that tell them apart: that all differ is certain."""
    assert compared(list(range(5_000)), list(range(5_000, 10_000)), ANY).remarks == ()


def nest(depth: int, width: int, leaf: Any) -> Any:
    return [nest(depth - 1, width, leaf * width + n) for n in range(width)] if depth else leaf


@pytest.mark.parametrize(
    "more", [{}, NEAR, {"tolerate": [{"kind": "populated"}, {"kind": "case"}]}], ids=["", "near", "populated"]
)
def test_any_within_any_within_any(more: Any) -> None:
    tree = nest(4, 10, 0)
    assert compared(tree, json.loads(json.dumps(tree).replace("[[", "[ [")), {**ANY, **more}).equal
    turned = tree[::-1]
    if more is not NEAR:
        assert compared(tree, turned, {**ANY, **more}).equal
    assert not compared(tree, nest(4, 10, 1), {**ANY, **more}).equal


# --- depth ---


def deep(opening: bytes, levels: int, leaf: bytes) -> bytes:
    return opening * levels + leaf + (b"}" if opening[:1] == b"{" else b"]") * levels


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b"[0,"])
@pytest.mark.parametrize("levels", [199, 200, 201, 900, 100_000])
@pytest.mark.parametrize("block", [{}, ANY, {"ignore": ["$..zz"]}, NEAR], ids=["none", "any", "ignore", "near"])
def test_deep_bodies_are_refused_not_missed(opening: bytes, levels: int, block: Any) -> None:
    left, right = deep(opening, levels, b"1"), deep(opening, levels, b"2")
    found = compared(left, right, block)
    assert kinds(found) == ({"value_changed"} if levels <= 200 else {"unparseable"})
    assert compared(left, left, block).equal
    # What is too deep may still be seen to be equal, and never raises.
    assert kinds(compared(left, left + b" ", block)) <= {"unparseable"}
    assert kinds(compared(left, b"1", block)) <= {"unparseable", "type_changed"}


@pytest.mark.parametrize("block", [{}, ANY], ids=["none", "any"])
def test_much_at_the_bottom_of_deep_arrays(block: Any) -> None:
    left, right = (deep(b"[0,", 150, json.dumps([*BARE[:1_000], {"v": last}]).encode()) for last in (1, 2))
    assert compared(left, right, block).total == 1


@pytest.mark.parametrize("block", [{}, ANY, {"order": {"$..": {"key": "p"}}}], ids=["none", "any", "key"])
@pytest.mark.parametrize("opening", ['{{"p":{},"n":', "[{},"])
def test_much_at_every_level(opening: str, block: Any) -> None:
    """Looking at everything below anew at each level of each trial is cubic in the depth."""
    level = opening.format(json.dumps(list(range(400)))).replace("{{", "{").encode()
    start = time.perf_counter()
    assert compared(deep(level, 190, b"1"), deep(level, 190, b"2"), block).total == 1
    assert time.perf_counter() - start < 1.5


# --- names and texts ---


def test_a_hundred_thousand_names_all_different() -> None:
    left, right = ({f"{side}{n}": n for n in range(100_000)} for side in "ab")
    for block in ({}, {"tolerate": [{"kind": "alias", "names": ["a1", "b1"]}]}):
        found = compared(left, right, block)
        assert found.total == (200_000 if not block else 199_998)
        assert len(found.differences) == 100


@pytest.mark.parametrize("mode", ["mapped", "inferred", "exact"])
def test_many_ids_as_names(mode: str) -> None:
    found = compared(dict.fromkeys(LEGACIES, 1), dict.fromkeys(UUIDS[::-1], 1), {"ids": mode})
    assert found.total == (2 * MANY if mode == "exact" else 0)
    assert compared(dict.fromkeys(LEGACIES, 1), dict.fromkeys(UUIDS, 1), {"ids": mode}, IdTable()).total == 2 * MANY


def test_fifty_thousand_ids() -> None:
    legacies, uuids = (
        [form.format(n) for n in range(50_000)]
        for form in ("65f1a2b3c4d5e6f7{:08x}", "{:08x}-0000-4000-8000-000000000000")
    )
    ids = IdTable.of(IdPair("row", *pair) for pair in zip(legacies, uuids, strict=True))
    left, right = ([{"_id": one, "by": [f"/u/{one}"]} for one in side] for side in (legacies, uuids))
    assert compared(left, right, {}, ids).equal
    assert kinds(compared(left, right[::-1], {}, ids)) == {"order_changed"}
    assert compared(left, right[::-1], ANY, ids).equal
    assert compared(left, right, {"ids": {"entities": {"$..by[*]": "other"}}}, ids).total == 50_000
    assert compared(left, right, {"ids": "inferred"}, IdTable()).equal


@pytest.mark.parametrize("reordered", [False, True])
def test_twenty_thousand_unknown_ids_are_inferred(reordered: bool) -> None:
    left, right = ([{"_id": one, "n": n} for n, one in enumerate(side)] for side in (LEGACIES, UUIDS))
    found = compared(left, right[::-1] if reordered else right, {"ids": "inferred", **ANY}, IdTable())
    assert found.equal
    assert len(found.inferred) == MANY


TEXTS = {
    "hex digits": ("a" * 100_000, "a" * 99_999 + "b"),
    "ids": (" ".join(LEGACIES), " ".join(UUIDS[::-1])),
    "ids and dots": (".".join(LEGACIES), "..".join(UUIDS)),
    "digits": ("1" * 100_000, "1" * 99_999 + "2"),
    "a decimal": ("1." + "0" * 100_000, "1." + "0" * 99_999 + "1"),
    "blanks": (" " * 100_000, " " * 99_999 + "x"),
    "hyphens": ("-" * 100_000, "-" * 99_999 + "0"),
    "letters": ("ß" * 50_000, "ss" * 49_999 + "x"),
    "a date": ("2026-01-15T20:43:05." + "0" * 100_000 + "Z", "2026-01-15T20:43:05.0Z"),
    "braces": ("{" * 100_000, "}" * 100_000),
}


@pytest.mark.parametrize("texts", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("shape", ["value", "name", "any"])
def test_long_texts(texts: tuple[str, str], shape: str) -> None:
    left, right = ({text: 1} if shape == "name" else [text, text[:-1]] for text in texts)
    tolerated = [
        {"kind": kind} for kind in ("case", "whitespace", "decimal_scale", "number_string", "date_format", "empty")
    ]
    for block in ({}, {**ANY, "tolerate": tolerated}):
        assert not compared(left, right, block).equal
        assert compared(left, left, block).equal


def test_ids_as_long_as_the_text_are_joined() -> None:
    assert compared([" ".join(LEGACIES)], [" ".join(UUIDS)]).equal
    assert compared({" ".join(LEGACIES): 1}, {" ".join(UUIDS): 1}).equal


@pytest.mark.parametrize("number", ["1" * 4_300, "1." + "1" * 4_299, "1e999999", "-1e-999999", "0e999999"])
def test_numbers_as_long_as_they_may_be(number: str) -> None:
    everything = {
        "tolerate": [{"kind": kind} for kind in ("number_string", "decimal_scale")] + NEAR["tolerate"],
        **ANY,
    }
    for block in ({}, everything):
        for other in ("1", "0", f'"{number}"', "2" * 4_300, "-1e999999", "1e-999999", "true", "[]"):
            left, right = (f'[{one}, {{"n": {one}}}]'.encode() for one in (number, other))
            assert compared(left, right, block).equal is compared(right, left, block).equal
            if other in ("true", "[]", "2" * 4_300):
                assert not compared(left, right, block).equal


# --- memory ---


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ([n + 0.5 for n in range(3_000)], [n + 0.25 for n in range(3_000)]),
        ([[n] for n in range(100)], [[-n] for n in range(100)]),
        ({f"a{n}": None for n in range(3_000)}, {f"b{n}": None for n in range(3_000)}),
        ([{"v": n} for n in range(3_000)], [{"v": n} for n in range(3_000)][::-1]),
        ([LEGACIES[n] for n in range(2_000)], [UUIDS[n] for n in range(2_000)][::-1]),
    ],
    ids=["decimals", "arrays", "names", "rows", "ids"],
)
@pytest.mark.parametrize("block", [{}, ANY], ids=["none", "any"])
def test_memory_is_bounded_by_the_bodies(left: Any, right: Any, block: Any) -> None:
    one, other = (json.dumps(side).encode() for side in (left, right))
    rules = compile_rules([block])
    tracemalloc.start()
    try:
        compare_bodies(one, other, rules, IDS)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000 + 150 * (len(one) + len(other))
    finally:
        tracemalloc.stop()


def test_nothing_grows_from_one_comparison_to_the_next() -> None:
    """Rules outlive comparisons: what strange names make them remember has to stay small."""
    rules = compile_rules([{
        "order": {"$..a": "any", "$.b[0].c": {"key": "id"}}, "ignore": ["$..n", "$.x.*.y"], **NEAR,
        "ids": {"entities": {"$..id": "row"}},
    }])  # fmt: skip

    def once(number: int) -> None:
        left, right = (
            json.dumps({f"k{number}.{n}": [{f"q{number}": {"a": [n], "x": {f"{n}": {"y": last}}}}] for n in range(50)})
            for last in (1, 2)
        )  # fmt: skip
        compare_bodies(left.encode(), right.encode(), rules, IDS)

    for number in range(5):
        once(number)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(5, 60):
            once(number)
        assert tracemalloc.get_traced_memory()[0] - before < 50_000
    finally:
        tracemalloc.stop()


# --- ids ---

LEGACY, OTHER = "65f1a2b3c4d5e6f708192a01", "65f1a2b3c4d5e6f708192a02"
UUID, ANOTHER = "0b8e6a10-3c5d-4e7f-8a91-b2c3d4e5f601", "0b8e6a10-3c5d-4e7f-8a91-b2c3d4e5f602"


def test_inferred_pairs_hold_from_one_comparison_to_the_next() -> None:
    pairings, rules = Pairings(), compile_rules([{"ids": "inferred"}])

    def inferred(primary: Any, shadow: Any) -> Any:
        return compare_bodies(
            json.dumps(primary).encode(), json.dumps(shadow).encode(), rules, IdTable(), pairings=pairings
        )

    assert not inferred({"a": LEGACY, "n": 1}, {"a": ANOTHER, "n": 2}).equal
    assert len(pairings) == 0, "what differs is not believed"
    first = inferred([LEGACY], [UUID])
    assert first.equal
    assert first.inferred == ((LEGACY, UUID),)
    assert inferred([LEGACY], [UUID]).inferred == ()
    for primary, shadow in ((LEGACY, ANOTHER), (OTHER, UUID)):
        assert [d.kind.value for d in inferred([primary], [shadow]).differences] == ["id_mismatch"]
    assert len(pairings) == 1


def test_no_more_pairs_are_believed_than_the_limit() -> None:
    pairings = Pairings(limit=1)
    assert pairings.join("", LEGACY, UUID) == "inferred"
    assert pairings.join("", OTHER, ANOTHER) == "unmapped"
    assert pairings.join("", LEGACY, UUID) == "same"


def test_tokens_are_found_behind_and_inside_escapes() -> None:
    body = f'{{"\\u002f{LEGACY}":"\\/{UUID.upper()}","h":"\\u0036{OTHER[1:]}","no":"0{LEGACY}"}}'
    assert tokens(body.encode()) == {LEGACY, UUID, OTHER}
    assert IdTable.of([IdPair("user", LEGACY, UUID)]).by_uuid[UUID][0].legacy == LEGACY
