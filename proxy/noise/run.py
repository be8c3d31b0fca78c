"""What an A/A run is configured with: the same routes, both sides read from the primary, and a ledger of its own."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

from proxy.errors import ShadowreadError
from proxy.ledger import postgres
from proxy.ledger.journal import dead_runs
from proxy.ledger.postgres import PREFIXES, PostgresStore
from proxy.ledger.sqlite import PREFIX, path_of
from proxy.settings import Settings
from proxy.settings.model import DomainSettings, RouteSettings
from proxy.settings.provenance import DomainProvenanceSettings

log = logging.getLogger(__name__)

BLOCKER = "this is an A/A run: both sides are the primary, so its zeros say nothing about the shadow"


def aa_settings(settings: Settings) -> Settings:
    """The configuration with which the primary is held against itself.

    Nothing settles, ids are plain text, and no gate can open. Raises ShadowreadError where there is no primary to read.
    """
    if settings.primary.url is None and not any(route.primary for _, route in _routes(settings)):
        raise ShadowreadError("an A/A run reads the primary twice; set primary.url")
    domains = {name: _domain(domain) for name, domain in settings.domains.items()}
    return settings.model_copy(
        update={
            "shadow": settings.shadow.model_copy(update={"url": settings.primary.url, "translate_ids": False}),
            "settle": settings.settle.model_copy(update={"attempts": 0}),
            "ledger": settings.ledger.model_copy(update={"url": beside(settings.ledger.url)}),
            "compare": {**settings.compare, "ids": "exact"},
            "gaps": [],
            "examine": settings.examine.model_copy(update={"share": 0.0}),
            "domains": domains,
        }
    )


def _routes(settings: Settings) -> list[tuple[str, RouteSettings]]:
    return [(name, route) for name, domain in settings.domains.items() for route in domain.routes]


def _domain(domain: DomainSettings) -> DomainSettings:
    routes = [
        route.model_copy(update={"shadow": route.primary, "compare": _without_ids(route.compare)})
        for route in domain.routes
    ]
    return domain.model_copy(
        update={
            "routes": routes,
            "compare": _without_ids(domain.compare),
            "blockers": [BLOCKER],
            "provenance": DomainProvenanceSettings(scans=False),
        }
    )


def _without_ids(block: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in block.items() if key != "ids"}


def beside(url: str) -> str:
    """The URL of the A/A ledger beside the real one: `shadowread.db` has `shadowread.aa.db`, `?schema=x` has
    `?schema=x_aa`."""
    if url.startswith(PREFIXES):
        return postgres.beside(url, "_aa")
    path = Path(url.removeprefix(PREFIX))
    return PREFIX + str(path.with_name(f"{path.stem}.aa{path.suffix or '.db'}"))


def begin_anew(settings: Settings) -> None:
    """Remove what an A/A run before has left: its noise was that of other rules.

    Raises ShadowreadError while such a run goes on, and when it cannot be removed. Not for the thread of an event loop.
    """
    if settings.ledger.url.startswith(PREFIXES):
        asyncio.run(_drop(settings.ledger.url, settings.ledger.journal))
        return
    path = path_of(settings.ledger.url)
    _none_lives(path, str(path))
    for file in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise ShadowreadError(f"{file} of the A/A run before cannot be removed: {error}") from error


async def _drop(url: str, journal: Path | None) -> None:
    store = PostgresStore.of(url, journal)
    _none_lives(store.journals, store.name)
    await postgres.drop(store)


def _none_lives(journals: Path, name: str) -> None:
    for run in dead_runs(journals):
        run.release(remove=True)
    if living := sorted(journals.parent.glob(f"{journals.name}-run-*.journal")):
        raise ShadowreadError(f"another A/A run writes to {name} ({living[0].name}); stop it first")
