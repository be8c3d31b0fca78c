"""Spans end however their exchange does, and tell a fault only where there was one."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Sampler, SamplingResult
from opentelemetry.trace import StatusCode

from proxy.app import Application
from proxy.model import Side, Verdict
from proxy.telemetry import Spans
from proxy.telemetry.setup import Telemetry
from tests.e2e.backends import answering, backend, fetch, response
from tests.e2e.conftest import Proxy, settings
from tests.telemetry.receiver import Receiver, telling, variables
from tests.telemetry.test_trace import EQUAL, ERROR, SAMPLED, TARGET

ALL = ["shadowread.exchange", "shadowread.read", "shadowread.read"]


@pytest.fixture
def exporting(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> Receiver:
    for name, value in variables(receiver.url, OTEL_METRICS_EXPORTER="none"):
        monkeypatch.setenv(name, value)
    return receiver


@pytest.mark.parametrize("who", ["client", "proxy"])
async def test_what_is_broken_off_is_told(folder: Path, exporting: Receiver, who: str) -> None:
    asked = asyncio.Semaphore(0)

    async def silent(head: bytes, _writer: asyncio.StreamWriter) -> None:
        if b"/api/things" in head:
            asked.release()
            await asyncio.Event().wait()

    async with backend(silent) as one, backend(silent) as other:
        made = settings(folder, one, other, drain=0.1, shadow={"url": other, "timeout": 60.0})
        async with telling(made) as proxy:
            client = asyncio.create_task(fetch(proxy.url, TARGET, SAMPLED))
            async with asyncio.timeout(10):
                await asked.acquire()
                await asked.acquire()
            if who == "client":
                client.cancel()
                await exporting.until(lambda: len(exporting.spans) == 3)
        await asyncio.gather(client, return_exceptions=True)
    assert sorted(span.name for span in exporting.spans) == ALL
    (root,) = [span for span in exporting.spans if span.name == "shadowread.exchange"]
    assert root.attributes["shadowread.verdict"] == Verdict.CANCELLED.value
    assert not [span for span in exporting.spans if span.status == ERROR], "nobody failed"


async def test_a_large_answer_is_no_fault(folder: Path, exporting: Receiver) -> None:
    large = answering(response(b'"' + b"x" * 4096 + b'"'))
    async with (
        backend(large) as one,
        backend(answering(EQUAL)) as other,
        telling(settings(folder, one, other, limits={"body": "2KiB"})) as proxy,
    ):
        assert b"200 OK" in await fetch(proxy.url, TARGET, SAMPLED)
        await exporting.until(lambda: len(exporting.spans) == 3)
    (root,) = [span for span in exporting.spans if span.name == "shadowread.exchange"]
    assert root.attributes["shadowread.verdict"] == Verdict.TOO_LARGE.value
    assert "error.type" not in root.attributes, "the client was answered"
    assert not [span for span in exporting.spans if span.status == ERROR]


async def test_a_tracer_that_raises_keeps_no_exchange_from_its_verdict(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Raising(Sampler):
        def should_sample(self, *_args: Any, **_options: Any) -> SamplingResult:
            raise ValueError("out of order")

        def get_description(self) -> str:
            return "raises"

    tracer = TracerProvider(sampler=Raising(), shutdown_on_exit=False).get_tracer("x")
    async with backend(answering(EQUAL)) as one:
        application = Application(settings(folder, one, one), Telemetry(Spans(tracer)))
        await application.start()
        try:
            proxy = Proxy(application)
            for _ in range(2):
                await fetch(proxy.url, TARGET, SAMPLED)
            await proxy.until(lambda counts: counts.verdicts.get(Verdict.MATCH) == 2)
        finally:
            await application.stop()
    assert caplog.text.count("the tracer of the surroundings raises") == 1


def test_a_reader_that_raises_has_failed() -> None:
    kept = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    exchange = Spans(provider.get_tracer("x")).begin("GET", "d", "GET /x", ()).exchange
    for error in (OSError, asyncio.CancelledError):
        with pytest.raises(error), exchange.read(Side.SHADOW, "GET", {}):
            raise error
    failed, left = kept.get_finished_spans()
    assert (failed.status.status_code, left.status.status_code) == (StatusCode.ERROR, StatusCode.UNSET)
    assert failed.attributes
    assert failed.attributes["error.type"] == "OSError"
