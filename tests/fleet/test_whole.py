"""Several workers count as one proxy. One fleet serves all tests here, each of which has a domain of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.ledger import schema
from proxy.model import Verdict
from tests.fleet.conftest import Crewed, crewed, until

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxy(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Crewed]:
    async with crewed(Path(tmp_path_factory.mktemp("fleet"))) as made:
        yield made


async def test_everything_that_all_workers_see_is_counted_once(proxy: Crewed, monkeypatch: pytest.MonkeyPatch) -> None:
    before = proxy.application._lasting.tail.place
    await proxy.ask("/api/a/same", 60)
    await proxy.ask("/api/a/bad", 40)
    counts = await proxy.counted("a", 100)
    assert {verdict: n for verdict, n in counts.verdicts.items() if n} == {Verdict.MATCH: 60, Verdict.DIFF: 40}
    assert await _runs(proxy, "a") >= 2, "one worker has served all of it"
    ledger = proxy.application.ledger
    assert len(await ledger.windows("a")) == 1, "the workers do not share a window"
    (finding,) = await ledger.findings("a")
    assert (finding.path, finding.exchanges) == ("$.value", 40)
    # What only memory knows has come here as well: metrics and the live tail.
    await until(lambda: proxy.application._lasting.tail.place - before >= 100)
    heard = proxy.application._lasting.tail.since(before)
    assert (len([one for one in heard.ended if one.domain == "a"]), heard.missed) == (100, 0)
    await proxy.figured(100, "shadowread_exchanges_total", domain="a")
    assert await proxy.figure("shadowread_exchanges_total", domain="a", verdict="diff") == 40
    assert await proxy.figure("shadowread_read_duration_seconds_count", domain="a", side="primary") >= 100
    assert await proxy.figure("shadowread_workers_serving") == 2
    # A worker that cannot write is a proxy that cannot.
    assert len(list(proxy.crew.fleet.recordings())) == 2
    assert ledger.recording.ok
    member = proxy.crew.fleet._members[2]
    assert member.recording is not None
    monkeypatch.setattr(member, "recording", replace(member.recording, ok=False, reason="the disk of worker 2 is full"))
    assert (ledger.recording.ok, ledger.recording.reason) == (False, "the disk of worker 2 is full")
    assert await proxy.figure("shadowread_process_cpu_seconds_total", process="2") > 0


async def test_a_request_is_replayed_as_it_came_whichever_worker_has_seen_it(proxy: Crewed) -> None:
    await proxy.ask("/api/b/bad", 10)
    await proxy.counted("b", 10)
    verifier, replays = proxy.application.verifier, proxy.application._line.reign.replays
    assert verifier is not None
    assert replays is not None
    traces = await proxy.application.ledger.traces("b", limit=20)
    assert len(traces) == 10
    shown = [await proxy.application.ledger.trace(trace.id) for trace in traces]
    tags = {value for one in shown if one for name, value in one.request_headers if name == "Authorization"}
    assert len(tags) == 1, "one secret has another tag in each worker"
    assert "hush" not in str(tags)
    for trace in traces:
        await until(lambda id_=trace.id: verifier.remembered.get(id_) is not None)  # type: ignore[misc]  # a default
    answer = await replays.trace(traces[0].id)
    assert (answer.answer, "with the request as it came" in answer.text) == ("differs", True)
    # Counted like an exchange, by the first process.
    assert (await proxy.counted("b", 11)).verdicts[Verdict.DIFF] == 11


async def test_a_pause_reaches_every_worker_before_anything_is_watched(proxy: Crewed) -> None:
    await proxy.ask("/api/c/same", 30)
    await proxy.counted("c", 30)
    assert proxy.application.verifier is not None
    reads = proxy.crew.reads(proxy.application.verifier)
    reads.pause("c")
    assert reads.busy("c") >= 1, "it is called quiet before the workers have said so"
    await until(lambda: reads.busy("c") == 0)
    asked = len(proxy.shadow.heads)
    await proxy.ask("/api/c/same", 30)
    counts = await proxy.counted("c", 60)
    assert counts.verdicts[Verdict.PAUSED] == 30
    assert len(proxy.shadow.heads) == asked
    # What is read for proof is made of what a worker has seen.
    await until(lambda: bool(reads.recent("c")))
    request = reads.recent("c")[-1]
    assert (request.target, dict(request.headers)[b"X-Caller"]) == ("/api/c/same", b"me")
    assert (await reads.shadow_read("c", request)).status == 200
    reads.resume("c")
    await until(lambda: proxy.crew.fleet.followed())
    await proxy.ask("/api/c/same", 10)
    assert (await proxy.counted("c", 70)).verdicts[Verdict.MATCH] == 40


async def test_other_rules_are_taken_over_by_all(proxy: Crewed) -> None:
    before = proxy.application.ledger.window("a")
    await proxy.application.reload(proxy.with_rules(compare={"ignore": ["$.value"]}))
    await proxy.ask("/api/a/bad", 40)
    after = proxy.application.ledger.window("a")
    assert before is not None
    assert after is not None
    assert after.id != before.id
    counts = await proxy.counted("a", 40)
    assert counts.verdicts == {Verdict.MATCH: 40}
    assert await proxy.figure("shadowread_workers_restarts_total") == 0


async def _runs(proxy: Crewed, domain: str) -> int:
    """How many processes have counted something of a domain."""

    async def question(connection: AsyncConnection) -> int:
        table = schema.observed
        found = await connection.scalars(
            select(table.c.run).where(table.c.domain == domain, table.c.observed > 0).distinct()
        )
        return len(found.all())

    return await proxy.application.ledger.ask(question)
