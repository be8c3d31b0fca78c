"""Forwarded (RFC 7239) and X-Forwarded-* fields, by setting. Pure."""

from __future__ import annotations

from typing import Literal

from proxy.model import Headers

ForwardedSetting = Literal["off", "append", "replace"]
"""off: the fields pass as they came. append: this hop is added behind what the client said (use it behind
a trusted proxy). replace: what the client said is dropped and only this hop told (use it at the border)."""

_FIELDS = frozenset({b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"})


def with_forwarded(headers: Headers, setting: ForwardedSetting, peer: str, proto: bytes = b"http") -> Headers:
    """`headers` for the primary; `peer` is the client's address, `proto` the scheme it used.

    In append mode X-Forwarded-Host and X-Forwarded-Proto keep what an earlier hop said.
    """
    if setting == "off":
        return headers
    address = peer.partition("%")[0].encode("ascii", "replace")
    node = b'"[%b]"' % address if b":" in address else address or b"unknown"
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
    if setting == "replace":
        earlier = {}
    element = b'for=%b;host="%b";proto=%b' % (node, host.replace(b'"', b""), proto)
    return (
        *kept,
        (b"Forwarded", b", ".join([*earlier.get(b"forwarded", ()), element])),
        (b"X-Forwarded-For", b", ".join([*earlier.get(b"x-forwarded-for", ()), address or b"unknown"])),
        (b"X-Forwarded-Host", earlier.get(b"x-forwarded-host", [host])[0]),
        (b"X-Forwarded-Proto", earlier.get(b"x-forwarded-proto", [proto])[0]),
    )
