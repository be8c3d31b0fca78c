"""The spans of an exchange, in the caller's trace.

`shadowread.exchange` has a `shadowread.read` below it for each read of a side (the client's own answer is the primary's
first) and a `shadowread.compare` for each comparison, those of settling among them (`shadowread.attempt` above 0).
Attributes follow the semantic conventions for HTTP; of a request only its route's template is told, never its target.
Exchanges that end before anything is read have none, and no more have requests that no route claims.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

from opentelemetry import trace
from opentelemetry.context import Context as OtelContext
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags, Tracer
from opentelemetry.trace.span import TraceState

from proxy.model import Headers, Observation, ReadRequest, Side, Verdict
from proxy.telemetry.context import Context, context_of, state_of, traceparent, with_traceparent
from proxy.telemetry.sampling import Sampler

if TYPE_CHECKING:
    # The SDK takes its time to load, and most commands export nothing.
    from proxy.telemetry.ids import TraceIds

log = logging.getLogger(__name__)

Attributes = Mapping[str, str | int]

METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"})
OTHER_METHOD = "_OTHER"
OURS = frozenset({"cancelled", "no_room", "too_large"})
"""Errors of an observation that say only that it was not kept to its end: no fault of the side that answered."""


class Step:
    """One read or comparison of an exchange that is not traced: nothing is kept of it."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """The step is over."""

    def asked(self, request: ReadRequest) -> ReadRequest:
        """What is sent: the request, its trace context naming this step as the parent where it is traced."""
        return request

    def saw(self, seen: Observation) -> None:
        """What the read brought."""

    def found(self, differences: int) -> None:
        """What the comparison brought."""


class Untraced:
    """An exchange that leaves no spans."""

    __slots__ = ()
    sampled = False
    span_id = ""
    traceparent = b""
    """What the primary is to be sent instead of the caller's; empty: what the caller sent."""

    def read(self, side: Side, method: str, peer: Attributes) -> Step:
        """One read of a side, from now to the end of the `with` block. `peer` tells who is asked."""
        del side, method, peer
        return NO_STEP

    def compare(self) -> Step:
        """One comparison, from now to the end of the `with` block."""
        return NO_STEP

    def again(self) -> None:
        """The sides are read once more from here on."""

    def answered(self, seen: Observation) -> None:
        """The primary's first answer, the client's where there is one, is complete, or it broke off."""

    def end(self, verdict: Verdict, error: str = "") -> None:
        """The exchange has its verdict. `error` names what kind of fault of our own kept it from a better one."""


NO_STEP = Step()
UNTRACED = Untraced()


class Begun(NamedTuple):
    """`trace_id` is the caller's also where the exchange is not traced; empty where there is none."""

    trace_id: str
    exchange: Untraced


class Spans:
    """Begins the spans of exchanges. Without a tracer it tells the caller's trace ids and nothing else.

    `sampler` None: the tracer decides by itself, as one that is not ours does. `ids` make the tracer begin a trace of
    the id that was sampled. `clock_ns` is Unix time in nanoseconds.
    """

    def __init__(
        self,
        tracer: Tracer | None = None,
        sampler: Sampler | None = None,
        ids: TraceIds | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._tracer = tracer
        self._sampler = sampler
        self._ids = ids
        self._clock_ns = clock_ns
        self._broken = False

    def begin(self, method: str, domain: str, route: str, headers: Headers, peer: Attributes | None = None) -> Begun:
        """The spans of an exchange that a client has just asked for. `peer` tells who answers it.

        `peer` None: there is no client, both sides are read for verification alone.
        """
        context = context_of(headers)
        heard = "" if context is None else context.trace_id
        if self._tracer is None:
            return Begun(heard, UNTRACED)
        if self._sampler is not None:
            chosen = self._sampler.trace_id(context)
            if chosen is None:
                return Begun(heard, UNTRACED)
            if self._ids is not None:
                self._ids.following = chosen
        at = self._clock_ns()
        try:
            span = self._tracer.start_span(
                "shadowread.exchange",
                context=_parent(context, headers),
                kind=SpanKind.SERVER,
                attributes={
                    "http.request.method": _method(method),
                    "http.route": route.partition(" ")[2] or route,
                    "url.scheme": "http",
                    "shadowread.domain": domain,
                },
                start_time=at,
            )
        except Exception as error:
            # A sampler or processor of somebody else; the exchange is verified all the same.
            if not self._broken:
                self._broken = True
                log.error("no spans are made: the tracer of the surroundings raises", exc_info=error)
            return Begun(heard, UNTRACED)
        if not span.get_span_context().trace_flags.sampled:
            span.end()
            return Begun(heard, UNTRACED)
        traced = Traced(self._tracer, span, method, peer, at)
        return Begun(traced.trace_id, traced)


NO_SPANS = Spans()


class Traced(Untraced):
    """An exchange whose spans are recorded."""

    __slots__ = ("_answer", "_attempt", "_began", "_context", "_span", "_tracer", "span_id", "trace_id", "traceparent")
    sampled = True

    def __init__(self, tracer: Tracer, span: Span, method: str, peer: Attributes | None, began: int) -> None:
        self._tracer = tracer
        self._span = span
        self._began = began
        self._attempt = 0
        self._context = trace.set_span_in_context(span)
        own = span.get_span_context()
        self.trace_id = f"{own.trace_id:032x}"
        self.span_id = f"{own.span_id:016x}"
        self._answer: _Read | None = None
        self.traceparent = b""
        if peer is not None:
            self._answer = _Read(self._start(Side.PRIMARY, method, peer, began), peer)
            self.traceparent = self._answer.traceparent

    def read(self, side: Side, method: str, peer: Attributes) -> Step:
        return _Read(self._start(side, method, peer, None), peer)

    def compare(self) -> Step:
        attributes = {"shadowread.attempt": self._attempt}
        return _Compare(self._tracer.start_span("shadowread.compare", context=self._context, attributes=attributes))

    def again(self) -> None:
        self._attempt += 1

    def answered(self, seen: Observation) -> None:
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.saw(seen)
            answer.span.end(self._began + int(seen.seconds * 1e9))
        if seen.status is not None:
            self._span.set_attribute("http.response.status_code", seen.status)
            if seen.status >= 500:
                _failed(self._span, str(seen.status))
        elif seen.error not in OURS:
            _failed(self._span, seen.error or "protocol")

    def end(self, verdict: Verdict, error: str = "") -> None:
        if self._answer is not None:
            # Nobody waited for it to the end: the proxy stops.
            self._answer.span.end()
        self._span.set_attribute("shadowread.verdict", verdict.value)
        if error:
            _failed(self._span, error)
        self._span.end()

    def _start(self, side: Side, method: str, peer: Attributes, at: int | None) -> Span:
        attributes: dict[str, str | int] = {"side": side.value, "shadowread.attempt": self._attempt, **peer}
        if "server.address" in peer:
            attributes["http.request.method"] = _method(method)
        return self._tracer.start_span(
            "shadowread.read", context=self._context, kind=SpanKind.CLIENT, attributes=attributes, start_time=at
        )


class _Read(Step):
    __slots__ = ("_http", "span", "traceparent")

    def __init__(self, span: Span, peer: Attributes) -> None:
        self.span = span
        self._http = "server.address" in peer
        own = span.get_span_context()
        self.traceparent = traceparent(own.trace_id, own.span_id, own.trace_flags)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is not None and issubclass(kind, Exception):
            _failed(self.span, kind.__name__)
        elif kind is not None:
            # A read that nobody needs any more is broken off; that is not a fault of the side.
            self.span.set_attribute("error.type", kind.__name__)
        self.span.end()

    def asked(self, request: ReadRequest) -> ReadRequest:
        return request._replace(headers=with_traceparent(request.headers, self.traceparent))

    def saw(self, seen: Observation) -> None:
        if seen.error in OURS:
            self.span.set_attribute("error.type", seen.error)
        elif seen.error is not None:
            _failed(self.span, seen.error)
        elif seen.status is not None and self._http:
            self.span.set_attribute("http.response.status_code", seen.status)
            if seen.status >= 400:
                _failed(self.span, str(seen.status))


class _Compare(Step):
    __slots__ = ("_span",)

    def __init__(self, span: Span) -> None:
        self._span = span

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is not None:
            _failed(self._span, kind.__name__)
        self._span.end()

    def found(self, differences: int) -> None:
        self._span.set_attribute("shadowread.differences", differences)


def _failed(span: Span, kind: str) -> None:
    # No description: the texts of errors may name what was asked for.
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR))


def _method(method: str) -> str:
    return method if method in METHODS else OTHER_METHOD


def _parent(context: Context | None, headers: Headers) -> OtelContext:
    if context is None:
        # Not None: that would be whatever the surroundings have begun, which is not about this request.
        return trace.set_span_in_context(trace.INVALID_SPAN)
    return trace.set_span_in_context(
        NonRecordingSpan(
            SpanContext(
                int(context.trace_id, 16),
                int(context.span_id, 16),
                is_remote=True,
                trace_flags=TraceFlags(context.flags & 3),
                trace_state=TraceState(state_of(headers)),
            )
        )
    )
