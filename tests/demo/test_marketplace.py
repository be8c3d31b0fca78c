"""Healthy, the two instances answer alike on every route of every domain; ids of either form are understood."""

from __future__ import annotations

from collections import Counter

import pytest

from proxy.demo.marketplace.app import ROUTES
from proxy.demo.marketplace.flags import DOMAINS
from tests.demo.pairs import every_read, fresh, pair


@pytest.mark.slow
async def test_every_route_answers_alike_on_both_stores(mongo_url: str, pg_database: str) -> None:
    answered: Counter[tuple[str, int]] = Counter()
    async with pair(fresh(mongo_url, pg_database)) as both:
        for read in every_read():
            primary, shadow = await both.both(read)
            assert primary == shadow, read
            assert primary[0] in (200, 400, 401, 404), read
            answered[read.route, primary[0]] += 1
    declared = {f"{r.method} {r.path}" for r in ROUTES if not r.writes} - {"GET /api/files/{path:.*}"}
    assert {route for route, status in answered if status == 200} == declared | {"GET /api/files/**"}
    assert {r.domain for r in ROUTES} == {domain.domain for domain in DOMAINS}
