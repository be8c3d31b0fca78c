"""Who may ask the admin port, and the header fields that every answer of it bears."""

from __future__ import annotations

import hmac
import ipaddress
from types import MappingProxyType
from urllib.parse import urlsplit

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""What a page may do: what is shipped with it, and nothing that stands in it."""
DATA_POLICY = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""What anything else may do that a browser is made to show."""
SECURITY_FIELDS = MappingProxyType(
    {
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
        # Not `no-referrer`: with that browsers send `Origin: null` along with our own forms.
        "Referrer-Policy": "same-origin",
        "Server": "shadowread",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
)


def authorized(field: str | None, token: str) -> bool:
    """Whether an `Authorization` field bears the token (RFC 6750). True when no token is set."""
    if not token:
        return True
    scheme, _, given = (field or "").partition(" ")
    return scheme.lower() == "bearer" and same(given.strip(), token)


def same(given: str, token: str) -> bool:
    """Whether a token is the right one; the time taken does not depend on its content."""
    # Bytes, since compare_digest refuses text that is not ASCII.
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), token.encode())


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
