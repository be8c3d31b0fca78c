"""A real ledger with known content, and the configuration that belongs to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime
from pathlib import Path

from comparators.model import Difference, Kind, Tolerated
from proxy.ledger import Ledger
from proxy.model import Outcome, Trace, Verdict
from proxy.settings import Settings, load_settings

AT = datetime(2026, 5, 1, 12, 0, 30, tzinfo=UTC)
HUGE = 2**70
IGNORED = Tolerated("ignore", "$.requestId", 1, "$.requestId")
DATED = """
compare:
  ignore: [{{at: "$.requestId", until: {expired}}}]
  tolerate: [{{kind: date_format, at: "$..at", until: {soon}}}]
"""
CONFIG = """
listen: 127.0.0.1:8080
admin: {{token: "{token}"}}
primary: {{url: "http://127.0.0.1:{primary}"}}
ledger: {{url: "sqlite:///{folder}/ledger.db"}}
gate: {{min_comparisons: 20, max_upper_bound: 0.5, max_failure_rate: 0.5}}
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


def date_rules(folder: Path, *, expired: date, soon: date) -> None:
    """Give the configuration two rules that bear a date."""
    path = folder / "shadowread.yaml"
    path.write_text(path.read_text() + DATED.format(expired=expired, soon=soon))


def settings_in(folder: Path, *, primary: int = 5001, token: str = "") -> Settings:
    return load_settings(configure(folder, primary=primary, token=token), {})


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


@asynccontextmanager
async def recorded(settings: Settings) -> AsyncIterator[Ledger]:
    """The ledger of a proxy that still runs: users all match, payments differ three times, chat is unseen."""
    ledger = await Ledger.open(
        settings.ledger.url,
        flush_seconds=0.02,
        max_traces=100,
        max_trace_bytes=1_000_000,
        max_findings=100,
        clock=lambda: AT,
    )

    def see(domain: str, route: str, verdict: Verdict, outcome: Outcome | None = None) -> None:
        ticket = ledger.begin(domain, route)
        found = Outcome(domain, route, verdict, AT, entity=f"{route}{ticket}", tolerated=(IGNORED,))
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
    try:
        yield ledger
    finally:
        await ledger.close()
