"""How a verification read is asked for: the caller's request without what belongs to one connection or one cache."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from proxy.model import Headers, ReadRequest
from proxy.verify.exchange import Exchange
from proxy.verify.plan import MARK

# Conditions and ranges would make the answer partial (RFC 9110 sections 13 and 14); the others belong to one
# connection (section 7.6.1). Expect would only add a round trip.
_DROPPED = frozenset(
    {
        b"if-none-match", b"if-modified-since", b"if-match", b"if-unmodified-since", b"if-range", b"range",
        b"connection", b"keep-alive", b"proxy-connection", b"proxy-authorization", b"te", b"trailer",
        b"transfer-encoding", b"upgrade", b"expect", b"content-length", b"accept-encoding", MARK,
    }
)  # fmt: skip
_ADDED = ((b"Accept-Encoding", b"identity"), (b"X-Shadow-Read", b"1"))


def read_request(method: str, target: str, headers: Headers, body: bytes = b"") -> ReadRequest:
    """The marked, unconditional form of a client's request, with its credentials and its trace context.

    No content coding is asked for: compressing on one side and expanding on the other buys nothing on a short way.
    """
    dropped: AbstractSet[bytes] = _DROPPED
    kept: list[tuple[bytes, bytes]] = []
    for field in headers:
        name = field[0].lower()
        if name not in dropped:
            kept.append(field)
        elif name == b"connection":
            dropped = dropped | {token.strip().lower() for token in field[1].split(b",")}
    if len(dropped) > len(_DROPPED):
        kept = [field for field in kept if field[0].lower() not in dropped]
    return ReadRequest(method, target, (*kept, *_ADDED), body)


def request_of(exchange: Exchange) -> ReadRequest:
    """What the sides are asked; whole once the client's request is."""
    return read_request(exchange.method, exchange.target, exchange.headers, exchange.request)
