"""The one thing that an exchange reads: the id in its path, in the form in which distinct ones are counted."""

from __future__ import annotations

from typing import NamedTuple

from comparators.ids import IdTable, whole
from proxy.identity import Identity, IdentityError
from proxy.model import Observation


class Subject(NamedTuple):
    """`id` is the legacy id where the map knows it under `kind`, else what stood in the path, and `kind` is empty."""

    id: str | None = None
    kind: str = ""


NOBODY = Subject()


def was_there(primary: Observation | None) -> bool:
    """Whether the primary answered with the thing: that both sides refuse or miss it verifies nothing of it."""
    return primary is not None and primary.status is not None and 200 <= primary.status < 300


def subject_at_once(identity: Identity, text: str | None, kind: str | None) -> Subject | None:
    """What `subject_of` says where the id map has to ask nobody; else None."""
    token = whole(text) if text is not None and kind is not None else None
    if token is None or kind is None:
        return Subject(text)
    table = identity.at_once([token])
    return None if table is None else _subject(table, token, text, kind)


async def subject_of(identity: Identity, text: str | None, kind: str | None) -> Subject:
    """The subject of a path that has `text` where the route names `kind`."""
    token = whole(text) if text is not None and kind is not None else None
    if token is None or kind is None:
        return Subject(text)
    try:
        return _subject(await identity.lookup([token]), token, text, kind)
    except IdentityError:
        return Subject(text)


def _subject(table: IdTable, token: str, text: str | None, kind: str) -> Subject:
    for pair in (*table.by_legacy.get(token, ()), *table.by_uuid.get(token, ())):
        if pair.entity == kind:
            return Subject(pair.legacy, kind)
    return Subject(text)
