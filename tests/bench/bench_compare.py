"""How long a comparison takes, as multiples of parsing both bodies with orjson and asking `==`.

All of it runs interleaved in one process, so only the ratios within a table mean something. Run with `make bench`.
"""

from __future__ import annotations

import random
import statistics
import sys
import time
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

import orjson
from deepdiff import DeepDiff

from comparators.compare import compare_bodies
from comparators.ids import IdPair, IdTable
from comparators.rules import Rules, compile_rules

SIZES = {"1 KB": 2, "10 KB": 22, "100 KB": 220}
ROUNDS = {"1 KB": 400, "10 KB": 60, "100 KB": 15}
USUAL: dict[str, Any] = {
    "ignore": ["$.requestId", "$..__v"],
    "tolerate": [{"kind": "null_missing"}, {"kind": "decimal_scale"}, {"kind": "date_precision"}],
}


def listing(rows: int, rng: random.Random) -> tuple[dict[str, Any], dict[str, Any], IdTable]:
    """A page of offers as the primary and as the shadow serve it, and the ids that join them."""
    pairs: list[IdPair] = []

    def new(entity: str) -> IdPair:
        pairs.append(IdPair(entity, f"{rng.getrandbits(96):024x}", str(uuid.UUID(int=rng.getrandbits(128), version=4))))
        return pairs[-1]

    sides: tuple[list[Any], list[Any]] = ([], [])
    for _ in range(rows):
        own, seller = new("offer"), new("user")
        fields = {
            "title": rng.choice(["escrow order", "Zürich plain", "\N{WRAPPED PRESENT} refund"]),
            "price": {"amount": f"{rng.uniform(1, 9e4):.2f}", "currency": "USDT"},
            "deliveryDays": rng.randrange(30),
            "rating": rng.randrange(50) / 10,
            "active": rng.random() < 0.5,
            "tags": ["escrow", "level", "guard"],
            "note": None,
            "createdAt": f"2026-01-15T20:{rng.randrange(60):02}:05.{rng.randrange(1000):03}Z",
        }
        for side, name in zip(sides, ("legacy", "uuid"), strict=True):
            ids = {"_id": getattr(own, name), "sellerId": getattr(seller, name)}
            side.append({**ids, "avatar": f"/uploads/{ids['sellerId']}/a.png", **fields})
    left, right = ({"success": True, "data": side} for side in sides)
    return left, right, IdTable.of(pairs)


def pairs_of(rows: int) -> dict[str, tuple[bytes, bytes, IdTable, Rules]]:
    """The pairs that are timed, by what they show."""
    rng = random.Random(7)
    left, right, table = listing(rows, rng)
    plain, any_order = compile_rules([{}]), compile_rules([{"order": {"$.data": "any"}}])
    data = right["data"]
    middle = len(data) // 2
    one = [{**row, "deliveryDays": 99} if n == middle else row for n, row in enumerate(data)]
    every = [{**row, "title": "another"} for row in data]
    shuffled = rng.sample(data, len(data))
    primary, equal = orjson.dumps(left), orjson.dumps(right)
    return {
        "same bytes": (equal, equal, table, plain),
        "equal modulo ids": (primary, equal, table, plain),
        "the same, usual rules": (primary, equal, table, compile_rules([USUAL])),
        "one field differs": (primary, orjson.dumps({**right, "data": one}), table, plain),
        "every element differs": (primary, orjson.dumps({**right, "data": every}), table, plain),
        "reordered under any": (primary, orjson.dumps({**right, "data": shuffled}), table, any_order),
    }


def medians(jobs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in taken.items()}


def floor_of(primary: bytes, shadow: bytes) -> bool:
    return bool(orjson.loads(primary) == orjson.loads(shadow))


def deepdiff_of(primary: bytes, shadow: bytes) -> object:
    return DeepDiff(orjson.loads(primary), orjson.loads(shadow))


def main() -> None:
    """Print the table."""
    write = sys.stdout.write
    write(f"{'pair':24}{'size':>8}{'floor us':>10}{'compare':>9}{'DeepDiff':>10}\n")
    for size, rows in SIZES.items():
        for name, (primary, shadow, table, rules) in pairs_of(rows).items():
            rounds = ROUNDS[size]
            times = medians(
                {
                    "floor": partial(floor_of, primary, shadow),
                    "compare": partial(compare_bodies, primary, shadow, rules, table),
                },
                rounds,
            )
            # Hundreds of times as slow: a few rounds are enough to tell.
            deep = medians({"deep": partial(deepdiff_of, primary, shadow)}, max(1, rounds // 40))
            floor = times["floor"]
            write(
                f"{name:24}{size:>8}{floor * 1e6:>10.0f}{times['compare'] / floor:>9.2f}{deep['deep'] / floor:>10.0f}\n"
            )


if __name__ == "__main__":
    main()
