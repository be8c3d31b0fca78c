"""What is known of the id map: a bounded memory of answers that forgets what was not asked for in a long time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from comparators.ids import IdPair
from proxy.identity.conflicts import Row
from proxy.identity.errors import IdentityError
from proxy.identity.packed import (
    MAX_TICKS,
    MOMENT,
    ONE_LEGACY,
    ONE_UUID,
    PARTNER,
    TICKS,
    Names,
    moment,
    weight,
)
from proxy.identity.table import Gathering

LAST_MOMENT = "g"  # behind every answer
_new = tuple.__new__  # IdPair's own constructor is a Python function, and this is called for each id looked up


class Cache:
    """Answers by token. An answer weighs its number of pairs, a miss weighs one.

    A pair is usually held twice, under its legacy id and under its uuid, since the answer to one of them says
    nothing about what else the other is joined to.

    Answers live in two generations. What is put or asked for belongs to the young one; when that holds half of what
    fits, it becomes the old one, and what was the old one goes. So all that was asked for while half of the memory was
    filled is there: nearly what forgetting the least recently used would keep, at a fraction of its cost.

    Moments are seconds of the clock that gave `since`. They are kept to 1/64 s, in favour of asking again.
    """

    def __init__(self, pairs: int, since: float) -> None:
        self._half = pairs
        self._since = since
        self._names = Names()
        self._young: dict[str, str] = {}
        self._old: dict[str, str] = {}
        self._gone: dict[str, str] = {}
        self._weight = 0
        self.version = 0
        """Another number as soon as anything is no longer known, or is known otherwise than before."""

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def gather(self, tokens: Iterable[str], into: Gathering, *, hits_since: float, misses_since: float) -> list[str]:
        """Put the pairs of these distinct tokens into `into`, as far as they were asked for since those moments.

        Returns the tokens that are not known (any more).
        """
        young, entities = self._young.get, self._names.entities
        by_legacy, by_uuid, plain = into.by_legacy, into.by_uuid, into.plain
        oldest, oldest_miss = self._cutoff(hits_since), self._cutoff(misses_since)
        unknown: list[str] = []
        for token in tokens:
            text = young(token) or self._text(token)
            length = len(text)
            if length <= MOMENT:
                if text < oldest_miss or not text:
                    unknown.append(token)
            elif text < oldest:
                unknown.append(token)
            elif length == ONE_UUID:
                uuid = text[PARTNER:]
                pair = _new(IdPair, (entities[text[MOMENT:PARTNER]], token, uuid))
                if token not in by_legacy and uuid not in by_uuid:
                    by_legacy[token] = by_uuid[uuid] = (pair,)
                    plain[token] = uuid
                else:
                    into.add(pair)
            elif length == ONE_LEGACY:
                legacy = text[PARTNER:]
                pair = _new(IdPair, (entities[text[MOMENT:PARTNER]], legacy, token))
                if legacy not in by_legacy and token not in by_uuid:
                    by_legacy[legacy] = by_uuid[token] = (pair,)
                    plain[legacy] = token
                else:
                    into.add(pair)
            else:
                for row in self._names.rows(token, text):
                    into.add(row.pair)
        return unknown

    def rows(self, token: str) -> Sequence[Row]:
        """The answer to one token, whatever its age; nothing when it is not known or a miss."""
        return self._names.rows(token, self._text(token))

    def put(self, answers: Mapping[str, Iterable[Row]], at: float) -> None:
        """Remember the answers to tokens that were asked for at this moment.

        IdentityError when there are too many entities among them.
        """
        ticks = int((at - self._since) * TICKS)
        if ticks > MAX_TICKS:
            self._clear(at)
            ticks = 0
        try:
            texts = {token: self._names.pack(token, rows, ticks) for token, rows in answers.items()}
        except IdentityError:
            # Entities that came and went fill the names; without them what is put now may fit.
            self._clear(at)
            texts = {token: self._names.pack(token, rows, 0) for token, rows in answers.items()}
        for token, text in texts.items():
            known = self._forget(token)
            if known and known[MOMENT:] != text[MOMENT:]:
                self.version += 1
            self._add(token, text)

    def hold(self, rows: Iterable[Row]) -> list[Row]:
        """Add rows to what is known of both of their ids. Returns the rows of ids that have several.

        IdentityError when there are too many entities among them.
        """
        several: set[str] = set()
        for row in rows:
            for token in (row.pair.legacy, row.pair.uuid):
                known = self._young.get(token)
                if known is None:
                    self._add(token, self._names.pack(token, (row,), 0))
                elif row.pair not in [other.pair for other in self._names.rows(token, known)]:
                    several.add(token)
                    self._young[token] = self._names.pack(token, (*self._names.rows(token, known), row), 0)
        return [row for token in several for row in self.rows(token)]

    def forget(self, token: str) -> None:
        """Have the token asked for again."""
        if self._forget(token):
            self.version += 1

    def _forget(self, token: str) -> str:
        """What was known of the token until now, empty for nothing."""
        text = self._young.pop(token, None)
        if text is not None:
            self._weight -= weight(text)
        return text or self._old.pop(token, "")

    def good_until(self, tokens: Iterable[str], *, hit_age: float, miss_age: float) -> float:
        """How long the answers to these tokens will be young enough, the first of them to age deciding: a moment.

        `-inf` when one of them is not known at all.
        """
        first_hit = first_miss = LAST_MOMENT
        for token in tokens:
            text = self._young.get(token) or self._old.get(token, "")
            if len(text) > MOMENT:
                first_hit = min(first_hit, text)
            elif text:
                first_miss = min(first_miss, text)
            else:
                return -math.inf
        return min(self._asked(first_hit) + hit_age, self._asked(first_miss) + miss_age)

    def _asked(self, text: str) -> float:
        """The moment that an answer was asked for; endless for none."""
        return math.inf if text is LAST_MOMENT else self._since + int(text[:MOMENT], 16) / TICKS

    def _cutoff(self, at: float) -> str:
        """What the answers asked for since `at` do not come before."""
        return moment(math.ceil(min((at - self._since) * TICKS, MAX_TICKS)))

    def _clear(self, since: float) -> None:
        self.version += 1
        self._since = since
        self._names = Names()
        self._young, self._old, self._gone = {}, {}, {}
        self._weight = 0

    def _text(self, token: str) -> str:
        """The answer to a token, which is young from now on; empty when it is not known."""
        text = self._young.get(token)
        if text is not None:
            return text
        text = self._old.pop(token, None)
        if text is None:
            return ""
        self._add(token, text)
        return text

    def _add(self, token: str, text: str) -> None:
        """Add a token that is in neither generation."""
        self._young[token] = text
        weighs = weight(text)
        self._weight += weighs
        # Little by little: to free a big generation at once would hold up everything else.
        if self._gone:
            for _ in range(min(2 * weighs, len(self._gone))):
                self._gone.popitem()
        if self._weight >= self._half:
            # What is let go may be answered otherwise when it is asked for again, and nobody would notice.
            self.version += bool(self._old)
            self._gone, self._old, self._young = self._old, self._young, {}
            self._weight = 0
