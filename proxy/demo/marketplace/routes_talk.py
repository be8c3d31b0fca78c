"""Routes about talk: the blog with its files, chats."""

from __future__ import annotations

import hashlib
from typing import Any

from proxy.demo.marketplace.catalog import entity_of
from proxy.demo.marketplace.codec import iso_milliseconds
from proxy.demo.marketplace.entities import Record
from proxy.demo.marketplace.generic import PERSON, Populate, change, populate, shape
from proxy.demo.marketplace.http import Reply, bad_request, detail, json_body, not_found
from proxy.demo.marketplace.market import Call, Route
from proxy.demo.marketplace.store import Order, Where

POST, CHAT, USER = entity_of("blog_post"), entity_of("chat"), entity_of("user")
NOT_DELETED = Where("isDeleted", "=", False)
AUTHOR = Populate("authorId", "user", name="author")
MAX_TEXT = 2000
MAX_MESSAGES = 500
FILE_BYTES = 3000


async def list_posts(call: Call) -> Reply:
    page = call.page()
    where = [NOT_DELETED]
    if (tag := call.query.get("tag")) is not None:
        where.append(Where("tags", "has", tag))
    order = (Order("publishedAt", descending=True), Order("seq", descending=True))
    found = await call.store.find(POST, where, order, offset=page.offset, limit=page.limit)
    counted = where[1:] if call.has_bug("blog_total_counts_deleted") else where
    total = await call.store.count(POST, counted)
    items = [{**shape(POST, post), "body": None} for post in found]
    await populate(call.store, items, [AUTHOR])
    return page.reply(items, total)


async def one_post(call: Call) -> Reply:
    item = shape(POST, await _post(call, call.param("slug")))
    await populate(call.store, [item], [AUTHOR])
    if call.has_bug("blog_empty_tags_null"):
        item["tags"] = item["tags"] or None
    return detail(item)


async def change_post(call: Call) -> Reply:
    """One more view."""
    post = await _post(call, call.param("slug"))
    changed = await change(call, POST, post, views=post["views"] + 1)
    return detail({"slug": changed["slug"], "views": changed["views"]})


async def _post(call: Call, slug: str) -> Record:
    found = await call.store.find(POST, [Where("slug", "=", slug), NOT_DELETED], limit=1)
    if not found:
        raise not_found("post")
    return found[0]


async def file(call: Call) -> Reply:
    """A cover or an avatar: the bytes follow from what the record has been since it was made."""
    folder, _, name = call.param("path").partition("/")
    stem = name.removesuffix(".png")
    if stem == name:
        raise not_found("file")
    if folder == "blog":
        record = await _post(call, stem)
    elif folder == "avatars":
        record = await call.desk.load(USER, stem)
    else:
        raise not_found("file")
    block = hashlib.sha256(f"{folder}:{record['seq']}".encode()).digest()
    body = b"\x89PNG\r\n\x1a\n" + (block * (FILE_BYTES // len(block)))
    return Reply(body, content_type="image/png", headers={"Cache-Control": "public, max-age=60"})


async def list_chats(call: Call) -> Reply:
    user_id = await call.user_id()
    page = call.page()
    where = [Where("participants", "bears", user_id)]
    order = (Order("lastMessageAt", descending=True), Order("seq", descending=True))
    found = await call.store.find(CHAT, where, order, offset=page.offset, limit=page.limit)
    items = [
        {
            **{name: chat[name] for name in ("id", "kind", "requestId", "subject", "lastMessageAt")},
            "participantIds": [one["userId"] for one in chat["participants"]],
            "lastMessage": chat["messages"][-1] if chat["messages"] else None,
            "unread": next(one["unread"] for one in chat["participants"] if one["userId"] == user_id),
        }
        for chat in found
    ]
    return page.reply(items, await call.store.count(CHAT, where))


async def one_chat(call: Call) -> Reply:
    chat = await own_chat(call)
    users = (
        {}
        if call.has_bug("chat_participant_names_missing")
        else await call.store.many(USER, {one["userId"] for one in chat["participants"]})
    )
    return detail(
        {
            **{name: chat[name] for name in ("id", "kind", "requestId", "subject", "lastMessageAt", "createdAt")},
            "participants": [_participant(one, users.get(one["userId"])) for one in chat["participants"]],
            "unread": {one["userId"]: one["unread"] for one in chat["participants"]},
            "lastMessage": chat["messages"][-1] if chat["messages"] else None,
            "messageCount": len(chat["messages"]),
        }
    )


def _participant(one: dict[str, Any], user: Record | None) -> dict[str, Any]:
    shown = {name: one[name] for name in ("userId", "role", "joinedAt")}
    if user is not None:
        shown["name"] = " ".join(part for part in (user["firstName"], user["lastName"]) if part)
        shown["avatarUrl"] = shape(USER, user)[PERSON[2]]
    return shown


async def list_messages(call: Call) -> Reply:
    chat = await own_chat(call)
    page = call.page()
    newest = chat["messages"][::-1]
    return page.reply(newest[page.offset : page.offset + page.limit], len(newest))


async def post_message(call: Call) -> Reply:
    body = await json_body(call.request)
    return detail(await say(call, await call.user_id(), body.get("text")), 201)


async def own_chat(call: Call) -> Record:
    """The chat of the path, for one of its participants; 404 for anybody else."""
    user_id = await call.user_id()
    chat = await call.desk.load(CHAT, call.param("id"))
    if all(one["userId"] != user_id for one in chat["participants"]):
        raise not_found("chat")
    return chat


async def say(call: Call, user_id: str, text: Any) -> dict[str, Any]:
    """Add a message, count it as unread for the others, tell the open sockets."""
    if not isinstance(text, str) or not 0 < len(text) <= MAX_TEXT or "\0" in text:
        raise bad_request("INVALID_BODY", f"text must have 1 to {MAX_TEXT} characters")
    chat = await own_chat(call)
    now = call.desk.ticker.now()
    message = {
        "id": call.store.new_id(),
        "senderId": user_id,
        "text": text,
        "sentAt": iso_milliseconds(now),
        "attachments": [],
    }
    participants = [
        one if one["userId"] == user_id else {**one, "unread": one["unread"] + 1} for one in chat["participants"]
    ]
    messages = [*chat["messages"], message][-MAX_MESSAGES:]
    await change(call, CHAT, chat, participants=participants, messages=messages, lastMessageAt=now)
    call.market.hub.publish(f"chat:{chat['id']}", message)
    return message


ROUTES = (
    Route("blog", "GET", "/api/blog/posts", list_posts),
    Route("blog", "GET", "/api/blog/posts/{slug}", one_post),
    Route("blog", "POST", "/api/blog/posts/{slug}/view", change_post, writes=True),
    Route("blog", "GET", "/api/files/{path:.*}", file),
    Route("chat", "GET", "/api/chats", list_chats),
    Route("chat", "GET", "/api/chats/{id}", one_chat),
    Route("chat", "GET", "/api/chats/{id}/messages", list_messages),
    Route("chat", "POST", "/api/chats/{id}/messages", post_message, writes=True),
)
