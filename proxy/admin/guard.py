"""Who may ask the admin port, and the header fields that every answer of it bears."""

from __future__ import annotations

import hmac
import ipaddress
from urllib.parse import urlsplit

SECURITY_FIELDS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "shadowread",
    "X-Content-Type-Options": "nosniff",
}


def authorized(field: str | None, token: str) -> bool:
    """Whether an `Authorization` field bears the token (RFC 6750). True when no token is set."""
    if not token:
        return True
    scheme, _, given = (field or "").partition(" ")
    # Bytes, since compare_digest refuses text that is not ASCII; the time taken does not depend on the content.
    same = hmac.compare_digest(given.strip().encode("utf-8", "surrogateescape"), token.encode())
    return scheme.lower() == "bearer" and same


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine only."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def host_allowed(field: str | None, bound_to: str) -> bool:
    """Whether a `Host` field may be served.

    A page of the web can point its own name at 127.0.0.1 and so read what listens there with the user's browser
    (DNS rebinding); but it cannot make the browser send another Host than its own name.
    """
    if not is_loopback(bound_to):
        return True
    try:
        name = urlsplit(f"//{field or ''}").hostname
    except ValueError:
        return False
    return name is not None and is_loopback(name)
