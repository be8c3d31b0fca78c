"""What the proxy counts about itself: plain aggregates, incremented per exchange and read when somebody asks.

One exchange costs a few dictionary increments; all formatting is left to who asks: `prometheus`, or `points` for OTLP.
An instrument of the OpenTelemetry SDK would take tens of microseconds for each duration, on the clients' event loop.
Labels are route templates and names from the configuration, never anything a client sends, and the number of series is
capped all the same.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from opentelemetry.metrics import CallbackOptions, Histogram, Meter, Observation
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from comparators.model import Kind
from proxy.model import Side, Verdict
from proxy.telemetry.durations import Durations, Example
from proxy.telemetry.prometheus import families

MAX_SERIES = 50_000
OVERFLOW = "(other)"
READ_NAME = "shadowread.read.duration"
COMPARE_NAME = "shadowread.compare.duration"
READ_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
COMPARE_BUCKETS = (
    0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0,
)  # fmt: skip
"""Upper bounds in seconds. Comparing takes microseconds, reading takes milliseconds."""

Labels = tuple[str, ...]
Clock = Callable[[], int]


@dataclass(frozen=True, slots=True)
class Gauge:
    """A figure that is asked for when somebody looks: `read` returns its value per label values.

    `name` is dotted as in OpenTelemetry (`shadowread.queue.depth`), `unit` as there (`s`, `By`, `{request}`). A figure
    that only grows says `counter`. `read` may be called on any thread.
    """

    name: str
    text: str
    read: Callable[[], Mapping[Labels, float]]
    labels: Labels = ()
    counter: bool = False
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Timing:
    """A histogram of seconds per label values."""

    name: str
    text: str
    labels: Labels
    series: Mapping[Labels, Durations]


class Figures:
    """All figures of one process. Nothing here waits, allocates per exchange beyond a key, or raises.

    `clock_ns` is Unix time in nanoseconds, for exemplars.
    """

    def __init__(self, clock_ns: Clock = time.time_ns) -> None:
        self._clock_ns = clock_ns
        self._exchanges: dict[Labels, int] = {}
        self._differences: dict[Labels, int] = {}
        self._reads: dict[Labels, Durations] = {}
        self._compares = Durations(COMPARE_BUCKETS)
        self._unclaimed = 0
        self._gauges: dict[str, Gauge] = {gauge.name: gauge for gauge in self._own()}
        self._meter: Meter | None = None
        self._read_histogram: Histogram | None = None
        self._compare_histogram: Histogram | None = None
        self._registry = CollectorRegistry()
        self._registry.register(_Scrape(self))
        ProcessCollector(registry=self._registry)

    def exchange(self, domain: str, route: str, verdict: Verdict) -> None:
        _add(self._exchanges, (domain, route, verdict), 1)

    def differences(self, domain: str, route: str, kind: Kind, n: int) -> None:
        _add(self._differences, (domain, route, kind.value), n)

    def unclaimed(self) -> None:
        """A request that no route of a domain claims; it is passed through."""
        self._unclaimed += 1

    def read(self, domain: str, side: Side, seconds: float) -> None:
        key = (domain, side)
        durations = self._reads.get(key)
        if durations is None:
            durations = self._reads[key] = Durations(READ_BUCKETS)
        durations.add(seconds, self._clock_ns())
        if self._read_histogram is not None:
            self._read_histogram.record(seconds, {"domain": domain, "side": side.value})

    def compare(self, seconds: float) -> None:
        self._compares.add(seconds, self._clock_ns())
        if self._compare_histogram is not None:
            self._compare_histogram.record(seconds)

    def absorb(
        self, name: str, labels: Labels, counts: Sequence[int], seconds: float, examples: Mapping[int, Example]
    ) -> None:
        """Add durations that another process of ours has measured: counts per bucket, and the sum of all."""
        found: Durations | None = None
        if name == READ_NAME:
            found = self._reads.get(labels) or self._reads.setdefault(labels, Durations(READ_BUCKETS))
        elif name == COMPARE_NAME:
            found = self._compares
        if found is not None:
            found.absorb(counts, seconds, examples)

    def gauge(self, gauge: Gauge) -> None:
        """Have this figure asked for whenever somebody looks; one of the same name is replaced."""
        known = gauge.name in self._gauges
        self._gauges[gauge.name] = gauge
        if self._meter is not None and not known:
            self._offer(self._meter, gauge)

    def gauges(self) -> list[Gauge]:
        """Everything that is counted or asked for, counters first."""
        return sorted(self._gauges.values(), key=lambda gauge: not gauge.counter)

    def timings(self) -> list[Timing]:
        """Everything whose duration is measured."""
        return [
            Timing(READ_NAME, "Time of one read of one side.", ("domain", "side"), dict(self._reads)),
            Timing(COMPARE_NAME, "Time of one comparison.", (), {(): self._compares}),
        ]

    def prometheus_text(self, accept: str = "") -> tuple[bytes, str]:
        """The exposition and its content type, in the format that `accept` (a header's value) asks for.

        Exemplars are part of OpenMetrics only.
        """
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type

    def instrument(self, meter: Meter) -> None:
        """Offer everything to the meter of a provider that somebody else has set up, under the dotted names.

        Counts and gauges are observable and cost nothing until they are collected. OpenTelemetry has no
        observable histogram, so durations are recorded as they happen from now on, which takes its time.
        """
        self._meter = meter
        for gauge in self._gauges.values():
            self._offer(meter, gauge)
        self._read_histogram, self._compare_histogram = (
            meter.create_histogram(
                timing.name, unit="s", description=timing.text, explicit_bucket_boundaries_advisory=bounds
            )
            for timing, bounds in zip(self.timings(), (READ_BUCKETS, COMPARE_BUCKETS), strict=True)
        )

    def _offer(self, meter: Meter, gauge: Gauge) -> None:
        def observe(_options: CallbackOptions) -> Iterable[Observation]:
            now = self._gauges[gauge.name]
            return [
                Observation(value, dict(zip(now.labels, labels, strict=True))) for labels, value in now.read().items()
            ]

        create = meter.create_observable_counter if gauge.counter else meter.create_observable_gauge
        create(gauge.name, callbacks=[observe], description=gauge.text, unit=gauge.unit)

    def _own(self) -> list[Gauge]:
        return [
            Gauge(
                "shadowread.exchanges",
                "Exchanges on shadowed routes by verdict.",
                lambda: dict(self._exchanges),
                ("domain", "route", "verdict"),
                counter=True,
                unit="{exchange}",
            ),
            Gauge(
                "shadowread.differences",
                "Differences of settled diffs by kind.",
                lambda: dict(self._differences),
                ("domain", "route", "kind"),
                counter=True,
                unit="{difference}",
            ),
            Gauge(
                "shadowread.unclaimed",
                "Requests that no route claims, passed through.",
                lambda: {(): self._unclaimed},
                counter=True,
                unit="{request}",
            ),
        ]


class _Scrape(Collector):
    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterable[Metric]:
        return families(self._figures.gauges(), self._figures.timings())

    def describe(self) -> Iterable[Metric]:
        # Without this the registry would scrape once on registering, before the gauges are known.
        return ()


def _add(series: dict[Labels, int], key: Labels, n: int) -> None:
    known = series.get(key)
    if known is None and len(series) >= MAX_SERIES:
        key = (OVERFLOW, OVERFLOW, key[-1])
        known = series.get(key)
    series[key] = (known or 0) + n
