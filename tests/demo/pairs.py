"""Two instances of the marketplace on the same data, one reading each store, and what they answer to the same reads."""

from __future__ import annotations

import asyncio
import random
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp
import asyncpg
import orjson
from aiohttp import web

from proxy.demo.marketplace.app import Options, build
from proxy.demo.marketplace.dataset import dataset
from proxy.demo.marketplace.flags import primary_flags, twin_flags

SEED = 7
UUID = re.compile(rb"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
CONTROL = "the word that was agreed on"
NOBODY = "0123456789abcdef01234567"


@dataclass(frozen=True)
class Stores:
    """A fresh database in each server."""

    mongo_url: str
    database: str
    pg_dsn: str


@dataclass(frozen=True)
class Read:
    """One read of a route: `user` is the caller's legacy id, `body` makes it a POST."""

    domain: str
    route: str
    path: str
    user: str | None = None
    body: dict[str, Any] | None = None


@asynccontextmanager
async def instance(
    stores: Stores, flags: Mapping[str, str], bugs: frozenset[str] = frozenset(), seed: int = SEED
) -> AsyncIterator[str]:
    """A running instance; its base URL."""
    options = Options(
        stores.mongo_url,
        stores.database,
        stores.pg_dsn,
        flags,
        seed,
        bugs,
        lambda: datetime.now(UTC),
        random.Random(1),
        CONTROL,
    )
    runner = web.AppRunner(build(options), access_log=None, handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class Pair:
    """Both instances of one data set. `differs` compares a read as a client that knows the id map would."""

    def __init__(self, session: aiohttp.ClientSession, stores: Stores, primary: str, shadow: str) -> None:
        self.session = session
        self.stores = stores
        self.primary = primary
        self.shadow = shadow
        self.legacies: dict[bytes, bytes] = {}

    async def load_ids(self) -> None:
        connection = await asyncpg.connect(self.stores.pg_dsn)
        try:
            rows = await connection.fetch("SELECT legacy_id, new_id::text AS new_id FROM id_map")
        finally:
            await connection.close()
        self.legacies = {row["new_id"].encode(): row["legacy_id"].encode() for row in rows}

    async def fetch(self, base: str, read: Read) -> tuple[int, bytes, str]:
        headers = {} if read.user is None else {"Authorization": f"Bearer demo-{read.user}"}
        method = "GET" if read.body is None else "POST"
        async with self.session.request(method, base + read.path, json=read.body, headers=headers) as response:
            return response.status, await response.read(), response.headers["Content-Type"]

    async def both(self, read: Read) -> tuple[tuple[int, Any, str], tuple[int, Any, str]]:
        """(status, value, content type) of each side; the shadow's ids as the primary spells them."""
        status, body, kind = await self.fetch(self.primary, read)
        other_status, other, other_kind = await self.fetch(self.shadow, read)
        other = UUID.sub(lambda found: self.legacies.get(found[0], found[0]), other)
        if not kind.startswith("application/json"):
            return (status, body, kind), (other_status, other, other_kind)
        return (status, orjson.loads(body), kind), (other_status, orjson.loads(other), other_kind)

    async def differs(self, read: Read) -> bool:
        primary, shadow = await self.both(read)
        return primary != shadow


@asynccontextmanager
async def pair(
    stores: Stores, bugs: frozenset[str] = frozenset(), planted: frozenset[str] | None = None
) -> AsyncIterator[Pair]:
    """The demo's two instances. `planted` are the bugs of the writing one, by default the same."""
    async with (
        instance(stores, primary_flags(), bugs if planted is None else planted) as primary,
        instance(stores, twin_flags(bugs), bugs) as shadow,
        aiohttp.ClientSession() as session,
    ):
        made = Pair(session, stores, primary, shadow)
        await made.load_ids()
        yield made


def fresh(mongo_url: str, pg_dsn: str) -> Stores:
    return Stores(mongo_url, f"market_{uuid.uuid4().hex[:12]}", pg_dsn)


def every_read(seed: int = SEED) -> Iterator[Read]:
    """Reads of every route of every domain: pages, filters, sorts, several entities, and what does not exist."""
    data = dataset(seed)

    def sample(entity: str, count: int = 8) -> list[dict[str, Any]]:
        found = data[entity]
        return found[:: max(1, len(found) // count)]

    users, sellers = sample("user"), [user for user in data["user"] if user["role"] == "seller"][:8]
    yield from _lists()
    for domain, route, entity in _DETAILS:
        records = sellers if "{sellerId}" in route else sample(entity)
        if entity == "payment" and domain == "release_holds":
            records = [one for one in data["payment"] if one["holdUntil"]][:5] + records[:2]
        for record in records:
            yield Read(domain, f"GET {route}", re.sub(r"\{\w+\}", record["id"], route))
        yield Read(domain, f"GET {route}", re.sub(r"\{\w+\}", NOBODY, route))
        yield Read(domain, f"GET {route}", re.sub(r"\{\w+\}", "not-an-id", route))
    for post in sample("blog_post", 20):
        yield Read("blog", "GET /api/blog/posts/{slug}", f"/api/blog/posts/{post['slug']}")
        yield Read("blog", "GET /api/files/**", f"/api/files/blog/{post['slug']}.png")
    for user in users:
        yield Read("blog", "GET /api/files/**", f"/api/files/avatars/{user['id']}.png")
        for domain, route in _OWN:
            yield Read(domain, f"GET {route}", route, user["id"])
            yield Read(domain, f"GET {route}", route)
    for one in sample("notification"):
        yield Read("notifications", "GET /api/notifications/{id}", f"/api/notifications/{one['id']}", one["userId"])
    for chat in sample("chat"):
        owner = chat["participants"][0]["userId"]
        yield Read("chat", "GET /api/chats", "/api/chats", owner)
        yield Read("chat", "GET /api/chats/{id}", f"/api/chats/{chat['id']}", owner)
        yield Read("chat", "GET /api/chats/{id}", f"/api/chats/{chat['id']}", NOBODY)
        yield Read("chat", "GET /api/chats/{id}/messages", f"/api/chats/{chat['id']}/messages?limit=3&page=2", owner)
    for level in ("1", "4", "99", "x"):
        yield Read("level_config", "GET /api/levels/{level}", f"/api/levels/{level}")
    for body in ({"q": "a"}, {"q": "m", "role": "buyer"}, {"q": 3}, {"q": "zzz"}):
        yield Read("users", "POST /api/users/search", "/api/users/search", body=body)


def _lists() -> Iterator[Read]:
    for domain, route, queries in _LISTS:
        for query in ("", "limit=5&page=2", "limit=0", "page=9999", *queries):
            yield Read(domain, f"GET {route}", f"{route}?{query}" if query else route)


_OWN = (
    ("users", "/api/user"),
    ("addresses", "/api/addresses"),
    ("notifications", "/api/notifications"),
    ("notifications", "/api/notifications/unread/count"),
    ("chat", "/api/chats"),
)
_LISTS = (
    ("users", "/api/users", ("role=seller", "status=active&sort=email", "role=king", "sort=x")),
    ("users", "/api/admin/users/stats", ()),
    ("payments", "/api/payment", ("status=held", "currency=EUR&sort=amount", f"buyerId={NOBODY}")),
    ("payments", "/api/payment/request-network/intents", ("status=pending",)),
    (
        "marketplace",
        "/api/marketplace/purchase-requests",
        ("status=open", "sort=budget&limit=50", "categoryId=x"),
    ),
    ("marketplace", "/api/marketplace/request-templates", ()),
    ("derived_destinations", "/api/derived-destinations", ("status=swept", "chain=tron")),
    ("trezor", "/api/trezor/accounts", ("chain=bitcoin",)),
    ("points", "/api/points/leaderboard", ()),
    ("disputes", "/api/disputes", ("status=resolved", "sort=resolvedAt", "sort=resolvedAt&limit=50")),
    ("blog", "/api/blog/posts", ("tag=guide", "tag=nothing")),
    ("release_holds", "/api/release-holds", ()),
    ("categories", "/api/categories", ("limit=100",)),
    ("level_config", "/api/levels", ()),
    ("shop_settings", "/api/shops", ("open=true", "open=maybe")),
    ("config_settings", "/api/admin/settings/confirmation-thresholds", ()),
    ("config_settings", "/api/admin/settings/confirmation-thresholds/history", ()),
    ("telegram", "/api/telegram/links", ("active=false",)),
    ("telegram", "/api/telegram/sessions", ("state=pending",)),
)
_DETAILS = (
    ("users", "/api/users/{id}", "user"),
    ("users", "/api/users/{id}/passkeys", "user"),
    ("users", "/api/users/{id}/sessions", "user"),
    ("payments", "/api/payment/{id}", "payment"),
    ("payments", "/api/payment/{id}/ledger", "payment"),
    ("payments", "/api/payment/users/{userId}/balance", "user"),
    ("marketplace", "/api/marketplace/purchase-requests/{id}", "purchase_request"),
    ("marketplace", "/api/marketplace/purchase-requests/{id}/offers", "purchase_request"),
    ("marketplace", "/api/marketplace/purchase-requests/{id}/delivery-attempts", "purchase_request"),
    ("marketplace", "/api/marketplace/offers/{id}", "seller_offer"),
    ("marketplace", "/api/marketplace/request-templates/{id}", "request_template"),
    ("derived_destinations", "/api/derived-destinations/{id}", "derived_destination"),
    ("derived_destinations", "/api/derived-destinations/{id}/sweeps", "derived_destination"),
    ("trezor", "/api/trezor/accounts/{id}", "trezor_account"),
    ("trezor", "/api/trezor/accounts/{id}/addresses", "trezor_account"),
    ("points", "/api/points/users/{userId}", "user"),
    ("points", "/api/points/users/{userId}/transactions", "user"),
    ("disputes", "/api/disputes/{id}", "dispute"),
    ("release_holds", "/api/release-holds/{paymentId}", "payment"),
    ("addresses", "/api/addresses/{id}", "address"),
    ("categories", "/api/categories/{id}", "category"),
    ("categories", "/api/categories/{id}/children", "category"),
    ("shop_settings", "/api/shops/{sellerId}", "user"),
    ("reviews", "/api/reviews/sellers/{sellerId}", "user"),
    ("reviews", "/api/reviews/sellers/{sellerId}/summary", "user"),
    ("reviews", "/api/reviews/{id}", "review"),
    ("telegram", "/api/telegram/links/{userId}", "user"),
)


async def eventually(condition: Callable[[], Awaitable[bool]], seconds: float = 5.0) -> None:
    """Wait until the condition holds; fails when it does not in time."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - what is waited for happens in another store
            await asyncio.sleep(0.005)
