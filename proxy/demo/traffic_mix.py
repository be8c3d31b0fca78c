"""What the demo's clients ask for: the mix of reads of every domain, and the writes between them. Pure."""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

NOBODY = "0123456789abcdef01234567"
"""An id of the right form that names nothing."""
MALFORMED = "not-an-id"
MAX_POOL = 2000
_PLACE = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. `expected` are the statuses that a client takes for right."""

    domain: str
    kind: str
    method: str
    path: str
    user: str | None = None
    body: Mapping[str, Any] | None = None
    expected: tuple[int, ...] = (200, 304)


@dataclass
class World:
    """The ids that clients have seen so far, by what they name. `owned` pairs an id with the user who may read it."""

    pools: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    owned: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))

    def learn(self, pool: str, ids: Sequence[str]) -> None:
        known = self.pools[pool]
        known.extend(ids[: MAX_POOL - len(known)])

    def learn_owned(self, pool: str, ids: Sequence[str], user: str) -> None:
        known = self.owned[pool]
        known.extend((one, user) for one in ids[: MAX_POOL - len(known)])


@dataclass(frozen=True, slots=True)
class Mix:
    """A read that is asked for `weight` times as often as one of weight 1. `mine`: with a caller; `owned`: its pool."""

    weight: int
    path: str
    queries: tuple[str, ...] = ("",)
    mine: bool = False
    owned: str = ""


READS: Mapping[str, tuple[Mix, ...]] = MappingProxyType(
    {
        "users": (
            Mix(2, "/api/user", mine=True),
            Mix(1, "/api/users", ("", "role=seller", "status=active&sort=email", "page=2&limit=10")),
            Mix(5, "/api/users/{user}"),
            Mix(2, "/api/users/{user}/passkeys"),
            Mix(2, "/api/users/{user}/sessions"),
            Mix(1, "/api/admin/users/stats"),
        ),
        "payments": (
            Mix(2, "/api/payment", ("", "status=held", "currency=EUR&sort=amount", "page=3&limit=10")),
            Mix(6, "/api/payment/{payment}"),
            Mix(3, "/api/payment/{payment}/ledger"),
            Mix(2, "/api/payment/users/{user}/balance"),
            Mix(1, "/api/payment/request-network/intents", ("", "status=pending")),
        ),
        "marketplace": (
            Mix(2, "/api/marketplace/purchase-requests", ("", "status=open", "sort=budget&limit=10", "page=2")),
            Mix(5, "/api/marketplace/purchase-requests/{request}"),
            Mix(3, "/api/marketplace/purchase-requests/{request}/offers"),
            Mix(2, "/api/marketplace/purchase-requests/{request}/delivery-attempts"),
            Mix(3, "/api/marketplace/offers/{offer}"),
            Mix(1, "/api/marketplace/request-templates", ("", "page=2")),
            Mix(2, "/api/marketplace/request-templates/{template}"),
        ),
        "derived_destinations": (
            Mix(1, "/api/derived-destinations", ("", "status=swept", "chain=tron")),
            Mix(3, "/api/derived-destinations/{destination}"),
            Mix(2, "/api/derived-destinations/{destination}/sweeps"),
        ),
        "trezor": (
            Mix(1, "/api/trezor/accounts", ("", "chain=bitcoin")),
            Mix(2, "/api/trezor/accounts/{account}"),
            Mix(2, "/api/trezor/accounts/{account}/addresses"),
        ),
        "points": (
            Mix(3, "/api/points/users/{user}"),
            Mix(3, "/api/points/users/{user}/transactions", ("", "limit=5&page=2")),
            Mix(1, "/api/points/leaderboard", ("", "limit=10")),
        ),
        "notifications": (
            Mix(2, "/api/notifications", ("", "read=false", "type=offer", "limit=5"), mine=True),
            Mix(3, "/api/notifications/{notification}", owned="notification"),
            Mix(2, "/api/notifications/unread/count", mine=True),
        ),
        "disputes": (
            Mix(1, "/api/disputes", ("", "status=resolved", "sort=resolvedAt")),
            Mix(3, "/api/disputes/{dispute}"),
        ),
        "blog": (
            Mix(1, "/api/blog/posts", ("", "tag=guide", "page=2")),
            Mix(3, "/api/blog/posts/{slug}"),
            Mix(1, "/api/files/blog/{slug}.png"),
            Mix(1, "/api/files/avatars/{user}.png"),
        ),
        "chat": (
            Mix(1, "/api/chats", ("", "limit=3"), mine=True),
            Mix(2, "/api/chats/{chat}", owned="chat"),
            Mix(3, "/api/chats/{chat}/messages", ("", "limit=3&page=2"), owned="chat"),
        ),
        "release_holds": (Mix(1, "/api/release-holds", ("", "limit=5")), Mix(3, "/api/release-holds/{hold}")),
        "addresses": (Mix(1, "/api/addresses", mine=True), Mix(2, "/api/addresses/{address}")),
        "categories": (
            Mix(1, "/api/categories", ("", "limit=100")),
            Mix(3, "/api/categories/{category}"),
            Mix(1, "/api/categories/{category}/children"),
        ),
        "level_config": (Mix(1, "/api/levels"), Mix(2, "/api/levels/{level}")),
        "shop_settings": (Mix(2, "/api/shops", ("", "open=true", "limit=5")), Mix(1, "/api/shops/{seller}")),
        "reviews": (
            Mix(1, "/api/reviews/sellers/{seller}", ("", "limit=5")),
            Mix(3, "/api/reviews/sellers/{seller}/summary"),
            Mix(1, "/api/reviews/{review}"),
        ),
        "config_settings": (
            Mix(3, "/api/admin/settings/confirmation-thresholds"),
            Mix(1, "/api/admin/settings/confirmation-thresholds/history", ("", "limit=5")),
        ),
        "telegram": (
            Mix(1, "/api/telegram/links", ("", "active=true")),
            Mix(3, "/api/telegram/links/{linked}"),
            Mix(1, "/api/telegram/sessions", ("", "state=pending")),
        ),
    }
)
MISSING: Mapping[str, str] = MappingProxyType(
    {
        "users": "/api/users/{id}",
        "payments": "/api/payment/{id}",
        "marketplace": "/api/marketplace/offers/{id}",
        "derived_destinations": "/api/derived-destinations/{id}",
        "trezor": "/api/trezor/accounts/{id}",
        "points": "/api/points/users/{id}",
        "disputes": "/api/disputes/{id}",
        "release_holds": "/api/release-holds/{id}",
        "addresses": "/api/addresses/{id}",
        "categories": "/api/categories/{id}",
        "shop_settings": "/api/shops/{id}",
        "reviews": "/api/reviews/{id}",
        "telegram": "/api/telegram/links/{id}",
    }
)


def read(domain: str, world: World, rng: random.Random) -> Ask:
    """A read of the domain that should succeed."""
    mixes = READS[domain]
    chosen = rng.choices(mixes, [mix.weight for mix in mixes])[0]
    user = rng.choice(world.pools["user"]) if chosen.mine else None
    path = chosen.path
    if chosen.owned:
        own_id, user = rng.choice(world.owned[chosen.owned])
        path = path.replace(f"{{{chosen.owned}}}", own_id)
    path = _PLACE.sub(lambda place: rng.choice(world.pools[place[1]]), path)
    query = rng.choice(chosen.queries)
    return Ask(domain, "read", "GET", f"{path}?{query}" if query else path, user)


def search(world: World, rng: random.Random) -> Ask:  # noqa: ARG001 - every maker of requests has one shape
    """A read that is asked for by POST."""
    return Ask("users", "search", "POST", "/api/users/search", body={"q": rng.choice("abcdefhm")}, expected=(200,))


def missing(domain: str, rng: random.Random) -> Ask | None:
    """A read that answers 404, or 400 when the id has no id's form; None for a domain without such a route."""
    if (path := MISSING.get(domain)) is None:
        return None
    if rng.random() < 0.4:
        return Ask(domain, "bad_request", "GET", path.format(id=MALFORMED), expected=(400,))
    return Ask(domain, "missing", "GET", path.format(id=NOBODY), expected=(404,))


Writer = Callable[[World, random.Random], Ask]


def _write(
    domain: str, method: str, path: str, body: Mapping[str, Any], user: str | None = None, status: int = 200
) -> Ask:
    return Ask(domain, "write", method, path, user, body, (status,))


def _profile(world: World, rng: random.Random) -> Ask:
    body = {
        "phone": f"+49151{rng.randrange(10**7):07d}",
        "preferences": {"theme": rng.choice(("dark", "light"))},
    }
    return _write("users", "PATCH", "/api/user", body, rng.choice(world.pools["user"]))


def _new_address(world: World, rng: random.Random) -> Ask:
    body = {"fullName": "Zoë Quinn", "street": f"Ring {rng.randrange(99)}", "city": "Wien", "country": "AT"}
    return _write("addresses", "POST", "/api/addresses", body, rng.choice(world.pools["user"]), 201)


def _change_address(world: World, rng: random.Random) -> Ask:
    path = f"/api/addresses/{rng.choice(world.pools['address'])}"
    return _write("addresses", "PUT", path, {"street": f"Allee {rng.randrange(99)}", "postalCode": None})


def _primary(world: World, rng: random.Random) -> Ask:
    path = f"/api/addresses/{rng.choice(world.pools['address'])}/primary"
    return _write("addresses", "POST", path, {})


def _read_notification(world: World, rng: random.Random) -> Ask:
    own_id, user = rng.choice(world.owned["notification"])
    return _write("notifications", "PATCH", f"/api/notifications/{own_id}/read", {}, user)


def _offer(world: World, rng: random.Random) -> Ask:
    path = f"/api/marketplace/purchase-requests/{rng.choice(world.pools['request'])}/offers"
    body = {
        "price": rng.randrange(1000, 90000) / 100,
        "currency": "USDT",
        "deliveryDays": rng.randrange(1, 20),
    }
    return _write("marketplace", "POST", path, body, rng.choice(world.pools["seller"]), 201)


def _request(world: World, rng: random.Random) -> Ask:
    path = f"/api/marketplace/purchase-requests/{rng.choice(world.pools['request'])}"
    return _write("marketplace", "PATCH", path, {"urgency": rng.choice(("low", "high"))})


def _intent(world: World, rng: random.Random) -> Ask:
    body = {
        "amount": rng.randrange(100, 99999) / 100,
        "currency": "USDC",
        "sellerId": rng.choice(world.pools["seller"]),
    }
    user = rng.choice(world.pools["user"])
    return _write("payments", "POST", "/api/payment/request-network/intents", body, user, 201)


def _webhook(world: World, rng: random.Random) -> Ask:
    body = {
        "amount": rng.randrange(100, 99999) / 100,
        "buyerId": rng.choice(world.pools["user"]),
        "sellerId": rng.choice(world.pools["seller"]),
    }
    return _write("payments", "POST", "/api/payment/webhook", body, status=201)


def _hold(world: World, rng: random.Random) -> Ask:
    return _write("release_holds", "POST", f"/api/release-holds/{rng.choice(world.pools['hold'])}/extend", {})


def _review(world: World, rng: random.Random) -> Ask:
    body = {"rating": rng.randrange(1, 6), "comment": rng.choice(("Good.", None, "Très bien 👌"))}
    path = f"/api/reviews/sellers/{rng.choice(world.pools['seller'])}"
    return _write("reviews", "POST", path, body, rng.choice(world.pools["user"]), 201)


def _dispute(world: World, rng: random.Random) -> Ask:
    path = f"/api/disputes/{rng.choice(world.pools['dispute'])}"
    return _write("disputes", "PATCH", path, {"evidence": [f"/static/e{rng.randrange(99)}.jpg"]})


def _message(world: World, rng: random.Random) -> Ask:
    chat, user = rng.choice(world.owned["chat"])
    return _write("chat", "POST", f"/api/chats/{chat}/messages", {"text": "Any news? …"}, user, 201)


def _points(world: World, rng: random.Random) -> Ask:
    path = f"/api/points/users/{rng.choice(world.pools['user'])}/adjust"
    return _write("points", "POST", path, {"amount": rng.randrange(-5, 20)}, status=201)


def _view(world: World, rng: random.Random) -> Ask:
    return _write("blog", "POST", f"/api/blog/posts/{rng.choice(world.pools['slug'])}/view", {})


def _thresholds(world: World, rng: random.Random) -> Ask:  # noqa: ARG001 - every maker of requests has one shape
    path = "/api/admin/settings/confirmation-thresholds"
    return _write("config_settings", "PUT", path, {"ethereum": rng.randrange(6, 30)})


def _shop(world: World, rng: random.Random) -> Ask:
    path = f"/api/shops/{rng.choice(world.pools['seller'])}"
    return _write("shop_settings", "PATCH", path, {"isOpen": rng.random() < 0.8})


def _sweep(world: World, rng: random.Random) -> Ask:
    path = f"/api/derived-destinations/{rng.choice(world.pools['destination'])}/sweeps"
    body = {
        "amount": str(rng.randrange(10**18)),
        "txHash": f"0x{rng.getrandbits(256):064x}",
        "gasPaid": 0.0021,
    }
    return _write("derived_destinations", "POST", path, body, status=201)


def _trezor(world: World, rng: random.Random) -> Ask:
    path = f"/api/trezor/accounts/{rng.choice(world.pools['account'])}/addresses"
    body = {"address": f"bc1q{rng.getrandbits(190):038x}", "index": rng.randrange(10, 10**6)}
    return _write("trezor", "POST", path, body, status=201)


def _session(world: World, rng: random.Random) -> Ask:
    path = f"/api/telegram/sessions/{rng.choice(world.pools['session'])}"
    return _write("telegram", "PATCH", path, {"state": rng.choice(("pending", "verified"))})


WRITERS: tuple[Writer, ...] = (
    _profile,
    _new_address,
    _change_address,
    _primary,
    _read_notification,
    _offer,
    _request,
    _intent,
    _webhook,
    _hold,
    _review,
    _dispute,
    _message,
    _points,
    _view,
    _thresholds,
    _shop,
    _sweep,
    _trezor,
    _session,
)
