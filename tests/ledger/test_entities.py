"""Distinct entities: exact up to a bound, estimated past it, each kind apart."""

from __future__ import annotations

import subprocess
import sys

import pytest

from proxy.ledger import Ledger
from proxy.ledger import entities as entities_module
from proxy.model import Verdict
from tests.ledger.support import START, Home, exchange, opened, reading, remove, rows_of


async def entities(ledger: Ledger) -> int:
    await ledger.flush()
    return (await ledger.domains())["users"].entities


async def test_distinct_entities_that_matched_by_kind(home: Home) -> None:
    async with opened(home / "a.db") as ledger, opened(home / "a.db") as other:
        for entity in ("a", "b", "a"):
            exchange(ledger, entity=entity, entity_kind="user")
        exchange(ledger, Verdict.DIFF, entity="c", entity_kind="user")
        assert await entities(ledger) == 2
        exchange(other, entity="b", entity_kind="user")
        exchange(other, entity="b", entity_kind="listing")
        exchange(other, entity="d", entity_kind="user")
        exchange(other, entity="d")
        assert await entities(other) == 5
        await ledger.flush()
        counts = (await ledger.domains())["users"]
        assert counts.entity_counts == {"user": 3, "listing": 1, "": 1}
        assert counts.entities_exact
        ledger.restart("users", "by hand", START)
        assert await entities(ledger) == 0
        exchange(ledger, entity="a", entity_kind="user")
        assert await entities(ledger) == 1


async def test_a_new_file_in_the_place_of_a_deleted_one_counts_them_again(home: Home) -> None:
    path = home / "a.db"
    async with opened(path) as ledger:
        exchange(ledger, entity="a", entity_kind="user")
        assert await entities(ledger) == 1
        remove(path)
        for _ in range(2):
            await ledger.flush()
        exchange(ledger, entity="a", entity_kind="user")
        assert await entities(ledger) == 1


async def test_past_the_bound_they_are_estimated(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entities_module, "ENTITY_LIMIT", 1_000)
    path = home / "a.db"
    async with opened(path) as ledger, opened(path) as other:
        for n in range(600):
            exchange(ledger, entity=f"u{n}", entity_kind="user")
        for n in range(400):
            exchange(other, entity=f"l{n}", entity_kind="listing")
        await other.flush()
        assert await entities(ledger) == 1_000
        assert (await ledger.domains())["users"].entities_exact
        for n in range(500, 20_000):
            exchange(other, entity=f"u{n}", entity_kind="user")
        await other.flush()
        exchange(ledger, entity="one more", entity_kind="listing")
        exchange(ledger, entity="one", entity_kind="payment")
        await ledger.flush()
        counts = (await ledger.domains())["users"]
        assert not counts.entities_exact
        # Four standard errors.
        assert counts.entity_counts["user"] == pytest.approx(20_000, rel=0.033)
        assert counts.entity_counts["listing"] == pytest.approx(401, abs=3)
        assert counts.entity_counts["payment"] == 1
        assert counts.entities == sum(counts.entity_counts.values())
        assert rows_of(path, "SELECT count(*) FROM entities") == [(0,)]
        assert rows_of(path, "SELECT max(length(sketch)) < 20000 FROM entity_counts") == [(1,)]
    async with reading(path) as reader:
        assert (await reader.domains())["users"].entity_counts == counts.entity_counts


def test_the_library_for_it_is_loaded_only_then() -> None:
    code = "import proxy.ledger, sys; sys.exit('datasketches' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
