"""What the `OTEL_*` variables ask for. Pure; the exporters read those that are about themselves.

Nothing is exported unless an exporter or an OTLP endpoint is named. Deviating from the SDK and following the
specification, `OTEL_EXPORTER_OTLP_TIMEOUT` is in milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from proxy.errors import ShadowreadError
from proxy.telemetry.sampling import Rule

SCOPE = "shadowread"
"""What the spans and figures are told under, and the service's name where nobody gives another."""
PROTOCOL = "http/protobuf"
SAMPLERS = {
    "always_on": Rule(1.0, parent_based=False),
    "always_off": Rule(0.0, parent_based=False),
    "traceidratio": Rule(1.0, parent_based=False),
    "parentbased_always_on": Rule(1.0, parent_based=True),
    "parentbased_always_off": Rule(0.0, parent_based=True),
    "parentbased_traceidratio": Rule(1.0, parent_based=True),
}
DEFAULT_SAMPLER = "parentbased_always_on"
INTERVAL, TIMEOUT = 60_000.0, 10_000.0
"""Milliseconds: the specification's defaults."""
SHORT_TIMEOUT, LONGEST = 100.0, 86_400_000.0

Exporter = Literal["otlp", "console"]


class TelemetryError(ShadowreadError):
    """The `OTEL_*` variables ask for something that cannot be done."""


class Delta(NamedTuple):
    """What is told since the last export instead of since the start."""

    counts: bool = False
    durations: bool = False


NONE = Delta()
# "lowmemory" of the specification: synchronous instruments by delta; the counts here are what it calls observable.
TEMPORALITIES = {"cumulative": NONE, "delta": Delta(True, True), "lowmemory": Delta(False, True)}


@dataclass(frozen=True, slots=True)
class Wanted:
    """`interval` and the timeouts are in seconds. `remarks` say what was not understood and what holds instead."""

    traces: tuple[Exporter, ...] = ()
    metrics: tuple[Exporter, ...] = ()
    rule: Rule = SAMPLERS[DEFAULT_SAMPLER]
    interval: float = INTERVAL / 1e3
    trace_timeout: float = TIMEOUT / 1e3
    metric_timeout: float = TIMEOUT / 1e3
    delta: Delta = NONE
    disabled: bool = False
    remarks: tuple[str, ...] = ()


def wanted(environ: Mapping[str, str], *, traces: bool = True, metrics: bool = True) -> Wanted:
    """What is asked for. Raises TelemetryError for an OTLP protocol or endpoint that cannot be spoken to.

    `traces`, `metrics`: False where somebody else exports them, who may know more than is known here.
    """
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return Wanted(disabled=True)
    said = _Said(environ)
    said.check_propagators()
    return Wanted(
        traces=said.exporters("TRACES") if traces else (),
        metrics=said.exporters("METRICS") if metrics else (),
        rule=said.rule() if traces else SAMPLERS[DEFAULT_SAMPLER],
        interval=said.milliseconds("OTEL_METRIC_EXPORT_INTERVAL", INTERVAL) / 1e3,
        trace_timeout=said.timeout("TRACES"),
        metric_timeout=said.timeout("METRICS"),
        delta=said.delta() if metrics else NONE,
        remarks=tuple(dict.fromkeys(said.remarks)),
    )


class _Said:
    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.remarks: list[str] = []

    def value(self, *names: str) -> tuple[str, str]:
        """The first of the variables that says something, and its name; an empty one counts as absent."""
        for name in names:
            if text := self._environ.get(name, "").strip():
                return name, text
        return names[-1], ""

    def exporters(self, signal: str) -> tuple[Exporter, ...]:
        name, text = self.value(f"OTEL_{signal}_EXPORTER")
        endpoint_name, endpoint = self.value(f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
        found: list[Exporter] = []
        for part in (text or ("otlp" if endpoint else "none")).split(","):
            match part.strip().lower():
                case "otlp" | "console" as known:
                    found.append(known)
                case "none":
                    pass
                case "prometheus" if signal == "METRICS":
                    # /metrics of the admin port is always there.
                    pass
                case _:
                    self.remarks.append(f"{name}: {part.strip()[:40]!r} is not known here (otlp, console, none)")
        if "otlp" in found:
            self._check_otlp(signal, endpoint_name, endpoint)
        return tuple(dict.fromkeys(found))

    def _check_otlp(self, signal: str, endpoint_name: str, endpoint: str) -> None:
        name, protocol = self.value(f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
        if protocol and protocol != PROTOCOL:
            raise TelemetryError(
                f"{name}: {protocol[:40]!r} is not spoken; set it to {PROTOCOL} (collectors take that on port 4318)"
            )
        if endpoint and not endpoint.lower().startswith(("http://", "https://")):
            raise TelemetryError(f"{endpoint_name}: not a URL; it should look like http://localhost:4318")

    def rule(self) -> Rule:
        _, text = self.value("OTEL_TRACES_SAMPLER")
        name = text.lower() or DEFAULT_SAMPLER
        if name not in SAMPLERS:
            self.remarks.append(
                f"OTEL_TRACES_SAMPLER: {name[:40]!r} is not known here ({', '.join(SAMPLERS)}); {DEFAULT_SAMPLER} holds"
            )
            return SAMPLERS[DEFAULT_SAMPLER]
        rule = SAMPLERS[name]
        if not name.endswith("traceidratio"):
            return rule
        _, share = self.value("OTEL_TRACES_SAMPLER_ARG")
        try:
            ratio = float(share or 1.0)
        except ValueError:
            ratio = -1.0
        if not 0 <= ratio <= 1:
            self.remarks.append(f"OTEL_TRACES_SAMPLER_ARG: {share[:40]!r} is no number from 0 to 1; 1 holds")
            ratio = 1.0
        return Rule(ratio, rule.parent_based)

    def check_propagators(self) -> None:
        name, text = self.value("OTEL_PROPAGATORS")
        if text and "tracecontext" not in text.lower().split(","):
            self.remarks.append(f"{name}: only tracecontext is spoken here; all other fields pass as they came")

    def delta(self) -> Delta:
        name, text = self.value("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE")
        found = TEMPORALITIES.get(text.lower() or "cumulative")
        if found is None:
            self.remarks.append(f"{name}: {text[:40]!r} is not known ({', '.join(TEMPORALITIES)}); cumulative holds")
        return found or NONE

    def timeout(self, signal: str) -> float:
        name, _ = self.value(f"OTEL_EXPORTER_OTLP_{signal}_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT")
        found = self.milliseconds(name, TIMEOUT)
        if found < SHORT_TIMEOUT:
            self.remarks.append(f"{name}: {found:g} is in milliseconds, which few exports will be done within")
        return found / 1e3

    def milliseconds(self, name: str, default: float) -> float:
        _, text = self.value(name)
        try:
            found = float(text or default)
        except ValueError:
            found = 0.0
        if not 0 < found <= LONGEST:
            self.remarks.append(
                f"{name}: {text[:40]!r} is no number of milliseconds above 0 and up to a day; {default:g} holds"
            )
            return default
        return found
