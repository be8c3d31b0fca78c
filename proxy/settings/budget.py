"""The written budget of memory: everything bounded that a proxy may hold at once, each with its formula, and the sum.

Every line is the most there can be, all at the same time; what a proxy needs on a usual day is a small part of it.
Bytes of live objects: an allocator keeps some more. Not among them is what the kernel holds for sockets and files.
Lines name the setting that moves them; `tests/settings/test_budget.py` holds the constants to the code that keeps them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from proxy.settings import budget_units as unit
from proxy.settings.blocks import FileSource
from proxy.settings.model import Settings
from proxy.settings.units import format_size

Group = Literal["program", "clients", "verification", "ids", "ledger", "site", "workers"]


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that takes memory: `size` bytes at most by `formula`; `bound` is the setting, or empty."""

    group: Group
    what: str
    formula: str
    size: int
    bound: str = ""


@dataclass(frozen=True, slots=True)
class Budget:
    """What one process of the proxy, with its comparison workers, may take at most.

    `serve --workers N` has N + 1: the first one watches over the others, and verifies what is proven and replayed.
    """

    lines: tuple[Line, ...]

    @property
    def total(self) -> int:
        return sum(line.size for line in self.lines)

    def of(self, group: Group) -> int:
        """The bytes of one group of lines."""
        return sum(line.size for line in self.lines if line.group == group)

    @property
    def reloading(self) -> int:
        """What comes to it after a reload, as long as exchanges are ending under earlier configurations, if those were
        like this one."""
        return unit.EARLIER * sum(self.of(group) for group in ("verification", "ids", "workers"))

    def as_json(self) -> dict[str, Any]:
        """Sizes are bytes."""
        groups = dict.fromkeys(line.group for line in self.lines)
        return {
            "total": self.total,
            "while_reloading": self.total + self.reloading,
            "groups": {group: self.of(group) for group in groups},
            "lines": [
                {"group": line.group, "what": line.what, "bytes": line.size, "formula": line.formula,
                 "setting": line.bound or None}
                for line in self.lines
            ],
        }  # fmt: skip


def budget(settings: Settings, file_bytes: Mapping[Path, int] | None = None) -> Budget:
    """The budget of a configuration. `file_bytes` are the sizes of the files in `ids.sources`; one that is not named
    there counts as if it had the largest that is read."""
    return Budget(
        (
            Line("program", "the program itself", format_size(unit.PROGRAM), unit.PROGRAM),
            *_clients(settings),
            *_verification(settings),
            *_ids(settings, file_bytes or {}),
            *_ledger(settings),
            *_site(),
            *_workers(settings),
        )
    )


def _times(count: int, each: int) -> tuple[str, int]:
    return f"{count:,} x {format_size(each)}", count * each


def _clients(settings: Settings) -> Iterator[Line]:
    clients = settings.limits.clients
    under_way = min(clients, unit.BACKEND_CONNECTIONS)
    yield Line("clients", "client connections", *_times(clients, unit.CLIENT_AT_REST), "limits.clients")
    yield Line("clients", "requests that clients send ahead", *_times(clients, unit.SENT_AHEAD), "limits.clients")
    yield Line(
        "clients",
        "requests under way: both ways at their high-water marks",
        *_times(under_way, unit.EXCHANGE_BUFFERS),
        "limits.clients",
    )
    connections = under_way + settings.shadow.max_concurrency
    yield Line("clients", "connections to both sides", *_times(connections, unit.UPSTREAM_AT_REST), "limits.clients")


def _verification(settings: Settings) -> Iterator[Line]:
    limits, reads = settings.limits, settings.shadow.max_concurrency
    routes = len(list(settings.claims()))
    yield Line(
        "verification",
        "bodies of exchanges that have no verdict yet",
        format_size(limits.buffered),
        limits.buffered,
        "limits.buffered",
    )
    yield Line(
        "verification",
        "ids and differing values of those bodies",
        *_times(unit.HELD_FACTOR, limits.buffered),
        "limits.buffered",
    )
    yield Line("verification", "header fields of those exchanges", *_times(limits.queue, 3 * unit.HEAD), "limits.queue")
    # As it came and as it is once its content coding is undone.
    yield Line(
        "verification", "reads under way", *_times(2 * reads, limits.body), "shadow.max_concurrency, limits.body"
    )
    if settings.postgres is not None or settings.mongo is not None:
        direct = sum(store.connections for store in (settings.postgres, settings.mongo) if store is not None)
        yield Line(
            "verification",
            "rows and documents read straight from a store",
            *_times(direct, unit.ROWS_BYTES),
            "postgres.connections, mongo.connections",
        )
    # As bytes, and as the text that a trace keeps.
    yield Line("verification", "bodies on their way into traces", *_times(3, unit.BODIES_TO_TRACES))
    yield Line("verification", "pairs seen equal", format_size(limits.memo), limits.memo, "limits.memo")
    yield Line(
        "verification",
        "requests of the last traces, to be replayed",
        *_times(unit.REMEMBERED, unit.REMEMBERED_BYTES + unit.HEAD // 8),
    )
    yield Line("verification", "last requests of each route", *_times(unit.RECENT * routes, unit.RECENT_BYTES))
    yield Line("verification", "compiled rules", *_times(unit.RULE_SETS, unit.RULES))
    yield Line("verification", "spellings of credentials", *_times(unit.CREDENTIALS, unit.CREDENTIAL))
    if settings.examine.share:
        yield Line(
            "verification", "matched pairs that wait to be examined", *_times(unit.HELD_FACTOR + 1, unit.EXAMINED_BYTES)
        )
        plans = min(unit.EXAMINED_PLANS, 2 * routes)
        yield Line("verification", "damages tried on each route", *_times(plans * unit.PLAN_DAMAGES, unit.DAMAGE))


def _ids(settings: Settings, file_bytes: Mapping[Path, int]) -> Iterator[Line]:
    yield Line("ids", "pairs read from tables", *_times(settings.ids.cache, unit.ID_PAIR), "ids.cache")
    for source in settings.ids.sources:
        if isinstance(source, FileSource):
            size = min(file_bytes.get(source.file, unit.FILE_BYTES), unit.FILE_BYTES)
            yield Line("ids", f"pairs of {source.file.name}", *_times(unit.FILE_FACTOR, size), "ids.sources")
    asked = min(unit.LOOKUPS * unit.LOOKUP_IDS, settings.limits.buffered // 24)
    yield Line("ids", "lookups under way", *_times(asked, unit.ID_PAIR), "limits.buffered")
    domains = {
        claim.domain
        for claim in settings.claims()
        if any(layer.get("ids") == "inferred" for layer in settings.compare_layers(claim.domain, claim.pattern.text))
    }
    if domains:
        pairs = len(domains) * unit.BELIEVED
        yield Line("ids", "pairs believed under `ids: inferred`", *_times(pairs, unit.BELIEVED_PAIR))


def _ledger(settings: Settings) -> Iterator[Line]:
    claims, limits = list(settings.claims()), settings.limits
    routes, domains = len(claims), len({claim.domain for claim in claims})
    # Those that wait, those that are being written, and these once more in their stored form.
    yield Line("ledger", "traces that wait for the disk", *_times(3, unit.TRACES_WAITING))
    yield Line("ledger", "findings", *_times(limits.findings, unit.FINDING + 2 * unit.SAMPLES), "limits.findings")
    kinds = {(claim.domain, "") for claim in claims}
    for claim in claims:
        named = settings.route_of(claim.domain, claim.pattern.text).sweep.entities
        kinds |= {(claim.domain, kind) for kind in named.values()}
    entities = len(kinds) * unit.ENTITIES
    yield Line("ledger", "entities that were verified", *_times(entities, unit.ENTITY))
    yield Line("ledger", "places where something was tolerated", *_times(2 * unit.PLACES, unit.PLACE))
    yield Line(
        "ledger",
        "counts that wait for the disk, minute by minute",
        *_times(routes * unit.ROUTE_VERDICTS * unit.MINUTES, unit.COUNT),
    )
    yield Line("ledger", "when domains were watched", *_times(domains * unit.WATCHES, unit.WATCH))
    if settings.ledger.url.startswith("sqlite:"):
        yield Line("ledger", "pages of the SQLite file", *_times(unit.SQLITE_CONNECTIONS, unit.SQLITE_CACHES))


def _site() -> Iterator[Line]:
    yield Line("site", "connections to the admin site", *_times(unit.ADMIN_CONNECTIONS, unit.ADMIN_CONNECTION))
    yield Line("site", "the last exchanges", *_times(unit.TAIL, unit.ENDED))
    yield Line("site", "events for those who watch live", *_times(unit.LISTENERS, unit.LISTENER_BATCHES))
    yield Line("site", "figures by domain, route and verdict", *_times(unit.SERIES, unit.SERIES_BYTES))


def _workers(settings: Settings) -> Iterator[Line]:
    limits = settings.limits
    yield Line("workers", "comparison workers at rest", *_times(limits.workers, unit.WORKER), "limits.workers")
    members = min(unit.MEMBERS, limits.body // 2)
    each = unit.COMPARED_FACTOR * limits.body + members * unit.MEMBER
    yield Line(
        "workers",
        "two bodies in each, with all that comparing makes of them",
        f"{2 * limits.workers} x ({unit.COMPARED_FACTOR} x {format_size(limits.body)} + {members:,} x {unit.MEMBER}B)",
        2 * limits.workers * each,
        "limits.workers, limits.body",
    )
