"""Routes about people: users, telegram, addresses, notifications, points and levels, settings."""

from __future__ import annotations

from typing import Any

from proxy.demo.marketplace.catalog import entity_of
from proxy.demo.marketplace.entities import Record
from proxy.demo.marketplace.generic import (
    Populate,
    change,
    changing,
    creating,
    listing,
    populate,
    shape,
    showing,
)
from proxy.demo.marketplace.http import Reply, bad_request, detail, json_body, not_found
from proxy.demo.marketplace.market import Call, Route
from proxy.demo.marketplace.store import NEWEST, OLDEST, Order, Where

USER, LEVEL, ADDRESS = entity_of("user"), entity_of("level_config"), entity_of("address")
NOTIFICATION, POINTS = entity_of("notification"), entity_of("point_transaction")
SETTING, HISTORY = entity_of("config_setting"), entity_of("config_history")
THRESHOLDS = "confirmation-thresholds"
MAX_CONFIRMATIONS = 1000
PROFILE_FIELDS = ("firstName", "lastName", "phone", "preferences")
ADDRESS_FIELDS = (
    "type",
    "label",
    "fullName",
    "street",
    "city",
    "country",
    "postalCode",
    "phone",
    "isPrimary",
)
BY_EMAIL = (Order("email"), Order("seq"))


async def own_profile(call: Call) -> Reply:
    return detail(shape(USER, await call.desk.load(USER, await call.user_id())))


async def change_profile(call: Call) -> Reply:
    body = {key: value for key, value in (await json_body(call.request)).items() if key in PROFILE_FIELDS}
    if not all(isinstance(value, str) and 0 < len(value) < 100 for key, value in body.items() if key != "preferences"):
        raise bad_request("INVALID_BODY", "Names and phone are text")
    if not isinstance(body.get("preferences", {}), dict):
        raise bad_request("INVALID_BODY", "preferences must be an object")
    user = await call.desk.load(USER, await call.user_id())
    return detail(shape(USER, await change(call, USER, user, **body)))


async def search_users(call: Call) -> Reply:
    """By the beginning of the email; a read, although it is asked for by POST."""
    body = await json_body(call.request)
    prefix, role = body.get("q"), body.get("role")
    if not isinstance(prefix, str) or not prefix or len(prefix) > 100:
        raise bad_request("INVALID_BODY", "q must be a text of 1 to 100 characters")
    if role is not None and role not in USER.field("role").choices:
        raise bad_request("INVALID_BODY", "There is no such role")
    where = [Where("email", ">=", prefix), Where("email", "<", prefix + "\U0010ffff")]
    if role is not None:
        where.append(Where("role", "=", role))
    found = await call.store.find(USER, where, BY_EMAIL, limit=20)
    return Reply({"success": True, "data": [shape(USER, user) for user in found]})


async def user_stats(call: Call) -> Reply:
    roles = USER.field("role").choices
    counts = {role: await call.store.count(USER, [Where("role", "=", role)]) for role in roles}
    return detail({"total": sum(counts.values()), "byRole": counts})


async def telegram_link_of_user(call: Call) -> Reply:
    link = entity_of("telegram_link")
    user_id = await call.desk.own_id(USER, call.param("userId"))
    found = await call.store.find(link, [Where("userId", "=", user_id)], limit=1)
    if not found:
        raise not_found(link.name)
    items = [shape(link, found[0])]
    await populate(call.store, items, [Populate("userId", "user", name="user")])
    return detail(items[0])


async def primary_gives_way(call: Call, address: Record) -> None:
    """One primary address a user: the others stop being it, before the new one is copied."""
    if not address["isPrimary"]:
        return
    for other in await call.store.find(ADDRESS, [Where("userId", "=", address["userId"])]):
        if other["isPrimary"] and other["id"] != address["id"]:
            await change(call, ADDRESS, other, isPrimary=False)


async def make_primary(call: Call) -> Reply:
    address = await call.desk.load(ADDRESS, call.param("id"))
    await primary_gives_way(call, {**address, "isPrimary": True})
    return detail(shape(ADDRESS, await change(call, ADDRESS, address, isPrimary=True)))


async def delete_address(call: Call) -> Reply:
    address = await call.desk.load(ADDRESS, call.param("id"))
    await call.desk.remove(ADDRESS, address["id"])
    return detail({"id": address["id"]})


async def own_notifications(call: Call) -> Reply:
    tie_break = Order("id") if call.has_bug("notification_ties_reordered") else Order("seq", descending=True)
    handle = listing(
        "notification",
        filters={"read": "isRead", "type": "type"},
        order=(Order("createdAt", descending=True), tie_break),
        mine=True,
    )
    return await handle(call)


async def unread_count(call: Call) -> Reply:
    found = await call.store.find(
        NOTIFICATION, [Where("userId", "=", await call.user_id()), Where("isRead", "=", False)], OLDEST
    )
    by_type = {kind: sum(one["type"] == kind for one in found) for kind in NOTIFICATION.field("type").choices}
    return detail({"unread": len(found), "byType": by_type})


async def one_notification(call: Call) -> Reply:
    return detail(shape(NOTIFICATION, await _own_notification(call)))


async def read_notification(call: Call) -> Reply:
    found = await _own_notification(call)
    changed = await change(call, NOTIFICATION, found, isRead=True, readAt=call.desk.ticker.now())
    return detail(shape(NOTIFICATION, changed))


async def _own_notification(call: Call) -> Record:
    user_id = await call.user_id()
    found = await call.desk.load(NOTIFICATION, call.param("id"))
    if found["userId"] != user_id:
        raise not_found(NOTIFICATION.name)
    return found


async def points_of_user(call: Call) -> Reply:
    user = await call.desk.load(USER, call.param("userId"))
    levels = await call.store.find(LEVEL, order=[Order("level")])
    points = user["points"]
    # The boundary itself belongs to the level it opens.
    off_by_one = call.has_bug("level_boundary_off_by_one")
    reached = [one for one in levels if (points > one["minPoints"] if off_by_one else points >= one["minPoints"])]
    current = reached[-1] if reached else levels[0]
    following = next((one for one in levels if one["level"] > current["level"]), None)
    return detail(
        {
            "userId": user["id"],
            "points": points,
            "level": {name: current[name] for name in ("level", "name", "discountPercent")},
            "next": following and {"level": following["level"], "pointsNeeded": following["minPoints"] - points},
        }
    )


async def leaderboard(call: Call) -> Reply:
    page = call.page()
    users = await call.store.find(
        USER,
        [Where("points", ">=", 1500)],
        [Order("points", descending=True), Order("seq")],
        limit=page.limit,
    )
    ranks = [
        {"rank": rank, "id": user["id"], "firstName": user["firstName"], "points": user["points"]}
        for rank, user in enumerate(users, start=1)
    ]
    return Reply({"success": True, "data": ranks})


async def adjust_points(call: Call) -> Reply:
    amount = (await json_body(call.request)).get("amount")
    if not isinstance(amount, int) or isinstance(amount, bool) or abs(amount) > 10_000:
        raise bad_request("INVALID_BODY", "amount must be a whole number up to 10000")
    user = await call.desk.load(USER, call.param("userId"))
    balance = user["points"] + amount
    await change(call, USER, user, points=balance)
    entry = call.desk.new(
        POINTS,
        userId=user["id"],
        type="adjust",
        amount=amount,
        balanceAfter=balance,
        reason="by an administrator",
    )
    await call.desk.save(POINTS, entry)
    return detail(shape(POINTS, entry), 201)


async def one_level(call: Call) -> Reply:
    number = call.param("level")
    if not (number.isascii() and number.isdigit() and len(number) < 6):
        raise bad_request("INVALID_ID", "A level is a number")
    found = await call.store.find(LEVEL, [Where("level", "=", int(number))], [Order("level")], limit=1)
    if not found:
        raise not_found("level")
    return detail(shape(LEVEL, found[0]))


async def thresholds(call: Call) -> Reply:
    setting = await _thresholds(call)
    return detail({"key": setting["key"], "value": setting["value"], "updatedAt": setting["updatedAt"]})


async def set_thresholds(call: Call) -> Reply:
    body = await json_body(call.request)
    setting = await _thresholds(call)
    for chain, count in body.items():
        if chain not in setting["value"] or not isinstance(count, int) or not 0 < count <= MAX_CONFIRMATIONS:
            raise bad_request("INVALID_BODY", "Thresholds are numbers of confirmations by known chain")
    value: dict[str, Any] = {**setting["value"], **body}
    changed = await change(call, SETTING, setting, value=value)
    entry = call.desk.new(HISTORY, settingId=setting["id"], key=THRESHOLDS, oldValue=setting["value"], newValue=value)
    await call.desk.save(HISTORY, entry)
    return detail({"key": THRESHOLDS, "value": value, "updatedAt": changed["updatedAt"]})


async def _thresholds(call: Call) -> Record:
    found = await call.store.find(SETTING, [Where("key", "=", THRESHOLDS)], limit=1)
    if not found:
        raise not_found("setting")
    return found[0]


ROUTES = (
    Route("users", "GET", "/api/user", own_profile),
    Route("users", "PATCH", "/api/user", change_profile, writes=True),
    Route(
        "users",
        "GET",
        "/api/users",
        listing("user", filters={"role": "role", "status": "status"}, sorts={"email": BY_EMAIL}),
    ),
    Route(
        "users",
        "GET",
        "/api/users/{id}",
        showing("user", populated=[Populate("referrerId", "user", name="referrer")]),
    ),
    Route("users", "GET", "/api/users/{id}/passkeys", listing("passkey", parent=("id", "userId"))),
    Route("users", "GET", "/api/users/{id}/sessions", listing("refresh_token", parent=("id", "userId"))),
    Route("users", "POST", "/api/users/search", search_users),
    Route("users", "GET", "/api/admin/users/stats", user_stats),
    Route("telegram", "GET", "/api/telegram/links", listing("telegram_link", filters={"active": "isActive"})),
    Route("telegram", "GET", "/api/telegram/links/{userId}", telegram_link_of_user),
    Route("telegram", "GET", "/api/telegram/sessions", listing("telegram_session", filters={"state": "state"})),
    Route(
        "telegram",
        "PATCH",
        "/api/telegram/sessions/{id}",
        changing("telegram_session", ("state", "data")),
        writes=True,
    ),
    Route(
        "addresses",
        "GET",
        "/api/addresses",
        listing("address", mine=True, order=(Order("isPrimary", descending=True), *NEWEST)),
    ),
    Route("addresses", "GET", "/api/addresses/{id}", showing("address")),
    Route(
        "addresses",
        "POST",
        "/api/addresses",
        creating("address", ADDRESS_FIELDS[:-1], mine="userId", defaults={"type": "home", "isPrimary": False}),
        writes=True,
    ),
    Route("addresses", "PUT", "/api/addresses/{id}", changing("address", ADDRESS_FIELDS[:-1]), writes=True),
    Route("addresses", "POST", "/api/addresses/{id}/primary", make_primary, writes=True),
    Route("addresses", "DELETE", "/api/addresses/{id}", delete_address, writes=True),
    Route("notifications", "GET", "/api/notifications", own_notifications),
    Route("notifications", "GET", "/api/notifications/{id}", one_notification),
    Route("notifications", "GET", "/api/notifications/unread/count", unread_count),
    Route("notifications", "PATCH", "/api/notifications/{id}/read", read_notification, writes=True),
    Route("points", "GET", "/api/points/users/{userId}", points_of_user),
    Route(
        "points",
        "GET",
        "/api/points/users/{userId}/transactions",
        listing("point_transaction", parent=("userId", "userId")),
    ),
    Route("points", "GET", "/api/points/leaderboard", leaderboard),
    Route("points", "POST", "/api/points/users/{userId}/adjust", adjust_points, writes=True),
    Route("level_config", "GET", "/api/levels", listing("level_config", order=[Order("level")])),
    Route("level_config", "GET", "/api/levels/{level}", one_level),
    Route(
        "level_config",
        "PATCH",
        "/api/levels/{id}",
        changing("level_config", ("benefits", "isActive")),
        writes=True,
    ),
    Route("config_settings", "GET", f"/api/admin/settings/{THRESHOLDS}", thresholds),
    Route("config_settings", "PUT", f"/api/admin/settings/{THRESHOLDS}", set_thresholds, writes=True),
    Route("config_settings", "GET", f"/api/admin/settings/{THRESHOLDS}/history", listing("config_history")),
)
