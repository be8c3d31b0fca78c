"""Unique secrets, and the search for them in whatever a proxy leaves behind, in the spellings that programs use."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Iterable, Mapping
from urllib.parse import quote, quote_plus

SHORTEST = 10


class Planted:
    """Makes secrets, one for each place, and finds them again."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {}

    def __call__(self, place: str, *, odd: bool = False) -> str:
        """The secret of `place`; an odd one has characters that every format spells in its own way."""
        made = base64.b32encode(hashlib.sha256(place.encode()).digest()).decode()[:20].lower() + "7q"
        self.secrets[place] = f'{made[:8]}/+ ="\\&é{made[8:]}' if odd else made
        return self.secrets[place]

    def within(self, name: str, text: bytes) -> list[str]:
        """Which secrets stand in `text`, each with the spelling that was found."""
        return [
            f"{place} as {spelling} in {name}: ...{_around(text, code)!r}..."
            for place, secret in self.secrets.items()
            for spelling, code in spellings(secret)
            if code in text
        ]

    def anywhere(self, texts: Mapping[str, bytes]) -> list[str]:
        found: dict[str, list[str]] = {}
        for name, text in texts.items():
            for line in self.within(name, text):
                found.setdefault(line.partition(" as ")[0], []).append(line)
        return [f"{lines[0]} and {len(lines) - 1} more" for lines in found.values()]

    def missing(self, texts: Iterable[bytes]) -> list[str]:
        """Which secrets stand in none of `texts`: these were not planted at all."""
        whole = b"\n".join(texts)
        return [
            place for place, secret in self.secrets.items() if not any(code in whole for _, code in spellings(secret))
        ]


def spellings(secret: str) -> list[tuple[str, bytes]]:
    """The ways in which `secret` may stand in bytes, with their names."""
    raw = secret.encode()
    texts = {
        "text": secret,
        "percent": quote(secret, safe=""),
        "lower percent": quote(secret, safe="").replace("%2F", "%2f").replace("%3D", "%3d").replace("%2B", "%2b"),
        "path": quote(secret),
        "plus": quote_plus(secret),
        "percent twice": quote(quote(secret, safe=""), safe=""),
        "JSON": json.dumps(secret)[1:-1],
        "JSON, not only ASCII": json.dumps(secret, ensure_ascii=False)[1:-1],
        "JSON in JSON": json.dumps(json.dumps(secret)[1:-1])[1:-1],
        "HTML": html.escape(secret),
        "hex": raw.hex(),
        "HEX": raw.hex().upper(),
    }
    found = [(name, text.encode()) for name, text in texts.items()]
    found.append(("latin-1", secret.encode("latin-1", "replace")))
    for before in range(3):
        code = base64.b64encode(b"\0" * before + raw)
        core = code[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]
        found += [
            (f"base64 at {before}", core),
            (f"base64url at {before}", core.translate(bytes.maketrans(b"+/", b"-_"))),
        ]
    return [(name, code) for name, code in found if len(code) >= SHORTEST]


def _around(text: bytes, code: bytes) -> bytes:
    at = text.index(code)
    return text[max(0, at - 60) : at + len(code) + 20]
