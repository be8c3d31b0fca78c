"""Sending to a collector that may be away: the log says so once, and once more when it is back."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Sequence

from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult, MetricsData
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from proxy.telemetry.logs import scrubbed

log = logging.getLogger(__name__)

_TALKATIVE = (
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.exporter.otlp.proto.http.metric_exporter",
)
"""They say something for each batch that fails, several times."""
_QUEUE = "opentelemetry.sdk._shared_internal"
"""Says something for each span that finds the queue full, on the loop: a level costs less than a filter."""
_HEADERS = "opentelemetry.util.re"
"""Quotes what it cannot read of `OTEL_EXPORTER_OTLP_HEADERS`, which is where credentials stand."""
_TRANSIENT = re.compile(r"Transient error (.+) encountered while exporting .*", re.DOTALL)
_REASON = 300


def _withheld(record: logging.LogRecord) -> bool:
    record.args = ("[redacted]",)
    return True


class Hush(logging.Filter):
    """Keeps the SDK's own lines about exports out of the log, and the first of each thread for whoever asks why."""

    def __init__(self) -> None:
        super().__init__()
        self._heard: dict[int, str] = {}
        self._level = logging.NOTSET

    def filter(self, record: logging.LogRecord) -> bool:
        # The first names the cause; those after it only say that trying again did not help.
        self._heard.setdefault(record.thread or 0, record.getMessage())
        return record.levelno <= logging.DEBUG

    def heard(self) -> str:
        """What the SDK has said on this thread since somebody asked, without secrets."""
        text = self._heard.pop(threading.get_ident(), "")
        cause = _TRANSIENT.fullmatch(text)
        return scrubbed(cause[1] if cause else text)[:_REASON]

    def start(self) -> None:
        self._level = logging.getLogger(_QUEUE).level
        logging.getLogger(_QUEUE).setLevel(logging.CRITICAL)
        logging.getLogger(_HEADERS).addFilter(_withheld)
        for name in _TALKATIVE:
            logging.getLogger(name).addFilter(self)

    def stop(self) -> None:
        logging.getLogger(_QUEUE).setLevel(self._level)
        logging.getLogger(_HEADERS).removeFilter(_withheld)
        for name in _TALKATIVE:
            logging.getLogger(name).removeFilter(self)


class Health:
    """Whether exports of one signal arrive. Used on one thread at a time. `count` of `note`: what is lost if not."""

    def __init__(self, what: str, why: Callable[[], str]) -> None:
        self._what = what
        self._why = why
        self._lost = 0
        self._away = False

    def note(self, *, arrived: bool, count: int, error: Exception | None = None) -> None:
        said = self._why()
        why = said if error is None else type(error).__name__
        if arrived:
            if self._away:
                # What a full queue refused meanwhile is counted nowhere.
                lost = f"; at least {self._lost} were lost meanwhile" if self._lost else ""
                log.warning("%s are exported again%s", self._what, lost)
            self._away, self._lost = False, 0
            return
        self._lost += count
        if not self._away:
            log.warning("%s cannot be exported, serving goes on: %s", self._what, why or "no reason was given")
        self._away = True


class WatchedSpans(SpanExporter):
    """Another exporter of spans, its failures told by `health`."""

    def __init__(self, inner: SpanExporter, health: Health) -> None:
        self._inner = inner
        self._health = health

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self._inner.export(spans)
        except Exception as error:  # noqa: BLE001 - an exporter's fault is told, and the next batch is tried
            self._health.note(arrived=False, count=len(spans), error=error)
            return SpanExportResult.FAILURE
        self._health.note(arrived=result is SpanExportResult.SUCCESS, count=len(spans))
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)


class WatchedMetrics:
    """An exporter of metrics with its failures told by `health`; cumulative ones lose nothing but their moment."""

    def __init__(self, inner: MetricExporter, health: Health, timeout: float) -> None:
        self._inner = inner
        self._health = health
        self._timeout = timeout

    def export(self, data: MetricsData) -> None:
        """Raises nothing; blocks as long as the exporter does."""
        try:
            result = self._inner.export(data, timeout_millis=self._timeout * 1e3)
        except Exception as error:  # noqa: BLE001 - an exporter's fault is told, and the next export is tried
            self._health.note(arrived=False, count=0, error=error)
            return
        self._health.note(arrived=result is MetricExportResult.SUCCESS, count=0)

    def shutdown(self) -> None:
        self._inner.shutdown()
