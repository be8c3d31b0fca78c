"""Known gaps, from the table to the marked diff: over real sockets and with a real Postgres."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import asyncpg
import pytest

from proxy.model import Verdict
from tests.verify.support import LEGACY, UUID, Scripted, get, opened

OTHER = "b" * 24
GAPS: list[dict[str, Any]] = [{"table": "pg_dualwrite_gaps", "id": "legacy_id", "entity": "entity"}]


@pytest.fixture
async def gaps(pg_database: str) -> str:
    connection = await asyncpg.connect(pg_database)
    await connection.execute("CREATE TABLE pg_dualwrite_gaps (legacy_id text, entity text)")
    await connection.execute("INSERT INTO pg_dualwrite_gaps VALUES ($1, 'thing')", LEGACY)
    await connection.close()
    return pg_database


async def test_a_diff_of_a_row_with_a_gap_is_marked_and_still_a_diff(tmp_path: Path, gaps: str) -> None:
    primary, shadow = Scripted({"n": 1}), Scripted({}, b"404 Not Found")
    more = {"gaps": GAPS, "postgres": {"dsn": gaps}}
    async with opened(tmp_path, primary, shadow, **more) as (made, verifier):
        known = [await verifier.ask(get(f"/api/things/{id_}")) for id_ in (LEGACY, UUID)]
        other = await verifier.ask(get(f"/api/things/{OTHER}"))
        assert [one.verdict for one in (*known, other)] == [Verdict.DIFF] * 3
        marked = []
        for one in (*known, other):
            assert one.trace_id is not None
            trace = await made.ledger.trace(one.trace_id)
            assert trace is not None
            marked.append(trace.known_gap)
        assert marked == [True, True, False]
        await made.ledger.flush()
        kept = await made.ledger.trace(known[0].trace_id or "")
        assert kept is not None
        assert kept.known_gap, "also as it is stored"
        counts = (await made.ledger.domains())["things"]
        assert (counts.verdicts[Verdict.DIFF], counts.known_gaps) == (3, 2)


async def test_one_difference_without_a_gap_leaves_the_diff_unexplained(tmp_path: Path, gaps: str) -> None:
    rows = [{"id": LEGACY, "n": 1}, {"id": OTHER, "n": 1}]
    primary, shadow = Scripted({"data": rows}), Scripted({"data": [{"id": UUID, "n": 2}, rows[1]]})
    more = {"gaps": GAPS, "postgres": {"dsn": gaps}}
    async with opened(tmp_path, primary, shadow, **more) as (made, verifier):
        assert (await verifier.ask(get("/api/x/named/y"))).verdict is Verdict.DIFF
        assert (await made.ledger.domains())["things"].known_gaps == 1
        shadow.body = {"data": [{"id": UUID, "n": 2}, {"id": OTHER, "n": 3}]}
        assert (await verifier.ask(get("/api/x/named/y"))).verdict is Verdict.DIFF
        assert (await made.ledger.domains())["things"].known_gaps == 1


async def test_a_table_that_cannot_be_asked_explains_nothing_and_the_trace_says_so(
    tmp_path: Path, pg_database: str
) -> None:
    primary, shadow = Scripted({"n": 1}), Scripted({"n": 2})
    more = {"gaps": GAPS, "postgres": {"dsn": pg_database}}
    async with opened(tmp_path, primary, shadow, **more) as (made, verifier):
        asked = await verifier.ask(get(f"/api/things/{LEGACY}"))
        assert asked.verdict is Verdict.DIFF
        trace = await made.ledger.trace(asked.trace_id or "")
        assert trace is not None
        assert not trace.known_gap
        assert "whether a known gap explains it could not be found out" in trace.detail
