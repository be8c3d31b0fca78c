"""Secrets that are known by their value, found again wherever they stand and however programs spell them."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from urllib.parse import quote, quote_plus, unquote

from comparators.encode import dumps
from proxy.verify.redact_names import is_id
from proxy.verify.redact_show import alike

Tag = Callable[[str], str]

SHORTEST = 8
"""Characters of a secret that is looked for: a shorter one would be found in the middle of many words."""
LONGEST = 8 * 1024
"""Of a longer one this much is looked for in other spellings than its own."""
REMEMBERED = 1024
"""Characters of a secret up to which its spellings are remembered."""
_STEM = re.compile(r"(?=[A-Za-z_-]*[0-9])(?=[0-9_-]*[A-Za-z])[A-Za-z0-9_-]{16}")
"""How a secret begins that is known by its beginning, where a message cuts it short: made by a machine, no address."""
_LONG = 24

_BASE64_RUN = re.compile(r"[A-Za-z0-9+/_=-]*+")
_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_=-")


@lru_cache(maxsize=512)
def _spellings(secret: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """How a text may bear `secret`: as it is or escaped, and within base64, where its neighbours share characters."""
    raw = secret.encode(errors="replace")
    percent = {quote(secret, safe="", errors="replace"), quote(secret, errors="replace"),
               quote_plus(secret, errors="replace")}  # fmt: skip
    plain = {secret, unquote(secret), html.escape(secret), raw.hex(), raw.hex().upper()}
    plain |= percent | {re.sub("%[0-9A-F]{2}", lambda code: code[0].lower(), text) for text in percent}
    plain |= {quote(text, safe="") for text in percent}
    # Within JSON that a string bears, and once more within that; some programs escape slashes, and all but ASCII.
    for _ in range(2):
        plain |= {text for one in (secret, *plain) for text in _escaped(one)}
    cores = set()
    for before in range(3):
        # Of `before` bytes in front, and of what follows, nothing is known: only whole sextets of the secret's own.
        code = base64.b64encode(b"\0" * before + raw).decode()
        core = code[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6]
        cores |= {core, core.replace("+", "-").replace("/", "_")}
    plain |= {secret.lower(), secret.upper()}
    words = tuple(sorted((text for text in plain if len(text) >= SHORTEST), key=lambda text: (-len(text), text)))
    return words, tuple(sorted(core for core in cores if len(core) >= SHORTEST))


def _escaped(text: str) -> set[str]:
    made = {dumps(text)[1:-1], json.dumps(text)[1:-1]}
    return made | {one.replace("/", "\\/") for one in made}


class Echoes:
    """What to look for. Made for one exchange; empty ones cost nothing.

    `secrets` are looked for in every spelling, what was `found` in the bodies, which may be much, only as it stood
    there.
    """

    def __init__(self, secrets: Iterable[str] = (), found: Iterable[str] = ()) -> None:
        words: dict[str, None] = {text: None for text in found if len(text) >= SHORTEST}
        cores: dict[str, None] = {}
        stems: dict[str, str] = {}
        for secret in dict.fromkeys(secrets):
            if len(secret) >= SHORTEST:
                # Long ones have sixty times as many characters of spellings each, so they are not remembered.
                spell = _spellings if len(secret) <= REMEMBERED else _spellings.__wrapped__
                plain, encoded = spell(secret[:LONGEST])
                words.update(dict.fromkeys((secret, *plain)))
                cores.update(dict.fromkeys(encoded))
                if len(secret) >= _LONG and not is_id(secret) and (stem := _STEM.match(secret)) is not None:
                    stems[stem[0]] = secret
                    if len(secret) > LONGEST:
                        words.pop(secret[:LONGEST])
        self._set(words, cores, stems)

    def _set(self, words: Iterable[str], cores: Iterable[str], stems: Mapping[str, str]) -> None:
        self._words = tuple(sorted(words, key=lambda text: (-len(text), text)))
        self._cores = tuple(cores)
        self._stems = dict(stems)

    def __bool__(self) -> bool:
        return bool(self._words or self._cores or self._stems)

    def within(self, text: str) -> Echoes:
        """Those that occur in `text`, where strings of JSON may stand: a few, so that looking again is cheap."""
        found = Echoes()
        found._set(
            [word for word in self._words if word in text or ("\\" in (inner := dumps(word)[1:-1]) and inner in text)],
            [core for core in self._cores if core in text],
            {stem: secret for stem, secret in self._stems.items() if stem in text},
        )
        return found

    def hide(self, text: str, tag: Tag) -> str:
        """`text` with each of them replaced by the tag of its own spelling: other spellings stay visibly other."""
        for core in self._cores:
            if core in text:
                text = _without(text, core, tag)
        for word in self._words:
            if word in text:
                text = text.replace(word, tag(word))
        for stem, secret in self._stems.items():
            if stem in text:
                text = _without_beginning(text, stem, secret, tag)
        return text


def _without_beginning(text: str, stem: str, secret: str, tag: Tag) -> str:
    """`text` without as much of the secret as stands in it from its beginning on."""
    parts: list[str] = []
    at = 0
    while (begin := text.find(stem, at)) >= 0:
        size = alike(text[begin : begin + len(secret)], secret)
        parts += [text[at:begin], tag(text[begin : begin + size])]
        at = begin + size
    return "".join([*parts, text[at:]])


def _without(text: str, core: str, tag: Tag) -> str:
    """`text` with the whole runs of base64 hidden in which `core` stands."""
    parts: list[str] = []
    at = begin = 0
    while (begin := text.find(core, begin)) >= 0:
        start = begin
        while start > at and text[start - 1] in _BASE64:
            start -= 1
        end = _BASE64_RUN.match(text, begin).end()  # type: ignore[union-attr]  # matches always
        parts += [text[at:start], tag(text[start:end])]
        at = begin = end
    return "".join([*parts, text[at:]])
