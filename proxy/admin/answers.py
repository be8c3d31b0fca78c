"""The two shapes of what the API answers: content, or what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web

from comparators.encode import dumps


def answer(content: Mapping[str, Any], status: HTTPStatus = HTTPStatus.OK) -> web.Response:
    return web.Response(body=encoded(content), status=status, content_type="application/json")


def problem(status: HTTPStatus, detail: str, headers: dict[str, str] | None = None) -> web.Response:
    """The one shape of an error (RFC 9457)."""
    content = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail}
    body = encoded(content)
    return web.Response(body=body, status=status, content_type="application/problem+json", headers=headers)


def encoded(content: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(content)
    except (orjson.JSONEncodeError, TypeError):
        # A backend's value: an integer past 64 bits, a decimal, half of a surrogate pair.
        return dumps(dict(content)).encode()
