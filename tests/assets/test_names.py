"""Rules, alerts and the dashboard ask for metrics and labels that a running proxy shows."""

from __future__ import annotations

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from tests.assets.conftest import watched
from tests.assets.support import OF_PROMETHEUS, asked_for, panel_expressions, rules

JOINED = {"job", "instance"}
"""Labels that Prometheus itself gives to what it scrapes."""


def shown(text: str) -> dict[str, set[str]]:
    """The name of each sample with the names of its labels."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def expressions() -> list[tuple[str, str]]:
    files = [*rules("rules.yml"), *rules("alerts.yml")]
    return [(one.get("record") or one["alert"], one["expr"]) for one in files] + panel_expressions()


async def test_everything_that_is_asked_for_is_shown(tmp_path: Path) -> None:
    async with watched(tmp_path) as proxy:
        await proxy.seen()
        known = shown(await proxy.metrics())
    recorded = {one["record"] for one in rules("rules.yml")}
    for where, expression in expressions():
        asked = list(asked_for(expression))
        names = {name for name, _ in asked if name} - OF_PROMETHEUS
        assert names <= known.keys() | recorded, where
        for name, labels in asked:
            of = known.get(name)
            if of is not None:
                assert labels <= of | JOINED, f"{where}: {name}"
            elif not name and names <= known.keys():
                assert labels <= JOINED.union(*(known[one] for one in names)), where


async def test_figures_of_a_domain(tmp_path: Path) -> None:
    async with watched(tmp_path) as proxy:
        await proxy.seen()
        lines = set((await proxy.metrics()).splitlines())
    assert {
        'shadowread_window_comparisons{domain="things"} 2.0',
        'shadowread_window_diffs{domain="things"} 1.0',
        'shadowread_findings{domain="things",state="open"} 1.0',
        'shadowread_findings{domain="others",state="open"} 0.0',
        'shadowread_gate_open{domain="things"} 0.0',
        'shadowread_gate_condition{condition="recording",domain="things"} 1.0',
        'shadowread_gate_condition{condition="diffs",domain="things"} 0.0',
        'shadowread_domain_info{domain="others",stage="shadow"} 1.0',
        'shadowread_provenance_proven{domain="others"} 0.0',
        'shadowread_limit_skip_ratio{domain="others"} 0.05',
        "shadowread_queue_limit 50.0",
    } <= lines
    # An unproven domain has no zero, and one that is asked for no proof is neither proven nor not.
    assert not [line for line in lines if line.startswith("shadowread_window_diff") and "others" in line]
    assert not [line for line in lines if line.startswith("shadowread_provenance_proven") and "things" in line]
