"""What the tests of `config/` share: the files, Debian's tools, and the names that a PromQL expression asks for."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

CONFIG = Path(__file__).parents[2] / "config"
PROMETHEUS = CONFIG / "prometheus"
DASHBOARD = CONFIG / "grafana/dashboards/shadowread.json"

GRAFANA_VARIABLES = {"$job": "shadowread", "$domain": ".*", "$__rate_interval": "1m", "$datasource": "prometheus"}
OF_PROMETHEUS = frozenset({"up", "ALERTS"})
# fmt: off
WORDS = frozenset({
    "absent", "and", "bool", "by", "count", "histogram_quantile", "increase", "last_over_time", "max", "max_over_time",
    "min", "min_over_time", "or", "rate", "sort_desc", "sum", "time", "topk", "unless",
    "vector",
})
# fmt: on
"""Functions and keywords; a name that is neither these nor a metric fails the test that looks it up."""


def tool(name: str) -> str:
    """The path of a program of Debian's; the test is skipped without it, in continuous integration it fails."""
    found = shutil.which(name)
    if found is None:
        text = f"{name} is not installed (Debian: apt-get install prometheus)"
        if os.environ.get("CI") == "true":
            pytest.fail(text)
        pytest.skip(text)
    return found


def yaml(path: Path) -> Any:
    """A YAML file as plain data."""
    return YAML(typ="safe").load(path)


def rules(name: str) -> list[dict[str, Any]]:
    """The rules of a file, those of all its groups."""
    return [rule for group in yaml(PROMETHEUS / name)["groups"] for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return content


def panel_expressions() -> list[tuple[str, str]]:
    """Every query of the dashboard with the title of its panel, as Prometheus is sent it."""
    board = dashboard()
    found = [(panel["title"], target["expr"]) for panel in board["panels"] for target in panel.get("targets", ())]
    found += [(one["name"], one["expr"]) for one in board["annotations"]["list"]]
    return [(title, filled(expression)) for title, expression in found]


def filled(expression: str) -> str:
    """With Grafana's variables put in."""
    for name, value in GRAFANA_VARIABLES.items():
        expression = expression.replace(name, value)
    return expression


def asked_for(expression: str) -> Iterator[tuple[str, frozenset[str]]]:
    """Each metric of an expression, with the labels that it is selected by. The empty name has the labels that results
    are grouped or joined by."""
    text = re.sub(r"'[^']*'|\"[^\"]*\"", '""', expression)
    grouped = r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)"
    for listed in re.findall(grouped, text):
        yield "", frozenset(re.findall(r"\w+", listed))
    text = re.sub(grouped, " ", text)
    # Durations and numbers are no names.
    text = re.sub(r"\[[^\]]*\]|\b\d[\w.]*", " ", text)
    for name, selected in re.findall(r"([a-zA-Z_:][\w:]*)\s*(\{[^}]*\})?", text):
        if name not in WORDS:
            yield name, frozenset(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", selected))
