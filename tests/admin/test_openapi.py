"""The OpenAPI document is held against the routes, and against what they really answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from jsonschema import Draft202012Validator, FormatChecker  # type: ignore[import-untyped] # it ships no types
from openapi_spec_validator import OpenAPIV31SpecValidator

from proxy.admin.openapi import document
from proxy.admin.queries import DecisionQuery, FindingQuery, LiveQuery, TraceQuery
from proxy.admin.tree_content import TreeQuery
from proxy.model import Ended, Verdict
from tests.admin.conftest import Site
from tests.admin.recorded import AT

DOCUMENT = document()
OPERATIONS = [
    (path, method) for path, item in DOCUMENT["paths"].items() for method in ("get", "post") if method in item
]
QUERIES: dict[str, tuple[str, ...]] = {
    "/api/v1/findings": FindingQuery.NAMES,
    "/api/v1/traces": TraceQuery.NAMES,
    "/api/v1/traces/{id}/tree": TreeQuery.NAMES,
    "/api/v1/decisions": DecisionQuery.NAMES,
    "/api/v1/live": LiveQuery.NAMES,
    "/api/v1/events": (*LiveQuery.NAMES, "tail"),
}


def test_it_is_valid() -> None:
    OpenAPIV31SpecValidator(DOCUMENT).validate()


async def test_it_names_every_route_and_no_other(site: Site) -> None:
    reads = {path for path in site.site.endpoints() if path.startswith("/api/")}
    changes = {path for path in site.site.changes() if path.startswith("/api/")}
    assert {path for path, method in OPERATIONS if method == "get"} == reads
    assert {path for path, method in OPERATIONS if method == "post"} == changes


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_it_names_every_parameter(path: str, method: str) -> None:
    item = DOCUMENT["paths"][path]
    assert [one["name"] for one in item.get("parameters", [])] == re.findall(r"{(\w+)}", path)
    asked = {one["name"] for one in item[method].get("parameters", [])}
    assert asked == set(QUERIES.get(path, ()) if method == "get" else ())


async def test_every_parameter_is_taken_and_no_other(site: Site) -> None:
    ids = await fill(site)
    for path, method in OPERATIONS:
        if method == "get":
            known = {one["name"] for one in DOCUMENT["paths"][path]["get"]["parameters"]}
            answer = await site.get(f"{path.format(**ids)}?nothing=1")
            detail = (await answer.json(content_type=None))["detail"]
            assert answer.status == 400, path
            assert set(re.findall(r"\w+", detail.partition("known are ")[2])) == known, path


class Answers:
    """What is asked of each path, and how the answer is held against its schema."""

    GETS: ClassVar = {
        "/api/v1/domains": [""],
        "/api/v1/domains/{name}": [""],
        "/api/v1/findings": ["", "?domain=payments&sort=path&limit=1"],
        "/api/v1/findings/{id}": [""],
        "/api/v1/traces": ["", "?limit=1"],
        "/api/v1/traces/{id}": [""],
        "/api/v1/traces/{id}/tree": ["", "?path=$.items&limit=1"],
        "/api/v1/gates/{domain}": [""],
        "/api/v1/decisions": ["", "?limit=1"],
        "/api/v1/decisions/{seq}": [""],
        "/api/v1/live": [""],
        "/api/v1/openapi.json": [""],
    }
    POSTS: ClassVar = {
        "/api/v1/findings/{id}/accept": {"owner": "mara", "why": "old rows", "until": "2026-12-31"},
        "/api/v1/findings/{id}/revoke": {},
    }

    @staticmethod
    def check(path: str, method: str, status: str, content: Any) -> None:
        answers = DOCUMENT["paths"][path][method]["responses"]
        (media,) = answers.get(status, answers["default"])["content"].values()
        schema = {**media["schema"], "components": DOCUMENT["components"]}
        Draft202012Validator(schema, format_checker=FormatChecker()).validate(content)


async def fill(site: Site) -> dict[str, str]:
    """Let there be one of everything; its names for the paths."""
    await site.get("/api/v1/gates/payments")
    site.tail.add(Ended(AT, "users", "GET /api/users", Verdict.MATCH, None, 0, 0.1, 0.2))
    return {"name": "payments", "id": "trace0001", "domain": "users", "seq": "1"}


def wanted() -> Iterator[tuple[str, str]]:
    for path, queries in Answers.GETS.items():
        for query in queries:
            yield path, query


async def test_answers_are_as_it_says(site: Site) -> None:
    assert {path for path, method in OPERATIONS if method == "get"} - {"/api/v1/events"} == set(Answers.GETS)
    ids = await fill(site)
    (finding, *_) = await site.ledger.findings("payments")
    for path, query in wanted():
        own = ids | ({"id": finding.id} if "findings" in path else {})
        answer = await site.get(path.format(**own) + query)
        assert answer.status == 200, (path, await answer.text())
        Answers.check(path, "get", "200", await answer.json(content_type=None))
        missing = await site.get(path.format(**dict.fromkeys(ids, "none")) + "?nothing=1")
        Answers.check(path, "get", str(missing.status), await missing.json(content_type=None))
    for path, content in Answers.POSTS.items():
        answer = await site.post(path.format(id=finding.id), json=content)
        assert answer.status == 200, (path, await answer.text())
        Answers.check(path, "post", "200", await answer.json())
        one = await site.get(f"/api/v1/findings/{finding.id}")
        Answers.check("/api/v1/findings/{id}", "get", "200", await one.json())
