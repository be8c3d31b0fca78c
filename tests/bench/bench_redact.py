"""What hiding costs: both bodies of an exchange redacted, beside comparing them, and texts made to be slow.

Run by `python -m tests.bench.bench_redact`. Redaction is paid for exchanges that differed only, comparing for all.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import click

from comparators.compare import compare_bodies
from comparators.ids import IdTable
from comparators.rules import compile_rules
from proxy.verify.redact import Hiding, Redactor

SIZES = {"1 KB": 4, "10 KB": 40, "100 KB": 400, "1 MB": 4_000, "8 MB": 32_000}
ROUNDS = 5
ALLOWED = 8.0
"""How many times the comparison's time redaction may take where all differ."""
HOSTILE = (
    "eyJ",
    "token=b&",
    "mongodb://a",
    "-----BEGIN PRIVATE KEY-----",
    "a%41 ",
    "basic aaaaaaaa ",
    "W3si",
    "token: ",
)
HOSTILE_BYTES = 4_000_000
HOSTILE_SECONDS = 10.0


def body(count: int, side: int) -> bytes:
    items: list[dict[str, Any]] = [
        {
            "_id": f"{number:024x}",
            "title": f"Offer number {number}",
            "price": f"{number}.{side}0",
            "url": f"https://cdn.shop.test/{number}/large.png",
            "seller": {"name": "Jo Doe", "accessToken": f"tok{number:08}x{side}"},
            "createdAt": "2026-01-02T03:04:05.678Z",
        }
        for number in range(count)
    ]
    return json.dumps({"data": items}).encode()


def seconds(job: Callable[[], object], rounds: int = ROUNDS) -> float:
    taken = []
    for _ in range(rounds):
        began = time.process_time()
        job()
        taken.append(time.process_time() - began)
    return statistics.median(taken)


def main() -> int:
    redactor = Redactor(Hiding(("$..email", "$..phone")), b"k" * 32)
    fields = ((b"Authorization", b"Bearer q8w7e6r5t4y3u2i1"), (b"Cookie", b"sid=abcdef0123456789; theme=dark"))
    also = redactor.credentials(target="/api/offers?page=2", fields=(fields,))
    rules, failed = compile_rules([{"ids": "exact"}]), False
    click.echo(f"{'bodies':>8} {'compared':>11} {'redacted':>11} {'ratio':>6}")
    for name, count in SIZES.items():
        pair = body(count, 1), body(count, 2)
        compared = seconds(lambda pair=pair: compare_bodies(pair[0], pair[1], rules, IdTable()))  # type: ignore[misc]  # default
        redacted = seconds(lambda pair=pair: redactor.bodies(pair, also))  # type: ignore[misc]  # binds the loop's
        ratio = redacted / compared
        failed |= ratio > ALLOWED
        click.echo(f"{name:>8} {compared * 1e3:>8.2f} ms {redacted * 1e3:>8.2f} ms {ratio:>6.1f}")
    for unit in HOSTILE:
        text = json.dumps([unit * (HOSTILE_BYTES // len(unit))]).encode()
        taken = seconds(lambda text=text: redactor.bodies((text,), also), 1)  # type: ignore[misc]  # binds the loop's
        failed |= taken > HOSTILE_SECONDS
        click.echo(f"4 MB of {unit!r}: {taken:.2f} s")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
