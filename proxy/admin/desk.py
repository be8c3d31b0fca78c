"""What pages and API work with, and what the admin site asks of parts that stand beside it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, Protocol

from aiohttp import web

from comparators.ids import IdTable
from proxy.admin.assets import Assets
from proxy.admin.covering import Covering
from proxy.admin.evidence import Evidence
from proxy.admin.snapshot import Snapshot
from proxy.admin.trees import Trees
from proxy.settings import Settings
from proxy.settings.changes import InForce
from proxy.tail import Tail


class Ids(Protocol):
    """The id map."""

    async def lookup(self, tokens: Collection[str]) -> IdTable:
        """What joins `tokens`. Raises IdentityError, a ShadowreadError, when the map cannot be read."""
        ...


@dataclass(frozen=True, slots=True)
class ReplayAnswer:
    """What reading a stored exchange again told, in words; `again` is the id of the new reading's trace, if any."""

    answer: Literal["gone", "differs", "unknown"]
    text: str
    again: str | None


class Replays(Protocol):
    """Reads stored exchanges again."""

    async def trace(self, id_: str) -> ReplayAnswer:
        """Raises UnknownNameError for a trace that is not kept, LedgerError when the ledger cannot be read."""
        ...


@dataclass(frozen=True, slots=True)
class Desk:
    """What every handler is given. `ids` and `replays` are None where nothing is verified.

    Data that a page shows comes from `proxy.admin.content`, which the API answers with too.
    """

    settings: Settings
    evidence: Evidence
    snapshot: Snapshot
    tail: Tail
    boot: str
    """Tells this process from the one before: places in the tail are told with it."""
    ids: Ids | None
    replays: Replays | None
    now: Callable[[], datetime]
    assets: Assets
    covering: Covering
    """Looks for the rule that would cover a finding; made of `evidence`, `ids` and `now`."""
    trees: Trees
    """Puts the two bodies of a trace side by side; made of the same three."""
    in_force: Callable[[], InForce] | None = None
    """Which configuration the process works under; None where nobody tells."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What came of a form that was just sent; shown once, above the page."""

    kind: Literal["good", "bad", "plain"]
    text: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A form that was sent and not taken: `text` says why, `name` is that of the input (empty for all of it), `values`
    are what was typed."""

    text: str
    name: str = ""
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who looks. `csrf` goes into the hidden field `csrf` of every form that changes something.

    `signed_in` is whether there is a session to end; `can_act` whether forms that change something may be sent.
    """

    csrf: str
    signed_in: bool
    can_act: bool
    notice: Notice | None = None
    refused: Refused | None = None


PageHandler = Callable[[Desk, web.Request, Viewer], Awaitable[web.StreamResponse]]
"""Answers `GET` of one address of `PAGES`.

It is also called when a form of that page was refused, with `viewer.refused` set: then the request is a POST, and the
site sets the status. Raises BadQueryError, UnknownNameError and LedgerError, which become the error page.
"""
