"""What the proxy counts about itself: plain aggregates, incremented per exchange and read when somebody scrapes.

One exchange costs a few dictionary increments; all formatting is left to the reader, which is Prometheus
(`prometheus_text`) or the OpenTelemetry SDK (`instrument`). Labels are route templates and names from the
configuration, never anything a client sends, and the number of series is capped all the same.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from opentelemetry.metrics import CallbackOptions, Histogram, Meter, Observation
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from comparators.model import Kind
from proxy.model import Side, Verdict

MAX_SERIES = 50_000
OVERFLOW = "(other)"
READ_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
COMPARE_BUCKETS = (
    0.00001,
    0.000025,
    0.00005,
    0.0001,
    0.00025,
    0.0005,
    0.001,
    0.0025,
    0.005,
    0.01,
    0.05,
    0.25,
    1.0,
)
"""Upper bounds in seconds. Comparing takes microseconds, reading takes milliseconds."""

Labels = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Gauge:
    """A figure that is asked for when somebody scrapes: `read` returns its value per label values.

    `name` is dotted as in OpenTelemetry (`shadowread.queue.depth`). A figure that only grows says `counter`.
    """

    name: str
    text: str
    read: Callable[[], Mapping[Labels, float]]
    labels: Labels = ()
    counter: bool = False


@dataclass(slots=True)
class _Durations:
    bounds: tuple[float, ...]
    counts: list[int] = field(init=False)
    sum: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def add(self, seconds: float) -> None:
        # A bucket's upper bound belongs to it, in Prometheus and in OpenTelemetry alike.
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.sum += seconds

    def cumulative(self) -> list[tuple[str, float]]:
        total = 0
        buckets: list[tuple[str, float]] = []
        for bound, count in zip((*map(str, self.bounds), "+Inf"), self.counts, strict=True):
            total += count
            buckets.append((bound, total))
        return buckets


class Figures:
    """All figures of one process. Nothing here waits, allocates per exchange beyond a key, or raises."""

    def __init__(self) -> None:
        self._exchanges: dict[Labels, int] = {}
        self._differences: dict[Labels, int] = {}
        self._reads: dict[Labels, _Durations] = {}
        self._compares = _Durations(COMPARE_BUCKETS)
        self._unclaimed = 0
        self._gauges: dict[str, Gauge] = {}
        self._read_histogram: Histogram | None = None
        self._compare_histogram: Histogram | None = None
        self._registry = CollectorRegistry()
        self._registry.register(_Scrape(self))
        ProcessCollector(registry=self._registry)

    def exchange(self, domain: str, route: str, verdict: Verdict) -> None:
        _add(self._exchanges, (domain, route, verdict.value), 1)

    def differences(self, domain: str, route: str, kind: Kind, n: int) -> None:
        _add(self._differences, (domain, route, kind.value), n)

    def unclaimed(self) -> None:
        """A request that no route of a domain claims; it is passed through."""
        self._unclaimed += 1

    def read(self, domain: str, side: Side, seconds: float) -> None:
        key = (domain, side.value)
        durations = self._reads.get(key)
        if durations is None:
            durations = self._reads[key] = _Durations(READ_BUCKETS)
        durations.add(seconds)
        if self._read_histogram is not None:
            self._read_histogram.record(seconds, {"domain": domain, "side": side.value})

    def compare(self, seconds: float) -> None:
        self._compares.add(seconds)
        if self._compare_histogram is not None:
            self._compare_histogram.record(seconds)

    def gauge(self, gauge: Gauge) -> None:
        """Have this figure asked for at every scrape; one of the same name is replaced."""
        self._gauges[gauge.name] = gauge

    def prometheus_text(self, accept: str = "") -> tuple[bytes, str]:
        """The exposition and its content type, in the format that `accept` (a header's value) asks for."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def families(self) -> Iterator[Metric]:
        """Everything as Prometheus metric families."""
        for counter in self._counters():
            names = list(counter.labels)
            family = CounterMetricFamily(_flat(counter.name), counter.text, labels=names)
            for labels, value in counter.read().items():
                family.add_metric(labels, value)
            yield family
        for gauge in self._plain_gauges():
            measured = GaugeMetricFamily(_flat(gauge.name), gauge.text, labels=list(gauge.labels))
            for labels, value in gauge.read().items():
                measured.add_metric(labels, value)
            yield measured
        reads = HistogramMetricFamily(
            "shadowread_read_duration_seconds", "Time of one read of one side.", labels=["domain", "side"]
        )
        for labels, durations in list(self._reads.items()):
            reads.add_metric(labels, durations.cumulative(), durations.sum)
        yield reads
        yield HistogramMetricFamily(
            "shadowread_compare_duration_seconds",
            "Time of one comparison.",
            buckets=self._compares.cumulative(),
            sum_value=self._compares.sum,
        )

    def instrument(self, meter: Meter) -> None:
        """Offer everything to an OpenTelemetry meter under the dotted names.

        Counts and gauges are observable and cost nothing until they are collected. OpenTelemetry has no
        observable histogram, so durations are recorded as they happen from now on.
        """
        for counter in self._counters():
            meter.create_observable_counter(counter.name, callbacks=[_observe(counter)], description=counter.text)
        for gauge in self._plain_gauges():
            meter.create_observable_gauge(gauge.name, callbacks=[_observe(gauge)], description=gauge.text)
        self._read_histogram = meter.create_histogram(
            "shadowread.read.duration",
            unit="s",
            description="Time of one read of one side.",
            explicit_bucket_boundaries_advisory=READ_BUCKETS,
        )
        self._compare_histogram = meter.create_histogram(
            "shadowread.compare.duration",
            unit="s",
            description="Time of one comparison.",
            explicit_bucket_boundaries_advisory=COMPARE_BUCKETS,
        )

    def _counters(self) -> list[Gauge]:
        return [
            Gauge(
                "shadowread.exchanges",
                "Exchanges on shadowed routes by verdict.",
                lambda: dict(self._exchanges),
                ("domain", "route", "verdict"),
                counter=True,
            ),
            Gauge(
                "shadowread.differences",
                "Differences of settled diffs by kind.",
                lambda: dict(self._differences),
                ("domain", "route", "kind"),
                counter=True,
            ),
            Gauge(
                "shadowread.unclaimed",
                "Requests that no route claims, passed through.",
                lambda: {(): self._unclaimed},
                counter=True,
            ),
            *(gauge for gauge in self._gauges.values() if gauge.counter),
        ]

    def _plain_gauges(self) -> list[Gauge]:
        return [gauge for gauge in self._gauges.values() if not gauge.counter]


class _Scrape(Collector):
    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterable[Metric]:
        return self._figures.families()

    def describe(self) -> Iterable[Metric]:
        # Without this the registry would scrape once on registering, before the gauges are known.
        return ()


def _observe(gauge: Gauge) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def observe(_options: CallbackOptions) -> Iterable[Observation]:
        return [
            Observation(value, dict(zip(gauge.labels, labels, strict=True))) for labels, value in gauge.read().items()
        ]

    return observe


def _add(series: dict[Labels, int], key: Labels, n: int) -> None:
    known = series.get(key)
    if known is None and len(series) >= MAX_SERIES:
        key = (OVERFLOW, OVERFLOW, key[-1])
        known = series.get(key)
    series[key] = (known or 0) + n


def _flat(name: str) -> str:
    return name.replace(".", "_")
