"""Real responses of the demo marketplace, damaged one place at a time: by the tests' own small damage, and by that of
the product."""

from __future__ import annotations

import random

import pytest

from comparators.compare import compare_bodies
from comparators.damage import damages as own_damages
from comparators.encode import dumps
from comparators.ids import IdPair, IdTable
from comparators.paths import render
from tests.comparators.damage import at, damages, evenly, places
from tests.comparators.saying import NO_RULES, compared, exact, printed, said, within
from tests.demo.pairs import Read, fresh, pair

READS = (
    Read("users", "", "/api/users?limit=4"),
    Read("payments", "", "/api/payment?limit=4"),
    Read("marketplace", "", "/api/marketplace/purchase-requests?limit=3"),
    Read("derived_destinations", "", "/api/derived-destinations?limit=3"),
    Read("trezor", "", "/api/trezor/accounts?limit=3"),
    Read("points", "", "/api/points/leaderboard"),
    Read("disputes", "", "/api/disputes?limit=3"),
    Read("blog", "", "/api/blog/posts?limit=3"),
    Read("release_holds", "", "/api/release-holds?limit=3"),
    Read("categories", "", "/api/categories?limit=4"),
    Read("level_config", "", "/api/levels"),
    Read("shop_settings", "", "/api/shops?limit=3"),
    Read("config_settings", "", "/api/admin/settings/confirmation-thresholds/history?limit=3"),
    Read("telegram", "", "/api/telegram/sessions?limit=3"),
)
MAX_PLACES = 40
"""How many places of one body are damaged, chosen evenly; each in every way that fits."""
MAX_OWN = 100


@pytest.mark.slow
async def test_every_damage_to_a_real_response_is_named_at_its_place(mongo_url: str, pg_database: str) -> None:
    damaged = 0
    async with pair(fresh(mongo_url, pg_database)) as both:
        ids = IdTable.of(IdPair("any", legacy.decode(), new.decode()) for new, legacy in sorted(both.legacies.items()))
        for read in READS:
            status, primary, _ = await both.fetch(both.primary, read)
            _, shadow, _ = await both.fetch(both.shadow, read)
            assert status == 200, read.path
            assert said(compared(primary, shadow, NO_RULES, ids)) == [], read.path
            value = exact(shadow)
            for keys in evenly(list(places(value)), MAX_PLACES):
                own = render(keys)
                inside = isinstance(at(value, keys), dict | list)
                for damage, broken in damages(value, keys, next(iter(ids.by_uuid))):
                    found = compare_bodies(primary, printed(broken), NO_RULES, ids)
                    named = {one.path for one in found.differences}
                    what = (read.path, own, damage, named)
                    assert named, what
                    assert all(within(own, path) or (inside and within(path, own)) for path in named), what
                    damaged += 1
            chance = random.Random(damaged)
            for one in own_damages(value, limit=MAX_OWN, draw=chance.random, ids=ids):
                assert compare_bodies(primary, dumps(one.document).encode(), NO_RULES, ids).total, (read.path, one)
                damaged += 1
    assert damaged > 1000
