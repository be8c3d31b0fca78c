"""Which exchange the running code works on. Tasks and threads that it starts know it too."""

from __future__ import annotations

from contextvars import ContextVar
from typing import NamedTuple


class Place(NamedTuple):
    """`trace_id` and `span_id` in hex, empty without one. `sampled`: its spans are exported."""

    domain: str
    route: str
    trace_id: str = ""
    span_id: str = ""
    sampled: bool = False


PLACE: ContextVar[Place | None] = ContextVar("shadowread_place", default=None)
