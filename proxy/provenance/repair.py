"""Putting back what a canary has changed, also when the process that changed it is dead."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from proxy.errors import ShadowreadError
from proxy.ledger import Canary, LedgerReader, standing
from proxy.ledger.journal import process_start
from proxy.provenance.fields import FieldError, Fields, Place
from proxy.settings import Settings

log = logging.getLogger(__name__)

ABANDONED = timedelta(minutes=2)
"""A canary takes seconds: of one on another machine, whose process cannot be looked at, this is waited."""


@dataclass(frozen=True, slots=True)
class Repaired:
    """What became of one canary. `ok` is False while its field may still bear the mark."""

    canary: Canary
    ok: bool
    text: str


class RepairError(ShadowreadError):
    """A field may still bear the mark of a canary, and it cannot be looked at."""


async def restore(fields: Fields, ledger: LedgerReader, canary: Canary, now: Callable[[], datetime]) -> str:
    """Put the old value back where the mark still stands; what else stands there is somebody's, and stays.

    Returns what was done. Raises FieldError or LedgerError; the canary stays unfinished then.
    """
    place = Place(canary.table, canary.key, canary.column)
    if await fields.exchange(place, canary.row, canary.marked, canary.before):
        note = f"{place.name} has its value again"
    else:
        note = f"{place.name} did not bear the mark (any more) and was left as it is"
    await ledger.write(lambda connection: standing.advance_canary(connection, canary.id, "restored", note, now()))
    return note


def abandoned(canaries: Sequence[Canary], at: datetime) -> list[Canary]:
    """Those whose process is gone."""
    return [one for one in canaries if not _alive(one, at)]


def _alive(canary: Canary, at: datetime) -> bool:
    if canary.host == socket.gethostname() and canary.pid_start:
        return process_start(canary.pid) == canary.pid_start
    return at - canary.at < ABANDONED


async def repair_all(
    settings: Settings, ledger: LedgerReader, now: Callable[[], datetime], domain: str | None = None
) -> list[Repaired]:
    """Look at every field that a dead process may have left marked. Raises RepairError, LedgerError."""
    found = await ledger.ask(lambda connection: standing.canaries(connection, domain, unfinished=True))
    left = abandoned(found, now())
    if not left:
        return []
    dsn = settings.provenance.canary_dsn
    if dsn is None:
        names = ", ".join(sorted({f"{one.table}.{one.column}" for one in left}))
        raise RepairError(
            f"a canary may still be in {names}: set provenance.canary_dsn and run `shadowread prove {left[0].domain} "
            "--restore`"
        )
    try:
        async with Fields.open(dsn.get_secret_value()) as fields:
            return [await _one(fields, ledger, one, now) for one in left]
    except FieldError as error:
        raise RepairError(f"a canary may still be in {left[0].table}.{left[0].column}: {error}") from error


async def _one(fields: Fields, ledger: LedgerReader, canary: Canary, now: Callable[[], datetime]) -> Repaired:
    try:
        text = await restore(fields, ledger, canary, now)
    except FieldError as error:
        log.error("a canary may still be in %s.%s: %s", canary.table, canary.column, error)
        return Repaired(canary, ok=False, text=f"{canary.table}.{canary.column} may still bear the mark: {error}")
    log.warning("a canary of a process that ended too early was cleaned up: %s", text)
    return Repaired(canary, ok=True, text=text)
