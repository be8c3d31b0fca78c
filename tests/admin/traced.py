"""An admin port over a real ledger that holds given traces, and pairs of bodies to make them of."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from comparators.compare import compare_bodies
from comparators.encode import dumps
from comparators.ids import IdPair, IdTable
from comparators.model import Difference
from comparators.rules import compile_rules
from proxy.admin import AdminSite, Evidence, Readiness
from proxy.ledger import Ledger
from proxy.model import Outcome, Trace, Verdict
from proxy.settings import Settings
from proxy.telemetry import Figures
from tests.admin.recorded import AT, settings_in

LEGACY = "64b7f0c2a1d2e3f405060708"
UUID = "0b9e2c1a-7f0e-4f55-9a6e-3d1f5c7b9a10"
PAIRS = (IdPair("user", LEGACY, UUID),)
HOSTILE = "</script><script>alert(1)</script>\u202e\u0000\u200b'\"&\ud800"


@dataclass(frozen=True, slots=True)
class Map:
    """An id map that knows some pairs."""

    pairs: tuple[IdPair, ...] = PAIRS

    async def lookup(self, tokens: Collection[str]) -> IdTable:
        return IdTable.of(pair for pair in self.pairs if pair.legacy in tokens or pair.uuid in tokens)


def traced(
    id_: str,
    primary: Any,
    shadow: Any,
    *,
    extra: Sequence[Difference] = (),
    pairs: Sequence[IdPair] = PAIRS,
    kept: int = 100,
    **changed: Any,
) -> Trace:
    """A trace of two values whose differences are those that a comparison finds, the first `kept` of them."""
    bodies = [dumps(value) for value in (primary, shadow)]
    one, two = (body.encode() for body in bodies)
    found = compare_bodies(one, two, compile_rules([]), IdTable.of(pairs), max_differences=kept)
    made: dict[str, Any] = {
        "id": id_,
        "at": AT,
        "domain": "payments",
        "route": "GET /api/payments",
        "verdict": Verdict.DIFF,
        "method": "GET",
        "target": f"/api/payments?user={LEGACY}",
        "request_headers": (("Accept", "application/json"), ("Authorization", "[redacted 1a2b3c4d]")),
        "primary_status": 200,
        "shadow_status": 200,
        "primary_headers": (("content-type", "application/json"), ("x-side", "mongo")),
        "shadow_headers": (("content-type", "application/json"), ("x-side", HOSTILE.replace("\ud800", ""))),
        "primary_body": bodies[0],
        "shadow_body": bodies[1],
        "primary_seconds": 0.004,
        "shadow_seconds": 0.011,
        "differences": (*extra, *found.differences),
        "differences_total": len(extra) + found.total,
        "settling": ("500 ms: still different", "1 s: still different"),
        "detail": "",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        **changed,
    }
    return Trace(**made)


def large_pair(size: int, every: int = 100) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Two lists of rows of about `size` bytes each, of which each `every`th differs."""
    rng = random.Random(7)
    rows: list[dict[str, Any]] = []
    length = 0
    while length < size:
        number = len(rows)
        row = {
            "_id": f"{rng.getrandbits(96):024x}",
            "title": f"row {number}",
            "price": {"amount": rng.randrange(10_000), "currency": "EUR"},
            "tags": [rng.choice(("new", "used", "gift")) for _ in range(3)],
            "text": "lorem ipsum " * 8,
        }
        rows.append(row)
        length += len(dumps(row)) + 1
    other = [{**row, "title": f"ROW {n}"} if n % every == 0 else row for n, row in enumerate(rows)]
    return rows, other


@dataclass(frozen=True, slots=True)
class TraceSite:
    """The site, and how to ask it."""

    site: AdminSite
    client: aiohttp.ClientSession
    settings: Settings

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.site.port}"

    async def text(self, path: str, status: int = 200) -> str:
        async with self.client.get(f"{self.url}{path}", headers={"Accept": "text/html"}) as answer:
            text = await answer.text()
            assert answer.status == status, text[:2_000]
            return text

    async def json(self, path: str, status: int = 200) -> dict[str, Any]:
        async with self.client.get(f"{self.url}{path}") as answer:
            assert answer.status == status, (await answer.text())[:2_000]
            found: dict[str, Any] = await answer.json(content_type=None)
            return found


@asynccontextmanager
async def trace_site(
    folder: Path, traces: Sequence[Trace], *, pairs: tuple[IdPair, ...] = PAIRS, settings: Mapping[str, Any] = {}
) -> AsyncIterator[TraceSite]:
    made = settings_in(folder).model_copy(update=dict(settings))
    ledger = await Ledger.open(
        made.ledger.url,
        flush_seconds=0.02,
        max_traces=100,
        max_trace_bytes=200_000_000,
        max_findings=1_000,
        clock=lambda: AT,
    )
    for one in traces:
        ticket = ledger.begin(one.domain, one.route)
        ledger.record(
            ticket, Outcome(one.domain, one.route, one.verdict, one.at, differences=one.differences, trace=one)
        )
    await ledger.flush()
    site = AdminSite(
        Evidence(made, ledger, now=lambda: AT),
        Figures(),
        Readiness({}),
        host="127.0.0.1",
        port=0,
        ids=Map(pairs),
    )
    try:
        await site.start()
        async with aiohttp.ClientSession() as client:
            yield TraceSite(site, client, made)
    finally:
        await site.stop()
        await ledger.close()
