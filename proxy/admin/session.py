"""Who gave the token once: sessions of browsers, kept in this process alone; and how wrong tokens are slowed down."""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable
from urllib.parse import quote, urlsplit

COOKIE = "shadowread_session"
SESSIONS = 1_000
"""More end the oldest one."""
NEXT_CHARACTERS = 2_000


class Sessions:
    """A browser holds a random 256-bit id, the process its hash: what leaks from memory or a log opens nothing.

    They end `seconds` after the token was given, however much they are used.
    """

    def __init__(
        self, seconds: float, clock: Callable[[], float], draw: Callable[[int], str] = secrets.token_urlsafe
    ) -> None:
        self.seconds = seconds
        self._clock = clock
        self._draw = draw
        self._ends: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._ends)

    def begin(self, old: str | None) -> str:
        """A new id for who gave the token. One that the browser came with is never taken over, and ends."""
        self.end(old)
        while len(self._ends) >= SESSIONS:
            self._ends.popitem(last=False)
        made = self._draw(32)
        self._ends[_hash(made)] = self._clock() + self.seconds
        return made

    def find(self, given: str | None) -> str | None:
        """What names the session of an id within this process; None when there is none (any more)."""
        if not given:
            return None
        name = _hash(given)
        return name if self.lasts(name) else None

    def lasts(self, name: str) -> bool:
        """Whether the session that `find` named goes on."""
        ends = self._ends.get(name)
        if ends is None:
            return False
        if self._clock() >= ends:
            del self._ends[name]
            return False
        return True

    def end(self, given: str | None) -> None:
        if given:
            self._ends.pop(_hash(given), None)


def _hash(given: str) -> str:
    return hashlib.sha256(given.encode("utf-8", "surrogateescape")).hexdigest()


class Attempts:
    """Wrong tokens are answered late, a few at a time for each address: guessing takes for ever, and nobody else waits.

    What is refused while too many of an address wait is not looked at, or else refusing would tell.
    """

    def __init__(self, sleep: Callable[[float], Awaitable[object]], *, each: int = 8, most: int = 500) -> None:
        self._sleep = sleep
        self._each = each
        self._most = most
        self._waiting: Counter[str] = Counter()

    def full(self, remote: str | None) -> bool:
        """Whether no token of `remote` may be looked at now."""
        return self._waiting[place_of(remote)] >= self._each or self._waiting.total() >= self._most

    async def wrong(self, remote: str | None, seconds: float = 1.0) -> None:
        """Return when the wrong token of `remote` may be answered."""
        place = place_of(remote)
        self._waiting[place] += 1
        try:
            await self._sleep(seconds)
        finally:
            self._waiting[place] -= 1
            if self._waiting[place] <= 0:
                del self._waiting[place]


def place_of(remote: str | None) -> str:
    """Where an address is: of IPv6 the first 64 bits, since whoever has one has all behind them."""
    try:
        found = ipaddress.ip_address(remote or "")
    except ValueError:
        return ""
    if found.version == 4:
        return str(found)
    return str(ipaddress.ip_network((int(found) >> 64 << 64, 64)))


def local_path(text: str | None) -> str:
    """Where to go after signing in: a path of this site, or `/` for whatever could lead elsewhere."""
    if not text or len(text) > NEXT_CHARACTERS or not text.isascii() or not text.isprintable():
        return "/"
    try:
        parts = urlsplit(text)
    except ValueError:
        return "/"
    # Browsers take a backslash for a slash, and two slashes for the beginning of a host.
    astray = parts.scheme or parts.netloc or "\\" in text or " " in text or text[:2] == "//" or text[:1] != "/"
    dead = parts.path in ("/login", "/logout") or parts.path.startswith(("/api/", "/static/"))
    return "/" if astray or dead else text


def login_path(path_qs: str) -> str:
    """The address of the login page that leads back to `path_qs`."""
    wanted = local_path(path_qs)
    return "/login" if wanted == "/" else f"/login?next={quote(wanted, safe='/')}"
