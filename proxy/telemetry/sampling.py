"""Whether an exchange is traced: the head decision, made before any object of the SDK exists.

What `OTEL_TRACES_SAMPLER` and `OTEL_TRACES_SAMPLER_ARG` ask for (OpenTelemetry specification, "SDK environment
variables"), for the six samplers that are part of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from proxy.telemetry.context import Context

_HALF = 1 << 64


@dataclass(frozen=True, slots=True)
class Rule:
    """`ratio` of new traces, from 0 to 1. `parent_based`: where the caller has decided already, that holds."""

    ratio: float
    parent_based: bool


class Sampler:
    """Decides by a rule. `draw(n)` gives n random bits."""

    def __init__(self, rule: Rule, draw: Callable[[int], int]) -> None:
        self._parent_based = rule.parent_based
        # As the SDK has it: the lower half of the trace id against a bound, so that all who see the trace agree.
        self._bound = round(rule.ratio * _HALF)
        self._draw = draw

    def trace_id(self, parent: Context | None) -> int | None:
        """The id of the trace to record this exchange in, the caller's or a new one; None: it is not recorded."""
        if parent is not None:
            if parent.sampled if self._parent_based else int(parent.trace_id[16:], 16) < self._bound:
                return int(parent.trace_id, 16)
            return None
        if not self._bound:
            return None
        low = self._draw(64)
        return None if low >= self._bound else self._draw(64) << 64 | low or 1
