"""Which names say that a value is secret, and which values are none whatever they are called. Pure.

A name is taken apart at underscores, hyphens and capitals. A name *about* a secret (`tokenCount`, `passwordChangedAt`,
`cookieConsent`) ends in a word that says so, and hides nothing.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

NONE, MINTED, LISTED, CHOSEN = range(4)
"""How secret a name makes a value. MINTED: made by a machine (tokens, sessions, keys), so a plain word or a small
number is none; LISTED: the same in an element of a list. CHOSEN: by a person (passwords, pins), so anything may be one.
"""

_LONGEST = 200
_LARGE = 100_000
"""A minted number has at least six digits: `tokens: 3` is a count."""

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_GAP = re.compile(r"[^a-z0-9]+")
_MAYBE = re.compile(
    r"pass|pwd|pw|secret|mnemonic|phrase|key|code|otp|pin|cv[vc]|token|auth|credential|cookie|signature|[cx]srf|jwt"
    r"|bearer|sess|sid|sig"
)
"""Stands in every name that one of the following takes for a secret: the way out for nearly all others."""
_CHOSEN = re.compile(
    r"passw|passphrase|passcode|secret(?!ar)|mnemonic|seed_?phrase|private_?key|(?:recovery|backup|security)_?codes?"
    r"|(?:^|_)(?:pwd|pw|otp|totp|pin|cvv2?|cvc2?)(?:_|$)"
    r"|(?:db|database|user|admin|root|login|smtp|mail|ftp|ssh|ldap|mysql|pg|postgres|mongo|redis|proxy)_pass$"
)
_MINTED = re.compile(
    r"token(?!i[sz])|authori[sz]ation|credential|cookie|signature|csrf|xsrf|jwt|bearer|(?<!ob)(?<!pos)session"
    r"|(?:api|access|auth|signing|encryption|client|license|subscription|account|master|functions)_?key|sess_?id|(?:verification|invite|reset)_?code"
    r"|(?:^|_)(?:sess|sid|sig|auth|pass)(?:_|$)"
)
_ABOUT = re.compile(
    r"_(?:counts?|total|length|len|size|limit|max|min|types?|kind|symbol|name|address(?:es)?|price|amount|balance"
    r"|decimals|supply|network|standard|expiry|expires|expired|expiration|in|at|on|by|ttl|age|created|updated|valid"
    r"|enabled|required|status|state|policy|version|timeout|date|time|timestamp|used|uses|usage|ur[li]|algorithm|alg"
    r"|strength|attempts|retries|method|mode|provider|issuer|scope|start|end|started|ended|duration|active|verified"
    r"|set|changed|consent|domain|path|banner|settings|format|field|header|label|title|description|message|errors?)$"
)
_COUNTED = re.compile(
    r"(?:^|_)(?:num|total|max|min|prompt|completion|input|output|cached|used|remaining)_(?:\w+_)?tokens$"
)
"""A language model's tokens."""
_WITHIN = frozenset({"value", "raw", "hash", "key", "string", "plain", "text", "data", "code", "access", "refresh"})
"""Members of an object with a minted name that are the secret itself, as in `token: {value: ...}`."""
_ITSELF = _WITHIN | {"id", "_id"}

_A_WORD = r"(?:[a-z]{1,12}|[A-Z][a-z]{0,11}|[A-Z]{1,12})"
_PLAIN = re.compile(
    rf"{_A_WORD}(?:[ _-]{_A_WORD}){{0,3}}"
    r"|\d{4}-\d\d-\d\d(?:[T ][\d:.]{1,20}(?:Z|[+-]\d\d:?\d\d)?)?"
    r"|-?\d{1,5}(?:\.\d{1,18})?"
    r"|"
)
_SIGNS = re.compile(r"[^A-Za-z0-9]+")
_WORD = re.compile(rf"{_A_WORD}|\d{{1,5}}")
_ID = re.compile(r"[0-9a-fA-F]{24}|[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")


def secrecy_of(name: str) -> int:
    """What `name` says of its value, wherever it stands: a member, a header, a parameter of a query or of a path."""
    # Its end alone: what is remembered would else be as long as a body may be.
    return _secrecy_of(name[-_LONGEST:])


@lru_cache(maxsize=4096)
def _secrecy_of(name: str) -> int:
    if _MAYBE.search(name.lower()) is None:
        return NONE
    words = _GAP.sub("_", _HUMP.sub("_", name).lower()).strip("_")
    if _CHOSEN.search(words):
        found = CHOSEN
    elif _MINTED.search(words):
        found = MINTED
    else:
        return NONE
    return NONE if _ABOUT.search(words) or _COUNTED.search(words) else found


def below_member(under: int, name: str) -> int:
    """The secrecy of a member that says nothing itself, in an object whose own name makes it `under`."""
    if under == CHOSEN:
        return CHOSEN
    within = _ITSELF if under == MINTED else _WITHIN
    return MINTED if name.lower() in within else NONE


def below_index(under: int) -> int:
    """The secrecy of an element. An object in a list of `sessions` is a record: its id is no secret."""
    return LISTED if under == MINTED else under


def is_plain(text: str) -> bool:
    """Whether `text` is words, a date or a small number: nothing that a machine mints as a secret."""
    return len(text) <= 60 and _PLAIN.fullmatch(text) is not None


def is_choice(text: str) -> bool:
    """Whether `text` is words and small numbers with signs between them: a time zone, a path, a language."""
    return len(text) <= 200 and all(map(_WORD.fullmatch, filter(None, _SIGNS.split(text))))


def is_id(text: str) -> bool:
    """Whether `text` is an ObjectId or a uuid."""
    return len(text) in (24, 36) and _ID.fullmatch(text) is not None


def is_secret(under: int, value: object) -> bool:
    """Whether a string or a number is secret where a name makes it `under`; true, false and null never are."""
    if type(value) is str:
        return value != "" and (under == CHOSEN or not is_plain(value))
    if type(value) is int:
        return under == CHOSEN or abs(value) >= _LARGE
    return type(value) is Decimal and under == CHOSEN
