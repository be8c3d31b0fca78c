"""A real Prometheus scrapes a running proxy with the shipped configuration, keeps exemplars, and fires."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from proxy.demo.processes import Supervisor
from tests.assets.conftest import TOKEN, watched
from tests.assets.server import prometheus, until
from tests.assets.support import panel_expressions

READS = "shadowread_read_duration_seconds_bucket"
FIRING = 'ALERTS{alertname="ShadowreadDiff", alertstate="firing", domain="things"}'


@pytest.mark.slow
async def test_a_real_prometheus(tmp_path: Path, supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    async def taken(_request: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    app.router.add_post("/v1/traces", taken)
    async with TestServer(app) as collector:
        # The exporter reads its endpoint itself.
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", str(collector.make_url("/")))
        environ = {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_TRACES_SAMPLER": "always_on"}
        async with (
            watched(tmp_path, environ) as proxy,
            prometheus(supervisor, tmp_path, f"127.0.0.1:{proxy.port}", TOKEN) as server,
        ):

            async def scraped() -> list[dict[str, Any]]:
                return await server.query('up{job="shadowread"} == 1')

            await until(scraped)
            assert await server.query(FIRING) == []

            async def fires() -> list[dict[str, Any]]:
                await proxy.seen()
                return await server.query(FIRING)

            await until(fires)

            async def counted() -> list[dict[str, Any]]:
                await proxy.seen()
                return await server.query('domain:shadowread_diff_ratio:rate5m{domain="things"} > 0')

            await until(counted)
            assert await server.query('domain:shadowread_diff_ratio:rate5m{domain="others"}') == [], "unproven"

            empty = panel_expressions()

            async def shown() -> bool:
                # Asked again, since a machine under load misses a scrape now and then.
                nonlocal empty
                empty = [panel for panel in empty if not await server.query(panel[1])]
                return not empty

            with suppress(TimeoutError):
                await until(shown)
            assert empty == []

            async def with_exemplars() -> Any:
                return await server.ask("query_exemplars", query=READS, start="0", end="9999999999")

            await until(with_exemplars)
            for series in await with_exemplars():
                assert series["seriesLabels"]["domain"] in {"things", "others"}
                assert all(len(one["labels"]["trace_id"]) == 32 for one in series["exemplars"])
