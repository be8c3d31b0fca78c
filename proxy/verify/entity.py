"""The one thing that an exchange reads: the id in its path, in the form in which distinct ones are counted."""

from __future__ import annotations

from typing import NamedTuple

from comparators.ids import whole
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


async def subject_of(identity: Identity, text: str | None, kind: str | None) -> Subject:
    """The subject of a path that has `text` where the route names `kind`."""
    token = whole(text) if text is not None and kind is not None else None
    if token is None or kind is None:
        return Subject(text)
    try:
        table = await identity.lookup([token])
    except IdentityError:
        return Subject(text)
    for pair in (*table.by_legacy.get(token, ()), *table.by_uuid.get(token, ())):
        if pair.entity == kind:
            return Subject(pair.legacy, kind)
    return Subject(text)
