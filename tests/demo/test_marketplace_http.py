"""The HTTP side: conditional requests, compression, errors, ids of either form, what stays open; and the seed."""

from __future__ import annotations

import gzip
import re
from typing import Any

import aiohttp
import asyncpg

from proxy.demo.marketplace.dataset import dataset
from proxy.demo.marketplace.http import etag_of, is_fresh
from proxy.demo.marketplace.schema import postgres_statements
from tests.demo.pairs import NOBODY, SEED, Pair, Read, fresh, pair

DATA = dataset(SEED)
USER = DATA["user"][20]["id"]


async def test_answers_as_express_gives_them(mongo_url: str, pg_database: str) -> None:
    async with pair(fresh(mongo_url, pg_database)) as both:
        for base in (both.primary, both.shadow):
            await conditional(both.session, f"{base}/api/users?limit=50")
            await compressed(both.session, f"{base}/api/users?limit=50")
            await errors(both.session, base)
            await file_download(both.session, base)
        await either_form_of_id(both)
        await money_dates_and_nulls(both)
        await chat_socket(both)
        await notification_stream(both)
        await tables(both)


async def conditional(session: aiohttp.ClientSession, url: str) -> None:
    async with session.get(url) as first:
        etag, body = first.headers["ETag"], await first.read()
    assert etag == etag_of(body)
    async with session.get(url, headers={"If-None-Match": etag}) as second:
        assert (second.status, second.headers["ETag"], await second.read()) == (304, etag, b"")
    async with session.get(url, headers={"If-None-Match": 'W/"0-other"'}) as third:
        assert (third.status, await third.read()) == (200, body)
    async with session.head(url) as head:
        assert (head.status, head.headers["ETag"], await head.read()) == (200, etag, b"")


async def compressed(session: aiohttp.ClientSession, url: str) -> None:
    async with session.get(url, headers={"Accept-Encoding": "identity"}) as plain:
        assert "Content-Encoding" not in plain.headers
        body = await plain.read()
    connector = aiohttp.TCPConnector()
    async with aiohttp.ClientSession(auto_decompress=False, connector=connector) as raw, raw.get(url) as packed:
        assert packed.headers["Content-Encoding"] == "gzip"
        assert gzip.decompress(await packed.read()) == body


async def errors(session: aiohttp.ClientSession, base: str) -> None:
    for path, status, code in (
        (f"/api/users/{NOBODY}", 404, "NOT_FOUND"),
        ("/api/users/short", 400, "INVALID_ID"),
        ("/api/users?limit=101", 400, "INVALID_QUERY"),
        ("/api/blog/posts/a%00b", 400, "INVALID_QUERY"),
        ("/api/blog/posts?tag=%00", 400, "INVALID_QUERY"),
        ("/api/addresses", 401, "UNAUTHORIZED"),
        ("/api/nowhere", 404, "NOT_FOUND"),
    ):
        async with session.get(base + path) as response:
            body = await response.json()
            assert (response.status, body["success"], body["error"]["code"]) == (status, False, code)
    headers = {"Authorization": f"Bearer demo-{USER}"}
    for raw in (b"{", b"[]", b'{"fullName": 3}', b'{"fullName": "nul \\u0000", "street": "s"}', b'{"label": "x"}'):
        async with session.post(f"{base}/api/addresses", data=raw, headers=headers) as response:
            assert (response.status, (await response.json())["success"]) == (400, False)
    async with session.post(f"{base}/api/addresses", data=b'{"a":"' + b"x" * 70_000 + b'"}', headers=headers) as large:
        assert large.status == 413
    async with session.delete(f"{base}/api/users") as refused:
        assert refused.status == 405


async def file_download(session: aiohttp.ClientSession, base: str) -> None:
    async with session.get(f"{base}/api/files/avatars/{USER}.png") as response:
        assert (response.status, response.content_type) == (200, "image/png")
        assert (await response.read()).startswith(b"\x89PNG\r\n\x1a\n")
    async with session.get(f"{base}/api/files/secrets/passwd") as response:
        assert response.status == 404


async def either_form_of_id(both: Pair) -> None:
    new_id = next(new.decode() for new, legacy in both.legacies.items() if legacy.decode() == USER)
    for base, own in ((both.primary, USER), (both.shadow, new_id)):
        for form in (USER, new_id, USER.upper()):
            for path in (f"/api/users/{form}", f"/api/payment?buyerId={form}"):
                status, body, _ = await both.fetch(base, Read("", "", path, form))
                assert status == 200
                assert own.encode() in body or b'"total":0' in body
            status, body, _ = await both.fetch(base, Read("", "", "/api/user", form))
            assert (status, own.encode() in body) == (200, True)


async def money_dates_and_nulls(both: Pair) -> None:
    payment = next(one for one in DATA["payment"] if one["metadata"] is None)
    for base in (both.primary, both.shadow):
        async with both.session.get(f"{base}/api/payment/{payment['id']}") as response:
            shown = (await response.json())["data"]
        assert shown["amount"] == float(payment["amount"])
        assert isinstance(shown["amountBase"], str)
        assert re.fullmatch(r"2026-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", shown["createdAt"])
        assert shown["metadata"] is None
        assert not {"seq", "legacyObjectId", "_id"} & shown.keys()


async def chat_socket(both: Pair) -> None:
    chat = DATA["chat"][0]
    owner, other = (one["userId"] for one in chat["participants"][:2])
    for base in (both.primary, both.shadow):
        url = f"{base}/api/chats/{chat['id']}/socket"
        async with (
            both.session.ws_connect(url, headers={"Authorization": f"Bearer demo-{owner}"}) as mine,
            both.session.ws_connect(url, headers={"Authorization": f"Bearer demo-{other}"}) as theirs,
        ):
            await mine.send_str('{"text": "hi"}')
            for socket in (mine, theirs):
                frame: dict[str, Any] = await socket.receive_json(timeout=5)
                assert (frame["event"], frame["data"]["text"]) == ("message", "hi")
            await mine.send_str("no json")
            assert (await mine.receive_json(timeout=5))["event"] == "error"
        async with both.session.get(url, headers={"Authorization": f"Bearer demo-{USER}"}) as stranger:
            assert stranger.status == 404


async def notification_stream(both: Pair) -> None:
    request = DATA["purchase_request"][0]
    seller = next(user["id"] for user in DATA["user"] if user["role"] == "seller")
    headers = {"Authorization": f"Bearer demo-{request['buyerId']}"}
    async with both.session.get(f"{both.primary}/api/stream/notifications", headers=headers) as stream:
        assert stream.content_type == "text/event-stream"
        assert await stream.content.readline() == b": connected\n"
        offer = {"price": 5, "currency": "EUR", "deliveryDays": 1}
        path = f"{both.primary}/api/marketplace/purchase-requests/{request['id']}/offers"
        async with both.session.post(path, json=offer, headers={"Authorization": f"Bearer demo-{seller}"}) as response:
            assert response.status == 201
        assert await stream.content.readline() == b"\n"
        assert await stream.content.readline() == b"event: notification\n"


async def tables(both: Pair) -> None:
    connection = await asyncpg.connect(both.stores.pg_dsn)
    try:
        names = {
            row[0] for row in await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        }
        kinds = await connection.fetch("SELECT typname FROM pg_type WHERE typtype = 'e'")
        rows = await connection.fetchval("SELECT count(*) FROM id_map")
        chat = await connection.fetchval("SELECT pg_typeof(messages)::text FROM chats LIMIT 1")
        money = await connection.fetchval("SELECT pg_typeof(amount)::text FROM payments LIMIT 1")
    finally:
        await connection.close()
    assert len(names) == 36
    assert {"id_map", "pg_dualwrite_gaps", "purchase_request_preferred_sellers", "funds_ledger_entries"} <= names
    assert len(kinds) > 20
    assert rows > 6000
    assert (chat, money) == ("jsonb", "numeric")


def test_the_same_seed_makes_the_same_data() -> None:
    assert dataset(SEED) == DATA
    assert dataset(SEED + 1) != DATA
    assert sum(len(records) for records in DATA.values()) > 5000
    assert len({record["id"] for records in DATA.values() for record in records}) == sum(map(len, DATA.values()))


def test_the_schema_is_stated_once() -> None:
    statements = list(postgres_statements())
    assert len(statements) == len(set(statements))


def test_weak_comparison_of_etags() -> None:
    tag = etag_of(b"{}")
    assert tag == 'W/"2-vyGp6PvFo4RvsFtPoIWeCReyIC8"'  # as Express sends it
    assert is_fresh(tag, tag)
    assert is_fresh('"x", ' + tag.removeprefix("W/"), tag)
    assert is_fresh("*", tag)
    assert not is_fresh(None, tag)
    assert not is_fresh('W/"2-other"', tag)
