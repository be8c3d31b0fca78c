"""Answers as Express gives them: JSON envelopes, weak ETags, 304, gzip, and the same errors on both sides."""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

from proxy.demo.marketplace.codec import json_default

GZIP_FROM_BYTES = 1024
MAX_BODY_BYTES = 64 * 1024
MAX_LIMIT = 100
# One store keeps NUL in a text and the other refuses it: neither is to meet one.
NUL_IN_JSON = b"\\u0000"


class ProblemError(Exception):
    """An answer that is an error: status, a code for machines, a message for people. Never names an id."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.payload = {"success": False, "error": {"code": code, "message": message}}


def not_found(what: str) -> ProblemError:
    return ProblemError(404, "NOT_FOUND", f"{what.replace('_', ' ').capitalize()} not found")


def bad_request(code: str, message: str) -> ProblemError:
    return ProblemError(400, code, message)


@dataclass(frozen=True, slots=True)
class Reply:
    """What a handler answers: a JSON payload, or bytes with their content type."""

    payload: Any
    status: int = 200
    content_type: str = "application/json; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


def detail(data: Any, status: int = 200, **headers: str) -> Reply:
    return Reply({"success": True, "data": data}, status, headers=headers)


@dataclass(frozen=True, slots=True)
class Page:
    number: int
    limit: int

    @property
    def offset(self) -> int:
        return (self.number - 1) * self.limit

    def reply(self, items: list[Any], total: int) -> Reply:
        pagination = {
            "page": self.number,
            "limit": self.limit,
            "total": total,
            "pages": -(-total // self.limit),
        }
        return Reply({"success": True, "data": items, "pagination": pagination})


def page_of(query: Mapping[str, str], default: int = 20) -> Page:
    """`page` and `limit` of a query; ProblemError 400 when one is not a number in range."""
    return Page(_number(query, "page", 1, 10_000), _number(query, "limit", default, MAX_LIMIT))


def _number(query: Mapping[str, str], name: str, default: int, maximum: int) -> int:
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= maximum):
        raise bad_request("INVALID_QUERY", f"{name} must be a number from 1 to {maximum}")
    return int(text)


def etag_of(body: bytes) -> str:
    """A weak ETag as the `etag` package of Express makes it: length in hex, then 27 characters of SHA-1."""
    digest = base64.b64encode(hashlib.sha1(body, usedforsecurity=False).digest())[:27].decode()
    return f'W/"{len(body):x}-{digest}"'


def is_fresh(if_none_match: str | None, etag: str) -> bool:
    """Weak comparison of RFC 9110, section 13.1.2."""
    if if_none_match is None:
        return False
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in tags or etag.removeprefix("W/") in tags


def respond(request: web.Request, reply: Reply) -> web.Response:
    """The response to a request, conditional and compressed where the request asks for it."""
    json = not isinstance(reply.payload, bytes)
    body = orjson.dumps(reply.payload, json_default, orjson.OPT_PASSTHROUGH_DATETIME) if json else reply.payload
    headers = {"X-Powered-By": "Express", "Vary": "Accept-Encoding", **reply.headers}
    if request.method in ("GET", "HEAD") and reply.status == 200:
        headers["ETag"] = etag_of(body)
        if is_fresh(request.headers.get("If-None-Match"), headers["ETag"]):
            return web.Response(status=304, headers=headers)
    headers["Content-Type"] = reply.content_type
    if json and len(body) >= GZIP_FROM_BYTES and "gzip" in request.headers.get("Accept-Encoding", ""):
        body = gzip.compress(body, compresslevel=1, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return web.Response(status=reply.status, headers=headers, body=body)


async def json_body(request: web.Request) -> dict[str, Any]:
    """The request's JSON object; ProblemError 400 when it is none, 413 when it is too large."""
    raw = await request.content.read(MAX_BODY_BYTES + 1)
    while raw and not request.content.at_eof() and len(raw) <= MAX_BODY_BYTES:
        raw += await request.content.read(MAX_BODY_BYTES + 1 - len(raw))
    if len(raw) > MAX_BODY_BYTES:
        raise ProblemError(413, "TOO_LARGE", "The body is too large")
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict) or NUL_IN_JSON in raw:
        raise bad_request("INVALID_BODY", "The body must be a JSON object without NUL characters")
    return value
