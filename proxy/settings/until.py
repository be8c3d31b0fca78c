"""Rules that bear an `until`: which of them have expired on a day, and which soon will. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from comparators.rules import compile_rules
from proxy.settings.model import Settings

WARN_DAYS = 14
"""How many days before it expires a rule is warned of."""


@dataclass(frozen=True, slots=True)
class DatedRule:
    """A rule that has expired, or will within `WARN_DAYS`. `domain` is None for one that stands for all domains.

    `text` is the key that leads to it in the configuration, and its date.
    """

    domain: str | None
    text: str
    expired: bool

    def concerns(self, domain: str) -> bool:
        return self.domain in (None, domain)


def dated_rules(settings: Settings, today: date) -> tuple[DatedRule, ...]:
    """In the order of the configuration. A rule applies through the day of its `until`, in UTC.

    The comparison's own reading of the rules is asked, so that this never says other than what is done.
    """
    found = []
    for domain, key, block in _blocks(settings):
        if not block:
            continue
        expired = compile_rules([block], today=today).expired
        later = compile_rules([block], today=today + timedelta(days=WARN_DAYS)).expired
        found += [DatedRule(domain, f"{key}.{text}", text in expired) for text in later]
    return tuple(found)


def _blocks(settings: Settings) -> Iterator[tuple[str | None, str, Mapping[str, Any]]]:
    yield None, "compare", settings.compare
    for name, domain in settings.domains.items():
        yield name, f"domains.{name}.compare", domain.compare
        for number, route in enumerate(domain.routes):
            yield name, f"domains.{name}.routes[{number}].compare", route.compare
