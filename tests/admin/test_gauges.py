"""What a scrape tells of each domain, and when it keeps silent."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from comparators.model import Difference, Kind
from proxy.admin.domain_gauges import FIGURES, FRESH_SECONDS, LIMITS, DomainGauges, findings_by_state
from proxy.admin.evidence import Evidence
from proxy.admin.gauges import watch
from proxy.identity import Identity
from proxy.ledger import Ledger, Recording
from proxy.ledger.findings import Acceptance, accept, close
from proxy.model import Outcome, Verdict
from proxy.telemetry import Figures
from tests.admin.recorded import AT, DAY, recorded, settings_in

ROUTE = "GET /api/payments"


def told(figures: Figures) -> dict[str, float]:
    """Every sample of a domain, by its name and labels as they stand in the exposition."""
    lines = figures.prometheus_text()[0].decode().splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if 'domain="' in line)
    return {name: float(value) for name, value in pairs}


async def test_figures_of_each_domain(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    figures, gauges = Figures(), DomainGauges(settings, lambda: AT)
    gauges.register(figures)
    async with recorded(settings) as ledger:
        gauges.show(await Evidence(settings, ledger, now=lambda: AT).overview(), {("payments", "open"): 2})
    found = told(figures)
    assert found['shadowread_gate_open{domain="users"}'] == 1
    assert found['shadowread_gate_condition{condition="diffs",domain="payments"}'] == 0
    assert found['shadowread_window_comparisons{domain="users"}'] == 30
    assert found['shadowread_window_diffs{domain="payments"}'] == 3
    assert found['shadowread_window_latency_ratio{domain="users"}'] > 1
    assert found['shadowread_limit_comparisons{domain="users"}'] == 20
    assert found['shadowread_limit_failure_ratio{domain="users"}'] == 0.5
    assert found['shadowread_window_observed_seconds{domain="users"}'] == DAY.total_seconds()
    assert found['shadowread_last_diff_timestamp_seconds{domain="payments"}'] == AT.replace(second=2).timestamp()
    assert found['shadowread_window_started_timestamp_seconds{domain="users"}'] == (AT - DAY * 2).timestamp()
    assert found['shadowread_findings{domain="payments",state="open"}'] == 2
    assert found['shadowread_findings{domain="users",state="gone"}'] == 0
    assert found['shadowread_provenance_proven{domain="users"}'] == 1
    # Known to read one store: no figure that could be taken for a zero.
    assert found['shadowread_provenance_proven{domain="chat"}'] == 0
    assert 'shadowread_window_diffs{domain="chat"}' not in found
    assert 'shadowread_window_diff_rate_upper_bound{domain="chat"}' not in found
    assert 'shadowread_last_diff_timestamp_seconds{domain="chat"}' not in found


def test_names_stay_the_same_when_a_collector_appends_units() -> None:
    suffixes = {"s": "_seconds", "1": "_ratio"}
    named = [(name, unit) for _, name, unit, _ in (*FIGURES, *LIMITS)]
    assert [name for name, unit in named if not name.endswith(suffixes.get(unit, ""))] == []


async def test_what_is_old_or_cannot_be_told_is_not_told(tmp_path: Path) -> None:
    settings, now = settings_in(tmp_path), AT
    figures, gauges = Figures(), DomainGauges(settings, lambda: now)
    gauges.register(figures)
    closed = {f'shadowread_gate_open{{domain="{name}"}}': 0.0 for name in settings.domains}
    stages = {f'shadowread_domain_info{{domain="{name}",stage="shadow"}}': 1.0 for name in settings.domains}
    assert told(figures) == closed | stages, "nobody has decided yet"
    async with recorded(settings) as ledger:
        seen = await Evidence(settings, ledger, now=lambda: AT).overview()
    gauges.show(seen, {})
    now = AT + timedelta(seconds=FRESH_SECONDS)
    assert told(figures)['shadowread_gate_open{domain="users"}'] == 1
    now += timedelta(seconds=1)
    assert told(figures) == closed | stages
    gauges.show(seen, {})
    assert told(figures)['shadowread_gate_open{domain="users"}'] == 1
    gauges.forget()
    assert told(figures) == closed | stages


async def test_findings_are_counted_in_the_states_that_the_ledger_gives_them(tmp_path: Path) -> None:
    settings = settings_in(tmp_path)
    async with recorded(settings) as ledger:
        for number in range(6):
            await see(ledger, f"$.f{number}", AT)
        ids = {one.path: one.id for one in await ledger.findings("payments", limit=100)}
        today = AT.date()
        for path, until in (("$.f0", today), ("$.f1", today - DAY), ("$.f2", today + DAY)):
            kept = Acceptance("me", "it may stay", until, AT)
            await ledger.write(partial(accept, finding_id=ids[path], acceptance=kept))
        for path in ("$.f2", "$.f3", "$.f4"):
            await ledger.write(partial(close, finding_id=ids[path], at=AT, why="replayed"))
        await see(ledger, "$.f4", AT + timedelta(minutes=1))
        found = await ledger.ask(lambda connection: findings_by_state(connection, today))
        expected = Counter((one.domain, one.state.value) for one in await ledger.findings(limit=100))
    assert found == dict(expected)
    # $.f0 until today; $.f2 is gone, accepted or not; $.f1's date is past.
    assert {state: found["payments", state] for state in ("accepted", "gone", "returned")} == {
        "accepted": 1, "gone": 2, "returned": 1,
    }  # fmt: skip


async def test_what_waits_with_workers_is_left_for_their_own_figures(tmp_path: Path) -> None:
    settings, figures = settings_in(tmp_path), Figures()
    async with recorded(settings) as ledger:
        ledger.beside = lambda: [Recording(True, None, AT, 3, 4, 5, 6)]
        watch(figures, identity=Identity.of(settings), ledger=ledger)
        assert (ledger.recording.waiting, ledger.recording.misused) == (3, 6)
        told = {gauge.name: dict(gauge.read()) for gauge in figures.gauges() if ".ledger." in gauge.name}
    assert told == {
        "shadowread.ledger.recording": {(): 1.0},
        "shadowread.ledger.waiting": {(): 0},
        "shadowread.ledger.dropped_traces": {(): 0},
        "shadowread.ledger.misused": {(): 0},
    }


async def see(ledger: Ledger, path: str, at: datetime) -> None:
    """Record a diff at `path`, and write it."""
    outcome = Outcome("payments", ROUTE, Verdict.DIFF, at, differences=(Difference(path, Kind.VALUE_CHANGED, 1, 2),))
    ledger.record(ledger.begin("payments", ROUTE), outcome)
    await ledger.flush()
