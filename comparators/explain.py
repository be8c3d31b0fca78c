"""A difference put for people: DeepDiff on the two values that differ, as lines. The one place that calls DeepDiff."""

from __future__ import annotations

from typing import Any

from deepdiff import DeepDiff

MAX_LINES = 40


def explain(primary: Any, shadow: Any) -> str:
    """What changed from `primary` to `shadow`, one line a change, at most `MAX_LINES`; "" when equal.

    Meant for the small values that are left once equal subtrees are gone: DeepDiff takes hundreds of times as long as
    the comparison itself.
    """
    lines = DeepDiff(primary, shadow, verbose_level=2).pretty().splitlines()
    if len(lines) > MAX_LINES:
        lines = [*lines[:MAX_LINES], f"... and {len(lines) - MAX_LINES} more"]
    return "\n".join(lines)
