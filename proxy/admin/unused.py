"""Rules that forgave nothing in a domain's window: what they are for is over, or they never were for it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import date
from typing import Any

from comparators.reading import read_block
from proxy.settings import Settings


def unused_rules(
    settings: Settings, domain: str, used: Collection[tuple[str, str]], today: date
) -> list[dict[str, Any]]:
    """The ignored paths, orders and tolerances that stand for `domain` today and are not among `used`.

    `used` names kind and path of a rule as the ledger counts them. A rule that stands for all domains may well be used
    in another one; `where` is the key that leads to its block.
    """
    kinds_of_order = {rule for kind, rule in used if kind not in _NOT_ORDERS}
    found = []
    for where, block in _blocks(settings, domain):
        read = read_block(block, today)
        said = [("ignore", path.text) for path in read.ignores]
        said += [(one.kind, one.path.text) for one in read.tolerances]
        found += [{"where": where, "kind": kind, "rule": rule} for kind, rule in said if (kind, rule) not in used]
        found += [
            {"where": where, "kind": "order", "rule": path.text}
            for path, _ in read.orders
            if path.text not in kinds_of_order
        ]
    return found


_NOT_ORDERS = frozenset({
    "ignore", "null_missing", "number_string", "decimal_scale", "date_format", "date_precision", "number", "alias",
    "populated", "case", "whitespace", "empty",
})  # fmt: skip
"""What is counted for rules that are no order: a rule of order is counted under what it let pass."""


def _blocks(settings: Settings, domain: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    named = settings.domains[domain]
    yield "compare", settings.compare
    yield f"domains.{domain}.compare", named.compare
    for route in named.routes:
        yield f"{route.route}: compare", route.compare
