"""The demo's data, a pure function of the seed: the same seed makes the same records, ids and instants."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from proxy.demo.marketplace import dataset_people, dataset_trade
from proxy.demo.marketplace.catalog import ENTITIES
from proxy.demo.marketplace.entities import Record

START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


@dataclass
class Maker:
    """Collects records while they are made; later ones refer to earlier ones."""

    rng: random.Random
    made: dict[str, list[Record]] = field(default_factory=lambda: {name: [] for name in ENTITIES})
    seq: int = 0

    def legacy_id(self) -> str:
        return f"{int(START.timestamp()) + self.seq:08x}{self.rng.getrandbits(64):016x}"

    def at(self, minutes: int | None = None) -> datetime:
        """An instant after the start, to the millisecond; by default the one of the record being made."""
        offset = timedelta(minutes=7 * self.seq if minutes is None else minutes)
        return START + offset + timedelta(milliseconds=self.rng.randrange(1000))

    def money(self, low: int, high: int) -> Decimal:
        return Decimal(self.rng.randrange(low * 100, high * 100)) / 100

    def maybe(self, value: Any, chance: float = 0.5) -> Any:
        return value if self.rng.random() < chance else None

    def pick(self, entity: str, keep: Callable[[Record], bool] | None = None) -> Record:
        pool = self.made[entity] if keep is None else [one for one in self.made[entity] if keep(one)]
        return self.rng.choice(pool)

    def add(self, entity: str, created: datetime | None = None, **values: Any) -> Record:
        """Make a record; fields not given are null."""
        self.seq += 1
        created = created or self.at()
        blank = {name.name: None for name in ENTITIES[entity].fields}
        parts: Record = {child.field: [] if child.many else None for child in ENTITIES[entity].children}
        stamps = {"seq": self.seq, "createdAt": created, "updatedAt": created + timedelta(minutes=3)}
        record = {"id": self.legacy_id(), **blank, **parts, **stamps, **values}
        self.made[entity].append(record)
        return record


def dataset(seed: int) -> dict[str, list[Record]]:
    """Every record under its legacy id, by entity; some seven thousand in all."""
    maker = Maker(random.Random(seed))
    dataset_people.make(maker)
    dataset_trade.make(maker)
    return maker.made
