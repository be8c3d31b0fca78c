"""A real ledger with known content, and the configuration that belongs to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncConnection

from comparators.model import Difference, Kind, Tolerated
from proxy.ledger import Ledger, examined, standing
from proxy.ledger.database import migrate, store_of
from proxy.ledger.sqlite import path_of
from proxy.ledger.sweeps import keep_known
from proxy.model import Outcome, Trace, Verdict
from proxy.opening import rules_fingerprint
from proxy.settings import Settings, load_settings
from proxy.window import RULES, DamageCount, FieldCount, KnownEntities, Standing, Watch

AT = datetime(2026, 5, 1, 12, 0, 30, tzinfo=UTC)
DAY = timedelta(days=1)
HUGE = 2**70
IGNORED = Tolerated("ignore", "$.requestId", 1, "$.requestId")
DATED = """
compare:
  ignore: [{{at: "$.requestId", until: {expired}}}]
  tolerate: [{{kind: date_format, at: "$..at", until: {soon}}}]
"""
SAME_STORE = "both sides read the same store ($.stores.chat is mongo on both)"
CONFIG = """
listen: 127.0.0.1:8080
admin: {{token: "{token}"}}
primary: {{url: "http://127.0.0.1:{primary}"}}
ledger: {{url: "sqlite:///{folder}/ledger.db"}}
gate:
  min_comparisons: 20
  min_route_comparisons: 10
  max_upper_bound: 0.5
  max_route_upper_bound: 0.5
  max_failure_rate: 0.5
domains:
  users:
    flags: {{REPO_USER: pg}}
    rollback_plan: users.md
    routes: [GET /api/users, "GET /api/users/{{id}}"]
  payments:
    blockers: [amounts are floats]
    routes: [GET /api/payments]
  chat:
    routes: [GET /api/chats]
"""


def configure(folder: Path, *, primary: int = 5001, token: str = "") -> Path:
    (folder / "users.md").write_text("unset REPO_USER and restart\n")
    path = folder / "shadowread.yaml"
    path.write_text(CONFIG.format(folder=folder, primary=primary, token=token))
    return path


def name_entities(folder: Path) -> None:
    """Let a route of the configuration say what it reads one of."""
    (folder / "ids.json").write_text("[]")
    path = folder / "shadowread.yaml"
    route = '{route: "GET /api/users/{id}", sweep: {entities: {id: user}}}'
    text = path.read_text().replace('"GET /api/users/{id}"', route)
    path.write_text(text + "ids: {sources: [{file: ids.json}]}\n")


def date_rules(folder: Path, *, expired: date, soon: date) -> None:
    """Give the configuration two rules that bear a date."""
    path = folder / "shadowread.yaml"
    path.write_text(path.read_text() + DATED.format(expired=expired, soon=soon))


def settings_in(folder: Path, *, primary: int = 5001, token: str = "") -> Settings:
    path = configure(folder, primary=primary, token=token)
    name_entities(folder)
    return load_settings(path, {})


def trace(number: int, difference: Difference) -> Trace:
    return Trace(
        id=f"trace{number:04d}",
        at=AT.replace(second=number),
        domain="payments",
        route="GET /api/payments",
        verdict=Verdict.DIFF,
        method="GET",
        target=f"/api/payments?page={number}",
        request_headers=(("accept", "application/json"),),
        primary_status=200,
        shadow_status=200,
        primary_headers=(("content-type", "application/json"),),
        shadow_headers=(("content-type", "application/json"), ("x-side", "\x1b[31mred")),
        primary_body='{"amount": 10.5, "items": [1, 2]}',
        shadow_body='{"amount": "10.5", "items": [1, 3]}',
        primary_seconds=0.004,
        shadow_seconds=0.011,
        differences=(difference, Difference("$.items", Kind.VALUE_CHANGED, {"a": [1, 2]}, {"a": [1, 3]})),
        differences_total=2,
        settling=("500 ms: still different",),
        detail="",
    )


_MADE: list[bytes] = []


async def make_empty(path: Path) -> None:
    """A ledger with its tables and nothing in them. Making these anew takes half of the time of a short test."""
    if not _MADE:
        store = store_of(f"sqlite:///{path}")
        engine = store.engine()
        async with store.writer(engine).begin() as connection:
            await connection.run_sync(migrate, store)
        await engine.dispose()
        _MADE.append(path.read_bytes())
    path.write_bytes(_MADE[0])


@asynccontextmanager
async def recorded(settings: Settings, at: datetime = AT) -> AsyncIterator[Ledger]:
    """The ledger of a proxy that still runs: users all match, payments differed three times in May, chat is unseen.

    Users and payments are proven to read two stores, chat is known to read one.
    """
    if settings.ledger.url.startswith("sqlite") and not (path := path_of(settings.ledger.url)).exists():
        await make_empty(path)
    ledger = await Ledger.open(
        settings.ledger.url,
        journal=settings.ledger.journal,
        flush_seconds=0.02,
        max_traces=100,
        max_trace_bytes=1_000_000,
        max_findings=100,
        clock=lambda: at,
    )
    for name in settings.domains:
        parts = {
            RULES: rules_fingerprint(settings, name, at.date()),
            "primary": "1.0, mongo",
            "shadow": "1.0, postgres",
        }
        ledger.enter(name, parts, at - DAY * 2)
        ledger.keep_watch(name, Watch(at - DAY, at, "the proxy did not run"))

    numbers = count()

    def see(domain: str, route: str, verdict: Verdict, outcome: Outcome | None = None) -> None:
        ticket = ledger.begin(domain, route)
        found = Outcome(
            domain,
            route,
            verdict,
            at,
            tolerated=(IGNORED,),
            primary_seconds=0.004,
            shadow_seconds=0.006,
            entity=f"{route} {next(numbers)}",
            entity_kind="user" if "{id}" in route else "",
        )
        ledger.record(ticket, outcome or found)

    for route in ("GET /api/users", "GET /api/users/{id}"):
        for _ in range(15):
            see("users", route, Verdict.MATCH)
    see("users", "GET /api/users", Verdict.NOT_SAMPLED)
    for number in range(3):
        difference = Difference("$.amount", Kind.NUMBER_STRING, HUGE, str(HUGE))
        kept = trace(number, difference)
        outcome = Outcome(
            "payments",
            "GET /api/payments",
            Verdict.DIFF,
            kept.at,
            differences=kept.differences,
            tolerated=(Tolerated("date_format", "$.at", 2, "$..at"), IGNORED),
            trace=kept,
        )
        see("payments", "GET /api/payments", Verdict.DIFF, outcome)
    see("payments", "GET /api/payments", Verdict.SHADOW_ERROR)
    await ledger.flush()
    windows = {name: window.id for name in settings.domains if (window := ledger.window(name)) is not None}
    await ledger.write(lambda connection: examine(connection, windows, at))
    try:
        yield ledger
    finally:
        await ledger.close()


async def examine(connection: AsyncConnection, windows: Mapping[str, str], at: datetime) -> None:
    """What others keep beside the verdicts."""
    users = windows["users"]
    route = "GET /api/users/{id}"
    fields = [FieldCount(route, "$.name", 15, 15, 0, 0, 15), FieldCount(route, "$.deletedAt", 15, 15, 15, 0, 0)]
    damages = [
        DamageCount(route, "$.name", "text", 100, 100),
        DamageCount(route, "$.tags", "swap_elements", 9, 3, "order $.tags"),
        DamageCount("GET /api/users", "$", "drop", 1, 1),
    ]
    await examined.add(connection, users, fields, damages, domain="users")
    hidden = DamageCount("GET /api/payments", "$.requestId", "text", 40, 0, "ignore $.requestId")
    seen = DamageCount("GET /api/payments", "$.amount", "number", 90, 90)
    await examined.add(connection, windows["payments"], [], [hidden, seen], domain="payments")
    for domain in ("users", "payments"):
        for check in ("health", "scans"):
            await standing.keep(connection, windows[domain], Standing(domain, check, "proven", f"{check} says so", at))
    await standing.keep(connection, windows["chat"], Standing("chat", "health", "failed", SAME_STORE, at))
    await keep_known(connection, [KnownEntities("user", 15, exact=True, at=at)])
