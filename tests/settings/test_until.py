"""Which rules have expired on a day, and which soon will."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from comparators.rules import compile_rules
from proxy.settings import Settings, load_settings
from proxy.settings.until import dated_rules

TEXT = """
primary: {url: "http://127.0.0.1:5001"}
compare:
  ignore: ["$.always", {at: "$.requestId", until: 2026-01-31, owner: ana}]
  tolerate: [{kind: number_string, at: "$..amount", until: 2026-02-15}]
domains:
  users:
    compare: {order: {"$.data": {key: id, until: 2026-01-10}}}
    routes:
      - GET /api/users
      - {route: "GET /api/users/{id}", compare: {ignore: [{at: "$.seen", until: 2026-02-01}]}}
  payments:
    routes: [GET /api/payments]
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    path = tmp_path / "shadowread.yaml"
    path.write_text(TEXT)
    return load_settings(path, {})


def test_every_block_is_looked_at_and_named(settings: Settings) -> None:
    found = dated_rules(settings, date(2026, 2, 1))
    assert [(rule.domain, rule.text.split(" (")[0], rule.expired) for rule in found] == [
        (None, "compare.ignore.1", True),
        ("users", "domains.users.compare.order.$.data", True),
        ("users", "domains.users.routes[1].compare.ignore.0", False),
    ]
    assert "2026-01-31" in found[0].text
    assert [rule.concerns("payments") for rule in found] == [True, False, False]


@pytest.mark.parametrize(
    ("today", "soon", "expired"),
    [
        (date(2026, 1, 17), False, False),
        (date(2026, 1, 18), True, False),
        (date(2026, 1, 31), True, False),
        (date(2026, 2, 1), False, True),
    ],
)
def test_it_warns_for_two_weeks_and_the_last_day_still_counts(
    settings: Settings, today: date, soon: bool, expired: bool
) -> None:
    states = [rule.expired for rule in dated_rules(settings, today) if rule.text.startswith("compare.ignore.1 ")]
    assert states == ([True] if expired else [False] if soon else [])
    layers = settings.compare_layers("payments", "GET /api/payments")
    applied = not compile_rules(layers, today=today).expired
    assert applied is not expired, "what is said is what the comparison does"
