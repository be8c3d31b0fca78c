"""Pairs that were seen equal: the same two answers under the same rules and ids are equal again, and only counted.

What is remembered are the bytes themselves, so no hash decides about a match: it only finds what is then compared byte
by byte. An entry says for how long the id map would answer from memory what it answered then; after that, and after any
answer of it has changed, the pair is compared anew.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

import xxhash

from comparators.model import Tolerated
from comparators.rules import Rules
from proxy.model import Headers, Observation

ENTRY_BYTES, FIELD_BYTES, TOLERATED_BYTES = 1_000, 150, 300
"""What an entry takes beside its bodies, fields and tolerances; and each of these beside its texts; by measurement."""
SLACK = 100
"""Bytes that the fields of an entry may grow by: a date or the id of a request has not always the same length."""
LARGEST_SHARE = 8
"""A pair that would fill more than an eighth of the memory is not kept: it would drive all others out."""


class Ruled(NamedTuple):
    """The rules of a route on a day, and the lower-case names of the fields that comparisons under them read."""

    rules: Rules
    names: frozenset[bytes]


class Outside(NamedTuple):
    """What a comparison looks at beside the bodies: whether there are any, statuses, the fields that the rules name."""

    head_only: bool
    primary_status: int | None
    shadow_status: int | None
    primary_fields: Headers
    shadow_fields: Headers


class Entry:
    """`ids` is the id map's version and `until` the moment up to which it holds; `tolerated` counts again each time."""

    __slots__ = ("fields", "ids", "outside", "primary", "rules", "seen", "shadow", "size", "tolerated", "until")

    def __init__(
        self,
        rules: Rules,
        outside: Outside,
        primary: Observation,
        shadow: Observation,
        ids: int,
        until: float,
        tolerated: tuple[Tolerated, ...],
    ) -> None:
        self.rules = rules
        self.outside = outside
        self.primary = primary.body or b""
        self.shadow = shadow.body or b""
        self.ids = ids
        self.until = until
        self.tolerated = tolerated
        self.seen: tuple[Headers, Headers] = (primary.headers, shadow.headers)
        """All fields with which the pair was seen last: while they are the same, so are those that count."""

        self.fields = SLACK + sum(map(_weight, self.seen))
        """What the fields may weigh: of those seen later, heavier ones are not kept."""

        self.size = ENTRY_BYTES + len(self.primary) + len(self.shadow) + self.fields
        self.size += sum([TOLERATED_BYTES + len(one.path) + len(one.rule) for one in tolerated])


def _weight(headers: Headers) -> int:
    return sum([FIELD_BYTES + len(name) + len(value) for name, value in headers])


def outside_of(primary: Observation, shadow: Observation, names: frozenset[bytes], *, head_only: bool) -> Outside:
    """`names` are the lower-case names of the fields that a comparison under these rules reads."""
    return Outside(
        head_only, primary.status, shadow.status, _named(primary.headers, names), _named(shadow.headers, names)
    )


def _named(headers: Headers, names: frozenset[bytes]) -> Headers:
    return tuple([field for field in headers if field[0].lower() in names])


class Memo:
    """The pairs seen equal last, at most `limit` bytes of them."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._kept: OrderedDict[tuple[str, int], Entry] = OrderedDict()
        self.bytes = 0
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._kept)

    def find(
        self,
        route: str,
        ruled: Ruled,
        primary: Observation,
        shadow: Observation,
        *,
        head_only: bool,
        ids: int,
        now: float,
    ) -> Entry | None:
        """The entry of this pair, if it holds `now` under these rules and this version of the id map."""
        body = primary.body or b""
        key = (route, xxhash.xxh3_64_intdigest(body))
        kept = self._kept.get(key)
        if (
            kept is not None
            and kept.rules is ruled.rules
            and kept.ids == ids
            and kept.until > now
            and kept.shadow == (shadow.body or b"")
            and kept.primary == body
            and self._same_outside(kept, ruled, primary, shadow, head_only=head_only)
        ):
            self._kept.move_to_end(key)
            self.hits += 1
            return kept
        self.misses += 1
        return None

    @staticmethod
    def _same_outside(kept: Entry, ruled: Ruled, primary: Observation, shadow: Observation, *, head_only: bool) -> bool:
        if kept.outside[:3] != (head_only, primary.status, shadow.status):
            return False
        if kept.seen == (primary.headers, shadow.headers):
            return True
        if kept.outside != outside_of(primary, shadow, ruled.names, head_only=head_only):
            return False
        if _weight(primary.headers) + _weight(shadow.headers) <= kept.fields:
            kept.seen = (primary.headers, shadow.headers)
        return True

    def add(self, route: str, entry: Entry) -> None:
        """Remember a pair that was equal."""
        size = entry.size
        if size * LARGEST_SHARE > self.limit:
            return
        key = (route, xxhash.xxh3_64_intdigest(entry.primary))
        known = self._kept.pop(key, None)
        if known is not None:
            self.bytes -= known.size
        self._kept[key] = entry
        self.bytes += size
        while self.bytes > self.limit:
            _, oldest = self._kept.popitem(last=False)
            self.bytes -= oldest.size
