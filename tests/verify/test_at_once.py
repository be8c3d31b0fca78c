"""Exchanges that never get a task: over real sockets, on connections that are at hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from proxy.model import Headers, Verdict
from proxy.opening import Opened
from proxy.readers.http import HttpReader
from proxy.verify import comparing
from proxy.verify.exchange import Exchange
from proxy.verify.verifier import Verifier
from proxy.verify.work import compare
from tests.e2e.backends import response
from tests.verify.support import LEGACY, UUID, Scripted, get, opened

JSON: Headers = ((b"Content-Type", b"application/json"), (b"Content-Length", b"1"))
HOST: Headers = ((b"Host", b"shop.test"),)


def asked(verifier: Verifier, body: Any, *, fields: Headers = JSON, status: int = 200) -> Exchange:
    """A client's exchange, answered by the primary."""
    exchange = verifier.open("GET", f"/api/things/{LEGACY}", HOST)
    assert exchange is not None
    exchange.response_head(status, fields)
    exchange.response_body(body if isinstance(body, bytes) else json.dumps(body).encode())
    exchange.end()
    return exchange


async def verdicts(made: Opened, ended: int) -> Mapping[Verdict, int]:
    """The counts as soon as so many exchanges have ended."""
    async with asyncio.timeout(20):
        while True:
            counts = (await made.ledger.domains())["things"]
            assert counts.observed == sum(counts.verdicts.values())
            if counts.observed >= ended:
                return counts.verdicts
            await asyncio.sleep(0.005)


async def warm(verifier: Verifier) -> None:
    """Have a connection to the shadow at hand."""
    await verifier.shadow_read("things", get(f"/api/things/{LEGACY}"))


def tasks(monkeypatch: pytest.MonkeyPatch, verifier: Verifier) -> list[str]:
    """The names of the tasks that verification starts from now on."""
    started: list[str] = []
    start = verifier._tasks.start

    def noted(work: Any, *, name: str) -> Any:
        started.append(name)
        return start(work, name=name)

    monkeypatch.setattr(verifier._tasks, "start", noted)
    return started


@pytest.fixture
async def equal(tmp_path: Path) -> AsyncIterator[tuple[Opened, Verifier, Scripted, Scripted]]:
    primary, shadow = Scripted({"id": LEGACY, "a": 1}), Scripted({"id": UUID, "a": 1})
    async with opened(tmp_path, primary, shadow) as (made, verifier):
        await warm(verifier)
        yield made, verifier, primary, shadow


Equal = tuple[Opened, Verifier, Scripted, Scripted]


async def test_a_match_takes_no_task_and_the_second_one_no_comparison(
    equal: Equal, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, verifier, _, shadow = equal
    started, heads = tasks(monkeypatch, verifier), len(shadow.heads)
    for number in range(1, 4):
        asked(verifier, {"id": LEGACY, "a": 1})
        assert await verdicts(made, number) == {Verdict.MATCH: number}
    assert started == []
    assert (verifier.memo.hits, verifier.memo.misses, len(verifier.memo)) == (2, 1, 1)
    assert len(shadow.heads) == heads + 3, "every exchange is read from both sides"
    assert verifier.under_way == 0


async def test_a_difference_behind_many_matches_is_seen(equal: Equal) -> None:
    made, verifier, _, shadow = equal
    for _ in range(5):
        asked(verifier, {"id": LEGACY, "a": 1})
    await verdicts(made, 5)
    shadow.body = {"id": UUID, "a": 2}
    asked(verifier, {"id": LEGACY, "a": 1})
    assert await verdicts(made, 6) == {Verdict.MATCH: 5, Verdict.DIFF: 1}
    shadow.body = {"id": UUID, "a": 1}
    asked(verifier, {"id": LEGACY, "a": 3})
    assert await verdicts(made, 7) == {Verdict.MATCH: 5, Verdict.DIFF: 2}


async def test_an_id_that_the_map_joins_to_another_is_seen_though_the_pair_is_remembered(equal: Equal) -> None:
    made, verifier, _, _ = equal
    asked(verifier, {"id": LEGACY, "a": 1})
    await verdicts(made, 1)
    # As an answer of Postgres that differs from the last would.
    verifier._identity._cache.version += 1
    asked(verifier, {"id": LEGACY, "a": 1})
    await verdicts(made, 2)
    assert verifier.memo.hits == 0


async def test_what_was_tolerated_counts_each_time(tmp_path: Path) -> None:
    primary, shadow = Scripted({"a": 1}), Scripted({"a": "1"})
    rule = {"tolerate": [{"kind": "number_string", "at": "$.a"}]}
    domains = {"things": {"routes": ["GET /api/things/{id}"], "compare": rule}}
    async with opened(tmp_path, primary, shadow, domains=domains) as (made, verifier):
        await warm(verifier)
        for number in range(1, 4):
            asked(verifier, {"a": 1})
            await verdicts(made, number)
        assert verifier.memo.hits == 2
        told = (await made.ledger.domains())["things"].tolerated
        assert sum(one.count for one in told) == 3


async def test_pairs_whose_turn_it_is_to_be_examined_are_compared_anew(equal: Equal) -> None:
    made, verifier, _, _ = equal
    offered: list[Any] = []

    class Examiner:
        def wants(self, *_: str) -> bool:
            return True

        def offer(self, *given: Any) -> None:
            offered.append(given)

    verifier.examiner = Examiner()
    for number in range(1, 4):
        asked(verifier, {"id": LEGACY, "a": 1})
        await verdicts(made, number)
    assert len(offered) == 3
    assert verifier.memo.hits == 0


@pytest.mark.parametrize(
    ("end", "verdict"),
    [
        (lambda exchange: exchange.cancelled(), Verdict.CANCELLED),
        (lambda exchange: exchange.failed("reset"), Verdict.PRIMARY_ERROR),
    ],
    ids=["client gone", "primary broken"],
)
async def test_a_read_that_nobody_needs_is_broken_off(
    tmp_path: Path, end: Callable[[Exchange], None], verdict: Verdict
) -> None:
    primary = Scripted({})
    waiting, held = asyncio.Event(), asyncio.Event()

    async def shadow(_head: bytes, writer: asyncio.StreamWriter) -> None:
        if held.is_set():
            waiting.set()
            await asyncio.Event().wait()
        writer.write(response(b"{}"))

    async with opened(tmp_path, primary, shadow) as (made, verifier):  # type: ignore[arg-type] # any script will do
        await warm(verifier)
        held.set()
        exchange = verifier.open("GET", f"/api/things/{LEGACY}", HOST)
        assert exchange is not None
        await asyncio.wait_for(waiting.wait(), 10)
        end(exchange)
        assert await verdicts(made, 1) == {verdict: 1}
        assert verifier.under_way == verifier.busy("things") == 0


async def test_a_connection_that_the_shadow_had_closed_is_no_failure_of_the_shadow(tmp_path: Path) -> None:
    primary, answered = Scripted({}), 0

    async def shadow(_head: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal answered
        answered += 1
        if answered == 2:
            writer.close()  # as a server does whose keep-alive has run out, just when a request is on its way
            return
        writer.write(response(b"{}"))

    async with opened(tmp_path, primary, shadow) as (made, verifier):  # type: ignore[arg-type] # any script will do
        await warm(verifier)
        asked(verifier, {})
        assert await verdicts(made, 1) == {Verdict.MATCH: 1}
        assert answered == 3


async def test_what_has_to_be_decoded_is(tmp_path: Path) -> None:
    primary, shadow = Scripted({"a": 1}), Scripted({"a": 1})
    async with opened(tmp_path, primary, shadow) as (made, verifier):
        await warm(verifier)
        asked(verifier, b"not gzip", fields=(*JSON, (b"Content-Encoding", b"gzip")))
        assert await verdicts(made, 1) == {Verdict.NOT_COMPARABLE: 1}


async def test_what_is_under_way_when_the_verifier_stops_counts_as_lost(tmp_path: Path) -> None:
    primary = Scripted({})
    held = asyncio.Event()

    async def shadow(_head: bytes, writer: asyncio.StreamWriter) -> None:
        if held.is_set():
            await asyncio.Event().wait()
        writer.write(response(b"{}"))

    async with opened(tmp_path, primary, shadow) as (made, verifier):  # type: ignore[arg-type] # any script will do
        await warm(verifier)
        held.set()
        asked(verifier, {})
        await asyncio.sleep(0)
        assert verifier.under_way == 1
        assert await verifier.stop(0.05) == 1
        assert await verdicts(made, 1) == {Verdict.LOST: 1}
        assert verifier.under_way == verifier.busy("things") == 0


async def test_the_same_large_pair_at_once_is_compared_once(tmp_path: Path) -> None:
    body = {"text": ["a" * 100] * 400}
    primary, shadow = Scripted(body), Scripted({"text": ["a" * 100] * 400})
    async with opened(tmp_path, primary, shadow) as (made, verifier):
        await warm(verifier)
        for _ in range(20):
            asked(verifier, json.dumps(body, indent=1).encode())
        assert await verdicts(made, 20) == {Verdict.MATCH: 20}
        assert sum(made.lasting.figures.timings()[1].series[()].counts) == 1


async def test_an_exchange_that_needs_a_task_does_not_hold_up_the_stop(tmp_path: Path) -> None:
    async with opened(tmp_path, Scripted({}), Scripted({})) as (made, verifier):
        asked(verifier, {})  # nothing has connected to the shadow yet
        async with asyncio.timeout(10):
            assert await verifier.stop(30.0) == 0
        assert await verdicts(made, 1) == {Verdict.MATCH: 1}
        assert verifier.under_way == verifier.busy("things") == 0


async def test_a_fault_at_the_end_of_an_exchange_ends_it_no_second_time(
    equal: Equal, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, verifier, _, _ = equal

    def broken(*_: object) -> None:
        raise RuntimeError("told too much")

    started = tasks(monkeypatch, verifier)
    monkeypatch.setattr(verifier._recorder, "_ended", broken)
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    asked(verifier, {"id": LEGACY, "a": 1})
    assert await verdicts(made, 1) == {Verdict.MATCH: 1}
    assert (verifier.under_way, verifier.busy("things"), started) == (0, 0, [])


async def test_a_read_that_cannot_even_be_begun_goes_on_in_a_task(
    equal: Equal, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made, verifier, _, _ = equal

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("not to be asked")

    free = verifier._reading._places._free
    monkeypatch.setattr(HttpReader, "ask", broken)
    asked(verifier, {"id": LEGACY, "a": 1})
    assert await verdicts(made, 1) == {Verdict.MATCH: 1}
    assert "not to be asked" in caplog.text
    assert (verifier.under_way, verifier.busy("things"), verifier._reading._places._free) == (0, 0, free)


async def test_a_route_whose_differences_take_long_to_tell_is_compared_beside_the_loop(
    equal: Equal, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, verifier, _, shadow = equal
    monkeypatch.setattr(comparing, "HEAVY_SECONDS", 0.0)
    here: list[int] = []

    def noted(job: Any, pairings: Any = None) -> Any:
        here.append(len(job.primary.body))
        return compare(job, pairings)

    async def apart(function: Any, *args: Any) -> Any:
        return compare(*args) if function is noted else function(*args)

    monkeypatch.setattr(comparing, "compare", noted)
    monkeypatch.setattr(verifier.work, "apart", apart)
    shadow.body = {"id": UUID, "a": 2}
    asked(verifier, {"id": LEGACY, "a": "x" * 5_000})
    assert await verdicts(made, 1) == {Verdict.DIFF: 1}
    asked(verifier, {"id": LEGACY, "a": "y" * 5_000})
    assert await verdicts(made, 2) == {Verdict.DIFF: 2}
    assert len(here) == 1, "the first one, once: what it took is known from then on"
    asked(verifier, {"id": LEGACY, "a": 2})
    assert await verdicts(made, 3) == {Verdict.DIFF: 2, Verdict.MATCH: 1}
    assert len(here) == 2, "small ones stay"
