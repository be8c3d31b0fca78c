"""Bodies, rules and id maps by chance, small and much alike, so that most draws meet several rules at once."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from typing import Any, NamedTuple

LEGACIES = [f"65f1a2b3c4d5e6f708192a0{n}" for n in (1, 2, 3)] + ["b5f1a2b3c4d5e6f708192a04", "f" * 24]
UUIDS = [f"0b8e6a10-3c5d-4e7f-8a91-b2c3d4e5f60{n}" for n in (1, 2, 3)] + [
    "b8e6a100-3c5d-4e7f-8a91-b2c3d4e5f604", "00000000-0000-4000-8000-000000000005",
]  # fmt: skip
PAIRS = [
    ("user", LEGACIES[0], UUIDS[0]),
    ("user", LEGACIES[1], UUIDS[1]),
    ("order", LEGACIES[2], UUIDS[2]),
    ("user", LEGACIES[3], UUIDS[3]),
]
MORE_PAIRS = [
    ("order", LEGACIES[0], UUIDS[0]),
    ("order", LEGACIES[0], UUIDS[1]),
    ("user", LEGACIES[4], UUIDS[0]),
    ("user", LEGACIES[4], UUIDS[4]),
]
NAMES = ["a", "b", "n", "id", "_id", "at"]
PATHS = ["$..", "$..", "$..a", "$.a", "$.*", "$[*].a", "$..n", "$..a.b", "$..b[*]"]
TEXTS = [
    "", "x", "X", " x", "x  y", "X y", "1.5", "1.50", "1.51", "2", "02", "-0", "0",
    "2026-01-15T20:43:05Z", "2026-01-15T20:43:05.000Z", "2026-01-15 20:43:05+00", "2026-01-15T21:43:05.0001+01:00",
    "2026-01-15T20:43:05.78Z", "2026-01-15T20:43:05.780Z", "2026-01-15T20:43:05.780123Z", "\ud800", "é", "\bx",
]  # fmt: skip
NUMBERS: list[Any] = [
    0,
    1,
    2,
    Decimal("1.5"),
    Decimal("1.50"),
    Decimal("1.51"),
    Decimal("1.52"),
    10**25,
    -3,
    Decimal("1E+2"),
]
_KINDS = (
    "null_missing",
    "number_string",
    "decimal_scale",
    "date_format",
    "case",
    "whitespace",
    "empty",
    "populated",
)


class Draw(NamedTuple):
    """One question: two bodies under a block of rules and an id map."""

    primary: bytes
    shadow: bytes
    block: dict[str, Any]
    pairs: list[tuple[str, str, str]]


def draw(rng: random.Random) -> Draw:
    pairs = PAIRS + rng.sample(MORE_PAIRS, rng.choice((0, 0, 1, 2)))
    if rng.random() < 0.4:
        return _crowd(rng, pairs)
    left = _value(rng, 3)
    right = left if rng.random() < 0.9 else _value(rng, 3)
    to_uuid = rng.random() < 0.7
    right = _changed(rng, right, to_uuid, chance=rng.choice((0.0, 0.05, 0.2)))
    bodies = [spelled(rng, side).encode("utf-8") for side in (left, right)]
    if rng.random() < 0.2:
        bodies.reverse()
    return Draw(bodies[0], bodies[1], _block(rng), pairs)


def _crowd(rng: random.Random, pairs: list[tuple[str, str, str]]) -> Draw:
    """An array of elements so much alike that rules join many of them, in two orders."""
    pool: list[Any] = rng.choice(
        [
            TEXTS[:6],
            TEXTS[6:13],
            TEXTS[13:19],
            NUMBERS[1:7],
            [*NUMBERS[1:7], *TEXTS[6:13]],
            LEGACIES + UUIDS,
            [None, "", [], {}, "x"],
        ]
    )
    sort = rng.randrange(4)

    def element() -> Any:
        if sort == 0:
            return rng.choice(pool)
        if sort == 1:
            return {"n": rng.choice([1, 1, 2, None]), "a": rng.choice(pool)}
        if sort == 2:
            return {name: rng.choice(pool) for name in rng.sample(["a", "b", "n"], rng.choice((1, 2)))}
        return [rng.choice(pool) for _ in range(rng.choice((1, 2)))]

    left = [element() for _ in range(rng.choice((2, 3, 4)))]
    right = [element() if rng.random() < 0.15 else one for one in left]
    rng.shuffle(right)
    right = _changed(rng, right, to_uuid=rng.random() < 0.5, chance=rng.choice((0.0, 0.1)))
    block = _block(rng)
    for rule in block.get("tolerate", []):
        rule["at"] = rng.choice(["$..", rule["at"]])
    if rng.random() < 0.8:
        block["order"] = {
            rng.choice(["$", "$.."]): rng.choice(["any", "any", {"key": "n"}, {"sorted_by": "n"}, {"sorted_by": "-n"}])
        }
    return Draw(spelled(rng, left).encode(), spelled(rng, right).encode(), block, pairs)


def _value(rng: random.Random, room: int) -> Any:
    sort = rng.random()
    if room and sort < 0.3:
        names = rng.sample([*NAMES, rng.choice(LEGACIES), rng.choice(UUIDS)], rng.randrange(4))
        return {name: _value(rng, room - 1) for name in names}
    if room and sort < 0.65:
        if rng.random() < 0.5:
            return [_row(rng, room - 1) for _ in range(rng.randrange(4))]
        return [_value(rng, room - 1) for _ in range(rng.randrange(5))]
    if sort < 0.75:
        return rng.choice([None, True, False, [], {}])
    if sort < 0.85:
        return rng.choice(NUMBERS)
    return _id(rng) if sort < 0.93 else rng.choice(TEXTS)


def _row(rng: random.Random, room: int) -> dict[str, Any]:
    row: dict[str, Any] = {"n": rng.choice([0, 1, 2, None]), "a": _value(rng, room)}
    if rng.random() < 0.5:
        row[rng.choice(["_id", "id"])] = rng.choice([*LEGACIES, 1, 2])
    if rng.random() < 0.3:
        row["b"] = rng.choice([*TEXTS, *NUMBERS])
    return row


def _id(rng: random.Random) -> str:
    one = rng.choice([*LEGACIES, *LEGACIES, *UUIDS])
    shape = rng.random()
    if shape < 0.6:
        return one
    if shape < 0.7:
        return one.upper()
    if shape < 0.8 and "-" in one:
        return rng.choice([f"{{{one}}}", one.replace("-", "")])
    return rng.choice([f"/u/{one}/x", f"{one},{rng.choice(LEGACIES)}", f"X {one}", f"{one}0", f"\b{one[1:]}"])


def _changed(rng: random.Random, value: Any, to_uuid: bool, chance: float) -> Any:
    """The value as the other store has it, with changes that rules may or may not forgive."""
    if rng.random() < chance:
        value = _instead(rng, value)
    if isinstance(value, dict):
        members = [(_other(name, to_uuid), _changed(rng, item, to_uuid, chance)) for name, item in value.items()]
        if rng.random() < 0.3:
            rng.shuffle(members)
        return dict(members)
    if isinstance(value, list):
        items = [_changed(rng, item, to_uuid, chance) for item in value]
        if rng.random() < 0.25:
            rng.shuffle(items)
        return items
    return _other(value, to_uuid) if isinstance(value, str) else value


def _other(text: str, to_uuid: bool) -> str:
    if to_uuid:
        for _, legacy, uuid in PAIRS:
            text = text.replace(legacy, uuid)
    return text


def _instead(rng: random.Random, value: Any) -> Any:
    if isinstance(value, dict) and rng.random() < 0.8:
        value = dict(value)
        how = rng.randrange(4)
        if how == 0 or not value:
            value[rng.choice(NAMES)] = rng.choice([None, None, 1])
        elif how == 1:
            value.pop(rng.choice(list(value)))
        elif how == 2:
            name = rng.choice(list(value))
            value = {rng.choice(NAMES) if key == name else key: item for key, item in value.items()}
        return value
    if isinstance(value, list) and value and rng.random() < 0.8:
        value = list(value)
        how = rng.randrange(3)
        if how == 0:
            value.insert(rng.randrange(len(value) + 1), rng.choice(value))
        elif how == 1:
            value.pop(rng.randrange(len(value)))
        else:
            rng.shuffle(value)
        return value
    if isinstance(value, str) and value:
        return rng.choice([value.swapcase(), f"{value} ", value.upper(), rng.choice(TEXTS), None])
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return rng.choice([str(value), value + 1, value + Decimal("0.01"), None])
    return _value(rng, 1)


def _block(rng: random.Random) -> dict[str, Any]:
    block: dict[str, Any] = {}
    tolerances: list[dict[str, Any]] = []
    for kind in _KINDS:
        at = rng.choice(PATHS)
        tolerances += [{"kind": kind, "at": at}] if rng.random() < 0.15 else []
    if rng.random() < 0.15:
        tolerances.append({"kind": "number", "at": rng.choice(PATHS), "epsilon": rng.choice([0.01, 0.02, 1])})
    if rng.random() < 0.15:
        tolerances.append({"kind": "date_precision", "at": rng.choice(PATHS), "unit": rng.choice(["s", "ms"])})
    if rng.random() < 0.15:
        tolerances.append(
            {
                "kind": "alias",
                "at": rng.choice(["$..", "$", "$..a"]),
                "names": rng.choice([["_id", "id"], ["a", "b"]]),
            }
        )
    if tolerances:
        block["tolerate"] = tolerances
    if rng.random() < 0.5:
        block["order"] = {
            rng.choice(PATHS): rng.choice(
                [
                    "any",
                    "any",
                    {"key": "id"},
                    {"key": "n"},
                    {"sorted_by": "n"},
                    {"sorted_by": ["-n"], "nulls": "last"},
                ]
            )
            for _ in range(rng.choice((1, 1, 2)))
        }
    if rng.random() < 0.2:
        block["ignore"] = [rng.choice(["$..n", "$.a", "$..b", "$.a[*]", "$..id", "$..a"])]
    mode = rng.random()
    if mode < 0.1:
        block["ids"] = "exact"
    elif mode < 0.25:
        block["ids"] = {"entities": {rng.choice(["$..id", "$..", "$..a"]): rng.choice(["user", "order"])}}
    return block


def spelled(rng: random.Random, value: Any) -> str:
    """JSON text of a value, in a spelling by chance: blanks, escapes, and other spellings of the same numbers."""
    return _Speller(rng).written(value)


class _Speller:
    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._plain = rng.random() < 0.6

    def written(self, one: Any) -> str:
        gap = self._gap
        if isinstance(one, dict):
            inside = [f"{gap()}{self._text(k)}{gap()}:{gap()}{self.written(v)}{gap()}" for k, v in one.items()]
            return "{" + (",".join(inside) or gap()) + "}"
        if isinstance(one, list):
            return "[" + (",".join(f"{gap()}{self.written(item)}{gap()}" for item in one) or gap()) + "]"
        if isinstance(one, str):
            return self._text(one)
        return json.dumps(one) if one is None or isinstance(one, bool) else self._number(one)

    def _gap(self) -> str:
        return "" if self._plain else self._rng.choice(["", "", " ", "\n"])

    def _text(self, one: str) -> str:
        alone = any("\ud800" <= char <= "\udfff" for char in one)
        if self._plain or self._rng.random() < 0.8:
            return json.dumps(one, ensure_ascii=alone)
        return '"' + "".join(self._character(char) for char in one) + '"'

    def _character(self, char: str) -> str:
        if self._rng.random() < 0.2 and ord(char) <= 0xFFFF:
            return f"\\u{ord(char):04x}"
        return json.dumps(char)[1:-1]

    def _number(self, one: Any) -> str:
        said = str(one)
        if self._plain or self._rng.random() < 0.5:
            return said
        other = f"{Decimal(one):.3f}" if abs(one) < 1_000 else f"{Decimal(one):E}"
        return other if Decimal(other) == one else said
