"""Which store each domain reads, from the flags of the backend's environment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Mode(StrEnum):
    """`mongo` is MongoDB alone; `dual` reads MongoDB and writes both; `postgres` reads Postgres and writes both."""

    MONGO = "mongo"
    DUAL = "dual"
    POSTGRES = "postgres"


@dataclass(frozen=True, slots=True)
class DomainFlags:
    """`health` is the domain's key in `/api/health`; the first flag of `flags` that is set decides."""

    domain: str
    health: str
    flags: tuple[str, ...]


DOMAINS = (
    DomainFlags("users", "user", ("REPO_USER", "AUTH_STORE")),
    DomainFlags("payments", "payment", ("REPO_PAYMENT",)),
    DomainFlags("marketplace", "marketplace", ("REPO_MARKETPLACE",)),
    DomainFlags("derived_destinations", "derivedDestination", ("REPO_DERIVED_DESTINATION",)),
    DomainFlags("trezor", "trezor", ("REPO_TREZOR",)),
    DomainFlags("points", "points", ("REPO_POINTS",)),
    DomainFlags("notifications", "notification", ("REPO_NOTIFICATION", "NOTIFICATION_STORE")),
    DomainFlags("disputes", "dispute", ("REPO_DISPUTE", "DISPUTE_STORE")),
    DomainFlags("blog", "blog", ("REPO_BLOG", "BLOG_STORE")),
    DomainFlags("chat", "chat", ("REPO_CHAT", "CHAT_STORE")),
    DomainFlags("release_holds", "releaseHold", ("REPO_RELEASE_HOLD", "RELEASE_HOLD_STORE")),
    DomainFlags("addresses", "address", ("ADDRESS_STORE",)),
    DomainFlags("categories", "category", ("CATEGORY_STORE",)),
    DomainFlags("level_config", "levelConfig", ("LEVEL_CONFIG_STORE", "LEVEL_STORE")),
    DomainFlags("shop_settings", "shopSettings", ("SHOP_SETTINGS_STORE",)),
    DomainFlags("reviews", "review", ("REVIEW_STORE",)),
    DomainFlags("config_settings", "config", ("CONFIG_STORE",)),
    DomainFlags("telegram", "telegram", ("AUTH_STORE",)),
)
DEFAULT_FLAG = "REPO_DEFAULT"
FLAG_NAMES = frozenset({DEFAULT_FLAG}.union(*(domain.flags for domain in DOMAINS)))
_SPELLINGS = MappingProxyType({"mongo": Mode.MONGO, "dual": Mode.DUAL, "pg": Mode.POSTGRES, "postgres": Mode.POSTGRES})


def parse_flags(text: str) -> dict[str, str]:
    """`REPO_USER=pg,AUTH_STORE=postgres` as a mapping; raises ValueError on an unknown flag or mode."""
    chosen: dict[str, str] = {}
    for word in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = word.partition("=")
        if name not in FLAG_NAMES:
            raise ValueError(f"unknown flag {name!r}; known: {', '.join(sorted(FLAG_NAMES))}")
        if value.lower() not in _SPELLINGS:
            raise ValueError(f"{name}={value!r}: a mode is one of {', '.join(_SPELLINGS)}")
        chosen[name] = value.lower()
    return chosen


def modes(flags: Mapping[str, str]) -> dict[str, Mode]:
    """Each domain's mode. A domain without a flag of its own follows REPO_DEFAULT, and that is `mongo` when unset."""
    default = _SPELLINGS[flags.get(DEFAULT_FLAG, "mongo")]
    resolved: dict[str, Mode] = {}
    for domain in DOMAINS:
        named = next((flags[flag] for flag in domain.flags if flag in flags), None)
        resolved[domain.domain] = default if named is None else _SPELLINGS[named]
    return resolved


def primary_flags() -> dict[str, str]:
    """The flags of the instance that clients talk to: reads MongoDB, writes both."""
    return {flag: "dual" for domain in DOMAINS for flag in domain.flags}


def twin_flags(bugs: frozenset[str]) -> dict[str, str]:
    """The flags of the twin that reads Postgres, but for the release holds when their bug is planted."""
    flags = {flag: "pg" for domain in DOMAINS for flag in domain.flags}
    if "release_hold_reads_mongo" in bugs:
        # No dual-write wrapper exists there, so `dual` reads MongoDB without a word.
        flags |= {"REPO_RELEASE_HOLD": "dual", "RELEASE_HOLD_STORE": "dual"}
    return flags
