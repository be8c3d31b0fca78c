"""An hour of mixed load on a real `shadowread serve`, and what it holds of memory meanwhile: `make soak`.

    python -m tests.bench.bench_soak [--minutes 60] [--rate 200] [--json FILE] [--svg FILE] [--quick]

The clients ask for everything at once: documents of 400 bytes to 400 KB, gzip, chunks, HEAD, conditional requests,
uploads, what is missing, garbage; they hang up in the middle and read slowly. The twin differs, differs once, fails,
breaks off, is slow, and goes away every minute. The id map is read from a Postgres with four times as many pairs as the
cache holds. Somebody watches the live events, and the figures are scraped.

Fails when the proxy's or its worker's own memory grows by more than `--slope` MiB an hour behind the warm-up, when it
is ever larger than the budget that `shadowread config show` states, when a client got anything but the primary's
answer, when verdicts are missing that the mix must bring, when fewer than half of the exchanges were compared, or when
the books do not balance.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg

from proxy.demo.processes import Supervisor
from proxy.demo.servers import start_postgres
from proxy.model import COMPARISONS
from proxy.settings import load_settings
from proxy.settings.budget import Budget, budget
from tests.bench import proxies, soak_backend
from tests.bench.proxies import BenchError, Serving
from tests.bench.soak_load import Load, Tally
from tests.bench.soak_memory import MIB, Held, Series, held_by, sparkline, svg

WANTED = (
    "match", "diff", "transient", "shadow_error", "primary_error", "skipped:too_large", "skipped:not_sampled",
    "skipped:cancelled", "skipped:breaker_open",
)  # fmt: skip
"""Verdicts that the mix must bring."""
LEAST_COMPARED = 0.5
"""Of the exchanges on verified routes; the rest are failures that the mix brings, and what there was no room for."""
MOST_LATE = 0.02
SETTINGS: dict[str, Any] = {
    "sampling": 0.95,
    "shadow": {"timeout": "1s", "max_concurrency": 16, "breaker": {"open_for": "1s"}},
    "ids": {"cache": soak_backend.PAIRS // 4},
    "settle": {"delay": "200ms", "attempts": 2},
    "limits": {
        "body": "2MiB", "buffered": "32MiB", "queue": 300, "traces": 500, "trace_bytes": "16MiB", "findings": 200,
        "memo": "16MiB", "clients": 300,
    },
    "domains": {
        "offers": {
            "routes": [
                "GET /api/offers",
                {"route": "GET /api/offers/{id}", "sweep": {"entities": {"id": "offer"}}},
            ]
        }
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """Seconds, requests a second, and MiB an hour. `judged`: it is long enough to say something of rates."""

    seconds: float
    warm_up: float
    rate: float
    slope: float
    judged: bool
    twin_every: float
    twin_away: float


@dataclass(frozen=True, slots=True)
class Result:
    plan: Plan
    series: tuple[Series, ...]
    rest: Held
    budget: Budget
    tally: Tally
    verdicts: dict[str, int]
    observed: int

    def problems(self) -> list[str]:
        """What keeps the run from counting; nothing when all is well."""
        found = [f"a client got {what} ({n} times)" for what, n in self.tally.wrong.most_common(10)]
        found += [f"no exchange ended as {verdict}" for verdict in WANTED if not self.verdicts.get(verdict)]
        decided = sum(self.verdicts.values())
        if decided != self.observed:
            found.append(f"the books do not balance: {self.observed} observed, {decided} verdicts")
        compared = sum(self.verdicts.get(verdict, 0) for verdict in COMPARISONS)
        if self.plan.judged and compared < LEAST_COMPARED * self.observed:
            found.append(f"{compared} of {self.observed} exchanges were compared, fewer than {LEAST_COMPARED:.0%}")
        sent = sum(self.tally.sent.values())
        if self.plan.judged and self.tally.late > MOST_LATE * (sent + self.tally.late):
            found.append(f"{self.tally.late} requests were not sent for want of time: the machine was too busy")
        for series in self.series:
            slope = series.slope(self.plan.warm_up)
            if self.plan.judged and (slope is None or slope.per_hour > self.plan.slope * MIB):
                found.append(f"{series.name}: memory grows by {slope}, at most {self.plan.slope:+g} MiB/h are taken")
        peak = sum(series.peak for series in self.series)
        if peak > self.budget.total:
            found.append(f"{peak / MIB:.0f} MiB were resident, over the budget of {self.budget.total / MIB:.0f} MiB")
        return found


@asynccontextmanager
async def scene(plan: Plan) -> AsyncIterator[tuple[Serving, Budget]]:
    """Postgres with the id map, both sides, and the proxy before them."""
    with Supervisor() as owner:
        postgres = await asyncio.to_thread(start_postgres, owner)
        await _fill(postgres.dsn())
        away = ("--every", str(plan.twin_every), "--away", str(plan.twin_away))
        backend = proxies.python(owner, "backend", proxies.LOAD_CORE, "tests.bench.soak_backend", *away)
        primary, twin = await asyncio.to_thread(proxies.told, owner, backend, soak_backend.TOLD)
        source = {"table": "id_map", "entity": "entity", "legacy": "legacy_id", "uuid": "new_id"}
        config = {
            **SETTINGS,
            "primary": {"url": f"http://127.0.0.1:{primary}"},
            "shadow": {**SETTINGS["shadow"], "url": f"http://127.0.0.1:{twin}"},
            "postgres": {"dsn": postgres.dsn()},
            "ids": {**SETTINGS["ids"], "sources": [source]},
        }
        serving = await asyncio.to_thread(proxies.serve, owner, "proxy", config)
        settings = load_settings(owner.folder / "proxy" / "shadowread.yaml", {})
        yield serving, budget(settings)


async def _fill(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(
            "CREATE TABLE id_map (entity text, legacy_id text PRIMARY KEY, new_id uuid UNIQUE NOT NULL)"
        )
        rows = [("offer", *soak_backend.pair(number)) for number in range(soak_backend.PAIRS)]
        await connection.copy_records_to_table("id_map", records=rows)
        await connection.execute("ANALYZE id_map")
    finally:
        await connection.close()


async def _watch_live(serving: Serving) -> None:
    """Listen to the live events, as an open dashboard does; come again when let go."""
    headers = {"Authorization": f"Bearer {serving.token}"}
    url = f"http://127.0.0.1:{serving.admin_port}/api/v1/events?tail=1"
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session:
        while True:
            async with session.get(url, headers=headers) as answer:
                if answer.status != 200:
                    raise BenchError(f"the live events answered {answer.status}: {await answer.text()}")
                async for _ in answer.content:
                    pass


async def _scrape(serving: Serving) -> None:
    """Ask for what a Prometheus and an open dashboard ask for, every few seconds."""
    headers = {"Authorization": f"Bearer {serving.token}"}
    paths = ("/metrics", "/", "/api/v1/domains", "/api/v1/findings", "/api/v1/traces?limit=20", "/readyz")
    async with aiohttp.ClientSession(f"http://127.0.0.1:{serving.admin_port}", headers=headers) as session:
        while True:
            for path in paths:
                async with session.get(path) as answer:
                    await answer.read()
            await asyncio.sleep(5)


async def run(plan: Plan, say: Callable[[str], None]) -> Result:
    say("starting")
    os.sched_setaffinity(0, {proxies.LOAD_CORE})
    async with scene(plan) as (serving, most):
        series: dict[int, Series] = {}
        rest = held_by(serving.child.pid)
        load, stop = Load(serving.port, plan.rate), asyncio.Event()
        began = time.monotonic()

        async def sample() -> None:
            while (at := time.monotonic() - began) < plan.seconds:
                for pid in (serving.child.pid, *serving.workers()):
                    name = f"worker {len(series)}" if series else "proxy"
                    series.setdefault(pid, Series(name)).add(at, held_by(pid))
                whole = sum(one.held[-1].rss for one in series.values() if one.at[-1] == at)
                say(f"{at / 60:.1f} of {plan.seconds / 60:.1f} min, {whole / MIB:.0f} MiB, {load.tally.late} late")
                await asyncio.sleep(1 - (time.monotonic() - began - at) % 1)
            stop.set()

        beside: list[Awaitable[None]] = [_watch_live(serving), _scrape(serving)]
        async with asyncio.TaskGroup() as group:
            others = [group.create_task(_forever(one)) for one in beside]
            asking = group.create_task(load.run(stop, time.monotonic))
            await group.create_task(sample())
            await asking
            for other in others:
                other.cancel()
        await asyncio.to_thread(serving.settled)
        observed, verdicts = await asyncio.to_thread(serving.books)
    return Result(plan, tuple(series.values()), rest, most, load.tally, verdicts, observed)


async def _forever(work: Awaitable[None]) -> None:
    await work


def _span(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"


def table(result: Result) -> str:
    """Markdown for the README."""
    plan, tally = result.plan, result.tally
    lines = [
        f"{_span(plan.seconds)} of mixed load at {plan.rate:g} requests a second "
        f"({sum(tally.sent.values()):,} requests, {result.observed:,} exchanges on verified routes, {tally.late} asked "
        f"late and left out), {_span(plan.warm_up)} of it warm-up. Resident memory in MiB; growth is of what "
        "is the process's own, a least-squares line with its 95 % confidence interval.",
        "",
        "| process | when warm | at the end | most | growth | over time |",
        "|---|---|---|---|---|---|",
    ]
    for series in result.series:
        warm = next(iter(series.after(plan.warm_up)), (0.0, series.held[-1]))[1]
        slope = series.slope(plan.warm_up)
        figures = [f"{size / MIB:.0f}" for size in (warm.rss, series.held[-1].rss, series.peak)]
        lines.append(f"| {series.name} | {' | '.join(figures)} | {slope or 'not told'} | `{sparkline(series, 30)}` |")
    peak = sum(series.peak for series in result.series)
    lines += [
        "",
        f"The proxy at rest: {result.rest.rss / MIB:.0f} MiB. All together at most {peak / MIB:.0f} MiB, of a budget "
        f"of {result.budget.total / MIB:,.0f} MiB (`shadowread config show`).",
        "",
        "| verdict | exchanges |",
        "|---|---|",
        *(f"| {verdict} | {count:,} |" for verdict, count in sorted(result.verdicts.items()) if count),
        "",
        "| target | reached |",
        "|---|---|",
    ]
    bound = f"grows by at most {plan.slope:g} MiB an hour"
    for series in result.series:
        slope = series.slope(plan.warm_up)
        if not plan.judged or slope is None:
            said = "not measured: the run was too short"
        else:
            said = f"{'met' if slope.per_hour <= plan.slope * MIB else 'missed'} ({slope})"
        lines.append(f"| {series.name}: {bound} | {said} |")
    lines.append(f"| within the budget | {'met' if peak <= result.budget.total else 'missed'} ({peak / MIB:.0f} MiB) |")
    return "\n".join(lines)


def as_json(result: Result) -> dict[str, Any]:
    """Bytes and seconds; samples are once a second."""
    plan = result.plan
    return {
        "plan": asdict(plan),
        "processes": [
            {
                "name": series.name,
                "peak": series.peak,
                "slope": (slope := series.slope(plan.warm_up)) and asdict(slope),
                "at": [round(at, 1) for at in series.at],
                "held": [asdict(held) for held in series.held],
            }
            for series in result.series
        ],
        "at_rest": asdict(result.rest),
        "budget": result.budget.as_json(),
        "requests": dict(result.tally.sent),
        "late": result.tally.late,
        "wrong": dict(result.tally.wrong),
        "observed": result.observed,
        "verdicts": result.verdicts,
        "problems": result.problems(),
    }


def plan_of(given: argparse.Namespace) -> Plan:
    if given.quick:
        return Plan(25.0, 10.0, min(given.rate, 120.0), given.slope, False, twin_every=6.0, twin_away=1.5)
    seconds = given.minutes * 60
    warm_up = min(600.0, seconds / 3) if given.warm_up is None else given.warm_up * 60
    # Over less time than this a step of the allocator looks like a steep slope.
    return Plan(seconds, warm_up, given.rate, given.slope, seconds - warm_up >= 1200, twin_every=60.0, twin_away=3.0)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_soak", description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--warm-up", type=float, metavar="MINUTES", help="default: 10, or a third of a shorter run")
    parser.add_argument("--rate", type=float, default=200.0, help="requests a second")
    parser.add_argument("--slope", type=float, default=8.0, help="MiB an hour that each process may grow by")
    parser.add_argument("--quick", action="store_true", help="25 seconds, to see that it works; no rate is judged")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--svg", type=Path, metavar="FILE")
    given = parser.parse_args()

    def say(text: str) -> None:
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()

    result = asyncio.run(run(plan_of(given), say))
    say("")
    sys.stdout.write(f"{table(result)}\n")
    if given.json:
        given.json.write_text(json.dumps(as_json(result)))
    if given.svg:
        given.svg.write_text(svg(result.series, result.plan.warm_up, result.budget.total))
    problems = result.problems()
    for problem in problems:
        sys.stderr.write(f"failed: {problem}\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
