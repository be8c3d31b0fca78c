"""Pages of a marketplace as one backend writes them from its two stores, and the pairs of them that are compared.

Everything comes from one seed: every run measures the same bytes.
"""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from comparators.ids import IdPair, IdTable
from comparators.rules import Rules, compile_rules

SIZES = {"1 KB": 1_024, "10 KB": 10_240, "100 KB": 102_400, "1 MB": 1_048_576}
"""Bytes of the primary's body, each ten times the one before; a page has as many whole rows as come closest."""

RULES: dict[str, Any] = {
    "ignore": ["$.requestId", "$..__v"],
    "tolerate": [
        {"kind": "null_missing"},
        {"kind": "decimal_scale"},
        {"kind": "date_format"},
        {"kind": "date_precision", "unit": "ms"},
    ],
}
"""In force for every pair."""

EQUAL = "equal modulo ids"
OTHER_KEY_ORDER = "the same, keys in another order"
ONE_DIFFERS = "one field differs"
ALL_DIFFER = "every element differs"
REORDERED_ANY = "reordered under `any`"
REORDERED_KEY = "reordered under `{key: _id}`"
REORDERED = (REORDERED_ANY, REORDERED_KEY)

_SEED = 2243
_LEGACY = re.compile(rb"(?<![0-9a-f])[0-9a-f]{24}(?![0-9a-f])")
_NAMES = (
    "Ada Long",
    "Zoë Müller",
    "Jonas Berg",
    "佐藤 花",
    "Mia Costa",
    "Paweł Król",
    "Sam Reed",
    "Lena Voss",
)
_TITLES = (
    "Camera body, boxed",
    'Winter coat "as new"',
    "Émile's desk lamp",
    "Gift card 🎁",
    "Bicycle frame",
    "Übergabe in Zürich",
)
_MESSAGES = (
    "Can you send it by Friday?",
    'It says "fragile" on the box.',
    "Danke, ist angekommen!",
    "届きました。",
)
_TAGS = ("escrow", "express", "used", "new", "insured", "abroad", "gift")
_STATES = ("open", "accepted", "shipped", "settled", "held")

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Page:
    """One response as both sides give it, and the ids that join them. `data` has the rows."""

    primary: Json
    shadow: Json
    ids: IdTable


@dataclass(frozen=True, slots=True)
class Pair:
    """Two bodies, the rules that hold between them, and what a comparison has to say: so many differences (0 is
    equal), and of each kind in `forgiven` so many tolerated."""

    name: str
    primary: bytes
    shadow: bytes
    rules: Rules
    ids: IdTable
    differences: int = 0
    forgiven: Mapping[str, int] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of the larger body."""
        return max(len(self.primary), len(self.shadow))


class _Maker:
    """Makes offers with the primary's ids and remembers which uuid stands for each."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.pairs: list[IdPair] = []
        self._people: list[str] = []

    def id(self, entity: str) -> str:
        legacy = f"{self.rng.getrandbits(96):024x}"
        self.pairs.append(IdPair(entity, legacy, str(uuid.UUID(int=self.rng.getrandbits(128), version=4))))
        return legacy

    def person(self, but: str = "") -> str:
        """The id of a user who is not `but`: every other time of somebody who has been named before."""
        if self._people and self.rng.random() < 0.5 and (known := self.rng.choice(self._people)) != but:
            return known
        self._people.append(self.id("user"))
        return self._people[-1]

    def money(self) -> str:
        cents = self.rng.randrange(100, 5_000_000)
        return f"{cents // 100}.{cents % 100:02}"

    def rating(self) -> float:
        tenths = self.rng.randrange(10, 51)
        return tenths / 10 if tenths % 10 else tenths // 10

    def moment(self) -> str:
        n = self.rng.randrange
        return f"2026-{n(1, 10):02}-{n(1, 29):02}T{n(24):02}:{n(60):02}:{n(60):02}.{n(1000):03}Z"

    def offer(self) -> Json:
        """An offer as a list shows it: with its seller, and in some rows the payment or the chat's last message."""
        rng, seller = self.rng, self.person()
        return {
            "_id": self.id("offer"),
            "buyerId": self.person(but=seller),
            "seller": {
                "_id": seller,
                "name": rng.choice(_NAMES),
                "avatar": f"/avatars/{seller}.webp",
                "rating": self.rating(),
                "verified": rng.random() < 0.8,
            },
            "title": rng.choice(_TITLES),
            "price": {"amount": self.money(), "currency": "USDT"},
            "payment": self.payment() if rng.random() < 0.3 else None,
            "chat": self.chat(seller) if rng.random() < 0.4 else None,
            "deliveryDays": rng.randrange(1, 30),
            "tags": rng.sample(_TAGS, rng.randrange(4)),
            "note": None,
            "status": rng.choice(_STATES),
            "createdAt": self.moment(),
            "updatedAt": self.moment(),
        }

    def payment(self) -> Json:
        return {
            "amountWei": str(self.rng.randrange(10**19, 10**20)),
            "txHash": f"0x{self.rng.getrandbits(256):064x}",
            "refunded": False,
        }

    def chat(self, sender: str) -> Json:
        message = {"sender": sender, "body": self.rng.choice(_MESSAGES), "sentAt": self.moment()}
        return {"unread": {sender: self.rng.randrange(9)}, "lastMessage": message}


def page_of(size: int) -> Page:
    """A page of offers whose primary body has about `size` bytes."""
    maker = _Maker(random.Random(_SEED))
    page: Json = {"success": True, "data": [], "pagination": {"page": 1, "pages": 9, "hasNext": True}}
    length = len(orjson.dumps(page))
    while True:
        row = maker.offer()
        more = len(orjson.dumps(row)) + 1
        if length + more / 2 > size and page["data"]:
            break
        page["data"].append(row)
        length += more
    uuids = {pair.legacy.encode(): pair.uuid.encode() for pair in maker.pairs}
    shadow = _LEGACY.sub(lambda found: uuids[found[0]], orjson.dumps(page))
    return Page(page, orjson.loads(shadow), IdTable.of(maker.pairs))


def pairs_of(size: int) -> list[Pair]:
    """The pairs of one size that are compared."""
    page = page_of(size)
    left, right = page.primary, page.shadow
    rows, theirs = left["data"], right["data"]
    shuffled = _shuffled(theirs)
    middle = len(theirs) // 2
    one = [_changed(row, 0) if n == middle else row for n, row in enumerate(theirs)]
    every = [_changed(row, n) for n, row in enumerate(theirs)]
    versioned = [{**row, "__v": 0} for row in rows]
    bare = [{name: value for name, value in row.items() if name != "note"} for row in theirs]

    def pair(
        name: str,
        primary: Json,
        shadow: Json,
        order: Any = None,
        differences: int = 0,
        forgiven: Mapping[str, int] | None = None,
    ) -> Pair:
        layers = [RULES] if order is None else [RULES, {"order": {"$.data": order}}]
        bodies = orjson.dumps(primary), orjson.dumps(shadow)
        return Pair(name, *bodies, compile_rules(layers), page.ids, differences, forgiven or {})

    return [
        pair("same bytes", left, left),
        pair(EQUAL, left, right),
        pair(OTHER_KEY_ORDER, left, _as_jsonb(right)),
        pair("equal, `requestId` ignored", {"requestId": "7f31c0", **left}, {"requestId": "e02b9d", **right}),
        pair("equal, `__v` ignored in every row", {**left, "data": versioned}, right),
        pair(ONE_DIFFERS, left, {**right, "data": one}, differences=1),
        pair(ALL_DIFFER, left, {**right, "data": every}, differences=len(rows)),
        pair(REORDERED_ANY, left, {**right, "data": shuffled}, order="any"),
        pair(REORDERED_KEY, left, {**right, "data": shuffled}, order={"key": "_id"}),
        pair(
            "every row forgiven (null, missing)",
            left,
            {**right, "data": bare},
            forgiven={"null_missing": len(rows)},
        ),
    ]


def _changed(row: Json, number: int) -> Json:
    """The row with another value in one field; which one goes by `number`."""
    match number % 3:
        case 0:
            return {**row, "status": "cancelled"}
        case 1:
            return {**row, "updatedAt": "2025-12-31T23:59:59.999Z"}
        case _:
            return {**row, "note": "see the dispute"}


def _shuffled(rows: list[Json]) -> list[Json]:
    rng = random.Random(4)
    found = rows
    while found == rows:
        found = rng.sample(rows, len(rows))
    return found


def _as_jsonb(value: Any) -> Any:
    """The value with its names in the order in which Postgres keeps those of jsonb: by length, then by bytes."""
    if isinstance(value, list):
        return [_as_jsonb(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _as_jsonb(value[name]) for name in sorted(value, key=lambda name: (len(name.encode()), name.encode()))
    }
