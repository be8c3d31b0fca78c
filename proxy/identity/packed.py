"""Answers as short texts, so that a million of them fit into memory and the garbage collector never looks at them.

A text holds the moment of asking (eight hex digits) and then, for each pair of the token, what it comes from (three hex
digits, see `Names`) and the token's partner. Of two texts the one asked earlier comes first, so age is a comparison.
"""

from __future__ import annotations

from collections.abc import Iterable

from comparators.ids import IdPair
from proxy.identity.conflicts import Row
from proxy.identity.errors import IdentityError

MOMENT = 8
PARTNER = MOMENT + 3
"""Where the first partner begins."""
LEGACY_LENGTH = 24
UUID_LENGTH = 36
ONE_UUID = PARTNER + UUID_LENGTH
"""The length of an answer to an ObjectId that is joined once."""
ONE_LEGACY = PARTNER + LEGACY_LENGTH
"""The length of an answer to a uuid that is joined once."""
MAX_NAMES = 16**3
TICKS = 64
"""Moments a second: eight hex digits of them last for two years."""
MAX_TICKS = 16**MOMENT - 1


class Names:
    """Three hex digits for each source and entity that pairs come from, at most `MAX_NAMES` of them."""

    def __init__(self) -> None:
        self._codes: dict[tuple[str, str], str] = {}
        self._sources: dict[str, str] = {}
        self.entities: dict[str, str] = {}
        """The entity of each code."""

    def code(self, source: str, entity: str) -> str:
        """IdentityError when there are too many."""
        known = self._codes.get((source, entity))
        if known is not None:
            return known
        if len(self._codes) == MAX_NAMES:
            raise IdentityError(
                f"{source}: over {MAX_NAMES} entities in the id map; is ids.sources[].entity the right column?"
            )
        code = f"{len(self._codes):03x}"
        self._codes[source, entity] = code
        self._sources[code] = source
        self.entities[code] = entity
        return code

    def pack(self, token: str, rows: Iterable[Row], ticks: int) -> str:
        """The answer to `token` that holds these rows of it; no rows make it a miss."""
        legacy = len(token) == LEGACY_LENGTH
        parts = [
            self.code(source, pair.entity) + (pair.uuid if legacy else pair.legacy)
            for pair, source in {row.pair: row.source for row in rows}.items()
        ]
        return "".join((moment(ticks), *parts))

    def rows(self, token: str, text: str) -> list[Row]:
        """What `pack` was given. A pair that several sources have is said of the last of them."""
        legacy = len(token) == LEGACY_LENGTH
        step = PARTNER - MOMENT
        found = []
        for at in range(MOMENT, len(text), step + (UUID_LENGTH if legacy else LEGACY_LENGTH)):
            code = text[at : at + step]
            partner = text[at + step : at + step + (UUID_LENGTH if legacy else LEGACY_LENGTH)]
            ids = (token, partner) if legacy else (partner, token)
            found.append(Row(self._sources[code], IdPair(self.entities[code], *ids)))
        return found


def moment(ticks: int) -> str:
    """A count of ticks as answers begin with it, the nearest that can be written."""
    return f"{min(max(0, ticks), MAX_TICKS):08x}"


def weight(text: str) -> int:
    """How many pairs an answer holds, or a little more; one for a miss."""
    return max(1, len(text) // (LEGACY_LENGTH + PARTNER - MOMENT))
