"""What a route may say of sweeping it, what the gaps' tables are, and how mistakes are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from proxy.errors import SettingsError
from proxy.settings import load_settings

HEAD = "primary: {url: http://127.0.0.1:1}\nids: {sources: [{file: ids.json}]}\n"
POSTGRES = "postgres: {dsn: postgresql://127.0.0.1/x}\n"


def loaded(folder: Path, text: str) -> list[str]:
    """What is wrong with a configuration."""
    path = folder / "c.yaml"
    path.write_text(text)
    try:
        load_settings(path, {})
    except SettingsError as error:
        return [str(problem) for problem in error.problems]
    return []


def route(text: str, head: str = HEAD) -> str:
    return f"{head}domains:\n  users:\n    routes:\n      - {text}\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{route: 'GET /u/{id}', sweep: {entities: {id: user}}}", None),
        ("{route: 'GET /u', sweep: {pages: {parameter: page, step: 50, query: 'a=b&c=d', next: $.next}}}", None),
        ("{route: 'GET /u/{id}', sweep: {entities: {name: user}}}", "is not a step of"),
        ("{route: 'GET /u', sweep: {entities: {id: user}}}", "no {name} in it"),
        ("{route: 'POST /u', safe: true, sweep: {pages: {parameter: page}}}", "pages are read by GET"),
        ("{route: 'GET /u', sweep: {pages: {first: 1}}}", "required"),
        ("{route: 'GET /u', sweep: {pages: {parameter: page, items: '$..x'}}}", "one place"),
        ("{route: 'GET /u', sweep: {pages: {parameter: page, query: '?a=b'}}}", 'without "?"'),
        ("{route: 'GET /u', sweep: {pagse: {parameter: page}}}", "pages"),
    ],
)
def test_a_sweep(tmp_path: Path, text: str, says: str | None) -> None:
    found = loaded(tmp_path, route(text))
    assert found == [] if says is None else any(says in problem for problem in found), found


def test_an_entity_needs_an_id_map(tmp_path: Path) -> None:
    text = route("{route: 'GET /u/{id}', sweep: {entities: {id: user}}}", "primary: {url: http://127.0.0.1:1}\n")
    (problem,) = loaded(tmp_path, text)
    assert "c.yaml:5: domains.users.routes" in problem
    assert "set ids.sources" in problem


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (POSTGRES + "gaps: [{table: app.gaps, id: legacy_id, entity: kind, resolved: done_at}]\n", None),
        ("gaps: [{table: gaps, id: legacy_id}]\n", "set postgres.dsn"),
        (POSTGRES + "gaps: [{table: gaps}]\n", "required"),
        (POSTGRES + "gaps: [{table: 'gaps; DROP', id: x}]\n", "plain SQL name"),
        (POSTGRES + "gaps: [{table: gaps, id: 'a b'}]\n", "plain SQL name"),
    ],
)
def test_gaps(tmp_path: Path, text: str, says: str | None) -> None:
    found = loaded(tmp_path, HEAD + text)
    assert found == [] if says is None else any(says in problem for problem in found), found
