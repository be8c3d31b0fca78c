"""What makes evidence belong to other rules: the fingerprint that decides whether a window goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from proxy.opening import rules_fingerprint
from proxy.settings import Settings, load_settings

TODAY = date(2026, 11, 23)
ENVIRONMENT = {
    "PRIMARY_URL": "http://127.0.0.1:5001",
    "SHADOW_URL": "http://127.0.0.1:5002",
    "PG_URL": "postgresql://shadowread@127.0.0.1/marketplace",
    "MONGODB_URI": "mongodb://127.0.0.1:27017",
}
PRINT = """
import os, sys
from datetime import date
from pathlib import Path
from proxy.opening import rules_fingerprint
from proxy.settings import load_settings
settings = load_settings(Path(sys.argv[1]), os.environ)
print(*(rules_fingerprint(settings, name, date(2026, 11, 23)) for name in settings.domains))
"""
CONFIG = """
primary: {url: "http://127.0.0.1:5001"}
shadow: {url: "http://127.0.0.1:5002"}
domains:
  shop:
    compare: {tolerate: [{kind: date_format, at: "$.at", why: WHY, owner: ana, until: UNTIL}]}
    routes: [{route: "GET /api/items/{id}", compare: {ignore: IGNORED}}]
"""


def settings_of(folder: Path, *, why: str = "legacy", until: str = "2027-03-31", ignored: str = "[]") -> Settings:
    path = folder / "shadowread.yaml"
    path.write_text(CONFIG.replace("WHY", why).replace("UNTIL", until).replace("IGNORED", ignored))
    return load_settings(path, {})


@pytest.mark.parametrize("name", ["direct.yaml", "marketplace.yaml"])
def test_every_process_finds_the_same_fingerprint_for_the_same_file(name: str) -> None:
    config = Path(__file__).parent.parent / "config" / name

    def printed(seed: str) -> str:
        environment = {**os.environ, **ENVIRONMENT, "PYTHONHASHSEED": seed}
        run = subprocess.run(
            [sys.executable, "-c", PRINT, str(config)], env=environment, capture_output=True, text=True, check=True
        )
        return run.stdout

    assert len(set(printed("1").split())) > 15
    assert printed("1") == printed("2")


def test_a_rule_changes_it_and_what_is_said_about_a_rule_does_not(tmp_path: Path) -> None:
    before = rules_fingerprint(settings_of(tmp_path), "shop", TODAY)
    assert rules_fingerprint(settings_of(tmp_path, why="as agreed", until="2027-04-30"), "shop", TODAY) == before
    assert rules_fingerprint(settings_of(tmp_path, ignored='["$.amount"]'), "shop", TODAY) != before


def test_it_changes_on_the_day_after_a_rule_has_run_out(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, until="2026-11-23")
    assert rules_fingerprint(settings, "shop", TODAY) != rules_fingerprint(settings, "shop", date(2026, 11, 24))
