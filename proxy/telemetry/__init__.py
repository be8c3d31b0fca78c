"""What the proxy tells of itself: figures for Prometheus and OTLP, spans in the caller's trace, log lines.

- `figures`: plain aggregates that every exchange adds to; `prometheus` and `points` lay them out for who asks;
- `context`, `sampling`, `spans`: the W3C trace context, the head decision, and the spans of what was sampled;
- `place`: which exchange the running code works on, for log lines and exemplars;
- `environment`, `setup`, `sdk`, `export`, `session`: what `OTEL_*` asks for, and how it gets to a collector
  without disturbing anybody;
- `logs`: log lines as text or JSON.
"""

from proxy.telemetry.figures import Figures, Gauge
from proxy.telemetry.spans import NO_SPANS, UNTRACED, Spans, Untraced

__all__ = ["NO_SPANS", "UNTRACED", "Figures", "Gauge", "Spans", "Untraced"]
