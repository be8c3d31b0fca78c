"""Figures as Prometheus sees them: dots become underscores, durations end in `_seconds` and may bear exemplars."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.samples import Exemplar

if TYPE_CHECKING:
    from proxy.telemetry.durations import Durations
    from proxy.telemetry.figures import Gauge, Timing


def families(gauges: Sequence[Gauge], timings: Sequence[Timing]) -> Iterator[Metric]:
    """Everything as metric families."""
    for gauge in gauges:
        make = CounterMetricFamily if gauge.counter else GaugeMetricFamily
        family = make(_flat(gauge.name), gauge.text, labels=list(gauge.labels))
        for labels, value in gauge.read().items():
            family.add_metric(labels, value)
        yield family
    for timing in timings:
        histogram = HistogramMetricFamily(f"{_flat(timing.name)}_seconds", timing.text, labels=timing.labels)
        for labels, durations in timing.series.items():
            histogram.add_metric(labels, _buckets(durations), durations.sum)
        yield histogram


def _buckets(durations: Durations) -> list[tuple[str, float] | tuple[str, float, Exemplar]]:
    """Cumulative, as Prometheus has them; the exemplar of a bucket is one that fell into that very bucket."""
    total = 0
    buckets: list[tuple[str, float] | tuple[str, float, Exemplar]] = []
    for number, bound in enumerate((*map(str, durations.bounds), "+Inf")):
        total += durations.counts[number]
        example = durations.examples.get(number)
        if example is None:
            buckets.append((bound, total))
        else:
            labels = {"trace_id": example.trace_id, "span_id": example.span_id}
            buckets.append((bound, total, Exemplar(labels, example.seconds, example.at / 1e9)))
    return buckets


def _flat(name: str) -> str:
    return name.replace(".", "_")
