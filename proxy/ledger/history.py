"""What ended lately in each domain, in buckets of minutes: for one look at the last hours."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.ledger import schema
from proxy.ledger.moments import MINUTE, from_us, to_us
from proxy.model import COMPARISONS, FAILURES, Verdict

BUCKET = 10
"""Minutes."""
BUCKETS = 36


@dataclass(frozen=True, slots=True)
class Bucket:
    """What ended in the ten minutes from `at` on."""

    at: datetime
    comparisons: int
    diffs: int
    failed: int


async def history(connection: AsyncConnection, now: datetime) -> Mapping[str, list[Bucket]]:
    """The last six hours of every domain, oldest first, the bucket under way last; as of the last write.

    A domain of which nothing ended in that time is not named.
    """
    table = schema.minutes
    places = _places(now)
    bucket = table.c.minute - table.c.minute % BUCKET
    rows = await connection.execute(
        select(table.c.domain, table.c.verdict, bucket.label("bucket"), func.sum(table.c.n).label("n"))
        .where(table.c.minute >= places[0], table.c.minute < places[-1] + BUCKET)
        # By its name: Postgres takes the same expression with other parameters for another one.
        .group_by(table.c.domain, table.c.verdict, "bucket")
    )
    counts: defaultdict[str, Counter[tuple[int, Verdict]]] = defaultdict(Counter)
    for row in rows:
        counts[row.domain][row.bucket, Verdict(row.verdict)] += int(row.n)
    return {domain: [_bucket(found, place) for place in places] for domain, found in counts.items()}


def quiet(now: datetime) -> list[Bucket]:
    """The last six hours of a domain in which nothing ended."""
    return [_bucket(Counter(), place) for place in _places(now)]


def _places(now: datetime) -> range:
    """The first minute of each bucket, counted since 1970."""
    last = to_us(now) // MINUTE
    last -= last % BUCKET
    return range(last - (BUCKETS - 1) * BUCKET, last + 1, BUCKET)


def _bucket(found: Counter[tuple[int, Verdict]], place: int) -> Bucket:
    return Bucket(
        from_us(place * MINUTE),
        sum(found[place, verdict] for verdict in COMPARISONS),
        found[place, Verdict.DIFF],
        sum(found[place, verdict] for verdict in FAILURES),
    )
