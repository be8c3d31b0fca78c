"""What examinations found is summed for each window, within bounds."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable

import pytest

from comparators.fields import OTHER_PATHS
from proxy.ledger import Ledger, examined, schema
from proxy.window import DamageCount, FieldCount
from tests.ledger.support import Home, opened, reading

ROUTE = "GET /u"


def seen_field(path: str, looked: int = 1, valued: int = 1, route: str = ROUTE) -> FieldCount:
    return FieldCount(route, path, looked, looked, 0, looked - valued, valued)


def damage(path: str, sort: str = "text", tried: int = 1, seen: int = 1, rule: str = "") -> DamageCount:
    return DamageCount(ROUTE, path, sort, tried, seen, rule)


@pytest.fixture
async def ledger(home: Home) -> AsyncIterator[Ledger]:
    async with opened(home / "a.db") as made:
        yield made


async def add(
    ledger: Ledger, window: str, fields: Iterable[FieldCount] = (), damages: Iterable[DamageCount] = ()
) -> None:
    await ledger.write(lambda c: examined.add(c, window, fields, damages, domain="users"))


async def fields_of(ledger: Ledger, window: str) -> dict[str, FieldCount]:
    return {one.path: one for one in await ledger.ask(lambda c: examined.fields(c, window))}


async def damages_of(ledger: Ledger, window: str) -> dict[tuple[str, str], DamageCount]:
    return {(one.path, one.damage): one for one in await ledger.ask(lambda c: examined.damages(c, window))}


async def test_sums_of_one_window_apart_from_others(ledger: Ledger) -> None:
    assert await fields_of(ledger, "one") == {}
    await add(
        ledger, "one", [seen_field("$", 3, 3), seen_field("$.a", 3, 2)], [damage("$.a", "text", 2, 1, "case $..")]
    )
    await add(ledger, "one", [seen_field("$", 2, 2), seen_field("$.a", 1, 0)], [damage("$.a", "text", 3, 3)])
    await add(ledger, "two", [seen_field("$.a", 9, 9)], [damage("$.a")])
    assert await fields_of(ledger, "one") == {
        "$": FieldCount(ROUTE, "$", 5, 5, 0, 0, 5),
        # Of the five bodies that were looked at, four had it.
        "$.a": FieldCount(ROUTE, "$.a", 5, 4, 0, 2, 2),
    }
    assert await damages_of(ledger, "one") == {("$.a", "text"): DamageCount(ROUTE, "$.a", "text", 5, 4, "case $..")}
    assert (await fields_of(ledger, "two"))["$.a"].valued == 9


async def test_the_rule_found_first_stays_and_none_takes_its_place(ledger: Ledger) -> None:
    for rule in ("", "ignore $..a", "", "ignore $..b"):
        await add(ledger, "one", damages=[damage("$.a", "number", 1, int(not rule), rule)])
    assert (await damages_of(ledger, "one"))["$.a", "number"] == DamageCount(
        ROUTE, "$.a", "number", 4, 2, "ignore $..a"
    )


async def test_others_who_look_on_can_ask(home: Home, ledger: Ledger) -> None:
    await add(ledger, "one", [seen_field("$")])
    async with reading(home / "a.db") as reader:
        (found,) = await reader.ask(lambda c: examined.fields(c, "one"))
    assert found == seen_field("$")


async def test_a_route_has_so_many_paths_and_no_more(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examined, "MAX_PATHS", 5)
    await add(ledger, "one", [seen_field(f"$.n{n}", 7) for n in range(4)])
    await add(ledger, "one", [seen_field(f"$.n{n}", 1) for n in range(9)])
    await add(ledger, "one", [seen_field("$.a", route="GET /other")])
    found = await fields_of(ledger, "one")
    assert set(found) == {*(f"$.n{n}" for n in range(5)), OTHER_PATHS, "$.a"}
    assert found[OTHER_PATHS].present == 4
    assert {found[f"$.n{n}"].looked for n in range(5)} == {8}, "what is counted together says nothing of the bodies"
    sorts = ("text", "drop", "null")
    await add(ledger, "one", damages=[damage(f"$.n{n}", sort) for n in range(7) for sort in sorts])
    tried = await damages_of(ledger, "one")
    assert {path for path, _ in tried} == {*(f"$.n{n}" for n in range(5)), OTHER_PATHS}
    assert tried[OTHER_PATHS, "text"].tried == 2


async def test_a_window_has_so_many_rows_and_no_more(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examined, "MAX_ROWS", 10)
    for route in ("GET /a", "GET /b"):
        await add(ledger, "one", [seen_field(f"$.n{n}", route=route) for n in range(8)])
        await add(ledger, "one", [seen_field("$.n0", route=route)])
    found = await ledger.ask(lambda c: examined.fields(c, "one"))
    assert len(found) == 11
    assert {one.path: one.present for one in found if one.route == "GET /b"} == {"$.n0": 2, "$.n1": 1, OTHER_PATHS: 6}


async def test_what_a_rule_hides_past_the_bounds_stays_a_blind_spot(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examined, "MAX_PATHS", 1)
    hidden = damage("$.days.b.amount", "number", 3, 0, "ignore $..amount")
    equal = damage("$.days.b.n", "number", 3, 0, "(no rule: it counts as equal)")
    await add(ledger, "one", damages=[damage("$.a"), damage("$.days.a.n", "number"), hidden, equal])
    found = await damages_of(ledger, "one")
    assert (found["$..amount", "number"].tried, found["$..amount", "number"].seen) == (3, 0)
    assert (found[OTHER_PATHS, "number"].tried, found[OTHER_PATHS, "number"].seen) == (4, 1)


async def test_windows_that_are_not_kept_are_forgotten(ledger: Ledger) -> None:
    for window in ("one", "two", "three"):
        await add(ledger, window, [seen_field("$")], [damage("$.a")])
    await ledger.write(lambda c: examined.drop_windows(c, {"two"}))
    assert [len(await fields_of(ledger, one)) for one in ("one", "two", "three")] == [0, 1, 0]
    assert [len(await damages_of(ledger, one)) for one in ("one", "two", "three")] == [0, 1, 0]


async def test_a_window_that_turned_out_to_be_another_process_s(ledger: Ledger) -> None:
    row = {"run": "r", "own": "mine", "window": "theirs"}
    await ledger.write(lambda c: c.execute(schema.joined.insert(), [row]))
    await add(ledger, "mine", [seen_field("$")], [damage("$.a")])
    assert await fields_of(ledger, "mine") == {}
    assert len(await fields_of(ledger, "theirs")) == len(await damages_of(ledger, "theirs")) == 1
