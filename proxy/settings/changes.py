"""What may change while the proxy runs, and how one configuration is told from another. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from proxy.errors import ShadowreadError
from proxy.settings.model import Settings
from proxy.settings.show import show

DIGITS = 16
FIXED = ("listen", "admin.listen", "admin.token", "admin.session", "ledger.url", "ledger.journal", "ledger.flush")
"""Keys that are looked at when the process starts and not again: where it listens, who may look, where evidence is."""


class ReloadRefusedError(ShadowreadError):
    """A configuration cannot take over. `problems` says why, each in one line."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Refusal:
    """A configuration that was not taken, and why, each problem in one line."""

    at: datetime
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InForce:
    """Which configuration the process works under: when it was taken over, and its `fingerprint`.

    `reloads` counts those taken over since the start, `refused` tells of a newer one that was not.
    """

    at: datetime
    fingerprint: str
    reloads: int = 0
    refused: Refusal | None = None

    def in_short(self) -> dict[str, Any]:
        """What anybody may know: not why one was refused, which may name inner hosts."""
        return {**self.as_json(), "refused": self.refused is not None}

    def as_json(self) -> dict[str, Any]:
        refused = self.refused
        return {
            "loaded_at": self.at.isoformat(),
            "fingerprint": self.fingerprint,
            "reloads": self.reloads,
            "refused": None if refused is None else {"at": refused.at.isoformat(), "problems": list(refused.problems)},
        }


def changed(before: Settings, after: Settings) -> list[str]:
    """The keys that differ, each as far down as both have it, in order."""
    return list(_differing(_plain(before), _plain(after), ""))


def fingerprint(settings: Settings) -> str:
    """The configuration as 16 hex digits: a SHA-256 of what `config show` tells of it, and so of no secret."""
    text = json.dumps(show(settings), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def refuse_fixed(before: Settings, after: Settings) -> None:
    """Raise ReloadRefusedError, which names every key, where `after` differs in what needs a restart."""
    problems = [
        f"{key}: cannot change while the proxy runs; restart it, or take the change back"
        for key in FIXED
        if _at(before, key) != _at(after, key)
    ]
    if problems:
        raise ReloadRefusedError(problems)


def _at(settings: Settings, key: str) -> Any:
    found: Any = settings
    for name in key.split("."):
        found = getattr(found, name)
    return found


def _plain(settings: Settings) -> Any:
    return settings.model_dump(by_alias=True)


def _differing(before: Any, after: Any, at: str) -> Iterator[str]:
    if before == after:
        return
    if not isinstance(before, dict) or not isinstance(after, dict):
        yield at
        return
    for name in {**before, **after}:
        where = f"{at}.{name}" if at else str(name)
        if name in before and name in after:
            yield from _differing(before[name], after[name], where)
        else:
            yield where
