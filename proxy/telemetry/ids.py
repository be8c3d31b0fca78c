"""Ids for the SDK's spans: a new trace gets the id that the sampling decision was made on."""

from __future__ import annotations

from collections.abc import Callable

from opentelemetry.sdk.trace.id_generator import IdGenerator


class TraceIds(IdGenerator):
    """`following` is the id of the trace that is begun next; `draw(n)` gives n random bits."""

    def __init__(self, draw: Callable[[int], int]) -> None:
        self._draw = draw
        self.following = 0

    def generate_span_id(self) -> int:
        return self._draw(64) or 1

    def generate_trace_id(self) -> int:
        return self.following or self._draw(128) or 1

    def is_trace_id_random(self) -> bool:
        return True
