"""The strongest proof: a field is changed in Postgres alone for a moment, and the shadow's answer has to show it."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from comparators.compare import compare_responses
from comparators.ids import IdTable
from comparators.model import Response
from comparators.rules import Rules, compile_rules
from proxy.ledger import Canary, LedgerReader, standing
from proxy.ledger.journal import process_start
from proxy.model import Observation, ReadRequest
from proxy.provenance.fields import FieldError, Fields, Place
from proxy.provenance.reads import Reads
from proxy.provenance.repair import restore
from proxy.window import Proof

log = logging.getLogger(__name__)

READS_AT = (0.0, 0.1, 0.3, 0.6)
"""Seconds between the reads that look for the mark: a replica may be a little behind. In all they take less than the
settling of a live comparison, so that one in flight at that moment is no finding."""
RESTORES_AFTER = (0.5, 1.0, 2.0, 4.0)
"""Seconds between the attempts to put the old value back, where Postgres does not let it be written."""
MAX_NAMED = 5


@dataclass(frozen=True, slots=True)
class Trial:
    """The row whose field is changed, and the request whose answer shows it. `rules` are the live ones of its route."""

    domain: str
    place: Place
    row: str
    request: ReadRequest
    rules: Rules


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it. `restored` says what became of the field; `paths` are where the answer differed."""

    proof: Proof
    text: str
    paths: tuple[str, ...] = ()
    restored: str = ""


@dataclass(frozen=True, slots=True)
class Means:
    """What a canary is run with. `fresh` makes an id; `now` and `sleep` are the clock."""

    fields: Fields
    ledger: LedgerReader
    reads: Reads
    now: Callable[[], datetime]
    fresh: Callable[[], str]
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


async def run(trial: Trial, means: Means) -> Outcome:
    """Mark the field, look for the mark in the shadow's answer, and put the old value back, in every case.

    What is done is in the ledger before it is done. Raises FieldError and LedgerError before anything was changed;
    afterwards only for what leaves the mark in place, which the next start of the proxy looks at again.
    """
    place, row = trial.place, trial.row
    await means.fields.check(place)
    first, second = await _answer(trial, means), await _answer(trial, means)
    noise = _differing(first, second, trial.rules) | _differing(first, second, _PLAIN)
    canary_id = means.fresh()
    before, marked = await means.fields.value(place, row, canary_id[-8:])
    others = await means.fields.others(place, row)
    at = means.now()
    canary = Canary(
        canary_id, trial.domain, place.table, place.key, row, place.column, before, marked, "planned", "", at, at,
        socket.gethostname(), os.getpid(), process_start(os.getpid()),
    )  # fmt: skip
    await means.ledger.write(lambda connection: _plan(connection, canary))
    try:
        if not await means.fields.exchange(place, row, before, marked):
            raise FieldError(f"{place.name} was changed by somebody else a moment ago; try again")
        await means.ledger.write(
            lambda connection: standing.advance_canary(connection, canary_id, "marked", "", means.now())
        )
        found = await _look(trial, means, second, noise)
    finally:
        # Also when the one who waits is interrupted: a mark must not stay because somebody lost patience.
        restored = await _restore(canary, means)
    changed = sorted(
        name for name, value in (await means.fields.others(place, row)).items() if others.get(name, value) != value
    )
    if changed:
        restored += (
            f"; other columns of the row were changed meanwhile, by a trigger or by somebody: {', '.join(changed)}"
        )
    return Outcome(found.proof, found.text, found.paths, restored)


async def _plan(connection: AsyncConnection, canary: Canary) -> None:
    """Write it down, unless the field bears another one's mark: that would be taken for its value, and put back."""
    field = (canary.table, canary.key, canary.row, canary.column)
    for one in await standing.canaries(connection, unfinished=True):
        if (one.table, one.key, one.row, one.column) == field:
            raise FieldError(
                f"another canary is in {canary.table}.{canary.column} of the same row, or was left there; try again, "
                f"after `shadowread prove {one.domain} --restore` if need be"
            )
    await standing.plan_canary(connection, canary)


async def _restore(canary: Canary, means: Means) -> str:
    """Put the old value back; somebody else's lock or a lost connection is waited for a little."""
    for wait in RESTORES_AFTER:
        try:
            return await restore(means.fields, means.ledger, canary, means.now)
        except FieldError as error:
            log.warning("the mark could not be taken back yet: %s", error)
        await means.sleep(wait)
    try:
        return await restore(means.fields, means.ledger, canary, means.now)
    except FieldError as error:
        raise FieldError(
            f"{canary.table}.{canary.column} may still bear the mark: {error}; run `shadowread prove {canary.domain} "
            "--restore`"
        ) from error


async def _look(trial: Trial, means: Means, before: Observation, noise: set[str]) -> Outcome:
    """Read until the answer shows something new."""
    name, hidden = trial.place.name, set[str]()
    told = f"{trial.request.method} {_path(trial)}"
    for wait in READS_AT:
        await means.sleep(wait)
        seen = await means.reads.shadow_read(trial.domain, trial.request)
        if seen.error is not None or seen.status != before.status:
            continue
        if paths := sorted(_differing(before, seen, trial.rules) - noise):
            return Outcome(
                "proven",
                f"a mark in {name}, in Postgres only, showed in the shadow's answer at {_named(paths)}",
                tuple(paths),
            )
        hidden = _differing(before, seen, _PLAIN) - noise
    if hidden:
        paths = sorted(hidden)
        return Outcome(
            "failed",
            f"a mark in {name} showed in the shadow's answer at {_named(paths)}, but the rules hide it there",
            tuple(paths),
        )
    return Outcome(
        "failed",
        f"a mark in {name}, in Postgres only, did not show in the shadow's answer to {told}: the shadow does not read "
        "it from Postgres, or keeps its answers, or does not show the column",
    )


def _path(trial: Trial) -> str:
    """The target without its query, which may hold secrets."""
    return trial.request.target.partition("?")[0]


def _named(paths: list[str]) -> str:
    more = f" and {len(paths) - MAX_NAMED} more" if len(paths) > MAX_NAMED else ""
    return ", ".join(paths[:MAX_NAMED]) + more


async def _answer(trial: Trial, means: Means) -> Observation:
    seen = await means.reads.shadow_read(trial.domain, trial.request)
    if seen.error is not None or seen.status is None or not 200 <= seen.status < 300:
        why = seen.detail or seen.error or f"status {seen.status}"
        raise FieldError(f"the shadow's answer to {trial.request.method} {_path(trial)} shows nothing: {why}")
    return seen


def _differing(left: Observation, right: Observation, rules: Rules) -> set[str]:
    """Where two answers of one side differ under the rules."""
    found = compare_responses(_response(left), _response(right), rules, IdTable())
    return {difference.path for difference in found.differences}


def _response(seen: Observation) -> Response:
    fields = tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in seen.headers)
    return Response(seen.status or 0, fields, seen.body or b"")


_PLAIN = compile_rules([{"headers": []}])
