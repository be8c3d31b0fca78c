"""The one interface between the application and its data; the stores behind it know nothing of routes."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from proxy.demo.marketplace.entities import Entity, Record

LEGACY_ID = re.compile(r"^[0-9a-fA-F]{24}$")
UUID = re.compile(r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")


def is_id(text: str) -> bool:
    """Whether the text has the form of an id of either store."""
    return bool(LEGACY_ID.match(text) or UUID.match(text))


@dataclass(frozen=True, slots=True)
class Where:
    """One condition. `has`: a list of text holds the value. `bears`: an item of a JSON list has it as `userId`."""

    field: str
    op: Literal["=", ">=", "<", "has", "bears"]
    value: Any


@dataclass(frozen=True, slots=True)
class Order:
    """One sort key. Nulls come first ascending and last descending, as in MongoDB, unless `nulls_last`."""

    field: str
    descending: bool = False
    nulls_last: bool = False


NEWEST = (Order("createdAt", descending=True), Order("seq", descending=True))
OLDEST = (Order("createdAt"), Order("seq"))


class Store(Protocol):
    """Reads and writes records under the ids of this store."""

    async def resolve(self, entity: Entity, any_id: str) -> str | None:
        """This store's id for an id of either form; None when it cannot be known."""

    async def get(self, entity: Entity, own_id: str, *, whole: bool = False) -> Record | None:
        """One record; `whole` with its embedded parts."""

    async def many(self, entity: Entity, ids: Collection[str]) -> dict[str, Record]:
        """The records of these ids that exist, by id."""

    async def find(
        self,
        entity: Entity,
        where: Sequence[Where] = (),
        order: Sequence[Order] = NEWEST,
        *,
        offset: int = 0,
        limit: int = 1000,
    ) -> list[Record]:
        """Records without embedded parts, in a total order."""

    async def count(self, entity: Entity, where: Sequence[Where] = ()) -> int: ...

    async def save(self, entity: Entity, record: Record, other_id: str | None = None) -> None:
        """Insert or replace a whole record. `other_id` is its id in the other store, where that is known."""

    async def remove(self, entity: Entity, own_id: str) -> None: ...

    def new_id(self) -> str:
        """A fresh id of this store's form."""
