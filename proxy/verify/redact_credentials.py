"""The secrets that one exchange is made with: what its caller sent, and what its sides gave out. Pure."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple
from urllib.parse import unquote, unquote_plus

from proxy.model import Headers
from proxy.verify.redact_echoes import SHORTEST
from proxy.verify.redact_names import CHOSEN, NONE, is_choice, is_id, is_plain, secrecy_of

MOST = 50
"""Credentials of one exchange that are looked for. With more, nothing is kept of its bodies and values."""

_SEPARATORS = re.compile(r"([?&;#])")
_DIGEST = re.compile(r'\b(?:response|cnonce|nonce|opaque)="?([^",\s]+)')
_PART = 16
"""Characters of a part of a credential (between dots and the like) that is a secret by itself."""
_BETWEEN = re.compile(r"[.:|~]")

Named = Callable[[str], int]
"""The secrecy of a name."""


class Credentials(NamedTuple):
    """`texts` are the secrets, each once; `all` is false when there were too many of them. `found` has those that only
    the bodies of the exchange showed."""

    texts: tuple[str, ...]
    all: bool
    found: tuple[str, ...] = ()


class Parameter(NamedTuple):
    """One part of a request target: the text before it, then `name` and `value` as written, `mark` between them."""

    before: str
    name: str
    mark: str
    value: str

    @property
    def plain_name(self) -> str:
        """The name, also when it was percent-encoded twice."""
        return unquote_plus(unquote_plus(self.name))


def parameters(target: str) -> tuple[str, list[Parameter]]:
    """A request target as its path and what follows, which joined again is the target. `;` and `#` part values too."""
    pieces = _SEPARATORS.split(target)
    found = []
    for number in range(1, len(pieces), 2):
        name, mark, value = pieces[number + 1].partition("=")
        found.append(Parameter(pieces[number], name, mark, value))
    return pieces[0], found


def path_secrets(path: str, route: str) -> Iterator[tuple[int, str]]:
    """The segments of `path` whose name in `route` (`GET /reset/{token}`) is that of a secret, with their numbers.

    `{sessionId}` with an ObjectId or a uuid is the id of a record, by which the route is asked.
    """
    steps = path.split("/")
    for number, step in enumerate(route.partition(" ")[2].split("/")):
        if number >= len(steps) or step == "**":
            return
        name = step[1:-1]
        if step.startswith("{") and steps[number] and secrecy_of(name) != NONE:
            if name.lower().endswith("id") and is_id(steps[number]):
                continue
            yield number, steps[number]


def cookies(value: str) -> list[tuple[str, str]]:
    """The pairs of a Cookie field; a pair without a name has all in its value."""
    pairs = (part.strip().partition("=") for part in value.split(";") if part.strip())
    return [(name, text) if mark else ("", name) for name, mark, text in pairs]


def credentials(
    *,
    target: str,
    route: str,
    fields: Iterable[Headers],
    more: Iterable[str],
    named: Named = secrecy_of,
) -> Credentials:
    """What to look for in all that is kept of an exchange.

    `fields` are the header fields of the request and of both answers, `more` what else is known to be secret.
    """
    found: dict[str, None] = {}
    for text in (
        *_of_target(target, route, named),
        *(one for some in fields for one in _of_fields(some, named)),
        *more,
    ):
        for one in (text, unquote(text), *_parts(text)):
            if len(one) >= SHORTEST:
                found[one] = None
    return Credentials(tuple(found)[:MOST], len(found) <= MOST)


def _parts(text: str) -> list[str]:
    plain = unquote(text)
    parts = _BETWEEN.split(plain)
    return [part for part in parts if len(part) >= _PART and not is_id(part)] if 1 < len(parts) < 6 else []


def _of_target(target: str, route: str, named: Named) -> Iterator[str]:
    path, rest = parameters(target)
    for _, segment in path_secrets(path, route):
        yield segment
    for one in rest:
        secrecy = named(one.plain_name)
        if secrecy == CHOSEN or (secrecy and not is_plain(one.value)):
            yield one.value
            yield unquote_plus(one.value)
            yield unquote_plus(unquote_plus(one.value))


def _of_fields(headers: Headers, named: Named) -> Iterator[str]:
    for raw, content in headers:
        name, value = raw.decode("latin-1").lower(), content.decode("latin-1").strip()
        if name in ("authorization", "proxy-authorization"):
            yield from _of_authorization(value)
        elif name == "cookie":
            for cookie, text in cookies(value):
                if named(cookie) or not _ordinary(text):
                    yield text.strip('"')
        elif name == "set-cookie":
            _, text = (cookies(value.partition(";")[0]) or [("", "")])[0]
            if named(value.partition("=")[0]) or not _ordinary(text):
                yield text.strip('"')
        elif named(name) and not is_plain(value):
            yield value
            yield value.rpartition(" ")[2]


def _of_authorization(value: str) -> Iterator[str]:
    scheme, _, rest = value.partition(" ")
    rest = rest.strip()
    kind = scheme.lower()
    if kind == "basic":
        yield rest
        try:
            pair = base64.b64decode(rest + "=" * (-len(rest) % 4)).decode("utf-8", "replace")
        except (binascii.Error, ValueError):
            return
        yield pair
        yield pair.partition(":")[2]
    elif kind == "digest":
        yield from _DIGEST.findall(rest)
    else:
        yield rest or scheme


def _ordinary(text: str) -> bool:
    """Whether the value of a cookie with a name that says nothing is a choice or an id rather than a credential."""
    return is_plain(text) or is_choice(unquote(text)) or is_id(text) or text.replace(".", "").replace("-", "").isdigit()
