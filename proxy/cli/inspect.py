"""Asks everything that the configuration names whether it is there and can be used."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote

from proxy.admin.checks import reaches
from proxy.admin.evidence import read_plan
from proxy.errors import LedgerError
from proxy.identity import Identity
from proxy.ledger import LedgerReader, OutdatedLedgerError
from proxy.ledger.database import probe
from proxy.ledger.postgres import PREFIXES, PostgresStore
from proxy.ledger.schema import REVISIONS
from proxy.ledger.sqlite import path_of
from proxy.model import Side
from proxy.settings import Settings
from proxy.settings.until import WARN_DAYS, dated_rules

REACH_SECONDS = 5.0
BUSY_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was checked. With `ok` a `remedy` is advice, without it what has to be done."""

    name: str
    where: str
    ok: bool
    detail: str = ""
    remedy: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


async def inspect(settings: Settings, today: date) -> list[Line]:
    """Every check, in the order of the configuration. Takes as long as the slowest server needs to refuse.

    `today` decides which rules of the comparison have expired.
    """
    found = await asyncio.gather(
        _backend(settings, Side.PRIMARY, settings.primary.url),
        _backend(settings, Side.SHADOW, settings.shadow.url),
        _ids(settings),
        _ledger(settings),
        asyncio.to_thread(_plans, settings),
    )
    return [line for lines in (*found, _rules(settings, today)) for line in lines]


def _rules(settings: Settings, today: date) -> list[Line]:
    """Those whose date is past or near. None of them is a problem: without them the comparison is stricter."""
    gone, soon = "expired, no longer applied", f"expires within {WARN_DAYS} days"
    advice = "remove it, or give it a later until"
    return [
        Line("rule", rule.text, True, gone if rule.expired else soon, advice) for rule in dated_rules(settings, today)
    ]


async def _side(name: str, url: str) -> list[Line]:
    remedy = f"start it, or correct {name}.url"
    try:
        async with asyncio.timeout(REACH_SECONDS):
            problem = await reaches(url)()
    except TimeoutError:
        problem = f"no connection within {REACH_SECONDS:g} seconds"
    place = url.rpartition("@")[2]
    return [Line(name, place, problem is None, problem or "reached", "" if problem is None else remedy)]


async def _backend(settings: Settings, side: Side, url: str | None) -> list[Line]:
    if url is not None:
        return await _side(side.value, url)
    routes = [route for domain in settings.domains.values() for route in domain.routes]
    direct = sum(route.reader(side) is not None for route in routes)
    where = f"{side.value}.url"
    if direct and direct == len(routes):
        return [Line(side.value, where, True, "not set; every route is read from a store")]
    if side is Side.PRIMARY:
        return [Line(side.value, where, True, "not set", "set it; without it only routes with a reader are answered")]
    advice = "set it; without it only routes with a shadow reader are verified" if direct else ""
    return [Line(side.value, where, True, "not set", advice or "set it; without a shadow nothing is verified")]


async def _ids(settings: Settings) -> list[Line]:
    if not settings.ids.sources:
        advice = "name the id map there; without it ids are compared as plain text"
        return [Line("id map", "ids.sources", True, "none", advice)]
    identity = Identity.of(settings)
    try:
        probes = await identity.probe()
    finally:
        await identity.close()
    return [
        Line(
            "id map",
            f"ids.sources[{number}]: {probe.source}",
            probe.problem is None,
            probe.problem or f"about {probe.rows:,} rows",
            "" if probe.problem is None else "check postgres.dsn, the names, and the account's right to SELECT",
        )
        for number, probe in enumerate(probes)
    ]


async def _ledger(settings: Settings) -> list[Line]:
    if settings.ledger.url.startswith(PREFIXES):
        try:
            store = PostgresStore.of(settings.ledger.url, settings.ledger.journal)
        except LedgerError as error:
            return [Line("ledger", "ledger.url", False, str(error), "correct ledger.url")]
        return await _ledger_in_postgres(store)
    where = settings.ledger.url
    try:
        path = path_of(where)
        if not path.exists():
            if not os.access(path.parent, os.W_OK | os.X_OK):
                raise LedgerError(f"the folder {path.parent} cannot be written")
            return [Line("ledger", where, True, f"{path} will be made by serve")]
        outdated = ""
        try:
            reader = await LedgerReader.open(where)
            await reader.close()
        except OutdatedLedgerError as error:
            outdated = str(error)
        await asyncio.to_thread(_take_write_lock, path)
    except LedgerError as error:
        return [Line("ledger", where, False, str(error), "correct ledger.url, or give this account the right")]
    if outdated:
        return [Line("ledger", where, True, outdated, "serve brings it up to date; until then no command can read it")]
    return [Line("ledger", where, True, f"{path} can be read and written")]


async def _ledger_in_postgres(store: PostgresStore) -> list[Line]:
    """Its tables, the right to make or to write them, and the folder of the journals."""
    lines = []
    try:
        version = await probe(store)
    except LedgerError as error:
        lines.append(Line("ledger", store.name, False, str(error), "start it, or correct ledger.url"))
    else:
        told = {
            None: f"schema {store.schema} will be made by serve",
            REVISIONS[-1]: "can be read and written",
        }.get(version, f"has schema {version}, serve brings it to {REVISIONS[-1]}; until then no command can read it")
        lines.append(Line("ledger", store.name, True, told))
    folder = store.folder
    writable = folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)
    detail = "the journals of this machine lie here" if writable else "is no folder that can be written"
    remedy = "" if writable else "create it, or name another one under ledger.journal"
    return [*lines, Line("ledger journal", str(folder), writable, detail, remedy)]


def _take_write_lock(path: Path) -> None:
    """Begin to write and take it back.

    SQLite opens a file that it may not write for reading, without a word, so the rights are asked for first; those of
    the folder too, where it keeps its log.
    """
    for place, what in ((path, "file"), (path.parent, "folder")):
        if not os.access(place, os.W_OK):
            raise LedgerError(f"the {what} {place} cannot be written")
    try:
        uri = f"file:{quote(str(path))}?mode=rw"
        with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        raise LedgerError(f"{path} cannot be written: {error}") from error


def _plans(settings: Settings) -> list[Line]:
    lines = []
    for name, domain in settings.domains.items():
        plan = domain.rollback_plan
        where = f"domains.{name}.rollback_plan"
        if plan is None:
            lines.append(Line("rollback plan", where, True, "none", "write one before the domain is to flip"))
            continue
        text = read_plan(plan)
        if text is None:
            lines.append(Line("rollback plan", where, False, f"{plan} cannot be read", "write it"))
        elif not text.strip():
            lines.append(Line("rollback plan", where, False, f"{plan} is empty", "write it"))
        else:
            lines.append(Line("rollback plan", where, True, f"{plan}, {len(text):,} characters"))
    return lines
