"""What deciding on all gates costs: `python -m tests.bench.bench_gate`.

A ledger of 18 domains with 504 routes, and ever more paths examined in each. Told are the time until all decisions are
there, how long the event loop was away from clients meanwhile, and the size of one stored decision.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
import zlib
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from proxy.admin import Evidence
from proxy.ledger import Ledger, examined
from proxy.model import Outcome, Verdict
from proxy.settings import Settings, load_settings
from proxy.window import RULES, DamageCount, FieldCount

DOMAINS, ROUTES = 18, 28
PATHS = (280, 2_800, 20_000)
"""Examined paths of one domain; the last is the most that a ledger keeps."""
ROUNDS = 5
TICK = 0.001


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds for all domains, and of the longest absence of the event loop; bytes of one compressed decision."""

    paths: int
    gates_ms: float
    away_ms: float
    decision_bytes: int


def settings_in(folder: Path) -> Settings:
    lines = [f"ledger: {{url: 'sqlite:///{folder}/ledger.db'}}", "primary: {url: 'http://127.0.0.1:5001'}", "domains:"]
    for domain in range(DOMAINS):
        routes = ", ".join(f"GET /api/{domain}/{route}" for route in range(ROUTES))
        lines.append(f"  d{domain}: {{routes: [{routes}]}}")
    path = folder / "shadowread.yaml"
    path.write_text("\n".join(lines))
    return load_settings(path, {})


async def fill(settings: Settings, ledger: Ledger, paths: int) -> None:
    at = datetime.now(UTC)
    for name, domain in settings.domains.items():
        ledger.enter(name, {RULES: "x"}, at)
        for route in domain.routes:
            done = Outcome(name, route.route, Verdict.MATCH, at, primary_seconds=0.01, shadow_seconds=0.02)
            ledger.record(ledger.begin(name, route.route), done)
    await ledger.flush()
    for name, domain in settings.domains.items():
        window = ledger.window(name)
        if window is None:
            raise SystemExit(f"{name} has no window, so nothing was measured")
        id_ = window.id
        places = [(route.route, f"$.data[*].f{n}") for route in domain.routes for n in range(paths // ROUTES)]
        fields = [FieldCount(route, path, 9, 9, 0, 0, 9) for route, path in places]
        damages = [DamageCount(route, path, "text", 9, 9) for route, path in places]
        await ledger.write(
            lambda c, id_=id_, fields=fields, damages=damages, name=name: examined.add(  # type: ignore[misc] # bound here
                c, id_, fields, damages, domain=name
            )
        )


async def cost(paths: int) -> Cost:
    with tempfile.TemporaryDirectory() as folder:
        settings = settings_in(Path(folder))
        ledger = await Ledger.open(
            settings.ledger.url,
            flush_seconds=1,
            max_traces=1,
            max_trace_bytes=1,
            max_findings=1,
            clock=lambda: datetime.now(UTC),
        )
        try:
            await fill(settings, ledger, paths)
            return await measured(Evidence(settings, ledger, now=lambda: datetime.now(UTC)), paths)
        finally:
            await ledger.close()


async def measured(evidence: Evidence, paths: int) -> Cost:
    await evidence.gates()
    taken, away = [], [0.0]
    async with asyncio.TaskGroup() as group:
        ticker = group.create_task(tick(away))
        for _ in range(ROUNDS):
            began = time.perf_counter()
            decided = await evidence.gates()
            taken.append((time.perf_counter() - began) * 1e3)
        ticker.cancel()
    body = zlib.compress(json.dumps(decided[0].as_json()).encode())
    return Cost(paths, statistics.median(taken), max(away) * 1e3, len(body))


async def tick(away: list[float]) -> None:
    """How much later than asked for the loop comes back, as a client would feel it."""
    while True:
        began = time.perf_counter()
        await asyncio.sleep(TICK)
        away.append(time.perf_counter() - began - TICK)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    asked = parser.parse_args()
    costs = [asyncio.run(cost(paths)) for paths in PATHS]
    if asked.json:
        json.dump([asdict(one) for one in costs], sys.stdout)
        return
    sys.stdout.write(f"{'paths/domain':>12}  {'gates ms':>9}  {'loop away ms':>12}  {'decision bytes':>14}\n")
    for one in costs:
        sys.stdout.write(f"{one.paths:12,}  {one.gates_ms:9.1f}  {one.away_ms:12.1f}  {one.decision_bytes:14,}\n")


if __name__ == "__main__":
    main()
