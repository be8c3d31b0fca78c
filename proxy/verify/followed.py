"""What log lines, exemplars and spans know of a case while it is worked on."""

from __future__ import annotations

from contextvars import Token
from types import TracebackType
from typing import Self

from proxy.model import Verdict
from proxy.telemetry.place import PLACE, Place
from proxy.telemetry.spans import Attributes
from proxy.verify.case import Case


class Followed:
    """A `with` block around the work on a case. Its spans end with the block."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._verdict = Verdict.LOST
        self._error = ""
        self._before: Token[Place | None]

    def __enter__(self) -> Self:
        case, span = self._case, self._case.exchange.span
        place = Place(case.domain, case.route, case.exchange.trace_id, span.span_id, span.sampled)
        self._before = PLACE.set(place)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        PLACE.reset(self._before)
        self._case.exchange.span.end(self._verdict, self._error or ("lost" if self._verdict is Verdict.LOST else ""))

    def failed(self, error: Exception) -> None:
        """A fault of our own kept the case from its verdict."""
        self._error = type(error).__name__

    def ended(self, verdict: Verdict) -> None:
        self._verdict = verdict


def peer_of(reader: object) -> Attributes:
    """Whom a reader asks, as attributes of a span; nothing where it does not say."""
    found: Attributes = getattr(reader, "peer", {})
    return found
