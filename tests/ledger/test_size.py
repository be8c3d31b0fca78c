"""The file holds sums: what it takes does not depend on how many exchanges there were."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.ledger.windows import KEPT
from tests.ledger.simulation import BATCHES, DOMAINS, ROUTES, simulate
from tests.ledger.support import assert_balanced, observed, reading, rows_of, url_of

MOST_BYTES = 100_000_000


def rows(path: Path) -> dict[str, int]:
    tables = [name for (name,) in rows_of(path, "SELECT name FROM sqlite_master WHERE type = 'table'")]
    return {name: rows_of(path, f"SELECT count(*) FROM {name}")[0][0] for name in tables}  # noqa: S608 - our own names


@pytest.mark.slow
async def test_a_billion_exchanges_take_no_more_room_than_a_million(tmp_path: Path) -> None:
    sizes = []
    for exchanges in (10**6, 10**9):
        path = tmp_path / f"{exchanges}.db"
        await simulate(url_of(path), exchanges, entities=1_000)
        async with reading(path) as reader:
            domains = await reader.domains()
            assert_balanced(domains)
            assert observed(domains) == exchanges // (BATCHES * ROUTES) * BATCHES * ROUTES
            assert len(domains) == DOMAINS
            assert domains["domain 1"].entities == 1_000
            assert len(await reader.windows("domain 0")) == KEPT
        sizes.append((rows(path), path.stat().st_size))
    assert sizes[0][0] == sizes[1][0]
    assert max(size for _, size in sizes) < MOST_BYTES
