"""What is asked for in the query string of tables, the same for pages and API. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, TypeVar

from multidict import MultiMapping

from comparators.model import Kind
from proxy.errors import LedgerError
from proxy.ledger import FindingState
from proxy.ledger.traces import parse_cursor
from proxy.model import Verdict

LIMIT = 100
MAX_LIMIT = 1_000
Q_CHARACTERS = 200
SORTS = ("exchanges", "differences", "first", "last", "domain", "route", "path", "kind", "state")
"""What findings can be sorted by; a minus before it turns the order round."""
GATE_STATES = ("open", "closed", "unknown")
Choice = TypeVar("Choice", bound=StrEnum)
_PLACE = re.compile(r"([0-9a-f]{8})-([0-9]{1,18})")


class BadQueryError(Exception):
    """What was asked makes no sense; the text says what would."""


def parameters(query: MultiMapping[str], *known: str) -> dict[str, str]:
    """The parameters that say something. One that is not known or comes twice is refused, since it would do nothing; an
    empty one is what a form sends for a filter that is not set."""
    for name in query:
        if name not in known:
            hint = f"known are {', '.join(known)}" if known else "this address takes none"
            raise BadQueryError(f"unknown parameter {name[:100]!r}; {hint}")
        if len(query.getall(name)) > 1:
            raise BadQueryError(f"{name} is given more than once")
    return {name: value for name, value in query.items() if value}


@dataclass(frozen=True, slots=True)
class FindingQuery:
    """Which findings, in which order. `q` is looked for in id, path, route, kind and acceptance."""

    domain: str | None = None
    state: FindingState | None = None
    kind: Kind | None = None
    route: str | None = None
    q: str | None = None
    sort: str = "-exchanges"
    limit: int = LIMIT

    NAMES: ClassVar = ("domain", "state", "kind", "route", "q", "sort", "limit")

    @classmethod
    def of(cls, query: MultiMapping[str]) -> FindingQuery:
        """Raises BadQueryError."""
        given = parameters(query, *cls.NAMES)
        sort = given.get("sort", "-exchanges")
        if sort.removeprefix("-") not in SORTS:
            raise BadQueryError(f"sort must be one of {', '.join(SORTS)}, with a minus before it to turn it round")
        return cls(
            given.get("domain"),
            _one_of(given, "state", FindingState),
            _one_of(given, "kind", Kind),
            given.get("route"),
            _q(given),
            sort,
            limit_of(given),
        )


@dataclass(frozen=True, slots=True)
class TraceQuery:
    """Which traces, newest first, behind the cursor `before`. `q` is looked for in id, target and route."""

    domain: str | None = None
    finding: str | None = None
    route: str | None = None
    verdict: Verdict | None = None
    q: str | None = None
    before: str | None = None
    limit: int = LIMIT

    NAMES: ClassVar = ("domain", "finding", "route", "verdict", "q", "before", "limit")

    @classmethod
    def of(cls, query: MultiMapping[str]) -> TraceQuery:
        """Raises BadQueryError."""
        given = parameters(query, *cls.NAMES)
        before = given.get("before")
        try:
            if before is not None:
                parse_cursor(before)
        except LedgerError as error:
            raise BadQueryError(f"before: {error}") from error
        return cls(
            given.get("domain"),
            given.get("finding"),
            given.get("route"),
            _one_of(given, "verdict", Verdict),
            _q(given),
            before,
            limit_of(given),
        )


@dataclass(frozen=True, slots=True)
class DecisionQuery:
    """Which gate decisions, newest first, of numbers below `before`."""

    domain: str | None = None
    state: str | None = None
    before: int | None = None
    limit: int = LIMIT

    NAMES: ClassVar = ("domain", "state", "before", "limit")

    @classmethod
    def of(cls, query: MultiMapping[str]) -> DecisionQuery:
        """Raises BadQueryError."""
        given = parameters(query, *cls.NAMES)
        state = given.get("state")
        if state is not None and state not in GATE_STATES:
            raise BadQueryError(f"state must be one of {', '.join(GATE_STATES)}")
        before = given.get("before")
        return cls(given.get("domain"), state, None if before is None else number_of(before, "before"), limit_of(given))


@dataclass(frozen=True, slots=True)
class LiveQuery:
    """Which of the exchanges that end, from the place `since` on."""

    domain: str | None = None
    verdict: Verdict | None = None
    route: str | None = None
    since: str | None = None
    tail: bool = False

    NAMES: ClassVar = ("domain", "verdict", "route", "since")

    @classmethod
    def of(cls, query: MultiMapping[str], *more: str) -> LiveQuery:
        """Raises BadQueryError. `more` may name `tail`, which is 1 or 0."""
        given = parameters(query, *cls.NAMES, *more)
        since = given.get("since")
        if since is not None and _PLACE.fullmatch(since) is None:
            raise BadQueryError(f"since: {since[:100]!r} is no place in the tail; use the `next` of an earlier answer")
        tail = given.get("tail", "0")
        if tail not in ("0", "1"):
            raise BadQueryError("tail must be 1 or 0")
        return cls(given.get("domain"), _one_of(given, "verdict", Verdict), given.get("route"), since, tail == "1")


def place_text(boot: str, place: int) -> str:
    """How a place in the tail is told: with the process it is a place of."""
    return f"{boot}-{place}"


def place_of(text: str, boot: str) -> int | None:
    """The place that `place_text` told; None when it was another process that told it, or nobody."""
    found = _PLACE.fullmatch(text)
    return int(found[2]) if found is not None and found[1] == boot else None


def limit_of(given: Mapping[str, str]) -> int:
    """Raises BadQueryError."""
    text = given.get("limit", str(LIMIT))
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and 1 <= int(text) <= MAX_LIMIT):
        raise BadQueryError(f"limit must be a number from 1 to {MAX_LIMIT}")
    return int(text)


def number_of(text: str, name: str) -> int:
    """Raises BadQueryError for what is no number from 0 on."""
    if not (text.isascii() and text.isdigit() and len(text) <= 15):
        raise BadQueryError(f"{name} must be a number")
    return int(text)


def _q(given: Mapping[str, str]) -> str | None:
    q = given.get("q")
    if q is not None and len(q) > Q_CHARACTERS:
        raise BadQueryError(f"q may have {Q_CHARACTERS} characters")
    return q


def _one_of(given: Mapping[str, str], name: str, known: type[Choice]) -> Choice | None:
    text = given.get(name)
    if text is None:
        return None
    try:
        return known(text)
    except ValueError:
        raise BadQueryError(f"{name} must be one of {', '.join(one.value for one in known)}") from None
