"""Whether a recorded gap explains a diff: a write that reached one store only differs in its own row. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Protocol

from comparators.decode import Unparseable, decode
from comparators.ids import TOKEN, IdTable, whole
from comparators.model import Difference
from comparators.paths import PathError, compile_path

OWN = ("id", "_id", "uuid")
"""Members that bear the id of the object they are in."""


class Gaps(Protocol):
    """The tables of gaps. `open_for` tells which of these ids have one, with the entities it is recorded under.

    An empty set is a gap of whatever bears the id. Raises IdentityError when they cannot be asked.
    """

    async def open_for(self, ids: Collection[str]) -> Mapping[str, frozenset[str]]: ...


def ids_at(body: bytes | None, differences: Sequence[Difference]) -> tuple[frozenset[str], ...]:
    """The ids that each difference is of, lower case.

    A value that is an id, or a text with ids in it, is of these; an object is of its own id; everything else is of the
    nearest object around it that bears an id, in the primary's body.
    """
    document = decode(body or b"")
    if isinstance(document, Unparseable):
        document = None
    return tuple(frozenset(_ids_of(one, document)) for one in differences)


def explained(
    differences: Sequence[frozenset[str]],
    subject: str | None,
    kind: str,
    gaps: Mapping[str, frozenset[str]],
    table: IdTable,
) -> bool:
    """Whether every difference is explained: by a gap of the one thing that was read, or by one of an id at it.

    `subject` is the id in the request's path and `kind` its entity, empty where nobody says. An id has a gap when
    either of its forms has.
    """
    if subject is not None and any(
        not named or not kind or kind in named
        for form in forms(subject, table)
        if (named := gaps.get(form)) is not None
    ):
        return True
    return bool(differences) and all(
        any(form in gaps for token in tokens for form in forms(token, table)) for tokens in differences
    )


def forms(token: str, table: IdTable) -> set[str]:
    """The id and what the map joins it to."""
    return {
        token,
        *(pair.uuid for pair in table.by_legacy.get(token, ())),
        *(pair.legacy for pair in table.by_uuid.get(token, ())),
    }


def _ids_of(difference: Difference, document: Any) -> set[str]:
    found = {token for value in (difference.primary, difference.shadow) for token in _own(value)}
    if found or not difference.path.startswith("$"):
        return found
    for around in reversed(list(_around(difference.path, document))):
        if found := set(_own(around)):
            return found
    return set()


def _own(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from (token.lower() for token in TOKEN.findall(value))
    elif isinstance(value, dict):
        for name in OWN:
            if isinstance(text := value.get(name), str) and (token := whole(text)) is not None:
                yield token


def _around(path: str, document: Any) -> Iterator[dict[str, Any]]:
    """The objects around a place, the outermost first."""
    try:
        steps = compile_path(path).steps
    except PathError:
        return
    for step in steps:
        if isinstance(document, dict):
            yield document
        try:
            document = document[step.key]
        except (LookupError, TypeError):
            return
