"""Answers the edge gives by itself, as RFC 9457 problem documents. They name no host and no address."""

from __future__ import annotations

import json
from http import HTTPStatus

UPSTREAM_DETAILS = {
    "refused": "The primary cannot be reached.",
    "dns": "The primary's name cannot be resolved.",
    "tls": "No secure connection to the primary.",
    "timeout": "The primary did not answer in time.",
    "reset": "The primary closed the connection before it answered.",
    "protocol": "The primary's answer was not understood.",
    "no_backend": "No route claims this request, and there is no backend to ask.",
}


def problem(status: int, detail: str, *, close: bool, head_only: bool = False) -> bytes:
    """A whole response, ready for the wire. `head_only` for the answer to a HEAD."""
    title = HTTPStatus(status).phrase
    body = json.dumps({"type": "about:blank", "title": title, "status": status, "detail": detail}).encode()
    head = (
        f"HTTP/1.1 {status} {title}\r\nContent-Type: application/problem+json\r\nContent-Length: {len(body)}\r\n"
        f"Cache-Control: no-store\r\n{'Connection: close' + chr(13) + chr(10) if close else ''}\r\n"
    ).encode("ascii")
    return head if head_only else head + body
