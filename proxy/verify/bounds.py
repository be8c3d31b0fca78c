"""The limits that verification keeps."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of verification: seconds, bytes, counts and shares as in the configuration."""

    timeout: float
    settle_delay: float
    settle_factor: float
    settle_attempts: int
    body: int
    buffered: int
    depth: int
    differences: int
    queue: int
    concurrency: int
    memo: int = 0
    busy: float = 1.0
