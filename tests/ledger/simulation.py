"""A quarter of a year of a busy proxy, written by the ledger's own arithmetic: sums, not one exchange at a time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from proxy.ledger import windows
from proxy.ledger.database import migrate, store_of
from proxy.ledger.details import DetailsBatch
from proxy.ledger.moments import MINUTE, to_us
from proxy.ledger.recover import close_run, register
from proxy.ledger.tally import Batch, RouteDelta, VerdictDelta
from proxy.ledger.tidy import tidy
from proxy.ledger.timing import WATCHES, TimingBatch
from proxy.ledger.windows import Unsaved
from proxy.ledger.write import Bounds, write_batch
from proxy.model import Side, Verdict
from proxy.window import Watch, Window
from tests.ledger.support import START

DOMAINS = 18
ROUTES = 500
DAYS = 90
WINDOWS = 60
"""How often the window of each domain changes."""
FINE_HOURS = 48
"""The last hours, of which all minutes are written; before that only the first of each hour, as they will be joined."""
VERDICTS = (Verdict.DIFF, Verdict.TRANSIENT, Verdict.NOT_SAMPLED, Verdict.MATCH)
BATCHES = (DAYS * 24 - FINE_HOURS) // 24 + FINE_HOURS // 4
BOUNDS = Bounds(max_traces=10_000, max_trace_bytes=1, max_findings=10_000, gone_after=1_000)
RUN = "0" * 32


async def simulate(url: str, exchanges: int, entities: int) -> None:
    """Write about `exchanges` of them (at least a million) into a new ledger at `url`.

    In the last window of each domain `entities` distinct ones matched, and twice as many in one domain.
    """
    store = store_of(url)
    engine = store.engine()
    writer = store.writer(engine)
    try:
        async with writer.begin() as connection:
            await connection.run_sync(migrate, store)
            await register(connection, RUN, to_us(START), 0, (), "")
        for number, (begin, hours) in enumerate(_stretches()):
            if number * WINDOWS // BATCHES != (number - 1) * WINDOWS // BATCHES:
                await _begin_windows(writer, number * WINDOWS // BATCHES, begin)
            batch = _batch(number, begin, hours, exchanges // (BATCHES * ROUTES), entities)
            async with writer.begin() as connection:
                await write_batch(connection, RUN, batch, (), BOUNDS, to_us(START))
                if number % 4 == 0 or number == BATCHES - 1:
                    await tidy(connection, (begin + hours) * 60 * MINUTE, ())
        async with writer.begin() as connection:
            await close_run(connection, RUN, to_us(START))
    finally:
        await engine.dispose()


def window_id(domain: int, number: int) -> str:
    return f"{number:08}{domain:08}"


def _stretches() -> Iterator[tuple[int, int]]:
    """Hours since the epoch, and how many."""
    first = to_us(START) // MINUTE // 60
    fine = first + DAYS * 24 - FINE_HOURS
    yield from ((hour, 24) for hour in range(first, fine, 24))
    yield from ((hour, 4) for hour in range(fine, fine + FINE_HOURS, 4))


async def _begin_windows(writer: AsyncEngine, number: int, hour: int) -> None:
    at = START + timedelta(hours=hour - to_us(START) // MINUTE // 60)
    unsaved = [
        Unsaved(Window(window_id(one, number), f"domain {one}", {"rules": f"{number}"}, at, "rules changed"), 0, True)
        for one in range(DOMAINS)
    ]
    async with writer.begin() as connection:
        await windows.save(connection, RUN, unsaved)


def _batch(number: int, hour: int, hours: int, each: int, entities: int) -> Batch:
    """`each` exchanges of each route."""
    last = number == BATCHES - 1
    routes, verdicts, tolerated = [], [], {}
    minutes = range(hour * 60, (hour + hours) * 60, 1 if hours == 4 else 60)
    window = number * WINDOWS // BATCHES
    for route in range(ROUTES):
        names = window_id(route % DOMAINS, window), f"domain {route % DOMAINS}", f"GET /api/things/{route}"
        routes.append(RouteDelta(*names, each * (number + 1), each * (number + 1), each))
        for verdict in VERDICTS:
            n = each - len(VERDICTS) + 1 if verdict is Verdict.MATCH else 1
            spread = {minutes[route // DOMAINS % len(minutes)]: n}
            if verdict is Verdict.MATCH and route < DOMAINS:  # that every minute has some
                spread = dict.fromkeys(minutes, n // len(minutes))
                spread[minutes[0]] += n % len(minutes)
            verdicts.append(VerdictDelta(*names, verdict, spread, hour * 60 * MINUTE))
        for place in range(20 * last):
            tolerated[*names, "date_format", f"$.data[*].field{place}.at", "$..at"] = each
    hashes = {
        (window_id(domain, window), f"domain {domain}", "user"): _hashes(entities * 2 if domain == 0 else entities)
        for domain in range(DOMAINS * last)
    }
    timing = _timing(window) if last else TimingBatch()
    details = DetailsBatch(tolerated=tolerated, entities=hashes)
    return Batch(number + 1, tuple(routes), tuple(verdicts), details, timing)


def _hashes(n: int) -> frozenset[int]:
    """As hashes are: all over the place."""
    return frozenset(one * 0x9E3779B97F4A7C15 % 2**64 - 2**63 for one in range(n))


def _timing(window: int) -> TimingBatch:
    """The most that is kept of a window."""
    paces, watches = {}, {}
    for domain in range(DOMAINS):
        names = window_id(domain, window), f"domain {domain}"
        for side in Side:
            paces.update({(*names, side, bucket): 10**6 for bucket in range(60, 140)})
        for one in range(WATCHES):
            at = START + timedelta(days=DAYS - 1, minutes=one)
            watches[*names, to_us(at)] = Watch(at, at + timedelta(seconds=40), "it stood still")
    return TimingBatch(paces, watches)
