"""What is known of the id map: a bounded memory of answers, the least recently used forgotten first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from comparators.ids import IdPair


@dataclass(frozen=True, slots=True)
class Answer:
    """All pairs of one token as they were at `at` (seconds of a monotonic clock); empty for a miss."""

    pairs: tuple[IdPair, ...]
    at: float


class Cache:
    """Answers by token. An answer weighs its number of pairs, a miss weighs one.

    A pair is usually held twice, under its legacy id and under its uuid, since the answer to one of them says
    nothing about what else the other is joined to.
    """

    def __init__(self, pairs: int) -> None:
        self._limit = 2 * pairs
        self._answers: OrderedDict[str, Answer] = OrderedDict()
        self._weight = 0

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, token: str) -> Answer | None:
        answer = self._answers.get(token)
        if answer is not None:
            self._answers.move_to_end(token)
        return answer

    def put(self, token: str, answer: Answer) -> None:
        old = self._answers.pop(token, None)
        if old is not None:
            self._weight -= _weight(old)
        self._answers[token] = answer
        self._weight += _weight(answer)
        while self._weight > self._limit and len(self._answers) > 1:
            _, gone = self._answers.popitem(last=False)
            self._weight -= _weight(gone)


def _weight(answer: Answer) -> int:
    return max(1, len(answer.pairs))


@dataclass(frozen=True, slots=True)
class Conflict:
    """An id that the map joins to more than one id of the same entity."""

    entity: str
    token: str
    joined: tuple[str, ...]


def conflicts(pairs: Iterable[IdPair]) -> list[Conflict]:
    """Every id among `pairs` that is joined twice within its entity, in a stable order."""
    joined: dict[tuple[str, str], set[str]] = {}
    for pair in pairs:
        joined.setdefault((pair.entity, pair.legacy), set()).add(pair.uuid)
        joined.setdefault((pair.entity, pair.uuid), set()).add(pair.legacy)
    return [
        Conflict(entity, token, tuple(sorted(others)))
        for (entity, token), others in sorted(joined.items())
        if len(others) > 1
    ]
