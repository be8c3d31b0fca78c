"""Time in the ledger: whole microseconds since 1970 UTC, which compare and round-trip exactly."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
MINUTE = 60_000_000
"""Microseconds in a minute."""


def utc_now() -> datetime:
    return datetime.now(UTC)


def to_us(at: datetime) -> int:
    """Microseconds since the epoch; `at` bears a time zone."""
    return (at - EPOCH) // MICROSECOND


def from_us(us: int) -> datetime:
    return EPOCH + timedelta(microseconds=us)


def maybe_from_us(us: int | None) -> datetime | None:
    return None if us is None else from_us(us)
