"""Making the table of a look-up pair by pair."""

from __future__ import annotations

from comparators.ids import IdPair, IdTable


class Gathering:
    """An `IdTable` in the making.

    Whoever has a pair of two ids that are not in it yet may put them into `by_legacy`, `by_uuid` and `plain`; `add`
    takes any pair.
    """

    __slots__ = ("_further", "by_legacy", "by_uuid", "plain")

    def __init__(self) -> None:
        self.by_legacy: dict[str, tuple[IdPair, ...]] = {}
        self.by_uuid: dict[str, tuple[IdPair, ...]] = {}
        self.plain: dict[str, str] = {}
        self._further: list[IdPair] = []

    def add(self, pair: IdPair) -> None:
        _, legacy, uuid = pair
        known = self.by_legacy.get(legacy)
        if known is None and uuid not in self.by_uuid:
            self.by_legacy[legacy] = self.by_uuid[uuid] = (pair,)
            self.plain[legacy] = uuid
        elif known != (pair,):
            self._further.append(pair)

    def table(self) -> IdTable:
        """What was gathered, each pair once."""
        if not self._further:
            return IdTable(self.by_legacy, self.by_uuid, self.plain, one_to_one=True)
        pairs = [pair for joined in self.by_legacy.values() for pair in joined]
        return IdTable.of(dict.fromkeys([*pairs, *self._further]))
