"""Which header fields go on to the other side, and which requests are refused. Pure.

Hop-by-hop fields end here (RFC 9110 7.6.1): Connection and what it names, Keep-Alive, Proxy-Connection,
Proxy-Authenticate, Proxy-Authorization, Transfer-Encoding, Upgrade outside upgrades, and TE except for
`trailers`. Trailer is dropped from requests because the server's parser does not keep request trailers.
Everything else keeps its order and spelling.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from proxy.model import Headers

_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"transfer-encoding",
        b"upgrade",
    }
)
_LOOKALIKE = frozenset({b"content_length", b"transfer_encoding"})
"""Names that servers with CGI in their family tree take for the ones with a hyphen."""
_REQUEST_SPECIAL = _HOP | _LOOKALIKE | {b"te", b"trailer", b"host", b"content-length"}
_MAX_LENGTH_DIGITS = 18
_NOT_HTTP = frozenset(
    {
        "SOURCE",
        "DESCRIBE",
        "ANNOUNCE",
        "SETUP",
        "PLAY",
        "PAUSE",
        "TEARDOWN",
        "GET_PARAMETER",
        "SET_PARAMETER",
        "REDIRECT",
        "RECORD",
        "FLUSH",
    }
)
"""Methods of ICE and RTSP, which the server's parser speaks too, without a word about it."""
_ORDINARY = frozenset({b"keep-alive", b"close", b"upgrade", b""})
_NOT_IN_TRAILERS = _HOP | {
    b"content-length",
    b"host",
    b"trailer",
    b"te",
    b"content-encoding",
    b"content-type",
}
_HOST = re.compile(rb"[^\x00-\x20\x7f,/@\\?#]*")
_ABSOLUTE = re.compile(r"https?://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)


class RefusedError(Exception):
    """A request that is not sent on: `status` to answer with and why."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


@dataclass(slots=True)
class Admitted:
    """A request as it goes on to the primary. `upgrade` is the lower-case value of Upgrade, None outside one."""

    target: str
    headers: Headers
    chunked: bool
    upgrade: bytes | None


def admit(method: str, target: str, version: tuple[int, int], raw: Headers, *, upgrade: bool) -> Admitted:
    """Judge and filter one request; raises RefusedError.

    The server's own parser has refused most malformed shapes before. Left for here: protocol versions it
    takes by mistake, CONNECT, codings other than chunked, chunked in HTTP/1.0, lists in Host, lengths that overflow
    elsewhere, framing fields spelled with an underscore. A target in absolute form is brought to origin form (for
    OPTIONS to `*` where it has no path, RFC 9112 3.2.4) and its authority replaces Host (RFC 9112 3.2.2).
    """
    if version != (1, 1) and version != (1, 0):
        raise RefusedError(505, "only HTTP/1.0 and HTTP/1.1 are spoken here")
    if method in _NOT_HTTP:
        raise RefusedError(505, "neither RTSP nor ICE is spoken here")
    # HTTP/1.0 knows no Upgrade (RFC 9110 7.8).
    upgrade = upgrade and version == (1, 1)
    if method == "CONNECT":
        raise RefusedError(501, "CONNECT is not served: this is a reverse proxy")
    authority = None
    if target[0] != "/" and target != "*":
        target, authority = _origin_form(method, target)
    fields = []
    named: set[bytes] = set()
    chunked = False
    protocol = None
    for field in raw:
        name = field[0].lower()
        if name not in _REQUEST_SPECIAL:
            fields.append(field)
        elif name == b"host":
            value = authority if authority is not None else field[1]
            if not _HOST.fullmatch(value):
                raise RefusedError(400, "the Host field is not one host")
            fields.append(field if authority is None else (field[0], value))
        elif name == b"content-length":
            if len(field[1]) > _MAX_LENGTH_DIGITS:
                raise RefusedError(400, "the Content-Length is longer than any number of bytes")
            # Noughts in front are an octal number to some.
            fields.append(field if field[1][:1] != b"0" else (field[0], b"%d" % int(field[1])))
        elif name in _LOOKALIKE:
            raise RefusedError(400, "a field that frames the body is spelled with an underscore")
        elif name == b"connection":
            tokens = {token.strip(b" \t").lower() for token in field[1].split(b",")}
            if upgrade and b"upgrade" in tokens:
                fields.append((field[0], field[1] if len(tokens) == 1 else b"Upgrade"))
            if not tokens <= _ORDINARY:
                named |= tokens - _ORDINARY
        elif name == b"transfer-encoding":
            if field[1].lower() != b"chunked" or version == (1, 0):
                raise RefusedError(400, "the only transfer coding taken is chunked, in HTTP/1.1")
            chunked = True
            fields.append(field)
        elif name == b"upgrade":
            if upgrade:
                protocol = field[1].lower()
                fields.append(field)
        elif name == b"te" and b"trailers" in {part.strip(b" \t").lower() for part in field[1].split(b",")}:
            fields.append((field[0], b"trailers"))
    if named:
        # Connection cannot name away what frames the message or says whom it is for.
        named -= {b"host", b"content-length", b"transfer-encoding", b"connection"}
        fields = [field for field in fields if field[0].lower() not in named]
    return Admitted(target, tuple(fields), chunked, protocol)


def _origin_form(method: str, target: str) -> tuple[str, bytes]:
    match = _ABSOLUTE.fullmatch(target)
    if match is None or not match[1]:
        raise RefusedError(400, "the request target is neither a path nor an http URL")
    rest = match[2] or ("*" if method == "OPTIONS" else "/")
    return rest if rest[0] in "/*" else "/" + rest, match[1].encode("utf-8", "surrogateescape")


def response_lines(headers: Headers, *, status: int, chunked: bool, no_body: bool) -> list[bytes]:
    """The end-to-end fields of a response, one line each, with Transfer-Encoding where the body is re-chunked."""
    lines = []
    named: set[bytes] = set()
    for name, value in headers:
        low = name.lower()
        if low in _HOP:
            if low == b"connection":
                named |= {token.strip(b" \t").lower() for token in value.split(b",")} - _ORDINARY
                if status == 101:
                    lines.append(name + b": " + value)
            elif (low == b"transfer-encoding" and (chunked or (no_body and status != 204))) or (
                low == b"upgrade" and status in (101, 426)
            ):
                lines.append(name + b": " + value)
            continue
        lines.append(name + b": " + value)
    if named:
        named -= {b"content-length", b"connection", b"transfer-encoding"}
        lines = [line for line in lines if line.partition(b":")[0].lower() not in named]
    return lines


def trailer_lines(trailers: Headers) -> bytes:
    """The trailer section of a chunked body without fields that may not stand there (RFC 9110 6.5.1)."""
    return b"".join(b"%b: %b\r\n" % (name, value) for name, value in trailers if name.lower() not in _NOT_IN_TRAILERS)
