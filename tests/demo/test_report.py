"""The report tells what was found and admits what was not."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from proxy.demo import assets, report
from proxy.demo.bugs import BUGS
from proxy.demo.heal import Case, Moment
from proxy.errors import ShadowreadError

DOMAINS: dict[str, Any] = {
    "domains": [
        {
            "name": "users",
            "stage": "shadow",
            "observed": 300,
            "comparisons": 290,
            "verdicts": {"match": 289, "transient": 1, "skipped:not_sampled": 10},
            "gate": "open",
            "reasons": [],
        },
        {
            "name": "payments",
            "stage": "shadow",
            "observed": 40,
            "comparisons": 38,
            "verdicts": {"match": 31, "diff": 7, "shadow_error": 2},
            "gate": "closed",
            "reasons": ["7 diffs, allowed 0", "38 comparisons of 200", "2 failures"],
        },
    ]
}


def text(what: Any, width: int = 200) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(what)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def finding(bug: Any) -> dict[str, Any]:
    return {
        "id": 7,
        "domain": bug.domain,
        "route": bug.routes[0],
        "path": bug.paths[0],
        "kind": min(bug.kinds),
        "exchanges": 12,
        "first_trace": "0af7651916cd43dd",
        "sample": {"primary": 1, "shadow": "2" * 100},
    }


def test_a_bug_is_found_by_its_finding_and_by_no_other() -> None:
    shown = next(bug for bug in BUGS if bug.findable)
    told = {bug["bug"]: bug for bug in report.document(DOMAINS, report.planted([finding(shown)]))["planted"]}
    assert told.keys() == {bug.name for bug in BUGS}
    assert told[shown.name] == {
        "bug": shown.name,
        "domain": shown.domain,
        "found": True,
        "finding": finding(shown),
        "unproven": None,
    }
    assert [name for name, bug in told.items() if bug["found"]] == [shown.name]
    assert all(bug["finding"] is None for name, bug in told.items() if name != shown.name)


def test_the_tables_show_figures_reasons_and_an_example() -> None:
    shown = next(bug for bug in BUGS if bug.findable)
    told = text(report.final(DOMAINS["domains"], report.planted([finding(shown)])))
    assert "7 diffs, allowed 0 38 comparisons of 200 (+1 more)" in told
    assert "1 of 2 domains at zero diffs" in told
    assert f"1 of {len(BUGS)} planted bugs found" in told
    assert "0af7651916cd43dd" in told
    assert "not yet" in told  # the one that a comparison cannot find
    assert "1 -> " + "2" * 39 + "…  trace 0af7651916cd43dd" in told


def test_a_zero_that_is_not_proven_is_no_zero_and_catches_the_bug_that_no_comparison_finds() -> None:
    why = "health: both sides read the same store"
    holds = {**DOMAINS["domains"][0], "name": "release_holds", "gate": "closed", "reasons": [why]}
    domains = [DOMAINS["domains"][0], {**holds, "provenance": "unproven"}]
    bugs = report.planted([], domains)
    told = {bug["bug"]: bug for bug in report.document({"domains": domains}, bugs)["planted"]}
    assert told["release_hold_reads_mongo"]["unproven"] == why
    assert {name for name, bug in told.items() if bug["unproven"]} == {"release_hold_reads_mongo"}
    shown = text(report.final(domains, bugs))
    assert "1 of 2 domains at zero diffs, 1 unproven; 0 of 14 planted bugs found, 1 caught as unproven" in shown
    assert "release_hold_reads_mongo in release_holds" in shown
    assert next(line for line in shown.splitlines() if line.startswith("release_holds")).split()[3] == "unproven"


def test_what_a_healed_domain_was_told_stands_in_the_report() -> None:
    moments = [
        Moment(10.0, "closed", ("diffs",), ("7 diffs",)),
        Moment(12.0, "closed", ("comparisons",), ("4 comparisons",)),
        Moment(25.0, "open", (), ()),
    ]
    case = Case("blog", 10.0, ("blog_empty_tags_null",), 0, "2.8.79+fixed.blog", moments)
    shown = text(report.final(DOMAINS["domains"], [], [case]))
    assert "after 10.0 s without blog_empty_tags_null; build 2.8.79+fixed.blog" in shown
    assert "12.0 s closed: comparisons (diffs holds now)" in shown
    assert "25.0 s open (comparisons holds now)" in shown
    told = report.document(DOMAINS, [], [case])["healed"]
    assert [moment["gate"] for moment in told[0]["reasons"]] == ["closed", "closed", "open"]


def test_a_domain_without_comparisons_is_not_at_zero() -> None:
    idle = {**DOMAINS["domains"][0], "comparisons": 0, "verdicts": {}}
    assert report.summary([idle, DOMAINS["domains"][0]], []).plain == "1 of 2 domains at zero diffs"


def test_the_table_fits_into_eighty_columns() -> None:
    longest = {**DOMAINS["domains"][1], "name": "derived_destinations", "observed": 99999, "comparisons": 99999}
    told = text(report.domains_table([longest]), width=80)
    assert "derived_destinations" in told
    assert "closed" in told
    assert "…" not in told


def test_markup_in_what_was_observed_is_text() -> None:
    shown = next(bug for bug in BUGS if bug.findable)
    found = {**finding(shown), "path": "$.data[bold]", "sample": {"primary": "[red]", "shadow": None}}
    planted = report.Planted(shown.name, shown.domain, "", findable=True, finding=found)
    hostile = [{**DOMAINS["domains"][1], "reasons": ["[/nothing]"]}]
    told = text(report.final(hostile, [planted]))
    assert "$.data[bold]" in told
    assert "[red] -> null" in told
    assert "[/nothing]" in told


@pytest.mark.parametrize(("summary", "failed"), [({"failures": 3}, 3), ({"failures": {"GET": 1}}, 1), ({}, 0)])
def test_failures_that_clients_saw_are_counted(summary: dict[str, Any], failed: int) -> None:
    assert report.client_failures(summary) == failed


def test_a_configuration_that_is_nowhere_names_the_places(tmp_path: Path) -> None:
    assert assets.config_file("marketplace.yaml").is_file()
    with pytest.raises(ShadowreadError, match=rf"absent.yaml was not found in {tmp_path}"):
        assets.config_file("absent.yaml", [tmp_path])
