"""What becomes a trace: how large its bodies may be, how many may be on their way at once, and what fails closed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from comparators.model import Comparison, Difference, Kind, Tolerated
from proxy.ledger import Ledger
from proxy.model import Observation, Side, Trace, Verdict
from proxy.telemetry import Figures
from proxy.verify.breaker import Breaker
from proxy.verify.case import Case, Chance, End, RouteFacts
from proxy.verify.exchange import Buffered, Exchange
from proxy.verify.record import Recorder
from proxy.verify.redact import Hiding
from proxy.verify.settle import Pair
from proxy.verify.work import Work, WorkTimeoutError
from tests.verify.support import Scripted, get, opened

SECRET = "q8w7e6r5t4y3u2"
AT = datetime(2026, 1, 2, tzinfo=UTC)
ROUTE = "GET /api/reset/{token}"


class NoReader:
    """Is never asked: what was read is given."""

    async def read(self, _request: Any, _timeout: float) -> Observation:
        raise AssertionError


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    made = await Ledger.open(f"sqlite:///{tmp_path / 'l.db'}", flush_seconds=0.05, max_traces=10, max_trace_bytes=10**6,
                             max_findings=10, clock=lambda: AT)  # fmt: skip
    yield made
    await made.close()


@pytest.fixture
async def recorder(ledger: Ledger) -> AsyncIterator[Callable[..., Recorder]]:
    work = Work(timeout=10)
    chance = Chance(lambda: 0.0, lambda: AT, lambda: 0.5, lambda: "id")

    def make(under_way: int = 10**6, **hiding: Any) -> Recorder:
        return Recorder(ledger=ledger, figures=Figures(), hiding=Hiding(**hiding), key=b"k" * 16, work=work,
                        chance=chance, under_way=under_way)  # fmt: skip

    yield make
    await work.close()


def case(ledger: Ledger, target: str = f"/api/reset/{SECRET}") -> Case:
    exchange = Exchange("GET", target, (), max_body=10**7, buffered=Buffered(10**7), clock=lambda: 0.0,
                        wants_request_body=False)  # fmt: skip
    exchange.trace_id = "ab" * 16
    facts = RouteFacts(1.0, "[]", NoReader(), NoReader(), Breaker(1, 1.0))
    return Case(ledger.begin("things", ROUTE), "things", ROUTE, facts, None, exchange, "now")


def differing(primary: bytes, shadow: bytes, *differences: Difference) -> End:
    pair = Pair(
        Observation(Side.PRIMARY, 200, (), primary, detail=f"took the way of {SECRET}"),
        Observation(Side.SHADOW, 200, (), shadow),
        Comparison(differences, (), len(differences)),
    )
    return End(Verdict.DIFF, pair, pair.primary, pair.shadow, settling=(f"after 1 s: {SECRET}",), detail=f"by {SECRET}")


async def traced(recorder: Recorder, ledger: Ledger, end: End) -> Trace:
    found = await recorder.trace(case(ledger), end)
    assert found is not None
    return found


async def test_no_text_of_a_trace_bears_what_the_path_says_is_secret(
    recorder: Callable[..., Recorder], ledger: Ledger
) -> None:
    end = differing(
        b'{"a":"x"}', json.dumps({"a": SECRET}).encode(), Difference("$.a", Kind.VALUE_CHANGED, "x", SECRET)
    )
    trace = await traced(recorder(), ledger, end)
    assert SECRET not in repr(trace)
    assert trace.primary_body == '{"a":"x"}'
    assert trace.trace_id == "ab" * 16
    assert trace.target.startswith("/api/reset/[redacted ")


async def test_a_body_over_the_limit_is_not_kept_and_its_differences_are(
    recorder: Callable[..., Recorder], ledger: Ledger
) -> None:
    large = json.dumps(["x" * 50_000]).encode()
    end = differing(large, b"[1]", Difference("$[0]", Kind.TYPE_CHANGED, "x" * 50_000, 1))
    trace = await traced(recorder(largest=40_000), ledger, end)
    assert (trace.primary_body, trace.shadow_body) == (None, "[1]")
    assert "primary body: 50004 bytes: larger than what a trace keeps" in trace.detail
    assert trace.differences[0].shadow == 1
    kept = await traced(recorder(largest=60_000), ledger, end)
    assert kept.primary_body == large.decode()


async def test_bodies_beyond_the_bytes_under_way_are_not_kept_and_the_trace_says_so(
    recorder: Callable[..., Recorder], ledger: Ledger
) -> None:
    body = json.dumps(["x" * 30_000]).encode()
    end = differing(body, body, Difference("$[0]", Kind.VALUE_CHANGED, 1, 2))
    one = recorder(under_way=150_000)
    traces = await asyncio.gather(*(traced(one, ledger, end) for _ in range(5)))
    kept = [trace for trace in traces if trace.primary_body is not None]
    assert len(kept) == 2
    assert all("too many large bodies" in trace.detail for trace in traces if trace.primary_body is None)
    # The room is given back.
    assert (await traced(one, ledger, end)).primary_body is not None


async def test_without_a_trace_no_value_is_recorded(recorder: Callable[..., Recorder], ledger: Ledger) -> None:
    """Redaction failed: then the finding is counted, and nothing is shown of it."""
    one = case(ledger)
    name = f"$.sessions.{SECRET}ab.n"
    end = differing(b"1", b"2", Difference(name, Kind.VALUE_CHANGED, SECRET, SECRET + "x"))
    recorder().record(one.ticket, "things", ROUTE, end)
    (finding,) = await ledger.findings("things", limit=5)
    assert SECRET not in repr(finding)
    assert finding.path == "$.sessions.*.n"


async def test_paths_of_tolerances_bear_no_secret_names(
    recorder: Callable[..., Recorder], ledger: Ledger, tmp_path: Path
) -> None:
    path = f"$.tokens.{SECRET}ab.n"
    end = End(Verdict.MATCH, tolerated=(Tolerated("ignore", path, 2), Tolerated("ignore", "$.a", 1)))
    recorder().record(case(ledger).ticket, "things", ROUTE, end)
    await ledger.flush()
    stored = b"".join(path.read_bytes() for path in tmp_path.iterdir() if path.is_file())
    assert SECRET.encode() not in stored
    assert b"$.tokens.*.n" in stored


async def test_the_configured_size_reaches_the_trace(tmp_path: Path) -> None:
    primary, shadow = Scripted({"n": 1, "long": "x" * 3_000}), Scripted({"n": 2, "long": "x" * 3_000})
    async with opened(tmp_path, primary, shadow, limits={"trace_body": 2_000}) as (made, verifier):
        asked = await verifier.ask(get("/api/things/1"))
        trace = await made.ledger.trace(asked.trace_id or "")
        assert trace is not None
        assert trace.primary_body is None
        assert asked.differences == trace.differences


async def test_when_hiding_takes_too_long_the_places_of_what_differs_are_kept_alone(
    recorder: Callable[..., Recorder], ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def late(*_: Any) -> None:
        raise WorkTimeoutError("took longer than 1 s")

    made = recorder()
    monkeypatch.setattr(made._work, "apart", late)
    one, two = (json.dumps({"a": [text * 5_000]}).encode() for text in ("x", "y"))
    trace = await traced(made, ledger, differing(one, two, Difference("$.a[0]", Kind.VALUE_CHANGED, "x", "y")))
    assert trace.differences == (Difference("$.a[*]", Kind.VALUE_CHANGED),)
    assert trace.primary_body is None
    assert "took longer than 1 s" in trace.detail
