"""The demo shows what evidence is for: a zero that is none is unproven, and a domain that is healed earns its gate."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
HEALED = "shop_settings"
AT, SECONDS = 8, 75
"""The round of looks at the scan counters that the healing breaks into, and the next one, take half a minute each."""


def run(folder: Path, *options: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "proxy.cli", "demo", "--json", "--keep", str(folder / "kept"), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=165, check=False)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_release_holds_are_unproven_and_a_healed_domain_opens_its_gate_step_by_step(tmp_path: Path) -> None:
    told = run(tmp_path, "--duration", str(SECONDS), "--heal", f"{HEALED}@{AT}")
    domains = {domain["name"]: domain for domain in told["domains"]}

    holds = domains["release_holds"]
    assert (holds["provenance"], holds["diff_rate"], holds["upper_bound"]) == ("unproven", None, None)
    assert "both sides read the same store" in holds["reasons"][0]
    (planted,) = (bug for bug in told["planted"] if bug["bug"] == "release_hold_reads_mongo")
    assert "both sides read the same store" in planted["unproven"]
    assert holds["comparisons"] > 0
    assert holds["verdicts"].get("diff", 0) == 0

    (healed,) = told["healed"]
    moments = healed["reasons"]
    assert (healed["domain"], healed["bugs"]) == (HEALED, ["shop_misses_legacy_id"])
    assert "diffs" in moments[0]["conditions"]
    assert moments[0]["gate"] == "closed"
    assert (moments[-1]["gate"], moments[-1]["conditions"]) == ("open", []), moments[-1]["reasons"]
    after = domains[HEALED]
    assert (after["gate"], after["provenance"], after["verdicts"].get("diff", 0)) == ("open", "proven", 0)
    assert "2.8.79+fixed.shop-settings" in after["window"]["why"]
    # One after the other: never did all that was missing come to hold at once.
    steps = [set(one["conditions"]) - set(other["conditions"]) for one, other in pairwise(moments)]
    assert sum(1 for step in steps if step) >= 3, moments
    for domain in told["domains"]:
        assert domain["observed"] == sum(domain["verdicts"].values()), domain
