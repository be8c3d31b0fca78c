"""Each planted bug shows in its own domain and nowhere else, and is credited with its own finding only."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import aiohttp
import asyncpg
import orjson
import pytest

from proxy.demo.bugs import ALL, BUGS, Bug, found, parse_bugs
from proxy.demo.marketplace.dataset import dataset
from proxy.demo.marketplace.dataset_trade import from_webhook_only
from proxy.demo.marketplace.flags import DOMAINS, primary_flags, twin_flags
from tests.demo.pairs import SEED, Pair, Read, Stores, eventually, every_read, fresh, instance, pair

CLEAN = frozenset(
    {
        "users",
        "derived_destinations",
        "trezor",
        "addresses",
        "categories",
        "level_config",
        "config_settings",
        "telegram",
    }
)
FINDABLE = [bug for bug in BUGS if bug.findable]


async def differing(both: Pair, domains: frozenset[str]) -> set[tuple[str, str]]:
    return {(read.domain, read.route) for read in every_read() if read.domain in domains and await both.differs(read)}


@pytest.mark.slow
async def test_bugs_show_in_their_own_routes_and_nowhere_else(mongo_url: str, pg_database: str) -> None:
    stores = fresh(mongo_url, pg_database)
    every_domain = frozenset(domain.domain for domain in DOMAINS)
    serving = [bug for bug in BUGS if bug.name != "dual_write_gap"]
    async with instance(stores, primary_flags()) as primary, aiohttp.ClientSession() as session:
        for bugs in ([bug] for bug in serving):
            names = frozenset(bug.name for bug in bugs)
            async with instance(stores, twin_flags(names), names) as shadow:
                both = Pair(session, stores, primary, shadow)
                await both.load_ids()
                shown = await differing(both, frozenset(bug.domain for bug in bugs))
            assert shown == {(bug.domain, route) for bug in bugs for route in bug.routes}, names
        async with instance(stores, twin_flags(ALL), ALL) as shadow:
            both = Pair(session, stores, primary, shadow)
            await both.load_ids()
            shown = await differing(both, every_domain)
    assert shown == {(bug.domain, route) for bug in serving for route in bug.routes}


async def test_the_gap_is_missing_in_postgres_and_recorded_there(mongo_url: str, pg_database: str) -> None:
    stores, bugs = fresh(mongo_url, pg_database), frozenset({"dual_write_gap"})
    data = dataset(SEED)
    missing = {payment["id"] for payment in data["payment"] if from_webhook_only(payment)}
    async with pair(stores, bugs) as both:
        assert await recorded_gaps(stores) == missing
        for one in sorted(missing)[:3]:
            assert await statuses(both, one) == (200, 404)
        body = {"amount": 12.5, "buyerId": data["user"][20]["id"], "sellerId": data["user"][21]["id"]}
        async with both.session.post(f"{both.primary}/api/payment/webhook", json=body) as response:
            assert response.status == 201
            created = (await response.json())["data"]["id"]

        async def recorded() -> bool:
            return created in await recorded_gaps(stores)

        await eventually(recorded)
        assert await statuses(both, created) == (200, 404)
        assert not await differing(both, frozenset({"release_holds", "disputes", *CLEAN}))


async def recorded_gaps(stores: Stores) -> set[str]:
    connection = await asyncpg.connect(stores.pg_dsn)
    try:
        rows = await connection.fetch("SELECT legacy_id FROM pg_dualwrite_gaps WHERE entity = 'payment'")
    finally:
        await connection.close()
    return {row["legacy_id"] for row in rows}


async def statuses(both: Pair, payment: str) -> tuple[int, int]:
    read = Read("payments", "GET /api/payment/{id}", f"/api/payment/{payment}")
    return (await both.fetch(both.primary, read))[0], (await both.fetch(both.shadow, read))[0]


async def test_release_holds_read_mongo_on_both_sides_when_their_bug_is_planted(
    mongo_url: str, pg_database: str
) -> None:
    bugs = frozenset({"release_hold_reads_mongo"})
    async with pair(fresh(mongo_url, pg_database), bugs) as both:
        read = Read("release_holds", "GET /api/release-holds", "/api/release-holds")
        primary, shadow = await both.fetch(both.primary, read), await both.fetch(both.shadow, read)
        health = Read("", "", "/api/health")
        modes = orjson.loads((await both.fetch(both.shadow, health))[1])["checks"]["postgres"]["storeModes"]
    assert primary == shadow  # even the ids: that is how one sees it
    assert modes["releaseHold"] == "dual"
    assert {mode for name, mode in modes.items() if name != "releaseHold"} == {"postgres"}


def test_at_least_six_domains_have_no_bug() -> None:
    assert {domain.domain for domain in DOMAINS} - {bug.domain for bug in BUGS} == CLEAN


def test_names_of_bugs() -> None:
    assert parse_bugs("all") == ALL
    assert len(ALL) == len(BUGS) == 14
    assert parse_bugs("none") == parse_bugs("") == frozenset()
    assert parse_bugs("dual_write_gap, blog_empty_tags_null") == {"dual_write_gap", "blog_empty_tags_null"}
    with pytest.raises(ValueError, match="unknown bug nonsense"):
        parse_bugs("nonsense,dual_write_gap")


def finding_of(bug: Bug) -> dict[str, Any]:
    kind, path = min(bug.kinds), bug.paths[0]
    return {"id": bug.name, "domain": bug.domain, "route": bug.routes[0], "path": path, "kind": kind, "count": 3}


@pytest.mark.parametrize("bug", FINDABLE, ids=lambda bug: bug.name)
def test_a_bug_is_credited_with_its_own_finding_only(bug: Bug) -> None:
    own = finding_of(bug)
    others = [finding_of(other) for other in FINDABLE if other != bug]
    assert found(bug, [*others, own]) == own
    assert found(bug, others) is None
    for key in ("domain", "route", "path", "kind"):
        assert found(bug, [own | {key: "another"}]) is None


def test_what_cannot_be_found_is_credited_with_nothing() -> None:
    (hidden,) = (bug for bug in BUGS if not bug.findable)
    assert hidden.name == "release_hold_reads_mongo"
    assert found(hidden, [finding_of(replace(bug, domain=hidden.domain)) for bug in FINDABLE]) is None
