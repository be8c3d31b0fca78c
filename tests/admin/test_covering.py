"""Which rule would cover a finding, and what else it would hide."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from comparators.ids import IdPair, IdTable
from comparators.model import Difference, Kind
from proxy.admin import Evidence
from proxy.admin.covering import MAX_BYTES, Covering, _look
from proxy.admin.unused import unused_rules
from proxy.identity import IdentityError
from proxy.ledger import Finding, Ledger
from proxy.model import Outcome, Verdict
from proxy.settings import Settings, load_settings
from tests.admin.recorded import AT, configure, recorded, settings_in, trace

LEGACY, UUID = "65f1a2b3c4d5e6f708192a02", "0b8e6a10-3c5d-4e7f-8a91-b2c3d4e5f602"
ONE, ALL = "GET /api/users/{id}", "GET /api/users"


@dataclass
class Map:
    """An id map that can be away."""

    away: bool = False

    async def lookup(self, tokens: Collection[str]) -> IdTable:
        if self.away:
            raise IdentityError("the id map is away")
        assert LEGACY in tokens
        return IdTable.of([IdPair("user", LEGACY, UUID)])


@dataclass
class Desk:
    settings: Settings
    ledger: Ledger
    ids: Map
    covering: Covering
    at: datetime = AT

    async def differ(
        self, route: str, difference: Difference, primary: str | None, shadow: str | None, number: int = 20
    ) -> Finding:
        """A diff of users with these bodies; answers its finding."""
        kept = replace(
            trace(number, difference),
            domain="users",
            route=route,
            differences=(difference,),
            primary_body=primary,
            shadow_body=shadow,
        )
        outcome = Outcome("users", route, Verdict.DIFF, kept.at, differences=(difference,), trace=kept)
        self.ledger.record(self.ledger.begin("users", route), outcome)
        await self.ledger.flush()
        found = await self.ledger.findings("users")
        return next(one for one in found if (one.route, one.kind) == (route, difference.kind))

    async def suggestion(self, finding: Finding) -> dict[str, Any]:
        return await self.covering.suggestion(finding)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    settings = settings_in(tmp_path)
    async with recorded(settings) as ledger:
        ids = Map()
        made = Desk(settings, ledger, ids, Covering(Evidence(settings, ledger, now=lambda: AT), ids, lambda: made.at))
        yield made


def bodies(name: str) -> tuple[str, str]:
    return (
        f'{{"id": "{LEGACY}", "{name}": [{{"n": 1, "m": 2}}, {{"n": 3, "m": 4}}]}}',
        f'{{"id": "{UUID}", "{name}": [{{"n": "1", "m": "2"}}, {{"n": "3", "m": "4"}}]}}',
    )


async def test_a_rule_is_as_narrow_as_the_finding_and_names_what_else_it_hides(desk: Desk) -> None:
    told = Difference("$.data[0].n", Kind.NUMBER_STRING, 1, "1")
    finding = await desk.differ(ONE, told, *bodies("data"))
    other = await desk.differ(ALL, told, *bodies("data"), number=21)
    found = await desk.suggestion(finding)
    assert found["trace"] == finding.last_trace
    rule = found["rule"]
    assert rule["yaml"] == 'compare:\n  tolerate:\n    - {kind: number_string, at: "$.data[*].n"}\n'
    # The ids are joined by the map, so that the two of `m` alone stay.
    assert (rule["hides"], rule["left"], rule["beside"]) == (2, 2, [])
    assert [(one["id"], one["same_route"]) for one in rule["findings"]] == [(other.id, False)]


async def test_without_the_id_map_nothing_is_said(desk: Desk) -> None:
    finding = await desk.differ(ONE, Difference("$.data[0].n", Kind.NUMBER_STRING, 1, "1"), *bodies("data"))
    desk.ids.away = True
    found = await desk.suggestion(finding)
    assert found["rule"] is None
    assert "the id map is away" in found["why"]


@pytest.mark.parametrize(
    ("difference", "primary", "shadow", "why"),
    [
        (Difference("status", Kind.STATUS, 200, 404), "{}", "{}", "beside the bodies"),
        (Difference("$.a", Kind.NUMBER_STRING, 1, "1"), None, '{"a": "1"}', "no trace of it is kept with the bodies"),
        (Difference("$.a", Kind.NUMBER_STRING, 1, "1"), f'{{"x": "{LEGACY}"}}', "{}", "find no such difference"),
        (Difference("$.a", Kind.NUMBER_STRING, 1, "1"), f'"{"x" * MAX_BYTES}"', "{}", "more than 1,048,576 bytes"),
        (
            Difference("$.a", Kind.VALUE_CHANGED, 1, 2),
            f'{{"a": 1, "x": "{LEGACY}"}}',
            f'{{"a": 2, "x": "{LEGACY}"}}',
            "never suggested to overlook it",
        ),
    ],
)
async def test_why_there_is_no_rule_is_said(
    desk: Desk, difference: Difference, primary: str | None, shadow: str | None, why: str
) -> None:
    found = await desk.suggestion(await desk.differ(ONE, difference, primary, shadow))
    assert found["rule"] is None
    assert why in found["why"]


async def test_a_rule_is_looked_for_once_while_many_look(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    finding = await desk.differ(ONE, Difference("$.data[0].n", Kind.NUMBER_STRING, 1, "1"), *bodies("data"))
    tries: list[object] = []
    there = asyncio.to_thread

    async def counted(*args: Any) -> Any:
        tries.extend(one for one in args[:1] if one is _look)
        return await there(*args)

    monkeypatch.setattr("proxy.admin.covering.asyncio.to_thread", counted)
    await asyncio.gather(*(desk.suggestion(finding) for _ in range(5)))
    assert len(tries) == 1
    # A newer trace is not tried at once, and an old answer does not stand for long.
    await desk.differ(ONE, Difference("$.data[0].n", Kind.NUMBER_STRING, 1, "1"), *bodies("data"), number=25)
    await desk.suggestion(finding)
    assert len(tries) == 1
    desk.at = AT + timedelta(minutes=2)
    found = await desk.suggestion(finding)
    assert (found["trace"], len(tries)) == ("trace0025", 2)


def test_rules_that_forgave_nothing_are_named(tmp_path: Path) -> None:
    path = configure(tmp_path)
    path.write_text(
        path.read_text()
        + """
compare:
  ignore: ["$.requestId", {at: "$.old", until: 2026-01-01}]
  order: {"$.tags": any, "$.rows": {key: id}}
  tolerate: [{kind: date_format, at: "$..at"}, {kind: number_string}]
"""
    )
    settings = load_settings(path, {})
    used = {("ignore", "$.requestId"), ("order_changed", "$.tags"), ("number_string", "$..")}
    assert unused_rules(settings, "users", used, AT.date()) == [
        {"where": "compare", "kind": "date_format", "rule": "$..at"},
        {"where": "compare", "kind": "order", "rule": "$.rows"},
    ]
