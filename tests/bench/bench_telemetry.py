"""What telling of an exchange costs the loop that serves clients: `python -m tests.bench.bench_telemetry`.

The bookkeeping of one exchange that matches (its trace context, spans, counts and durations, nothing else) in turns:
telemetry off, set up but the exchange not sampled, and sampled, its spans given to an exporter that forgets them.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from proxy.model import Headers, Observation, ReadRequest, Side, Verdict
from proxy.telemetry import NO_SPANS, Figures, Spans
from proxy.telemetry.ids import TraceIds
from proxy.telemetry.place import PLACE, Place
from proxy.telemetry.sampling import Rule, Sampler
from proxy.telemetry.spans import Attributes

ROUNDS, EXCHANGES = 60, 200
DOMAIN, ROUTE = "users", "GET /api/users/{id}"
PEER: Attributes = {"server.address": "127.0.0.1", "server.port": 5001}
PLAIN: Headers = tuple((f"X-Field-{n}".encode(), b"some value") for n in range(12))
CONTEXT = (b"traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0%d")
OFF, OUT, OUT_ASKED, SAMPLED = "off", "not sampled", "not sampled by the caller", "sampled"


@dataclass(frozen=True, slots=True)
class Cost:
    """Microseconds of processor time for one exchange; `more` than with telemetry off."""

    case: str
    median: float
    more: float
    ratio: float


class Forget(SpanExporter):
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        del spans
        return SpanExportResult.SUCCESS


def exchange(spans: Spans, figures: Figures, headers: Headers) -> None:
    """What the verifier tells of an exchange that matches, in the order in which it does."""
    trace_id, span = spans.begin("GET", DOMAIN, ROUTE, headers, PEER)
    before = PLACE.set(Place(DOMAIN, ROUTE, trace_id, span.span_id, span.sampled))
    request = ReadRequest("GET", "/api/users/1", headers)
    with span.read(Side.SHADOW, "GET", PEER) as step:
        step.asked(request)
        step.saw(_SHADOW)
    span.answered(_PRIMARY)
    with span.compare() as step:
        figures.compare(0.0002)
        step.found(0)
    figures.exchange(DOMAIN, ROUTE, Verdict.MATCH)
    figures.read(DOMAIN, Side.PRIMARY, 0.012)
    figures.read(DOMAIN, Side.SHADOW, 0.015)
    PLACE.reset(before)
    span.end(Verdict.MATCH)


_PRIMARY = Observation(Side.PRIMARY, 200, (), b"{}", seconds=0.012)
_SHADOW = Observation(Side.SHADOW, 200, (), b"{}", seconds=0.015)


def costs(rounds: int = ROUNDS, exchanges: int = EXCHANGES) -> list[Cost]:
    draw = random.Random(1).getrandbits
    ids = TraceIds(draw)
    provider = TracerProvider(sampler=ALWAYS_ON, id_generator=ids, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(Forget()))
    tracer = provider.get_tracer("bench")

    def spans(rule: Rule, bits: Callable[[int], int] = draw) -> Spans:
        return Spans(tracer, Sampler(rule, bits), ids)

    figures = Figures()
    asked, refused = (*PLAIN, (CONTEXT[0], CONTEXT[1] % 1)), (*PLAIN, (CONTEXT[0], CONTEXT[1] % 0))
    cases = {
        OFF: (NO_SPANS, PLAIN),
        # One in a hundred would be sampled; what is drawn here is never among them.
        OUT: (spans(Rule(0.01, parent_based=True), lambda bits: (1 << bits) - 1), PLAIN),
        OUT_ASKED: (spans(Rule(1.0, parent_based=True)), refused),
        SAMPLED: (spans(Rule(1.0, parent_based=True)), asked),
    }
    times: dict[str, list[float]] = {case: [] for case in cases}
    gc.collect()
    gc.freeze()
    for _ in range(rounds):
        for case, (made, headers) in cases.items():
            began = time.thread_time()
            for _ in range(exchanges):
                exchange(made, figures, headers)
            times[case].append((time.thread_time() - began) / exchanges * 1e6)
    gc.unfreeze()
    provider.shutdown()
    off = statistics.median(times[OFF])
    return [
        Cost(case, median, median - off, median / off)
        for case, taken in times.items()
        for median in (statistics.median(taken),)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    asked = parser.parse_args()
    found = costs()
    if asked.json:
        json.dump([asdict(one) for one in found], sys.stdout)
        return
    sys.stdout.write(f"{'one exchange':<28}{'us':>8}{'more us':>10}{'ratio':>8}\n")
    for one in found:
        sys.stdout.write(f"{one.case:<28}{one.median:8.2f}{one.more:10.2f}{one.ratio:8.2f}\n")


if __name__ == "__main__":
    main()
