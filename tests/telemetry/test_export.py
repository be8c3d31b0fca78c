"""What the `OTEL_*` variables do to a running proxy, over real sockets; a collector that is away."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from proxy.model import Verdict
from proxy.telemetry.export import Hush
from proxy.telemetry.session import BriefSession
from proxy.telemetry.setup import FLUSH_SECONDS
from tests.e2e.backends import answering, backend, fetch
from tests.e2e.conftest import settings
from tests.telemetry.receiver import Receiver, telling, variables
from tests.telemetry.test_trace import EQUAL, SAMPLED, TARGET, TRACE, UNSAMPLED


def set_all(monkeypatch: pytest.MonkeyPatch, receiver: str, **more: str) -> None:
    for name, value in variables(receiver, **more):
        monkeypatch.setenv(name, value)


async def test_metrics_arrive_with_exemplars_and_headers(
    folder: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_all(
        monkeypatch,
        receiver.url,
        OTEL_EXPORTER_OTLP_HEADERS="x-tenant=shop",
        OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
        OTEL_SERVICE_NAME="front",
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test",
    )
    async with backend(answering(EQUAL)) as one, telling(settings(folder, one, one)) as proxy:
        await fetch(proxy.url, TARGET, SAMPLED)
        await fetch(proxy.url, TARGET, UNSAMPLED)
        await proxy.until(lambda c: c.observed == 2)

        def both() -> bool:
            told = receiver.metrics.get("shadowread.exchanges")
            return bool(told and sum(point.as_int or point.as_double for point in told.sum.data_points) == 2)

        await receiver.until(both)
    metrics = receiver.metrics
    exchanges = metrics["shadowread.exchanges"]
    assert exchanges.unit == "{exchange}"
    assert exchanges.sum.is_monotonic
    (point,) = exchanges.sum.data_points
    assert {one.key: one.value.string_value for one in point.attributes} == {
        "domain": "things",
        "route": "GET /api/things/{id}",
        "verdict": "match",
    }
    assert point.start_time_unix_nano < point.time_unix_nano
    gates = metrics["shadowread.gate.open"].gauge.data_points
    assert [point.as_double for point in gates] == [0.0]
    reads = {_side(point): point for point in metrics["shadowread.read.duration"].histogram.data_points}
    assert metrics["shadowread.read.duration"].unit == "s"
    assert {side: point.count for side, point in reads.items()} == {"primary": 2, "shadow": 2}
    (exemplar,) = reads["shadow"].exemplars
    assert exemplar.trace_id.hex() == TRACE
    assert exemplar.as_double > 0
    assert metrics["shadowread.compare.duration"].histogram.data_points[0].count == 1
    assert metrics["shadowread.compare.remembered"].sum.data_points[0].as_int == 1, "the same pair, seen equal before"
    assert metrics["shadowread.queue.depth"].gauge.data_points
    assert all(asked["x-tenant"] == "shop" for asked in receiver.asked)
    assert all(asked["content-encoding"] == "gzip" for asked in receiver.asked)
    assert receiver.resources[-1]["service.name"] == "front"
    assert receiver.resources[-1]["deployment.environment.name"] == "test"


def _side(point: Any) -> str:
    return str({one.key: one.value.string_value for one in point.attributes}["side"])


async def test_prometheus_exemplars_name_sampled_exchanges_only(
    folder: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_all(monkeypatch, receiver.url, OTEL_METRICS_EXPORTER="none")
    async with backend(answering(EQUAL)) as one, telling(settings(folder, one, one)) as proxy:
        await fetch(proxy.url, TARGET, UNSAMPLED)
        await proxy.until(lambda c: c.observed == 1)
        assert not exemplars(await scraped(proxy.application.admin.port))
        await fetch(proxy.url, TARGET, SAMPLED)
        await proxy.until(lambda c: c.observed == 2)
        found = exemplars(await scraped(proxy.application.admin.port))
    assert {name for name, _ in found} == {
        "shadowread_read_duration_seconds_bucket",
        "shadowread_compare_duration_seconds_bucket",
    }
    assert {trace for _, trace in found} == {TRACE}
    assert len(found) == 3, "two reads and a comparison, each in one bucket"
    assert not receiver.metrics


async def scraped(port: int) -> str:
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/metrics", headers=accept) as answer,
    ):
        return await answer.text()


def exemplars(text: str) -> list[tuple[str, str]]:
    return [
        (sample.name, sample.exemplar.labels["trace_id"])
        for family in text_string_to_metric_families(text)  # type: ignore[no-untyped-call] # the parser is not annotated
        for sample in family.samples
        if sample.exemplar
    ]


@pytest.mark.parametrize("off", [{}, {"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}])
async def test_nothing_is_exported_unasked(
    folder: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, off: dict[str, str]
) -> None:
    if off:
        set_all(monkeypatch, receiver.url, OTEL_METRICS_EXPORTER="none", **off)
    async with backend(answering(EQUAL)) as one, telling(settings(folder, one, one)) as proxy:
        await fetch(proxy.url, TARGET, SAMPLED)
        await proxy.until(lambda c: c.observed == 1)
    assert not receiver.asked


async def test_a_collector_that_is_away_is_told_once_and_forgotten_at_stop(
    folder: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    set_all(monkeypatch, receiver.url, OTEL_EXPORTER_OTLP_TIMEOUT="300")
    receiver.status = 503
    caplog.set_level(logging.INFO)
    async with backend(answering(EQUAL)) as one, telling(settings(folder, one, one)) as proxy:
        for _ in range(3):
            await fetch(proxy.url, TARGET, SAMPLED)
        await receiver.until(lambda: len(receiver.asked) >= 6)
        told = [record.getMessage() for record in caplog.records if "cannot be exported" in record.getMessage()]
        assert sorted(text.split()[0] for text in told) == ["metrics", "spans"]
        assert all("serving goes on: Failed to export" in text for text in told)
        assert not [r for r in caplog.records if r.name.startswith("opentelemetry")], "the SDK's own lines are hushed"
        receiver.status = 200
        await fetch(proxy.url, TARGET, SAMPLED)
        await receiver.until(lambda: receiver.spans and receiver.metrics)
        await proxy.until(lambda c: c.verdicts.get(Verdict.MATCH) == 4)
    back = [record.getMessage() for record in caplog.records if "exported again" in record.getMessage()]
    metrics, spans = sorted(back)
    assert metrics == "metrics are exported again", "they are told since the start: nothing is lost"
    assert re.fullmatch(r"spans are exported again; at least \d+ were lost meanwhile", spans)


def test_the_reason_is_what_was_said_first_without_secrets() -> None:
    hush = Hush()
    for text in (
        "Transient error Unauthorized for http://me:hunter2@collector:4318 encountered while exporting spans batch, "
        "retrying in 1.02s.",
        "Failed to export spans batch due to timeout, max retries or shutdown.",
    ):
        assert not hush.filter(logging.LogRecord("x", logging.WARNING, "x.py", 1, text, (), None))
    assert hush.heard() == "Unauthorized for http://[redacted]@collector:4318"
    assert hush.heard() == ""


ENDED = b"Content-Length: 2"


@pytest.mark.parametrize("length", [ENDED, b"Content-Length: 99999999999", b"Transfer-Encoding: chunked"])
async def test_little_is_read_of_what_a_collector_answers(length: bytes) -> None:
    connections: set[asyncio.StreamWriter] = set()
    sent = 0

    async def answer(_head: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        connections.add(writer)
        writer.write(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n\r\n" + (b"{}" if length == ENDED else b""))
        while length != ENDED:
            writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
            await writer.drain()
            sent += 0x10000

    async with backend(answer) as url:
        with BriefSession() as session:
            for _ in range(2):
                assert (await asyncio.to_thread(session.get, url, timeout=5)).status_code == 200
    assert len(connections) == (1 if length == ENDED else 2), "one whose answer ended is used again"
    assert sent < 32 * 2**20, "what the sockets hold, and no more"


async def test_stopping_waits_for_no_collector(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    taken = asyncio.Event()
    writers: list[asyncio.StreamWriter] = []

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        taken.set()
        with contextlib.suppress(ConnectionError):
            while await reader.read(65536):
                pass

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    set_all(monkeypatch, f"http://127.0.0.1:{port}", OTEL_EXPORTER_OTLP_TIMEOUT="60000")
    try:
        async with backend(answering(EQUAL)) as one, telling(settings(folder, one, one)) as proxy:
            assert b"200 OK" in await fetch(proxy.url, TARGET, SAMPLED)
            await asyncio.wait_for(taken.wait(), 10)
            assert b"200 OK" in await fetch(proxy.url, TARGET, SAMPLED)
            await proxy.until(lambda c: c.observed == 2)
            began = time.monotonic()
        assert time.monotonic() - began < FLUSH_SECONDS + 3
        assert "could not be sent within" in caplog.text
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await server.wait_closed()
