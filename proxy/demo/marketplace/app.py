"""Wires the marketplace: stores, desks, routes, health."""

from __future__ import annotations

import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiohttp import web
from motor.motor_asyncio import AsyncIOMotorClient

from proxy.demo.bugs import BUGS
from proxy.demo.marketplace import healing, live, routes_money, routes_people, routes_talk, routes_trade
from proxy.demo.marketplace.flags import DOMAINS, Mode, modes
from proxy.demo.marketplace.healing import Healer
from proxy.demo.marketplace.http import ProblemError, Reply, not_found, respond
from proxy.demo.marketplace.id_map import IdMap
from proxy.demo.marketplace.market import Call, Desk, Hub, Market, Route, Ticker
from proxy.demo.marketplace.mirror import Mirror
from proxy.demo.marketplace.mongo_store import MongoStore
from proxy.demo.marketplace.postgres_store import PostgresStore, open_pool
from proxy.demo.marketplace.seed import ensure_seeded
from proxy.tasks import TaskGroup

log = logging.getLogger(__name__)

ROUTES: tuple[Route, ...] = (
    *routes_people.ROUTES,
    *routes_trade.ROUTES,
    *routes_money.ROUTES,
    *routes_talk.ROUTES,
)
MARKET: web.AppKey[Market] = web.AppKey("market", Market)
HEALER: web.AppKey[Healer] = web.AppKey("healer", Healer)
DRAIN_SECONDS = 2.0


@dataclass(frozen=True)
class Options:
    """`flags` as in the backend's environment; `bugs` by name; `clock` gives aware instants.

    `control` is the word with which a domain may be healed while the instance runs; empty: nobody may.
    """

    mongo_url: str
    database: str
    pg_dsn: str
    flags: Mapping[str, str]
    seed: int
    bugs: frozenset[str]
    clock: Callable[[], datetime]
    rng: random.Random
    control: str = ""


def build(options: Options) -> web.Application:
    """The application. Its stores are opened, and filled if they are empty, when it starts."""
    app = web.Application(middlewares=[_problems])
    app.cleanup_ctx.append(lambda app: _run(app, options))
    for route in ROUTES:
        app.router.add_route(route.method, route.path, _endpoint(route))
        if route.method == "GET":
            app.router.add_route("HEAD", route.path, _endpoint(route))
    app.router.add_get("/api/chats/{id}/socket", _open_ended("chat", live.chat_socket), allow_head=False)
    app.router.add_get(
        "/api/stream/notifications", _open_ended("notifications", live.notification_stream), allow_head=False
    )
    app.router.add_get("/api/health", _health)
    app.router.add_post(healing.PATH, _heal)
    return app


async def _run(app: web.Application, options: Options) -> AsyncIterator[None]:
    client: Any = AsyncIOMotorClient(options.mongo_url, tz_aware=True, maxPoolSize=16, serverSelectionTimeoutMS=10_000)
    database = client[options.database]
    pool = await open_pool(options.pg_dsn)
    tasks = TaskGroup(limit=1)
    try:
        await ensure_seeded(pool, database, options.seed, options.bugs)
        id_map = IdMap(pool)
        mongo, postgres = MongoStore(database, id_map.legacy_of), PostgresStore(pool, id_map)
        mirror = Mirror(mongo, postgres, id_map, pool, options.rng)
        ticker = Ticker(options.clock)
        desks = {
            domain: Desk(
                domain,
                mode,
                postgres if mode is Mode.POSTGRES else mongo,
                _bugs_of(domain, options.bugs) if mode is Mode.POSTGRES else frozenset(),
                mirror,
                ticker,
            )
            for domain, mode in modes(options.flags).items()
        }
        market = app[MARKET] = Market(desks, Hub(), options.bugs)
        app[HEALER] = Healer(market, postgres, mirror, pool, options.control)
        tasks.start(mirror.run(), name="mirror")
        yield
        await mirror.settled(DRAIN_SECONDS)
    finally:
        await tasks.drain(0)
        await pool.close()
        client.close()


def _bugs_of(domain: str, planted: frozenset[str]) -> frozenset[str]:
    return frozenset(bug.name for bug in BUGS if bug.domain == domain) & planted


def _endpoint(route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        market = request.app[MARKET]
        call = Call(request, market.desks[route.domain], market)
        call.refuse_nul()
        if route.writes:
            async with market.writing:
                return respond(request, await route.handler(call))
        return respond(request, await route.handler(call))

    return handle


def _open_ended(
    domain: str, handler: Callable[[Call], Awaitable[web.StreamResponse]]
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def handle(request: web.Request) -> web.StreamResponse:
        market = request.app[MARKET]
        return await handler(Call(request, market.desks[domain], market))

    return handle


@web.middleware
async def _problems(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except ProblemError as problem:
        return respond(request, Reply(problem.payload, problem.status))
    except web.HTTPNotFound:
        return respond(request, Reply(not_found("route").payload, 404))
    except web.HTTPMethodNotAllowed:
        refused = ProblemError(405, "METHOD_NOT_ALLOWED", "This method is not allowed here")
        return respond(request, Reply(refused.payload, 405))
    except web.HTTPException:
        raise
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        failed = ProblemError(500, "INTERNAL", "Something went wrong")
        return respond(request, Reply(failed.payload, 500))


async def _heal(request: web.Request) -> web.StreamResponse:
    return await request.app[HEALER].endpoint(request)


async def _health(request: web.Request) -> web.Response:
    market = request.app[MARKET]
    keys = {domain.domain: domain.health for domain in DOMAINS}
    store_modes = {keys[name]: desk.mode.value for name, desk in market.desks.items()}
    enabled = [keys[name] for name, desk in market.desks.items() if desk.mode is Mode.POSTGRES]
    postgres = {
        "configured": True,
        "required": bool(enabled),
        "storeModes": store_modes,
        "enabledStores": enabled,
        "enabledStoreCount": len(enabled),
    }
    return respond(request, Reply({"status": "ok", "version": market.version, "checks": {"postgres": postgres}}))
