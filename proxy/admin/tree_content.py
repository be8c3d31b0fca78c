"""`/api/v1/traces/{id}/tree`: what is asked of an aligned tree, and the answer as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from multidict import MultiMapping

from comparators.aligned import At
from comparators.outline import PAGE, at_of
from proxy.admin.desk import Desk
from proxy.admin.evidence import UnknownNameError
from proxy.admin.queries import BadQueryError, number_of, parameters
from proxy.admin.tree_work import Listed, NoPlaceError, Outlined
from proxy.admin.trees import DIED, TOO_LONG
from proxy.errors import LedgerError
from proxy.model import Trace
from proxy.verify.work import WorkerDiedError, WorkTimeoutError

MAX_OPENED = 8
"""Places opened by hand in one outline: each may show `PAGE` children."""
PLACE_CHARACTERS = 8_000


@dataclass(frozen=True, slots=True)
class OutlineQuery:
    """What is open in an outline. `focus` is the number of a difference that is shown whatever else is; `opened` has
    places and the child from which on each is shown."""

    focus: int | None = None
    opened: tuple[tuple[At, int], ...] = ()

    NAMES: ClassVar = ("focus", "open")

    @classmethod
    def of(cls, given: dict[str, str]) -> OutlineQuery:
        """Raises BadQueryError. `open` is written as `0.5:200,0.7:0`."""
        focus, places = given.get("focus"), given.get("open")
        opened = [] if places is None else [_opened(place) for place in places.split(",")]
        if len(opened) > MAX_OPENED:
            raise BadQueryError(f"open may name {MAX_OPENED} places")
        return cls(None if focus is None else number_of(focus, "focus"), tuple(opened))


@dataclass(frozen=True, slots=True)
class TreeQuery:
    """The children of a place, given by its `path` or its address `at`, or the outline where neither is given."""

    place: str | None = None
    by_path: bool = False
    offset: int = 0
    end: int | None = None
    limit: int = PAGE
    outline: OutlineQuery = OutlineQuery()

    NAMES: ClassVar = ("path", "at", "offset", "end", "limit", *OutlineQuery.NAMES)

    @classmethod
    def of(cls, query: MultiMapping[str]) -> TreeQuery:
        """Raises BadQueryError."""
        given = parameters(query, *cls.NAMES)
        # The root has an empty address, which is something to ask for.
        at = query.get("at")
        path = given.get("path")
        outline = OutlineQuery.of(given)
        if path is None and at is None:
            for name in ("offset", "end", "limit"):
                if name in given:
                    raise BadQueryError(f"{name} needs a place: give path or at")
            return cls(outline=outline)
        if path is not None and at is not None:
            raise BadQueryError("path and at both name a place; give one of them")
        if outline != OutlineQuery():
            raise BadQueryError("focus and open are for the outline; ask for it without a place")
        place = path if path is not None else at or ""
        if len(place) > PLACE_CHARACTERS:
            raise BadQueryError(f"a place may have {PLACE_CHARACTERS} characters")
        limit = number_of(given.get("limit", str(PAGE)), "limit")
        if not 1 <= limit <= PAGE:
            raise BadQueryError(f"limit must be a number from 1 to {PAGE}")
        end = given.get("end")
        return cls(
            place,
            path is not None,
            number_of(given.get("offset", "0"), "offset"),
            None if end is None else number_of(end, "end"),
            limit,
        )


async def tree_content(desk: Desk, id_: str, asked: TreeQuery) -> dict[str, Any]:
    """Raises UnknownNameError for a trace or place that is not there, LedgerError."""
    if asked.place is None:
        trace = await desk.evidence.trace(id_)
        return outline_content(trace, await outline_of(desk, trace, asked.outline))
    return listed_content(id_, asked, await listed_of(desk, id_, asked))


async def outline_of(desk: Desk, trace: Trace, asked: OutlineQuery) -> Outlined:
    """Raises LedgerError."""
    return await desk.trees.outline(trace, focus=asked.focus, opened=asked.opened)


async def listed_of(desk: Desk, id_: str, asked: TreeQuery) -> Listed:
    """Raises as `tree_content` does."""
    try:
        return await desk.trees.children(
            id_, asked.place or "", by_path=asked.by_path, offset=asked.offset, end=asked.end, limit=asked.limit
        )
    except NoPlaceError as error:
        raise UnknownNameError(str(error)) from error
    except WorkTimeoutError as error:
        raise LedgerError(TOO_LONG) from error
    except WorkerDiedError as error:
        raise LedgerError(DIED) from error


def outline_content(trace: Trace, found: Outlined) -> dict[str, Any]:
    """`why` says why there are no rows, empty where there are; `hidden` numbers the differences that found no room."""
    why, remarks = found.why, found.remarks
    if why and trace.primary_body == trace.shadow_body == "":
        why = "neither answer had a body"
    lone = [side for side, text in (("primary", trace.primary_body), ("shadow", trace.shadow_body)) if text]
    if found.rows and len(lone) == 1:
        remarks = (f"only the {lone[0]}'s body is kept{_not_kept(trace)}: of the other nothing can be said", *remarks)
    return {
        "trace": trace.id,
        "why": why and f"{why}{_not_kept(trace)}",
        "remarks": list(remarks),
        "rows": found.rows,
        "hidden": list(found.hidden),
    }


def listed_content(id_: str, asked: TreeQuery, found: Listed) -> dict[str, Any]:
    """The children of one place; `next` is the offset to go on at, None at the end."""
    after = asked.offset + asked.limit
    end = found.total if asked.end is None else min(asked.end, found.total)
    return {
        "trace": id_,
        "at": found.at,
        "path": found.path,
        "rows": found.rows,
        "total": found.total,
        "next": after if after < end else None,
    }


def _not_kept(trace: Trace) -> str:
    """What the trace says of bodies that were not kept."""
    said = [part for part in trace.detail.split("; ") if part.startswith(("primary body: ", "shadow body: "))]
    return f" ({'; '.join(said)})" if said else ""


def _opened(text: str) -> tuple[At, int]:
    place, colon, offset = text.partition(":")
    try:
        return at_of(place), number_of(offset, "open") if colon else 0
    except LookupError:
        raise BadQueryError(f"open: {text[:100]!r} is no place; places are written as 0.5 or 0.5:200") from None
