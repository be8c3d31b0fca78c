"""An OTLP/HTTP receiver, a real server that takes apart what it is sent, and a proxy that exports to it."""

from __future__ import annotations

import asyncio
import gzip
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from proxy.app import Application
from proxy.settings import Settings
from proxy.telemetry.setup import Telemetry
from tests.e2e.conftest import Proxy


@dataclass(frozen=True)
class Seen:
    """One span as it arrived; ids in hex, an empty parent for a root."""

    name: str
    trace: str
    id: str
    parent: str
    kind: int
    status: int
    state: str
    attributes: Mapping[str, Any]
    seconds: float


class Receiver:
    """`status` is what every export is answered with; `asked` the headers of each."""

    def __init__(self) -> None:
        self.url = ""
        self.status = 200
        self.asked: list[Mapping[str, str]] = []
        self.spans: list[Seen] = []
        self.resources: list[Mapping[str, Any]] = []
        self.metrics: dict[str, Any] = {}
        self._came = asyncio.Condition()

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait for what arrives to fulfil `condition`."""
        async with asyncio.timeout(15), self._came:
            await self._came.wait_for(lambda: bool(condition()))

    async def traces(self, request: web.Request) -> web.Response:
        body = await self._body(request)
        if self.status == 200:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.resources.append(_plain(resource.resource.attributes))
                self.spans += [_seen(span) for scope in resource.scope_spans for span in scope.spans]
        return await self._answer()

    async def measured(self, request: web.Request) -> web.Response:
        body = await self._body(request)
        if self.status == 200:
            for resource in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                self.resources.append(_plain(resource.resource.attributes))
                for scope in resource.scope_metrics:
                    self.metrics |= {metric.name: metric for metric in scope.metrics}
        return await self._answer()

    async def _body(self, request: web.Request) -> bytes:
        self.asked.append({name.lower(): value for name, value in request.headers.items()})
        body = await request.read()
        return gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body

    async def _answer(self) -> web.Response:
        async with self._came:
            self._came.notify_all()
        return web.Response(status=self.status)


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/v1/traces", receiver.traces)
    app.router.add_post("/v1/metrics", receiver.measured)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield receiver
    finally:
        await runner.cleanup()


@asynccontextmanager
async def telling(made: Settings) -> AsyncIterator[Proxy]:
    """A proxy that exports as the process's variables ask for."""
    application = Application(made, Telemetry.of(os.environ))
    await application.start()
    try:
        yield Proxy(application)
    finally:
        await application.stop()


def variables(receiver: str, **more: str) -> Iterator[tuple[str, str]]:
    """To be set for exports to `receiver` that come at once."""
    yield "OTEL_EXPORTER_OTLP_ENDPOINT", receiver
    yield "OTEL_BSP_SCHEDULE_DELAY", "20"
    yield "OTEL_METRIC_EXPORT_INTERVAL", "50"
    yield from more.items()


def below(spans: list[Seen], parent: Seen) -> list[Seen]:
    return [span for span in spans if span.parent == parent.id and span.trace == parent.trace]


def _seen(span: Any) -> Seen:
    return Seen(
        span.name, span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(), span.kind, span.status.code,
        span.trace_state, _plain(span.attributes), (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
    )  # fmt: skip


def _plain(attributes: Any) -> dict[str, Any]:
    def value(of: AnyValue) -> Any:
        return getattr(of, of.WhichOneof("value") or "string_value")

    return {one.key: value(one.value) for one in attributes}
