"""What the gate decides on: figures that others have gathered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from proxy.model import COMPARISONS, Side, Verdict
from proxy.soak import PULSE_SECONDS
from proxy.window import DamageCount, FieldCount, KnownEntities, Latency, Standing, Watch, Window


@dataclass(frozen=True, slots=True)
class GateEvidence:
    """Everything the decision rests on, all of the domain's current window but for `lifetime_*`. No I/O is done.

    `observed` is the ledger's own count of finished exchanges, independent of `verdicts`, and so is
    `lifetime_observed` of `lifetime_verdicts`, over all windows. `window` is None where nothing has begun one.
    `rules` is the fingerprint of the rules as they are configured now, None where nobody knows it.

    `routes` are those that the configuration gives the domain, `route_comparisons` and `route_diffs` how often each was
    compared, with a primary that agreed with itself, and differed. `known_gaps` counts the diffs that a recorded gap
    explains. `entity_kinds` are the kinds that the routes name; `entities` counts by kind the distinct ones that
    matched, `known` what the id map has.

    `watches` are the stretches in which the domain was watched, extended every `pulse_seconds`. `standings` are what
    the checks of provenance last said, `latency` how long the compared reads of each side took. Of the `fields` paths
    that were seen, `fields_not_verified` never bore a value on both sides; `empty_fields` names the first of those.
    `damages` are what became of planted damage; what was always seen may be summed under one path.

    `rollback_text` is None when the file could not be read. `recording` is None while everything observed is being
    written, otherwise why it is not. `live` is False where nobody could ask: the decision is made from the ledger's
    file alone, beside the process that writes it. `tolerated` counts what was forgiven by kind and rule; `expired` and
    `expiring` name the rules that no longer apply on the day of `at`, and those that will not `warn_days` later.
    """

    at: datetime
    observed: int
    verdicts: Mapping[Verdict, int]
    window: Window | None = None
    rules: str | None = None
    lifetime_observed: int = 0
    lifetime_verdicts: Mapping[Verdict, int] = field(default_factory=dict)
    routes: tuple[str, ...] = ()
    route_comparisons: Mapping[str, int] = field(default_factory=dict)
    route_diffs: Mapping[str, int] = field(default_factory=dict)
    known_gaps: int = 0
    entity_kinds: tuple[str, ...] = ()
    entities: Mapping[str, int] = field(default_factory=dict)
    entities_exact: bool = True
    known: Mapping[str, KnownEntities] = field(default_factory=dict)
    watches: tuple[Watch, ...] = ()
    pulse_seconds: float = PULSE_SECONDS
    last_comparison_at: datetime | None = None
    standings: tuple[Standing, ...] = ()
    fields: int = 0
    fields_not_verified: int = 0
    empty_fields: tuple[FieldCount, ...] = ()
    damages: tuple[DamageCount, ...] = ()
    latency: Mapping[Side, Latency] = field(default_factory=dict)
    blockers: tuple[str, ...] = ()
    flags: Mapping[str, str] = field(default_factory=dict)
    rollback_path: str | None = None
    rollback_text: str | None = None
    recording: str | None = None
    live: bool = True
    tolerated: Mapping[tuple[str, str], int] = field(default_factory=dict)
    expired: tuple[str, ...] = ()
    expiring: tuple[str, ...] = ()
    warn_days: int = 0

    def total(self, kinds: Iterable[Verdict]) -> int:
        return sum(self.verdicts.get(verdict, 0) for verdict in kinds)

    @property
    def comparisons(self) -> int:
        return self.total(COMPARISONS)

    @property
    def diffs(self) -> int:
        return self.verdicts.get(Verdict.DIFF, 0)
