"""Asks what a zero will rest on: what both sides say of themselves, the counted tables, the gaps, the sweeps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from datetime import datetime

from proxy.cli.inspect import Line
from proxy.identity.census import Census
from proxy.identity.errors import IdentityError
from proxy.identity.gaps import GapTables
from proxy.provenance import health, scans
from proxy.provenance.counters import Counters, CountersError
from proxy.provenance.documents import Documents, fetcher
from proxy.settings import Settings

NO_ID = "0" * 24
"""Asked for where only the asking matters."""


async def meaning(settings: Settings, now: Callable[[], datetime]) -> list[Line]:
    """One line for what is well of each, and one for each domain where something is not."""
    found = await asyncio.gather(
        _health(settings, now), _counted_tables(settings), _gaps(settings), _sweeps(settings, now)
    )
    return [line for lines in found for line in lines]


async def _health(settings: Settings, now: Callable[[], datetime]) -> list[Line]:
    """A domain that is not proven is no fault of the configuration, so each is a note: its gate stays closed."""
    named = [name for name, domain in settings.domains.items() if domain.provenance.primary or domain.provenance.shadow]
    if not named:
        return []
    async with AsyncExitStack() as stack:
        accounts = await Documents(settings, fetcher(settings, stack), now).look(named)
    judged = [(account.domain, *health.judge(account.primary, account.shadow)) for account in accounts]
    proven = sum(proof == "proven" for _, proof, _ in judged)
    lines = [
        Line("provenance", "health", True, f"{proven} of {len(judged)} domains read two stores, as both sides say")
    ]
    advice = "until both sides say what is expected the gate stays closed"
    return lines + [
        Line("provenance", f"domains.{name}.provenance", True, text, advice)
        for name, proof, text in judged
        if proof != "proven"
    ]


async def _counted_tables(settings: Settings) -> list[Line]:
    """The tables of domains whose scans Postgres is to be asked for."""
    if settings.postgres is None:
        return []
    dsn, lines, well = settings.postgres.dsn.get_secret_value(), list[Line](), 0
    for name, domain in settings.domains.items():
        if domain.stage == "off" or scans.cannot(settings, domain) is not None:
            continue
        counters = Counters(dsn, domain.tables)
        try:
            await counters.read()
            well += 1
        except CountersError as error:
            remedy = f"correct domains.{name}.tables, or give the account of postgres.dsn the right"
            lines.append(Line("provenance", f"domains.{name}.tables", False, str(error), remedy))
        finally:
            await counters.close()
    if well:
        lines.insert(0, Line("provenance", "scans", True, f"Postgres counts the scans of {well} domains' tables"))
    return lines


async def _gaps(settings: Settings) -> list[Line]:
    tables = GapTables.of(settings)
    if tables is None:
        return []
    await tables.start()
    try:
        await tables.open_for([NO_ID])
    except IdentityError as error:
        return [Line("known gaps", "gaps", False, str(error), "correct its table and columns")]
    finally:
        await tables.close()
    return [Line("known gaps", "gaps", True, f"{', '.join(source.table for source in settings.gaps)} can be asked")]


async def _sweeps(settings: Settings, now: Callable[[], datetime]) -> list[Line]:
    wanted = list(_wanted(settings))
    if not wanted:
        return []
    try:
        known = {one.entity: one for one in await Census.of(settings, now).known()}
    except IdentityError as error:
        return [Line("sweep", "ids.sources", True, str(error), "entities are counted and swept once it can be read")]
    strange = [
        Line("sweep", where, True, f"the id map has no {entity}", f"known are {', '.join(known) or 'none'}")
        for where, entity in wanted
        if entity not in known
    ]
    kinds = sorted({entity for _, entity in wanted} & known.keys())
    told = ", ".join(f"{'' if known[kind].exact else 'about '}{known[kind].count:,} {kind}" for kind in kinds)
    return [Line("sweep", "entities", True, told or "none"), *strange]


def _wanted(settings: Settings) -> Iterator[tuple[str, str]]:
    """Where a route names an entity of the id map, and which."""
    for name, domain in settings.domains.items():
        for number, route in enumerate(domain.routes):
            for step, entity in route.sweep.entities.items():
                yield f"domains.{name}.routes[{number}].sweep.entities.{step}", entity
