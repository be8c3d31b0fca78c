"""Several requests on one connection: early, pipelined, behind an upgrade, behind what was to be the last."""

from __future__ import annotations

from tests.edge.hostile.shapes import SMUGGLED, Shape, get, post, refused, served

_ABC = post(b"Content-Length: 3", body=b"abc")
_WEBSOCKET = (b"Connection: Upgrade", b"Upgrade: websocket")
_OLD = b"GET /%b HTTP/1.0\r\nHost: a\r\n%b\r\n"
"""A request by HTTP/1.0 as it is sent."""


def _last(sent: bytes, seen: bytes, behind: bytes) -> Shape:
    """A request that its client called the last one, and bytes behind it that are never looked at."""
    return Shape(sent + behind, (200,), (seen,), at_once=400)


SEQUENCES: dict[str, Shape] = {
    "pipelined": served(get() * 40, *[get()] * 40),
    "pipelined with bodies": served(_ABC + get() + _ABC, _ABC, get(), _ABC),
    "pipelined HEADs": served(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" * 2, *[b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"] * 2),
    "pipelined before garbage": Shape(get() + b"garbage\r\n\r\n", (200, 400), (get(),)),
    "pipelined before a refused one": Shape(get() + get(b"Host: b"), (200, 400), (get(),)),
    "pipelined before CL.TE": Shape(
        get() + post(b"Content-Length: 4", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"), (200, 400), (get(),)
    ),
    "blank lines between requests": served(get() + b"\r\n\r\n" + get(), get(), get()),
    "behind the last request": _last(get(b"Connection: close"), get(), SMUGGLED),
    "behind the last request with a body": _last(
        post(b"Connection: close", b"Content-Length: 3", body=b"abc"), _ABC, SMUGGLED
    ),
    "garbage behind the last request": _last(get(b"Connection: close"), get(), b"\0\0\0\0"),
    "a line break behind the last request": served(get(b"Connection: close") + b"\r\n", get(), kept=False),
    "behind a refused request": refused(get(b"X : y") + SMUGGLED),
    "behind a request by HTTP/0.9": refused(b"GET /\r\n" + SMUGGLED),
    "HTTP/1.0": served(_OLD % (b"", b""), get(), kept=False),
    "HTTP/1.0 with a request behind": _last(_OLD % (b"", b""), get(), SMUGGLED),
    "HTTP/1.0 that stays": served(_OLD % (b"", b"Connection: keep-alive\r\n"), get()),
    "HTTP/1.0 with an upgrade": served(
        _OLD % (b"", b"Connection: Upgrade\r\nUpgrade: websocket\r\n"), get(), kept=False
    ),
    "HTTP/1.0 with a length": served(b"POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", _ABC, kept=False),
    "upgrade declined": served(get(*_WEBSOCKET)),
    "early bytes behind an upgrade declined": served(get(*_WEBSOCKET) + get(), get(*_WEBSOCKET), get()),
    "early garbage behind an upgrade declined": Shape(
        get(*_WEBSOCKET) + b"\x81\x05hello\r\n\r\n", (200, 400), (get(*_WEBSOCKET),)
    ),
    "upgrade of an unknown protocol declined": served(get(b"Connection: Upgrade", b"Upgrade: odd/1"), kept=False),
    "early bytes behind an unknown upgrade declined": served(
        get(b"Connection: Upgrade", b"Upgrade: odd/1") + SMUGGLED,
        get(b"Connection: Upgrade", b"Upgrade: odd/1"),
        kept=False,
    ),
    "upgrade to HTTP/2 declined": served(
        get(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__")
        + b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        get(b"Connection: Upgrade", b"Upgrade: h2c"),
        kept=False,
    ),
    "upgrade without Connection": served(get(b"Upgrade: websocket"), get()),
    "Connection: upgrade without Upgrade": served(get(b"Connection: upgrade"), get()),
    "upgrade with a body": served(post(*_WEBSOCKET, b"Content-Length: %d" % len(SMUGGLED), body=SMUGGLED)),
    "Expect with its body at once": served(post(b"Expect: 100-continue", b"Content-Length: 3", body=b"abc")),
    "Expect without a body": served(get(b"Expect: 100-continue")),
    "Expect of something else": served(post(b"Expect: a-miracle", b"Content-Length: 3", body=b"abc")),
    "Expect with a request for a body": served(
        post(b"Expect: 100-continue", b"Content-Length: %d" % len(SMUGGLED), body=SMUGGLED)
    ),
}
