"""Forwarded (RFC 7239) and X-Forwarded-* fields, by setting. Pure."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from proxy.model import Headers

ForwardedSetting = Literal["off", "append", "replace"]
"""off: the fields pass as they came. append: this hop is added behind what the client said (use it behind
a trusted proxy). replace: what the client said is dropped and only this hop told (use it at the border)."""

LONGEST_HOST = 255
"""Bytes of a Host (the longest name in DNS) with which what is added is remembered."""
_FIELDS = frozenset({b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"})


def with_forwarded(headers: Headers, setting: ForwardedSetting, peer: str, proto: bytes = b"http") -> Headers:
    """`headers` for the primary; `peer` is the client's address, `proto` the scheme it used.

    In append mode X-Forwarded-Host and X-Forwarded-Proto keep what an earlier hop said.
    """
    if setting == "off":
        return headers
    host = b""
    earlier: dict[bytes, list[bytes]] = {}
    kept = []
    for field in headers:
        name = field[0].lower()
        if name == b"host":
            host = field[1]
        if name in _FIELDS:
            earlier.setdefault(name, []).append(field[1])
        else:
            kept.append(field)
    if not earlier and len(host) <= LONGEST_HOST:
        return (*kept, *_this_hop(peer, host, proto))
    address, element = _hop(peer, host, proto)
    if setting == "replace":
        earlier = {}
    return (
        *kept,
        (b"Forwarded", b", ".join([*earlier.get(b"forwarded", ()), element])),
        (b"X-Forwarded-For", b", ".join([*earlier.get(b"x-forwarded-for", ()), address])),
        (b"X-Forwarded-Host", earlier.get(b"x-forwarded-host", [host])[0]),
        (b"X-Forwarded-Proto", earlier.get(b"x-forwarded-proto", [proto])[0]),
    )


@lru_cache(maxsize=1024)
def _this_hop(peer: str, host: bytes, proto: bytes) -> Headers:
    """What is added where nobody said anything before. Clients come again, and with the same Host."""
    address, element = _hop(peer, host, proto)
    return (
        (b"Forwarded", element),
        (b"X-Forwarded-For", address),
        (b"X-Forwarded-Host", host),
        (b"X-Forwarded-Proto", proto),
    )


def _hop(peer: str, host: bytes, proto: bytes) -> tuple[bytes, bytes]:
    """The client's address, and what Forwarded says of this hop."""
    address = peer.partition("%")[0].encode("ascii", "replace")
    node = b'"[%b]"' % address if b":" in address else address or b"unknown"
    return address or b"unknown", b'for=%b;host="%b";proto=%b' % (node, host.replace(b'"', b""), proto)
