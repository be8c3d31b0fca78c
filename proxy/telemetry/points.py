"""Figures as data points of OTLP, made when they are sent, so that nothing but the aggregates costs an exchange."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    DataT,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.metrics.export import Gauge as GaugePoints
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from proxy.telemetry.durations import Durations
from proxy.telemetry.environment import NONE, Delta
from proxy.telemetry.figures import Figures, Gauge, Labels, Timing

log = logging.getLogger(__name__)

Key = tuple[str, Labels]


class Points:
    """Makes the points of one process, one exporter's.

    `delta`: counts, durations, both or none are told since the last time instead of since the start. A failed export
    loses those, as with the SDK; what is told since the start loses nothing.
    """

    def __init__(
        self,
        figures: Figures,
        resource: Resource,
        scope: InstrumentationScope,
        *,
        clock_ns: Callable[[], int],
        delta: Delta = NONE,
    ) -> None:
        self._figures = figures
        self._resource = resource
        self._scope = scope
        self._clock_ns = clock_ns
        self._delta = delta
        self._began = self._last = clock_ns()
        self._sums: dict[Key, float] = {}
        self._buckets: dict[Key, tuple[list[int], float]] = {}

    def collect(self) -> MetricsData:
        """All points of now. Runs on any thread, one at a time. A figure that cannot be read is left out."""
        at = self._clock_ns()
        metrics = [self._number(gauge, at) for gauge in self._figures.gauges()]
        metrics += [self._histogram(timing, at) for timing in self._figures.timings()]
        self._last = at
        scoped = ScopeMetrics(self._scope, [metric for metric in metrics if metric.data.data_points], "")
        return MetricsData([ResourceMetrics(self._resource, [scoped], "")])

    def _number(self, gauge: Gauge, at: int) -> Metric:
        points = []
        delta = gauge.counter and self._delta.counts
        since = None if not gauge.counter else self._last if delta else self._began
        for labels, value in _read(gauge).items():
            told = value
            if delta:
                key = (gauge.name, labels)
                told -= self._sums.get(key, 0)
                self._sums[key] = value
            points.append(NumberDataPoint(_attributes(gauge.labels, labels), since, at, told))  # type: ignore[arg-type] # a gauge has no start; the encoder leaves it out
        data: DataT = Sum(points, _temporality(delta), is_monotonic=True) if gauge.counter else GaugePoints(points)
        return Metric(gauge.name, gauge.text, gauge.unit, data)

    def _histogram(self, timing: Timing, at: int) -> Metric:
        points = [
            self._durations(timing, labels, durations, at)
            for labels, durations in timing.series.items()
            if any(durations.counts)
        ]
        return Metric(timing.name, timing.text, "s", Histogram(points, _temporality(self._delta.durations)))

    def _durations(self, timing: Timing, labels: Labels, durations: Durations, at: int) -> HistogramDataPoint:
        counts, total = list(durations.counts), durations.sum
        since = self._last if self._delta.durations else self._began
        if self._delta.durations:
            key = (timing.name, labels)
            before, sum_before = self._buckets.get(key, ([0] * len(counts), 0.0))
            self._buckets[key] = (counts, total)
            counts, total = [now - then for now, then in zip(counts, before, strict=True)], total - sum_before
        return HistogramDataPoint(
            attributes=_attributes(timing.labels, labels),
            start_time_unix_nano=since,
            time_unix_nano=at,
            count=sum(counts),
            sum=total,
            bucket_counts=counts,
            explicit_bounds=durations.bounds,
            min=None,  # type: ignore[arg-type] # optional in OTLP, and the encoder leaves it out
            max=None,  # type: ignore[arg-type] # the same
            exemplars=[
                Exemplar({}, example.seconds, example.at, int(example.span_id, 16), int(example.trace_id, 16))
                for example in list(durations.examples.values())
                if example.at >= since
            ],
        )


def _temporality(delta: bool) -> AggregationTemporality:
    return AggregationTemporality.DELTA if delta else AggregationTemporality.CUMULATIVE


def _read(gauge: Gauge) -> Mapping[Labels, float]:
    try:
        return gauge.read()
    except Exception as error:  # noqa: BLE001 - one figure that cannot be told must not keep the others back
        log.debug("%s could not be read: %s", gauge.name, type(error).__name__)
        return {}


def _attributes(names: Labels, values: Labels) -> Mapping[str, str]:
    return dict(zip(names, values, strict=True))
