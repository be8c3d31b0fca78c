"""What is made of the `OTEL_*` variables, and of a provider that somebody else has set."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from comparators.model import Kind
from proxy.model import Side, Verdict
from proxy.telemetry import export
from proxy.telemetry.environment import Delta, TelemetryError, Wanted, wanted
from proxy.telemetry.figures import Figures, Gauge
from proxy.telemetry.points import Points
from proxy.telemetry.sampling import Rule
from proxy.telemetry.sdk import Exports
from proxy.telemetry.setup import Telemetry
from proxy.telemetry.spans import UNTRACED

ENDPOINT = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}


def test_nothing_is_wanted_unasked() -> None:
    assert wanted({}) == Wanted()
    assert wanted({"OTEL_SERVICE_NAME": "x", "OTEL_TRACES_SAMPLER": "always_on"}).traces == ()


@pytest.mark.parametrize(
    ("said", "traces", "metrics"),
    [
        (ENDPOINT, ("otlp",), ("otlp",)),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x/v1/traces"}, ("otlp",), ()),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, ("otlp",), ()),
        ({"OTEL_METRICS_EXPORTER": "console"}, (), ("console",)),
        ({**ENDPOINT, "OTEL_METRICS_EXPORTER": "none"}, ("otlp",), ()),
        ({**ENDPOINT, "OTEL_METRICS_EXPORTER": "prometheus, otlp"}, ("otlp",), ("otlp",)),
        ({"OTEL_TRACES_EXPORTER": "console, otlp,console"}, ("console", "otlp"), ()),
        ({**ENDPOINT, "OTEL_SDK_DISABLED": "TRUE"}, (), ()),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, (), ()),
    ],
)
def test_exporters(said: dict[str, str], traces: tuple[str, ...], metrics: tuple[str, ...]) -> None:
    found = wanted(said)
    assert (found.traces, found.metrics, found.remarks) == (traces, metrics, ())


@pytest.mark.parametrize(
    ("sampler", "share", "rule"),
    [
        ("", "", Rule(1, True)),
        ("always_on", "", Rule(1, False)),
        ("always_off", "", Rule(0, False)),
        ("traceidratio", "0.25", Rule(0.25, False)),
        ("parentbased_always_on", "0.25", Rule(1, True)),
        ("parentbased_always_off", "", Rule(0, True)),
        ("parentbased_traceidratio", "0.5", Rule(0.5, True)),
        ("parentbased_traceidratio", "", Rule(1, True)),
    ],
)
def test_samplers(sampler: str, share: str, rule: Rule) -> None:
    found = wanted({"OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": share})
    assert (found.rule, found.remarks) == (rule, ())


@pytest.mark.parametrize(
    ("said", "remark"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER: 'zipkin'"),
        ({"OTEL_TRACES_SAMPLER": "jaeger_remote"}, "OTEL_TRACES_SAMPLER: 'jaeger_remote'"),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "2"}, "OTEL_TRACES_SAMPLER_ARG: '2'"),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "x"}, "OTEL_TRACES_SAMPLER_ARG: 'x'"),
        ({"OTEL_PROPAGATORS": "b3"}, "OTEL_PROPAGATORS: only tracecontext"),
        ({"OTEL_METRIC_EXPORT_INTERVAL": "soon"}, "OTEL_METRIC_EXPORT_INTERVAL: 'soon'"),
        ({"OTEL_METRIC_EXPORT_INTERVAL": "nan"}, "OTEL_METRIC_EXPORT_INTERVAL: 'nan'"),
        ({"OTEL_EXPORTER_OTLP_TIMEOUT": "1e300"}, "'1e300' is no number of milliseconds"),
        ({"OTEL_EXPORTER_OTLP_TIMEOUT": "10"}, "in milliseconds"),
        ({"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "both"}, "TEMPORALITY_PREFERENCE: 'both'"),
    ],
)
def test_what_is_not_understood_is_said_once_and_defaults_hold(said: dict[str, str], remark: str) -> None:
    found = wanted(said)
    (text,) = found.remarks
    assert remark in text
    assert found.traces == ()
    assert found.interval == 60
    assert found.delta == Delta()


def test_times_are_milliseconds() -> None:
    found = wanted({"OTEL_METRIC_EXPORT_INTERVAL": "1500", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT": "2500"})
    assert (found.interval, found.trace_timeout, found.metric_timeout) == (1.5, 2.5, 10)


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc'.*http/protobuf"),
        ({**ENDPOINT, "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "http/json"}, "METRICS_PROTOCOL: 'http/json'"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4318"}, "OTEL_EXPORTER_OTLP_ENDPOINT: not a URL"),
    ],
)
def test_what_cannot_be_done_is_refused(said: dict[str, str], text: str) -> None:
    with pytest.raises(TelemetryError, match=text):
        wanted(said)


def test_what_others_export_they_know_best() -> None:
    said = {**ENDPOINT, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc", "OTEL_TRACES_SAMPLER": "jaeger_remote"}
    assert wanted(said, traces=False, metrics=False) == Wanted()
    with pytest.raises(TelemetryError, match="grpc"):
        wanted(said, traces=False)


def test_headers_that_cannot_be_read_are_not_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key 5e55104a5e55104a")
    exports = Exports(Wanted(metrics=("otlp",)), lambda: 0)
    try:
        exports.senders(Figures())
    finally:
        exports.close()
    assert "Header format invalid" in caplog.text
    assert "5e55104a" not in caplog.text


ODD = """
import os
from proxy.telemetry.environment import TelemetryError
from proxy.telemetry.setup import Telemetry
try:
    Telemetry.of(os.environ)
except TelemetryError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "many"),
        ("OTEL_PYTHON_TRACER_PROVIDER", "nobody"),
        ("OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER", "nobody"),
    ],
)
def test_what_the_sdk_refuses_is_said_without_a_traceback(name: str, value: str) -> None:
    # In a process of its own: the SDK reads these once.
    done = subprocess.run(
        [sys.executable, "-c", ODD],
        env={"OTEL_TRACES_EXPORTER": "otlp", name: value},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=Path.cwd(),
    )
    assert "OTEL_" in done.stdout


def test_sizes_that_contradict_each_other_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "-1")
    with pytest.raises(TelemetryError, match="max_queue_size"):
        Telemetry.of({"OTEL_TRACES_EXPORTER": "console"})
    hushed = [each for name in export._TALKATIVE for each in logging.getLogger(name).filters]
    assert not [each for each in hushed if isinstance(each, export.Hush)]


def test_serve_logs_as_asked_and_refuses_with_exit_code_2(tmp_path: Path) -> None:
    config = tmp_path / "shadowread.yaml"
    config.write_text("primary: {url: 'http://127.0.0.1:1'}\n")
    done = subprocess.run(
        [sys.executable, "-m", "proxy.cli", "serve", "-c", str(config)],
        env={
            **ENDPOINT,
            "OTEL_TRACES_SAMPLER": "whatever",
            "OTEL_BSP_MAX_QUEUE_SIZE": "-1",
            "SHADOWREAD_LOG_FORMAT": "json",
            "PATH": "/usr/bin:/bin",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    warned, refused = done.stderr.splitlines()
    line = json.loads(warned)
    assert (line["level"], line["message"].partition(":")[0]) == ("warning", "OTEL_TRACES_SAMPLER")
    assert refused.startswith("shadowread: OTEL_BSP_*")
    assert "max_queue_size" in refused


FOREIGN = """
import random
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, ALWAYS_OFF
from proxy.model import Side, Verdict
from proxy.telemetry import Figures, UNTRACED
from proxy.telemetry.setup import Telemetry

kept, reader = InMemorySpanExporter(), InMemoryMetricReader()
provider = TracerProvider(sampler=ParentBased(ALWAYS_OFF))
provider.add_span_processor(SimpleSpanProcessor(kept))
trace.set_tracer_provider(provider)
metrics.set_meter_provider(MeterProvider([reader]))
telemetry = Telemetry.of({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})
figures = Figures()
telemetry.start(figures, refresh=None)
assert telemetry.spans.begin("GET", "d", "GET /x", (), {}).exchange is UNTRACED
context = b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01"
trace_id, exchange = telemetry.spans.begin("GET", "d", "GET /x", ((b"traceparent", context),), {})
assert trace_id == "a" * 32 and exchange.traceparent.startswith(b"00-" + b"a" * 32)
exchange.end(Verdict.MATCH)
assert [span.name for span in kept.get_finished_spans()] == ["shadowread.read", "shadowread.exchange"]
figures.read("d", Side.PRIMARY, 0.1)
names = {m.name for r in reader.get_metrics_data().resource_metrics for s in r.scope_metrics for m in s.metrics}
assert {"shadowread.read.duration", "shadowread.unclaimed"} <= names, names
print("used")
"""


def test_a_provider_of_the_surroundings_is_used() -> None:
    # In a process of its own: such a provider is set once and for all.
    done = subprocess.run(
        [sys.executable, "-c", FOREIGN], capture_output=True, text=True, timeout=60, check=False, cwd=Path.cwd()
    )
    assert done.stdout == "used\n", done.stderr


def test_points_by_delta_tell_what_came_since() -> None:
    clock = iter(range(100, 1000, 100))
    figures = Figures(clock_ns=lambda: 0)
    level = [3.0]
    figures.gauge(Gauge("shadowread.level", "Level.", lambda: {(): level[0]}))
    points = Points(
        figures, Resource({}), InstrumentationScope("x"), clock_ns=lambda: next(clock), delta=Delta(True, True)
    )
    figures.exchange("d", "r", Verdict.MATCH)
    figures.differences("d", "r", Kind.STATUS, 5)
    figures.read("d", Side.SHADOW, 0.3)
    assert told(points) == {"shadowread.exchanges": 1, "shadowread.differences": 5, "shadowread.unclaimed": 0,
                            "shadowread.level": 3, "shadowread.read.duration": (1, 0.3)}  # fmt: skip
    figures.exchange("d", "r", Verdict.MATCH)
    figures.exchange("d", "r", Verdict.MATCH)
    figures.read("d", Side.SHADOW, 0.5)
    level[0] = 1
    assert told(points) == {"shadowread.exchanges": 2, "shadowread.differences": 0, "shadowread.unclaimed": 0,
                            "shadowread.level": 1, "shadowread.read.duration": (1, 0.5)}  # fmt: skip


def told(points: Points) -> dict[str, object]:
    (scope,) = points.collect().resource_metrics[0].scope_metrics
    found: dict[str, object] = {}
    for metric in scope.metrics:
        (point,) = metric.data.data_points
        found[metric.name] = point.value if hasattr(point, "value") else (point.count, pytest.approx(point.sum))
    return found


def test_an_untraced_exchange_leaves_the_request_alone() -> None:
    assert Telemetry().spans.begin("GET", "d", "GET /x", (), {}) == ("", UNTRACED)
