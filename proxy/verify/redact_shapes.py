"""Secrets that are known by their shape, anywhere in a text: signed tokens, private keys, passwords in addresses.

Each of these takes time that is linear in the length of the text, whatever stands in it.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from urllib.parse import unquote

from proxy.verify.redact_names import CHOSEN, NONE, is_plain, secrecy_of

Tag = Callable[[str], str]
"""What stands for a hidden text."""

HIDDEN = "[redacted "
"""How a tag begins."""

_LOOSE = 3
"""How often a text may be percent-encoded and still be looked into."""
_RUN = re.compile(r"[A-Za-z0-9+/_-]*+")
_SIGNED = re.compile(r"[\w-]{10,}+(?:\.[\w-]*+){2,4}", re.ASCII)
_BASE64 = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-")
_BEGIN_KEY = re.compile(r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_AUTHORITY = re.compile(r"[^\s/?#\"'<>\\]{0,1024}+")
_OVERLAP = 1024
_TO_THE_END = re.compile(r"[^\s\"'<>\\]{0,2048}+")
_STORES = ("postgres", "postgresql", "mongodb", "mongodb+srv", "mysql", "redis", "rediss", "amqp", "amqps")
_PARAMETER = re.compile(
    r"(?:^|(?<=[?&;#\s\"'`,{(\[<>|\\/]))([\w.\[\]%-]{1,80}+)"
    r"(\\{0,2}(?:[\"']|&quot;)?(?: ?=>? ?| ?: | ?:(?=[\"'\\&]))\\{0,2}(?:[\"']|&quot;)?)",
    re.ASCII,
)
_VALUE = re.compile(
    r"(?<=\\[\"'])[^\"'\\]++|(?<=\")(?:[^\"\\]++|\\.)++|(?<=')(?:[^'\\]++|\\.)++|[^\s&;#\"'<>,\\]++", re.DOTALL
)
_LINE = re.compile(r"[^\r\n\"'<>\\]++")
_SCHEME = re.compile(r"\b(bearer|basic|token|apikey|negotiate) {1,4}([A-Za-z0-9._~+/=-]{8,}+)", re.IGNORECASE)
_XML = re.compile(r"<([\w.:-]{1,80}+)(?:\s[^<>]{0,300}+)?>(?:<!\[CDATA\[)?([^<>]{1,4096}+)(?=<\\?/|>)", re.ASCII)
_PART = re.compile(
    r"orm-data; name=\"?([\w.\[\]-]{1,80}+)[^\r\n]{0,300}+(?:\r?\n[^\r\n]{1,300}+){0,4}(?:\r?\n){2}([^\r\n]++)",
    re.ASCII,
)
_VENDOR = re.compile(
    r"(?<![A-Za-z0-9])(?:[spr]k_(?:live|test)_[A-Za-z0-9]{8,}+|gh[pousr]_[A-Za-z0-9]{20,}+|github_pat_\w{20,}+"
    r"|glpat-[\w-]{16,}+|xox[abeprs]-[\w-]{8,}+|(?:AKIA|ASIA)[A-Z0-9]{12,}+|AIza[\w-]{20,}+|whsec_\w{8,}+"
    r"|SG\.[\w-]{16,}+|ya29\.[\w-]{16,}+|npm_[A-Za-z0-9]{20,}+|hooks\.slack\.com/services/[\w/]{16,}+)",
    re.ASCII,
)
_VENDORS = ("_live_", "_test_", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "xox", "AKIA", "ASIA",
            "AIza", "whsec_", "SG.", "ya29.", "npm_", "hooks.slack")  # fmt: skip
_SPARK = re.compile(
    r"[=%@]|: |:[\"'\\]|</|e[yw][A-Za-z0-9]|W[3yw1]|_live_|_test_|gh[oprsu]_|github_|glpat-|xox|AKIA|ASIA|AIza|whsec_"
    r"|SG\.|ya29\.|npm_|hooks\.slack|-----B|[Bb]earer |[Bb]asic |[Tt]oken |[Aa]pi[Kk]ey |[Nn]egotiate |[A-Z] |:&"
)
"""Stands in every text that bears anything of the kind: the way out for nearly all others."""
_OPENINGS = ("ey", "ew", "W3", "Wy", "Ww", "W1")
"""How JSON objects and lists begin in base64."""
_PARTS = re.compile(r"([\s\"'<>&;,]+)")


def hide_shapes(text: str, tag: Tag, json_bears: Callable[[bytes], bool], loose: int = _LOOSE) -> str:
    """`text` with what is secret by its shape replaced by tags.

    `json_bears` says whether a JSON text that was found in base64 bears a secret.
    """
    if _SPARK.search(text) is None:
        return text
    if "-----BEGIN " in text:
        text = _keys(text, tag)
    if "eyJ" in text:
        text = _tokens(text, tag)
    if "@" in text and "://" in text:
        text = _addresses(text, tag)
    if any(mark in text for mark in _VENDORS):
        text = _VENDOR.sub(lambda found: tag(found[0]), text)
    if " " in text:
        text = _SCHEME.sub(lambda found: _scheme(found, tag), text)
    if "=" in text or ": " in text or ':"' in text or ":\\" in text or ":'" in text or ":&" in text:
        text = _parameters(text, tag)
    if "</" in text or "<\\/" in text or "<![CDATA[" in text:
        text = _XML.sub(lambda found: _between(found, tag), text)
    if "orm-data; name" in text:
        text = _PART.sub(lambda found: _between(found, tag), text)
    text = _encoded(text, tag, json_bears)
    if loose and "%" in text:
        text = _percent(text, tag, json_bears, loose)
    return text


def _keys(text: str, tag: Tag) -> str:
    parts: list[str] = []
    at = 0
    while (found := _BEGIN_KEY.search(text, at)) is not None:
        end = text.find("-----END ", found.end())
        close = text.find("-----", end + len("-----END ")) if end >= 0 else -1
        # A key whose end was cut off reaches to the end of the text.
        until = close + len("-----") if close >= 0 else len(text)
        parts += [text[at : found.start()], tag(text[found.start() : until])]
        at = until
    return "".join([*parts, text[at:]])


def _tokens(text: str, tag: Tag) -> str:
    """JSON Web Tokens: three to five parts of base64url, the first of which begins an object."""
    parts: list[str] = []
    at = begin = 0
    while (begin := text.find("eyJ", begin)) >= 0:
        found = _SIGNED.match(text, begin)
        if found is None:
            # Any other beginning in the same run would end at the same place, and not at a dot either.
            begin = max(_RUN.match(text, begin).end(), begin + 3)  # type: ignore[union-attr]  # matches always
            continue
        parts += [text[at:begin], tag(found[0])]
        at = begin = found.end()
    return "".join([*parts, text[at:]])


def _addresses(text: str, tag: Tag) -> str:
    parts: list[str] = []
    at = begin = 0
    while (begin := text.find("://", begin)) >= 0:
        begin += 3
        scheme = text[max(0, begin - 15) : begin - 3].lower()
        reach = _TO_THE_END if scheme.endswith(_STORES) else _AUTHORITY
        run = reach.match(text, begin)[0]  # type: ignore[index]  # matches always
        end = begin + len(run)
        user = run.rpartition("@")[0]
        name, colon, password = user.partition(":")
        if not user:
            # What was looked through without an at sign need not be looked through again from within.
            begin = max(begin, min(end, begin + _OVERLAP))
            continue
        hidden = password if colon else name if _is_minted(name) else ""
        if hidden and not hidden.startswith(HIDDEN):
            start = begin + len(user) - len(hidden)
            parts += [text[at:start], tag(hidden)]
            at = begin = begin + len(user)
    return "".join([*parts, text[at:]])


def _scheme(found: re.Match[str], tag: Tag) -> str:
    scheme, value = found[1].lower(), found[2]
    if scheme == "basic":
        try:
            secret = b":" in base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            secret = False
    else:
        secret = _is_minted(value)
    return f"{found[0][: -len(value)]}{tag(value)}" if secret else found[0]


def _between(found: re.Match[str], tag: Tag) -> str:
    """What stands between the marks of its name."""
    value, secrecy = found[2], secrecy_of(found[1])
    if secrecy == NONE or value.startswith(HIDDEN) or (secrecy != CHOSEN and is_plain(value)) or not value.strip():
        return found[0]
    return f"{found[0][: -len(value)]}{tag(value)}"


def _is_minted(value: str) -> bool:
    """Whether a word beside a scheme is a token: words of a language bear no digits."""
    return len(value) >= 24 or (len(value) >= 8 and any(char.isdigit() for char in value))


def _parameters(text: str, tag: Tag) -> str:
    """Values beside their names: parameters of a query, `password=...` of a connection string, `token: ...`."""
    parts: list[str] = []
    at = 0
    for found in _PARAMETER.finditer(text):
        if found.start() < at or (secrecy := secrecy_of(unquote(found[1]))) == NONE:
            continue
        whole = ":" in found[2] and found[1].lower() in ("cookie", "set-cookie")
        value = (_LINE if whole else _VALUE).match(text, found.end())
        if value is None or value[0].startswith(HIDDEN) or (secrecy != CHOSEN and is_plain(value[0])):
            continue
        sentence = is_plain(value[0]) or not value[0][:1].isalnum()
        if sentence and found[2] in (": ", " : ") and not (secrecy == CHOSEN and value[0].isdigit()):
            # After a colon stands a sentence more often than a value.
            continue
        parts += [text[at : value.start()], tag(value[0])]
        at = value.end()
    return "".join([*parts, text[at:]])


def _encoded(text: str, tag: Tag, json_bears: Callable[[bytes], bool]) -> str:
    """JSON in base64 that bears a secret. A run is looked at from its beginning only."""
    if not any(opening in text for opening in _OPENINGS):
        return text
    parts: list[str] = []
    at = begin = 0
    while begin < len(text):
        found = _RUN.match(text, begin)
        run = found[0] if found else ""
        if len(run) >= 12 and run.startswith(_OPENINGS) and (raw := _decoded(run)) is not None and json_bears(raw):
            parts += [text[at:begin], tag(run)]
            at = begin + len(run)
        begin += len(run)
        begin = _next_run(text, begin)
    return "".join([*parts, text[at:]])


_START = re.compile(r"(?<![A-Za-z0-9+/_-])(?:ey|ew|W[3yw1])")


def _next_run(text: str, begin: int) -> int:
    found = _START.search(text, begin)
    return len(text) if found is None else found.start()


def _decoded(run: str) -> bytes | None:
    whole = run[: len(run) - (1 if len(run) % 4 == 1 else 0)].replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(whole + "=" * (-len(whole) % 4))
    except (binascii.Error, ValueError):
        return None


def _percent(text: str, tag: Tag, json_bears: Callable[[bytes], bool], loose: int) -> str:
    """What is secret once it is percent-decoded: the whole run of characters, as its spelling is not ours to keep."""
    parts = _PARTS.split(text)
    for number in range(0, len(parts), 2):
        part = parts[number]
        if "%" in part and (plain := unquote(part)) != part:
            hidden = hide_shapes(plain, tag, json_bears, loose - 1)
            if hidden != plain:
                # The way there stays readable: only what follows the first hidden place is replaced.
                parts[number] = hidden if "://" in hidden else tag(part)
    return "".join(parts)
