"""What the first process and a worker tell each other. All of it is capped where it is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from proxy.fleet.increments import Increments
from proxy.ledger import Recording
from proxy.model import Ended, ReadRequest
from proxy.telemetry.logs import LogFormat

# --- to a worker ---


class Begin(msgspec.Struct, tag=True, frozen=True):
    """The first thing that a worker is told. `settings` are pickled, by its own parent; `key` as in `Lasting`."""

    number: int
    settings: bytes
    key: bytes
    host: str
    port: int
    log_format: LogFormat
    verbose: bool


class Quiet(msgspec.Struct, tag=True, frozen=True):
    """The domains that are paused from now on, all of them; `version` comes back with the beats that follow."""

    version: int
    domains: tuple[str, ...]


class WhichRecent(msgspec.Struct, tag=True, frozen=True):
    """Asks for the requests that `domain` was asked with last."""

    domain: str


class Reload(msgspec.Struct, tag=True, frozen=True):
    """`settings` as in `Begin`."""

    number: int
    settings: bytes


class Anew(msgspec.Struct, tag=True, frozen=True):
    """Say to the ledger anew which rules apply: a day has begun."""


class Stop(msgspec.Struct, tag=True, frozen=True):
    """Drain clients, then verification, and end."""


# --- from a worker ---


class Serving(msgspec.Struct, tag=True, frozen=True):
    """The worker takes connections."""


class Failed(msgspec.Struct, tag=True, frozen=True):
    """The worker cannot begin, and ends."""

    reason: str


class Reloaded(msgspec.Struct, tag=True, frozen=True):
    """What became of the reload of that number; `refused` says why it was not taken."""

    number: int
    refused: str | None


class Recents(msgspec.Struct, tag=True, frozen=True):
    """The answer to `WhichRecent`. The requests bear credentials: they are kept in memory only, and never logged."""

    domain: str
    requests: tuple[ReadRequest, ...]


class Remembering(msgspec.Struct, tag=True, frozen=True):
    """Requests by the id of the trace that was kept of them. They bear credentials, as those of `Recents` do."""

    requests: tuple[tuple[str, ReadRequest], ...]


@dataclass(frozen=True, slots=True)
class DomainBeat:
    """`ended` and `skipped` since the beat before, as `Seen` counts them; `busy` exchanges have no verdict yet."""

    ended: int
    skipped: int
    busy: int


class Beat(msgspec.Struct, tag=True, frozen=True):
    """What a worker tells of itself all the time.

    `quiet` is the version of the last `Quiet` that it has followed before `domains` was counted. `ended` are the
    exchanges since the beat before, as far as the tail kept them, `missed` how many it did not keep. `recording` and
    `figures` come once a second.
    """

    quiet: int
    domains: dict[str, DomainBeat]
    ended: tuple[Ended, ...]
    missed: int
    recording: Recording | None = None
    figures: Increments | None = None


ToWorker: TypeAlias = Begin | Quiet | WhichRecent | Reload | Anew | Stop
FromWorker: TypeAlias = Serving | Failed | Reloaded | Recents | Remembering | Beat
