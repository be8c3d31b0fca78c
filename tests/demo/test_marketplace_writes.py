"""Writes reach both stores when the flags say so, in the end exactly alike."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
from motor.motor_asyncio import AsyncIOMotorClient

from proxy.demo.marketplace.dataset import dataset
from proxy.demo.marketplace.flags import parse_flags
from tests.demo.pairs import SEED, Pair, Read, eventually, fresh, instance, pair

DATA = dataset(SEED)
USER = DATA["user"][20]["id"]
SELLER = next(user["id"] for user in DATA["user"] if user["role"] == "seller")
ADDRESSES = [one["id"] for one in DATA["address"] if one["userId"] == USER]
CHAT = DATA["chat"][0]
HELD = next(one["id"] for one in DATA["payment"] if one["holdUntil"])
REQUEST = DATA["purchase_request"][3]["id"]
MEMBER = CHAT["participants"][0]["userId"]

WRITES: tuple[tuple[str, str, dict[str, Any], str, str], ...] = (
    ("PATCH", "/api/user", {"firstName": "Zoë", "preferences": {"a": [1, None, 2.5]}}, USER, "/api/user"),
    ("POST", "/api/addresses", {"fullName": "A", "street": "B", "city": "C", "country": "D"}, USER, "/api/addresses"),
    ("POST", f"/api/addresses/{ADDRESSES[-1]}/primary", {}, USER, "/api/addresses"),
    ("DELETE", f"/api/addresses/{ADDRESSES[0]}", {}, USER, "/api/addresses"),
    (
        "POST",
        f"/api/marketplace/purchase-requests/{REQUEST}/offers",
        {"price": 19.99, "currency": "EUR", "deliveryDays": 3},
        SELLER,
        f"/api/marketplace/purchase-requests/{REQUEST}/offers",
    ),
    (
        "PATCH",
        f"/api/marketplace/purchase-requests/{REQUEST}",
        {"title": "Ünïcode 👍", "tags": []},
        USER,
        f"/api/marketplace/purchase-requests/{REQUEST}",
    ),
    (
        "POST",
        "/api/payment/request-network/intents",
        {"amount": 1234.56, "currency": "USDT", "sellerId": SELLER},
        USER,
        "/api/payment/request-network/intents",
    ),
    ("POST", "/api/payment/webhook", {"amount": 0.1, "buyerId": USER, "sellerId": SELLER}, USER, "/api/payment"),
    ("POST", f"/api/release-holds/{HELD}/extend", {}, USER, f"/api/release-holds/{HELD}"),
    ("POST", f"/api/chats/{CHAT['id']}/messages", {"text": "hello"}, MEMBER, f"/api/chats/{CHAT['id']}/messages"),
    ("POST", f"/api/points/users/{USER}/adjust", {"amount": 7}, USER, f"/api/points/users/{USER}/transactions"),
    ("POST", f"/api/reviews/sellers/{SELLER}", {"rating": 5}, USER, f"/api/reviews/sellers/{SELLER}/summary"),
    (
        "PUT",
        "/api/admin/settings/confirmation-thresholds",
        {"tron": 21},
        USER,
        "/api/admin/settings/confirmation-thresholds/history",
    ),
)


async def write(session: aiohttp.ClientSession, base: str, one: tuple[str, str, dict[str, Any], str, str]) -> Any:
    method, path, body, user, _ = one
    headers = {"Authorization": f"Bearer demo-{user}"}
    async with session.request(method, base + path, json=body, headers=headers) as response:
        assert response.status in (200, 201), (one, await response.text())
        return (await response.json())["data"]


async def alike(both: Pair, path: str, user: str) -> bool:
    await both.load_ids()
    primary, shadow = await both.both(Read("", "", path, user))
    return primary == shadow


async def test_writes_reach_the_other_store_soon(mongo_url: str, pg_database: str) -> None:
    async with pair(fresh(mongo_url, pg_database)) as both:
        for one in WRITES:
            before = await both.fetch(both.shadow, Read("", "", one[4], one[3]))
            await write(both.session, both.primary, one)

            async def repaired(one: Any = one, before: Any = before) -> bool:
                changed = before != await both.fetch(both.shadow, Read("", "", one[4], one[3]))
                return changed and await alike(both, one[4], one[3])

            await eventually(repaired)


async def test_writes_that_race_leave_both_stores_alike(mongo_url: str, pg_database: str) -> None:
    path = "/api/addresses"
    async with pair(fresh(mongo_url, pg_database)) as both:
        calls: list[Any] = [("POST", f"/api/addresses/{one}/primary", {}, USER, path) for one in ADDRESSES * 4]
        calls += [WRITES[1]] * 4
        await asyncio.gather(*(write(both.session, both.primary, one) for one in calls))

        async def repaired() -> bool:
            return await alike(both, path, USER)

        await eventually(repaired)
        shown = (await both.both(Read("", "", path, USER)))[1][1]["data"]
        assert [one["isPrimary"] for one in shown] == [True] + [False] * (len(ADDRESSES) + 3)


async def test_a_write_to_the_postgres_side_comes_to_mongo(mongo_url: str, pg_database: str) -> None:
    async with pair(fresh(mongo_url, pg_database)) as both:
        created = await write(both.session, both.shadow, WRITES[6])
        message = await write(both.session, both.shadow, WRITES[9])
        assert len(created["id"]) == len(message["id"]) == 36

        async def mirrored() -> bool:
            return await alike(both, f"/api/payment/{created['id']}", USER) and await alike(both, WRITES[9][4], MEMBER)

        await eventually(mirrored)
        # The new ids of the other form are understood on the side that reads MongoDB.
        status, _, _ = await both.fetch(both.primary, Read("", "", f"/api/payment/{created['id']}"))
        assert status == 200


async def test_mongo_mode_writes_mongo_alone_and_dual_reads_mongo(mongo_url: str, pg_database: str) -> None:
    stores = fresh(mongo_url, pg_database)
    flags = parse_flags("REPO_DEFAULT=pg,REPO_BLOG=dual,REPO_DISPUTE=mongo")
    post, dispute = DATA["blog_post"][0], DATA["dispute"][0]
    client: Any = AsyncIOMotorClient(mongo_url)
    try:
        async with instance(stores, flags) as base, aiohttp.ClientSession() as session:
            database = client[stores.database]
            # What only MongoDB knows is what `dual` and `mongo` show.
            await database.blogposts.update_one({"slug": post["slug"]}, {"$set": {"title": "in MongoDB only"}})
            async with session.get(f"{base}/api/blog/posts/{post['slug']}") as response:
                shown = (await response.json())["data"]
            assert (shown["title"], shown["id"]) == ("in MongoDB only", post["id"])
            await write(session, base, ("PATCH", f"/api/disputes/{dispute['id']}", {"description": "new"}, USER, ""))
            await write(session, base, ("POST", f"/api/blog/posts/{post['slug']}/view", {}, USER, ""))
            async with instance(stores, parse_flags("REPO_DEFAULT=pg")) as other:

                async def copied() -> bool:
                    async with session.get(f"{other}/api/blog/posts/{post['slug']}") as response:
                        return bool((await response.json())["data"]["title"] == "in MongoDB only")

                # The mirror works in order: once the later write is there, the earlier one will never come.
                await eventually(copied)
                async with session.get(f"{other}/api/disputes/{dispute['id']}") as response:
                    assert (await response.json())["data"]["description"] == dispute["description"]
            async with session.get(f"{base}/api/disputes/{dispute['id']}") as response:
                assert (await response.json())["data"]["description"] == "new"
    finally:
        client.close()
