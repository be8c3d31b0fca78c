"""Claims of a caller's token, as the parameters of direct reads use them."""

from __future__ import annotations

import base64
import binascii
from decimal import Decimal
from typing import Any

from comparators.decode import decode

MAX_TOKEN = 16_384
_PARTS = 3


def claim(authorization: str | None, name: str) -> list[str]:
    """The claim called `name` of a bearer JWT (RFC 7519), as texts; none when there is no such token or claim.

    The signature is not verified: the backend, which has the key, decides whether the caller may read, and a shadow
    read only ever repeats a request that the backend answers too. `user.id` means member `id` of claim `user` where no
    claim has that very name. What is no text, number, boolean or list of such gives none.
    """
    claims = _claims(authorization)
    if name not in claims and "." in name:
        *above, name = name.split(".")
        for step in above:
            claims = claims.get(step)
            if not isinstance(claims, dict):
                return []
    value = claims.get(name)
    texts = [_text(each) for each in (value if isinstance(value, list) else [value])]
    return [text for text in texts if text is not None]


def _claims(authorization: str | None) -> Any:
    kind, _, token = (authorization or "").strip().partition(" ")
    parts = token.strip().split(".")
    if kind.lower() != "bearer" or len(parts) != _PARTS or len(token) > MAX_TOKEN:
        return {}
    try:
        claims = decode(base64.b64decode(parts[1] + "=" * (-len(parts[1]) % 4), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | Decimal) else None
