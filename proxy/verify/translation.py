"""Putting a request's ids as the other store spells them. Pure: the table of the ids is handed in.

Looked at are the path, the query and the texts of a JSON body, names of its objects among them. An id is found as
comparisons find it, as a whole value or inside a longer text, and also where it is percent-encoded or written with
JSON's escapes. Header fields stay as they are, as do bodies that are not JSON by their content type or that have a
content coding.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

from comparators.ids import TOKEN, IdTable
from proxy.model import ReadRequest, header

To: TypeAlias = Literal["uuid", "legacy"]

_JSON = re.compile(r"application/(?:[^;\s]*\+)?json\s*(?:;|$)", re.IGNORECASE)
_ID_CODE = "(?:3[0-9]|4[1-6]|6[1-6]|2[dD])"
"""The code of a hex digit or of a hyphen."""
_SHORTEST = 24
_MAY_HOLD = re.compile(rb"[0-9a-fA-F-]{24}|\\u00")
_LONGEST = 4096
"""Characters. In a longer run of hex digits and hyphens, some of them escaped, nothing is looked for."""
_TEXT = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)
"""A text of JSON. Outside of these an id cannot stand: 24 digits there are a number."""


@dataclass(frozen=True, slots=True)
class _Spelling:
    """How characters may be written: `sign` begins an escape, `unit` is one character that an id may be made of.

    `scan` goes through a text from escape to escape, so that no half of one is taken for a digit, and has in its group
    what is long enough to hold an id.
    """

    sign: str
    unit: re.Pattern[str]
    scan: re.Pattern[str]

    @classmethod
    def of(cls, sign: str, id_escape: str, any_escape: str) -> _Spelling:
        unit = f"[0-9a-fA-F-]|{id_escape}{_ID_CODE}"
        own = re.escape(sign)
        others = f"(?:[^{own}0-9a-fA-F-]++|[0-9a-fA-F-]{{1,{_SHORTEST - 1}}}+(?![0-9a-fA-F-]|{id_escape}))++"
        return cls(
            sign,
            re.compile(unit),
            re.compile(f"((?:{unit}){{{_SHORTEST},}}+)|{any_escape}|{others}|.", re.DOTALL),
        )


_PERCENT = _Spelling.of("%", "%", "%[0-9a-fA-F]{2}")
_ESCAPED = _Spelling.of("\\", r"\\u00", r"\\(?:u[0-9a-fA-F]{4}|.)")


@dataclass(frozen=True, slots=True)
class Translated:
    """A request for the other side, and the ids in it that were sent as they stood.

    `unknown` names, in lower case and in their order, the ids that should have been put as their partners but have
    none in the table, or several.
    """

    request: ReadRequest
    unknown: tuple[str, ...] = ()


def ids_of(request: ReadRequest) -> set[str]:
    """Every id of a request, of both forms and in lower case: what to ask the id map for."""
    return {place.token for text, spelling in _parts(request) for place in _places(text, spelling)}


def translated(request: ReadRequest, table: IdTable, to: To) -> Translated:
    """The request with its ids put as uuids, or as legacy ids, where the table joins them to exactly one.

    Ids that have the wanted form already, and all else, stay byte for byte. Content-Length is left to who sends it.
    """
    unknown: dict[str, None] = {}

    def partner(token: str) -> str | None:
        found = _partner(token, table, to)
        if found is None and _is_legacy(token) == (to == "uuid"):
            unknown[token] = None
        return found

    target = _put(request.target, _PERCENT, partner)
    body = request.body
    if _has_ids(request):
        body = _TEXT.sub(lambda found: f'"{_put(found[1], _ESCAPED, partner)}"', body.decode("latin-1")).encode(
            "latin-1"
        )
    if target == request.target and body == request.body:
        return Translated(request, tuple(unknown))
    return Translated(request._replace(target=target, body=body), tuple(unknown))


class _Place(NamedTuple):
    """An id, and where the characters begin and end that spell it."""

    token: str
    start: int
    end: int


def _is_legacy(token: str) -> bool:
    return "-" not in token


def _partner(token: str, table: IdTable, to: To) -> str | None:
    if _is_legacy(token) != (to == "uuid"):
        return None
    if to == "uuid":
        others = {pair.uuid for pair in table.by_legacy.get(token, ())}
    else:
        others = {pair.legacy for pair in table.by_uuid.get(token, ())}
    return others.pop() if len(others) == 1 else None


def _has_ids(request: ReadRequest) -> bool:
    """Whether the body is JSON that may hold ids."""
    if not _MAY_HOLD.search(request.body):
        return False
    if (header(request.headers, b"content-encoding") or "identity").strip().lower() != "identity":
        return False
    return _JSON.match((header(request.headers, b"content-type") or "").strip()) is not None


def _parts(request: ReadRequest) -> Iterator[tuple[str, _Spelling]]:
    """The texts of a request that may hold ids, and how each is written."""
    yield request.target, _PERCENT
    if _has_ids(request):
        for found in _TEXT.finditer(request.body.decode("latin-1")):
            yield found[1], _ESCAPED


def _places(text: str, spelling: _Spelling) -> Iterator[_Place]:
    """Every id of a text that is written so."""
    if len(text) < _SHORTEST:
        return
    if spelling.sign not in text:
        for found in TOKEN.finditer(text):
            yield _Place(found[0].lower(), *found.span())
        return
    for run in spelling.scan.finditer(text):
        written: str | None = run[1]
        if written is None:
            continue
        if spelling.sign not in written:
            for found in TOKEN.finditer(written):
                yield _Place(found[0].lower(), run.start() + found.start(), run.start() + found.end())
        elif len(written) <= _LONGEST:
            units = list(spelling.unit.finditer(written))
            meant = "".join(unit[0] if len(unit[0]) == 1 else chr(int(unit[0][-2:], 16)) for unit in units)
            for found in TOKEN.finditer(meant):
                start, end = units[found.start()].start(), units[found.end() - 1].end()
                yield _Place(found[0].lower(), run.start() + start, run.start() + end)


def _put(text: str, spelling: _Spelling, partner: Callable[[str], str | None]) -> str:
    parts: list[str] = []
    done = 0
    for token, start, end in _places(text, spelling):
        other = partner(token)
        if other is not None:
            parts += text[done:start], other
            done = end
    return "".join((*parts, text[done:])) if done else text
