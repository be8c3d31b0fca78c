"""Changes are made by those who look at our pages, not by pages of others in the same browser. Pure."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import urlsplit

FIELD = "csrf"
"""The hidden field of forms, and in lower case the end of the header field `X-CSRF-Token`."""
HEADER = "X-CSRF-Token"


class Csrf:
    """Makes and checks the token of a session. `key` is made anew with each process; it keeps no list."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def token(self, session: str) -> str:
        """The token of `session`, which is empty where nobody has to sign in."""
        return hmac.new(self._key, session.encode(), hashlib.sha256).hexdigest()

    def fits(self, given: str, session: str) -> bool:
        """The time taken does not depend on what is given."""
        return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self.token(session).encode())


def from_here(headers: Mapping[str, str]) -> bool:
    """Whether a request can come from a page of this site, or from no browser at all.

    Browsers say where a POST comes from in `Origin`, newer ones also in `Sec-Fetch-Site`. The scheme is not compared:
    TLS may end before us. `null`, which is what a sandboxed frame or a file says, is another origin.
    """
    site = headers.get("Sec-Fetch-Site")
    if site is not None and site not in ("same-origin", "none"):
        return False
    origin = headers.get("Origin")
    if origin is None:
        return True
    try:
        parts, host = urlsplit(origin), urlsplit(f"//{headers.get('Host', '')}")
        default = {"http": 80, "https": 443}.get(parts.scheme)
        return (
            default is not None
            and parts.hostname is not None
            and parts.hostname == host.hostname
            and (parts.port or default) == (host.port or default)
        )
    except ValueError:
        return False
