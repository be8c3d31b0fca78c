"""The figures as Prometheus and OpenTelemetry see them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client.parser import text_string_to_metric_families

from comparators.model import Kind
from proxy.admin.domain_gauges import FRESH_SECONDS, DomainGauges
from proxy.admin.evidence import Evidence
from proxy.admin.snapshot import Snapshot
from proxy.errors import LedgerError
from proxy.model import Side, Verdict
from proxy.telemetry import Figures, Gauge
from proxy.telemetry import figures as counted
from tests.admin.conftest import Site
from tests.admin.recorded import AT

ROUTE = 'GET /api/"odd"/{id}'


@pytest.fixture
def figures() -> Figures:
    made = Figures()
    made.exchange("users", ROUTE, Verdict.MATCH)
    made.exchange("users", ROUTE, Verdict.MATCH)
    made.exchange("users", ROUTE, Verdict.DIFF)
    made.differences("users", ROUTE, Kind.ID_MISMATCH, 7)
    made.unclaimed()
    for seconds in (0.0005, 0.001, 0.3, 99.0):
        made.read("users", Side.SHADOW, seconds)
    made.compare(0.00003)
    made.gauge(Gauge("shadowread.queue.depth", "Depth.", lambda: {(): 4}))
    return made


def samples(figures: Figures) -> dict[tuple[str, tuple[str, ...]], float]:
    text = figures.prometheus_text()[0].decode()
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_prometheus(figures: Figures) -> None:
    found = samples(figures)
    assert found["shadowread_exchanges_total", ("users", ROUTE, "match")] == 2
    assert found["shadowread_exchanges_total", ("users", ROUTE, "diff")] == 1
    assert found["shadowread_differences_total", ("users", "id_mismatch", ROUTE)] == 7
    assert found["shadowread_unclaimed_total", ()] == 1
    assert found["shadowread_queue_depth", ()] == 4
    name = "shadowread_read_duration_seconds_bucket"
    assert found[name, ("users", "0.001", "shadow")] == 2, "a bound belongs to its bucket"
    assert found[name, ("users", "0.5", "shadow")] == 3
    assert found[name, ("users", "10.0", "shadow")] == 3
    assert found[name, ("users", "+Inf", "shadow")] == 4
    assert found["shadowread_read_duration_seconds_sum", ("users", "shadow")] == pytest.approx(99.3015)
    assert found["shadowread_compare_duration_seconds_count", ()] == 1
    assert found["process_open_fds", ()] > 0


def test_open_metrics_where_asked_for(figures: Figures) -> None:
    body, content_type = figures.prometheus_text("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")


def test_opentelemetry(figures: Figures) -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    figures.instrument(provider.get_meter("shadowread"))
    figures.read("users", Side.PRIMARY, 0.02)
    figures.compare(0.00003)
    figures.exchange("users", ROUTE, Verdict.MATCH)
    data = reader.get_metrics_data()
    assert data is not None
    metrics: dict[str, list[Any]] = {
        metric.name: list(metric.data.data_points)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    provider.shutdown()
    exchanges = {point.attributes["verdict"]: point for point in metrics["shadowread.exchanges"]}
    assert exchanges["match"].value == 3
    assert dict(exchanges["diff"].attributes) == {"domain": "users", "route": ROUTE, "verdict": "diff"}
    assert dict(metrics["shadowread.read.duration"][0].attributes) == {
        "domain": "users", "side": "primary",
    }  # fmt: skip
    assert set(metrics) >= {
        "shadowread.differences", "shadowread.compare.duration", "shadowread.queue.depth",
    }  # fmt: skip


def test_the_number_of_series_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counted, "MAX_SERIES", 3)
    figures = Figures()
    for number in range(10):
        figures.exchange("users", f"GET /{number}", Verdict.MATCH)
    found = {labels: n for (name, labels), n in samples(figures).items() if name == "shadowread_exchanges_total"}
    assert len(found) == 4
    assert found["(other)", "(other)", "match"] == 7
    assert sum(found.values()) == 10


async def test_a_scrape_decides_the_gates_and_stores_nothing(site: Site) -> None:
    text = await (await site.get("/metrics")).text()
    assert 'shadowread_gate_open{domain="users"} 1.0' in text
    assert 'shadowread_gate_open{domain="payments"} 0.0' in text
    assert await site.ledger.decisions() == []


async def test_a_gate_is_told_as_open_only_while_it_is_known_to_be(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    now, clock = AT, 0.0
    evidence = Evidence(site.settings, site.ledger, now=lambda: now)
    figures, gauges = Figures(), DomainGauges(site.settings, lambda: now)
    gauges.register(figures)
    snapshot = Snapshot(evidence, seen=gauges, clock=lambda: clock)

    def is_open() -> float:
        return samples(figures)["shadowread_gate_open", ("users",)]

    assert is_open() == 0
    await snapshot.overview()
    assert is_open() == 1
    now = AT + timedelta(seconds=FRESH_SECONDS + 1)
    assert is_open() == 0, "nobody has decided since"
    now, clock = AT, 10.0
    await snapshot.overview()
    assert is_open() == 1

    async def unreadable() -> None:
        raise LedgerError("gone")

    monkeypatch.setattr(site.ledger, "domains", unreadable)
    clock = 20.0
    for _ in range(2):
        with pytest.raises(LedgerError):
            await snapshot.overview()
    assert is_open() == 0
