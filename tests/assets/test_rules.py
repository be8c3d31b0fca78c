"""Prometheus takes the configuration and the rules, and the alerts fire when they should and not otherwise."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.assets.support import PROMETHEUS, dashboard, panel_expressions, rules, tool, yaml


def promtool(*arguments: str | Path, cwd: Path = PROMETHEUS) -> str:
    done = subprocess.run(
        [tool("promtool"), *map(str, arguments)], cwd=cwd, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_takes_the_configuration() -> None:
    # --syntax-only: the token's file is on the machine where it is deployed.
    assert "SUCCESS" in promtool("check", "config", "--syntax-only", "prometheus.yml")
    assert yaml(PROMETHEUS / "prometheus.yml")["rule_files"] == ["rules.yml", "alerts.yml"]


@pytest.mark.parametrize("name", ["rules.yml", "alerts.yml"])
def test_prometheus_takes_the_rules(name: str) -> None:
    assert f"SUCCESS: {len(rules(name))} rules found" in promtool("check", "rules", "--lint-fatal", name)


def test_alerts_fire_when_they_should() -> None:
    assert "SUCCESS" in promtool("test", "rules", "alerts_test.yml")


def test_every_alert_is_tried() -> None:
    tried = json.dumps(yaml(PROMETHEUS / "alerts_test.yml"))
    assert [one["alert"] for one in rules("alerts.yml") if one["alert"] not in tried] == []


def test_every_alert_says_what_it_is_and_what_to_do() -> None:
    for one in rules("alerts.yml"):
        assert one["labels"]["severity"] in {"critical", "warning", "info"}, one["alert"]
        assert {"summary", "description", "runbook"} == one["annotations"].keys(), one["alert"]
        assert all(len(text) > 20 for text in one["annotations"].values()), one["alert"]


def test_prometheus_takes_every_query_of_the_dashboard(tmp_path: Path) -> None:
    records = [
        {"record": f"panel:{number}", "expr": expression} for number, (_, expression) in enumerate(panel_expressions())
    ]
    assert len(records) > 40
    path = tmp_path / "panels.yml"
    path.write_text(json.dumps({"groups": [{"name": "panels", "rules": records}]}))
    promtool("check", "rules", path)


def test_panels_of_the_dashboard_are_whole() -> None:
    board = dashboard()
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        grid = panel["gridPos"]
        cells = {
            (x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert not taken & cells, f"{panel['title']} lies over another panel"
        assert grid["x"] + grid["w"] <= 24
        taken |= cells
        if panel["type"] == "row":
            continue
        assert {panel["datasource"]["uid"], *(one["datasource"]["uid"] for one in panel["targets"])} == {
            "${datasource}"
        }
        references = [one["refId"] for one in panel["targets"]]
        assert references
        assert len(set(references)) == len(references)
    assert [one["name"] for one in board["templating"]["list"]] == ["datasource", "job", "domain"]


def test_grafana_is_told_where_prometheus_and_the_dashboard_are() -> None:
    folder = PROMETHEUS.parent / "grafana/provisioning"
    (source,) = yaml(folder / "datasources/prometheus.yml")["datasources"]
    compose = yaml(PROMETHEUS.parent / "compose.yaml")
    assert source["url"] == "http://prometheus:9090"
    assert "prometheus" in compose["services"]
    (provider,) = yaml(folder / "dashboards/shadowread.yml")["providers"]
    mounts = [mount.split(":") for mount in compose["services"]["grafana"]["volumes"]]
    assert ["./grafana/dashboards", provider["options"]["path"], "ro"] in mounts
