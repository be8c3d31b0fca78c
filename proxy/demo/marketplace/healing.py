"""How a running instance is made healthy: a domain's planted bugs go, what they left in the store is repaired, and
the instance says from then on that it is another build."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, replace
from typing import Any

from aiohttp import web

from proxy.demo.bugs import BUGS
from proxy.demo.marketplace.catalog import entity_of
from proxy.demo.marketplace.flags import Mode
from proxy.demo.marketplace.http import ProblemError, Reply, not_found, respond
from proxy.demo.marketplace.market import Market
from proxy.demo.marketplace.mirror import Mirror
from proxy.demo.marketplace.store import Store

CONTROL_FIELD = "X-Demo-Control"
CONTROL_VARIABLE = "SHADOWREAD_DEMO_CONTROL"
"""Where an instance is told the word that whoever heals it must know; without one it cannot be healed."""
PATH = "/api/demo/heal/{domain}"
REPAIR_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Healed:
    """What was done: the bugs that are gone, how many records were copied after the event, and the new version."""

    bugs: tuple[str, ...]
    repaired: int
    version: str


class Healer:
    """Heals the domains of one instance. `postgres` is what a twin reads once it is as it should be."""

    def __init__(self, market: Market, postgres: Store, mirror: Mirror, pool: Any, control: str) -> None:
        self._market = market
        self._postgres = postgres
        self._mirror = mirror
        self._pool = pool
        self._control = control

    async def heal(self, domain: str) -> Healed:
        """Take away a domain's bugs. A domain without any is left as it is, and so is the version."""
        market = self._market
        bugs = [bug for bug in BUGS if bug.domain == domain and bug.name in market.planted]
        # No write may be half done while it is decided whether Postgres gets it.
        async with market.writing:
            is_twin = any(desk.mode is Mode.POSTGRES for desk in market.desks.values())
            market.planted -= {bug.name for bug in bugs}
            desk = replace(market.desks[domain], bugs=frozenset())
            if is_twin:
                desk = replace(desk, mode=Mode.POSTGRES, store=self._postgres)
            market.desks[domain] = desk
            repaired = 0
            if not is_twin and any(bug.stored for bug in bugs):
                repaired = await self._repair()
        if bugs:
            market.fixed.add(domain)
        return Healed(tuple(bug.name for bug in bugs), repaired, market.version)

    async def _repair(self) -> int:
        """Copy every record that is noted as missing in Postgres, and note that it is there."""
        rows = await self._pool.fetch("SELECT id, entity, legacy_id FROM pg_dualwrite_gaps WHERE resolved_at IS NULL")
        for row in rows:
            self._mirror.put(entity_of(row["entity"]), row["legacy_id"], Mode.DUAL)
        if not await self._mirror.settled(REPAIR_SECONDS):
            raise ProblemError(503, "NOT_REPAIRED", f"{len(rows)} records were not copied in {REPAIR_SECONDS:.0f} s")
        resolved = "UPDATE pg_dualwrite_gaps SET resolved_at = now() WHERE id = ANY($1)"
        await self._pool.execute(resolved, [row["id"] for row in rows])
        return len(rows)

    async def endpoint(self, request: web.Request) -> web.StreamResponse:
        """POST: heal the domain of the path. 404 as for any unknown path without the word that was agreed on."""
        told = request.headers.get(CONTROL_FIELD, "")
        domain = request.match_info["domain"]
        if not self._control or not hmac.compare_digest(told.encode(), self._control.encode()):
            raise not_found("route")
        if domain not in self._market.desks:
            raise not_found("domain")
        done = await self.heal(domain)
        return respond(request, Reply({"bugs": list(done.bugs), "repaired": done.repaired, "version": done.version}))
