"""What stays open: the chat socket and the stream of notifications."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from aiohttp import WSMsgType, web

from proxy.demo.marketplace.catalog import entity_of
from proxy.demo.marketplace.codec import json_default
from proxy.demo.marketplace.http import ProblemError
from proxy.demo.marketplace.market import Call
from proxy.demo.marketplace.routes_talk import own_chat, say

HEARTBEAT_SECONDS = 15.0
MAX_FRAME_BYTES = 16 * 1024


def _dump(value: Any) -> bytes:
    return orjson.dumps(value, json_default, orjson.OPT_PASSTHROUGH_DATETIME)


async def chat_socket(call: Call) -> web.StreamResponse:
    """Frames in: `{"text"}`. Frames out: `{"event": "message"|"error", ...}` to everybody in the chat."""
    user_id = await call.user_id()
    chat = await own_chat(call)
    socket = web.WebSocketResponse(heartbeat=HEARTBEAT_SECONDS, max_msg_size=MAX_FRAME_BYTES)
    await socket.prepare(call.request)
    with call.market.hub.listen(f"chat:{chat['id']}") as events:
        async with asyncio.TaskGroup() as group:
            sender = group.create_task(_send(socket, events))
            async for frame in socket:
                if frame.type is not WSMsgType.TEXT:
                    break
                await _heard(call, socket, user_id, frame.data)
            sender.cancel()
    return socket


async def _send(socket: web.WebSocketResponse, events: asyncio.Queue[Any]) -> None:
    while not socket.closed:
        message = await events.get()
        try:
            await socket.send_str(_dump({"event": "message", "data": message}).decode())
        except ConnectionError:
            return


async def _heard(call: Call, socket: web.WebSocketResponse, user_id: str, data: str) -> None:
    try:
        frame = orjson.loads(data)
        text = frame.get("text") if isinstance(frame, dict) else None
        async with call.market.writing:
            await say(call, user_id, text)
    except orjson.JSONDecodeError:
        await socket.send_str('{"event":"error","message":"A frame must be JSON"}')
    except ProblemError as problem:
        await socket.send_str(_dump({"event": "error", "message": str(problem)}).decode())


async def notification_stream(call: Call) -> web.StreamResponse:
    """Server-sent events: one `notification` for each that the caller gets, a comment now and then."""
    user_id = await call.user_id()
    headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
    response = web.StreamResponse(headers=headers)
    await response.prepare(call.request)
    await response.write(b": connected\n\n")
    entity = entity_of("notification")
    with call.market.hub.listen(f"user:{user_id}") as events:
        while True:
            try:
                item = await asyncio.wait_for(events.get(), HEARTBEAT_SECONDS)
                event = b"event: " + entity.name.encode() + b"\ndata: " + _dump(item) + b"\n\n"
            except TimeoutError:
                event = b": still here\n\n"
            try:
                await response.write(event)
            except ConnectionError:
                return response
