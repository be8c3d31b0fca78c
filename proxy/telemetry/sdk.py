"""The parts of the OpenTelemetry SDK that exporting takes. Loading it takes a while, so only who exports does."""

from __future__ import annotations

import random
import threading
import uuid

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics.export import ConsoleMetricExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from proxy import __version__
from proxy.telemetry.environment import SCOPE, TelemetryError, Wanted
from proxy.telemetry.export import Health, Hush, WatchedMetrics, WatchedSpans
from proxy.telemetry.figures import Clock, Figures
from proxy.telemetry.ids import TraceIds
from proxy.telemetry.points import Points
from proxy.telemetry.sampling import Sampler
from proxy.telemetry.session import session
from proxy.telemetry.spans import Spans


class Exports:
    """What is exported as `asked`. The methods that send block, and are called off the loop.

    Exporters read their own variables (endpoint, headers, compression, certificates, `OTEL_BSP_*`) from the process.
    Raises TelemetryError.
    """

    def __init__(self, asked: Wanted, clock_ns: Clock) -> None:
        self._asked = asked
        self._clock_ns = clock_ns
        self._hush = Hush()
        self._resource = _resource()
        self._provider: TracerProvider | None = None
        self._senders: list[Sender] = []
        self._watched: list[WatchedSpans | WatchedMetrics] = []
        self._hush.start()

    def spans(self) -> Spans:
        """Spans that go to the exporters of traces."""
        draw = random.Random().getrandbits  # noqa: S311 - ids have to differ, not to be secret
        ids = TraceIds(draw)
        # The decision is made before a span is begun, so that those that are begun are all wanted.
        self._provider = TracerProvider(
            sampler=ALWAYS_ON, resource=self._resource, id_generator=ids, shutdown_on_exit=False
        )
        try:
            for kind in self._asked.traces:
                exporter = (
                    OTLPSpanExporter(timeout=self._asked.trace_timeout, session=session())
                    if kind == "otlp"
                    else ConsoleSpanExporter()
                )
                watched = WatchedSpans(exporter, Health("spans", self._hush.heard))
                self._watched.append(watched)
                self._provider.add_span_processor(BatchSpanProcessor(watched))
        except (RuntimeError, ValueError) as error:
            raise TelemetryError(f"OTEL_BSP_* or OTEL_EXPORTER_OTLP_*: {error}") from error
        tracer = self._provider.get_tracer(SCOPE, __version__)
        return Spans(tracer, Sampler(self._asked.rule, draw), ids, self._clock_ns)

    def senders(self, figures: Figures) -> list[Sender]:
        """One for each exporter of metrics."""
        scope = InstrumentationScope(SCOPE, __version__)
        try:
            for kind in self._asked.metrics:
                exporter = (
                    OTLPMetricExporter(timeout=self._asked.metric_timeout, session=session())
                    if kind == "otlp"
                    else ConsoleMetricExporter()
                )
                watched = WatchedMetrics(exporter, Health("metrics", self._hush.heard), self._asked.metric_timeout)
                points = Points(figures, self._resource, scope, clock_ns=self._clock_ns, delta=self._asked.delta)
                self._watched.append(watched)
                self._senders.append(Sender(points, watched))
        except (RuntimeError, ValueError) as error:
            raise TelemetryError(f"OTEL_EXPORTER_OTLP_*: {error}") from error
        return self._senders

    def flush_spans(self) -> None:
        """Send the spans that wait; none are taken any more."""
        if self._provider is not None:
            self._provider.shutdown()

    def abandon(self) -> None:
        """Try again no more. The SDK stays hushed: what it still does ends with the process."""
        for exporter in self._watched:
            exporter.shutdown()

    def close(self) -> None:
        """Let the SDK speak for itself again."""
        self._hush.stop()


class Sender:
    """Sends the points of one exporter, one batch at a time."""

    def __init__(self, points: Points, exporter: WatchedMetrics) -> None:
        self._points = points
        self._exporter = exporter
        self._lock = threading.Lock()

    def send(self) -> None:
        with self._lock:
            self._exporter.export(self._points.collect())

    def close(self) -> None:
        """Send once more. Waits for a batch that is under way."""
        self.send()
        self._exporter.shutdown()


def _resource() -> Resource:
    """What the variables say of this process, and who it is where they don't."""
    said = Resource.create()
    ours = {"service.version": __version__, "service.instance.id": str(uuid.uuid4())}
    if str(said.attributes.get("service.name", "unknown_service")).startswith("unknown_service"):
        said = said.merge(Resource({"service.name": SCOPE}))
    return Resource(ours).merge(said)
