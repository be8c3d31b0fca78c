"""How values are put on a page: hostile text made visible, figures, times. Pure; the templates' filters."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from markupsafe import Markup, escape

from comparators.encode import dumps
from proxy.gate.words import percent, span

SHOWN = 2_000
"""Characters of one value that a page shows where it is not told otherwise."""
SMALLEST = 1e-5
"""The smallest rate that is told as a number: 0.001 %."""
DURATIONS = frozenset({"soak", "shelf_life"})
"""Conditions whose figures are seconds."""

_UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    r"\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\uffff\ud800-\udfff\U000e0000-\U000e01ef]"
)
"""Control characters (tab and line feed apart), what turns the direction of writing, what takes no room, and halves of
surrogate pairs, which UTF-8 cannot bear."""
_TYPED = re.compile(r"`([^`\n]{1,200})`")


def shown(value: object, most: int = SHOWN) -> str:
    """A value as text in which nothing is hidden: what cannot be seen stands as `\\u202e`, what is too long is cut and
    says how long it was. It is still to be escaped, which the templates do."""
    text = "" if value is None else str(value)
    cut = text[:most]
    seen = _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", cut)
    return seen if len(text) <= most else f"{seen}\u2026 ({len(text):,} characters)"


def prose(value: object, most: int = SHOWN) -> Markup:
    """A sentence of ours, in which backticks hold what is typed. All of it is escaped first: it may quote anybody."""
    return Markup(_TYPED.sub(r"<code>\1</code>", str(escape(shown(value, most)))))  # noqa: S704 - escaped just here


def number(value: float | None) -> str:
    return "" if value is None else f"{value:,}"


def rate(value: float | None) -> str:
    """A share as per cent with three figures. What is more than nothing never reads as 0, less than all not as 100."""
    if value is None:
        return ""
    if 0 < value < SMALLEST:
        return "< 0.001 %"
    if SMALLEST <= value < 1:
        return f"{min(float(f'{value * 100:.3g}'), 99.99):g} %"
    return f"{value * 100:g} %"


def share(value: float | None) -> str:
    """A share as per cent, rounded down."""
    return "" if value is None else percent(value)


def ratio(value: float | None) -> str:
    """How many times as much."""
    return "" if value is None else f"{value:.2f}\u00d7" if value < 10 else f"{value:.0f}\u00d7"


def seconds(value: float | None) -> str:
    return "" if value is None else span(value)


def millis(value: float | None) -> str:
    """A duration of a read. `static/tail.js` says it in the same way."""
    if value is None:
        return ""
    return f"{value * 1e3:.1f} ms" if value < 0.01 else f"{value * 1e3:,.0f} ms"


def json(value: object) -> str:
    """A value of a body as JSON text."""
    return dumps(value)


def figure(value: Any, condition: str = "") -> str:
    """A figure or limit of a condition of the gate: seconds as durations, counts with thousands, rates as they are."""
    if value is None:
        return ""
    if condition in DURATIONS:
        return span(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}" if abs(value) < 1_000 else f"{value:,.0f}"


def moment(iso: str) -> datetime:
    """A time as the JSON has it."""
    return datetime.fromisoformat(iso).astimezone(UTC)


def absolute(iso: str) -> str:
    return moment(iso).strftime("%Y-%m-%d %H:%M:%S UTC")


def clock(iso: str) -> str:
    return moment(iso).strftime("%H:%M:%S")


def age(iso: str, now: datetime) -> str:
    """How long ago, in one unit. `static/times.js` says it in the same words."""
    past = (now - moment(iso)).total_seconds()
    if past < 0:
        return "just now" if past > -60 else f"in {_in_one_unit(-past)}"
    return "just now" if past < 1 else f"{_in_one_unit(past)} ago"


def _in_one_unit(past: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if past >= size:
            return f"{int(past // size)} {unit}"
    return f"{int(past)} s"


def address(path: str, query: Iterable[tuple[str, object]] = (), **changed: object) -> str:
    """`path` with its query; `changed` parameters take the place of those in `query`, empty ones are left out."""
    whole = {**dict(query), **changed}
    kept = [(name, str(value)) for name, value in whole.items() if value not in (None, "")]
    return f"{path}?{urlencode(kept)}" if kept else path
